//! x
impl super::Report {
    /// x
    pub fn html(&self) -> String { String::new() }
}

//! The names that a case may change: a change of anything else would change nothing, unnoticed.

use super::{Change, What};
use crate::swarm::{Fault, Operation};

/// What a case may leave out ([`super::Choices::omits`]), the largest first.
pub const OMITTED: [&str; 5] = ["client", "episode", "operation", "connection", "request"];

/// The sites that [`crate::site!`] names in the sources, a line each; a test keeps them equal.
const SITES: &str = include_str!("sites.txt");

/// Names of the sites at which something is drawn.
pub fn sites() -> impl Iterator<Item = &'static str> {
    let of_swarm = Fault::ALL.iter().map(|it| it.site().name);
    SITES.lines().chain(of_swarm).chain(Operation::ALL.iter().map(|it| it.site().name))
}

impl Change {
    /// Why no run can follow this change, if there is nothing of its name.
    ///
    /// # Errors
    /// Says so in words.
    pub fn known(&self) -> Result<(), String> {
        let name = &*self.site;
        match self.what {
            What::Omit(_) if !OMITTED.contains(&name) => Err(format!(
                "nothing called {name:?} can be left out; there are {}",
                OMITTED.join(", ")
            )),
            What::One(..) | What::Entity(_) | What::All if !sites().any(|site| site == name) => {
                Err(format!("nothing is drawn at {name:?} in this build"))
            }
            _ => Ok(()),
        }
    }
}

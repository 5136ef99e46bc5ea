//! What each rule says, in a sentence or two. `docs/rules.md` is the one place that says it.

/// The document. A rule begins with `- **ACC-3** `; what is indented below goes on with it.
const DOCUMENT: &str = include_str!("../../docs/rules.md");

/// All rules in the order of the document: the number, and the text on one line.
pub fn all() -> Vec<(&'static str, String)> {
    let mut rules: Vec<(&str, String)> = Vec::new();
    for line in DOCUMENT.lines() {
        let begins = line.strip_prefix("- **").and_then(|rest| rest.split_once("** "));
        if let Some((number, text)) = begins {
            rules.push((number, text.to_string()));
        } else if let (Some(more), Some((_, text))) = (line.strip_prefix("  "), rules.last_mut()) {
            text.push(' ');
            text.push_str(more);
        }
    }
    rules
}

/// What `rule` says, if it is known.
pub fn text(rule: &str) -> Option<String> {
    all().into_iter().find(|(number, _)| *number == rule).map(|(_, text)| text)
}

//! Whether what was named can happen at all, and can be told apart in the report.

use super::plan::{Fault, human};
use super::roster::Roster;
use super::words::fault_and_time;

/// Looks at `faults`, and at the times in `changes` at which files take over, while requests come
/// for `duration`; what deserves a warning. All times are in nanoseconds since the start.
///
/// # Errors
/// What would not happen, or which two faults hit one server at a time, in words.
pub(super) fn warnings<'a>(
    faults: &[Fault],
    changes: impl Iterator<Item = (u64, &'a str)>,
    roster: &Roster,
    duration: u64,
) -> Result<Vec<String>, String> {
    let over = human(duration);
    for (at, file) in changes {
        if at >= duration {
            let at = human(at);
            return Err(format!("{file} would take over at {at}, and requests come for {over}"));
        }
    }
    let mut warnings = Vec::new();
    for (n, fault) in faults.iter().enumerate() {
        let words = fault_and_time(fault, roster);
        if fault.from >= duration {
            return Err(format!("{words} would never begin: requests come for {over}"));
        }
        if fault.to != u64::MAX && fault.to > duration {
            warnings.push(format!("{words} outlasts the requests, which come for {over}"));
        }
        // Two at a time are no sum: a server that is down and stands still refuses nobody, and who
        // reads the report cannot tell which of them did what.
        let is_same_time = |other: &&Fault| other.from < fault.to && fault.from < other.to;
        let before = faults[..n].iter().filter(|other| other.server == fault.server);
        if let Some(other) = before.clone().find(is_same_time) {
            let other = fault_and_time(other, roster);
            return Err(format!("{other} and {words} overlap: one fault of a server at a time"));
        }
    }
    Ok(warnings)
}

//! Group *panic*: a call of the core that panics has broken a rule, whatever its peers did.
//!
//! - RUN-5: whatever the peers do, no call of the core panics.

use super::{Group, Verdict, breach};

const GROUP: Group = Group::Panic;

/// The core panicked with `text` at `place`, as far as that is known.
pub fn panicked(text: &str, place: &str) -> Verdict {
    breach(GROUP, "RUN-5", format!("{text} ({place})"))
}

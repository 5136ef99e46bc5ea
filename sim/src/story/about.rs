//! Whom a violation is about: the connections and requests that its message names, or else those
//! that the proxy dealt with last in the event.

use super::chain::end_of;
use super::{Fact, Story, Who};
use crate::oracle::{Side, Violation};

/// Numbers behind `word` in `text`.
fn named(text: &str, word: &str) -> Vec<u32> {
    let behind = text.match_indices(word).map(|(at, _)| text[at + word.len()..].trim_start());
    behind
        .filter_map(|rest| {
            let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            rest[..digits].parse().ok()
        })
        .collect()
}

/// The requests that `violation` names, or whose connections it names, oldest first.
pub fn requests_of(story: &Story, violation: &Violation) -> Vec<u32> {
    let message = &violation.breach.message;
    let count = story.ledger.requests.len() as u32;
    let mut all: Vec<u32> = named(message, "request ").into_iter().filter(|n| *n < count).collect();
    if all.is_empty() {
        let sides = about(story, violation);
        let ledger = &story.ledger;
        let is_it = |n: &u32| {
            let request = &ledger.requests[*n as usize];
            sides.iter().any(|side| match side {
                Side::Front(front) => request.front == *front,
                Side::Back(back) => request.sent.iter().any(|(sent, _)| sent == back),
            })
        };
        all = (0..count).filter(is_it).collect();
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// The connections that `violation` is about; none where that is not known.
pub fn about(story: &Story, violation: &Violation) -> Vec<Side> {
    let ledger = &story.ledger;
    let message = &violation.breach.message;
    let mut sides = Vec::new();
    for id in named(message, "request ") {
        if let Some(request) = ledger.requests.get(id as usize) {
            sides.push(Side::Front(request.front));
            sides.extend(request.sent.iter().map(|(back, _)| Side::Back(*back)));
        }
    }
    for ep in named(message, "socket ") {
        sides.extend(ledger.sides.get(ep as usize / 2).copied());
    }
    for n in named(message, "connection ") {
        // Messages say `connection n to server m` of a server's, and otherwise mean a client's.
        let is_back = message.contains(&format!("connection {n} to "))
            || message.contains(&format!("connection {n}: a server"));
        let known = if is_back { ledger.backs.len() } else { ledger.fronts.len() };
        if (n as usize) < known {
            sides.push(if is_back { Side::Back(n) } else { Side::Front(n) });
        }
    }
    // A connection of which the ledger has no request yet is named by nobody.
    sides.extend(last_touched(story, violation.event as u32));
    let all = std::mem::take(&mut sides);
    for side in all {
        if !sides.contains(&side) {
            sides.push(side);
        }
    }
    sides
}

/// The connection that event `n` dealt with last.
fn last_touched(story: &Story, n: u32) -> Option<Side> {
    let facts = story.facts_of(n).iter().rev();
    let called = facts.filter(|(_, fact)| {
        matches!(fact, Fact::Called(..) | Fact::Wire { .. } | Fact::Said(Who::Answers(..), _))
    });
    let mut ends = called.filter_map(|(_, fact)| end_of(fact));
    ends.find_map(|ep| story.ledger.sides.get(ep as usize / 2).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_behind_a_word_are_found() {
        assert_eq!(named("request 32 (POST) and request 7", "request "), [32, 7]);
        assert_eq!(named("socket 5: written to", "socket "), [5]);
        assert!(named("a request of nobody", "request ").is_empty());
    }
}

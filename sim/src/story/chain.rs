//! The causal chain: from one event backwards through what made it happen.

use super::{Call, Event, Fact, START, Story, Who};
use crate::cx::{Ev, Flight};
use crate::kernel::Ep;
use crate::oracle::Side;

/// Steps of a chain at most.
const STEPS_MAX: usize = 40;

/// One link of a chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The event.
    pub event: u32,
    /// Indices of its facts that matter.
    pub facts: Vec<usize>,
}

/// The chain that ends with event `last`, newest first, as far as it concerns the connections in
/// `about` (all, if that is empty).
pub fn chain(story: &Story, last: u32, about: &[Side]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = last;
    let mut about = about.to_vec();
    while steps.len() < STEPS_MAX && (at as usize) < story.events.len() {
        let event = story.events[at as usize];
        let facts = that_matter(story, at, event, &about);
        let cause = cause_of(story, at, event, &facts);
        // What is followed from here on may lie on another connection.
        if let Some(side) = cause.and_then(|(_, ep)| side_of(story, ep?))
            && !about.is_empty()
            && !about.contains(&side)
        {
            about.push(side);
        }
        steps.push(Step { event: at, facts });
        match cause {
            Some((earlier, _)) if earlier < at => at = earlier,
            _ => break,
        }
    }
    steps
}

fn side_of(story: &Story, ep: Ep) -> Option<Side> {
    story.ledger.sides.get(ep as usize / 2).copied()
}

/// The end that a fact is about.
pub(crate) fn end_of(fact: &Fact) -> Option<Ep> {
    match *fact {
        Fact::Wire { to, .. } | Fact::Held(to, _) => Some(to),
        Fact::Ready(_, ep, _) => ep,
        Fact::Called(_, ep, _) => Some(ep),
        Fact::Said(..) => None,
    }
}

fn concerns(story: &Story, fact: &Fact, about: &[Side]) -> bool {
    if about.is_empty() {
        return true;
    }
    let ledger = &story.ledger;
    match fact {
        Fact::Said(Who::Client(c) | Who::Asks(c, _), _) => about.iter().any(|side| match side {
            Side::Front(front) => ledger.fronts[*front as usize].peer == *c,
            Side::Back(_) => false,
        }),
        Fact::Said(Who::Back(b) | Who::Answers(b, _), _) => about.contains(&Side::Back(*b)),
        Fact::Said(..) => true,
        fact => end_of(fact).and_then(|ep| side_of(story, ep)).is_none_or(|s| about.contains(&s)),
    }
}

/// Indices of the facts of event `n` that concern `about`, without the noise.
fn that_matter(story: &Story, n: u32, event: Event, about: &[Side]) -> Vec<usize> {
    let facts = story.facts_of(n);
    let is_noise = |fact: &Fact| {
        matches!(fact, Fact::Called(_, _, Call::Recv(Err(_)) | Call::KeepAlive))
            && !about.is_empty()
    };
    let all = (event.first..).zip(facts);
    all.filter(|(_, (_, fact))| concerns(story, fact, about) && !is_noise(fact))
        .map(|(index, _)| index)
        .collect()
}

/// The event that made event `n` happen, and the end that it came by, if by one.
fn cause_of(story: &Story, n: u32, event: Event, facts: &[usize]) -> Option<(u32, Option<Ep>)> {
    if event.ev == Ev::Turn {
        // What woke the proxy for a connection that matters explains more than what woke it first.
        let ready = facts.iter().rev().find_map(|&index| match story.facts[index].1 {
            Fact::Ready(_, Some(ep), mask) => {
                story.woke(ep, mask, n).map(|event| (event, Some(ep)))
            }
            _ => None,
        });
        if ready.is_some() {
            return ready;
        }
    }
    if event.cause == START {
        return None;
    }
    let ep = match event.ev {
        Ev::Flight(ep, Flight::Syn | Flight::SynAck) => Some(ep),
        Ev::Flight(ep, _) => Some(ep ^ 1),
        _ => None,
    };
    Some((event.cause, ep))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Options, run};

    // Every event of a run but the first ones has a cause that lies before it, and chains end.
    #[test]
    fn chains_lead_back_to_the_start() {
        let outcome = run(5, Options { story: Some(false), ..Options::default() });
        let story = outcome.story.expect("a story");
        assert_eq!(story.events.len() as u64, outcome.events);
        let mut rooted = 0;
        for n in 0..story.events.len() as u32 {
            let event = story.events[n as usize];
            assert!(event.cause == START || event.cause < n, "{n} is caused by {}", event.cause);
            let steps = chain(&story, n, &[]);
            assert!(steps.windows(2).all(|two| two[0].event > two[1].event));
            let root = story.events[steps.last().expect("a step").event as usize];
            rooted += usize::from(root.cause == START || steps.len() == STEPS_MAX);
        }
        assert_eq!(rooted, story.events.len());
    }

    // Keeping the story changes nothing of the run.
    #[test]
    fn a_story_costs_no_hash() {
        let plain = run(6, Options::default());
        let told = run(6, Options { story: Some(true), ..Options::default() });
        assert_eq!(plain.hash, told.hash);
        assert!(plain.story.is_none() && told.story.is_some());
    }
}

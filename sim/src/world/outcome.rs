//! How a run is to be made, and what became of it.

use super::Actions;
use crate::choice::{Draw, Source};
use crate::marks::Marks;
use crate::oracle::Violation;
use crate::oracle::metamorphic::{Variant, View};
use crate::story::Story;
use crate::tls::Provider;

/// How a run is to be made.
#[derive(Default)]
pub struct Options {
    /// Stops after this event.
    pub until: Option<u64>,
    /// Events at most, where another number than [`super::EVENTS_MAX`] is wanted: a run that
    /// makes so many does not end.
    pub events_max: Option<u64>,
    /// Keeps the hash after each event.
    pub keeps_each: bool,
    /// Makes the run as the second world of a pair, and the first one before it.
    pub variant: Option<Variant>,
    /// Keeps every draw.
    pub records: bool,
    /// Where draws come from.
    pub source: Source,
    /// Keeps the story; with `true`, the bytes on the wire too.
    pub story: Option<bool>,
    /// The provider of TLS, instead of the seed's.
    pub provider: Option<Provider>,
    /// Where this thread last panicked, if somebody keeps that.
    pub place_of_panic: Option<fn() -> String>,
    /// Records the proxy's sessions into a ring of so many bytes.
    pub flight: Option<usize>,
    /// Reads the trace, line by line.
    pub sink: Option<crate::trace::Sink>,
}

/// What became of one run.
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The trace hash at the end.
    pub hash: u64,
    /// The trace hash without ciphertext: the same with either provider.
    pub hash_without_cipher: u64,
    /// The hash after each 1,024th event.
    pub checkpoints: Vec<u64>,
    /// The hash after each event, if kept.
    pub each: Vec<u64>,
    /// Events that happened.
    pub events: u64,
    /// Events of the first world of a pair, whose second one this is the outcome of.
    pub events_beside: u64,
    /// Virtual nanoseconds that passed.
    pub virtual_nanos: u64,
    /// Sessions of the proxy, by its own counter.
    pub sessions: u64,
    /// Requests begun.
    pub requests: u64,
    /// Final responses that arrived whole.
    pub completed: u64,
    /// Of those, after healing.
    pub healed: u64,
    /// The first broken rule.
    pub violation: Option<Violation>,
    /// Rare states reached.
    pub marks: Marks,
    /// Every draw, if kept.
    pub draws: Vec<Draw>,
    /// The flight recording, if one was made.
    pub flight: Option<Vec<u8>>,
    /// Clients, connections, requests, episodes and operations that a case could leave out; known
    /// only if draws were recorded.
    pub omittable: Vec<(&'static str, u64)>,
    /// The world in one line, for a run that broke a rule.
    pub scenario: String,
    /// The provider of TLS.
    pub provider: Provider,
    /// What was done to the proxy.
    pub actions: Actions,
    /// The story, if kept.
    pub story: Option<Box<Story>>,
    /// Which pair this world belongs to, if to one.
    pub variant: Option<Variant>,
    /// What clients were shown, in a world of a pair.
    pub view: View,
}

impl Outcome {
    /// What is known of a run that could not be told of to its end: what broke, and nothing more.
    pub fn lost(
        seed: u64,
        provider: Provider,
        variant: Option<Variant>,
        violation: Option<Violation>,
    ) -> Outcome {
        let (events, virtual_nanos) = violation.as_ref().map_or((0, 0), |it| (it.event, it.at));
        Outcome {
            seed,
            hash: 0,
            hash_without_cipher: 0,
            checkpoints: Vec::new(),
            each: Vec::new(),
            events,
            events_beside: 0,
            virtual_nanos,
            sessions: 0,
            requests: 0,
            completed: 0,
            healed: 0,
            violation,
            marks: Marks::default(),
            draws: Vec::new(),
            flight: None,
            omittable: Vec::new(),
            scenario: String::new(),
            provider,
            actions: Actions::default(),
            story: None,
            variant,
            view: View::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::run;

    // RUN-5: a world that cannot even be made is a failing seed, not the end of a sweep.
    #[test]
    fn a_panic_before_the_first_event_breaks_a_rule() {
        let options = Options { flight: Some(usize::MAX), ..Options::default() };
        let lost = run(5, options);
        let broken = lost.violation.expect("no machine has so much memory");
        assert_eq!((broken.breach.group, broken.breach.rule), ("panic", "RUN-5"));
        assert_eq!((lost.seed, lost.events, broken.event), (5, 0, 0));
    }
}

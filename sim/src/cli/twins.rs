//! Two runs of a seed that must be the same, and where they first differ.

use super::lift::guarded;
use super::panics;
use crate::choice::mix;
use crate::flight::{Contents, contents, replay_all};
use crate::marks::Group;
use crate::oracle::{Breach, Violation};
use crate::tls::Provider;
use crate::world::{Options, Outcome};
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidegate_core::buggify::Point;
use tidegate_core::flight::{Case, Flaw};

/// The group of runs that differ though their seed is the same, in reports and in cases.
pub(crate) const DETERMINISM: &str = "determinism";

/// One seed in so many is recorded.
const RECORDED_EVERY: u64 = 40;
/// The bytes of the recorders, one of them for each seed: in most a run fits, in some it does not.
const RINGS: [usize; 4] = [1 << 20, 1 << 20, 1 << 20, 1 << 16];

/// The bytes of the recorder that `seed` is due to have.
fn ring_of(seed: u64) -> usize {
    RINGS[(mix(seed) / RECORDED_EVERY) as usize % RINGS.len()]
}

/// Whether the run of `seed` is due to be recorded, too: not one of those that are run twice.
pub(crate) fn is_recorded(seed: u64) -> bool {
    mix(seed) % RECORDED_EVERY == 7
}

/// In what two runs of a seed are alike.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Twins {
    /// In everything: they are the same event by event.
    SameSeed,
    /// In all but the provider of TLS: they are the same but for the bytes of the ciphertext.
    BothCiphers,
    /// In everything, though the second one is recorded; and what was recorded plays back.
    Recorded,
}

impl Twins {
    const ALL: [Twins; 3] = [Twins::SameSeed, Twins::BothCiphers, Twins::Recorded];

    /// The rule that is broken when they differ; its text is in [`crate::rules`].
    pub(crate) fn rule(self) -> &'static str {
        match self {
            Twins::SameSeed => "SAME-SEED",
            Twins::BothCiphers => "BOTH-CIPHERS",
            Twins::Recorded => "RECORDED",
        }
    }

    /// Those whose difference breaks `rule` of `group`, if it is a rule of theirs.
    pub(crate) fn of(group: &str, rule: &str) -> Option<Twins> {
        let mut all = Twins::ALL.into_iter();
        all.find(|twins| group == DETERMINISM && twins.rule() == rule)
    }

    /// What they are, in words.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Twins::SameSeed => "two runs",
            Twins::BothCiphers => "the runs with either cipher",
            Twins::Recorded => "the runs with a recorder and without",
        }
    }

    /// How to make the second run beside `first`, which `options` made.
    fn second(self, options: Options, first: &Outcome) -> Options {
        match self {
            Twins::SameSeed => options,
            Twins::BothCiphers => {
                let provider = match first.provider {
                    Provider::Real => Provider::Fast,
                    Provider::Fast => Provider::Real,
                };
                Options { provider: Some(provider), ..options }
            }
            Twins::Recorded => Options { flight: Some(ring_of(first.seed)), ..options },
        }
    }

    fn is_same(self, one: &Outcome, two: &Outcome) -> bool {
        one.events == two.events
            && match self {
                Twins::SameSeed | Twins::Recorded => {
                    one.hash == two.hash && one.checkpoints == two.checkpoints
                }
                Twins::BothCiphers => one.hash_without_cipher == two.hash_without_cipher,
            }
    }

    /// Makes the second run beside `first`, which `options` made; whether both are the same,
    /// and the second one's events.
    pub(crate) fn hold(self, first: &Outcome, options: Options) -> (bool, u64) {
        match self.made(first, options) {
            Ok(second) => {
                (self.is_same(first, &second) && unplayed(&second).is_none(), second.events)
            }
            Err(_) => (false, 0),
        }
    }

    /// The second run beside `first`; `Err`: where it panicked, outside of the proxy. The recorder
    /// did.
    fn made(self, first: &Outcome, options: Options) -> Result<Outcome, String> {
        let second = self.second(options, first);
        catch_unwind(AssertUnwindSafe(|| panics::run(first.seed, second)))
            .map_err(|_| panics::last_place())
    }

    /// What is broken when the second run beside `first` was another. Both are made again, as
    /// `options` make the first one.
    pub(crate) fn violation(self, first: &Outcome, options: &dyn Fn() -> Options) -> Violation {
        if let Err(place) = self.made(first, options()) {
            let message = format!("the second of {} panicked at {place}", self.name());
            let breach = Breach { group: DETERMINISM, rule: self.rule(), message };
            return Violation { breach, event: first.events, at: first.virtual_nanos };
        }
        let second = || self.second(options(), first);
        self.difference(first.seed, [options, &second])
    }

    fn difference(self, seed: u64, both: [&dyn Fn() -> Options; 2]) -> Violation {
        let found = match self {
            Twins::SameSeed | Twins::Recorded => differs_once(seed, both),
            Twins::BothCiphers => differs_always(|until| {
                both.map(|options| panics::run(seed, Options { until, ..options() }))
            }),
        };
        let name = self.name();
        let (event, message) = match found {
            Ok(event) => (event, format!("{name} of seed {seed} differ from event {event} on")),
            Err(events) => {
                let played = unplayed(&panics::run(seed, both[1]()));
                let what =
                    || format!("{name} of seed {seed} differed, and did not when made again");
                (events, played.unwrap_or_else(what))
            }
        };
        let at = panics::run(seed, Options { until: Some(event), ..both[0]() }).virtual_nanos;
        let breach = Breach { group: DETERMINISM, rule: self.rule(), message };
        Violation { breach, event, at }
    }
}

/// What of a recorded run cannot be played back though it should, in words.
///
/// Rare ways that the core took on purpose are no inputs, so that no recording knows of them.
fn unplayed(run: &Outcome) -> Option<String> {
    let recording = run.flight.as_ref()?;
    if Point::ALL.into_iter().any(|at| run.marks.count(Group::Buggify.at(at as usize)) > 0) {
        return None;
    }
    let seed = run.seed;
    let played = Case::read(recording).map_err(|damage| damage.to_string()).and_then(|case| {
        let results = replay_all(&case, guarded)?;
        is_all_there(&contents(&case), run.sessions, recording.len() < ring_of(seed) / 2)?;
        Ok(results)
    });
    match played {
        Err(error) => Some(format!("the recording of seed {seed}: {error}")),
        Ok(results) => results.different.first().map(|(session, difference)| {
            format!("session {session} of the recording of seed {seed}: {difference}")
        }),
    }
}

/// Whether a recording of a run of so many `sessions` holds what it should: our own entries make
/// sense, and all sessions are there if it `fits` into its ring.
fn is_all_there(found: &Contents, sessions: u64, fits: bool) -> Result<(), String> {
    if let Some(malformed) = found.flaws.get(&Flaw::Malformed) {
        return Err(format!("{malformed} sessions have entries that make no sense"));
    }
    if fits && found.whole as u64 != sessions {
        return Err(format!("it holds {} of {sessions} sessions", found.whole));
    }
    Ok(())
}

/// The first event behind which two runs differ, who may do so at another one every time; all
/// their events, if they do not differ this time.
fn differs_once(seed: u64, both: [&dyn Fn() -> Options; 2]) -> Result<u64, u64> {
    let [one, two] =
        both.map(|options| panics::run(seed, Options { keeps_each: true, ..options() }));
    let first = one.each.iter().zip(&two.each).position(|(a, b)| a != b);
    match first {
        Some(event) => Ok(event as u64),
        None if one.events != two.events => Ok(one.events.min(two.events)),
        None => Err(one.events),
    }
}

/// The first event behind which two runs differ but for ciphertext, found by halves; all their
/// events, if they do not differ. `runs` makes both, up to an event.
fn differs_always(runs: impl Fn(Option<u64>) -> [Outcome; 2]) -> Result<u64, u64> {
    let is_same = |[one, two]: &[Outcome; 2]| Twins::BothCiphers.is_same(one, two);
    let whole = runs(None);
    if is_same(&whole) {
        return Err(whole[0].events);
    }
    let (mut same, mut other) = (0, whole[0].events.min(whole[1].events));
    while same < other {
        let middle = same + (other - same) / 2;
        if is_same(&runs(Some(middle))) {
            same = middle + 1;
        } else {
            other = middle;
        }
    }
    Ok(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::{Change, Source, What};
    use crate::marks::Marks;
    use crate::world;

    /// How to make a run of seed 7 in which one draw of the middle is another: the first of them
    /// that matters.
    fn strays() -> impl Fn() -> Options {
        let first = world::run(7, Options { records: true, ..Options::default() });
        let of = |change: &Change| Options {
            source: Source::Changed([change].into_iter().collect()),
            ..plain()
        };
        let middle = first.draws.iter().skip(first.draws.len() / 2).filter(|draw| draw.n > 1);
        let mut changes =
            middle.map(|draw| Change { value: (draw.value + 1) % draw.n, ..Change::keeping(draw) });
        let is_other =
            |change: &Change| !Twins::BothCiphers.is_same(&first, &world::run(7, of(change)));
        let change = changes.find(is_other).expect("a choice that matters");
        move || of(&change)
    }

    fn plain() -> Options {
        Options::default()
    }

    // RECORDED: a recording of which nothing can be read differs in nothing, and is told of.
    #[test]
    fn a_recording_that_lacks_sessions_or_sense_is_told_of() {
        let seed = (0..).find(|&seed| ring_of(seed) == RINGS[0]).expect("most of them");
        let rests = Change::new("swarm/buggify", What::All, 0);
        let source = Source::Changed([&rests].into_iter().collect());
        let flight = Some(ring_of(seed));
        let mut run = world::run(seed, Options { flight, source, ..plain() });
        assert!(run.sessions > 0, "nobody came");
        assert_eq!(unplayed(&run), None);
        run.sessions += 1;
        let told = unplayed(&run).expect("one is missing");
        assert!(told.ends_with("sessions"), "{told}");
        assert_eq!(is_all_there(&Contents::default(), 1, false), Ok(()), "it may be overwritten");
        let flaws = |flaw| Contents { flaws: [(flaw, 1)].into(), ..Contents::default() };
        assert!(is_all_there(&flaws(Flaw::Malformed), 0, false).is_err());
        assert!(is_all_there(&flaws(Flaw::StartOverwritten), 0, false).is_ok());
    }

    // The event that is named is the first one: up to the one before, both runs are the same.
    #[test]
    fn the_first_event_that_differs_is_found() {
        let other = strays();
        for twins in Twins::ALL {
            let found = twins.difference(7, [&plain, &other]);
            assert_eq!((found.breach.group, found.breach.rule), (DETERMINISM, twins.rule()));
            assert_eq!(Twins::of(DETERMINISM, found.breach.rule), Some(twins));
            assert!(found.event > 10 && found.at > 0, "{found:?}");
            let until = |event: u64| {
                let cut = |options: Options| Options { until: Some(event), ..options };
                [world::run(7, cut(plain())), world::run(7, cut(other()))]
            };
            let [one, two] = until(found.event - 1);
            assert!(twins.is_same(&one, &two), "{twins:?} before {}", found.event);
            let [one, two] = until(found.event);
            assert!(!twins.is_same(&one, &two), "{twins:?} at {}", found.event);
            assert!(!twins.is_same(&world::run(7, plain()), &world::run(7, other())));
        }
        assert_eq!(Twins::of("bytes", "SAME-SEED"), None);
    }

    // What does not play back is told of: a damaged recording, and one of rare ways that nobody
    // says were taken.
    #[test]
    fn a_recording_that_does_not_play_back_is_told_of() {
        let recorded = |seed| {
            let first = world::run(seed, plain());
            world::run(seed, Twins::Recorded.second(plain(), &first))
        };
        let whole = recorded(7);
        assert_eq!(unplayed(&whole), None);
        let half = whole.flight.as_ref().map(|bytes| bytes[..bytes.len() / 2].to_vec());
        let told = unplayed(&Outcome { flight: half, ..whole }).expect("half of it");
        assert!(told.starts_with("the recording of seed 7: "), "{told}");
        let takes =
            |run: &Outcome| Point::ALL.map(|at| run.marks.count(Group::Buggify.at(at as usize)));
        let rare = (0..200).map(recorded).filter(|run| takes(run).iter().any(|&n| n > 0));
        let mut unsaid = rare.map(|run| {
            assert_eq!(unplayed(&run), None);
            unplayed(&Outcome { marks: Marks::default(), ..run })
        });
        let told = unsaid.find_map(|told| told).expect("of so many one is played otherwise");
        assert!(told.starts_with("session "), "{told}");
    }

    // Sound runs hold with either cipher first; that of TLS has other bytes with the other one, so
    // that it is the second cipher that was used.
    #[test]
    fn sound_runs_hold_and_both_ciphers_are_used() {
        let mut differing = 0;
        for seed in 0..12 {
            for provider in [Provider::Real, Provider::Fast] {
                let options = || Options { provider: Some(provider), ..plain() };
                let first = world::run(seed, options());
                assert!(Twins::ALL.into_iter().all(|twins| twins.hold(&first, options()).0));
                let other = world::run(seed, Twins::BothCiphers.second(options(), &first));
                assert_ne!(other.provider, provider);
                differing += u32::from(other.hash != first.hash);
                let found = Twins::BothCiphers.violation(&first, &options);
                assert!(found.breach.message.contains("did not when made again"), "{found:?}");
                assert_eq!(found.event, first.events);
            }
        }
        assert!(differing > 0, "no seed of these has TLS");
    }
}

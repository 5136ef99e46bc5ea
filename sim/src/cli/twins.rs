//! Two runs of a seed that must be the same, and where they first differ.

use crate::oracle::{Breach, Violation};
use crate::tls::Provider;
use crate::world::{self, Options, Outcome};

/// The group of runs that differ though their seed is the same, in reports and in cases.
pub(crate) const DETERMINISM: &str = "determinism";

/// In what two runs of a seed are alike.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Twins {
    /// In everything: they are the same event by event.
    SameSeed,
    /// In all but the provider of TLS: they are the same but for the bytes of the ciphertext.
    BothCiphers,
}

impl Twins {
    const ALL: [Twins; 2] = [Twins::SameSeed, Twins::BothCiphers];

    /// The rule that is broken when they differ; its text is in [`crate::rules`].
    pub(crate) fn rule(self) -> &'static str {
        match self {
            Twins::SameSeed => "SAME-SEED",
            Twins::BothCiphers => "BOTH-CIPHERS",
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
        }
    }

    /// How to make the second run, where `options` make the first, which had `provider`.
    fn second(self, options: Options, provider: Provider) -> Options {
        let provider = match (self, provider) {
            (Twins::SameSeed, _) => return options,
            (Twins::BothCiphers, Provider::Real) => Provider::Fast,
            (Twins::BothCiphers, Provider::Fast) => Provider::Real,
        };
        Options { provider: Some(provider), ..options }
    }

    fn is_same(self, one: &Outcome, two: &Outcome) -> bool {
        one.events == two.events
            && match self {
                Twins::SameSeed => one.hash == two.hash && one.checkpoints == two.checkpoints,
                Twins::BothCiphers => one.hash_without_cipher == two.hash_without_cipher,
            }
    }

    /// Makes the second run beside `first`, which `options` made; whether both are the same,
    /// and the second one's events.
    pub(crate) fn hold(self, first: &Outcome, options: Options) -> (bool, u64) {
        let second = world::run(first.seed, self.second(options, first.provider));
        (self.is_same(first, &second), second.events)
    }

    /// What is broken when the second run beside `first` was another. Both are made again, as
    /// `options` make the first one.
    pub(crate) fn violation(self, first: &Outcome, options: &dyn Fn() -> Options) -> Violation {
        let second = || self.second(options(), first.provider);
        self.difference(first.seed, [options, &second])
    }

    fn difference(self, seed: u64, both: [&dyn Fn() -> Options; 2]) -> Violation {
        let found = match self {
            Twins::SameSeed => differs_once(seed, both),
            Twins::BothCiphers => differs_always(|until| {
                both.map(|options| world::run(seed, Options { until, ..options() }))
            }),
        };
        let name = self.name();
        let (event, message) = match found {
            Ok(event) => (event, format!("{name} of seed {seed} differ from event {event} on")),
            Err(events) => {
                (events, format!("{name} of seed {seed} differed, and did not when made again"))
            }
        };
        let at = world::run(seed, Options { until: Some(event), ..both[0]() }).virtual_nanos;
        let breach = Breach { group: DETERMINISM, rule: self.rule(), message };
        Violation { breach, event, at }
    }
}

/// The first event behind which two runs differ, who may do so at another one every time; all
/// their events, if they do not differ this time.
fn differs_once(seed: u64, both: [&dyn Fn() -> Options; 2]) -> Result<u64, u64> {
    let [one, two] =
        both.map(|options| world::run(seed, Options { keeps_each: true, ..options() }));
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
    use crate::choice::{Change, Source};

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
                let other = world::run(seed, Twins::BothCiphers.second(options(), provider));
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

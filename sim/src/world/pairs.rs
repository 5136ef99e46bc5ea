//! Pairs of worlds between which a client must see no difference.
//!
//! The wall clock moves in the seed's own world, faults and all: nothing but dates may follow from
//! it, so that even the hash of both runs is the same. Segments, batches and versions change when
//! things happen, and where there are faults and short timeouts that may change what happens. Their
//! pairs run in a *calm* world: the seed's own, with every fault off and every timeout long, and
//! with clients who finish what they have begun. There every request must end alike, whoever is
//! first. Routes that ask for a request's number, which tells who was, are left out, as are bodies
//! for routes that answer by themselves, and clients that come while the proxy stops: they race.

use super::client::{Client, Role};
use super::desired::Desired;
use super::phases::Phase;
use super::scenario::Scenario;
use super::{Options, Outcome, World, one};
use crate::choice::mix;
use crate::cx::{Ev, MS, SEC};
use crate::oracle::ledger::Ask;
use crate::oracle::metamorphic::{self, Variant};
use crate::oracle::routes::Paths;
use crate::oracle::truth::WALL_CLOCK;
use crate::oracle::{Verdict, Violation};
use crate::site;
use std::time::Duration;
use tidegate_core::config::Timeouts;

/// One seed in so many is run as a pair, too.
const PAIR_EVERY: u64 = 20;
/// How long clients have for what they want in a calm world.
pub(super) const CALM: u64 = 600 * SEC;
/// Every timeout of a calm world, in seconds.
const CALM_TIMEOUT: u64 = 300;
/// Segments of each stream that are cut small in the second world, at most.
const CUTS_MAX: u64 = 300;
/// Turns between two jumps of the wall clock.
const JUMP_EVERY: u64 = 8;
/// The last millisecond whose year has four digits.
const WALL_CLOCK_MAX: u64 = 253_402_300_799_999;

/// Which world of a pair this is, if it is of one.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Part {
    /// Calm, as is the other.
    pub(super) is_calm: bool,
    /// What is changed in it.
    pub(super) varied: Option<Variant>,
    /// What clients are shown is kept.
    pub(super) is_told: bool,
}

/// The variant that a seed is run with beside its own run: one seed in 20, the same ones always.
pub fn variant_of(seed: u64) -> Option<Variant> {
    let word = mix(seed ^ 0x9a12_77e1);
    let count = Variant::ALL.len() as u64;
    word.is_multiple_of(PAIR_EVERY).then(|| Variant::ALL[(word / PAIR_EVERY % count) as usize])
}

/// Runs both worlds of a pair. What comes out is the second one's, with the difference as the rule
/// that it broke; or the first one's, if that broke one by itself.
pub(super) fn run(seed: u64, variant: Variant, options: Options) -> Outcome {
    let is_calm = variant != Variant::Clock;
    let first = Part { is_calm, varied: None, is_told: true };
    let quietly = Options {
        source: options.source.clone(),
        provider: options.provider,
        place_of_panic: options.place_of_panic,
        events_max: options.events_max,
        ..Options::default()
    };
    let base = one(seed, quietly, first);
    if base.violation.is_some() {
        // Once more, with all that is wanted of it: the story, draws, the trace.
        return Outcome { variant: Some(variant), ..one(seed, options, first) };
    }
    let until = options.until;
    let mut other = one(seed, options, Part { varied: Some(variant), ..first });
    other.events_beside = base.events;
    if let Some(violation) = &mut other.violation {
        violation.breach = metamorphic::with(variant, violation.breach.clone());
    } else if until.is_none_or(|until| other.events <= until)
        && let Err(breach) = compare(variant, &base, &other)
    {
        let (event, at) = (other.events, other.virtual_nanos);
        other.violation = Some(Violation { breach, event, at });
    }
    other
}

fn compare(variant: Variant, base: &Outcome, other: &Outcome) -> Verdict {
    metamorphic::judge(variant, &base.view, &other.view)?;
    if variant == Variant::Clock {
        metamorphic::same_course(base.hash_without_cipher, other.hash_without_cipher)?;
    }
    Ok(())
}

impl Scenario {
    /// Makes it one in which it does not matter who comes first.
    pub(super) fn calm(&mut self, part: Part) {
        if part.is_calm {
            self.chaos = CALM;
            // Who comes first has the lower number.
            self.has_special_routes = false;
            for name in Timeouts::NAMES {
                self.timeouts.set(name, Duration::from_secs(CALM_TIMEOUT));
            }
        }
        if part.varied == Some(Variant::Segments) {
            self.front_wires.tiny_max = CUTS_MAX;
            self.back_wires.tiny_max = CUTS_MAX;
        }
    }
}

impl Desired {
    /// Takes routes away that ask for the numbers of requests: those depend on who is first.
    pub(super) fn calm(&mut self, part: Part) {
        if part.is_calm {
            self.routes.retain(|way| matches!(way.paths, Paths::Any | Paths::Below));
        }
    }
}

impl World {
    /// Whether a client's fate must be the same in both worlds of a pair.
    pub(super) fn is_told(&self, client: u32) -> bool {
        !self.part.is_calm || self.clients[client as usize].role != Role::Drain
    }

    /// The second world of some pairs differs from the start.
    pub(super) fn begin_part(&mut self) {
        if self.part.varied == Some(Variant::Copy) {
            self.cx.after(MS, 0, Ev::Control);
        }
    }

    /// In the world of copies the controller does this alone: it applies the configuration once
    /// more, as it is, until the first clients are done. False in any other world.
    pub(super) fn control_again(&mut self) -> bool {
        if self.part.varied != Some(Variant::Copy) {
            return false;
        }
        let is_under_traffic = self.clients.iter().any(Client::is_at_work);
        if is_under_traffic && matches!(self.phase, Phase::WarmUp | Phase::Chaos) {
            self.apply(self.desired.clone());
            let pause = self.cx.choices.log_between(site!("pair/pause"), 0, MS, SEC);
            self.cx.after(pause, 0, Ev::Control);
        }
        true
    }

    /// In a calm world nobody sends a body to a route that answers by itself: whether that lets the
    /// connection be used again depends on how much of the body was there, and so on the segments
    /// (RES-7).
    pub(super) fn calm_ask(&self, ask: &mut Ask) {
        let newest = self.oracle.truth.versions.last();
        if self.part.is_calm && newest.is_some_and(|version| version.cluster_of(ask).is_none()) {
            (ask.body, ask.is_chunked, ask.expects) = (0, false, false);
        }
    }

    /// What the wall clock shows now, in milliseconds since the epoch.
    pub(super) fn wall_clock(&mut self) -> i64 {
        let usual = WALL_CLOCK + (self.cx.now / MS) as i64;
        if self.part.varied == Some(Variant::Clock) {
            let word = mix(self.seed ^ mix(self.turns / JUMP_EVERY));
            // Hours, years, or anywhere in the history of four digits.
            let shown = match word % 4 {
                0 => usual + (word >> 16) as i64 % 36_000_000 - 18_000_000,
                1 => usual + (word >> 16) as i64 % 630_720_000_000 - 315_360_000_000,
                _ => ((word >> 8) % WALL_CLOCK_MAX) as i64,
            };
            self.set_wall_offset(shown - usual);
        }
        usual + self.oracle.truth.wall_offset()
    }

    /// Readiness that waits changes its order; how much of it is told now.
    pub(super) fn shuffle_batch(&mut self) -> Option<usize> {
        let waiting = self.net.proxy_woken.len();
        if self.part.varied != Some(Variant::Batches) || waiting < 2 {
            return None;
        }
        for at in 1..waiting {
            let with = self.cx.choose(site!("pair/shuffle"), 0, at as u64 + 1) as usize;
            self.net.proxy_woken.swap(at, with);
        }
        Some(1 + self.cx.choose(site!("pair/batch"), 0, waiting as u64) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mark;

    // Both worlds of a pair are not the same run: something was changed, and no client saw it.
    #[test]
    fn pairs_differ_and_clients_see_nothing_of_it() {
        for variant in Variant::ALL {
            let is_calm = variant != Variant::Clock;
            let (mut differing, mut copies) = (0, 0);
            for seed in 0..4 {
                let first = Part { is_calm, varied: None, is_told: true };
                let base = one(seed, Options::default(), first);
                let options = Options { variant: Some(variant), ..Options::default() };
                let other = run(seed, variant, options);
                assert_eq!(other.violation, None, "seed {seed}, {variant}");
                assert_eq!(other.variant, Some(variant));
                assert!(!other.view.0.is_empty() && base.completed > 0, "seed {seed}");
                differing += u64::from(base.hash != other.hash);
                let applied = [&base, &other].map(|it| it.marks.count(mark!("control: applied")));
                // Nobody but copies applies anything that the other world does not.
                assert!(applied[0] == applied[1] || variant == Variant::Copy, "seed {seed}");
                copies += applied[1] - applied[0];
            }
            // Again and again, for as long as there is traffic.
            assert!(copies > 40 || variant != Variant::Copy, "{copies}");
            // The clock shows in ciphertext alone, where there is any.
            assert!(differing > 0 || variant == Variant::Clock, "{variant} changes nothing");
        }
    }

    // A difference between the worlds is a broken rule, of the second one.
    #[test]
    fn a_planted_difference_is_found() {
        for (variant, rule) in [(Variant::Segments, "REQ-1"), (Variant::Copy, "RUN-1")] {
            let part = Part { is_calm: true, varied: None, is_told: true };
            let base = one(3, Options::default(), part);
            let mut other = one(3, Options::default(), Part { varied: Some(variant), ..part });
            assert_eq!(compare(variant, &base, &other), Ok(()));
            let mut connections = other.view.0.iter_mut().flatten();
            let seen = connections.find_map(|all| all.first_mut()).expect("a request");
            seen.is_whole = !seen.is_whole;
            let breach = compare(variant, &base, &other).expect_err("a difference");
            assert_eq!((breach.group, breach.rule), ("metamorphic", rule));
        }
    }

    // Where the first world breaks a rule by itself, it is that one which is told, traced, recorded
    // and cut off.
    #[test]
    fn a_first_world_that_breaks_is_the_one_that_is_shown() {
        for variant in Variant::ALL {
            let limited = || Options {
                variant: Some(variant),
                events_max: Some(400),
                story: Some(false),
                keeps_each: true,
                records: true,
                ..Options::default()
            };
            let broken = super::super::run(5, limited());
            let rule = broken.violation.as_ref().map(|violation| violation.breach.rule);
            assert_eq!((rule, broken.variant), (Some("LOOP-5"), Some(variant)));
            assert!(!broken.draws.is_empty() && broken.each.len() == 400, "{variant}");
            assert_eq!(broken.story.map(|story| story.events.len()), Some(400), "{variant}");
            let cut = super::super::run(5, Options { until: Some(20), ..limited() });
            assert_eq!((cut.events, cut.violation), (21, None), "{variant}");
        }
    }

    #[test]
    fn one_seed_in_twenty_is_run_as_a_pair_and_every_variant_is() {
        let all: Vec<Variant> = (0..40_000).filter_map(variant_of).collect();
        assert!((1_800..2_200).contains(&all.len()), "{}", all.len());
        for variant in Variant::ALL {
            let count = all.iter().filter(|&&other| other == variant).count();
            assert!(count > 400, "{variant}: {count}");
        }
    }
}

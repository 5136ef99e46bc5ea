//! `tidegate-sim hunt`: runs seeds until a checker of a group that was asked for fires. This is
//! what `plant` asks of a build with a bug in it, and what `sim/mutants` asks of a mutant.

use super::twins::{self, Twins};
use super::{BROKEN, CLEAN, USAGE, panics, usage};
use crate::oracle::metamorphic::Variant;
use crate::oracle::{Breach, GROUPS, Violation};
use crate::world::{self, Options};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What to look for.
#[derive(clap::Args)]
pub(crate) struct HuntArgs {
    /// Seeds from A to B, B not included
    #[arg(long, value_parser = super::seeds, value_name = "A..B")]
    pub(crate) seeds: (u64, u64),
    /// Groups of checkers that end the hunt; without it, anything that breaks does
    #[arg(long, value_delimiter = ',', value_name = "GROUP,..")]
    pub(crate) groups: Vec<String>,
    /// Seeds at a time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,
    /// Begins no seed after so many seconds
    #[arg(long, default_value_t = u64::MAX, value_name = "SECONDS")]
    pub(crate) within: u64,
    /// Ends when standard input does: nobody waits for the answer any more
    #[arg(long)]
    pub(crate) leashed: bool,
}

/// A seed in which something broke.
#[derive(Clone, Serialize, Deserialize, Debug, PartialEq, Eq)]
pub(crate) struct Bite {
    /// The seed.
    pub(crate) seed: u64,
    /// The checker's group, or `panic`.
    pub(crate) group: String,
    /// The rule that was broken.
    pub(crate) rule: String,
    /// What was seen.
    pub(crate) message: String,
}

/// What a hunt brings home, as one line of JSON.
#[derive(Serialize, Deserialize, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bag {
    /// The lowest seed in which a checker that was asked for fired.
    pub(crate) found: Option<Bite>,
    /// The lowest seed of each other group and rule that fired before.
    pub(crate) others: Vec<Bite>,
    /// Seeds up to the found one, or all that were begun.
    pub(crate) seeds: u64,
}

/// Makes a run; what broke in it, or between it and its twin.
type Breaks = fn(u64, Option<Variant>, Option<Twins>) -> Option<Violation>;

struct Hunt<'a> {
    args: &'a HuntArgs,
    start: Instant,
    next: AtomicU64,
    /// The lowest seed found, or the end.
    limit: AtomicU64,
    bites: Mutex<Vec<Bite>>,
    /// See [`Breaks`].
    breaks: Breaks,
}

impl Hunt<'_> {
    fn is_asked_for(&self, group: &str) -> bool {
        self.args.groups.is_empty() || self.args.groups.iter().any(|asked| asked == group)
    }

    /// Seeds are taken in order, and all below a found one are run to their end: so the lowest
    /// does not depend on the number of jobs.
    fn work(&self) {
        let within = Duration::from_secs(self.args.within);
        while self.start.elapsed() < within {
            let limit = self.limit.load(Ordering::Relaxed);
            let following = |next: u64| (next < limit).then(|| next + 1);
            let taken = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, following);
            let Ok(seed) = taken else { return };
            let Some(violation) = self.broken(seed) else { continue };
            let Breach { group, rule, message } = violation.breach;
            if self.is_asked_for(group) {
                self.limit.fetch_min(seed, Ordering::Relaxed);
            }
            let bite = Bite { seed, group: group.into(), rule: rule.into(), message };
            self.bites.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(bite);
        }
    }

    /// What breaks in a seed, under a recorder where that is due, or between the worlds of the pair
    /// that it is one in 20 times: as a sweep does it, but only where their groups are asked for.
    fn broken(&self, seed: u64) -> Option<Violation> {
        let is_recorded = twins::is_recorded(seed) && self.is_asked_for(twins::DETERMINISM);
        let found = (self.breaks)(seed, None, is_recorded.then_some(Twins::Recorded));
        let variant = || world::variant_of(seed).filter(|_| self.is_asked_for("metamorphic"));
        found.or_else(|| (self.breaks)(seed, Some(variant()?), None))
    }

    fn bag(self) -> Bag {
        let mut bites = self.bites.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        bites.sort_by_key(|bite| bite.seed);
        let groups = &self.args.groups;
        let is_asked_for = |bite: &&Bite| groups.is_empty() || groups.contains(&bite.group);
        let found = bites.iter().find(is_asked_for).cloned();
        let begun = self.next.into_inner().min(self.args.seeds.1);
        let end = found.as_ref().map_or(begun, |found| found.seed);
        let mut others: BTreeMap<(String, String), Bite> = BTreeMap::new();
        for bite in bites.into_iter().filter(|bite| bite.seed < end) {
            others.entry((bite.group.clone(), bite.rule.clone())).or_insert(bite);
        }
        let mut others: Vec<Bite> = others.into_values().collect();
        others.sort_by_key(|bite| bite.seed);
        Bag { seeds: end - self.args.seeds.0 + u64::from(found.is_some()), found, others }
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "the command lives in the real world")]
    Instant::now()
}

/// Makes the run of `seed`, or of its second world, and its twin; what broke.
fn breaks(seed: u64, variant: Option<Variant>, twins: Option<Twins>) -> Option<Violation> {
    let options = || Options { variant, ..super::options() };
    let outcome = panics::run(seed, options());
    let differs = |twins: &Twins| !twins.hold(&outcome, options()).0;
    let differing = || Some(twins.filter(differs)?.violation(&outcome, &options));
    outcome.violation.clone().or_else(differing)
}

/// Runs the seeds.
///
/// # Errors
/// A group is asked for that does not exist.
fn search(args: &HuntArgs) -> Result<Bag, String> {
    let is_known = |group: &str| group == twins::DETERMINISM || GROUPS.contains(&group);
    if let Some(group) = args.groups.iter().find(|group| !is_known(group)) {
        let known = [&GROUPS[..], &[twins::DETERMINISM]].concat().join(", ");
        return Err(format!("no group {group:?}; there are {known}"));
    }
    let hunt = Hunt {
        args,
        start: now(),
        next: AtomicU64::new(args.seeds.0),
        limit: AtomicU64::new(args.seeds.1),
        bites: Mutex::new(Vec::new()),
        breaks,
    };
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| hunt.work());
        }
    });
    Ok(hunt.bag())
}

/// Hunts, and prints the [`Bag`]; the exit code.
pub(crate) fn hunt(args: &HuntArgs) -> u8 {
    if args.leashed {
        #[expect(clippy::disallowed_methods, reason = "it must not keep the command from its end")]
        std::thread::spawn(|| {
            let _ended = std::io::stdin().read(&mut [0]);
            std::process::exit(i32::from(USAGE));
        });
    }
    let bag = match search(args) {
        Ok(bag) => bag,
        Err(error) => return usage(&error),
    };
    let text = serde_json::to_string(&bag).unwrap_or_default();
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) if bag.found.is_some() => BROKEN,
        Ok(()) => CLEAN,
        Err(_) => USAGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bite(seed: u64, group: &str) -> Bite {
        Bite { seed, group: group.into(), rule: "RES-2".into(), message: String::new() }
    }

    fn bag(groups: &[&str], bites: &[Bite]) -> Bag {
        let groups = groups.iter().map(ToString::to_string).collect();
        let args = HuntArgs { seeds: (10, 50), groups, jobs: 1, within: 9, leashed: false };
        let bites = Mutex::new(bites.to_vec());
        let limit = AtomicU64::new(50);
        let next = AtomicU64::new(50);
        Hunt { args: &args, start: now(), next, limit, bites, breaks: |_, _, _| None }.bag()
    }

    // A bug is found by its own group: what others saw before is told, and what came behind is not.
    #[test]
    fn the_lowest_seed_of_the_right_group_is_found() {
        let all = [bite(30, "bytes"), bite(12, "panic"), bite(20, "bytes"), bite(15, "panic")];
        let found = bag(&["bytes"], &all);
        assert_eq!(found.found, Some(bite(20, "bytes")));
        assert_eq!((found.seeds, found.others), (11, vec![bite(12, "panic")]));
        let any = bag(&[], &all);
        assert_eq!((any.found, any.seeds), (Some(bite(12, "panic")), 3));
        let none = bag(&["tunnels"], &all);
        assert_eq!((none.found, none.seeds, none.others.len()), (None, 40, 2));
    }

    /// The seed below `end` in which something breaks that one of `groups` says.
    fn hunted(groups: &[&str], end: u64, breaks: Breaks) -> Option<u64> {
        let groups = groups.iter().map(ToString::to_string).collect();
        let args = HuntArgs { seeds: (10, end), groups, jobs: 1, within: 99, leashed: false };
        let (next, limit) = (AtomicU64::new(10), AtomicU64::new(end));
        let bites = Mutex::new(Vec::new());
        let hunt = Hunt { args: &args, start: now(), next, limit, bites, breaks };
        hunt.work();
        hunt.bag().found.map(|bite| bite.seed)
    }

    // What breaks between two worlds is found, and pairs cost nothing where nobody asks for them.
    #[test]
    fn pairs_are_made_where_their_group_is_asked_for() {
        let breaks = |_, variant: Option<Variant>, _| {
            let breach = Breach { group: "metamorphic", rule: "REQ-1", message: String::new() };
            variant.map(|_| Violation { breach, event: 1, at: 1 })
        };
        let first = (10..200).find(|&seed| world::variant_of(seed).is_some()).expect("a pair");
        assert_eq!(hunted(&[], 200, breaks), Some(first));
        assert_eq!(hunted(&["bytes", "metamorphic"], 200, breaks), Some(first));
        assert_eq!(hunted(&["bytes"], 200, breaks), None);
    }

    // So are recordings.
    #[test]
    fn seeds_are_recorded_where_that_is_asked_for() {
        let breaks = |_, _, twins: Option<Twins>| {
            let (group, rule) = (twins::DETERMINISM, twins?.rule());
            let breach = Breach { group, rule, message: String::new() };
            Some(Violation { breach, event: 1, at: 1 })
        };
        let first = (10..400).find(|&seed| twins::is_recorded(seed)).expect("one of so many");
        assert_eq!(hunted(&[], 400, breaks), Some(first));
        assert_eq!(hunted(&[twins::DETERMINISM], 400, breaks), Some(first));
        assert_eq!(hunted(&["bytes"], 400, breaks), None);
    }

    #[test]
    fn a_healthy_build_gives_nothing() {
        let args =
            HuntArgs { seeds: (0, 3), groups: Vec::new(), jobs: 2, within: 99, leashed: false };
        assert_eq!(search(&args), Ok(Bag { seeds: 3, ..Bag::default() }));
        let args = HuntArgs { groups: vec!["nonsense".into()], ..args };
        assert!(search(&args).is_err());
    }
}

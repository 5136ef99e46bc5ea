//! `tidegate-sim run`.

use super::case::Origin;
use super::report::{FORMAT, Failure, Range, Report, Totals, block_size};
use super::twins::{self, Twins};
use super::{Case, JudgeMarks, RunArgs, usage};
use crate::choice::mix;
use crate::oracle::{Breach, Violation};
use crate::tls::Provider;
use crate::world::{self, Options, Outcome};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Seeds when neither seeds nor a budget are given.
const SEEDS_DEFAULT: u64 = 1000;
/// One seed in so many is run twice.
const TWICE_EVERY: u64 = 20;

/// Totals are shared and told of after so many events of a thread.
const TELL_EVERY: u64 = 500_000;

/// What the threads of one command share.
struct Shared<'a> {
    args: &'a RunArgs,
    start: Instant,
    /// The seeds that this command runs.
    range: Range,
    next: AtomicU64,
    totals: Mutex<Totals>,
    bar: ProgressBar,
}

/// Runs the seeds and prints what came out; the exit code.
pub(crate) fn run(args: &RunArgs) -> u8 {
    #[expect(clippy::disallowed_methods, reason = "the command measures the real world")]
    let start = Instant::now();
    let (from, to) = match (args.seeds, args.budget) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => (args.from, u64::MAX),
        (None, None) => (0, SEEDS_DEFAULT),
    };
    if args.shard.is_some() && args.marks == JudgeMarks::Judge {
        return usage("--marks judge: a shard is judged with all others, by merge --marks judge");
    }
    // Before hours of seeds, and not when the first of them fails.
    if let Err(error) = std::fs::create_dir_all(&args.cases) {
        return usage(&format!("--cases {}: {error}", args.cases.display()));
    }
    let all = Range { from, to };
    let range = args.shard.map_or(all, |shard| all.shard(shard));
    let shared = Shared {
        args,
        start,
        range,
        next: AtomicU64::new(range.from),
        totals: Mutex::default(),
        bar: progress(args, range.len()),
    };
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| worker(&shared));
        }
    });
    shared.bar.finish_and_clear();
    let mut totals = shared.totals.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    totals.failures.sort_by_key(|failure| failure.seed);
    let mut report = Report {
        format: FORMAT,
        commit: super::case::commit(),
        command: std::env::args().collect(),
        range: args.budget.is_none().then_some(all),
        shard: args.shard,
        only: args.names().map(<[String]>::to_vec),
        is_complete: match args.budget {
            Some(_) => totals.failures.len() < usize::from(args.failures),
            None => totals.seeds == range.len(),
        },
        jobs: args.jobs.into(),
        seconds: start.elapsed().as_secs_f64(),
        totals,
        marks: BTreeMap::new(),
    };
    report.name_marks();
    let judges = args.shard.is_none() && args.marks.judges(report.totals.seeds);
    report.finish(judges, args.json.as_deref(), args.junit.as_deref())
}

fn progress(args: &RunArgs, seeds: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match args.budget {
        Some(_) => (ProgressBar::new_spinner(), "{spinner} {elapsed} {pos} seeds, {msg}"),
        None => (ProgressBar::new(seeds), "{wide_bar} {pos}/{len} seeds, {msg}, {eta} left"),
    };
    let style = ProgressStyle::with_template(template);
    style.map_or_else(|_| ProgressBar::hidden(), |style| bar.with_style(style))
}

fn worker(shared: &Shared<'_>) {
    let block = block_size(shared.range);
    let mut totals = Totals::default();
    loop {
        let is_late = shared.args.budget.is_some_and(|budget| shared.start.elapsed() >= budget);
        let seed = shared.next.fetch_add(1, Ordering::Relaxed);
        if is_late || seed >= shared.range.to {
            break;
        }
        let begun = shared.start.elapsed();
        let outcome = world::run(seed, shared.args.options());
        let differs = compared(shared.args, &outcome, &mut totals);
        let first = seed - (seed - shared.range.from) % block;
        totals.add(&outcome, first, shared.start.elapsed() - begun);
        shared.bar.inc(1);
        let is_clean = differs.is_none() && outcome.violation.is_none();
        let pair = world::variant_of(seed).filter(|_| is_clean).map(|variant| {
            totals.metamorphic += 1;
            let options = Options { variant: Some(variant), ..shared.args.options() };
            let pair = world::run(seed, options);
            totals.events_beside += pair.events + pair.events_beside;
            pair
        });
        let broken = pair.filter(|pair| pair.violation.is_some()).unwrap_or(outcome);
        let twin = differs.map(|twins| twins.violation(&broken, &|| shared.args.options()));
        totals.differing += u64::from(twin.is_some());
        if let Some(violation) = twin.as_ref().or(broken.violation.as_ref()) {
            totals.failures.push(failed(shared, &broken, violation));
            tell(shared, &mut totals);
        } else if totals.events > TELL_EVERY {
            tell(shared, &mut totals);
        }
    }
    tell(shared, &mut totals);
}

/// Hands over what a thread has added up, and moves the bar.
fn tell(shared: &Shared<'_>, totals: &mut Totals) {
    let mut all = shared.totals.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    all.merge(&std::mem::take(totals));
    if all.failures.len() >= usize::from(shared.args.failures) {
        // That is enough: nobody begins another seed.
        shared.next.store(shared.range.to, Ordering::Relaxed);
    }
    let rate = (all.events + all.events_beside) as f64 / shared.start.elapsed().as_secs_f64();
    let (reached, failures) = (all.reached(), all.failures.len());
    let marks = crate::marks::COUNT;
    shared.bar.set_message(format!(
        "{rate:.0} events/s, {reached} of {marks} marks, {failures} failures"
    ));
}

/// Makes the runs that must be the same as `first`, where they are due; what differs, if anything
/// does.
fn compared(args: &RunArgs, first: &Outcome, totals: &mut Totals) -> Option<Twins> {
    let is_twice = mix(first.seed).is_multiple_of(TWICE_EVERY);
    let is_both = world::provider_of(first.seed) == Provider::Real;
    // What panics is recorded up to a step that was never carried out.
    let is_recorded = twins::is_recorded(first.seed) && first.violation.is_none();
    totals.twice += u64::from(is_twice);
    totals.both += u64::from(is_both);
    totals.recorded += u64::from(is_recorded);
    let due = [
        (is_twice, Twins::SameSeed),
        (is_both, Twins::BothCiphers),
        (is_recorded, Twins::Recorded),
    ];
    let mut due = due.into_iter().filter(|(is_due, _)| *is_due).map(|(_, twins)| twins);
    due.find(|twins| {
        let (is_same, events) = twins.hold(first, args.options());
        totals.events_beside += events;
        !is_same
    })
}

/// Writes a failing seed down.
fn failed(shared: &Shared<'_>, outcome: &Outcome, violation: &Violation) -> Failure {
    let (seed, args) = (outcome.seed, shared.args);
    let case = Case::because(outcome, violation, Origin::Seed(seed), args.changes());
    let written = case.write(&args.cases);
    let place = match &written {
        Ok(path) => format!("case: {}", path.display()),
        Err(error) => format!("no case written: {error}"),
    };
    let Breach { group, rule, message } = &violation.breach;
    // Whoever compares two runs has already made another one.
    let is_single = Twins::of(group, rule).is_none();
    let other = if is_single { with_the_other(args, outcome) } else { String::new() };
    let replay = to_paste(args, outcome, is_single, written.ok().as_deref());
    shared.bar.suspend(|| {
        let text = describe(violation);
        let _ = write!(std::io::stdout(), "{text}  {place}\n{other}  {replay}\n\n");
    });
    Failure {
        seed,
        group: (*group).into(),
        rule: (*rule).into(),
        message: message.clone(),
        event: violation.event,
        replay,
    }
}

/// The line that makes a failing run again. A seed is enough only for a single run without changes:
/// for others it is the case at `path`, or where none could be written the same sweep of one seed.
fn to_paste(args: &RunArgs, outcome: &Outcome, is_single: bool, path: Option<&Path>) -> String {
    let seed = outcome.seed;
    match (args.names(), path) {
        (None, _) if is_single => {
            let variant = outcome.variant.map(|variant| format!(" --variant {variant}"));
            format!("tidegate-sim replay {seed}{}", variant.unwrap_or_default())
        }
        (_, Some(path)) => format!("tidegate-sim replay {}", path.display()),
        (names, None) => {
            let only = names.map(|names| format!(" --only {}", names.join(",")));
            format!("tidegate-sim run --seeds {seed}..{}{}", seed + 1, only.unwrap_or_default())
        }
    }
}

/// A broken rule in words.
pub(crate) fn describe(violation: &Violation) -> String {
    let Violation { breach, event, at } = violation;
    let micros = at / 1000;
    format!(
        "{} {}: {}\n  event {event}, at {micros}us\n",
        breach.group, breach.rule, breach.message
    )
}

/// Whether a failing run fails alike with the other provider of TLS, in words.
fn with_the_other(args: &RunArgs, first: &Outcome) -> String {
    let (provider, name) = match world::provider_of(first.seed) {
        Provider::Fast => (Provider::Real, "the real cipher"),
        Provider::Real => (Provider::Fast, "the stand-in cipher"),
    };
    let options = Options { provider: Some(provider), variant: first.variant, ..args.options() };
    let second = world::run(first.seed, options);
    match (&first.violation, &second.violation) {
        (None, None) if first.hash_without_cipher == second.hash_without_cipher => String::new(),
        (Some(one), Some(other)) if one.breach == other.breach && one.event == other.event => {
            format!("  with {name}: fails alike\n")
        }
        (_, Some(other)) => format!("  with {name}: {}", describe(other)),
        (_, None) => format!("  with {name}: another run, and clean\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Args, Command};
    use crate::oracle::metamorphic::Variant;
    use clap::Parser;

    fn args_of(words: &[&str]) -> Box<RunArgs> {
        let words = ["tidegate-sim", "run"].iter().chain(words);
        match Args::try_parse_from(words).map(|args| args.command) {
            Ok(Command::Run(args)) => args,
            _ => panic!("no such command"),
        }
    }

    fn shared(args: &RunArgs) -> Shared<'_> {
        #[expect(clippy::disallowed_methods, reason = "the command measures the real world")]
        let start = Instant::now();
        let (next, bar) = (AtomicU64::new(0), ProgressBar::hidden());
        Shared { args, start, range: Range { from: 0, to: 9 }, next, totals: Mutex::default(), bar }
    }

    // A panic is a failure of its own rule: it is not recorded, and nothing of a replay hides it.
    #[test]
    fn what_fails_by_itself_is_not_recorded() {
        let args = args_of(&[]);
        let seed = (0..400).find(|&seed| twins::is_recorded(seed)).expect("one of so many");
        for (events_max, is_due) in [(None, 1), (Some(40), 0)] {
            let first = world::run(seed, Options { events_max, ..args.options() });
            assert_eq!(first.violation.is_none(), is_due > 0);
            let mut totals = Totals::default();
            compared(&args, &first, &mut totals);
            assert_eq!(totals.recorded, is_due);
        }
    }

    // Whatever is printed to be pasted makes the run again that failed: with what differed from the
    // seed, and twice where it takes two to fail. JUnit prints the same line.
    #[test]
    fn the_line_to_paste_makes_the_same_run() {
        let dir = std::env::temp_dir().join(format!("tidegate-paste-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let place = dir.display().to_string();
        let args = args_of(&["--only", "slow-head,clog,clog", "--cases", &place]);
        let outcome = world::run(5, Options { events_max: Some(400), ..args.options() });
        let broken = outcome.violation.clone().expect("it does not end");
        let told = failed(&shared(&args), &outcome, &broken);
        let path = dir.join("5.case.sim");
        assert_eq!(told.replay, format!("tidegate-sim replay {}", path.display()));
        assert_eq!((&*told.group, &*told.rule), ("progress", "LOOP-5"));
        let case = Case::read(&path).expect("a case");
        assert_eq!(case.changes, args.changes());
        // Two runs that differ: one rule in the report and in the case, with the changes.
        let differ = Twins::BothCiphers.violation(&outcome, &|| args.options());
        let told = failed(&shared(&args), &outcome, &differ);
        assert_eq!((&*told.group, &*told.rule), ("determinism", "BOTH-CIPHERS"));
        let case = Case::read(&path).expect("a case");
        assert_eq!((&case.group, &case.rule), (&told.group, &told.rule));
        assert_eq!(case.changes, args.changes());
        assert_eq!(told.replay, format!("tidegate-sim replay {}", path.display()));
        std::fs::remove_dir_all(&dir).expect("the directory is there");
        // Nowhere to write a case.
        let told = failed(&shared(&args), &outcome, &broken);
        assert_eq!(told.replay, "tidegate-sim run --seeds 5..6 --only clog,slow-head");
        let plain = args_of(&["--cases", &place]);
        let told = failed(&shared(&plain), &outcome, &broken);
        assert_eq!(told.replay, "tidegate-sim replay 5");
        let pair = Outcome { variant: Some(Variant::Copy), ..outcome };
        let told = failed(&shared(&plain), &pair, &broken);
        assert_eq!(told.replay, "tidegate-sim replay 5 --variant copy");
    }
}

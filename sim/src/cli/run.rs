//! `tidegate-sim run`.

use super::case::Origin;
use super::files::Files;
use super::report::{Early, FORMAT, Failure, Range, Report, Shard, Totals, block_size};
use super::twins::{self, Twins};
use super::watch::{Running, Slot, TICK, Watch};
use super::{Case, INTERRUPTED, JudgeMarks, RunArgs, panics, usage};
use crate::choice::mix;
use crate::oracle::metamorphic::Variant;
use crate::oracle::{Breach, Violation, progress};
use crate::tls::Provider;
use crate::world::{self, Options, Outcome};
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard};
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
    /// What is run: the commit, and the program's digest.
    build: (String, Option<String>),
    /// The seeds that this command runs.
    range: Range,
    next: AtomicU64,
    /// Whether a signal asked for the end.
    interrupted: Arc<AtomicBool>,
    /// Why nobody begins another seed, though some are left.
    early: Mutex<Option<Early>>,
    totals: Mutex<Totals>,
    bar: ProgressBar,
}

impl Shared<'_> {
    /// The seed to run next, if there is one.
    fn take(&self) -> Option<u64> {
        let is_late = self.args.budget.is_some_and(|budget| self.start.elapsed() >= budget);
        if is_late || locked(&self.early).is_some() {
            return None;
        }
        let following = |next: u64| (next < self.range.to).then(|| next + 1);
        self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, following).ok()
    }

    /// Nobody begins another seed.
    fn stop(&self, why: Early) {
        locked(&self.early).get_or_insert(why);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// What a thread knows of its sweep.
struct Lane<'a> {
    shared: &'a Shared<'a>,
    slot: &'a Slot,
}

impl Lane<'_> {
    /// Options of a run of `seed` that begins now.
    fn options(&self, seed: u64, variant: Option<Variant>) -> Options {
        self.slot.begin(seed, variant);
        Options { variant, ..self.shared.args.options() }
    }
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
    let all = Range { from, to };
    let range = args.shard.map_or(all, |shard| all.shard(shard));
    if range.len() == 0 {
        let part = args.shard.map(|Shard { index, of }| format!("--shard {index}/{of}: "));
        let part = part.unwrap_or_default();
        return usage(&format!("{part}no seed of {from}..{to} is to be run"));
    }
    // Before hours of seeds, and not when the first of them fails.
    if let Err(error) = std::fs::create_dir_all(&args.cases) {
        return usage(&format!("--cases {}: {error}", args.cases.display()));
    }
    let slots: Result<Vec<Slot>, String> =
        (0..args.jobs).map(|n| Slot::new(&args.cases, n)).collect();
    let slots = match slots {
        Ok(slots) => slots,
        Err(error) => return usage(&format!("--cases {error}")),
    };
    let files = match Files::new(&[], args.json.as_deref(), args.junit.as_deref()) {
        Ok(files) => files,
        Err(error) => return usage(&error),
    };
    let shared = Shared {
        args,
        start,
        build: (super::case::commit(), super::build::binary()),
        range,
        next: AtomicU64::new(range.from),
        interrupted: interruptions(),
        early: Mutex::default(),
        totals: Mutex::default(),
        bar: progress(args, range.len()),
    };
    sweep(&shared, &slots, || finish(&shared, all, &files))
}

/// Whether somebody wants the command to end; whoever says so twice ends it at once.
fn interruptions() -> Arc<AtomicBool> {
    let is_wanted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        let at_once = || {
            flag::register_conditional_shutdown(
                signal,
                i32::from(INTERRUPTED),
                Arc::clone(&is_wanted),
            )
        };
        // Where it cannot be heard, a signal does what it did before.
        let _ = at_once().and_then(|_| flag::register(signal, Arc::clone(&is_wanted)));
    }
    is_wanted
}

/// Runs the seeds on a thread for each of `slots`, and then `finish`; the exit code.
fn sweep(shared: &Shared<'_>, slots: &[Slot], finish: impl Fn() -> u8) -> u8 {
    std::thread::scope(|scope| {
        let (held, ended) = mpsc::channel::<()>();
        for slot in slots {
            let held = held.clone();
            scope.spawn(move || {
                let lane = Lane { shared, slot };
                let mut totals = Totals::default();
                if catch_unwind(AssertUnwindSafe(|| worker(&lane, &mut totals))).is_err() {
                    shared.stop(Early::Panicked);
                }
                tell(shared, &mut totals);
                slot.end();
                drop(held);
            });
        }
        drop(held);
        let mut watch = Watch::new(slots, shared.args.hung_after);
        while ended.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            if shared.interrupted.load(Ordering::Relaxed) {
                shared.stop(Early::Interrupted);
            }
            for running in watch.tick() {
                shared.stop(Early::Hung);
                let failure = hung(shared, running);
                locked(&shared.totals).failures.push(failure);
            }
            if watch.has_hung() && watch.is_over() {
                let code = finish();
                slots.iter().for_each(Slot::remove);
                // A thread that hangs ends with its process alone.
                std::process::exit(code.into());
            }
        }
    });
    finish()
}

/// Tells what came out of all seeds; the exit code.
fn finish(shared: &Shared<'_>, all: Range, files: &Files) -> u8 {
    let Shared { args, range, .. } = shared;
    shared.bar.finish_and_clear();
    let mut totals = std::mem::take(&mut *locked(&shared.totals));
    totals.failures.sort_by_key(|failure| failure.seed);
    let early = *locked(&shared.early);
    let is_complete = match args.budget {
        Some(_) => early.is_none(),
        None => totals.seeds == range.len(),
    };
    let mut report = Report {
        format: FORMAT,
        commit: shared.build.0.clone(),
        binary: shared.build.1.clone(),
        command: std::env::args().collect(),
        range: args.budget.is_none().then_some(all),
        shard: args.shard,
        only: args.names().map(<[String]>::to_vec),
        is_complete,
        ended_early: early.filter(|_| !is_complete),
        jobs: args.jobs.into(),
        seconds: shared.start.elapsed().as_secs_f64(),
        totals,
        marks: BTreeMap::new(),
    };
    report.name_marks();
    let judges = args.shard.is_none() && args.marks.judges(report.totals.seeds);
    report.finish(judges, files)
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

fn worker(lane: &Lane<'_>, totals: &mut Totals) {
    let shared = lane.shared;
    let block = block_size(shared.range);
    while let Some(seed) = shared.take() {
        let begun = shared.start.elapsed();
        let options = || lane.options(seed, None);
        let outcome = panics::run(seed, options());
        let differs = compared(&options, &outcome, totals);
        let first = seed - (seed - shared.range.from) % block;
        totals.add(&outcome, first, shared.start.elapsed() - begun);
        shared.bar.inc(1);
        let is_clean = differs.is_none() && outcome.violation.is_none();
        let pair = world::variant_of(seed).filter(|_| is_clean).map(|variant| {
            totals.metamorphic += 1;
            let pair = panics::run(seed, lane.options(seed, Some(variant)));
            totals.events_beside += pair.events + pair.events_beside;
            pair
        });
        let broken = pair.filter(|pair| pair.violation.is_some()).unwrap_or(outcome);
        let twin = differs.map(|twins| twins.violation(&broken, &options));
        totals.differing += u64::from(twin.is_some());
        if let Some(violation) = twin.as_ref().or(broken.violation.as_ref()) {
            totals.failures.push(failed(lane, &broken, violation));
            tell(shared, totals);
        } else if totals.events > TELL_EVERY {
            tell(shared, totals);
        }
    }
}

/// Hands over what a thread has added up, and moves the bar.
fn tell(shared: &Shared<'_>, totals: &mut Totals) {
    let mut all = locked(&shared.totals);
    all.merge(&std::mem::take(totals));
    if all.failures.len() >= usize::from(shared.args.failures) {
        shared.stop(Early::GaveUp);
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
fn compared(options: &dyn Fn() -> Options, first: &Outcome, totals: &mut Totals) -> Option<Twins> {
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
        let (is_same, events) = twins.hold(first, options());
        totals.events_beside += events;
        !is_same
    })
}

/// Writes a failing seed down.
fn failed(lane: &Lane<'_>, outcome: &Outcome, violation: &Violation) -> Failure {
    let Breach { group, rule, .. } = violation.breach;
    // Whoever compares two runs has already made another one.
    let is_single = Twins::of(group, rule).is_none();
    let other = if is_single { with_the_other(lane, outcome) } else { String::new() };
    written(lane.shared, outcome, violation, &other)
}

/// Writes a seed down whose run does not end: all that is known of it is how it began.
fn hung(shared: &Shared<'_>, Running { seed, variant }: Running) -> Failure {
    let breach = progress::hung(shared.args.hung_after);
    let violation = Violation { breach, event: 0, at: 0 };
    let outcome = Outcome::lost(seed, world::provider_of(seed), variant, Some(violation.clone()));
    written(shared, &outcome, &violation, "")
}

/// Writes the case of a failing seed and prints it, with what is known of its `other` run.
fn written(shared: &Shared<'_>, outcome: &Outcome, violation: &Violation, other: &str) -> Failure {
    let (seed, args) = (outcome.seed, shared.args);
    let case = Case::because(outcome, violation, Origin::Seed(seed), args.changes());
    let written = case.write(&args.cases);
    let place = match &written {
        Ok(path) => format!("case: {}", path.display()),
        Err(error) => format!("no case written: {error}"),
    };
    let Breach { group, rule, message } = &violation.breach;
    let is_single = Twins::of(group, rule).is_none();
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
fn with_the_other(lane: &Lane<'_>, first: &Outcome) -> String {
    let (provider, name) = match world::provider_of(first.seed) {
        Provider::Fast => (Provider::Real, "the real cipher"),
        Provider::Real => (Provider::Fast, "the stand-in cipher"),
    };
    let options = lane.options(first.seed, first.variant);
    let options = Options { provider: Some(provider), ..options };
    let second = panics::run(first.seed, options);
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
        let (range, early) = (Range { from: 0, to: 9 }, Mutex::default());
        let (build, totals) = ((String::new(), None), Mutex::default());
        let interrupted = Arc::default();
        Shared { args, start, build, range, next, interrupted, early, totals, bar }
    }

    fn told(args: &RunArgs, outcome: &Outcome, violation: &Violation) -> Failure {
        let slot = Slot::new(&std::env::temp_dir(), 800).expect("a file");
        failed(&Lane { shared: &shared(args), slot: &slot }, outcome, violation)
    }

    // A panic of the simulator itself, here of a range without sense, ends a sweep that says so.
    #[test]
    fn a_panic_outside_of_runs_ends_the_sweep() {
        let args = args_of(&[]);
        let shared = Shared { range: Range { from: 9, to: 3 }, ..shared(&args) };
        let slots = [Slot::new(&std::env::temp_dir(), 801).expect("a file")];
        assert_eq!(sweep(&shared, &slots, || 7), 7);
        assert_eq!(*locked(&shared.early), Some(Early::Panicked));
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
            compared(&|| args.options(), &first, &mut totals);
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
        let found = told(&args, &outcome, &broken);
        let path = dir.join("5.case.sim");
        assert_eq!(found.replay, format!("tidegate-sim replay {}", path.display()));
        assert_eq!((&*found.group, &*found.rule), ("progress", "LOOP-5"));
        let case = Case::read(&path).expect("a case");
        assert_eq!(case.changes, args.changes());
        // Two runs that differ: one rule in the report and in the case, with the changes.
        let differ = Twins::BothCiphers.violation(&outcome, &|| args.options());
        let found = told(&args, &outcome, &differ);
        assert_eq!((&*found.group, &*found.rule), ("determinism", "BOTH-CIPHERS"));
        let case = Case::read(&path).expect("a case");
        assert_eq!((&case.group, &case.rule), (&found.group, &found.rule));
        assert_eq!(case.changes, args.changes());
        assert_eq!(found.replay, format!("tidegate-sim replay {}", path.display()));
        std::fs::remove_dir_all(&dir).expect("the directory is there");
        // Nowhere to write a case.
        let found = told(&args, &outcome, &broken);
        assert_eq!(found.replay, "tidegate-sim run --seeds 5..6 --only clog,slow-head");
        let plain = args_of(&["--cases", &place]);
        let found = told(&plain, &outcome, &broken);
        assert_eq!(found.replay, "tidegate-sim replay 5");
        let pair = Outcome { variant: Some(Variant::Copy), ..outcome };
        let found = told(&plain, &pair, &broken);
        assert_eq!(found.replay, "tidegate-sim replay 5 --variant copy");
    }
}

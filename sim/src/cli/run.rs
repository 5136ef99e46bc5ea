//! `tidegate-sim run`.

use super::case::Origin;
use super::report::{FORMAT, Failure, Range, Report, Totals, block_size};
use super::{Case, RunArgs};
use crate::choice::mix;
use crate::tls::Provider;
use crate::world::{self, Options, Outcome};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
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
        is_complete: args.budget.is_some() || totals.seeds == range.len(),
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
        let mut is_same = true;
        if mix(seed).is_multiple_of(TWICE_EVERY) {
            totals.twice += 1;
            is_same = same_again(shared.args, &outcome);
        }
        if world::provider_of(seed) == Provider::Real {
            totals.both += 1;
            is_same &= same_without_cipher(shared.args, &outcome, Provider::Fast);
        }
        let first = seed - (seed - shared.range.from) % block;
        totals.add(&outcome, first, shared.start.elapsed() - begun);
        shared.bar.inc(1);
        let is_clean = is_same && outcome.violation.is_none();
        let pair = world::variant_of(seed).filter(|_| is_clean).map(|variant| {
            totals.metamorphic += 1;
            world::run(seed, Options { variant: Some(variant), ..shared.args.options() })
        });
        let broken = pair.filter(|pair| pair.violation.is_some());
        if !is_clean || broken.is_some() {
            totals.differing += u64::from(!is_same);
            let outcome = broken.unwrap_or(outcome);
            totals.failures.push(failed(shared, &outcome, is_same));
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
    let rate = all.events as f64 / shared.start.elapsed().as_secs_f64();
    let (reached, failures) = (all.reached(), all.failures.len());
    let marks = crate::marks::COUNT;
    shared.bar.set_message(format!(
        "{rate:.0} events/s, {reached} of {marks} marks, {failures} failures"
    ));
}

/// Writes a failing seed down.
fn failed(shared: &Shared<'_>, outcome: &Outcome, is_same: bool) -> Failure {
    let (seed, args) = (outcome.seed, shared.args);
    let text = match &outcome.violation {
        _ if !is_same => first_difference(&|| args.options(), seed).0,
        Some(violation) => describe(violation),
        None => String::new(),
    };
    let kept = world::run(seed, Options { variant: outcome.variant, ..args.options() });
    let case = match is_same {
        true => Case::of(&kept, Origin::Seed(seed), args.changes()),
        false => Some(Case::of_nondeterminism(&kept, first_difference(&|| args.options(), seed).1)),
    };
    let written = case.map(|case| case.write(&shared.args.cases));
    let place = match written {
        Some(Ok(path)) => format!("  case: {}\n", path.display()),
        Some(Err(error)) => format!("  no case written: {error}\n"),
        None => String::new(),
    };
    let variant = outcome.variant.map(|variant| format!(" --variant {variant}"));
    let replay = format!("tidegate-sim replay {seed}{}", variant.unwrap_or_default());
    shared.bar.suspend(|| {
        let other = with_the_other(args, &kept);
        let _ = write!(std::io::stdout(), "{text}{place}{other}  {replay}\n\n");
    });
    match &outcome.violation {
        Some(violation) if is_same => Failure {
            seed,
            group: violation.breach.group.into(),
            rule: violation.breach.rule.into(),
            message: violation.breach.message.clone(),
            event: violation.event,
            replay,
        },
        _ => Failure {
            seed,
            group: "nondeterminism".into(),
            rule: String::new(),
            message: text,
            event: outcome.events,
            replay,
        },
    }
}

/// A broken rule in words.
pub(crate) fn describe(violation: &crate::oracle::Violation) -> String {
    let crate::oracle::Violation { breach, event, at } = violation;
    let micros = at / 1000;
    format!(
        "{} {}: {}\n  event {event}, at {micros}us\n",
        breach.group, breach.rule, breach.message
    )
}

/// Whether a second run of the seed has the same hash at every checkpoint.
fn same_again(args: &RunArgs, first: &Outcome) -> bool {
    let second = world::run(first.seed, args.options());
    first.hash == second.hash
        && first.events == second.events
        && first.checkpoints == second.checkpoints
}

/// Whether a run with `provider` does the same but for its ciphertext, which has the same length.
fn same_without_cipher(args: &RunArgs, first: &Outcome, provider: Provider) -> bool {
    let options = Options { provider: Some(provider), ..args.options() };
    let second = world::run(first.seed, options);
    first.hash_without_cipher == second.hash_without_cipher && first.events == second.events
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

/// The first event after which two runs of a seed differ.
pub(crate) fn first_difference(options: &dyn Fn() -> Options, seed: u64) -> (String, u64) {
    let run = || world::run(seed, Options { keeps_each: true, ..options() });
    let (one, two) = (run(), run());
    let differs = one.each.iter().zip(&two.each).position(|(a, b)| a != b);
    match differs {
        Some(event) => {
            let text = format!("nondeterminism: two runs of seed {seed} differ at event {event}\n");
            (text, event as u64)
        }
        None => {
            let (one, two) = (one.events, two.events);
            let text = format!("nondeterminism: seed {seed}: {one} and {two} events\n");
            (text, one.min(two))
        }
    }
}

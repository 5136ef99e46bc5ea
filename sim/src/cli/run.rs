//! `tidegate-sim run`.

use super::report::Totals;
use super::{BROKEN, CLEAN, Case, NONDETERMINISM, RunArgs, USAGE};
use crate::choice::mix;
use crate::tls::Provider;
use crate::world::{self, Options, Outcome};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Seeds when neither seeds nor a budget are given.
const SEEDS_DEFAULT: u64 = 1000;
/// One seed in so many is run twice.
const TWICE_EVERY: u64 = 20;

#[derive(Default)]
struct Shared {
    totals: Totals,
    failures: Vec<u64>,
    differing: u64,
}

/// Runs the seeds and prints what came out; the exit code.
pub(crate) fn run(args: &RunArgs) -> u8 {
    #[expect(clippy::disallowed_methods, reason = "the command measures the real world")]
    let start = Instant::now();
    let (from, to) = match (args.seeds, args.budget) {
        (Some(seeds), _) => seeds,
        (None, Some(_)) => (0, u64::MAX),
        (None, None) => (0, SEEDS_DEFAULT),
    };
    let bar = progress(args, to - from);
    let next = AtomicU64::new(from);
    let shared = Mutex::new(Shared::default());
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| worker(args, &next, to, start, &shared, &bar));
        }
    });
    bar.finish_and_clear();
    let shared = shared.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    finish(args, &shared, start.elapsed())
}

fn finish(args: &RunArgs, shared: &Shared, took: Duration) -> u8 {
    let mut out = std::io::stdout().lock();
    if shared.totals.print(&mut out, took).is_err() {
        return USAGE;
    }
    if let Some(path) = &args.json {
        let text = shared.totals.json(took, &shared.failures).to_string();
        if let Err(error) = std::fs::write(path, text) {
            let _ = writeln!(std::io::stderr(), "error: {}: {error}", path.display());
            return USAGE;
        }
    }
    match (shared.differing, shared.failures.len()) {
        (0, 0) => CLEAN,
        (0, _) => BROKEN,
        _ => NONDETERMINISM,
    }
}

fn progress(args: &RunArgs, seeds: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = match args.budget {
        Some(_) => ProgressBar::new_spinner(),
        None => ProgressBar::new(seeds),
    };
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} seeds {per_sec} {msg}");
    style.map_or_else(|_| ProgressBar::hidden(), |style| bar.with_style(style))
}

fn worker(
    args: &RunArgs,
    next: &AtomicU64,
    to: u64,
    start: Instant,
    shared: &Mutex<Shared>,
    bar: &ProgressBar,
) {
    let mut since = 0;
    let mut totals = Totals::default();
    loop {
        let is_late = args.budget.is_some_and(|budget| start.elapsed() >= budget);
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if is_late || seed >= to {
            break;
        }
        let outcome = world::run(seed, args.options());
        totals.add(&outcome);
        let mut is_same = true;
        if mix(seed).is_multiple_of(TWICE_EVERY) {
            totals.twice += 1;
            is_same = same_again(args, &outcome);
        }
        bar.inc(1);
        since += outcome.events;
        if since > 1_000_000 {
            since = 0;
            let events = totals.events as f64 / start.elapsed().as_secs_f64();
            bar.set_message(format!("{events:.0} events/s, {} marks", totals.marks.len()));
        }
        if world::provider_of(seed) == Provider::Real {
            totals.both += 1;
            is_same &= same_without_cipher(args, &outcome, Provider::Fast);
        }
        if !is_same || outcome.violation.is_some() {
            let is_enough = failed(args, &outcome, is_same, shared, bar);
            if is_enough {
                next.store(to, Ordering::Relaxed);
            }
        }
    }
    let mut all = lock(shared);
    merge(&mut all.totals, totals);
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Writes a failing seed down; whether there were enough of them.
fn failed(
    args: &RunArgs,
    outcome: &Outcome,
    is_same: bool,
    shared: &Mutex<Shared>,
    bar: &ProgressBar,
) -> bool {
    let mut all = lock(shared);
    all.differing += u64::from(!is_same);
    all.failures.push(outcome.seed);
    let is_enough = all.failures.len() >= usize::from(args.failures);
    drop(all);
    let seed = outcome.seed;
    let text = match &outcome.violation {
        _ if !is_same => first_difference(args, seed),
        Some(violation) => describe(violation),
        None => String::new(),
    };
    // Once more, with every draw kept, for the case.
    let kept = world::run(seed, Options { records: true, ..args.options() });
    let written = Case::of(&kept).map(|case| case.write(&args.cases));
    let place = match written {
        Some(Ok(path)) => format!("  case: {}\n", path.display()),
        Some(Err(error)) => format!("  no case written: {error}\n"),
        None => String::new(),
    };
    bar.suspend(|| {
        let other = with_the_other(args, &kept);
        let line = format!("{text}{place}{other}  tidegate-sim replay {seed}\n\n");
        let _ = write!(std::io::stdout(), "{line}");
    });
    is_enough
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
    let options = Options { provider: Some(provider), ..args.options() };
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
fn first_difference(args: &RunArgs, seed: u64) -> String {
    let run = || world::run(seed, Options { keeps_each: true, ..args.options() });
    let (one, two) = (run(), run());
    let differs = one.each.iter().zip(&two.each).position(|(a, b)| a != b);
    match differs {
        Some(event) => format!("nondeterminism: two runs of seed {seed} differ at event {event}\n"),
        None => format!("nondeterminism: seed {seed}: {} and {} events\n", one.events, two.events),
    }
}

fn merge(into: &mut Totals, from: Totals) {
    into.seeds += from.seeds;
    into.events += from.events;
    into.virtual_nanos += from.virtual_nanos;
    into.requests += from.requests;
    into.completed += from.completed;
    into.healed_seeds += from.healed_seeds;
    into.twice += from.twice;
    into.both += from.both;
    into.hash = into.hash.wrapping_add(from.hash);
    into.completed_by_seed.extend(from.completed_by_seed);
    for (name, (seeds, visits)) in from.marks {
        let mark = into.marks.entry(name).or_default();
        mark.0 += seeds;
        mark.1 += visits;
    }
}

//! `tidegate-sim shrink`: runs candidates, prints what is left, writes it down.

use super::files::Output;
use super::replay::Subject;
use super::{BROKEN, CLEAN, Case, ShrinkArgs, files, panics, usage};
use crate::choice::Source;
use crate::cli::case::Origin;
use crate::shrink::{Found, Runner, Shrinker, Signature, State};
use crate::world::{Actions, Options, Outcome};
use serde::{Deserialize, Serialize};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What a shrunk case measures: what `--json` writes, and `plant --shrink` reads.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub(crate) struct Measured {
    /// The seed that failed.
    pub(crate) seed: u64,
    /// The checker's group.
    pub(crate) group: String,
    /// The rule that is broken, before and after.
    pub(crate) rule: String,
    /// Actions of the run that was given.
    pub(crate) before: u64,
    /// Actions of the shrunk one.
    pub(crate) actions: u64,
    /// Its events.
    pub(crate) events: u64,
    /// Candidates that were run.
    pub(crate) attempts: u64,
    /// Seconds that took.
    pub(crate) seconds: f64,
}

/// Runs candidates on threads.
struct Bench<'a> {
    subject: &'a Subject,
    signature: Signature,
    jobs: usize,
    start: Instant,
    budget: Duration,
    runs: u64,
    bar: indicatif::ProgressBar,
}

impl Bench<'_> {
    fn options(&self, state: &State) -> Options {
        let changes = state.changes();
        Options { source: Source::Changed(changes.iter().collect()), ..self.subject.options() }
    }

    fn one(&self, state: State, until: u64) -> Option<Found> {
        // A run that has not failed by then is no smaller.
        let options = Options { until: Some(until), records: true, ..self.options(&state) };
        let outcome = self.subject.run(options);
        let is_same = Signature::of(&outcome).as_ref() == Some(&self.signature);
        is_same.then(|| Found::new(state, outcome))
    }
}

impl Runner for Bench<'_> {
    fn run(&mut self, states: Vec<State>, until: u64) -> Vec<Option<Found>> {
        self.runs += states.len() as u64;
        self.bar.set_message(format!("{} attempts, {:.0?}", self.runs, self.start.elapsed()));
        if states.len() == 1 {
            return states.into_iter().map(|state| self.one(state, until)).collect();
        }
        let this = &*self;
        std::thread::scope(|scope| {
            let all: Vec<_> = states
                .into_iter()
                .map(|state| scope.spawn(move || this.one(state, until)))
                .collect();
            all.into_iter().map(|one| one.join().unwrap_or(None)).collect()
        })
    }

    fn width(&self) -> usize {
        self.jobs
    }

    fn goes_on(&self) -> bool {
        self.start.elapsed() < self.budget
    }
}

/// Shrinks a seed or a case and writes down what is left; the exit code.
pub(crate) fn shrink(args: &ShrinkArgs) -> u8 {
    #[expect(clippy::disallowed_methods, reason = "the command measures the real world")]
    let start = Instant::now();
    let subject = match Subject::read(&args.what).and_then(Subject::single) {
        Ok(subject) => subject,
        Err(error) => return usage(&error),
    };
    if matches!(subject.origin, Origin::Bytes(_)) {
        return usage("bytes are shrunk by whoever made them; shrink a seed, or a case of one");
    }
    let path = args.output.clone().unwrap_or_else(|| default_path(&subject));
    let written = [("-o", Some(&*path)), ("--json", args.json.as_deref())];
    if let Err(why) = files::distinct(&subject.inputs(&args.what), &written) {
        return usage(&why);
    }
    let files = Output::new("--output", &path)
        .and_then(|case| Ok((case, Output::wanted("--json", args.json.as_deref())?)));
    let (output, json) = match files {
        Ok(files) => files,
        Err(error) => return usage(&error),
    };
    let given = subject.case.as_ref().map_or(&[][..], |case| &case.changes);
    let state = State::new(given);
    let first = subject.run(Options { records: true, ..subject.options() });
    if let Some(cut) = subject.cut_by_limit(&first) {
        return usage(&cut);
    }
    let Some(signature) = Signature::of(&first) else {
        let _ = writeln!(std::io::stdout(), "{} breaks no rule", subject.title());
        return CLEAN;
    };
    let message = first.violation.as_ref().map(super::run::describe).unwrap_or_default();
    let _ = write!(std::io::stdout(), "{message}");
    let before = first.actions;
    let bar = match std::io::stderr().is_terminal() {
        true => indicatif::ProgressBar::new_spinner(),
        false => indicatif::ProgressBar::hidden(),
    };
    let jobs = usize::from(args.jobs);
    let mut bench =
        Bench { subject: &subject, signature, jobs, start, budget: args.budget, runs: 0, bar };
    let found = Found::new(state, first);
    let (found, attempts) = Shrinker::new(&mut bench, found, args.attempts).shrink();
    bench.bar.finish_and_clear();
    let took = (before, attempts, start.elapsed());
    finish(&subject, &found, took, (&path, &output, json.as_ref()))
}

fn finish(
    subject: &Subject,
    found: &Found,
    (before, attempts, took): (Actions, u64, Duration),
    (path, output, json): (&Path, &Output, Option<&Output>),
) -> u8 {
    let changes = found.state.changes();
    // Once more as a replay will do it: without recording, without a limit.
    let source = Source::Changed(changes.iter().collect());
    let last = panics::run(subject.origin.seed(), Options { source, ..subject.options() });
    let Some(mut case) = Case::of(&last, subject.origin.clone(), &changes) else {
        return usage("the smallest case does not fail when it runs again");
    };
    case.limit = subject.case.as_ref().map_or(case.limit, |given| given.limit);
    let measured = Measured {
        seed: subject.origin.seed(),
        group: case.group.clone(),
        rule: case.rule.clone(),
        before: before.total(),
        actions: found.actions.total(),
        events: last.events,
        attempts,
        seconds: took.as_secs_f64(),
    };
    let written = output.write(&case.to_string());
    let noted = json.map_or(Ok(()), |file| file.write(&serde_json::json!(measured).to_string()));
    let mut out = std::io::stdout().lock();
    let _ = print(&mut out, subject, &case, &last, found, before);
    let _ = writeln!(out, "{attempts} attempts in {:.1} s", took.as_secs_f64());
    if written.is_ok() {
        let path = path.display();
        let _ = writeln!(out, "case: {path}");
        let _ =
            writeln!(out, "  tidegate-sim replay {path} --trace\n  tidegate-sim explain {path}");
    }
    // The test holds the case, wherever else that could not be written.
    let _ = writeln!(out, "\nA regression test, to paste once it is mended:\n\n{}", test(&case));
    for error in [written, noted].into_iter().filter_map(Result::err) {
        usage(&error);
    }
    BROKEN
}

fn default_path(subject: &Subject) -> PathBuf {
    PathBuf::from(format!("{}.small.case.sim", subject.origin.seed()))
}

fn print(
    out: &mut impl Write,
    subject: &Subject,
    case: &Case,
    last: &Outcome,
    found: &Found,
    before: Actions,
) -> std::io::Result<()> {
    writeln!(out, "\nshrunk {}", subject.title())?;
    writeln!(out, "  before: {before}")?;
    writeln!(out, "  after:  {}, {} events", found.actions, last.events)?;
    writeln!(out, "  {}\n  {}", case.scenario, case.message)
}

/// The source of a test that runs `case` and expects it clean.
fn test(case: &Case) -> String {
    let name: String = format!("{}_{}", case.group, case.rule)
        .chars()
        .map(
            |letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '_' },
        )
        .collect();
    let seed = case.origin.seed();
    let mut text = format!(
        "// {}: found by seed {seed}.\n#[test]\nfn {name}_{seed}() {{\n    \
         tidegate_sim::cli::Case::assert_clean(\n        \"\\\n",
        case.rule
    );
    for line in case.to_string().lines() {
        text += &format!("{}\\n\\\n", line.replace('\\', "\\\\").replace('"', "\\\""));
    }
    text + "\",\n    );\n}"
}

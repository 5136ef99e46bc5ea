//! `tidegate-sim replay`.

use super::case::Origin;
use super::run::describe;
use super::twins::Twins;
use super::{BROKEN, CLEAN, Case, NONDETERMINISM, ReplayArgs, panics, usage};
use crate::view;
use crate::world::{Options, Outcome};
use std::io::{BufWriter, Write};
use std::path::Path;

/// A seed, or a case that was written down.
pub(crate) struct Subject {
    /// What its draws follow from.
    pub(crate) origin: Origin,
    /// The case, if it is one.
    pub(crate) case: Option<Case>,
}

impl Subject {
    /// Reads what stands on the command line: a number is a seed, all else a file.
    pub(crate) fn read(what: &str) -> Result<Subject, String> {
        if let Ok(seed) = what.parse::<u64>() {
            return Ok(Subject { origin: Origin::Seed(seed), case: None });
        }
        let case = Case::read(Path::new(what))?;
        Ok(Subject { origin: case.origin.clone(), case: Some(case) })
    }

    /// Refuses a case of two runs that differ: neither of them breaks a rule by itself.
    ///
    /// # Errors
    /// Says where that case is understood.
    pub(crate) fn single(self) -> Result<Subject, String> {
        let twins = self.case.as_ref().and_then(|case| Twins::of(&case.group, &case.rule));
        match twins {
            Some(_) => Err("this case is of two runs that differ: replay compares them".into()),
            None => Ok(self),
        }
    }

    /// How to make the run.
    pub(crate) fn options(&self) -> Options {
        let options = self.case.as_ref().map(Case::options).unwrap_or_default();
        Options { place_of_panic: Some(panics::last_place), ..options }
    }

    /// Makes the run.
    pub(crate) fn run(&self, options: Options) -> Outcome {
        panics::run(self.origin.seed(), options)
    }

    /// A title for people.
    pub(crate) fn title(&self) -> String {
        match &self.origin {
            Origin::Seed(seed) if self.case.as_ref().is_some_and(|c| !c.changes.is_empty()) => {
                format!("a case made of seed {seed}")
            }
            Origin::Seed(seed) => format!("seed {seed}"),
            Origin::Bytes(bytes) => format!("{} bytes", bytes.len()),
        }
    }
}

/// Bytes of the recorder of `--record`, as `tidegate serve` has them where nothing else is said.
const RING: usize = 16 << 20;

/// Replays a seed or a case and prints what came out; the exit code.
pub(crate) fn replay(args: &ReplayArgs) -> u8 {
    // What production recorded is another kind of case. A number is a seed, be there such a file.
    if args.what.parse::<u64>().is_err()
        && let Some(code) = super::lift::replay(args)
    {
        return code;
    }
    let subject = match Subject::read(&args.what) {
        Ok(subject) => subject,
        Err(error) => return usage(&error),
    };
    let mut options = Options { until: args.until, ..subject.options() };
    options.variant = args.variant.or(options.variant);
    if args.html.is_some() || args.pcap.is_some() {
        options.story = Some(args.pcap.is_some());
    }
    options.flight = args.record.is_some().then_some(RING);
    if args.trace {
        let mut out = BufWriter::new(std::io::stdout());
        options.sink = Some(Box::new(move |line| {
            // Whoever closes the pipe has read enough.
            let _ = writeln!(out, "{line}");
        }));
    }
    let outcome = subject.run(options);
    if let Err(error) = write_views(args, &subject, &outcome) {
        return usage(&error);
    }
    let mut out = std::io::stdout().lock();
    let _ = writeln!(
        out,
        "{}: {} events, {} of {} requests completed, hash {:016x}",
        subject.title(),
        outcome.events,
        outcome.completed,
        outcome.requests,
        outcome.hash
    );
    if let Some(case) =
        subject.case.as_ref().filter(|_| args.until.is_none() && args.variant.is_none())
    {
        if let Some(twins) = Twins::of(&case.group, &case.rule) {
            return compared(&mut out, &subject, twins, &outcome);
        }
        if outcome.hash != case.hash {
            let hash = case.hash;
            let _ = writeln!(out, "the case was written by another build: hash {hash:016x}");
        }
    }
    match &outcome.violation {
        Some(violation) => {
            let _ = write!(out, "{}", describe(violation));
            BROKEN
        }
        None => CLEAN,
    }
}

/// Makes the run again that must be the same as `first`; the exit code.
fn compared(out: &mut impl Write, subject: &Subject, twins: Twins, first: &Outcome) -> u8 {
    let (is_same, _) = twins.hold(first, subject.options());
    if is_same {
        let _ = writeln!(out, "{} in this process are the same", twins.name());
        return CLEAN;
    }
    let violation = twins.violation(first, &|| subject.options());
    let _ = write!(out, "{}", describe(&violation));
    NONDETERMINISM
}

fn write_views(args: &ReplayArgs, subject: &Subject, outcome: &Outcome) -> Result<(), String> {
    let write = |path: &Path, bytes: &[u8]| {
        std::fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some((path, bytes)) = args.record.as_ref().zip(outcome.flight.as_ref()) {
        write(path, bytes)?;
    }
    if args.html.is_none() && args.pcap.is_none() {
        return Ok(());
    }
    let story = outcome.story.as_ref().ok_or("this run has no story to draw")?;
    if let Some(path) = &args.html {
        let page = view::timeline(&subject.title(), story, outcome);
        write(path, page.as_bytes())?;
    }
    if let Some(path) = &args.pcap {
        write(path, &view::capture(story, outcome.violation.as_ref()))?;
    }
    Ok(())
}

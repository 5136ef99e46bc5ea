//! `tidegate-sim replay`.

use super::case::Origin;
use super::run::describe;
use super::twins::Twins;
use super::{BROKEN, CLEAN, Case, NONDETERMINISM, ReplayArgs, USAGE, files, panics, usage};
use crate::oracle::{Violation, progress};
use crate::view;
use crate::world::{EVENTS_MAX, Options, Outcome};
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
        if let Some(seed) = seed(what)? {
            return Ok(Subject { origin: Origin::Seed(seed), case: None });
        }
        if super::lift::is_recording(Path::new(what)) {
            return Err(format!("{what}: a flight recording: use `lift` or `replay`"));
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

    /// The file that it was read from, if it is one: that called `what`.
    pub(crate) fn inputs<'a>(&self, what: &'a str) -> Vec<(&'static str, &'a Path)> {
        self.case.iter().map(|_| ("the case", Path::new(what))).collect()
    }

    /// How to make the run.
    pub(crate) fn options(&self) -> Options {
        let options = self.case.as_ref().map(Case::options).unwrap_or_default();
        Options { place_of_panic: Some(panics::last_place), ..options }
    }

    /// Says that `outcome` has not come to what the case is about, if that is only because the case
    /// lets it make too few events: no rule is broken then.
    pub(crate) fn cut_by_limit(&self, outcome: &Outcome) -> Option<String> {
        let case = self.case.as_ref()?;
        let Case { limit, event, group, rule, .. } = case;
        let cut = progress::no_end(*limit);
        let is_cut = outcome.violation.as_ref()?.breach.message.starts_with(&cut);
        let is_wanted = *limit >= EVENTS_MAX || case.message.starts_with(&cut);
        (is_cut && !is_wanted).then(|| {
            format!(
                "the case's `limit {limit}` ends this run before it breaks {group} {rule}, which \
                 the case saw in event {event}: nothing is known of it; a larger limit lets the \
                 run go on"
            )
        })
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

/// The seed that stands on the command line; `None`: it is the name of a file.
fn seed(what: &str) -> Result<Option<u64>, String> {
    if what.is_empty() {
        return Err("neither a seed nor the file of a case is named".into());
    }
    if !what.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    what.parse().map(Some).map_err(|_| format!("{what} is no seed: the last one is {}", u64::MAX))
}

/// Bytes of the recorder of `--record`, as `tidegate serve` has them where nothing else is said.
const RING: usize = 16 << 20;

/// Replays a seed or a case and prints what came out; the exit code.
pub(crate) fn replay(args: &ReplayArgs) -> u8 {
    // What production recorded is another kind of case. A number is a seed, be there such a file.
    if matches!(seed(&args.what), Ok(None))
        && let Some(code) = super::lift::replay(args)
    {
        return code;
    }
    let subject = match Subject::read(&args.what) {
        Ok(subject) => subject,
        Err(error) => return usage(&error),
    };
    if let Err(why) = files::distinct(&subject.inputs(&args.what), &written(args)) {
        return usage(&why);
    }
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
    told(args, &subject, &outcome)
}

/// Prints what came out, beside what the case says if it is one; the exit code.
fn told(args: &ReplayArgs, subject: &Subject, outcome: &Outcome) -> u8 {
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
    if let Some(until) = args.until.filter(|until| is_stopped(*until, outcome)) {
        let case = subject.case.as_ref();
        let breaks = case.map(|case| {
            format!("; the case breaks {} {} in event {}", case.group, case.rule, case.event)
        });
        let breaks = breaks.unwrap_or_default();
        let _ = writeln!(out, "stopped after event {until} as asked{breaks}");
        return CLEAN;
    }
    if let Some(case) = subject.case.as_ref().filter(|_| args.variant.is_none()) {
        if let Some(twins) = Twins::of(&case.group, &case.rule) {
            return compared(&mut out, subject, twins, outcome);
        }
        return held_against(&mut out, subject, case, outcome);
    }
    shown(&mut out, outcome)
}

/// Prints the broken rule, if one is; the exit code.
fn shown(out: &mut impl Write, outcome: &Outcome) -> u8 {
    match &outcome.violation {
        Some(violation) => {
            let _ = write!(out, "{}", describe(violation));
            BROKEN
        }
        None => CLEAN,
    }
}

/// Prints how what came out goes with what `case` says; the exit code.
fn held_against(out: &mut impl Write, subject: &Subject, case: &Case, outcome: &Outcome) -> u8 {
    let rule = format!("{} {}", case.group, case.rule);
    if let Some(cut) = subject.cut_by_limit(outcome) {
        let _ = writeln!(out, "{cut}");
        return USAGE;
    }
    let here = super::case::commit();
    if case.commit != here {
        let _ = writeln!(out, "the case is of commit {}, this is {here}", case.commit);
    } else if outcome.hash != case.hash {
        if !Twins::SameSeed.hold(outcome, subject.options()).0 {
            return differ(out, subject, Twins::SameSeed, outcome);
        }
        let hash = case.hash;
        let _ = writeln!(
            out,
            "the case says hash {hash:016x}, and two runs here are the same: the case was edited{}",
            // Such a name tells of no single tree.
            if has_changes(&here) { ", or the tree was since it was written" } else { "" }
        );
    }
    let is_same = |violation: &Violation| {
        violation.breach.group == case.group && violation.breach.rule == case.rule
    };
    let _ = match &outcome.violation {
        None => writeln!(out, "clean: the case's {rule} is not broken any more"),
        Some(violation) if is_same(violation) => writeln!(out, "as the case says:"),
        Some(_) => writeln!(out, "another rule than the case's {rule}:"),
    };
    shown(out, outcome)
}

/// Whether the run ended behind event `until` for no other reason than that.
fn is_stopped(until: u64, outcome: &Outcome) -> bool {
    outcome.violation.is_none() && outcome.events > until
}

/// Whether builds of the commit that is named so may differ from one another.
fn has_changes(commit: &str) -> bool {
    commit == "unknown" || commit.ends_with("-dirty")
}

/// Makes the run again that must be the same as `first`; the exit code.
fn compared(out: &mut impl Write, subject: &Subject, twins: Twins, first: &Outcome) -> u8 {
    let (is_same, _) = twins.hold(first, subject.options());
    if is_same {
        let _ = writeln!(out, "{} in this process are the same", twins.name());
        return CLEAN;
    }
    differ(out, subject, twins, first)
}

/// Says in what the run that must be the same as `first` was another; the exit code.
fn differ(out: &mut impl Write, subject: &Subject, twins: Twins, first: &Outcome) -> u8 {
    let violation = twins.violation(first, &|| subject.options());
    let _ = write!(out, "{}", describe(&violation));
    NONDETERMINISM
}

/// Files that `args` want written.
fn written(args: &ReplayArgs) -> [(&'static str, Option<&Path>); 3] {
    [
        ("--html", args.html.as_deref()),
        ("--pcap", args.pcap.as_deref()),
        ("--record", args.record.as_deref()),
    ]
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

//! `case.sim`: one failing run, written down so that it can be replayed anywhere.
//!
//! A case is text, a word and a value to a line, in this order; `#` begins a comment:
//!
//! ```text
//! tidegate-sim case 2
//! commit 3f2a1c...
//! seed 3785
//! scenario 2 clusters of 1 and 3 servers, 1 listeners, 4 clients, ...
//! provider fast
//! hash 0123456789abcdef
//! broken answers RES-7
//! message "request 32 ..."
//! event 1080
//! nanos 2698935000
//! limit 3000000
//! draw scenario/depth 0 0 = 1
//! omit client 3
//! end
//! ```
//!
//! Instead of `seed`, `bytes` gives the bytes that choices were taken from, in hexadecimal.
//! `broken` names the checker's group and the rule; `event` is the event at which that was
//! seen, and `limit` how many a replay makes at most. Each `draw` names a site, an entity and a
//! counter (`*`: all of them) and says what is drawn there instead of what the seed says; each
//! `omit` leaves a client, a connection, a request, an episode or an operation out. Without them,
//! the seed says it all. A line `variant NAME` before them says that the world was the second of
//! a pair.

use crate::choice::{Change, Source};
use crate::oracle::Violation;
use crate::oracle::metamorphic::Variant;
use crate::tls::Provider;
use crate::world::{EVENTS_MAX, Options, Outcome, run};
use std::fmt::{self, Write as _};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The version of the format.
const FORMAT: &str = "tidegate-sim case 2";
/// Bytes of a file at most.
const BYTES_MAX: u64 = 64 << 20;

/// What the draws of a run follow from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A seed.
    Seed(u64),
    /// A fuzzer's bytes.
    Bytes(Vec<u8>),
}

impl Origin {
    /// The seed, which bytes do not have.
    pub fn seed(&self) -> u64 {
        match self {
            Origin::Seed(seed) => *seed,
            Origin::Bytes(_) => 0,
        }
    }
}

/// One failing run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Case {
    /// Commit of the build, `unknown` where there is none.
    pub commit: String,
    /// What its draws follow from.
    pub origin: Origin,
    /// Its world in one line; not read by anybody but people.
    pub scenario: String,
    /// The provider of TLS.
    pub provider: Provider,
    /// The trace hash at the end.
    pub hash: u64,
    /// The checker's group.
    pub group: String,
    /// The rule that was broken.
    pub rule: String,
    /// What was seen.
    pub message: String,
    /// The event at which it was seen.
    pub event: u64,
    /// Virtual nanoseconds at that event.
    pub nanos: u64,
    /// Events that a replay makes at most.
    pub limit: u64,
    /// How it differs from the other world of its pair, if it was one.
    pub variant: Option<Variant>,
    /// What is drawn otherwise than the origin says.
    pub changes: Vec<Change>,
}

impl Case {
    /// The case of a run that broke a rule; `None` if it broke none.
    pub fn of(outcome: &Outcome, origin: Origin, changes: &[Change]) -> Option<Case> {
        let violation = outcome.violation.as_ref()?;
        Some(Case::because(outcome, violation, origin, changes))
    }

    /// The case of a run and what is broken in it, be that the run's own violation or that its
    /// twin was another.
    pub(super) fn because(
        outcome: &Outcome,
        violation: &Violation,
        origin: Origin,
        changes: &[Change],
    ) -> Case {
        Case {
            commit: commit(),
            origin,
            scenario: outcome.scenario.clone(),
            provider: outcome.provider,
            hash: outcome.hash,
            group: violation.breach.group.into(),
            rule: violation.breach.rule.into(),
            message: violation.breach.message.clone(),
            event: violation.event,
            nanos: violation.at,
            limit: EVENTS_MAX,
            variant: outcome.variant,
            changes: changes.to_vec(),
        }
    }

    /// How to make the run again.
    pub fn options(&self) -> Options {
        let source = match &self.origin {
            Origin::Bytes(bytes) => Source::Bytes(bytes.clone()),
            Origin::Seed(_) if self.changes.is_empty() => Source::Seed,
            Origin::Seed(_) => Source::Changed(self.changes.iter().collect()),
        };
        Options {
            source,
            provider: Some(self.provider),
            events_max: Some(self.limit),
            variant: self.variant,
            ..Options::default()
        }
    }

    /// Runs the case `text` and panics if it still breaks a rule: for regression tests.
    pub fn assert_clean(text: &str) {
        let case = Case::parse(text).unwrap_or_else(|error| panic!("the case itself: {error}"));
        let outcome = run(case.origin.seed(), case.options());
        assert_eq!(outcome.violation, None, "{}", case.scenario);
    }

    /// The file's name in a directory of cases.
    pub fn file_name(&self) -> String {
        match &self.origin {
            Origin::Seed(seed) => format!("{seed}.case.sim"),
            Origin::Bytes(_) => format!("bytes-{:016x}.case.sim", self.hash),
        }
    }

    /// Writes the case into `dir`; the file's path.
    ///
    /// # Errors
    /// Says in words which file could not be written, and why.
    pub fn write(&self, dir: &Path) -> Result<PathBuf, String> {
        let path = dir.join(self.file_name());
        std::fs::write(&path, self.to_string())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    /// Reads the case in the file at `path`.
    ///
    /// # Errors
    /// Says in words which line of which file makes no sense, and why.
    #[expect(clippy::disallowed_types, reason = "the command reads files")]
    pub fn read(path: &Path) -> Result<Case, String> {
        let say = |error: String| format!("{}: {error}", path.display());
        let mut text = String::new();
        // A device has no size, and no end.
        let read = std::fs::File::open(path)
            .and_then(|file| file.take(BYTES_MAX + 1).read_to_string(&mut text));
        match read {
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                Err(say("no case: it is no text".into()))
            }
            Err(error) => Err(say(error.to_string())),
            Ok(_) if text.len() as u64 > BYTES_MAX => {
                Err(say(format!("more than {BYTES_MAX} bytes are too many for a case")))
            }
            Ok(_) => Case::parse(&text).map_err(say),
        }
    }

    /// Reads what [`Case`]'s `Display` writes.
    ///
    /// # Errors
    /// Says in words which line makes no sense, and why.
    pub fn parse(text: &str) -> Result<Case, String> {
        let mut lines =
            Lines { all: text.lines().enumerate(), line: 0, is_cut: !text.ends_with('\n') };
        lines.header()?;
        let commit = lines.value("commit")?.to_string();
        let origin = lines.origin()?;
        let scenario = lines.value("scenario")?.to_string();
        let provider = match lines.value("provider")? {
            "fast" => Provider::Fast,
            "real" => Provider::Real,
            other => return lines.wrong(&format!("{other:?} is neither `fast` nor `real`")),
        };
        let hash = lines.value("hash")?;
        let hash = match u64::from_str_radix(hash, 16) {
            Ok(value) if hash.len() == 16 => value,
            _ => return lines.wrong("a hash has 16 hexadecimal digits"),
        };
        let broken = lines.value("broken")?;
        let Some((group, rule)) = broken.split_once(' ') else {
            return lines.wrong("a group and a rule");
        };
        let (group, rule) = (group.to_string(), rule.to_string());
        let message = lines.value("message")?;
        let message: String = match serde_json::from_str(message) {
            Ok(message) => message,
            Err(_) => return lines.wrong("a message in quotation marks"),
        };
        let (event, nanos) = (lines.number("event")?, lines.number("nanos")?);
        let limit = lines.number("limit")?;
        let (variant, changes) = lines.changes()?;
        Ok(Case {
            commit,
            origin,
            scenario,
            provider,
            hash,
            group,
            rule,
            message,
            event,
            nanos,
            limit,
            variant,
            changes,
        })
    }
}

struct Lines<'a> {
    all: std::iter::Enumerate<std::str::Lines<'a>>,
    /// The line that was read last, counted from 1.
    line: usize,
    /// The last line has no end: somebody cut the file, or wrote it by hand.
    is_cut: bool,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Result<&'a str, String> {
        for (n, line) in self.all.by_ref() {
            self.line = n + 1;
            let line = line.trim_end();
            if !line.is_empty() && !line.starts_with('#') {
                return Ok(line);
            }
        }
        Err("the file ends before the line `end`: it was cut short".into())
    }

    fn wrong<T>(&self, why: &str) -> Result<T, String> {
        let is_last = self.all.clone().next().is_none();
        let cut =
            if self.is_cut && is_last { "; the file ends here: it was cut short" } else { "" };
        Err(format!("line {}: {why}{cut}", self.line))
    }

    fn header(&mut self) -> Result<(), String> {
        match self.next() {
            Ok(FORMAT) => Ok(()),
            Ok(line) if line.starts_with("tidegate-sim case ") => {
                self.wrong(&format!("{line:?}, but this build reads {FORMAT:?}"))
            }
            _ => Err(format!("line {}: no case: it must begin with {FORMAT:?}", self.line.max(1))),
        }
    }

    fn value(&mut self, name: &str) -> Result<&'a str, String> {
        let line = self.next()?;
        match line.strip_prefix(name) {
            Some("") => Ok(""),
            Some(rest) if rest.starts_with(' ') => Ok(rest.trim_start()),
            _ => self.wrong(&format!("`{name}` must stand here")),
        }
    }

    fn number(&mut self, name: &str) -> Result<u64, String> {
        let text = self.value(name)?;
        text.parse().or_else(|_| self.wrong(&format!("{text:?} is no number")))
    }

    fn origin(&mut self) -> Result<Origin, String> {
        let line = self.next()?;
        if let Some(seed) = line.strip_prefix("seed ") {
            return match seed.parse() {
                Ok(seed) => Ok(Origin::Seed(seed)),
                Err(_) => self.wrong(&format!("{seed:?} is no seed")),
            };
        }
        let Some(hex) = line.strip_prefix("bytes") else {
            return self.wrong("`seed` or `bytes` must stand here");
        };
        match unhex(hex.trim_start()) {
            Some(bytes) => Ok(Origin::Bytes(bytes)),
            None => self.wrong("bytes are pairs of hexadecimal digits"),
        }
    }

    fn changes(&mut self) -> Result<(Option<Variant>, Vec<Change>), String> {
        let (mut variant, mut changes) = (None, Vec::new());
        loop {
            let line = self.next()?;
            if line == "end" {
                break;
            }
            if let Some(name) = line.strip_prefix("variant ") {
                variant = Variant::named(name);
                if variant.is_none() || !changes.is_empty() {
                    return self.wrong(&format!("no place for a variant, or none is {name:?}"));
                }
                continue;
            }
            let change = Change::parse(line).and_then(|change| change.known().map(|()| change));
            changes.push(change.or_else(|why| self.wrong(&why))?);
        }
        match self.next() {
            Ok(_) => self.wrong("nothing may stand behind `end`"),
            Err(_) => Ok((variant, changes)),
        }
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    digits.chunks(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FORMAT}\ncommit {}", self.commit)?;
        match &self.origin {
            Origin::Seed(seed) => writeln!(f, "seed {seed}")?,
            Origin::Bytes(bytes) => {
                let mut hex = String::with_capacity(bytes.len() * 2);
                for byte in bytes {
                    write!(hex, "{byte:02x}")?;
                }
                writeln!(f, "bytes {hex}")?;
            }
        }
        let provider = match self.provider {
            Provider::Fast => "fast",
            Provider::Real => "real",
        };
        // Written as JSON, a message is one line whatever is in it.
        let message = serde_json::Value::from(self.message.as_str());
        writeln!(f, "scenario {}\nprovider {provider}", self.scenario)?;
        writeln!(f, "hash {:016x}\nbroken {} {}", self.hash, self.group, self.rule)?;
        writeln!(f, "message {message}\nevent {}\nnanos {}", self.event, self.nanos)?;
        writeln!(f, "limit {}", self.limit)?;
        if let Some(variant) = self.variant {
            writeln!(f, "variant {variant}")?;
        }
        for change in &self.changes {
            writeln!(f, "{change}")?;
        }
        writeln!(f, "end")
    }
}

/// What the build was told it is made of, or else what `git` says here and now.
pub(super) fn commit() -> String {
    if let Some(known) = option_env!("TIDEGATE_COMMIT").filter(|commit| !commit.is_empty()) {
        return known.into();
    }
    let asked = std::process::Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--abbrev=40", "--dirty"])
        .output();
    let known = asked.ok().filter(|output| output.status.success());
    known.map_or_else(|| "unknown".into(), |o| String::from_utf8_lossy(&o.stdout).trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::What;
    use crate::oracle::{Breach, Violation};

    fn sample() -> Case {
        let options = Options { records: true, ..Options::default() };
        let mut outcome = run(11, options);
        assert_eq!(Case::of(&outcome, Origin::Seed(11), &[]), None, "nothing broke");
        let message = "a \"test\"\nof two lines".into();
        let breach = Breach { group: "bytes", rule: "RES-2", message };
        outcome.violation = Some(Violation { breach, event: 5, at: 7 });
        Case::of(&outcome, Origin::Seed(11), &[]).expect("a case")
    }

    #[test]
    fn a_case_is_written_read_and_replayed() {
        let case = sample();
        let dir = std::env::temp_dir().join(format!("tidegate-case-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory");
        let path = case.write(&dir).expect("a file");
        let read = Case::read(&path);
        std::fs::remove_dir_all(&dir).expect("the file is there");
        let read = read.expect("a case");
        assert_eq!(read, case);
        assert_eq!(run(read.origin.seed(), read.options()).hash, read.hash);
    }

    // What a case says is drawn otherwise is drawn so when it is read and replayed, and no more.
    #[test]
    fn a_change_that_was_written_down_shows_in_the_replay() {
        let recorded = run(7, Options { records: true, ..Options::default() });
        let last = recorded.draws.iter().rposition(|draw| draw.n > 1).expect("a choice");
        let mut changes: Vec<Change> = recorded.draws.iter().map(Change::keeping).collect();
        changes[last].value = (recorded.draws[last].value + 1) % recorded.draws[last].n;
        let case = Case { changes, origin: Origin::Seed(7), ..sample() };
        let read = Case::parse(&case.to_string()).expect("a case");
        assert_eq!(read.changes, case.changes);
        let options = Options { provider: None, records: true, ..read.options() };
        let again = run(7, options);
        assert_eq!(again.draws[..last], recorded.draws[..last]);
        assert_eq!(again.draws[last].value, case.changes[last].value);
    }

    #[test]
    fn what_is_no_case_is_refused_with_its_line() {
        let mut case = sample();
        case.changes =
            vec![Change::new("scenario/depth", What::All, 0), Change::omitting("client", 1)];
        let good = case.to_string();
        let paired = Case { variant: Some(Variant::Copy), ..case.clone() };
        assert_eq!(Case::parse(&paired.to_string()), Ok(paired));
        assert_eq!(Case::parse(&good), Ok(case));
        let with = |from: &str, to: &str| Case::parse(&good.replacen(from, to, 1)).unwrap_err();
        for (from, to, line, why) in [
            ("case 2", "case 9", "line 1", "this build reads"),
            ("tidegate-sim", "hello", "line 1", "no case"),
            ("commit", "comet", "line 2", "`commit`"),
            ("seed 11", "seed eleven", "line 3", "no seed"),
            ("seed 11", "bytes 0g", "line 3", "hexadecimal"),
            ("provider ", "provider un", "line 5", "neither"),
            ("hash ", "hash 0", "line 6", "16"),
            ("broken bytes ", "broken ", "line 7", "a rule"),
            ("message \"", "message ", "line 8", "quotation"),
            ("event 5", "event", "line 9", "no number"),
            ("draw scen", "drew scen", "line 12", "neither `draw`"),
            ("draw scenario", "draw scene", "line 12", "nothing is drawn at \"scene/depth\""),
            (
                "omit client",
                "omit clients",
                "line 13",
                "nothing called \"clients\" can be left out",
            ),
            ("omit client 1", "omit client", "line 13", "a number"),
            ("end\n", "end\nmore\n", "line 15", "behind `end`"),
            ("end\n", "", "", "cut short"),
        ] {
            let error = with(from, to);
            assert!(error.contains(line) && error.contains(why), "{from} -> {to}: {error}");
        }
        assert!(Case::parse("").is_err());
    }

    #[test]
    fn bytes_are_an_origin_too() {
        let case = Case { origin: Origin::Bytes(vec![0, 255, 16]), ..sample() };
        assert!(case.to_string().contains("\nbytes 00ff10\n"));
        assert_eq!(Case::parse(&case.to_string()), Ok(case));
    }
}

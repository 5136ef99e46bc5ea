//! From spanned TOML to the core's plain data, one key at a time.
//!
//! Decoding goes on after a mistake: the key takes its default, so that one run finds them all.
//! Places of what was decoded are kept in [`Spans`], where errors of meaning find their line.

mod cluster;
mod listener;
mod route;
mod section;
mod speech;
mod tls;
mod top;

use super::outside::Outside;
use super::spans::Spans;
use super::{Loaded, Origins};
use crate::diagnostic::{Code, Diagnostic, Severity, SourceText};
use crate::tls::{Memory, Roots};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and where it stands.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// What decoding yields, mistakes or not.
pub(super) struct Outcome {
    /// What was decoded, with defaults for what could not be.
    pub(super) loaded: Loaded,
    /// What was found, in no order.
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Where everything stands.
    pub(super) spans: Spans,
    /// The text is no TOML, so that no question of meaning can be asked.
    pub(super) broken_syntax: bool,
}

/// Decodes the whole text of `source`; relative paths in it start at `base`.
pub(super) fn decode(
    source: &SourceText,
    base: &Path,
    outside: &dyn Outside,
    memory: &Memory,
) -> Outcome {
    let text = source.text.clone();
    let (document, errors) = DeTable::parse_recoverable(&text);
    let mut cx = Cx {
        source,
        base,
        outside,
        memory,
        found: Vec::new(),
        spans: Spans::default(),
        origins: Origins::default(),
        resolved: BTreeMap::new(),
        system_roots: None,
        line_at: (0, 1),
    };
    let mut loaded = top::decode(&mut cx, &document);
    let broken_syntax = !errors.is_empty();
    if broken_syntax {
        let syntax: Vec<Diagnostic> =
            errors.iter().map(|error| syntax_error(source, error)).collect();
        cx.found = with_syntax_errors(cx.found, syntax);
    }
    loaded.origins = cx.origins;
    Outcome { loaded, diagnostics: cx.found, spans: cx.spans, broken_syntax }
}

fn syntax_error(source: &SourceText, error: &toml::de::Error) -> Diagnostic {
    let (what, hint) = match error.message().split_once(", ") {
        Some((what, "expected nothing")) => (what, Some("are quotes missing?".to_owned())),
        Some((what, hint)) => (what, Some(hint.to_owned())),
        None => (error.message(), None),
    };
    let span = error.span().unwrap_or(source.text.len()..source.text.len());
    let diagnostic = Diagnostic::error(Code::Syntax, source, Some(span), what);
    Diagnostic { hint, ..diagnostic }
}

/// `syntax`, and of `found` only what a broken line elsewhere cannot have caused: nothing is
/// called missing, and after a broken table header nothing is called unknown.
fn with_syntax_errors(found: Vec<Diagnostic>, syntax: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let line = |diagnostic: &Diagnostic| diagnostic.position().map_or(0, |(line, _)| line);
    let broken: Vec<usize> = syntax.iter().map(line).collect();
    let header = syntax.iter().any(|diagnostic| {
        let broken = diagnostic.source.text.lines().nth(line(diagnostic).saturating_sub(1));
        broken.is_none_or(|line| line.trim_start().starts_with('['))
    });
    let stands = |diagnostic: &Diagnostic| {
        !header
            && !broken.contains(&line(diagnostic))
            && matches!(
                diagnostic.code,
                Code::UnknownKey
                    | Code::WrongType
                    | Code::NotAChoice
                    | Code::BadDuration
                    | Code::BadSize
                    | Code::OutOfRange
                    | Code::BadAddress
            )
    };
    let mut all = syntax;
    all.extend(found.into_iter().filter(stands));
    all
}

/// What every decoder is given: the outside, and where results other than values go.
struct Cx<'o> {
    source: &'o SourceText,
    base: &'o Path,
    outside: &'o dyn Outside,
    memory: &'o Memory,
    found: Vec<Diagnostic>,
    spans: Spans,
    origins: Origins,
    /// A byte of the text and its line.
    line_at: (usize, usize),
    /// Names that were looked up already: a name costs one question a load.
    resolved: BTreeMap<(String, u16), Result<Vec<SocketAddr>, String>>,
    /// The system's authorities, once a cluster has asked for them.
    system_roots: Option<Result<Roots, String>>,
}

impl Cx<'_> {
    /// Notes an error at `span`.
    fn error(&mut self, code: Code, span: Range<usize>, message: impl Into<String>, hint: &str) {
        let mut diagnostic = Diagnostic::error(code, self.source, Some(span), message);
        if !hint.is_empty() {
            diagnostic = diagnostic.hint(hint);
        }
        self.found.push(diagnostic);
    }

    /// Errors noted so far.
    fn errors(&self) -> usize {
        self.found.iter().filter(|found| found.severity == Severity::Error).count()
    }

    /// Notes a warning at `span`.
    fn warning(&mut self, code: Code, span: Range<usize>, message: impl Into<String>, hint: &str) {
        self.error(code, span, message, hint);
        if let Some(diagnostic) = self.found.last_mut() {
            diagnostic.severity = Severity::Warning;
        }
    }

    /// Notes that something that the file names cannot be read here: an error, unless a rehearsal
    /// has something to take its place.
    fn unreadable(
        &mut self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        why: &str,
    ) {
        match self.outside.stand_ins() {
            None => self.error(code, span, message, why),
            Some(_) => self.warning(code, span, message, &format!("a stand-in is used ({why})")),
        }
    }

    /// The line of the byte at `offset`, from 1. Counts on from the last answer: a file of many
    /// routes is read once, not once a route.
    fn line(&mut self, offset: usize) -> usize {
        let (at, line) = if self.line_at.0 <= offset { self.line_at } else { (0, 1) };
        let between = &self.source.text.as_bytes()[at..offset];
        self.line_at = (offset, line + between.iter().filter(|byte| **byte == b'\n').count());
        self.line_at.1
    }

    /// A path of the file as seen from the root.
    fn path(&self, written: &str) -> PathBuf {
        self.outside.absolute(&self.base.join(written))
    }

    /// Every address of a server's name, in an order that does not depend on the resolver's.
    fn resolve(&mut self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        if let Some(known) = self.resolved.get(&(host.to_owned(), port)) {
            return known.clone();
        }
        let answer = match self.outside.resolve(host, port) {
            Ok(mut addrs) => {
                addrs.sort_unstable();
                addrs.dedup();
                if addrs.is_empty() { Err("it has no address".to_owned()) } else { Ok(addrs) }
            }
            Err(error) => Err(resolver_words(&error)),
        };
        self.resolved.insert((host.to_owned(), port), answer.clone());
        answer
    }
}

fn resolver_words(error: &io::Error) -> String {
    let words = error.to_string();
    match words.split_once("failed to lookup address information: ") {
        Some((_, why)) => why.to_owned(),
        None => words,
    }
}

/// The words that are nearest to `word`, for "did you mean".
pub(super) fn nearest<'a>(word: &str, among: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = word.to_lowercase().replace('-', "_");
    among
        .into_iter()
        .map(|candidate| {
            let likeness = strsim::jaro_winkler(&folded, &candidate.to_lowercase());
            (strsim::damerau_levenshtein(&folded, &candidate.to_lowercase()), likeness, candidate)
        })
        .filter(|(edits, likeness, _)| *edits <= 1 || *likeness >= 0.8)
        .min_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)))
        .map(|(_, _, candidate)| candidate)
}

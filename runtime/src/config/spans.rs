//! Where every part of a configuration stands in its file, and errors of meaning shown there.

use super::decode::{Outcome, Value};
use super::meaning;
use crate::diagnostic::{Severity, SourceText};
use std::collections::BTreeMap;
use std::ops::Range;
use tidegate_core::config::{ConfigError, Place, Problem, validate};
use toml::de::DeTable;

/// One entry of the file: its header or name, and the values of its keys by dotted path.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry {
    /// What to point at when the error is about the whole entry.
    pub(super) head: Range<usize>,
    /// Where the values of its keys stand.
    pub(super) keys: BTreeMap<String, Range<usize>>,
}

impl Entry {
    /// Where `key` stands, or the entry's head when the file does not give it.
    fn at(&self, key: &str) -> Range<usize> {
        let under = self
            .keys
            .iter()
            .find(|(path, _)| path.strip_suffix(key).is_some_and(|before| before.ends_with('.')));
        self.keys.get(key).or(under.map(|(_, span)| span)).unwrap_or(&self.head).clone()
    }
}

/// The side table: in the order of the decoded configuration.
#[derive(Clone, Debug, Default)]
pub(super) struct Spans {
    pub(super) top: Entry,
    pub(super) listeners: Vec<Entry>,
    pub(super) clusters: Vec<Entry>,
    /// Servers of each cluster.
    pub(super) servers: Vec<Vec<Entry>>,
    pub(super) routes: Vec<Entry>,
    /// Where routes that could not be decoded lead: a wrong name is an error all the same.
    pub(super) clusters_named_by_broken_routes: Vec<(Box<str>, Range<usize>)>,
}

impl Entry {
    /// The entry that `value`, a table, is; `head` is its name or header.
    pub(super) fn of(head: Range<usize>, value: &Value<'_>) -> Entry {
        let mut entry = Entry { head, keys: BTreeMap::new() };
        if let Some(table) = value.get_ref().as_table() {
            entry.walk("", table);
        }
        entry
    }

    /// The entry that stands for `key` alone.
    pub(super) fn of_value(key: &str, span: Range<usize>) -> Entry {
        Entry { head: span.clone(), keys: BTreeMap::from([(key.to_owned(), span)]) }
    }

    /// The top of the file, without what has entries of its own.
    pub(super) fn of_top(table: &DeTable<'_>) -> Entry {
        let mut entry = Entry::default();
        for (name, value) in table {
            let name = name.get_ref();
            if !matches!(name.as_ref(), "listener" | "cluster" | "route") {
                entry.add(name, value);
            }
        }
        entry
    }

    fn walk(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            self.add(&format!("{prefix}{}", name.get_ref()), value);
        }
    }

    fn add(&mut self, path: &str, value: &Value<'_>) {
        if let Some(table) = value.get_ref().as_table() {
            self.walk(&format!("{path}."), table);
        }
        self.keys.insert(path.to_owned(), value.span());
    }
}

impl Spans {
    /// Where `place` stands, or what holds it when the file does not give it.
    fn of(&self, place: &Place) -> Range<usize> {
        let at = |entry: Option<&Entry>, key: &str| entry.map_or(0..0, |entry| entry.at(key));
        match *place {
            Place::Top(key) => self.top.at(key),
            Place::Listener(index, key) => at(self.listeners.get(index), key),
            Place::Cluster(index, key) => at(self.clusters.get(index), key),
            Place::Server(cluster, server, key) => {
                at(self.servers.get(cluster).and_then(|entries| entries.get(server)), key)
            }
            Place::Route(index, key) => at(self.routes.get(index), key),
        }
    }
}

/// Adds what the core has to say of the decoded configuration. A place that decoding has already
/// complained about holds a default, which nobody wrote: what is said of it is left out.
pub(super) fn add_errors_of_meaning(outcome: &mut Outcome, source: &SourceText) {
    let decoded = outcome.diagnostics.len();
    let mut errors: Vec<(ConfigError, Range<usize>)> = validate(&outcome.loaded.config)
        .into_iter()
        .map(|error| {
            let span = outcome.spans.of(&error.place);
            (error, span)
        })
        .collect();
    for (name, span) in outcome.spans.clusters_named_by_broken_routes.drain(..) {
        if !outcome.loaded.config.clusters.iter().any(|cluster| cluster.name == name) {
            let problem = Problem::UnknownCluster { name };
            errors.push((ConfigError { place: Place::Top("route"), problem }, span));
        }
    }
    for (error, span) in errors {
        let known = outcome.diagnostics[..decoded].iter().any(|diagnostic| {
            diagnostic.severity == Severity::Error
                && diagnostic.span.as_ref().is_some_and(|other| overlap(other, &span))
        });
        if !known {
            outcome.diagnostics.push(meaning::diagnostic(&error, span, &outcome.loaded, source));
        }
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end.max(b.start + 1) && b.start < a.end.max(a.start + 1)
}

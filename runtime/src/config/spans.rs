//! Where every part of a configuration stands in its file, and errors of meaning shown there.

use super::decode::{Outcome, Value};
use super::meaning::Words;
use crate::diagnostic::{Severity, SourceText};
use std::collections::BTreeMap;
use std::ops::Range;
use tidegate_core::config::{Place, validate};
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
    /// Where `key` stands, and in it `item`, which is one of a list or a key of a table. What
    /// the file does not give is shown at the table that should hold it, or at the entry's head.
    fn at(&self, key: &str, item: Option<&str>) -> Range<usize> {
        let exact = |path: &str| self.keys.get(path);
        // The core calls a timeout by its bare name.
        let nested = || exact(&format!("timeouts.{key}"));
        let parent = || exact(key.rsplit_once('.')?.0);
        item.and_then(|item| {
            exact(&item_path(key, item)).or_else(|| exact(&format!("{key}.{item}")))
        })
        .or_else(|| exact(key))
        .or_else(nested)
        .or_else(parent)
        .unwrap_or(&self.head)
        .clone()
    }
}

/// The path of an item of a list of strings, or of a value in a table of them. No key holds a NUL,
/// so that it is no key's path.
fn item_path(list: &str, item: &str) -> String {
    format!("{list}\0{item}")
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
            if let (Some(list), Some(text)) = (prefix.strip_suffix('.'), value.get_ref().as_str()) {
                self.keys.insert(item_path(list, text), value.span());
            }
        }
    }

    fn add(&mut self, path: &str, value: &Value<'_>) {
        if let Some(table) = value.get_ref().as_table() {
            self.walk(&format!("{path}."), table);
        }
        for item in value.get_ref().as_array().into_iter().flat_map(|list| list.iter()) {
            if let Some(text) = item.get_ref().as_str() {
                // Of equal items the last: it is the one too many.
                self.keys.insert(item_path(path, text), item.span());
            }
        }
        self.keys.insert(path.to_owned(), value.span());
    }
}

impl Spans {
    /// Where `place` stands, and in it `item`; or what holds it when the file does not give it.
    pub(super) fn of(&self, place: &Place, item: Option<&str>) -> Range<usize> {
        let at = |entry: Option<&Entry>, key: &str| entry.map_or(0..0, |entry| entry.at(key, item));
        match *place {
            // These are bounded by another key, which is at fault when they are not given.
            Place::Top("limits.head") if !self.top.keys.contains_key("limits.head") => {
                self.top.at("buffers.size", None)
            }
            Place::Top("limits.target") if !self.top.keys.contains_key("limits.target") => {
                self.top.at("limits.head", None)
            }
            Place::Top(key) => self.top.at(key, item),
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
    let Outcome { loaded, diagnostics, spans, .. } = outcome;
    let decoded: Vec<Range<usize>> = diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.severity == Severity::Error)
        .filter_map(|diagnostic| diagnostic.span.clone())
        .collect();
    let words = Words { config: &loaded.config, spans, source };
    for error in validate(&loaded.config, &loaded.settings) {
        let diagnostic = words.diagnostic(&error);
        let span = diagnostic.span.clone().unwrap_or_default();
        if !decoded.iter().any(|other| overlap(other, &span)) {
            diagnostics.push(diagnostic);
        }
    }
    for (name, span) in &spans.clusters_named_by_broken_routes {
        if !loaded.config.clusters.iter().any(|cluster| cluster.name == *name) {
            diagnostics.push(words.unknown_cluster("route", name, span.clone()));
        }
    }
}

fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end.max(b.start + 1) && b.start < a.end.max(a.start + 1)
}

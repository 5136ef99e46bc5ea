//! A table of the file, and the types its values take.

use super::super::{keys, value};
use super::{Cx, Value, nearest};
use crate::diagnostic::Code;
use std::ops::Range;
use std::time::Duration;
use toml::de::{DeTable, DeValue};

/// One table, whose unknown keys have been reported.
pub(super) struct Section<'a> {
    /// The section's name in [`keys::keys`].
    pub(super) id: &'static str,
    /// What a message calls it: `[listener.web]`.
    pub(super) title: String,
    /// Where a message about a missing key points to.
    pub(super) span: Range<usize>,
    table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// The value of a key; every key asked for must stand in [`keys::keys`].
    pub(super) fn get(&self, key: &str) -> Option<&'a Value<'a>> {
        debug_assert!(keys::of_section(self.id).any(|known| known.name == key), "{key}");
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// Where a key's name stands.
    pub(super) fn key_span(&self, key: &str) -> Option<Range<usize>> {
        self.table.keys().find(|name| name.get_ref() == key).map(|name| name.span())
    }
}

/// Keys and values of a table in file order: name, where the name stands, value.
pub(super) fn in_order<'a>(table: &'a DeTable<'a>) -> Vec<(&'a str, Range<usize>, &'a Value<'a>)> {
    let mut entries: Vec<_> =
        table.iter().map(|(name, value)| (name.get_ref().as_ref(), name.span(), value)).collect();
    entries.sort_by_key(|(_, span, _)| span.start);
    entries
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl Cx<'_> {
    /// Opens `table` as a section and reports its unknown keys.
    pub(super) fn section<'a>(
        &mut self,
        id: &'static str,
        title: impl Into<String>,
        table: &'a DeTable<'a>,
        span: Range<usize>,
    ) -> Section<'a> {
        let title = title.into();
        for (name, at, _) in in_order(table) {
            if keys::of_section(id).any(|key| key.name == name) {
                continue;
            }
            let message = match title.as_str() {
                "" => format!("unknown key \"{name}\""),
                title => format!("unknown key \"{name}\" in {title}"),
            };
            let hint = self.hint_for_unknown(id, name);
            self.error(Code::UnknownKey, at, message, &hint);
        }
        Section { id, title, span, table }
    }

    fn hint_for_unknown(&self, id: &str, name: &str) -> String {
        if keys::LATER.contains(&(id, name)) {
            return "this version cannot do that yet".to_owned();
        }
        if let Some(known) = nearest(name, keys::of_section(id).map(|key| key.name)) {
            return format!("did you mean \"{known}\"?");
        }
        let elsewhere: Vec<String> = keys::keys()
            .filter(|key| key.name == name)
            .map(|key| match key.section {
                "" => "the top of the file".to_owned(),
                section => format!("[{}]", section.trim_end_matches("[]")),
            })
            .collect();
        if !elsewhere.is_empty() {
            return format!("it belongs to {}", elsewhere.join(" or "));
        }
        let known: Vec<&str> = keys::of_section(id).map(|key| key.name).collect();
        format!("known here: {}", known.join(", "))
    }

    /// Notes that `value` has another type than the key takes.
    pub(super) fn wrong_type(&mut self, value: &Value<'_>, expected: &str, hint: &str) {
        let message = format!("expected {expected}, found {}", type_name(value.get_ref()));
        self.error(Code::WrongType, value.span(), message, hint);
    }

    /// Notes that `key` is absent from `section`.
    pub(super) fn missing(&mut self, section: &Section<'_>, key: &str, hint: &str) {
        let message = format!("{} lacks the key \"{key}\"", section.title);
        self.error(Code::MissingKey, section.span.clone(), message, hint);
    }

    pub(super) fn string<'a>(&mut self, value: &'a Value<'a>) -> Option<&'a str> {
        let string = value.get_ref().as_str();
        if string.is_none() {
            self.wrong_type(value, "a string", "in double quotes");
        }
        string
    }

    pub(super) fn boolean(&mut self, value: &Value<'_>) -> Option<bool> {
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.wrong_type(value, "true or false", "without quotes");
        }
        boolean
    }

    /// An integer from `min` to `max`, which is what `T` holds at most.
    pub(super) fn integer<T: TryFrom<u64>>(
        &mut self,
        value: &Value<'_>,
        min: u64,
        max: u64,
    ) -> Option<T> {
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(value, "an integer", "a number without quotes");
            return None;
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let inside = number.filter(|number| (min..=max).contains(number));
        let taken = inside.and_then(|number| T::try_from(number).ok());
        if taken.is_none() {
            let message = format!("{integer} is out of range");
            let hint = format!("a number from {min} to {max}");
            self.error(Code::OutOfRange, value.span(), message, &hint);
        }
        taken
    }

    pub(super) fn duration(&mut self, value: &Value<'_>) -> Option<Duration> {
        let hint = "a number and a unit, like \"500ms\", \"10s\", \"1m\" or \"1h\"";
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(value, "a span of time", hint);
            return None;
        };
        let span = value::duration(text);
        if span.is_none() {
            let message = format!("\"{text}\" is not a span of time from 1ms to 366d");
            self.error(Code::BadDuration, value.span(), message, hint);
        }
        span
    }

    /// A span of time, or `"off"`.
    pub(super) fn duration_or_off(&mut self, value: &Value<'_>) -> Option<Option<Duration>> {
        if value.get_ref().as_str() == Some("off") {
            return Some(None);
        }
        self.duration(value).map(Some)
    }

    /// A size of at least one byte.
    pub(super) fn size(&mut self, value: &Value<'_>) -> Option<u64> {
        let hint = "a number and a unit, like \"512B\", \"16KiB\" or \"10MB\"";
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(value, "a size", hint);
            return None;
        };
        let size = value::size(text).filter(|size| *size > 0 && usize::try_from(*size).is_ok());
        if size.is_none() {
            let message = format!("\"{text}\" is not a size above zero");
            self.error(Code::BadSize, value.span(), message, hint);
        }
        size
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        value: &Value<'_>,
        choices: &[(&str, T)],
    ) -> Option<T> {
        let text = self.string(value)?;
        if let Some((_, chosen)) = choices.iter().find(|(word, _)| *word == text) {
            return Some(*chosen);
        }
        self.not_a_choice(value, text, choices.iter().map(|(word, _)| *word));
        None
    }

    /// Notes that `text` is none of `words`.
    pub(super) fn not_a_choice<'w>(
        &mut self,
        value: &Value<'_>,
        text: &str,
        words: impl Iterator<Item = &'w str> + Clone,
    ) {
        let listed: Vec<String> = words.clone().map(|word| format!("\"{word}\"")).collect();
        let hint = match nearest(&text.replace('_', "-"), words) {
            Some(word) => format!("did you mean \"{word}\"?"),
            None => format!("write {}", one_of(&listed)),
        };
        let message = format!("\"{text}\" is not {}", one_of(&listed));
        self.error(Code::NotAChoice, value.span(), message, &hint);
    }

    pub(super) fn list<'a>(&mut self, value: &'a Value<'a>) -> Option<&'a [Value<'a>]> {
        let list = value.get_ref().as_array();
        if list.is_none() {
            self.wrong_type(value, "a list", "in square brackets");
        }
        list.map(|list| &**list)
    }

    /// Strings of a list, with their values.
    pub(super) fn strings<'a>(&mut self, value: &'a Value<'a>) -> Vec<(&'a str, &'a Value<'a>)> {
        let list = self.list(value).unwrap_or_default();
        list.iter().filter_map(|item| Some((self.string(item)?, item))).collect()
    }

    pub(super) fn table<'a>(&mut self, value: &'a Value<'a>) -> Option<&'a DeTable<'a>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(value, "a table", "like { key = value }");
        }
        table
    }

    /// The tables under the names in `value`, in file order; `kind` is what they are.
    pub(super) fn named<'a>(
        &mut self,
        kind: &str,
        value: &'a Value<'a>,
    ) -> Vec<(&'a str, Range<usize>, &'a Value<'a>)> {
        let hint = format!("begin with [{kind}.NAME], NAME being of your choice");
        let Some(table) = value.get_ref().as_table() else {
            self.wrong_type(value, "a table", &hint);
            return Vec::new();
        };
        let mut named = in_order(table);
        named.retain(|(_, _, value)| {
            let is_table = value.get_ref().is_table();
            if !is_table {
                self.wrong_type(value, &format!("a {kind}"), &hint);
            }
            is_table
        });
        named
    }

    /// The section that `value` holds.
    pub(super) fn subsection<'a>(
        &mut self,
        id: &'static str,
        title: impl Into<String>,
        value: &'a Value<'a>,
    ) -> Option<Section<'a>> {
        let table = self.table(value)?;
        Some(self.section(id, title, table, value.span()))
    }
}

/// `a`, `a or b`, `a, b or c`.
fn one_of(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

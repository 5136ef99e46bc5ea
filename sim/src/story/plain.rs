//! What derived `Debug` writes, as people say it: fields that say something, and nothing of how the
//! source spells them.

use super::words::clock;

/// A value as `Debug` writes it.
enum Value<'a> {
    /// A number, a name without anything behind it, a time.
    Atom(&'a str),
    /// In quotation marks, as they stand.
    Quoted(&'a str),
    /// `Name(a, b)`, `(a, b)` and `[a, b]`.
    Several(&'a str, Vec<Value<'a>>),
    /// `Name { a: b }`.
    Fields(Vec<(&'a str, Value<'a>)>),
}

/// `text` with what is written as `Name { .. }` at its end in words; other text as it stands.
pub(super) fn plain(text: &str) -> String {
    if !text.contains(" { ") {
        return text.to_string();
    }
    let starts = [0].into_iter().chain(text.match_indices(' ').map(|(at, _)| at + 1));
    for at in starts {
        let mut rest = &text[at..];
        if rest.starts_with(|c: char| c.is_ascii_uppercase())
            && let Some(value) = value(&mut rest)
            && rest.is_empty()
            && !matches!(value, Value::Atom(_))
        {
            let said = said(&value).unwrap_or_else(|| "nothing special".into());
            return format!("{}{said}", &text[..at]);
        }
    }
    text.to_string()
}

fn value<'a>(rest: &mut &'a str) -> Option<Value<'a>> {
    if rest.starts_with('"') {
        return quoted(rest);
    }
    if let Some(address) = address(rest) {
        return Some(Value::Atom(address));
    }
    let name = taken(rest, |c| !"{}()[], \"".contains(c));
    if let Some(behind) = rest.strip_prefix(" {").filter(|_| !name.is_empty()) {
        *rest = behind;
        return fields(rest);
    }
    for (open, close) in [('(', ')'), ('[', ']')] {
        if let Some(behind) = rest.strip_prefix(open) {
            *rest = behind;
            return Some(Value::Several(name, several(rest, close)?));
        }
    }
    (!name.is_empty()).then_some(Value::Atom(name))
}

/// Takes an address of IPv6 with its port, whose brackets are no list.
fn address<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let inner = rest.strip_prefix('[')?.split("]:").next()?;
    let is_of = |c: char| c.is_ascii_hexdigit() || ":.%".contains(c);
    let end = inner.len() + 2;
    if !inner.chars().all(is_of) || rest.as_bytes().get(end) != Some(&b':') {
        return None;
    }
    let port = rest[end + 1..].find(|c: char| !c.is_ascii_digit());
    let (address, behind) = rest.split_at(port.map_or(rest.len(), |n| end + 1 + n));
    *rest = behind;
    Some(address)
}

/// Takes letters as long as `is_of` says so.
fn taken<'a>(rest: &mut &'a str, is_of: impl Fn(char) -> bool) -> &'a str {
    let end = rest.find(|c| !is_of(c)).unwrap_or(rest.len());
    let (taken, behind) = rest.split_at(end);
    *rest = behind;
    taken
}

fn quoted<'a>(rest: &mut &'a str) -> Option<Value<'a>> {
    let mut is_escaped = false;
    let end = rest.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    let (quoted, behind) = rest.split_at(end?.0 + 1);
    *rest = behind;
    Some(Value::Quoted(quoted))
}

fn several<'a>(rest: &mut &'a str, close: char) -> Option<Vec<Value<'a>>> {
    let mut all = Vec::new();
    loop {
        if let Some(behind) = rest.strip_prefix(close) {
            *rest = behind;
            return Some(all);
        }
        all.push(value(rest)?);
        *rest = rest.strip_prefix(", ").or_else(|| rest.strip_prefix(',')).unwrap_or(rest);
    }
}

fn fields<'a>(rest: &mut &'a str) -> Option<Value<'a>> {
    let mut all = Vec::new();
    loop {
        *rest = rest.strip_prefix(' ').unwrap_or(rest);
        if let Some(behind) = rest.strip_prefix('}') {
            *rest = behind;
            return Some(Value::Fields(all));
        }
        let name = taken(rest, |c| c.is_ascii_alphanumeric() || c == '_');
        *rest = rest.strip_prefix(": ").filter(|_| !name.is_empty())?;
        all.push((name, value(rest)?));
        *rest = rest.strip_prefix(',').unwrap_or(rest);
    }
}

/// A value in words; `None` if it is what it is where nothing is special.
fn said(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Atom("None" | "false" | "0" | "0ns" | "_") | Value::Quoted("\"\"") => None,
        Value::Atom(word) | Value::Quoted(word) => Some(spaced(word)),
        // Being there is something, even as 0.
        Value::Several("Some", all) if all.len() == 1 => said(&all[0]).or_else(|| match all[0] {
            Value::Atom("false") => Some("no".into()),
            Value::Atom(word) => Some(word.into()),
            _ => Some("nothing special".into()),
        }),
        Value::Several("Time", all) if all.len() == 1 => {
            let at = zero(&all[0]);
            Some(at.parse().map_or_else(|_| at.into(), clock))
        }
        Value::Several(name, all) => {
            let words = |value: &Value<'_>| said(value).unwrap_or_else(|| zero(value).into());
            let all: Vec<String> = all.iter().map(words).collect();
            match (name.is_empty(), all.is_empty()) {
                (true, true) => None,
                (true, false) => Some(all.join(" and ")),
                (false, true) => Some(spaced(name)),
                (false, false) => Some(format!("{} {}", spaced(name), all.join(" and "))),
            }
        }
        Value::Fields(all) => {
            let all: Vec<String> = all.iter().filter_map(|(name, it)| field(name, it)).collect();
            (!all.is_empty()).then(|| all.join(", "))
        }
    }
}

/// A value that is said though nothing is special about it.
fn zero<'a>(value: &Value<'a>) -> &'a str {
    match *value {
        Value::Atom(word) | Value::Quoted(word) => word,
        Value::Several(..) | Value::Fields(_) => "nothing special",
    }
}

fn field(name: &str, value: &Value<'_>) -> Option<String> {
    // As long as a line, and of no use to whoever reads it.
    let words = said(value).filter(|_| name != "request_id")?;
    let name = name.strip_prefix("is_").or_else(|| name.strip_prefix("has_")).unwrap_or(name);
    let name = name.replace('_', " ");
    Some(match value {
        Value::Atom("true") => name,
        Value::Fields(_) => format!("{name} ({words})"),
        _ => format!("{name} {words}"),
    })
}

/// A name such as `SlowHead` as words; what is no name stays.
fn spaced(name: &str) -> String {
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
        && name.contains(|c: char| c.is_ascii_lowercase());
    if !is_name {
        return name.into();
    }
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_lowercase());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_core::event::{AccessRecord, Event};

    #[derive(Debug)]
    #[expect(dead_code, reason = "shown and not read")]
    struct Sample {
        depth: u64,
        drips: Option<u64>,
        is_silent: bool,
        host: &'static str,
        slow_read: Option<(usize, u64)>,
        how: Option<Inner>,
        which: Which,
        seen: Vec<u8>,
    }

    #[derive(Debug)]
    #[expect(dead_code, reason = "shown and not read")]
    struct Inner {
        offset: u8,
    }

    #[derive(Debug)]
    enum Which {
        BothCiphers,
    }

    #[test]
    fn what_debug_writes_is_said_in_words() {
        let usual = Sample {
            depth: 0,
            drips: None,
            is_silent: false,
            host: "",
            slow_read: None,
            how: None,
            which: Which::BothCiphers,
            seen: Vec::new(),
        };
        let words = |sample: &Sample| plain(&format!("begins connection 3: {sample:?}"));
        assert_eq!(words(&usual), "begins connection 3: which both ciphers");
        let special = Sample {
            depth: 2,
            drips: Some(0),
            is_silent: true,
            host: "a \"b\", c",
            slow_read: Some((64, 0)),
            how: Some(Inner { offset: 7 }),
            seen: vec![1, 2],
            ..usual
        };
        let all = "begins connection 3: depth 2, drips 0, silent, host \"a \\\"b\\\", c\", \
                   slow read 64 and 0, how offset 7, which both ciphers, seen 1 and 2";
        assert_eq!(words(&special), all);
        assert_eq!(plain(&format!("{:?}", Inner { offset: 0 })), "nothing special");
        let client = "[2001:db8::3]:2034".parse().ok();
        let record = AccessRecord { request_id: 7, status: 503, client, ..AccessRecord::default() };
        let words = plain(&format!("{:?}", Event::Access(record)));
        assert!(words.starts_with("access ") && words.contains("status 503"), "{words}");
        assert!(words.contains(", client [2001:db8::3]:2034, "), "{words}");
        assert!(words.contains("start 0.000000 s") && !words.contains("request id"), "{words}");
        assert_eq!(plain(&format!("ends: {:?}", Some(Inner { offset: 1 }))), "ends: offset 1");
    }

    #[test]
    fn other_text_stays_as_it_is() {
        for text in
            ["asks request 3", "GET { x", "a { b: c }", "A { b: c } and more", "X { 1 }", ""]
        {
            assert_eq!(plain(text), text);
        }
    }
}

//! `[listener.NAME]`, and the answers that clusters and routes share with it.

use super::super::spans::Entry;
use super::super::value::{self, Written};
use super::section::{Section, in_order};
use super::speech::{protocol, proxy_header};
use super::top::set;
use super::{Cx, Value, tls};
use crate::diagnostic::Code;
use std::ops::Range;
use tidegate_core::config::{
    AnswerBody, Answers, Config, HostPattern, Listener, Protocol, TimeoutOverrides, Timeouts,
};
use tidegate_core::input::Address;

/// Bytes of an answer's file at most.
const ANSWER_BYTES_MAX: u64 = 256 << 10;

/// Decodes one listener and adds it to `config`.
pub(super) fn decode(
    cx: &mut Cx<'_>,
    name: &str,
    at: Range<usize>,
    value: &Value<'_>,
    config: &mut Config,
) {
    let title = format!("[listener.{name}]");
    let Some(section) = cx.subsection("listener.NAME", title, value) else { return };
    cx.spans.listeners.push(Entry::of(at, value));
    let mut listener = Listener::new(name, Vec::new());
    match section.get("bind") {
        Some(value) => listener.binds = binds(cx, value),
        None => cx.missing(&section, "bind", "add an address, like bind = \"127.0.0.1:8080\""),
    }
    listener.protocol = protocol(cx, &section);
    let http = listener.protocol == Protocol::Http;
    if let Some(value) = section.get("tls") {
        listener.tls = tls::of_listener(cx, &section, name, value, http);
    }
    limits(cx, &section, &mut listener);
    proxy_header(cx, &section, &mut listener);
    if let Some(value) = section.get("answers") {
        listener.answers = answers(cx, &format!("listener.{name}.answers"), value);
    }
    if let Some(value) = section.get("timeouts") {
        let of = Timeouts::OF_LISTENER;
        listener.timeouts = overrides(cx, "listener.NAME.timeouts", &section, value, of);
    }
    config.listeners.push(listener);
}

fn limits(cx: &mut Cx<'_>, section: &Section<'_>, listener: &mut Listener) {
    if let Some(value) = section.get("max_body") {
        let size = match value.get_ref().as_str() {
            Some("off") => Some(None),
            _ => cx.size(value).map(Some),
        };
        set(&mut listener.max_body, size);
    }
    if let Some(value) = section.get("abort_on_close") {
        set(&mut listener.abort_on_close, cx.boolean(value));
    }
    if let Some(value) = section.get("backlog") {
        set(&mut listener.backlog, cx.integer(value, 1, 1 << 30));
    }
    if let Some(value) = section.get("max_connections_per_ip") {
        set(&mut listener.max_connections_per_ip, limit(cx, value));
    }
}

/// A number of connections, or `"off"`.
pub(super) fn limit(cx: &mut Cx<'_>, value: &Value<'_>) -> Option<Option<u32>> {
    match value.get_ref().as_str() {
        Some("off") => Some(None),
        _ => cx.integer(value, 1, u64::from(u32::MAX)).map(Some),
    }
}

/// A host name, `*.` and a suffix, or `*`: in lower case and without trailing dot.
pub(super) fn host_pattern(text: &str) -> HostPattern {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('.').unwrap_or(&text);
    match text.strip_prefix("*.") {
        _ if text == "*" => HostPattern::Any,
        Some(suffix) => HostPattern::Wildcard(suffix.into()),
        None => HostPattern::Exact(text.into()),
    }
}

fn binds(cx: &mut Cx<'_>, value: &Value<'_>) -> Vec<Address> {
    let single = value.get_ref().is_str();
    if !single && !value.get_ref().is_array() {
        cx.wrong_type(value, "an address or a list of them", "like \"127.0.0.1:8080\"");
        return Vec::new();
    }
    let values = if single { std::slice::from_ref(value) } else { cx.list(value).unwrap_or(&[]) };
    if values.is_empty() {
        let hint = "add an address, like \"127.0.0.1:8080\"";
        cx.error(Code::MissingKey, value.span(), "the list of addresses is empty", hint);
    }
    values.iter().filter_map(|value| bind(cx, value)).collect()
}

fn bind(cx: &mut Cx<'_>, value: &Value<'_>) -> Option<Address> {
    let text = cx.string(value)?;
    let hint = match value::address(text) {
        Ok(Written::Ready(address)) => return Some(address),
        Ok(Written::Name(host, port)) if host == "localhost" => {
            format!("write \"127.0.0.1:{port}\" or \"[::1]:{port}\"")
        }
        Ok(Written::Name(_, port)) => format!("an IP address, like \"0.0.0.0:{port}\""),
        Err(hint) => hint,
    };
    let message = format!("\"{text}\" is not an address to listen on");
    cx.error(Code::BadAddress, value.span(), message, &hint);
    None
}

/// Timeouts of a listener or a cluster: those named in `of`.
pub(super) fn overrides(
    cx: &mut Cx<'_>,
    id: &'static str,
    parent: &Section<'_>,
    value: &Value<'_>,
    of: &[&str],
) -> TimeoutOverrides {
    let mut overrides = TimeoutOverrides::default();
    let title = format!("{}.timeouts]", parent.title.trim_end_matches(']'));
    if let Some(section) = cx.subsection(id, title, value) {
        for name in of {
            if let Some(value) = section.get(name)
                && let Some(span) = cx.duration(value)
            {
                overrides.set(name, span);
            }
        }
    }
    overrides
}

/// A table of statuses and files; `path` is the table's path, for [`super::Origins`].
pub(super) fn answers(cx: &mut Cx<'_>, path: &str, value: &Value<'_>) -> Answers {
    let mut answers = Answers::new();
    let Some(table) = cx.table(value) else { return answers };
    for (status, at, value) in in_order(table) {
        let body = answer_body(cx, &format!("{path}.{status}"), value);
        match status.parse::<u16>() {
            Ok(status) => {
                if let Some(body) = body {
                    answers.insert(status, body);
                }
            }
            Err(_) => {
                let message = format!("\"{status}\" is not a status");
                cx.error(Code::UnknownKey, at, message, "a number, like 503 = \"503.html\"");
            }
        }
    }
    answers
}

/// The file named by `value`, read whole; `path` is its key's path.
pub(super) fn answer_body(cx: &mut Cx<'_>, path: &str, value: &Value<'_>) -> Option<AnswerBody> {
    let written = cx.string(value)?;
    let file = cx.path(written);
    let bytes = match cx.outside.read(&file, ANSWER_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("cannot read the answer \"{written}\"");
            cx.unreadable(Code::AnswerUnreadable, value.span(), message, &error.to_string());
            cx.outside.stand_ins()?;
            b"a stand-in for an answer".to_vec()
        }
    };
    let content_type = match file.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => "text/html; charset=utf-8",
        Some("json") => "application/json",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    };
    cx.origins.answers.insert(path.to_owned(), file);
    Some(AnswerBody { content_type: content_type.into(), bytes: bytes.into() })
}

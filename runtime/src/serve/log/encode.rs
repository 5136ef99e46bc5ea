//! One access record as one line: JSON, or `key=value` text with the same keys.

use super::line::Line;
use super::names::Names;
use crate::config::LogFormat;
use std::time::Duration;
use tidegate_core::event::{AccessRecord, Phase, Text, Who};

struct Fields<'a, 'b> {
    line: &'a mut Line<'b>,
    format: LogFormat,
    first: bool,
}

impl Fields<'_, '_> {
    fn key(&mut self, key: &str) {
        match (self.format, std::mem::replace(&mut self.first, false)) {
            (LogFormat::Json, true) => self.line.put(b"{\""),
            (LogFormat::Json, false) => self.line.put(b",\""),
            (LogFormat::Text, true) => {}
            (LogFormat::Text, false) => self.line.put(b" "),
        }
        self.line.put(key.as_bytes());
        self.line.put(if self.format == LogFormat::Json { b"\":" } else { b"=" });
    }

    fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        self.line.decimal(value);
    }

    fn boolean(&mut self, key: &str, value: bool) {
        self.key(key);
        self.line.put(if value { b"true" } else { b"false" });
    }

    /// A value that needs no escaping, or was escaped before.
    fn plain(&mut self, key: &str, write: impl FnOnce(&mut Line<'_>)) {
        self.key(key);
        self.line.put(b"\"");
        write(self.line);
        self.line.put(b"\"");
    }

    fn name(&mut self, key: &str, name: Option<&str>) {
        match name {
            Some(name) => self.plain(key, |line| line.put(name.as_bytes())),
            None => self.absent(key),
        }
    }

    fn absent(&mut self, key: &str) {
        self.key(key);
        self.line.put(if self.format == LogFormat::Json { b"null" } else { b"-" });
    }

    /// What a peer sent: escaped, and with an ellipsis where it was cut. Escaped text is ASCII,
    /// so that no peer can send one.
    fn text<const N: usize>(&mut self, key: &str, text: &Text<N>) {
        self.plain(key, |line| {
            line.escaped(text.as_bytes());
            if text.is_cut() {
                line.put("…".as_bytes());
            }
        });
    }

    fn span(&mut self, key: &str, span: Duration) {
        self.key(key);
        let micros = span.as_micros() as u64;
        self.line.decimal(micros / 1000);
        self.line.put(b".");
        self.line.padded(micros % 1000, 3);
    }
}

/// Writes `record` as one line that ends in a line feed. `names` are those of the record's
/// version; `unix_millis` is its start on the wall clock.
pub(crate) fn access(
    line: &mut Line<'_>,
    format: LogFormat,
    record: &AccessRecord,
    names: Option<&Names>,
    unix_millis: i64,
) {
    let mut fields = Fields { line, format, first: true };
    fields.plain("time", |line| line.date(unix_millis));
    fields.number("session", record.session);
    fields.number("request", u64::from(record.request));
    fields.plain("request_id", |line| line.hex(record.request_id));
    places(&mut fields, record, names);
    fields.number("attempts", u64::from(record.attempts));
    fields.boolean("reused", record.reused);
    match record.client {
        Some(client) => fields.plain("client", |line| line.display(client)),
        None => fields.plain("client", |line| line.put(b"unix")),
    }
    fields.text("method", &record.method);
    fields.text("host", &record.host);
    fields.text("path", &record.path);
    fields.plain("version", |line| {
        line.put(b"1.");
        line.decimal(u64::from(record.minor));
    });
    fields.number("status", u64::from(record.status));
    fields.number("received_bytes", record.received);
    fields.number("sent_bytes", record.sent);
    fields.span("head_ms", record.head);
    fields.span("queue_ms", record.queue);
    fields.span("connect_ms", record.connect);
    fields.span("wait_ms", record.wait);
    fields.span("transfer_ms", record.transfer);
    fields.plain("ended_by", |line| line.put(who(record.ending.who).as_bytes()));
    fields.plain("phase", |line| line.put(phase(record.ending.phase).as_bytes()));
    match record.ending.timer {
        Some(timer) => fields.plain("timer", |line| line.put(timer.name().as_bytes())),
        None => fields.absent("timer"),
    }
    line.put(if format == LogFormat::Json { b"}\n" } else { b"\n" });
}

fn places(fields: &mut Fields<'_, '_>, record: &AccessRecord, names: Option<&Names>) {
    fields.name("listener", names.zip(record.listener).and_then(|(names, of)| names.listener(of)));
    fields.name("route", names.zip(record.route).and_then(|(names, of)| names.route(of)));
    fields.name("cluster", names.zip(record.cluster).and_then(|(names, of)| names.cluster(of)));
    let server = names.zip(record.cluster.zip(record.server));
    fields.name("server", server.and_then(|(names, (of, index))| names.server(of, index)));
}

fn who(who: Who) -> &'static str {
    match who {
        Who::Nobody => "nobody",
        Who::Client => "client",
        Who::Backend => "backend",
        Who::Proxy => "proxy",
        Who::Timeout => "timeout",
        Who::Admin => "admin",
    }
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::RequestHead => "request head",
        Phase::Connect => "connect",
        Phase::RequestBody => "request body",
        Phase::ResponseHead => "response head",
        Phase::ResponseBody => "response body",
        Phase::Complete => "complete",
    }
}

#[cfg(test)]
mod tests;

//! One access record as one line: JSON, or `key=value` text with the same keys.
//!
//! A line costs some hundred nanoseconds on the worker's thread, so what is known before is
//! prepared: keys with all that surrounds them, names with their escapes, the second of the date.

use super::line::{Line, SECOND_BYTES};
use super::names::Names;
use crate::config::LogFormat;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tidegate_core::event::{AccessRecord, Phase, Text, Who};
use tidegate_core::tls::{TlsFacts, TlsVersion};

/// A key as each format writes it, with what stands between it and the value before.
struct Key {
    json: &'static [u8],
    text: &'static [u8],
}

macro_rules! key {
    ($name:literal) => {
        Key {
            json: concat!(",\"", $name, "\":").as_bytes(),
            text: concat!(" ", $name, "=").as_bytes(),
        }
    };
}

/// As [`key!`], with the quote that begins its value.
macro_rules! quoted {
    ($name:literal) => {
        Key {
            json: concat!(",\"", $name, "\":\"").as_bytes(),
            text: concat!(" ", $name, "=\"").as_bytes(),
        }
    };
}

/// Writes access records; one a worker.
pub(crate) struct Encoder {
    format: LogFormat,
    /// The last second that was written, since the Unix epoch, and how.
    second: i64,
    date: Vec<u8>,
}

impl Encoder {
    pub(crate) fn new(format: LogFormat) -> Encoder {
        let mut encoder = Encoder { format, second: 0, date: Vec::with_capacity(SECOND_BYTES) };
        encoder.render_second();
        encoder
    }

    /// Writes `record` as one line that ends in a line feed. `names` are those of the record's
    /// version; `unix_millis` is its start on the wall clock.
    pub(crate) fn access(
        &mut self,
        line: &mut Line<'_>,
        record: &AccessRecord,
        names: Option<&Names>,
        unix_millis: i64,
    ) {
        let second = unix_millis.div_euclid(1000);
        if second != self.second {
            self.second = second;
            self.render_second();
        }
        let millis = unix_millis.rem_euclid(1000) as u64;
        match self.format {
            LogFormat::Json => {
                line.put(b"{\"time\":\"");
                line.put(&self.date);
                line.padded::<3>(millis);
                whole(&mut Fields::<true> { line }, record, names);
                line.put(b"}\n");
            }
            LogFormat::Text => {
                line.put(b"time=\"");
                line.put(&self.date);
                line.padded::<3>(millis);
                whole(&mut Fields::<false> { line }, record, names);
                line.put(b"\n");
            }
        }
    }

    fn render_second(&mut self) {
        self.date.clear();
        Line::new(&mut self.date).second(self.second);
    }
}

/// A line in JSON, or in text.
struct Fields<'a, 'b, const JSON: bool> {
    line: &'a mut Line<'b>,
}

impl<const JSON: bool> Fields<'_, '_, JSON> {
    // Inlined, so that a key is stored as a constant.
    #[inline(always)]
    fn key(&mut self, key: Key) {
        self.line.put(if JSON { key.json } else { key.text });
    }

    #[inline(always)]
    fn number(&mut self, key: Key, value: u64) {
        self.key(key);
        self.line.decimal(value);
    }

    /// A value that needs no escaping, or was escaped before.
    #[inline(always)]
    fn word(&mut self, quoted: Key, word: &str) {
        self.key(quoted);
        self.line.put(word.as_bytes());
        self.line.put(b"\"");
    }

    #[inline(always)]
    fn absent(&mut self, key: Key) {
        self.key(key);
        self.line.put(if JSON { b"null" } else { b"-" });
    }

    /// What a peer sent: escaped, and with an ellipsis where it was cut. Escaped text is ASCII,
    /// so that no peer can send one.
    #[inline(always)]
    fn text<const N: usize>(&mut self, quoted: Key, text: &Text<N>) {
        self.key(quoted);
        self.line.escaped(text.as_bytes());
        if text.is_cut() {
            self.line.put("…".as_bytes());
        }
        self.line.put(b"\"");
    }

    #[inline(always)]
    fn span(&mut self, key: Key, span: Duration) {
        self.key(key);
        // Beyond 584,000 years a span would wrap.
        let micros = span.as_micros() as u64;
        self.line.decimal(micros / 1000);
        self.line.put(b".");
        self.line.padded::<3>(micros % 1000);
    }
}

/// Writes a name, or that there is none.
macro_rules! name {
    ($fields:expr, $key:literal, $name:expr) => {
        match $name {
            Some(name) => $fields.word(quoted!($key), name),
            None => $fields.absent(key!($key)),
        }
    };
}

/// All fields behind the time's digits.
fn whole<const JSON: bool>(
    fields: &mut Fields<'_, '_, JSON>,
    record: &AccessRecord,
    names: Option<&Names>,
) {
    fields.line.put(b"Z\"");
    fields.number(key!("session"), record.session);
    fields.number(key!("request"), u64::from(record.request));
    if record.tcp {
        fields.absent(key!("request_id"));
    } else {
        fields.key(quoted!("request_id"));
        fields.line.hex(record.request_id);
        fields.line.put(b"\"");
    }
    places(fields, record, names);
    fields.number(key!("attempts"), u64::from(record.attempts));
    fields.key(key!("reused"));
    fields.line.put(if record.reused { b"true" } else { b"false" });
    fields.key(quoted!("client"));
    client(fields.line, record.client);
    fields.line.put(b"\"");
    fields.word(quoted!("protocol"), if record.tcp { "tcp" } else { "http" });
    tls(fields, record.tls.as_ref());
    if record.tcp {
        // There was no request, and so none of these; a name that TLS asked for there may be.
        fields.absent(key!("method"));
        fields.text(quoted!("host"), &record.host);
        fields.absent(key!("path"));
        fields.absent(key!("version"));
        fields.absent(key!("status"));
    } else {
        fields.text(quoted!("method"), &record.method);
        fields.text(quoted!("host"), &record.host);
        fields.text(quoted!("path"), &record.path);
        fields.key(quoted!("version"));
        fields.line.put(b"1.");
        fields.line.decimal(u64::from(record.minor));
        fields.line.put(b"\"");
        fields.number(key!("status"), u64::from(record.status));
    }
    fields.number(key!("received_bytes"), record.received);
    fields.number(key!("sent_bytes"), record.sent);
    fields.span(key!("head_ms"), record.head);
    fields.span(key!("queue_ms"), record.queue);
    fields.span(key!("connect_ms"), record.connect);
    fields.span(key!("wait_ms"), record.wait);
    fields.span(key!("transfer_ms"), record.transfer);
    fields.word(quoted!("ended_by"), who(record.ending.who));
    fields.word(quoted!("phase"), phase(record.ending.phase));
    name!(fields, "timer", record.ending.timer.map(|timer| timer.name()));
}

/// The client's TLS, or that there is none.
fn tls<const JSON: bool>(fields: &mut Fields<'_, '_, JSON>, facts: Option<&TlsFacts>) {
    let Some(facts) = facts else {
        fields.absent(key!("tls"));
        fields.absent(key!("resumed"));
        return fields.absent(key!("sni"));
    };
    let version = match facts.version {
        TlsVersion::Tls12 => "TLSv1.2",
        TlsVersion::Tls13 => "TLSv1.3",
    };
    fields.word(quoted!("tls"), version);
    fields.key(key!("resumed"));
    fields.line.put(if facts.resumed { b"true" } else { b"false" });
    fields.text(quoted!("sni"), &facts.sni);
}

fn places<const JSON: bool>(
    fields: &mut Fields<'_, '_, JSON>,
    record: &AccessRecord,
    names: Option<&Names>,
) {
    let listener = names.zip(record.listener).and_then(|(names, of)| names.listener(of));
    name!(fields, "listener", listener);
    let route = names.zip(record.route).and_then(|(names, of)| names.route(of));
    name!(fields, "route", route);
    let cluster = names.zip(record.cluster).and_then(|(names, of)| names.cluster(of));
    name!(fields, "cluster", cluster);
    let server = names.zip(record.cluster.zip(record.server));
    let server = server.and_then(|(names, (of, index))| names.server(of, index));
    name!(fields, "server", server);
}

fn client(line: &mut Line<'_>, client: Option<SocketAddr>) {
    let Some(client) = client else { return line.put(b"unix") };
    match client.ip() {
        // By hand: the formatting machinery takes as long as half of a line.
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            line.decimal(u64::from(a));
            for part in [b, c, d] {
                line.put(b".");
                line.decimal(u64::from(part));
            }
            line.put(b":");
            line.decimal(u64::from(client.port()));
        }
        IpAddr::V6(_) => line.display(client),
    }
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
        Phase::Tunnel => "tunnel",
        Phase::Complete => "complete",
    }
}

#[cfg(test)]
mod tests;

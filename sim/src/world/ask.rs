//! What clients ask for, and how it looks on the wire.

use super::flaws::{self, BARE, FLAWS, Flawed};
use super::producer::{Framing, Producer};
use super::scenario::Scenario;
use crate::body::{BodyKey, Direction};
use crate::choice::Choices;
use crate::cx::Cx;
use crate::oracle::ledger::{Ask, Edge, Method};
use crate::site;
use crate::swarm::{Fault, Operation, Rates};
use crate::wire;
use std::io::Write as _;
use tidegate_core::config::Limits;

/// Draws what client `slot` asks next. `hosts` of them have names.
pub(super) fn draw(cx: &mut Cx, scenario: &Scenario, rates: &Rates, slot: u64, hosts: u64) -> Ask {
    let (choices, swarm) = (&mut cx.choices, &scenario.swarm);
    let method = match choices.choose(site!("ask/method"), slot, 10) {
        0..=4 => Method::Get,
        5 => Method::Head,
        6 | 7 => Method::Post,
        8 => Method::Put,
        _ => Method::Delete,
    };
    let has_body = matches!(method, Method::Post | Method::Put);
    let body = if has_body { request_body(choices, scenario, slot) } else { 0 };
    let minor = u8::from(!cx.does(Operation::OldRequest, swarm, slot, 10));
    let is_chunked = has_body && minor == 1 && cx.does(Operation::ChunkedRequest, swarm, slot, 50);
    let expects = has_body && body > 0 && minor == 1 && cx.does(Operation::Expect, swarm, slot, 20);
    let flaw = cx.strikes(Fault::Flawed, rates, slot);
    let choices = &mut cx.choices;
    let flaw = flaw.then(|| choices.choose(site!("ask/flaw"), slot, FLAWS.len() as u64) as usize);
    if let Some(flaw) = flaw {
        return flawed(choices, slot, hosts, flaw);
    }
    let forwards = cx.does(Operation::Forwarded, swarm, slot, 25);
    Ask {
        id: 0,
        key: 0,
        method,
        minor,
        listener: 0,
        host: cx.choose(site!("ask/host"), slot, hosts) as u16,
        body,
        is_chunked,
        expects,
        keeps: !cx.does(Operation::LastRequest, swarm, slot, 12),
        has_hops: cx.does(Operation::Hops, swarm, slot, 25),
        cookie: cookie(cx, scenario, slot),
        forwards,
        forwards_besides: forwards && cx.choices.coin(site!("ask/forwards besides"), slot),
        upgrade: false,
        flaw: None,
    }
}

/// The length of a request's body, now and then the longest that is let pass, or one byte more.
fn request_body(choices: &mut Choices, scenario: &Scenario, slot: u64) -> u64 {
    let body = body_length(choices, slot, scenario.body_max);
    match (scenario.max_body, choices.choose(site!("body/at its limit"), slot, 10)) {
        (Some(max), 0) => max,
        (Some(max), 1) => max + 1,
        _ => body,
    }
}

/// Now and then a sticky cookie, of any cluster and server.
fn cookie(cx: &mut Cx, scenario: &Scenario, slot: u64) -> Option<(u16, u16)> {
    if !cx.does(Operation::Cookie, &scenario.swarm, slot, 30) {
        return None;
    }
    let choices = &mut cx.choices;
    let cluster = choices.choose(site!("ask/cookie cluster"), slot, scenario.clusters.len() as u64);
    let servers: usize = scenario.clusters.iter().sum();
    let server = choices.choose(site!("ask/cookie server"), slot, servers as u64);
    Some((cluster as u16, server as u16))
}

/// One of the corpus: what its text says.
fn flawed(choices: &mut Choices, slot: u64, hosts: u64, which: usize) -> Ask {
    let Flawed { flaw, text } = &FLAWS[which];
    Ask {
        id: 0,
        key: 0,
        method: match text {
            text if text.starts_with("POST") => Method::Post,
            text if text.trim_start().starts_with("HEAD") => Method::Head,
            _ => Method::Get,
        },
        minor: 1,
        listener: 0,
        host: choices.choose(site!("ask/host"), slot, hosts) as u16,
        body: FLAWS[which].body(),
        is_chunked: flaw.in_body,
        expects: false,
        keeps: true,
        has_hops: false,
        cookie: None,
        forwards: false,
        forwards_besides: false,
        upgrade: false,
        flaw: Some(*flaw),
    }
}

/// Turns `ask` into a request in the clear where TLS is expected (TLS-2).
pub(super) fn bare(ask: &mut Ask) {
    // Whose first read brings one letter of HEAD is no HEAD yet, and may be told more.
    ask.method = if ask.method == Method::Head { Method::Get } else { ask.method };
    ask.minor = 1;
    ask.body = 0;
    ask.is_chunked = false;
    ask.expects = false;
    ask.flaw = Some(BARE.flaw);
}

/// A body's length: none, a few bytes, or up to `max` on a logarithmic scale.
pub(super) fn body_length(choices: &mut Choices, entity: u64, max: u64) -> u64 {
    match choices.choose(site!("body/kind"), entity, 8) {
        0 => 0,
        1..=4 => choices.between(site!("body/small"), entity, 1, 200),
        5 | 6 => choices.log_between(site!("body/medium"), entity, 64, 4096.min(max)),
        _ => choices.log_between(site!("body/large"), entity, 1024, max),
    }
}

/// The bytes of a request.
pub(super) fn produce(ask: &Ask, limits: &Limits) -> Producer {
    let key = BodyKey::new(ask.id, Direction::Up);
    if let Some(flaw) = ask.flaw {
        let text =
            FLAWS.iter().chain([&BARE]).find(|flawed| flawed.flaw == flaw).map_or("", |f| f.text);
        let text = &text.replace("{method}", ask.method.name());
        let bytes = flaws::request(text, ask.id, &wire::host_name(ask.host), limits);
        return Producer::new(bytes, key, 0, Framing::Plain);
    }
    let mut head = Vec::with_capacity(256);
    head_of(ask, limits, &mut head);
    let framing = if ask.is_chunked { Framing::Chunked(3000) } else { Framing::Plain };
    let producer = Producer::new(head, key, ask.body, framing);
    if ask.is_chunked && ask.has_hops { producer.with_extras() } else { producer }
}

/// Where the head of a flawed request ends, if that can be said.
pub(super) fn flawed_head_bytes(bytes: &[u8]) -> usize {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4)
}

/// Appends the request line, and Host as it goes with its target.
fn request_line(ask: &Ask, head: &mut Vec<u8>) {
    let host = wire::host_name(ask.host);
    let (id, said) = (ask.id, ask.said_minor());
    // Writing into a vector cannot fail.
    let _ = match ask.key % 7 {
        // Absolute form: its authority replaces Host.
        3 if ask.minor == 1 => write!(
            head,
            "{} http://{host}/r/{id}/x?q={id} HTTP/1.{}\r\nHost: other.sim\r\n",
            ask.method.name(),
            said
        ),
        5 => write!(
            head,
            "{} /r/{id}/%7euser/../y HTTP/1.{}\r\nhOST:{}:8080  \r\n",
            ask.method.name(),
            said,
            host.to_uppercase()
        ),
        // As good as no more than what comes first.
        6 => write!(
            head,
            "{} /r/{id}/%2E%2e/{id} HTTP/1.{said}\r\nHost: {host}\r\n",
            ask.method.name()
        ),
        _ => {
            let (_, path) = wire::target(ask);
            write!(head, "{} {path} HTTP/1.{said}\r\nHost: {host}\r\n", ask.method.name())
        }
    };
}

fn head_of(ask: &Ask, limits: &Limits, head: &mut Vec<u8>) {
    request_line(ask, head);
    let id = ask.id;
    wire::request_fields(id, |name, value| field(head, name, value));
    if ask.forwards && ask.forwards_besides {
        for (name, value) in wire::FORWARDED_FIRST {
            field(head, name, value.as_bytes());
        }
    }
    if ask.forwards {
        for (name, value) in wire::forwarded(id) {
            field(head, name, value.as_bytes());
        }
    }
    if ask.forwards_besides {
        for (name, value) in wire::forwarded_besides(id) {
            field(head, name, value.as_bytes());
        }
    }
    if let Some((accept, _)) = ask.accept() {
        field(head, "Accept", accept.as_bytes());
    }
    if ask.has_hops {
        head.extend_from_slice(wire::HOPS.as_bytes());
    }
    if ask.upgrade {
        let _ = write!(head, "Sec-WebSocket-Key: {}\r\nUpgrade: ", wire::WEBSOCKET_KEY);
        head.extend_from_slice(if ask.key.is_multiple_of(3) {
            b"WebSocket\r\n"
        } else {
            b"h2c, websocket\r\n"
        });
        head.extend_from_slice(b"Connection: Upgrade\r\n");
    } else if ask.has_hops && ask.key.is_multiple_of(2) {
        head.extend_from_slice(b"Upgrade: h2c\r\nConnection: upgrade\r\n");
    }
    connection(head, ask.has_hops, ask.keeps, ask.minor);
    if let Some((cluster, server)) = ask.cookie {
        let _ = write!(head, "Cookie: {}\r\n", wire::cookies(cluster, Some(server)));
    }
    if ask.expects {
        head.extend_from_slice(b"Expect: 100-continue\r\n");
    }
    if ask.is_chunked {
        head.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
    } else if matches!(ask.method, Method::Post | Method::Put) {
        let _ = write!(head, "Content-Length: {}\r\n", ask.body);
    }
    fill(head, ask.edge(), limits);
    head.extend_from_slice(b"\r\n");
}

/// Makes a head of which but the empty line is there as large as may be.
pub(super) fn fill(head: &mut Vec<u8>, edge: Option<Edge>, limits: &Limits) {
    match edge {
        Some(Edge::Head) => {
            let frame = b"X-Fill: \r\n\r\n".len();
            if let Some(room) = limits.head_bytes.checked_sub(head.len() + frame) {
                field(head, "X-Fill", &vec![b'a'; room]);
            }
        }
        Some(Edge::Fields) => {
            let lines = head.iter().filter(|&&byte| byte == b'\n').count();
            for _ in lines - 1..limits.fields_max {
                field(head, "X-Fill", b"1");
            }
        }
        Some(Edge::Target) | None => {}
    }
}

/// Appends one field.
pub(super) fn field(head: &mut Vec<u8>, name: &str, value: &[u8]) {
    head.extend_from_slice(name.as_bytes());
    head.extend_from_slice(b": ");
    head.extend_from_slice(value);
    head.extend_from_slice(b"\r\n");
}

/// Appends Connection, if it has something to say.
pub(super) fn connection(head: &mut Vec<u8>, has_hops: bool, keeps: bool, minor: u8) {
    let persistence = match (minor, keeps) {
        (0, true) => "keep-alive",
        (0, false) | (_, true) => "",
        (_, false) => "close",
    };
    let hops = if has_hops { wire::HOP_TOKENS } else { "" };
    let comma = if hops.is_empty() || persistence.is_empty() { "" } else { ", " };
    if !(hops.is_empty() && persistence.is_empty()) {
        let _ = write!(head, "Connection: {hops}{comma}{persistence}\r\n");
    }
}

//! Group *framing*: strict and lenient readers agree on every byte emitted; what two servers
//! could read in two ways puts no byte on a backend.
//!
//! - REQ-2: what two servers could read in two ways never reaches one, and no emitted head has
//!   two readings or two framings.
//! - REQ-10: requests go to backends as HTTP/1.1, and clients of it may ask again.
//! - RES-1: an emitted response is framed as the strict reader wants it, and 204 has no
//!   framing.
//! - RES-4: a client of HTTP/1.0 gets no chunks, and no connection is kept behind a body whose
//!   end only closing tells.

use super::ledger::{Ask, Flaw, Method, Row};
use super::truth::Version;
use super::{Breach, Group, Oracle, Verdict, breach};
use crate::refhttp::{BodyReader, Head, Step, lenient_view};

const GROUP: Group = Group::Framing;

/// Turns a refusal of the strict reader into a breach.
pub fn step<'a>(step: Result<Step<'a>, &'static str>) -> Verdict<Step<'a>> {
    step.map_err(|why| Breach {
        group: GROUP.name(),
        rule: "RES-1",
        message: format!("the strict reader refuses what was emitted: {why}"),
    })
}

/// Both readers must see the same head.
pub fn head(head: &Head) -> Verdict {
    let (first, lenient) = lenient_view(head.bytes());
    let is_same = head.bytes().split(|&byte| byte == b'\r').next() == Some(first.as_slice())
        && lenient.len() == head.fields().count()
        && head.fields().zip(&lenient).all(|(strict, loose)| strict == (&loose.0, &loose.1));
    if !is_same {
        let text = String::from_utf8_lossy(head.bytes()).into_owned();
        return breach(GROUP, "REQ-2", format!("a head that can be read in two ways: {text:?}"));
    }
    if head.all("content-length").count() + head.all("transfer-encoding").count() > 1 {
        return breach(GROUP, "REQ-2", "a head with two framings".into());
    }
    Ok(())
}

/// A request that must be refused must not reach a backend.
pub fn is_sound(row: &Row) -> Verdict {
    match row.ask.flaw {
        Some(flaw) if !flaw.in_body => passed(row, flaw, "reached a backend"),
        _ => Ok(()),
    }
}

/// A request with a flaw in its body is never shown as complete.
pub fn is_never_complete(row: &Row) -> Verdict {
    row.ask.flaw.map_or(Ok(()), |flaw| passed(row, flaw, "was shown to a backend as complete"))
}

/// What is too large is too large by a limit (REQ-3), other flaws can be read in two ways.
fn passed(row: &Row, flaw: Flaw, what: &str) -> Verdict {
    let message = format!("request {} ({}) {what}", row.ask.id, flaw.name);
    match flaw.is_limit() {
        true => super::limits::passed(message),
        false => breach(GROUP, "REQ-2", message),
    }
}

fn number(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// How the body behind an emitted request head ends; it must be framed as the client's was.
pub fn request_body(row: &Row, head: &Head) -> Verdict<BodyReader> {
    let id = row.ask.id;
    if head.first(2) != b"HTTP/1.1" {
        return breach(GROUP, "REQ-10", format!("request {id} went out as another version"));
    }
    if head.lists("transfer-encoding", "chunked") {
        if !row.ask.is_chunked {
            return breach(GROUP, "REQ-2", format!("request {id} became chunked"));
        }
        return Ok(BodyReader::chunked());
    }
    let length = head.only("content-length").and_then(number);
    if row.ask.is_chunked || length.unwrap_or(0) != row.ask.body {
        let message = format!("request {id}: framing {length:?}, body {}", row.ask.body);
        return breach(GROUP, "REQ-2", message);
    }
    Ok(BodyReader::length(row.ask.body))
}

/// How the body behind an emitted final response head ends.
pub fn response_body(oracle: &Oracle, row: &Row, head: &Head) -> Verdict<BodyReader> {
    let id = row.ask.id;
    let status = head.status();
    let is_chunked = head.lists("transfer-encoding", "chunked");
    let length = head.only("content-length");
    if is_chunked && row.ask.minor == 0 {
        return breach(GROUP, "RES-4", format!("request {id}: chunks for a 1.0 client"));
    }
    if head.all("transfer-encoding").next().is_some() && !is_chunked {
        return breach(GROUP, "RES-1", format!("request {id}: a coding other than chunked"));
    }
    if let Some(value) = length
        && number(value).is_none()
    {
        return breach(GROUP, "RES-1", format!("request {id}: Content-Length {value:?}"));
    }
    if status == 204 && (is_chunked || length.is_some()) {
        return breach(GROUP, "RES-1", format!("request {id}: a 204 with framing"));
    }
    // Who has not said as much as `HEAD ` may be told more.
    let from = row.start + row.ask.flaw.map_or(0, |flaw| flaw.lead);
    let said = oracle.fronts[row.front as usize].read.saturating_sub(from);
    let is_head = row.ask.method == Method::Head && said >= 5;
    if is_head || matches!(status, 101 | 204 | 304) {
        return Ok(BodyReader::length(0));
    }
    Ok(match length.and_then(number) {
        Some(length) => BodyReader::length(length),
        None if is_chunked => BodyReader::chunked(),
        None if head.lists("connection", "keep-alive") => {
            let message = format!("request {id}: a body that ends by close, and keep-alive");
            return breach(GROUP, "RES-4", message);
        }
        None => BodyReader::until_close(),
    })
}

/// A server's response to `row`, the one of plan `serial`, is emitted: a client of HTTP/1.1 that
/// wants to ask again may, once its request is read, unless the proxy stops or its listener goes.
pub fn lets_stay(oracle: &Oracle, row: &Row, serial: u32, keeps: bool) -> Verdict {
    let is_there = |version: &Version| version.has_listener(row.ask.listener.into());
    // Who waited in the backlog of one that went is accepted when another may have its name again.
    let goes = || !oracle.truth.versions.iter().all(is_there);
    let wants_more = row.ask.keeps && row.ask.minor >= 1;
    // A server that waited for the whole request got it from a proxy that had read it.
    let is_read = !row.plans[serial as usize].is_early;
    if !keeps && wants_more && is_read && oracle.truth.stop_at.is_none() && !goes() {
        let id = row.ask.id;
        let message = format!("request {id}: its client may not ask again, for no reason");
        return breach(GROUP, "REQ-10", message);
    }
    Ok(())
}

/// Whether a response's head lets the client use the connection again.
pub fn keeps(head: &Head, status: u16, ask: &Ask) -> bool {
    if status < 200 {
        return true;
    }
    let is_framed = head.all("content-length").next().is_some()
        || head.lists("transfer-encoding", "chunked")
        || ask.method == Method::Head
        || status == 204
        || status == 304;
    let is_allowed = if ask.minor == 0 { head.lists("connection", "keep-alive") } else { true };
    is_framed && is_allowed && !head.lists("connection", "close")
}

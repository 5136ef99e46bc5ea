//! Group *matching*: a response reaches the client connection, and the head-of-line request,
//! that it answers; one final response each, in order; interim and bodyless rules.
//!
//! - RES-3: a response goes to the request that it answers, and to nobody who did not ask.
//! - RES-5: behind a response that closes there is no other.
//! - REQ-7: interim responses are those that a backend sent, and none for a client of HTTP/1.0.
//! - REQ-8: requests reach backends in their order, whole heads only, with their own method.
//! - BACK-3: no request reaches a backend once its answer has begun.

use super::ledger::Row;
use super::{Group, Oracle, Verdict, breach};
use crate::refhttp::Head;

const GROUP: Group = Group::Matching;
/// Interim responses that one request may get (REQ-3).
pub const INTERIMS_MAX: u32 = 16;

/// The row that a response on `front` answers.
pub fn head_of_line(oracle: &Oracle, front: u32) -> Verdict<u32> {
    let at = &oracle.fronts[front as usize];
    let Some(row) = oracle.head_of_line(front) else {
        return breach(GROUP, "RES-3", format!("connection {front}: a response nobody asked for"));
    };
    if row.first_read_at.is_none() {
        let message = format!("request {} answered before a byte of it was read", row.ask.id);
        return breach(GROUP, "RES-3", message);
    }
    if at.last_response_closes {
        let message = format!("connection {front}: a response behind one that closes");
        return breach(GROUP, "RES-5", message);
    }
    Ok(row.ask.id)
}

/// An interim response is forwarded.
pub fn interim(row: &Row, status: u16) -> Verdict {
    let id = row.ask.id;
    if row.ask.minor == 0 {
        return breach(GROUP, "REQ-7", format!("request {id}: {status} for a 1.0 client"));
    }
    let planned: u32 = row.plans.iter().map(|plan| plan.interims).sum();
    if row.interims >= planned.min(INTERIMS_MAX) || status == 101 {
        let message = format!("request {id}: {status} that no backend sent ({planned} sent)");
        return breach(GROUP, "REQ-7", message);
    }
    Ok(())
}

/// Which response of a backend this is: its serial number, `None` for the proxy's own answers.
pub fn origin(row: &Row, head: &Head) -> Verdict<Option<u32>> {
    let Some(value) = head.only("x-sim") else { return Ok(None) };
    let id = row.ask.id;
    let text = String::from_utf8_lossy(value);
    let parts = text.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    let Some((of, serial)): Option<(u32, u32)> = parts else {
        return breach(GROUP, "RES-3", format!("request {id}: a response marked {text:?}"));
    };
    if of != id {
        let message = format!("request {id} got the response {of}.{serial}");
        return breach(GROUP, "RES-3", message);
    }
    let Some(plan) = row.plans.get(serial as usize) else {
        return breach(GROUP, "RES-3", format!("request {id}: response {serial} was never sent"));
    };
    if plan.status != head.status() {
        let message = format!("request {id}: status {} became {}", plan.status, head.status());
        return breach(GROUP, "RES-3", message);
    }
    Ok(Some(serial))
}

/// The row that a request on its way to a backend stems from.
pub fn request(oracle: &Oracle, head: &Head) -> Verdict<u32> {
    let target = String::from_utf8_lossy(head.first(1)).into_owned();
    let id = target.strip_prefix("/r/").and_then(|rest| {
        let digits = rest.split(['/', '?']).next()?;
        digits.parse::<u32>().ok()
    });
    let Some(row) = id.and_then(|id| oracle.rows.get(id as usize)) else {
        return breach(GROUP, "REQ-8", format!("a backend got {target:?}, which nobody asked for"));
    };
    let id = row.ask.id;
    if head.first(0) != row.ask.method.name().as_bytes() {
        let method = String::from_utf8_lossy(head.first(0)).into_owned();
        return breach(GROUP, "REQ-8", format!("request {id}: method became {method}"));
    }
    if oracle.head_of_line(row.front).is_none_or(|first| first.ask.id != id) {
        let message = format!("request {id} went to a backend out of turn");
        return breach(GROUP, "REQ-8", message);
    }
    if row.answer.is_some() {
        let message = format!("request {id} went to a backend after its answer began");
        return breach(GROUP, "BACK-3", message);
    }
    if row.head_read_at.is_none() {
        let message = format!("request {id} went to a backend before its head was read");
        return breach(GROUP, "REQ-8", message);
    }
    Ok(id)
}

//! Group *retry*: a request that is not idempotent is given to one connection at most; others
//! at most once more after a reused and once more after a fresh one failed; nothing is repeated
//! after a response byte.
//!
//! - BACK-2: a request tries to connect three times at most, and its repetitions once each; not
//!   where it has failed while there is another server, and not at once where it has just failed.
//! - BACK-3: what is not idempotent is given to one connection at most, other requests to no
//!   more than three, none after a response byte or without a failure, and who lost a used one
//!   gets a fresh one.

use super::ledger::Row;
use super::{Group, Oracle, Verdict, answers, breach, dials};
use crate::kernel::Net;

const GROUP: Group = Group::Retry;
/// Emissions of an idempotent request: the first, (b) and (c) of BACK-3.
const EMISSIONS_MAX: usize = 3;
/// Those on fresh connections: the first or what follows a used one, and (c).
const FRESH_MAX: usize = 2;
/// Connection attempts of one request (BACK-2).
pub const ATTEMPTS_MAX: u8 = 3;

/// `row` is emitted to one more backend connection.
pub fn attempt(oracle: &Oracle, net: &Net, row: &Row, is_reused: bool) -> Verdict {
    let id = row.ask.id;
    let Some(last) = row.attempts.last() else { return Ok(()) };
    if !row.ask.method.is_idempotent() {
        let method = row.ask.method.name();
        return breach(GROUP, "BACK-3", format!("request {id}, a {method}, was sent twice"));
    }
    if row.attempts.len() >= EMISSIONS_MAX {
        let times = row.attempts.len() + 1;
        return breach(GROUP, "BACK-3", format!("request {id} was sent {times} times"));
    }
    // Those of (b) went to a connection that was used.
    let fresh = row.attempts.iter().filter(|attempt| !attempt.is_reused).count();
    if !is_reused && fresh >= FRESH_MAX {
        let message = format!("request {id} was sent on {} fresh connections", fresh + 1);
        return breach(GROUP, "BACK-3", message);
    }
    if is_reused && last.is_reused {
        let message = format!("request {id} was repeated on a connection that is not fresh");
        return breach(GROUP, "BACK-3", message);
    }
    for earlier in &row.attempts {
        let back = &oracle.backs[earlier.back as usize];
        // What TLS opened in the read that brought a damaged record is thrown away with that.
        if back.is_damaged() {
            continue;
        }
        if net.content_read(back.ep) > earlier.read_before {
            let message = format!("request {id} was repeated after a response byte");
            return breach(GROUP, "BACK-3", message);
        }
    }
    let failed = &oracle.backs[last.back as usize];
    if !answers::has_ended(net, failed) && !failed.has_garbage && !failed.is_damaged() {
        let message = format!("request {id} was repeated although its connection had not failed");
        return breach(GROUP, "BACK-3", message);
    }
    answers::not_in_its_place(oracle, net, row, "sent again")
}

/// `row` is answered 502: not because a used connection broke before a byte of an answer, where it
/// may be sent again on a fresh one (BACK-3).
pub fn given_up(oracle: &Oracle, net: &Net, row: &Row) -> Verdict {
    let [only] = row.attempts.as_slice() else { return Ok(()) };
    let back = &oracle.backs[only.back as usize];
    let has_spoken = net.content_read(back.ep) > only.read_before;
    let is_silent = !has_spoken && !back.is_damaged() && !back.has_garbage;
    // What was given a part of its head does not show whose it was.
    let has_more =
        oracle.dials.last_for(row.ask.id).is_some() || dials::unsure(oracle, row).next().is_some();
    // A chunked one has its end behind its head, and may be cut by what is read at once, or in two
    // reads of one turn.
    let is_held = row.ask.body == 0 && !row.ask.is_chunked;
    let may_repeat = row.ask.method.is_idempotent() && is_held && row.ask.flaw.is_none();
    if only.is_reused && is_silent && may_repeat && !has_more {
        let id = row.ask.id;
        let message = format!("request {id}: 502, and it was not sent again");
        return breach(GROUP, "BACK-3", message);
    }
    Ok(())
}

/// The connection attempts that a record counts.
pub fn attempts(id: u32, attempts: u8) -> Verdict {
    if attempts > ATTEMPTS_MAX {
        let message = format!("request {id}: {attempts} connection attempts");
        return breach(GROUP, "BACK-2", message);
    }
    Ok(())
}

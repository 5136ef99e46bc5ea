//! Group *liveness*: after healing every new request to a healthy cluster succeeds in time; a
//! fault-free run has no failure at all; the zombie checker never has to act.
//!
//! - SES-4: every request to a healthy cluster succeeds, and the zombie checker never has to
//!   act.

use super::ledger::Row;
use super::{Group, Oracle, Verdict, breach};
use crate::kernel::Net;

const GROUP: Group = Group::Liveness;

/// The zombie checker ended a session.
pub fn zombie(session: u64, state: &str) -> Verdict {
    breach(GROUP, "SES-4", format!("the zombie checker ended session {session} in {state}"))
}

/// At the end: a request that nothing stood against.
pub fn succeeded(oracle: &Oracle, net: &Net, row: &Row) -> Verdict {
    if !row.must_succeed {
        return Ok(());
    }
    let id = row.ask.id;
    let front = &oracle.fronts[row.front as usize];
    let arrived = net.content_arrived(front.ep);
    let answer = row.answer.as_ref();
    let is_whole =
        answer.is_some_and(|a| a.serial.is_some() && a.end.is_some_and(|end| end <= arrived));
    if is_whole {
        return Ok(());
    }
    // The client of a kept connection may meet its regular end, and asks again elsewhere.
    let is_first = front.rows.first() == Some(&id);
    let is_race = !is_first && row.first_read_at.is_none() && front.closed.is_some();
    // Whether it was right to turn a connection away has been judged already.
    let is_unserved = front.served_at.is_none() && front.closed.is_some();
    if answer.is_none() && (front.last_response_closes || is_race || is_unserved) {
        return Ok(());
    }
    // So has whether a limited server had no room.
    let is_limited = super::limits::may_be_turned_away(oracle, row);
    let status = answer.map(|answer| answer.status);
    if status == Some(503) && is_limited {
        return Ok(());
    }
    let (read, ending) = (row.head_read_at, row.record.map(|record| record.ending));
    let message = format!(
        "request {id} to a healthy cluster failed: status {status:?}, read at {read:?}, {ending:?}"
    );
    breach(GROUP, "SES-4", message)
}

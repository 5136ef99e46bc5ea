//! Group *bytes*: a body at the far end is a prefix of what was sent, and equal when complete;
//! nothing is invented, and nothing is shown as complete that was not.
//!
//! - RES-2: a message that was cut short is never shown as complete, to either side.
//! - RES-3: a response's body is byte for byte the backend's, and no longer than it.
//! - REQ-8: a request's body is byte for byte its client's, and no longer than it.

use super::ledger::Row;
use super::{Group, Verdict, breach};
use crate::body::{BodyKey, Direction};

const GROUP: Group = Group::Bytes;

/// The next bytes of a response's body on their way to the client.
pub fn down(row: &Row, part: &[u8]) -> Verdict {
    let Some(answer) = &row.answer else { return Ok(()) };
    // The proxy's own answers have bodies that nobody else knows.
    let Some(serial) = answer.serial else { return Ok(()) };
    let id = row.ask.id;
    let key = BodyKey::new(id, Direction::Down(serial));
    if let Some(at) = key.mismatch(answer.body, part) {
        let message = format!("response {id}.{serial}: byte {at} of the body is not the backend's");
        return breach(GROUP, "RES-3", message);
    }
    let plan = &row.plans[serial as usize];
    let total = answer.body + part.len() as u64;
    if total > plan.body {
        let message = format!("response {id}.{serial}: {total} bytes of body, {} sent", plan.body);
        return breach(GROUP, "RES-3", message);
    }
    Ok(())
}

/// The next bytes of a request's body on their way to a backend.
pub fn up(row: &Row, offset: u64, part: &[u8]) -> Verdict {
    let id = row.ask.id;
    let key = BodyKey::new(id, Direction::Up);
    if let Some(at) = key.mismatch(offset, part) {
        let message = format!("request {id}: byte {at} of the body is not the client's");
        return breach(GROUP, "REQ-8", message);
    }
    let total = offset + part.len() as u64;
    if total > row.ask.body {
        let message = format!("request {id}: {total} bytes of body, {} sent", row.ask.body);
        return breach(GROUP, "REQ-8", message);
    }
    Ok(())
}

/// A backend was shown the end of a request after `body` bytes.
pub fn request_complete(row: &Row, body: u64) -> Verdict {
    let id = row.ask.id;
    super::framing::is_never_complete(row)?;
    let is_cut = row.end.is_none();
    if body != row.ask.body || is_cut {
        let of = row.ask.body;
        let message = format!("request {id} shown as complete with {body} of {of} bytes");
        return breach(GROUP, "RES-2", message);
    }
    Ok(())
}

/// The client was shown the end of the response.
pub fn complete(row: &Row) -> Verdict {
    let Some(answer) = &row.answer else { return Ok(()) };
    let Some(serial) = answer.serial else { return Ok(()) };
    let plan = &row.plans[serial as usize];
    if plan.is_bodyless {
        return Ok(());
    }
    if plan.fault.cuts_body() || answer.body != plan.body {
        let (id, got, of, fault) = (row.ask.id, answer.body, plan.body, plan.fault);
        let message = format!(
            "response {id}.{serial} shown as complete with {got} of {of} bytes (backend: {fault:?})"
        );
        return breach(GROUP, "RES-2", message);
    }
    Ok(())
}

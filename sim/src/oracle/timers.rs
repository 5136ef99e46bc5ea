//! Group *timers*: never early, at most a tick late (and the delay of the loop), one outcome,
//! and a dripping head does not extend its deadline.
//!
//! - SES-3: a timer fires in its time and names itself, trickled bytes do not extend a head,
//!   and no deadline lies behind.

use super::ledger::{Answer, Back, BackFault, Recorded, Row};
use super::{Group, Oracle, Verdict, answers, breach, dials};
use std::time::Duration;
use tidegate_core::config::Timeouts;
use tidegate_core::event::{Phase, Timer, Who};
use tidegate_core::time::TICK;

const GROUP: Group = Group::Timers;

struct Bounds {
    from: u64,
    low: u64,
    high: u64,
}

/// When a timer that began to run between `first` and `last` may fire.
fn bounds(
    oracle: &Oracle,
    row: &Row,
    first: u64,
    last: u64,
    of: impl Fn(&Timeouts) -> Duration,
) -> Bounds {
    // Timeouts are those of the request's start.
    // The first head's deadline was set when the session began.
    let front = &oracle.fronts[row.front as usize];
    let is_first = front.rows.first() == Some(&row.ask.id);
    let begun = if is_first { front.accepted_at } else { row.first_read_at };
    let start = begun.unwrap_or(first).min(first);
    let (low, high) = oracle.truth.span(start, oracle.now, of);
    let slack = TICK.as_nanos() as u64 + oracle.truth.loop_delay_max;
    Bounds { from: first, low: first.saturating_add(low), high: last.saturating_add(high + slack) }
}

/// When a timer may fire that began to run at `from` in a request, whose record names the version
/// that it saw: its timeouts are those of its start (SES-1).
fn exact(
    oracle: &Oracle,
    record: &Recorded,
    from: u64,
    of: impl Fn(&Timeouts) -> Duration,
) -> Bounds {
    let slack = TICK.as_nanos() as u64 + oracle.truth.loop_delay_max;
    let version = (record.version as usize).checked_sub(1);
    let version = version.and_then(|number| oracle.truth.versions.get(number));
    let span = version.map_or(0, |version| of(&version.timeouts).as_nanos() as u64);
    Bounds { from, low: from.saturating_add(span), high: from.saturating_add(span + slack) }
}

/// A head that took longer than its deadline must not be served.
pub fn head_in_time(oracle: &Oracle, row: &Row) -> Verdict {
    let (Some((_, from)), Some(read)) = (answers::head_begun(oracle, row), row.head_read_at) else {
        return Ok(());
    };
    let bounds = bounds(oracle, row, from, from, |t| t.request_head);
    if read > bounds.high {
        let (id, took) = (row.ask.id, (read - from) / 1_000_000);
        let message = format!("request {id} was served although its head took {took} ms");
        return breach(GROUP, "SES-3", message);
    }
    Ok(())
}

/// A request ended by a timer.
pub fn record(oracle: &Oracle, row: &Row, record: &Recorded) -> Verdict {
    let id = row.ask.id;
    if record.ending.timer == Some(Timer::ClientIdle) {
        stalled(oracle, row.front)?;
    }
    let Some(timer) = record.ending.timer else {
        if record.ending.who == Who::Timeout {
            return breach(GROUP, "SES-3", format!("request {id}: a timeout without a name"));
        }
        unnamed(oracle, row, record)?;
        return blamed(oracle, row, record);
    };
    // The outcome shows when the answer's first byte is emitted, else when the record is written.
    // A stop cuts what may have been answered long before.
    let answer = row.answer.as_ref().filter(|_| timer != Timer::Drain);
    let at = answer.map_or(oracle.now, |answer| answer.begun_at);
    let bounds = match timer {
        Timer::RequestHead => {
            let Some((first, last)) = answers::head_begun(oracle, row) else { return Ok(()) };
            bounds(oracle, row, first, last, |t| t.request_head)
        }
        Timer::Drain => {
            let Some(stop) = oracle.truth.stop_at else {
                let message = format!("request {id}: drain fired without a stop");
                return breach(GROUP, "SES-3", message);
            };
            bounds(oracle, row, stop, stop, |t| t.drain)
        }
        Timer::ClientIdle if waits_for_body(row) => {
            is_idle(oracle, row)?;
            exact(oracle, record, row.last_read_at, |t| t.client_idle)
        }
        Timer::BackendIdle => {
            // The timer closes the connection. The record comes later, once the client has read
            // what there is of the answer.
            let last = row.attempts.last().map(|last| &oracle.backs[last.back as usize]);
            if last.is_some_and(|back| back.left_unread) {
                let message = format!("request {id}: backend_idle fired while its bytes waited");
                return breach(GROUP, "SES-3", message);
            }
            return Ok(());
        }
        Timer::BackendResponse => {
            let Some(sent) = row.attempts.last().filter(|a| a.end.is_some()) else {
                return Ok(());
            };
            is_awaited(oracle, row, at)?;
            exact(oracle, record, sent.ended_at, |t| t.backend_response)
        }
        _ => return Ok(()),
    };
    let span = at.saturating_sub(bounds.from) / 1_000_000;
    let name = timer.name();
    if at < bounds.low {
        let message = format!("request {id}: {name} fired after {span} ms, too early");
        return breach(GROUP, "SES-3", message);
    }
    // With few buffers a session may have to wait before it can answer (SES-5).
    // An idle timer begins anew whenever its peer is waited for again.
    // What stands behind an interim response waits for the client to read that.
    let stalled_at = oracle.fronts[row.front as usize].stalled_at;
    let is_stalled = timer == Timer::BackendResponse && stalled_at >= Some(bounds.from);
    let is_exact = timer != Timer::ClientIdle && !is_stalled && oracle.has_ample_buffers();
    if at > bounds.high && is_exact {
        let message = format!("request {id}: {name} fired after {span} ms, too late");
        return breach(GROUP, "SES-3", message);
    }
    Ok(())
}

/// Whether client_idle ended a request whose client owed the rest of it: with 408, if it could be
/// told so. What is read behind that is discarded, and says nothing of the time before.
fn waits_for_body(row: &Row) -> bool {
    let is_told = |answer: &Answer| {
        answer.status == 408 && answer.serial.is_none() && row.last_read_at < answer.begun_at
    };
    row.all_read_at.is_none() && row.answer.as_ref().is_none_or(is_told)
}

/// client_idle ended a request: its client did not wait for 100, unless it took nothing.
fn is_idle(oracle: &Oracle, row: &Row) -> Verdict {
    let takes_all = oracle.fronts[row.front as usize].stalled_at.is_none();
    if takes_all && answers::awaits_100(oracle, row) {
        let id = row.ask.id;
        let message = format!("request {id}: client_idle fired while it waits for 100");
        return breach(GROUP, "SES-3", message);
    }
    Ok(())
}

/// backend_response ended a request at `at`: some server may have had it still.
fn is_awaited(oracle: &Oracle, row: &Row, at: u64) -> Verdict {
    let is_lost = |back: &Back| back.has_shown_end && back.closed_at.is_some_and(|end| end < at);
    // What a server has taken a part of does not show whose it is.
    let is_partial = |back: &Back| back.closed_at.is_none_or(|end| end >= at) && back.is_short;
    let mut its = row.attempts.iter().map(|attempt| &oracle.backs[attempt.back as usize]);
    if its.all(is_lost) && !oracle.backs.iter().any(is_partial) && oracle.has_ample_buffers() {
        let id = row.ask.id;
        let message = format!("request {id}: backend_response fired, and no server had it");
        return breach(GROUP, "SES-3", message);
    }
    Ok(())
}

/// The proxy writes to a client, or gives up on it: whoever took nothing for as long as client_idle
/// is no longer there, whatever its server did meanwhile.
pub fn stalled(oracle: &Oracle, front: u32) -> Verdict {
    let at = &oracle.fronts[front as usize];
    // Handshakes and tunnels have timers of their own, also while the 101 is on its way.
    let switches = |row: &Row| row.plans.last().is_some_and(|plan| plan.status == 101);
    let is_switching = oracle.head_of_line(front).is_some_and(switches);
    let is_inside = !at.reader.is_between() && at.tunnel.is_none() && !is_switching;
    let is_relayed = at.is_short && is_inside && oracle.has_ample_buffers();
    let Some(since) = at.stalled_at.filter(|_| is_relayed) else { return Ok(()) };
    let since = since.max(at.tried_at);
    let (_, high) = oracle.truth.span(at.accepted_at.unwrap_or(0), oracle.now, |t| t.client_idle);
    let slack = TICK.as_nanos() as u64 + oracle.truth.loop_delay_max;
    if oracle.now > since.saturating_add(high + slack) {
        let span = (oracle.now - since) / 1_000_000;
        let message = format!("connection {front} took nothing for {span} ms and stayed open");
        return breach(GROUP, "SES-3", message);
    }
    Ok(())
}

/// A client was told that its request took too long, which it did not.
pub fn too_early(row: &Row) -> Verdict {
    breach(GROUP, "SES-3", format!("request {}: a 408 before its time", row.ask.id))
}

/// Something lasts longer than its timer allows.
pub fn overdue(message: String) -> Verdict {
    breach(GROUP, "SES-3", message)
}

/// A request ended for want of a connection, without a timer: the last that was tried for it was
/// not given up while nobody had answered.
fn unnamed(oracle: &Oracle, row: &Row, record: &Recorded) -> Verdict {
    let is_blamed = record.ending.who == Who::Backend && record.ending.phase == Phase::Connect;
    let last = dials::last_of(oracle, row).filter(|back| back.is_unanswered);
    if let Some(back) = last.filter(|_| is_blamed) {
        let (id, server) = (row.ask.id, back.server);
        let message = format!("request {id}: server {server} was silent, and no timer is named");
        return breach(GROUP, "SES-3", message);
    }
    Ok(())
}

/// A server is blamed for a response that was cut, without a timer: it must have done something.
fn blamed(oracle: &Oracle, row: &Row, record: &Recorded) -> Verdict {
    let last = row.attempts.last();
    let plan = last.and_then(|last| last.plan).map(|plan| &row.plans[plan as usize]);
    let (Some(last), Some(plan)) = (last, plan) else { return Ok(()) };
    let back = &oracle.backs[last.back as usize];
    // What it said behind the response before is no answer, and is taken for one.
    let has_spoken = back.has_garbage || back.is_damaged();
    let stalls = plan.fault == BackFault::Stalls && !back.has_shown_end && !has_spoken;
    let is_cut = matches!(record.ending.phase, Phase::ResponseBody | Phase::ResponseHead);
    if stalls && is_cut && record.ending.who == Who::Backend {
        let id = row.ask.id;
        let message = format!("request {id}: its server did nothing, and no timer is named");
        return breach(GROUP, "SES-3", message);
    }
    Ok(())
}

/// After `expire(now)` the next deadline lies ahead.
pub fn next_deadline(now: u64, next: u64, timer: Option<Timer>) -> Verdict {
    if next <= now {
        let name = timer.map_or("of the worker", Timer::name);
        let message = format!("the next deadline, {name}, is {next}, and now is {now}");
        return breach(GROUP, "SES-3", message);
    }
    Ok(())
}

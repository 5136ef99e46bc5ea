//! Group *reconfiguration*: a request sees one version; removed listeners drain their backlog and
//! close; a stop ends in time.
//!
//! - RUN-1: everything that a request met belongs to one version, which was in force when it
//!   began, and the listeners that are open are those of the version in force.
//! - RUN-2: a listener that closes has drained its backlog, nobody idles in a stop, and the stop
//!   ends in time.
//! - ROUTE-2: a request takes the way that an operator who asks is told of.

use super::ledger::{Front, Recorded, Row};
use super::{Group, Oracle, Verdict, accept, answers, breach, handshakes};
use crate::kernel::{Acceptor, Listener, Net};
use tidegate_core::input::Address;
use tidegate_core::stats::Gauges;

const GROUP: Group = Group::Reconfiguration;

/// Everything that a request met belongs to the version that its record names, and that version
/// was in force when the request began.
pub fn record(oracle: &Oracle, row: &Row, record: &Recorded) -> Verdict {
    let id = row.ask.id;
    let (Some(from), Some(read)) = (row.first_read_at, row.head_read_at) else { return Ok(()) };
    if row.attempts.is_empty() {
        return Ok(());
    }
    let mut until = read.max(answers::turn_came(oracle, row));
    if oracle.fronts[row.front as usize].tls.is_some() && !oracle.has_ample_buffers() {
        // TLS has read it, and the session waits for buffers to take it into (SES-5).
        until = until.max(row.attempts[0].at);
    }
    let serials = oracle.truth.serials(from, until);
    if !serials.contains(&record.version) {
        let message = format!("request {id} saw version {}, not {serials:?}", record.version);
        return breach(GROUP, "RUN-1", message);
    }
    let version = &oracle.truth.versions[record.version as usize - 1];
    let places = version.places(&row.ask).unwrap_or_default();
    for attempt in &row.attempts {
        let server = oracle.backs[attempt.back as usize].server;
        if !places.iter().any(|place| place.server == server && !place.is_drained) {
            let message = format!(
                "request {id} saw version {}, and went to server {server}, which is not in it",
                record.version
            );
            return breach(GROUP, "RUN-1", message);
        }
    }
    Ok(())
}

/// The proxy refused a configuration without an error, for `reasons`.
pub fn good_refused(reasons: &impl std::fmt::Debug) -> Verdict {
    breach(GROUP, "RUN-1", format!("a good configuration is refused: {reasons:?}"))
}

/// A final response is emitted to a client: once a graceful stop has begun, none lets its
/// connection be used again. What the client had no room for may have been written before.
pub fn says_goodbye(oracle: &Oracle, front: u32, keeps: bool) -> Verdict {
    let at = &oracle.fronts[front as usize];
    let Some(stop) = oracle.truth.stop_at.filter(|_| keeps) else { return Ok(()) };
    let begun = at.response_begun_at.unwrap_or(0);
    if begun > stop && at.stalled_before.is_none() {
        let message = format!("connection {front} is told that it is kept, in a graceful stop");
        return breach(GROUP, "RUN-2", message);
    }
    Ok(())
}

/// At the end of a turn that has no work left: in a graceful stop, whose session was there before
/// it does not wait for a request.
pub fn idle_in_stop(oracle: &Oracle, net: &Net) -> Verdict {
    let Some(stop) = oracle.truth.stop_at.filter(|_| oracle.has_ample_buffers()) else {
        return Ok(());
    };
    let is_between = |front: &Front| {
        let last = front.rows.last().map(|&row| &oracle.rows[row as usize]);
        let is_over = |row: &Row| row.record.is_some() && row.all_read_at.is_some();
        front.answered == front.rows.len() && last.is_none_or(is_over)
    };
    let stays = |front: &Front| {
        let is_old = front.served_at.is_some_and(|at| at < stop);
        let is_http = !front.is_tcp && front.tunnel.is_none();
        let is_idle = front.is_silent(net, oracle.now) && is_between(front);
        let is_kept = is_http && is_idle && !net.ep(front.ep).is_shut();
        let is_announced = || front.announced.as_ref().is_none_or(|it| it.read_at.is_some());
        is_old && is_kept && is_announced() && handshakes::is_over(oracle, front)
    };
    if let Some(number) = oracle.fronts.iter().position(stays) {
        let message = format!("connection {number} asks for nothing, and a stop lets it");
        return breach(GROUP, "RUN-2", message);
    }
    Ok(())
}

/// The proxy closes a listener in whose backlog `waiting` connections wait. Once a graceful stop
/// has waited for `drain` it may: accepting may have been held up for want of descriptors.
pub fn listener_closed(oracle: &Oracle, waiting: usize) -> Verdict {
    let is_over = oracle.truth.stop_at.is_some_and(|stop| {
        let (drain, _) = oracle.truth.span(stop, oracle.now, |t| t.drain);
        oracle.now >= stop.saturating_add(drain)
    });
    if waiting > 0 && !is_over {
        let message = format!("a listener was closed with {waiting} connections in its backlog");
        return breach(GROUP, "RUN-2", message);
    }
    Ok(())
}

/// At the end of a turn that has no work left, before a stop: the version in force has every
/// listener that is open, and all of its own are. One that it has no more may be open for those who
/// wait in its backlog, and while accepting is held up for want of descriptors.
pub fn listeners(oracle: &Oracle, net: &Net) -> Verdict {
    let version = oracle.truth.versions.last().filter(|_| oracle.truth.stop_at.is_none());
    let Some(version) = version else { return Ok(()) };
    let wanted = version.config.listeners.iter().flat_map(|listener| &listener.binds);
    let is_ours = |it: &&Listener| it.is_open() && matches!(it.acceptor, Acceptor::Proxy(_));
    let ours = net.listeners.iter().filter(is_ours);
    // Addresses are looked up only where the numbers differ: this is asked in every turn.
    if ours.clone().count() == wanted.clone().count() || accept::may_pause(oracle) {
        return Ok(());
    }
    let is_wanted = |it: &Listener| wanted.clone().any(|at| at == net.address(it.address));
    if let Some(stays) = ours.clone().find(|it| it.waiting() == 0 && !is_wanted(it)) {
        let at = net.address(stays.address);
        return breach(GROUP, "RUN-1", format!("the listener on {at} is not closed"));
    }
    let is_open = |at: &Address| ours.clone().any(|it| net.address(it.address) == at);
    if let Some(at) = wanted.clone().find(|at| !is_open(at)) {
        return breach(GROUP, "RUN-1", format!("no listener is open on {at}"));
    }
    Ok(())
}

/// The stop took longer than `drain` allows.
pub fn stopped_in_time(at: u64, limit: u64) -> Verdict {
    if at > limit {
        let late = (at - limit) / 1_000_000;
        return breach(GROUP, "RUN-2", format!("the stop is {late} ms late"));
    }
    Ok(())
}

/// The proxy was given nonsense, and named so many reasons to refuse it, 0 if it did not: nothing
/// may have changed.
pub fn refused(reasons: usize, before: &Gauges, after: &Gauges) -> Verdict {
    if reasons == 0 {
        return breach(GROUP, "RUN-1", "nonsense was applied, or refused for no reason".into());
    }
    if before != after {
        let message = format!("a refused configuration changed {before:?} to {after:?}");
        return breach(GROUP, "RUN-1", message);
    }
    Ok(())
}

/// An operator who asks for a request's way is told of another than it takes.
pub fn misled(message: String) -> Verdict {
    breach(GROUP, "ROUTE-2", message)
}

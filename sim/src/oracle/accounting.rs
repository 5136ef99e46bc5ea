//! Group *accounting*: what the core counts equals the truth of the kernel, and returns to
//! zero.
//!
//! - LOOP-2: counted sockets are open sockets, and at rest nothing is left.
//! - SES-5: buffers lent and promised never exceed what there is.
//! - RUN-2: after the stop nothing is left at all.
//! - RUN-5: a request has one access record, which tells what was sent, counters tell what
//!   happened, and no session breaks.

use super::{Group, Oracle, Verdict, breach};
use crate::kernel::Net;
use tidegate_core::stats::{Counters, Gauges};

const GROUP: Group = Group::Accounting;

/// At the end of every turn.
pub fn turn_ended(oracle: &Oracle, net: &Net, gauges: &Gauges) -> Verdict {
    if gauges.sockets != net.proxy_sockets {
        let (core, kernel) = (gauges.sockets, net.proxy_sockets);
        return breach(GROUP, "LOOP-2", format!("{core} sockets counted, {kernel} open"));
    }
    if gauges.buffers_lent + gauges.buffers_promised > oracle.settings.buffers_max {
        let Gauges { buffers_lent: lent, buffers_promised: promised, .. } = gauges;
        return breach(GROUP, "SES-5", format!("{lent} buffers lent, {promised} promised"));
    }
    Ok(())
}

/// What the core's own check says.
pub fn invariants(found: Result<(), String>) -> Verdict {
    match found {
        Ok(()) => Ok(()),
        // A socket that can go on and is not queued is a lost wake-up.
        Err(what) if what.ends_with("is ready and not queued") => super::progress::forgotten(what),
        Err(what) if what.contains(" is probed by ") => super::balance::probes(what),
        Err(what) => breach(GROUP, "LOOP-2", what),
    }
}

/// With no client left, nothing is left but listeners.
pub fn at_rest(gauges: &Gauges) -> Verdict {
    let left = [
        ("sessions", gauges.sessions),
        ("queued sockets", gauges.queued),
        ("busy backend connections", gauges.backend_connections - gauges.backend_idle),
        ("buffers lent", gauges.buffers_lent),
        ("buffers promised", gauges.buffers_promised),
        ("requests in flight", gauges.requests_in_flight),
        ("deadlines", gauges.deadlines - gauges.backend_idle),
    ];
    for (name, count) in left {
        if count != 0 {
            return breach(GROUP, "LOOP-2", format!("{count} {name} at rest"));
        }
    }
    Ok(())
}

/// After the stop, nothing is left at all.
pub fn stopped(gauges: &Gauges, net: &Net) -> Verdict {
    at_rest(gauges)?;
    let left = [
        ("sockets", gauges.sockets),
        ("listeners", gauges.listeners),
        ("backend connections", gauges.backend_connections),
        ("open descriptors", net.proxy_sockets),
    ];
    for (name, count) in left {
        if count != 0 {
            return breach(GROUP, "RUN-2", format!("{count} {name} after the stop"));
        }
    }
    Ok(())
}

/// One access record a request, and one count a record.
pub fn records(oracle: &Oracle, counters: &Counters) -> Verdict {
    if counters.requests != oracle.records {
        let (counted, seen) = (counters.requests, oracle.records);
        return breach(GROUP, "RUN-5", format!("{counted} requests counted, {seen} records"));
    }
    if counters.broken > 0 {
        return breach(GROUP, "RUN-5", format!("{} broken sessions", counters.broken));
    }
    for row in &oracle.rows {
        let is_begun = row.answer.is_some() || !row.attempts.is_empty();
        // A head that was cut short names nobody.
        let answered_at = row.answer.as_ref().map_or(u64::MAX, |answer| answer.at);
        let is_whole = row.head_read_at.is_some_and(|read| read <= answered_at);
        let is_named = is_whole && row.ask.flaw.is_none();
        if is_begun && is_named && row.record.is_none() {
            let message = format!("request {} has no access record", row.ask.id);
            return breach(GROUP, "RUN-5", message);
        }
    }
    Ok(())
}

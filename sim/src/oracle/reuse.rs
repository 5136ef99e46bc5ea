//! Group *reuse*: a backend connection is used again only when its last exchange was complete
//! both ways and nothing came after it, not one whose end was already visible.
//!
//! - BACK-6: the policy of the cluster, the owner and the method allow the reuse, and no more
//!   connections lie idle than may.
//! - BACK-7: the last exchange was complete both ways, nothing came behind it, and no end or
//!   reset had been shown.

use super::ledger::{Back, Row};
use super::{Group, Oracle, Verdict, breach};
use crate::kernel::Net;
use std::collections::BTreeMap;
use tidegate_core::config::Reuse;
use tidegate_core::input::Readiness;
use tidegate_core::time::TICK;

const GROUP: Group = Group::Reuse;

/// The proxy was told that a backend connection is ready.
pub fn told(oracle: &mut Oracle, net: &Net, back: u32, mask: Readiness) {
    let now = oracle.now;
    let spoils = if mask.error {
        "it had shown a reset"
    } else if mask.read_closed {
        "it had shown its end"
    } else if mask.readable
        && shows_something(net, &oracle.backs[back as usize])
        && unclean(oracle, net, back).is_none()
    {
        "it had shown bytes that nobody asked for"
    } else {
        return;
    };
    oracle.backs[back as usize].spoiled.get_or_insert((now, spoils));
}

/// Whether what can be read is more than what TLS does for itself, such as tickets.
fn shows_something(net: &Net, back: &Back) -> bool {
    let Some(facts) = back.facts() else { return true };
    let has_said = facts.said_at.is_some_and(|at| net.ep(back.ep ^ 1).arrived >= at);
    net.content_unread(back.ep) > 0 || has_said || facts.damaged.is_some()
}

/// Why the last exchange of a connection is not complete both ways, if it is not.
fn unclean(oracle: &Oracle, net: &Net, back: u32) -> Option<&'static str> {
    let at = &oracle.backs[back as usize];
    let last = at.seen.last()?;
    if last.end.is_none() {
        return Some("the last request was not sent whole");
    }
    let row = &oracle.rows[last.row as usize];
    let Some(plan) = row.plan_of(last.attempt) else {
        return Some("the last request was not answered");
    };
    let read = net.content_read(at.ep);
    match plan.end {
        None => Some("the last response was not sent whole"),
        Some(end) if read < end => Some("the last response was not read whole"),
        Some(end) if read > end => Some("bytes came behind the last response"),
        Some(_) if plan.until_close => Some("the last response ends with the connection"),
        Some(_) if plan.fault.cuts_body() => Some("the last response was cut short"),
        Some(_) => None,
    }
}

/// The proxy tries to write to a backend: if a message begins, this is when its connection must
/// have been clean.
pub fn begins(oracle: &mut Oracle, net: &Net, back: u32) {
    let at = &oracle.backs[back as usize];
    let Some(last) = at.seen.last() else { return };
    // What a record carries began with its first byte.
    if at.facts().is_some_and(|facts| facts.is_inside) {
        return;
    }
    if at.reader.is_inside_body() {
        let row = &oracle.rows[last.row as usize];
        if row.record.is_some() {
            let id = row.ask.id;
            let message =
                format!("a connection is written to that was not sent request {id} whole");
            oracle.judge(breach(GROUP, "BACK-7", message));
        }
    } else if at.reader.is_between() {
        let shown = at.spoiled.map(|(_, what)| what);
        let doubt = unclean(oracle, net, back).or(shown);
        oracle.backs[back as usize].doubt = doubt;
    }
}

/// `row` is emitted on a connection, perhaps not the first there.
pub fn request(oracle: &Oracle, back: u32, row: &Row) -> Verdict {
    let at = &oracle.backs[back as usize];
    let Some(last) = at.seen.last() else { return Ok(()) };
    let id = row.ask.id;
    if let Some(why) = at.doubt {
        return breach(GROUP, "BACK-7", format!("request {id} on a used connection: {why}"));
    }
    let is_own = oracle.rows[last.row as usize].front == row.front;
    if !is_own && !row.ask.method.is_idempotent() {
        let message = format!("request {id}, not idempotent, on another session's connection");
        return breach(GROUP, "BACK-6", message);
    }
    policy(oracle, back, row, is_own)
}

/// Some version that the request may have seen allows the reuse.
fn policy(oracle: &Oracle, back: u32, row: &Row, is_own: bool) -> Verdict {
    let from = row.first_read_at.unwrap_or(oracle.now);
    let allows = oracle.truth.in_force(from, oracle.now).iter().any(|version| {
        let cluster = version.cluster_of(&row.ask).and_then(|cluster| version.cluster(cluster));
        let reuse = cluster.map(|cluster| cluster.reuse);
        match reuse {
            Some(Reuse::Safe) => is_own || oracle.backs[back as usize].preface.header.is_none(),
            Some(Reuse::Session) => is_own,
            Some(Reuse::Never) | None => false,
        }
    });
    if !allows {
        let message = format!("request {}: the cluster does not allow this reuse", row.ask.id);
        return breach(GROUP, "BACK-6", message);
    }
    Ok(())
}

/// At the end of a turn that has no work left: of no server do more connections lie idle than those
/// whose requests they carried last allow (BACK-6).
pub fn pools(oracle: &mut Oracle, net: &Net) -> Verdict {
    // Only an exchange that has come to its end lays a connection into a pool.
    if std::mem::replace(&mut oracle.turn.records, oracle.records) == oracle.records {
        return Ok(());
    }
    // By server and cluster: how many there are, and how many there may be.
    let mut pools: BTreeMap<(u16, usize), (usize, usize)> = BTreeMap::new();
    for (back, at) in (0..).zip(&oracle.backs).filter(|(_, at)| at.closed_at.is_none()) {
        let Some((cluster, most)) = lies_idle(oracle, net, back) else { continue };
        in_time(oracle, back)?;
        let pool = pools.entry((at.server, cluster)).or_default();
        *pool = (pool.0 + 1, pool.1.max(most));
    }
    for ((server, _), (idle, most)) in pools {
        if idle > most {
            let message = format!("{idle} connections to server {server} lie idle, {most} may");
            return breach(GROUP, "BACK-6", message);
        }
    }
    Ok(())
}

/// A connection that lies idle does so for `backend_keep_alive` at most.
fn in_time(oracle: &Oracle, back: u32) -> Verdict {
    let at = &oracle.backs[back as usize];
    let row = at.seen.last().map(|last| &oracle.rows[last.row as usize]);
    let since = row.and_then(|row| row.record.as_ref()).map_or(oracle.now, |record| record.at);
    let from = row.and_then(|row| row.first_read_at).unwrap_or(since);
    let (_, most) = oracle.truth.span(from, oracle.now, |t| t.backend_keep_alive);
    let slack = TICK.as_nanos() as u64 + oracle.truth.loop_delay_max;
    if oracle.now > since.saturating_add(most + slack) {
        let idle = (oracle.now - since) / 1_000_000;
        let message =
            format!("connection {back} to server {} has been idle for {idle} ms", at.server);
        return super::timers::overdue(message);
    }
    Ok(())
}

/// If a connection surely lies idle: the cluster that it was made for, and how many may lie idle
/// there by the most generous version that its last request may have seen.
fn lies_idle(oracle: &Oracle, net: &Net, back: u32) -> Option<(usize, usize)> {
    let at = &oracle.backs[back as usize];
    let row = &oracle.rows[at.seen.last()?.row as usize];
    let record = row.record.as_ref()?;
    // Whoever may have chosen it since could not write yet, or wrote a part.
    let is_taken = net.ep(at.ep).owes_writable() || !at.reader.is_between();
    let is_inside = at.facts().is_some_and(|facts| facts.is_inside) || at.is_short;
    if is_taken || is_inside || at.tunnel.is_some() || unclean(oracle, net, back).is_some() {
        return None;
    }
    let seen = oracle.truth.in_force(row.first_read_at?, record.at);
    let cluster = seen.first()?.cluster_of(&row.ask)?;
    if seen.iter().any(|version| version.cluster_of(&row.ask) != Some(cluster)) {
        return None;
    }
    let most = seen.iter().filter_map(|version| Some(version.cluster(cluster)?.idle_per_server));
    Some((cluster, most.max()?))
}

//! Group *accounting*, counters: what an operator's dashboard shows is what happened. Some counters
//! have one right value, as the ledger knows it; of others it knows bounds, since not all that a
//! proxy does shows. A response that was cut short is counted once (RES-2).
//!
//! - RUN-5: a request has one access record, which tells what was sent, counters tell what
//!   happened, and no session breaks.

use super::ledger::{Front, Row};
use super::tunnels::Tunnel;
use super::{Group, Oracle, Verdict, breach};
use tidegate_core::effect::Close;
use tidegate_core::event::{Ending, Phase, Timer};
use tidegate_core::stats::Counters;

/// A counter's name, its value, and the least and the most that it may be.
type Bounds = (&'static str, u64, u64, u64);

/// At the end of a run that nothing interrupted.
pub fn counted(oracle: &Oracle, counters: &Counters) -> Verdict {
    let all = [accepting(oracle, counters), opening(oracle, counters), serving(oracle, counters)];
    for (name, counted, low, high) in all.into_iter().flatten() {
        if !(low..=high).contains(&counted) {
            let message = format!("{counted} {name} counted, there were {low} to {high}");
            return breach(Group::Accounting, "RUN-5", message);
        }
    }
    Ok(())
}

fn count<T>(all: &[T], is_such: impl Fn(&T) -> bool) -> u64 {
    all.iter().filter(|one| is_such(one)).count() as u64
}

/// Connections, until each has its session.
fn accepting(oracle: &Oracle, counters: &Counters) -> Vec<Bounds> {
    let (fronts, settings) = (&oracle.fronts, &oracle.settings);
    let accepted = count(fronts, |front| front.accepted_at.is_some());
    let served = count(fronts, |front| front.served_at.is_some());
    let unserved = |front: &Front, is_such: &dyn Fn(u64) -> bool| {
        let span = front.accepted_at.zip(front.closed.map(|(at, _)| at));
        front.served_at.is_none() && span.is_some_and(|(from, to)| is_such(to - from))
    };
    let max_wait = settings.accept_queue_max_wait.as_nanos() as u64;
    let aged = count(fronts, |front| unserved(front, &|waited| waited >= max_wait));
    let turned_away = count(fronts, |front| unserved(front, &|waited| waited == 0));
    let dismissed = counters.queue_aged + counters.queue_overflow;
    let evictable = if settings.accept_queue_evict_idle { served } else { 0 };
    let is_short = oracle.short_at.is_some();
    let pauses = if is_short { u64::MAX } else { 0 };
    vec![
        ("connections accepted", counters.accepted, accepted, accepted),
        ("sockets closed for their age", counters.queue_aged, 0, aged),
        ("sockets too many for the queue", counters.queue_overflow, 0, turned_away),
        ("sessions", counters.sessions, served, accepted.saturating_sub(dismissed)),
        ("sessions evicted", counters.evicted, 0, evictable),
        ("pauses", counters.accept_pauses, u64::from(is_short), pauses),
        ("zombies", counters.zombies, 0, 0),
        ("sessions closed for their age", counters.aged_sessions, 0, 0),
        ("times that time went back", counters.time_went_back, 0, 0),
    ]
}

/// What comes before a session's first request.
fn opening(oracle: &Oracle, counters: &Counters) -> Vec<Bounds> {
    let announces = |is_such: &dyn Fn(&Front, &super::proxy::Announcement) -> bool| {
        let is_it = |front: &Front| {
            let known = front.announced.as_ref().filter(|_| front.accepted_at.is_some());
            known.is_some_and(|known| is_such(front, known))
        };
        count(&oracle.fronts, is_it)
    };
    let strangers = announces(&|_, known| known.is_forbidden);
    let bad = announces(&|_, known| !known.is_forbidden && !known.is_good);
    // One without a length never ends: how much of it tells that it is bad is for the proxy to say.
    let surely_bad = announces(&|front, known| {
        !known.is_forbidden && !known.is_good && known.len > 0 && front.read >= known.len
    });
    // The last of a header may come in the very turn in which the timer is due.
    let unfinished = announces(&|front, known| {
        let is_late = known.read_at.is_none_or(|at| front.closed.is_some_and(|it| it.0 == at));
        !known.is_forbidden && is_late
    });
    // Who is told so by an answer of ours; a session counts once, whatever it asks.
    let is_refused = |row: u32| {
        let answer = oracle.rows[row as usize].answer.as_ref();
        answer.is_some_and(|answer| answer.status == 429 && answer.serial.is_none())
    };
    let over = count(&oracle.fronts, |front| front.rows.iter().any(|&row| is_refused(row)));
    let accepted = count(&oracle.fronts, |front| front.accepted_at.is_some());
    let most = if oracle.truth.per_ip.is_some() { accepted } else { 0 };
    vec![
        ("strangers with PROXY headers", counters.proxy_refused, 0, strangers),
        ("bad PROXY headers", counters.proxy_malformed, surely_bad, bad),
        ("late PROXY headers", counters.proxy_timed_out, 0, unfinished),
        ("sessions over an address's limit", counters.over_address_limit, over, most),
    ]
}

/// Requests and tunnels.
fn serving(oracle: &Oracle, counters: &Counters) -> Vec<Bounds> {
    let dials = oracle.dials.count();
    // Whose client left in that very turn failed for nobody.
    let is_lone =
        |at: &u64| !oracle.fronts.iter().any(|front| front.closed.is_some_and(|it| it.0 == *at));
    let refused = count(oracle.dials.refused_at_once(), is_lone);
    // The last attempt of whoever was told so.
    let is_late = |ending: Ending| ending.timer == Some(Timer::Connect);
    let late = count(&oracle.rows, |row| row.record.is_some_and(|it| is_late(it.ending)))
        + count(&oracle.tunnels, |tunnel| tunnel.record.is_some_and(|it| is_late(it.ending)));
    let failed = refused + late;
    let applied = oracle.truth.versions.len() as u64 - 1;
    let attempts = oracle.rows.iter().flat_map(|row| &row.attempts);
    let reused = attempts.filter(|attempt| attempt.is_reused).count() as u64;
    // What was given to a used connection may have come to nothing before it was whole: it was the
    // last that was.
    let used = count(&oracle.backs, |back| !back.seen.is_empty());
    let repeated = oracle.rows.iter().map(|row| row.attempts.len().saturating_sub(1) as u64).sum();
    let resent = counters.resent_reused + counters.resent_fresh;
    // Each request is sent again once for either reason.
    let most = 2 * count(&oracle.rows, |row| row.head_read_at.is_some());
    let has_begun = |tunnel: &Tunnel| {
        tunnel.back.is_some()
            && (tunnel.row.is_none() || tunnel.record.is_some() && tunnel.over.is_some())
    };
    let tunnels = count(&oracle.tunnels, has_begun);
    let all_tunnels = oracle.tunnels.len() as u64;
    let (low, high) = cut(oracle);
    let versions = oracle.truth.versions.iter();
    let mut servers = versions.flat_map(|v| v.config.clusters.iter().flat_map(|it| &it.servers));
    let can_wait = servers.any(|server| server.max_connections.is_some());
    let waits = if can_wait { u64::MAX } else { 0 };
    vec![
        ("connection attempts", counters.connects, dials, dials),
        ("failed connection attempts", counters.connect_failures, failed, dials),
        ("requests on used connections", counters.reuses, reused, reused + used),
        ("requests sent again", resent, repeated, most),
        ("responses cut short", counters.truncated, low, high),
        ("tunnels", counters.tunnels, tunnels, all_tunnels),
        ("configurations applied", counters.applied, applied, applied),
        ("requests that waited in line", counters.backend_queued, 0, waits),
        ("requests that found the line full", counters.backend_queue_full, 0, waits),
    ]
}

/// How many responses and tunnels were cut short, at least and at most.
fn cut(oracle: &Oracle) -> (u64, u64) {
    let is_sure = |row: &Row| {
        let front = &oracle.fronts[row.front as usize];
        let is_begun = row.answer.as_ref().is_some_and(|a| a.end.is_none() && a.status != 101);
        // What ends with its connection is whole once close_notify is due, be it taken or not.
        let may_be_whole = front.tls.is_some() && front.reader.is_until_close();
        is_begun && !may_be_whole
    };
    let is_possible = |row: &Row| {
        let front = &oracle.fronts[row.front as usize];
        // Behind the last record of an answer there may be others, of which not all have left.
        // The record of a request whose head never came, or could not be read, names none.
        let is_nameless = row.head_read_at.is_none() || row.ask.flaw.is_some();
        let is_told = row.record.map_or(is_nameless, |it| it.ending.phase != Phase::Complete);
        match &row.answer {
            Some(answer) if answer.status == 101 => false,
            // A 408 to one who had not finished to say HEAD has a body all the same.
            Some(answer) => {
                let is_open = front.tls.is_some() || !front.reader.is_between();
                answer.end.is_none() || (is_open && is_told)
            }
            // A head of which a part went out, or none, is part of a response all the same.
            None => {
                !row.attempts.is_empty() || front.reader.is_inside_head() || front.tls.is_some()
            }
        }
    };
    // A tunnel is closed by a reset where somebody has not got all, and nowhere else. What was
    // asked for before on its connection, and not agreed to, has no record as a tunnel.
    let is_broken = |tunnel: &Tunnel| {
        let closed = oracle.fronts[tunnel.front as usize].closed;
        tunnel.record.is_some() && closed.is_some_and(|(_, how)| how == Close::Reset)
    };
    let broken = count(&oracle.tunnels, is_broken);
    let low = count(&oracle.rows, is_sure) + broken;
    let high = count(&oracle.rows, is_possible) + broken;
    (low, high)
}

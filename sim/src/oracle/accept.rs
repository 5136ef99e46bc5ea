//! Group *accept*: newest first, an age limit, bounds, and no socket lost that has room.
//!
//! - ACC-3: the newest of the waiting is served first.
//! - ACC-4: nobody waits for longer than the age limit.
//! - ACC-5: sessions stay below their limit, and nobody is dismissed for whom there is room.
//! - ACC-6: the queue stays below its capacity.
//! - ACC-7: nobody waits while a session is free.
//! - ACC-8: nobody is left in a backlog once a pause is over.
//! - ACC-10: whoever is closed to make room has been idle for longest, and nobody is idle while
//!   others wait for room.

use super::ledger::Front;
use super::{Group, Oracle, Verdict, breach};
use crate::kernel::{Acceptor, Net};
use tidegate_core::accept::ACCEPT_PAUSE;
use tidegate_core::input::AcceptError;
use tidegate_core::stats::Gauges;
use tidegate_core::time::TICK;

const GROUP: Group = Group::Accept;

impl Oracle {
    /// Whether every session could have its buffers at once so far.
    pub fn has_ample_buffers(&self) -> bool {
        !self.has_waited
            && self.settings.buffers_max >= 4 * self.settings.max_connections.min(1 << 20)
    }

    /// The proxy accepted a client's connection.
    pub fn accepted(&mut self, front: u32) {
        let now = self.now;
        self.fronts[front as usize].accepted_at = Some(now);
        // When a TCP session in the clear begins does not show: nothing is read before its server
        // is there.
        if !self.fronts[front as usize].is_tcp {
            self.waiting.push(front);
        }
    }

    /// What came of the proxy's last attempt to accept.
    pub fn accept_answered(&mut self, error: Option<AcceptError>) {
        if error == Some(AcceptError::Resources) {
            self.short_at = Some(self.now);
        }
    }

    /// The proxy closed a client's connection that had not been served: was it too many, or too
    /// old (ACC-4, ACC-6)?
    pub fn unserved_closed(&mut self, net: &Net, front: u32) {
        let Some(place) = self.waiting.iter().position(|&f| f == front) else { return };
        self.waiting.remove(place);
        let has_failed = net.ep(self.fronts[front as usize].ep).is_reset();
        let is_forbidden =
            self.fronts[front as usize].announced.as_ref().is_some_and(|a| a.is_forbidden);
        let verdict = dismissed(self, front, has_failed || is_forbidden);
        self.judge(verdict);
    }
}

/// A socket that waited was closed: it waited too long, or had failed, or there was no room.
pub fn dismissed(oracle: &Oracle, front: u32, has_failed: bool) -> Verdict {
    let accepted = oracle.fronts[front as usize].accepted_at.unwrap_or(oracle.now);
    let max_wait = oracle.settings.accept_queue_max_wait.as_nanos() as u64;
    let is_old = oracle.now >= accepted.saturating_add(max_wait);
    // Before a socket is turned away, the others have got what sessions were free (ACC-6).
    let is_open = |front: &&Front| front.accepted_at.is_some() && front.closed.is_none();
    let open = oracle.fronts.iter().filter(is_open).count();
    let settings = &oracle.settings;
    let is_full = open >= settings.max_connections.saturating_add(settings.accept_queue_capacity);
    let is_stopping = oracle.truth.stop_at.is_some();
    // Without buffers a session may end before it could read.
    let is_short = !oracle.has_ample_buffers();
    if is_old || is_full || is_stopping || is_short || has_failed {
        return Ok(());
    }
    let waited = (oracle.now - accepted) / 1_000_000;
    let message = format!(
        "connection {front} was closed unserved after {waited} ms with {} waiting",
        oracle.waiting.len()
    );
    breach(GROUP, "ACC-5", message)
}

/// At the end of a turn that has no work left.
pub fn turn_ended(oracle: &Oracle, gauges: &Gauges) -> Verdict {
    let settings = &oracle.settings;
    if gauges.sessions > settings.max_connections || oracle.serving > settings.max_connections {
        let (live, serving) = (gauges.sessions, oracle.serving);
        let message = format!("{live} sessions, {serving} clients served at once");
        return breach(GROUP, "ACC-5", message);
    }
    if gauges.queued > settings.accept_queue_capacity {
        return breach(GROUP, "ACC-6", format!("{} sockets in the queue", gauges.queued));
    }
    if !oracle.has_ample_buffers() {
        return Ok(());
    }
    let slack = TICK.as_nanos() as u64 + oracle.truth.loop_delay_max;
    let max_wait = settings.accept_queue_max_wait.as_nanos() as u64;
    if let Some(&oldest) = oracle.waiting.first() {
        let since = oracle.fronts[oldest as usize].accepted_at.unwrap_or(oracle.now);
        if oracle.now > since.saturating_add(max_wait + slack) {
            let waited = (oracle.now - since) / 1_000_000;
            let message = format!("connection {oldest} has waited {waited} ms");
            return breach(GROUP, "ACC-4", message);
        }
        if gauges.sessions < settings.max_connections {
            let message = format!(
                "{} of {} sessions live, and connection {oldest} waits",
                gauges.sessions, settings.max_connections
            );
            return breach(GROUP, "ACC-7", message);
        }
    }
    newest_first(oracle)
}

/// At the end of a turn: of connections that were closed to make room, `evicted` in all since the
/// start, none had been idle for less time than one that was left (ACC-10).
pub fn evictions(oracle: &mut Oracle, net: &Net, evicted: u64) -> Verdict {
    let before = std::mem::replace(&mut oracle.evicted, evicted);
    // Who waits for a buffer cannot look whether its next request is there.
    if evicted == before || oracle.truth.stop_at.is_some() || !oracle.has_ample_buffers() {
        return Ok(());
    }
    let now = oracle.now;
    let closed_now = |front: &Front| front.closed.is_some_and(|(at, _)| at == now);
    // Whoever has left, or been idle for too long, may have been closed for that.
    let (keep_alive, _) = oracle.truth.span(0, now, |t| t.keep_alive);
    let gone: Vec<u64> = (oracle.fronts.iter().filter(|it| closed_now(it)))
        .filter_map(|front| idle_since(oracle, front))
        .collect();
    let closed = oracle.fronts.iter().filter(|front| closed_now(front)).count() as u64;
    if closed != evicted - before || gone.len() as u64 != closed {
        return Ok(());
    }
    let Some(last) = gone.iter().max().filter(|&&last| now < last.saturating_add(keep_alive))
    else {
        return Ok(());
    };
    if let Some((longer, number)) = silent(oracle, net).min().filter(|(since, _)| since < last) {
        let spans = [now - last, now - longer].map(|span| span / 1_000_000);
        let message = format!(
            "a connection that was idle for {} ms was closed, not {number}, for {} ms",
            spans[0], spans[1]
        );
        return breach(GROUP, "ACC-10", message);
    }
    Ok(())
}

/// Clients that are surely idle, and since when: they have said nothing that was not answered.
fn silent<'a>(oracle: &'a Oracle, net: &'a Net) -> impl Iterator<Item = (u64, usize)> + 'a {
    let all =
        oracle.fronts.iter().enumerate().filter(|(_, front)| front.is_silent(net, oracle.now));
    all.filter_map(|(number, front)| Some((idle_since(oracle, front)?, number)))
}

/// At the end of a turn that has no work left: nobody waits in the queue while another is idle
/// who could make room (ACC-10).
pub fn makes_room(oracle: &Oracle, net: &Net, gauges: &Gauges) -> Verdict {
    let is_on = oracle.settings.accept_queue_evict_idle && oracle.truth.stop_at.is_none();
    if !is_on || gauges.queued == 0 || !oracle.has_ample_buffers() {
        return Ok(());
    }
    if let Some((since, number)) = silent(oracle, net).min().filter(|it| it.0 < oracle.now) {
        let idle = (oracle.now - since) / 1_000_000;
        let message = format!(
            "{} sockets wait, and connection {number} has been idle for {idle} ms",
            gauges.queued
        );
        return breach(GROUP, "ACC-10", message);
    }
    Ok(())
}

/// Since when a client in the clear has been idle between requests, if it surely is.
pub(super) fn idle_since(oracle: &Oracle, front: &Front) -> Option<u64> {
    if front.tls.is_some() || front.tunnel.is_some() || front.answered != front.rows.len() {
        return None;
    }
    let row = &oracle.rows[*front.rows.last()? as usize];
    let is_read = row.all_read_at.is_some() && row.record.is_some();
    row.answer.as_ref().filter(|answer| answer.keeps && is_read).map(|answer| answer.ended_at)
}

/// Whether accepting may be held up for want of descriptors.
pub(super) fn may_pause(oracle: &Oracle) -> bool {
    let pause = (ACCEPT_PAUSE + TICK).as_nanos() as u64 + oracle.truth.loop_delay_max;
    oracle.short_at.is_some_and(|at| oracle.now <= at + pause)
}

/// At the end of a turn that has no work left: nobody waits in a backlog of whom the proxy was
/// told, save while it pauses for want of descriptors (ACC-1, ACC-8).
pub fn backlogs(oracle: &Oracle, net: &Net) -> Verdict {
    if may_pause(oracle) {
        return Ok(());
    }
    for (index, listener) in net.listeners.iter().enumerate() {
        let is_ours = listener.is_open() && matches!(listener.acceptor, Acceptor::Proxy(_));
        if is_ours && listener.waiting() > 0 && !listener.is_woken() {
            let waiting = listener.waiting();
            let message = format!("{waiting} wait in the backlog of listener {index}, untouched");
            return breach(GROUP, "ACC-8", message);
        }
    }
    Ok(())
}

/// Whoever was first served in this turn was the newest of those that waited before it.
fn newest_first(oracle: &Oracle) -> Verdict {
    for &served in &oracle.turn.first_served {
        let at = &oracle.fronts[served as usize];
        // In the turn in which a session ended another got it, and may be read from in the next
        // one: who was accepted behind that, in the same turn, came too late.
        let came_too_late = |accepted: u64| {
            oracle.fronts.iter().any(|it| it.closed.is_some_and(|(closed, _)| closed == accepted))
        };
        let newer = oracle.waiting.iter().find(|&&other| {
            let accepted = oracle.fronts[other as usize].accepted_at;
            accepted > at.accepted_at
                && accepted.is_some_and(|it| it < oracle.now && !came_too_late(it))
        });
        if let Some(newer) = newer {
            let message = format!("connection {served} was served before the newer {newer}");
            return breach(GROUP, "ACC-3", message);
        }
    }
    Ok(())
}

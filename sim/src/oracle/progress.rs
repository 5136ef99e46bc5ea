//! Group *progress*: no step without progress, bounded work for a turn, no lost wake-up.
//!
//! - LOOP-5: no turn goes on for ever, no socket is asked in vain again and again, and no
//!   wake-up is lost.
//! - REQ-9: a body passes in bounded memory: whoever cannot pass it on stops reading.
//! - SES-5: of those who wait for buffers the first is served first.

use super::ledger::Front;
use super::{Breach, Group, Oracle, Side, Verdict, accept, breach};
use crate::kernel::{Ep, Net};
use tidegate_core::input::Readiness;

const GROUP: Group = Group::Progress;
/// System calls of one turn at most: its step budget, each with a call or two.
const CALLS_MAX: u32 = 40_000;
/// Times that a socket may be asked in vain without an edge in between.
const VAIN_CALLS_MAX: u8 = 4;

/// Buffers that one direction may fill.
const BUFFERS_MAX: usize = 18;
/// What TLS may hold besides buffers, in bytes: records that are opened, or wait to be written.
const TLS_HELD: u64 = 192 * 1024;

#[derive(Copy, Clone, Default)]
struct Marks {
    /// A write took less than it was offered: the proxy holds more bytes.
    is_pending: bool,
    /// The writable edge came since.
    is_due: bool,
    vain_reads: u8,
    vain_writes: u8,
}

/// What happens within one turn, and what the sockets are owed from one to the next.
#[derive(Default)]
pub struct Turn {
    marks: Vec<Marks>,
    due: Vec<Ep>,
    /// Client connections first served in this turn.
    pub first_served: Vec<u32>,
    /// Access records that had come when pools were last looked at.
    pub(super) records: u64,
    /// Whether the last one left work.
    pub(super) is_more: bool,
    calls: u32,
    idle_turns: u32,
}

impl Turn {
    fn marks(&mut self, ep: Ep) -> &mut Marks {
        let index = ep as usize;
        if index >= self.marks.len() {
            self.marks.resize(index + 64, Marks::default());
        }
        &mut self.marks[index]
    }

    /// The proxy was told that `ep` is ready.
    pub fn told(&mut self, ep: Ep, mask: Readiness) {
        let marks = self.marks(ep);
        if mask.readable {
            marks.vain_reads = 0;
        }
        if mask.writable {
            marks.vain_writes = 0;
            if marks.is_pending && !marks.is_due {
                marks.is_due = true;
                self.due.push(ep);
            }
        }
    }

    /// The proxy made a system call. Whether the turn is still within its bounds.
    pub fn call(&mut self) -> Verdict {
        self.calls += 1;
        if self.calls > CALLS_MAX {
            return breach(GROUP, "LOOP-5", format!("{CALLS_MAX} system calls in one turn"));
        }
        Ok(())
    }

    /// A write took `taken` (or would block) of `offered` bytes.
    pub fn wrote(&mut self, ep: Ep, taken: Option<usize>, offered: usize) -> Verdict {
        let marks = self.marks(ep);
        marks.is_due = false;
        marks.is_pending = taken.unwrap_or(0) < offered;
        marks.vain_writes = if taken.is_none() { marks.vain_writes + 1 } else { 0 };
        in_vain(ep, marks.vain_writes, "written to")
    }

    /// A write failed for good.
    pub fn write_failed(&mut self, ep: Ep) -> Verdict {
        let marks = self.marks(ep);
        marks.vain_writes = marks.vain_writes.saturating_add(1);
        in_vain(ep, marks.vain_writes, "written to")
    }

    /// A read gave something, or, in vain, nothing but the end or that it would block.
    pub fn read(&mut self, ep: Ep, is_vain: bool) -> Verdict {
        let marks = self.marks(ep);
        marks.vain_reads = if is_vain { marks.vain_reads + 1 } else { 0 };
        in_vain(ep, marks.vain_reads, "read")
    }

    /// The proxy closed a socket.
    pub fn closed(&mut self, ep: Ep) {
        *self.marks(ep) = Marks::default();
    }
}

fn in_vain(ep: Ep, times: u8, what: &str) -> Verdict {
    if times > VAIN_CALLS_MAX {
        let message = format!("socket {ep} was {what} {times} times in vain without an edge");
        return breach(GROUP, "LOOP-5", message);
    }
    Ok(())
}

/// The core found a socket that can go on and that nobody would have come back to.
pub fn forgotten(what: String) -> Verdict {
    breach(GROUP, "LOOP-5", what)
}

/// The run does not come to an end.
pub fn endless(events: u64) -> Verdict {
    breach(GROUP, "LOOP-5", no_end(events))
}

/// The run has not come back after `seconds` of whoever watches it: it makes no event, and no
/// system call, either.
pub fn hung(seconds: u64) -> Breach {
    let what =
        format!("a run that has not ended after {seconds} s hangs: --trace shows where it stands");
    Breach { group: GROUP.name(), rule: "LOOP-5", message: what }
}

/// What is said of a run that has made `events` events, as many as it may.
pub fn no_end(events: u64) -> String {
    format!("{events} events and no end")
}

/// Bytes of one direction that may wait inside the proxy: in its buffers, and, with TLS at an end,
/// there.
pub fn held_max(oracle: &Oracle, has_tls: bool) -> u64 {
    let buffers = (BUFFERS_MAX * (oracle.settings.buffer_bytes + 4096)) as u64;
    if has_tls { buffers + TLS_HELD } else { buffers }
}

/// The proxy has read `read` bytes of a client's stream: what it has not passed on of the request
/// that it serves fits into its buffers, be the server ever so slow.
pub fn held(oracle: &Oracle, front: u32, read: u64) -> Verdict {
    let at = &oracle.fronts[front as usize];
    // What is read behind an answer is only discarded.
    let Some(row) = oracle.head_of_line(front).filter(|_| at.response_begun_at.is_none()) else {
        return Ok(());
    };
    let Some(content) = row.head_end.and_then(|end| read.checked_sub(end)) else { return Ok(()) };
    if row.ask.flaw.is_some() || row.ask.upgrade || row.answer.is_some() || row.is_void {
        return Ok(());
    }
    let passed = row.attempts.last().map_or(0, |attempt| attempt.body);
    // Chunks have lines between them.
    let held = content.saturating_sub(content / 32 + passed);
    let back = row.attempts.last().map(|attempt| &oracle.backs[attempt.back as usize]);
    let has_tls = at.tls.is_some() || back.is_none_or(|back| back.tls.is_some());
    if held > held_max(oracle, has_tls) {
        let message = format!("request {}: {held} bytes wait inside the proxy", row.ask.id);
        return breach(GROUP, "REQ-9", message);
    }
    Ok(())
}

/// The proxy tries to read from a client: of those between requests who wait for buffers, whoever
/// came first is read first (SES-5).
pub fn in_line(oracle: &Oracle, front: u32) -> Verdict {
    if oracle.has_ample_buffers() {
        return Ok(());
    }
    let at = &oracle.fronts[front as usize];
    // A new session tries at once, and a socket that may have been queued is none.
    let is_served = |front: &Front| {
        let since = front.accepted_at.unwrap_or(oracle.now);
        let others = oracle.fronts.iter().filter(|other| other.overlaps(since, oracle.now));
        others.count() < oracle.settings.max_connections
    };
    let is_new = |front: &Front| {
        let is_plain = !oracle.truth.has_tls(front.listener) && !front.is_tcp;
        front.tried_at == 0 && front.announced.is_none() && is_plain && is_served(front)
    };
    let knocks = |front: &Front| {
        let since = if is_new(front) { front.accepted_at } else { front.knocks_since };
        since.filter(|&since| since < oracle.now)
    };
    let waits = |front: &Front| {
        let is_open = front.closed.is_none() && front.left_at.is_none();
        is_open && (is_new(front) || accept::idle_since(oracle, front).is_some())
    };
    let Some(since) = knocks(at).filter(|_| waits(at)) else { return Ok(()) };
    let is_earlier = |other: &&Front| knocks(other).is_some_and(|it| it < since) && waits(other);
    if let Some(other) = oracle.fronts.iter().find(is_earlier) {
        let known = [Some(since), knocks(other)].map(|it| it.map_or(0, |it| oracle.now - it));
        let message = format!("connection {front} overtakes another: both wait, for {known:?} ns");
        return breach(GROUP, "SES-5", message);
    }
    Ok(())
}

/// A turn ended; `is_more`: it says that work is left.
pub fn turn_ended(oracle: &mut Oracle, net: &Net, is_more: bool) -> Verdict {
    let calls = std::mem::take(&mut oracle.turn.calls);
    oracle.turn.is_more = is_more;
    oracle.turn.idle_turns = if is_more && calls == 0 { oracle.turn.idle_turns + 1 } else { 0 };
    if oracle.turn.idle_turns > 2 {
        return breach(GROUP, "LOOP-5", "the driver says that work is left and does none".into());
    }
    if is_more {
        return Ok(());
    }
    for ep in std::mem::take(&mut oracle.turn.due) {
        let is_due = std::mem::take(&mut oracle.turn.marks(ep).is_due);
        if is_due && !net.ep(ep).is_closed() && is_wanted(oracle, net, ep) {
            let message = format!(
                "socket {ep}: a write was cut short, its edge came, and nobody went on writing"
            );
            return breach(GROUP, "LOOP-5", message);
        }
    }
    Ok(())
}

/// Whether bytes that were pending are still to be sent: a request's rest is not, once its final
/// response came early.
fn is_wanted(oracle: &Oracle, net: &Net, ep: Ep) -> bool {
    match oracle.side(ep) {
        // Last words, behind which writing is finished, are tried once.
        Side::Front(_) => !net.ep(ep).is_reset() && !net.ep(ep).is_shut(),
        Side::Back(back) => {
            let at = &oracle.backs[back as usize];
            if at.preface.is_partial() || at.tunnel.is_some() || at.is_tcp {
                return !net.ep(ep).is_reset();
            }
            let seen = at.seen.last();
            let row = seen.map(|seen| &oracle.rows[seen.row as usize]);
            !net.ep(ep).is_reset() && row.is_some_and(|row| row.answer.is_none())
        }
    }
}

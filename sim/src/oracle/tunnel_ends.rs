//! Group *tunnels*, ends: who may end a tunnel, when and how, and what its access record says.
//!
//! - SES-3: tunnel_idle fires in its time.
//! - SES-4: a tunnel through healthy peers is whole.
//! - TUN-2: an end follows the last byte, is passed on, and nothing looks whole that was cut.
//! - RUN-5: a tunnel has one access record, which tells what passed.

use super::ledger::{Front, Recorded};
use super::tunnels::{GROUP, Over, Tunnel, TunnelRecord, Way};
use super::{Oracle, Side, Verdict, breach, handshakes};
use crate::kernel::{Ep, Net};
use crate::layer::Facts;
use tidegate_core::effect::Close;
use tidegate_core::event::{AccessRecord, Phase, Timer, Who};
use tidegate_core::time::TICK;

impl Tunnel {
    /// The proxy's end towards its client.
    fn front_ep(&self, oracle: &Oracle) -> Ep {
        oracle.fronts[self.front as usize].ep
    }

    /// Both directions: source and destination among the proxy's ends.
    fn ways<'a>(&'a self, oracle: &Oracle) -> Option<[(&'a Way, Ep, Ep); 2]> {
        let back = oracle.backs[self.back? as usize].ep;
        let front = self.front_ep(oracle);
        Some([(&self.up, front, back), (&self.down, back, front)])
    }
}

/// What the proxy has read of how a source ends.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Heard {
    /// It may go on.
    Nothing,
    /// It has said everything.
    End,
    /// It broke off: bytes may be missing.
    Break,
    /// A part of what cannot be opened: that it breaks off shows when the record is whole, and how
    /// long a damaged one is taken to be is anybody's guess.
    Doubt,
}

/// What the proxy has heard of the end of what `source` says: with TLS it is close_notify that
/// says it, a FIN without one is a truncation (TLS-3), and so is what cannot be opened.
fn heard(oracle: &Oracle, net: &Net, source: Ep) -> Heard {
    let end = net.ep(source);
    let is_over = end.has_fin() && end.unread() == 0;
    match oracle.facts(source) {
        None if is_over => Heard::End,
        None => Heard::Nothing,
        Some(facts) if facts.said_at.is_some_and(|at| at <= end.read) => Heard::End,
        Some(_) if is_over => Heard::Break,
        Some(facts) if facts.damaged.is_some_and(|(from, _)| end.read > from) => Heard::Doubt,
        Some(_) => Heard::Nothing,
    }
}

/// Whether everything that the source ever said was read and written, its end included.
fn is_complete(oracle: &Oracle, net: &Net, way: &Way, source: Ep) -> bool {
    let is_ended = heard(oracle, net, source) == Heard::End;
    is_ended && net.content_read(source) == way.from + way.bytes
}

/// Bytes that were read and not passed on, to whom their end does not show by itself: without
/// close_notify nobody takes a stream of TLS for complete.
fn hidden_bytes(oracle: &Oracle, net: &Net, ways: &[(&Way, Ep, Ep); 2]) -> u64 {
    let hidden = |&(way, source, to): &(&Way, Ep, Ep)| {
        let is_told = oracle.facts(to).is_some_and(|facts| facts.notified_at.is_none());
        let held = net.content_read(source).saturating_sub(way.from + way.bytes);
        if is_told { 0 } else { held }
    };
    ways.iter().map(hidden).sum()
}

/// Whether the bytes of a client are a tunnel's from here on: not before its TLS stands.
pub(super) fn is_open(oracle: &Oracle, front: &Front) -> bool {
    front.is_tcp && handshakes::is_over(oracle, front)
}

impl Oracle {
    /// What is known of TLS at the peer of the proxy's end `ep`.
    pub(super) fn facts(&self, ep: Ep) -> Option<Facts> {
        match self.side(ep) {
            Side::Front(front) => self.fronts[front as usize].facts(),
            Side::Back(back) => self.backs[back as usize].facts(),
        }
    }

    /// The shortest and the longest `tunnel_idle` that a tunnel may have seen.
    fn idle_span(&self, tunnel: &Tunnel) -> (u64, u64) {
        let begun = self.fronts[tunnel.front as usize].accepted_at.unwrap_or(self.now);
        self.truth.span(begun, self.now, |t| t.tunnel_idle)
    }

    fn idle_bounds(&self, tunnel: &Tunnel) -> (u64, u64) {
        let (low, high) = self.idle_span(tunnel);
        let slack = TICK.as_nanos() as u64 + self.truth.loop_delay_max;
        (tunnel.last_byte_at.saturating_add(low), tunnel.last_moved_at.saturating_add(high + slack))
    }

    /// Whether its client has got the 101, which waits behind interim responses that were read
    /// before it. Without one, a tunnel begins with its connection.
    fn has_begun(&self, id: u32) -> bool {
        self.fronts[self.tunnels[id as usize].front as usize].tunnel == Some(id)
    }

    /// Something passed in a tunnel: it must not have been idle for too long before.
    pub(super) fn moved(&mut self, id: u32, is_byte: bool) -> Verdict {
        let tunnel = &self.tunnels[id as usize];
        let (_, high) = self.idle_bounds(tunnel);
        if self.now > high && tunnel.over.is_none() && self.has_begun(id) {
            let idle = (self.now - tunnel.last_moved_at) / 1_000_000;
            let message = format!("tunnel {id} was idle for {idle} ms and stayed open");
            return breach(GROUP, "SES-3", message);
        }
        let now = self.now;
        let tunnel = &mut self.tunnels[id as usize];
        tunnel.last_moved_at = now;
        if is_byte {
            tunnel.last_byte_at = now;
        }
        Ok(())
    }

    /// The proxy finishes writing to one of its ends.
    pub fn finishes_writing(&mut self, net: &Net, ep: Ep) -> Verdict {
        let is_front = matches!(self.side(ep), Side::Front(_));
        // Nobody sees the end of a connection that was reset.
        if net.ep(ep).is_reset() {
            return Ok(());
        }
        let Some(id) = self.tunnel_of(net, ep) else { return self.untold_end(net, ep) };
        let tunnel = &self.tunnels[id as usize];
        let Some([up, down]) = tunnel.ways(self) else { return Ok(()) };
        let (way, source, _) = if is_front { down } else { up };
        if !is_complete(self, net, way, source) {
            let whither = if is_front { "client" } else { "server" };
            let read = net.content_read(source).saturating_sub(way.from);
            let message = format!(
                "tunnel {id}: FIN to the {whither} behind {} bytes of {} that its peer sent, \
                 heard: {:?}",
                way.bytes,
                read + net.content_unread(source),
                heard(self, net, source)
            );
            return breach(GROUP, "TUN-2", message);
        }
        Ok(())
    }

    /// A FIN where it is not known whose: somebody must have sent one behind as many bytes.
    fn untold_end(&self, net: &Net, ep: Ep) -> Verdict {
        let is_explained = match self.side(ep) {
            // Why TLS did not come about is judged where that is told.
            Side::Front(front) if !is_open(self, &self.fronts[front as usize]) => true,
            Side::Front(front) => {
                let silent = self.fronts[front as usize].tag.len() as u64;
                self.backs.iter().any(|back| {
                    let is_silent = back.is_tcp && back.tunnel.is_none();
                    let has_ended = || heard(self, net, back.ep) == Heard::End;
                    is_silent && has_ended() && net.content_read(back.ep) == silent
                })
            }
            Side::Back(back) => {
                let silent = self.backs[back as usize].tag.len() as u64;
                self.tunnels.iter().any(|tunnel| {
                    let source = tunnel.front_ep(self);
                    let said = net.content_read(source).saturating_sub(tunnel.up.from);
                    let has_ended = || heard(self, net, source) == Heard::End;
                    tunnel.back.is_none() && said == silent && has_ended()
                })
            }
        };
        if !is_explained {
            super::proxy::lost_before_end(self, net)?;
            let message = format!("FIN on socket {ep}, and no peer of a tunnel has sent one");
            return breach(GROUP, "TUN-2", message);
        }
        Ok(())
    }

    /// The proxy closes one of its ends.
    pub fn tunnel_closes(&mut self, net: &Net, ep: Ep, how: Close) -> Verdict {
        let Some(id) = self.tunnel_of(net, ep) else { return Ok(()) };
        // Before its client has the 101 it is a request's server that closes, and why is judged
        // with that request.
        if self.tunnels[id as usize].over.is_some() || !self.has_begun(id) {
            return Ok(());
        }
        let over = self.how_over(net, id, how)?;
        self.tunnels[id as usize].over = Some((self.now, over));
        self.live_tunnels.retain(|&live| live != id);
        Ok(())
    }

    /// Whether the drain deadline may be over.
    fn is_drained(&self) -> bool {
        self.truth.stop_at.is_some_and(|stop| {
            self.now >= stop.saturating_add(self.truth.span(stop, self.now, |t| t.drain).0)
        })
    }

    fn how_over(&self, net: &Net, id: u32, how: Close) -> Verdict<Over> {
        let tunnel = &self.tunnels[id as usize];
        let Some(ways) = tunnel.ways(self) else { return Ok(Over::Complete) };
        let is_broken = |source| matches!(heard(self, net, source), Heard::Break | Heard::Doubt);
        let is_reset =
            ways.iter().any(|&(_, source, _)| net.ep(source).is_reset() || is_broken(source));
        let (low, high) = self.idle_bounds(tunnel);
        let drained = self.is_drained();
        let is_whole = |way: usize| is_complete(self, net, ways[way].0, ways[way].1);
        let is_cut = ways.iter().any(|&(way, source, to)| {
            let held = net.content_read(source) > way.from + way.bytes;
            held || (tunnel.row.is_some() && net.ep(to).owes_writable())
        });
        let is_due = drained || self.now >= low;
        match how {
            // What the server said is whole, and it takes no more: its client has lost nothing.
            Close::Normal if is_whole(1) && net.ep(ways[1].1).is_reset() => Ok(Over::Refused),
            Close::Normal if is_whole(0) && is_whole(1) => Ok(Over::Complete),
            Close::Reset if is_reset => Ok(Over::Broken),
            // Whoever has not got all must not take what it has for complete.
            Close::Normal if is_due && hidden_bytes(self, net, &ways) > 0 => {
                let held = hidden_bytes(self, net, &ways);
                let message = format!("tunnel {id} was cut before {held} bytes, as if whole");
                breach(GROUP, "TUN-2", message)
            }
            Close::Reset if !is_cut => self.open_way(net, id, &ways, how),
            _ if drained => Ok(Over::Drained),
            _ if is_due => {
                let is_exact = self.now <= high || !self.has_ample_buffers();
                if !is_exact {
                    let late = (self.now - high) / 1_000_000;
                    let message = format!("tunnel {id}: tunnel_idle fired {late} ms late");
                    return breach(GROUP, "SES-3", message);
                }
                Ok(Over::Idle)
            }
            Close::Normal if is_reset => {
                let message = format!("tunnel {id}: a reset was shown as a clean end");
                breach(GROUP, "TUN-2", message)
            }
            _ => self.open_way(net, id, &ways, how),
        }
    }

    fn open_way(
        &self,
        net: &Net,
        id: u32,
        ways: &[(&Way, Ep, Ep); 2],
        how: Close,
    ) -> Verdict<Over> {
        let [up, down] =
            ways.map(|(way, source, _)| (is_complete(self, net, way, source), way.bytes));
        let message = format!(
            "tunnel {id} was closed ({how:?}) while a way was open: up {up:?}, down {down:?}"
        );
        breach(GROUP, "TUN-2", message)
    }

    /// At the end of a turn that has no work left: nothing waits that could go on.
    pub fn tunnels_rest(&self, net: &Net) -> Verdict {
        if !self.has_ample_buffers() {
            return Ok(());
        }
        for &id in &self.live_tunnels {
            let tunnel = &self.tunnels[id as usize];
            let Some(ways) = tunnel.ways(self).filter(|_| self.has_begun(id)) else { continue };
            for (way, source, to) in ways {
                if let Some(what) = held_back(self, net, way, source, to) {
                    return breach(GROUP, "TUN-2", format!("tunnel {id}: {what}"));
                }
            }
        }
        Ok(())
    }

    /// The access record of a TCP session.
    pub fn tcp_record(&mut self, record: &AccessRecord) -> Verdict {
        let front = self.front_from(record.client);
        let found = front.and_then(|front| self.fronts[front].tunnel);
        let Some(id) = found.filter(|&id| self.tunnels[id as usize].row.is_none()) else {
            let client = record.client;
            return breach(GROUP, "RUN-5", format!("a record of {client:?}, who made no tunnel"));
        };
        let tunnel = &self.tunnels[id as usize];
        let front = &self.fronts[tunnel.front as usize];
        let header = tunnel.up.from;
        let sent = front.tag.len() as u64;
        let sent = if tunnel.back.is_some() { tunnel.down.bytes } else { sent };
        super::passage::recorded(self, tunnel.front, record)?;
        let has_stood = matches!(record.ending.phase, Phase::Tunnel | Phase::Complete);
        if let Some(back) = tunnel.back.filter(|_| has_stood) {
            super::falls::has_risen(self, back)?;
        }
        handshakes::recorded(front, record)?;
        self.counts(id, record, (front.read.saturating_sub(header), sent))?;
        self.kept(id, record)
    }

    /// The access record of a request that became a tunnel.
    pub fn upgrade_record(&mut self, row: u32, record: &AccessRecord) -> Verdict {
        let Some(id) = self.rows[row as usize].tunnel else { return Ok(()) };
        let tunnel = &self.tunnels[id as usize];
        let front = &self.fronts[tunnel.front as usize];
        let received = front.read - self.rows[row as usize].start;
        let place = front.seen.iter().rposition(|seen| seen.status == 101);
        let before = place.and_then(|at| front.seen[..at].iter().rev().find(|s| s.status >= 200));
        let before = before.and_then(|seen| seen.end).unwrap_or(0);
        let sent = front.reader.offset - before + tunnel.down.bytes;
        if place.is_some() {
            self.counts(id, record, (received, sent))?;
        }
        self.kept(id, record)
    }

    /// A request came to its end without an answer although a 101 had been read for it: behind
    /// interim responses, of which its client took no more. Nobody got as far as the tunnel.
    pub fn never_switched(&mut self, row: u32, recorded: &Recorded) {
        let row = &self.rows[row as usize];
        if let Some(id) = row.tunnel.filter(|_| row.answer.is_none()) {
            let Recorded { at, ending, attempts, .. } = *recorded;
            self.tunnels[id as usize].record = Some(TunnelRecord { at, ending, attempts });
        }
    }

    fn counts(&self, id: u32, record: &AccessRecord, (received, sent): (u64, u64)) -> Verdict {
        let tunnel = &self.tunnels[id as usize];
        // What TLS has opened or sealed is counted, and of a tunnel that breaks off not all of it
        // need have passed.
        let has_tls = self.fronts[tunnel.front as usize].tls.is_some();
        let is_right = match has_tls && !matches!(tunnel.over, Some((_, Over::Complete))) {
            true => record.received <= received && record.sent >= sent,
            false => (record.received, record.sent) == (received, sent),
        };
        if !is_right {
            let (in_record, out_record) = (record.received, record.sent);
            let message = format!(
                "tunnel {id}: {received} bytes received and {sent} sent, recorded: {in_record} \
                 and {out_record}"
            );
            return breach(GROUP, "RUN-5", message);
        }
        Ok(())
    }

    fn kept(&mut self, id: u32, record: &AccessRecord) -> Verdict {
        let (now, ending) = (self.now, record.ending);
        let tunnel = &mut self.tunnels[id as usize];
        if tunnel.record.is_some() {
            return breach(GROUP, "RUN-5", format!("tunnel {id} has two access records"));
        }
        let kept = TunnelRecord { at: now, ending, attempts: record.attempts };
        tunnel.record = Some(kept);
        let Some((at, over)) = tunnel.over else {
            return super::attempts::gave_up(self, id, &kept);
        };
        let is_idle = ending.timer == Some(Timer::TunnelIdle);
        let tunnel = &self.tunnels[id as usize];
        let is_right = match over {
            // The last end, or a reset, may come in the very turn in which the timer is due.
            Over::Complete | Over::Broken if is_idle => at >= self.idle_bounds(tunnel).0,
            // So may the deadline; and a reset behind a stream's end is no news to a proxy that has
            // yet to pass on what it read.
            Over::Complete | Over::Broken if ending.timer == Some(Timer::Drain) => {
                self.is_drained()
            }
            Over::Complete => ending.phase == Phase::Complete && ending.who == Who::Nobody,
            Over::Idle => is_idle,
            Over::Drained => ending.timer == Some(Timer::Drain) || ending.phase == Phase::Tunnel,
            Over::Broken => matches!(ending.who, Who::Client | Who::Backend),
            Over::Refused => ending.who != Who::Client,
        };
        if !is_right {
            let message = format!("tunnel {id} ended {over:?}, and the record says {ending:?}");
            return breach(GROUP, "RUN-5", message);
        }
        Ok(())
    }

    /// Whether the 101 of a tunnel came in one read with what cannot be opened: it is lost with
    /// that, and the request goes on as one whose server's connection broke.
    fn is_lost(&self, id: u32) -> bool {
        let back = self.tunnels[id as usize].back.map(|back| &self.backs[back as usize]);
        let facts = back.and_then(|back| back.facts());
        !self.has_begun(id) && facts.is_some_and(|facts| facts.damaged.is_some())
    }

    /// At the end: each tunnel is over, has its record, and carried what it should.
    pub(super) fn audit_tunnels(&self, net: &Net) -> Verdict {
        for (id, tunnel) in self.tunnels.iter().enumerate() {
            let front = &self.fronts[tunnel.front as usize];
            if tunnel.back.is_some() && tunnel.record.is_none() && !self.is_lost(id as u32) {
                let (front, row, over) = (tunnel.front, tunnel.row, tunnel.over);
                let message = format!(
                    "tunnel {id} of connection {front}, {row:?}, ended {over:?} without a record"
                );
                return breach(GROUP, "RUN-5", message);
            }
            if tunnel.must_succeed {
                succeeded(self, net, id, tunnel)?;
            }
            if tunnel.record.is_none() && tunnel.row.is_none() && front.closed.is_some() {
                super::attempts::unserved(self, net, tunnel)?;
            }
        }
        Ok(())
    }
}

/// A tunnel that nothing stood against carried everything both ways.
fn succeeded(oracle: &Oracle, net: &Net, id: usize, tunnel: &Tunnel) -> Verdict {
    let front = &oracle.fronts[tunnel.front as usize];
    let nature = tunnel.back.map(|back| oracle.truth.nature(oracle.backs[back as usize].server));
    // Whether it was right to turn a connection away has been judged already.
    let is_unserved = tunnel.record.is_none() && front.closed.is_some();
    let is_limited = oracle.truth.natures.iter().any(|n| n.is_tcp && n.limit.is_some());
    let is_queued = is_limited && tunnel.back.is_none();
    let is_over = tunnel.over.is_some_and(|(_, over)| over == Over::Complete);
    let all_arrived = [front.ep, tunnel.back.map_or(front.ep, |b| oracle.backs[b as usize].ep)]
        .into_iter()
        .all(|ep| net.ep(ep).arrived == net.ep(ep).written);
    if is_unserved
        || is_queued
        || oracle.truth.stop_at.is_some_and(|at| front.accepted_at >= Some(at))
    {
        return Ok(());
    }
    // The shortest tunnel_idle may be shorter than what a peer takes to answer.
    let is_idle = tunnel.over.is_some_and(|(_, over)| over == Over::Idle)
        || tunnel.record.is_some_and(|r| r.ending.timer == Some(Timer::TunnelIdle));
    if !(is_idle || is_over && all_arrived) {
        let (over, record) = (tunnel.over, tunnel.record);
        let message =
            format!("tunnel {id} to a healthy cluster failed: {over:?}, {record:?}, {nature:?}");
        return breach(GROUP, "SES-4", message);
    }
    Ok(())
}

/// What of one direction waits though it could go on, if anything does.
fn held_back(oracle: &Oracle, net: &Net, way: &Way, source: Ep, to: Ep) -> Option<String> {
    let (heard, read) = (heard(oracle, net, source), net.content_read(source));
    let (source, to) = (net.ep(source), net.ep(to));
    // What somebody was not told of yet, or nobody would take any more, may wait.
    if source.is_woken() || to.is_woken() || to.is_reset() || to.is_shut() {
        return None;
    }
    let held = read.saturating_sub(way.from + way.bytes);
    if held > 0 {
        return (!to.owes_writable()).then(|| format!("{held} bytes are held back"));
    }
    // Nothing counts that follows a close_notify.
    if source.unread() > 0 && heard == Heard::Nothing {
        return Some(format!("{} bytes wait unread", source.unread()));
    }
    // The end of a 101 may be what waits.
    let is_told = matches!(heard, Heard::End | Heard::Break);
    let is_due = is_told && !source.is_reset() && !to.owes_writable();
    is_due.then(|| "a FIN is held back".to_string())
}

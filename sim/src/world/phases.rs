//! Warm-up, chaos, heal, drain, quiescence: what holds when, and what begins and ends there.

use super::World;
use super::client::{Client, Role};
use super::controller::APPLY;
use super::leave::Leaves;
use crate::choice::Rate;
use crate::cx::{Cx, Ev, MS, SEC};
use crate::mark;
use crate::marks::Group;
use crate::oracle::{accounting, balance, reconfiguration};
use crate::site;
use crate::swarm::Rates;
use crate::trace;
use crate::wires::WireRange;
use tidegate_core::event::{AccessRecord, Phase as Stage, Who};
use tidegate_core::stats::Counters;
use tidegate_core::time::{TICK, Time};

/// Where a run stands.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// Traffic, and nothing goes wrong yet.
    WarmUp,
    /// Traffic with faults.
    Chaos,
    /// Everything is healed, save for what stays broken for good, and nobody asks.
    Heal,
    /// Everything must work.
    Healed,
    /// Traffic before the stop.
    Drain,
    /// The graceful stop is going on.
    Stopping,
    /// The graceful stop is going on in the middle of chaos.
    RoughStop,
    /// Stopped; the last bytes arrive. At its end the whole ledger is audited.
    Quiescence,
    /// Done.
    Over,
}

/// What holds in a phase.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Rules {
    /// Peers misbehave, at the seed's rates.
    pub(super) is_rough: bool,
    /// Episodes begin, and the controller acts.
    pub(super) is_open: bool,
    /// The phases that may follow.
    pub(super) next: &'static [Phase],
}

const fn rules(is_rough: bool, is_open: bool, next: &'static [Phase]) -> Rules {
    Rules { is_rough, is_open, next }
}

impl Phase {
    /// All of them, in the order of a run.
    #[cfg(test)]
    const ALL: [Phase; 9] = [
        Phase::WarmUp,
        Phase::Chaos,
        Phase::Heal,
        Phase::Healed,
        Phase::Drain,
        Phase::Stopping,
        Phase::RoughStop,
        Phase::Quiescence,
        Phase::Over,
    ];

    /// The table.
    #[rustfmt::skip]
    pub(super) const fn rules(self) -> Rules {
        match self {
            //                          rough  open   next
            Phase::WarmUp     => rules(false, false, &[Phase::Chaos]),
            Phase::Chaos      => rules(true,  true,  &[Phase::Heal, Phase::RoughStop]),
            Phase::Heal       => rules(false, false, &[Phase::Healed]),
            Phase::Healed     => rules(false, false, &[Phase::Drain]),
            Phase::Drain      => rules(false, false, &[Phase::Stopping]),
            Phase::Stopping   => rules(false, false, &[Phase::Quiescence]),
            Phase::RoughStop  => rules(true,  false, &[Phase::Quiescence]),
            Phase::Quiescence => rules(false, false, &[Phase::Over]),
            Phase::Over       => rules(false, false, &[]),
        }
    }

    /// Whether a graceful stop is going on.
    pub(super) fn is_stopping(self) -> bool {
        matches!(self, Phase::Stopping | Phase::RoughStop)
    }
}

impl World {
    /// How often peers misbehave now.
    pub(super) fn rates(&self) -> Rates {
        if self.phase.rules().is_rough { self.scenario.swarm.rates } else { Rates::NONE }
    }

    /// Whether no episode begins and the controller changes nothing: everywhere but in chaos.
    pub(super) fn is_closed(&self) -> bool {
        !self.phase.rules().is_open
    }

    /// The next phase is `to`, which must be one that may follow.
    fn go(&mut self, to: Phase) {
        trace!(self.cx, "phase {:?} ends, {to:?} begins", self.phase);
        assert!(self.phase.rules().next.contains(&to), "{:?} goes to {to:?}", self.phase);
        self.phase = to;
    }

    /// How many hosts a client may name.
    pub(super) fn hosts_for(&self, role: Role) -> u64 {
        let routed = self.scenario.clusters.len() as u64;
        if role == Role::Healed || self.scenario.is_faultless { routed } else { routed + 1 }
    }

    /// The phase is over.
    pub(super) fn next_phase(&mut self) {
        match self.phase {
            Phase::WarmUp => {
                self.go(Phase::Chaos);
                self.cx.after(self.scenario.chaos, 0, Ev::Phase);
                if !self.controls.is_empty() {
                    self.cx.after(100 * MS, 0, Ev::Control);
                }
            }
            Phase::Chaos if self.crowd.is_some() => {
                self.cx.mark(mark!("phase: stopped in the middle of chaos"));
                self.stop(Phase::RoughStop);
            }
            Phase::Chaos => {
                let skips = !self.scenario.is_faultless
                    && self.cx.chance(site!("phase/stop in chaos"), 0, Rate::percent(12));
                if skips { self.gather() } else { self.heal() }
            }
            Phase::Heal => self.show_health(),
            Phase::Drain => self.stop(Phase::Stopping),
            Phase::Stopping | Phase::RoughStop => {
                let verdict = reconfiguration::stopped_in_time(self.cx.now, self.stop_limit);
                self.oracle.judge(verdict);
            }
            Phase::Quiescence if self.cx.now >= self.settled_at => self.go(Phase::Over),
            Phase::Healed | Phase::Quiescence | Phase::Over => {}
        }
    }

    fn heal(&mut self) {
        self.proxy.buggify().rest();
        self.go(Phase::Heal);
        self.end_episodes();
        for c in 0..self.clients.len() as u32 {
            self.clients[c as usize].left = 0;
            if self.clients[c as usize].ep.is_some() {
                self.excuse(c);
                self.client_leave(c, Leaves::Aborts);
            }
        }
        if !self.controls.is_empty() {
            let desired = self.first_desired.clone();
            self.apply(desired);
        }
        // Windows of a few bytes could outlast the shortest timeouts for good reason.
        self.scenario.front_wires = WireRange::HEALTHY;
        self.scenario.back_wires = WireRange::HEALTHY;
        self.oracle.truth.healed_at = Some(self.cx.now);
        self.cx.after(self.longest_timeout() + 70 * SEC, 0, Ev::Phase);
    }

    /// The requests that client `c` has open are owed nothing.
    fn excuse(&mut self, c: u32) {
        for tunnel in &mut self.oracle.tunnels {
            let front = &self.oracle.fronts[tunnel.front as usize];
            // The proxy may be done with it, and its last bytes on their way.
            let end = self.net.ep(front.ep);
            let is_open = tunnel.over.is_none() || end.arrived < end.written;
            if is_open && front.client == c {
                tunnel.must_succeed = false;
            }
        }
        for front in self.oracle.fronts.iter().filter(|front| front.client == c) {
            let arrived = self.net.content_arrived(front.ep);
            for &row in &front.rows {
                let row = &mut self.oracle.rows[row as usize];
                let end = row.answer.as_ref().and_then(|answer| answer.end);
                if end.is_none_or(|end| end > arrived) {
                    row.must_succeed = false;
                }
            }
        }
    }

    fn longest_timeout(&self) -> u64 {
        let all = self.oracle.truth.versions.iter().flat_map(|version| {
            let timeouts = &version.timeouts;
            tidegate_core::config::Timeouts::NAMES.iter().filter_map(|name| timeouts.get(name))
        });
        all.max().map_or(0, |span| span.as_nanos() as u64)
    }

    fn show_health(&mut self) {
        self.oracle.judge(accounting::invariants(self.proxy.check_invariants()));
        self.oracle.judge(accounting::at_rest(&self.proxy.gauges()));
        self.go(Phase::Healed);
        let settings = &self.scenario.settings;
        // Eviction may hit whoever has connected and not asked yet, unless nobody else is there.
        let most = if settings.accept_queue_evict_idle { 1 } else { 4 };
        let count = settings.max_connections.min(settings.buffers_max / 2).clamp(1, most);
        for _ in 0..count {
            self.add_client(Role::Healed, 2, 10 * MS);
        }
    }

    /// A client has made its last connection.
    pub(super) fn client_done(&mut self, _c: u32) {
        let is_busy = self.clients.iter().any(Client::is_at_work);
        if self.phase == Phase::Healed && !is_busy {
            self.go(Phase::Drain);
            self.oracle.judge(balance::fair(&self.oracle));
            self.oracle.judge(balance::faithful(&self.oracle));
            let count = self.cx.choices.between(site!("drain/clients"), 0, 1, 12);
            for _ in 0..count {
                self.add_client(Role::Drain, 3, 20 * MS);
            }
            let delay = self.cx.choices.log_between(site!("drain/stop"), 0, MS, 60 * MS);
            self.cx.after(delay, 0, Ev::Phase);
        }
    }

    fn stop(&mut self, phase: Phase) {
        self.go(phase);
        self.oracle.truth.stop_at = Some(self.cx.now);
        self.mark_states(Group::Stopped);
        self.proxy.advance(Time(self.cx.now));
        let proxy = &mut self.proxy;
        self.streams.lend(APPLY, || proxy.stop());
        self.schedule_turn(self.cx.now + 1);
        let drain = self.oracle.truth.versions.iter().map(|version| version.timeouts.drain).max();
        let drain = drain.map_or(0, |span| span.as_nanos() as u64);
        let slack = TICK.as_nanos() as u64 + self.oracle.truth.loop_delay_max;
        self.stop_limit = self.cx.now + drain + slack;
        self.cx.heap.push(self.stop_limit + 1, 0, Ev::Phase);
    }

    /// The proxy says that nothing is left.
    pub(super) fn stopped(&mut self) {
        self.go(Phase::Quiescence);
        self.oracle.judge(reconfiguration::stopped_in_time(self.cx.now, self.stop_limit));
        self.oracle.judge(accounting::invariants(self.proxy.check_invariants()));
        self.oracle.judge(accounting::stopped(&self.proxy.gauges(), &self.net));
        self.end_episodes();
        self.stop_limit = u64::MAX;
        self.settled_at = self.cx.now + 200 * SEC;
        self.cx.heap.push(self.settled_at, 0, Ev::Phase);
    }
}

/// Marks what the core counted.
pub(super) fn mark_counters(cx: &mut Cx, counters: &Counters) {
    let all = [
        (counters.queue_overflow, mark!("accept: queue overflow")),
        (counters.queue_aged, mark!("accept: waited too long")),
        (counters.accept_pauses, mark!("accept: paused")),
        (counters.evicted, mark!("accept: idle session evicted")),
        (counters.connect_failures, mark!("backend: connection attempt failed")),
        (counters.resent_reused, mark!("backend: sent again after a reused connection")),
        (counters.resent_fresh, mark!("backend: sent again after a fresh connection")),
        (counters.truncated, mark!("response: cut short")),
        (counters.stale_ids, mark!("socket: stale id")),
        (counters.buffer_waits, mark!("buffers: a session waited")),
        (counters.tunnels, mark!("tunnel: begun")),
        (counters.proxy_refused, mark!("proxy: a stranger refused")),
        (counters.proxy_malformed, mark!("proxy: a bad header refused")),
        (counters.over_address_limit, mark!("limits: an address over its limit")),
        (counters.backend_queued, mark!("limits: waited for a server")),
        (counters.backend_queue_full, mark!("limits: the line was full")),
    ];
    for (_, site) in all.into_iter().filter(|(count, _)| *count > 0) {
        cx.mark(site);
    }
}

/// Marks how a tunnel ended.
fn mark_tunnel(cx: &mut Cx, record: &AccessRecord) {
    let ending = record.ending;
    cx.mark(match (ending.phase, ending.who) {
        (Stage::Complete, _) => mark!("tunnel: ended in order"),
        (Stage::Connect, Who::Backend) => mark!("tunnel: no server reached"),
        (Stage::Connect, _) => mark!("tunnel: given up before it began"),
        (Stage::Tunnel, Who::Client) => mark!("tunnel: broken by the client"),
        (Stage::Tunnel, Who::Backend) => mark!("tunnel: broken by the server"),
        (Stage::Tunnel, Who::Timeout) => mark!("tunnel: cut by a timer"),
        _ => mark!("tunnel: other end"),
    });
    if record.received == 0 && record.sent > 0 {
        cx.mark(mark!("tunnel: only the server spoke"));
    }
    if record.attempts > 1 {
        cx.mark(mark!("tunnel: more than one attempt"));
    }
}

/// Marks what the access log saw.
pub(super) fn mark_record(cx: &mut Cx, record: &AccessRecord) {
    if record.tcp || record.status == 101 {
        mark_tunnel(cx, record);
    }
    cx.mark(match record.status {
        _ if record.tcp => mark!("record: TCP"),
        101 => mark!("status: 101"),
        429 => mark!("status: 429"),
        0 => mark!("status: none"),
        100..=299 => mark!("status: 2xx"),
        300..=399 => mark!("status: 3xx"),
        400 => mark!("status: 400"),
        404 => mark!("status: 404"),
        408 => mark!("status: 408"),
        413 => mark!("status: 413"),
        421 => mark!("status: 421"),
        414 => mark!("status: 414"),
        431 => mark!("status: 431"),
        500 => mark!("status: 500"),
        501 => mark!("status: 501"),
        502 => mark!("status: 502"),
        503 => mark!("status: 503"),
        504 => mark!("status: 504"),
        505 => mark!("status: 505"),
        _ => mark!("status: other"),
    });
    if record.reused {
        cx.mark(mark!("backend: connection reused"));
    }
    if record.attempts > 1 {
        cx.mark(mark!("backend: more than one attempt"));
    }
    let ending = record.ending;
    cx.mark(Group::Ended.at(ending.who as usize * Stage::ALL.len() + ending.phase as usize));
    if let Some(timer) = ending.timer {
        cx.mark(Group::TimedOut.at(timer as usize));
    }
}

#[cfg(test)]
mod tests {
    use super::Phase;

    /// Every phase is reached, every run comes to its end, and only chaos is rough.
    #[test]
    fn the_table_of_phases_leads_from_warm_up_to_the_end() {
        let mut reached = vec![Phase::WarmUp];
        let mut at = 0;
        while let Some(&phase) = reached.get(at) {
            at += 1;
            let next = phase.rules().next;
            assert_eq!(next.is_empty(), phase == Phase::Over, "{phase:?}");
            reached.extend(next.iter().filter(|&&it| phase != it).copied());
            assert!(reached.len() < 100, "no phase comes twice");
        }
        for phase in Phase::ALL {
            assert!(reached.contains(&phase), "{phase:?} is never reached");
            let rules = phase.rules();
            assert_eq!(rules.is_open, phase == Phase::Chaos);
            assert_eq!(rules.is_rough, matches!(phase, Phase::Chaos | Phase::RoughStop));
            let order = |it: Phase| Phase::ALL.iter().position(|&phase| phase == it);
            assert!(rules.next.iter().all(|&next| order(next) > order(phase)), "{phase:?}");
        }
    }
}

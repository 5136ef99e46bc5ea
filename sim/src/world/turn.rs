//! One turn of the proxy: readiness in, the production driver's turn, facts out, checks.

use super::World;
use crate::cx::{Ev, US};
use crate::fact;
use crate::gate::Gate;
use crate::kernel::{Owner, Woken};
use crate::mark;
use crate::oracle::{accept, accounting, limits, progress, reconfiguration, reuse, timers};
use crate::site;
use crate::story::{Fact, Who};
use crate::swarm::Fault;
use crate::tell;
use tidegate_core::drive;
use tidegate_core::event::Event;
use tidegate_core::id::SocketId;
use tidegate_core::input::Readiness;
use tidegate_core::time::Time;

/// Keys the ties of turns apart from those of peers.
const TURN_ENTITY: u64 = 1 << 40;
/// The core's own check costs a pass over everything: it runs once in so many turns.
const INVARIANTS_EVERY: u64 = 16;

impl World {
    /// Makes sure that the proxy has a turn at `at` or before.
    pub(super) fn schedule_turn(&mut self, at: u64) {
        if at < self.turn_at {
            self.turn_at = at;
            self.cx.heap.push(at, TURN_ENTITY, Ev::Turn);
        }
    }

    /// Readiness is waiting: the proxy wakes after the loop's usual delay, or a longer one.
    pub(super) fn wake_proxy(&mut self) {
        self.is_wake_scheduled = true;
        let rates = self.rates();
        let most = if self.cx.strikes(Fault::SlowLoop, &rates, 0) {
            self.scenario.slow_turn_delay
        } else {
            self.scenario.turn_delay
        };
        let delay = self.cx.choose(site!("turn/delay"), 0, most);
        let (now, at) = (self.cx.now, self.cx.now + delay);
        self.schedule_turn(self.crowd.map_or(at, |crowd| crowd.wakes(now, at)));
    }

    /// The wall clock jumps: it is off by `millis` from now on.
    pub(super) fn set_wall_offset(&mut self, millis: i64) {
        let jumps = &mut self.oracle.truth.wall_jumps;
        if jumps.last().map_or(0, |&(_, offset)| offset) != millis {
            jumps.push((self.cx.now, millis));
        }
    }

    /// The proxy's turn, unless an earlier one made this one needless.
    pub(super) fn turn(&mut self) -> bool {
        if self.cx.now != self.turn_at {
            return false;
        }
        self.turn_at = u64::MAX;
        self.is_wake_scheduled = false;
        self.turns += 1;
        self.oracle.judge(limits::slept(&self.oracle));
        let wall_clock = self.wall_clock();
        self.proxy.set_wall_clock(wall_clock);
        let now = Time(self.cx.now);
        self.proxy.advance(now);
        self.tell_readiness();
        let mut gate = Gate {
            cx: &mut self.cx,
            net: &mut self.net,
            oracle: &mut self.oracle,
            sockets: &mut self.sockets,
            layers: &mut self.layers,
            wires: &self.scenario.back_wires,
        };
        let proxy = &mut self.proxy;
        let is_more = self.streams.lend(TURN_ENTITY, || drive::turn(proxy, &mut gate, now));
        self.take_events();
        self.check_turn(is_more);
        self.plan_next_turn(is_more);
        if self.phase.is_stopping() && self.proxy.is_stopped() {
            self.stopped();
        }
        true
    }

    fn tell_readiness(&mut self) {
        let rates = self.rates();
        let mut batch = self.net.proxy_woken.len();
        if batch > 1 && self.cx.strikes(Fault::Reorder, &rates, 0) {
            let by = self.cx.choose(site!("turn/rotate"), 0, batch as u64) as usize;
            self.net.proxy_woken.rotate_left(by);
            let other = self.cx.choose(site!("turn/swap"), 0, batch as u64) as usize;
            self.net.proxy_woken.swap(0, other);
            // What happens between the wait for events and a system call is told in the next turn.
            batch -= self.cx.choose(site!("turn/untold"), 0, batch as u64) as usize;
        }
        batch = self.shuffle_batch().unwrap_or(batch).min(self.scenario.batch_max);
        for _ in 0..batch {
            match self.net.proxy_woken.pop_front() {
                Some(Woken::Endpoint(ep)) => {
                    self.net.told(ep);
                    let end = self.net.ep(ep);
                    if end.is_closed() {
                        continue;
                    }
                    let Owner::Proxy(id) = end.owner else { continue };
                    let mask = self.net.mask(ep);
                    self.tell(id, Some(ep), mask);
                }
                Some(Woken::Listener(listener)) => {
                    self.net.told_listener(listener);
                    let mask = self.net.listener_mask(listener);
                    let at = self.net.listener(listener);
                    if let (true, crate::kernel::Acceptor::Proxy(id)) = (at.is_open(), at.acceptor)
                    {
                        self.tell(id, None, mask);
                    }
                }
                None => break,
            }
        }
        if self.cx.strikes(Fault::Spurious, &rates, 0) {
            self.tell_spurious();
        }
    }

    fn tell(&mut self, id: SocketId, ep: Option<u32>, mask: Readiness) {
        if mask == Readiness::default() {
            return;
        }
        fact!(self.cx, Fact::Ready(id, ep, mask));
        if let Some(ep) = ep {
            self.oracle.told(&self.net, ep, mask);
        }
        self.hand_in(id, mask);
    }

    /// A socket that broke may end its session, whose place another one takes, and dials by TLS.
    fn hand_in(&mut self, id: SocketId, mask: Readiness) {
        self.streams.lend(TURN_ENTITY, || self.proxy.ready(id, mask));
    }

    /// Readiness of a socket to which nothing happened, and of one that is gone (LOOP-1).
    fn tell_spurious(&mut self) {
        let open = self.sockets.endpoints().count() as u64;
        if open > 0 {
            let n = self.cx.choose(site!("turn/which spurious"), 0, open) as usize;
            let found = self.sockets.endpoints().nth(n);
            if let Some((id, ep)) = found {
                self.cx.mark(mark!("kernel: spurious readiness"));
                let mut mask = self.net.mask(ep);
                if !self.net.ep(ep).is_connecting() {
                    mask.readable = true;
                }
                self.tell(id, Some(ep), mask);
            }
        }
        if let Some(id) = self.sockets.last_closed {
            let all = Readiness { readable: true, writable: true, read_closed: true, error: true };
            self.cx.mark(mark!("kernel: readiness of a closed socket"));
            self.hand_in(id, all);
        }
    }

    fn take_events(&mut self) {
        while let Some(event) = self.proxy.poll_event() {
            tell!(self.cx, Who::Proxy, "{event:?}");
            if let Event::Access(record) = &event {
                let fold = record.received << 32 ^ record.sent;
                self.cx.trace.fold(0x200, u64::from(record.status), fold);
                self.cx.trace.fold(0x201, record.session, record.request_id as u64);
                super::phases::mark_record(&mut self.cx, record);
            }
            self.oracle.event(&event);
        }
    }

    fn check_turn(&mut self, is_more: bool) {
        let gauges = self.proxy.gauges();
        let net = &self.net;
        let oracle = &mut self.oracle;
        oracle.has_waited = self.proxy.counters().buffer_waits > 0;
        oracle.judge(accounting::turn_ended(oracle, net, &gauges));
        if !is_more {
            oracle.judge(accept::turn_ended(oracle, &gauges));
            oracle.judge(accept::makes_room(oracle, net, &gauges));
            oracle.judge(accept::backlogs(oracle, net));
            oracle.judge(reconfiguration::idle_in_stop(oracle, net));
            oracle.judge(reconfiguration::listeners(oracle, net));
        }
        let verdict = accept::evictions(oracle, net, self.proxy.counters().evicted);
        oracle.judge(verdict);
        let verdict = progress::turn_ended(oracle, net, is_more);
        oracle.judge(verdict);
        if !is_more {
            let verdict = oracle.tunnels_rest(net).and_then(|()| limits::lines(oracle));
            oracle.judge(verdict);
            let verdict = reuse::pools(oracle, net);
            oracle.judge(verdict);
        }
        oracle.turn.first_served.clear();
        if self.turns.is_multiple_of(INVARIANTS_EVERY) {
            oracle.judge(accounting::invariants(self.proxy.check_invariants()));
        }
    }

    fn plan_next_turn(&mut self, is_more: bool) {
        if is_more {
            self.cx.mark(mark!("turn: budget used up"));
            return self.schedule_turn(self.cx.now + US);
        }
        let (due, timer) = self.proxy.next_deadline();
        self.oracle.judge(timers::next_deadline(self.cx.now, due.0, timer));
        if due != Time::NEVER {
            self.schedule_turn(due.0.max(self.cx.now + 1));
        }
        // A turn's own doings can wake it again only through the wire; what did not fit its
        // batch is told next.
        if !self.net.proxy_woken.is_empty() {
            self.wake_proxy();
        }
    }
}

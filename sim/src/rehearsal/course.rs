//! The course of a rehearsal: one event after another, in virtual time.

use super::calls::Calls;
use super::chance::gap;
use super::clients::{Conn, Cookies};
use super::measure::{Meter, Sample};
use super::plan::Plan;
use super::secure::Secure;
use super::servers::{BackConn, Server};
use super::targets::Door;
use super::{http, report};
use crate::choice::{Choices, mix};
use crate::cx::{Cx, Ev, MS, SEC, US};
use crate::gate::Sockets;
use crate::kernel::{Acceptor, Net, Notice, Owner, Wire, Woken};
use crate::tls::Streams;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use tidegate_core::Proxy;
use tidegate_core::drive;
use tidegate_core::event::{AccessRecord, Event};
use tidegate_core::input::{Address, Readiness};
use tidegate_core::time::Time;

/// Virtual time starts here.
pub(super) const START: u64 = SEC;
/// From readiness to the turn that learns of it.
const LOOP_DELAY: u64 = 20 * US;
/// What is live is looked at so often.
const SAMPLE_EVERY: u64 = 50 * MS;
/// The core's own check costs a pass over everything: it runs once in so many turns.
const INVARIANTS_EVERY: u64 = 8192;
/// Keys the ties of turns apart from those of peers.
const TURN_ENTITY: u64 = 1 << 40;
/// Keys the proxy's randomness outside of turns.
const APPLY: u64 = TURN_ENTITY + 1;
/// Bytes of a socket's buffer, as Linux has them.
const BUFFER_BYTES: usize = 128 * 1024;

/// Everything that exists in one rehearsal.
pub(super) struct Course {
    pub(super) plan: Plan,
    pub(super) cx: Cx,
    pub(super) net: Net,
    proxy: Proxy,
    sockets: Sockets,
    streams: Streams,
    pub(super) secure: Secure,
    pub(super) meter: Meter,
    pub(super) servers: Vec<Server>,
    pub(super) back_conns: Vec<Option<Box<BackConn>>>,
    pub(super) conns: Vec<Option<Box<Conn>>>,
    pub(super) doors: Vec<Door>,
    /// Idle connections of a client to a door, the youngest last.
    pub(super) idle: BTreeMap<(u32, usize), Vec<u32>>,
    /// The connection that a request is on.
    pub(super) on: BTreeMap<u32, u32>,
    pub(super) cookies: BTreeMap<u32, Cookies>,
    pub(super) tcp_by_address: BTreeMap<SocketAddr, u32>,
    pub(super) client_wire: Wire,
    server_wire: Wire,
    pub(super) scratch: Vec<u8>,
    /// The version of the configuration that is in force.
    pub(super) stage: usize,
    /// Requests whose users wait.
    pub(super) unanswered: u64,
    /// No more requests come.
    pub(super) is_over: bool,
    turn_at: u64,
    turns: u64,
    is_wake_scheduled: bool,
    events: u64,
}

/// Holds the rehearsal.
pub(super) fn hold(plan: Plan) -> report::Report {
    let mut course = Course::new(plan);
    course.begin();
    while course.step() {}
    course.finish()
}

fn wire(rtt: u64) -> Wire {
    Wire {
        active_send: BUFFER_BYTES,
        active_recv: BUFFER_BYTES,
        passive_send: BUFFER_BYTES,
        passive_recv: BUFFER_BYTES,
        // A flight takes up to a quarter more, an eighth in the mean.
        latency: rtt / 2 * 8 / 9,
        tiny_segments: 0,
    }
}

impl Course {
    fn new(plan: Plan) -> Course {
        let seed = plan.load.seed;
        let mut secret = [0; 32];
        for (n, part) in (0_u64..).zip(secret.chunks_exact_mut(8)) {
            part.copy_from_slice(&mix(seed.wrapping_add(n << 56)).to_le_bytes());
        }
        let first = plan.stages[0].compiled.clone();
        let proxy = Proxy::with_compiled(plan.settings.clone(), secret, first);
        Course {
            cx: Cx::new(seed, Choices::from_seed(seed)),
            net: Net::default(),
            proxy,
            sockets: Sockets::default(),
            streams: Streams::new(seed),
            secure: Secure::new(seed),
            meter: Meter::new(plan.roster.places.len()),
            servers: Vec::new(),
            back_conns: Vec::new(),
            conns: Vec::new(),
            doors: Vec::new(),
            idle: BTreeMap::new(),
            on: BTreeMap::new(),
            cookies: BTreeMap::new(),
            tcp_by_address: BTreeMap::new(),
            client_wire: wire(plan.load.client_rtt),
            server_wire: wire(plan.load.server_rtt),
            scratch: vec![0; 64 * 1024],
            stage: 0,
            unanswered: 0,
            is_over: false,
            turn_at: u64::MAX,
            turns: 0,
            is_wake_scheduled: false,
            events: 0,
            plan,
        }
    }

    fn begin(&mut self) {
        self.open_servers();
        self.schedule_turn(self.cx.now);
        for (n, fault) in self.plan.faults.iter().enumerate() {
            self.cx.heap.push(START + fault.from, n as u64, Ev::Episode(n as u32, true));
            if fault.to != u64::MAX {
                self.cx.heap.push(START + fault.to, n as u64, Ev::Episode(n as u32, false));
            }
        }
        let faults = self.plan.faults.len();
        for (n, stage) in self.plan.stages.iter().enumerate().skip(1) {
            let number = (faults + n) as u32;
            self.cx.heap.push(START + stage.at, u64::from(number), Ev::Episode(number, true));
        }
        self.cx.after(SAMPLE_EVERY, 0, Ev::Phase);
        // Listeners open in the very first turn.
        let pause = gap(self.plan.load.seed, 0, self.plan.load.gap);
        self.next_arrival(pause.max(1));
    }

    /// Lets the next event happen; false when the rehearsal is over.
    fn step(&mut self) -> bool {
        if self.is_over && self.unanswered == 0 {
            return false;
        }
        let Some((at, event)) = self.cx.heap.pop() else { return false };
        self.cx.now = at;
        self.events += 1;
        match event {
            Ev::Flight(ep, flight) => self.net.deliver(&mut self.cx, ep, flight),
            Ev::Turn => self.turn(),
            Ev::Control => self.arrive(),
            Ev::Client(id, _) => self.give_up(id),
            Ev::BackConn(number, id) => self.work_done(number, id),
            Ev::Episode(n, begins) => self.episode(n as usize, begins),
            Ev::Phase => self.sample(),
            Ev::BackAccept(server) => self.server_noticed(server),
        }
        self.dispatch();
        if !self.net.proxy_woken.is_empty() && !self.is_wake_scheduled {
            self.is_wake_scheduled = true;
            self.schedule_turn(self.cx.now + LOOP_DELAY);
        }
        true
    }

    /// Tells peers what happened to their sockets.
    fn dispatch(&mut self) {
        while let Some(notice) = self.net.notices.pop_front() {
            match notice {
                Notice::Server(server) => self.server_noticed(server),
                Notice::Endpoint(ep) => match self.net.ep(ep).owner {
                    Owner::Client(number) => self.client_act(number),
                    Owner::Backend(number) => self.back_act(number),
                    Owner::Nobody | Owner::Proxy(_) => {}
                },
            }
        }
    }

    fn episode(&mut self, n: usize, begins: bool) {
        match n.checked_sub(self.plan.faults.len()) {
            None => self.fault(n, begins),
            Some(stage) => {
                self.stage = stage;
                let compiled = self.plan.stages[stage].compiled.clone();
                self.proxy.advance(Time(self.cx.now));
                let proxy = &mut self.proxy;
                self.streams.lend(APPLY, || proxy.install(compiled));
                self.schedule_turn(self.cx.now + 1);
            }
        }
    }

    fn schedule_turn(&mut self, at: u64) {
        if at < self.turn_at {
            self.turn_at = at;
            self.cx.heap.push(at, TURN_ENTITY, Ev::Turn);
        }
    }

    /// The proxy's turn, unless an earlier one made this one needless.
    fn turn(&mut self) {
        if self.cx.now != self.turn_at {
            return;
        }
        self.turn_at = u64::MAX;
        self.is_wake_scheduled = false;
        self.turns += 1;
        self.proxy.set_wall_clock(1_700_000_000_000 + (self.cx.now / MS) as i64);
        let now = Time(self.cx.now);
        self.proxy.advance(now);
        self.tell_readiness();
        let mut calls = Calls {
            cx: &mut self.cx,
            net: &mut self.net,
            sockets: &mut self.sockets,
            meter: &mut self.meter,
            conns: &self.conns,
            config: self.plan.stages[self.stage].compiled.config(),
            wire: &self.server_wire,
        };
        let proxy = &mut self.proxy;
        let is_more = self.streams.lend(TURN_ENTITY, || drive::turn(proxy, &mut calls, now));
        while let Some(event) = self.proxy.poll_event() {
            self.note(event);
        }
        if self.turns.is_multiple_of(INVARIANTS_EVERY) {
            self.check();
        }
        if is_more {
            return self.schedule_turn(self.cx.now + US);
        }
        let (due, _) = self.proxy.next_deadline();
        if due != Time::NEVER {
            self.schedule_turn(due.0.max(self.cx.now + 1));
        }
    }

    fn tell_readiness(&mut self) {
        while let Some(woken) = self.net.proxy_woken.pop_front() {
            let (id, mask) = match woken {
                Woken::Endpoint(ep) => {
                    self.net.told(ep);
                    let end = self.net.ep(ep);
                    let Owner::Proxy(id) = end.owner else { continue };
                    if end.is_closed() {
                        continue;
                    }
                    (id, self.net.mask(ep))
                }
                Woken::Listener(listener) => {
                    self.net.told_listener(listener);
                    let at = self.net.listener(listener);
                    let Acceptor::Proxy(id) = at.acceptor else { continue };
                    if !at.is_open() {
                        continue;
                    }
                    (id, self.net.listener_mask(listener))
                }
            };
            if mask != Readiness::default() {
                self.streams.lend(TURN_ENTITY, || self.proxy.ready(id, mask));
            }
        }
    }

    /// A fact that the core reports.
    fn note(&mut self, event: Event) {
        let at = self.cx.now - START;
        match event {
            Event::Access(record) => self.note_record(&record),
            Event::ServerDown { addr, .. } => self.mark(&addr, at, true),
            Event::ServerUp { addr, .. } => self.mark(&addr, at, false),
            Event::Zombie { session, state } => {
                self.meter.defect(format!("session {session} hung in {state}"));
            }
            Event::Broken { session, what } => {
                self.meter.defect(format!("session {session} broke in {what}"));
            }
            Event::AcceptPaused | Event::HandshakeFailed { .. } | Event::Stopped { .. } => {}
        }
    }

    fn mark(&mut self, addr: &Address, at: u64, is_down: bool) {
        let places = &self.plan.roster.places;
        if let Some(server) = places.iter().position(|place| place.address == *addr) {
            self.meter.marked(server, at, is_down);
        }
    }

    fn note_record(&mut self, record: &AccessRecord) {
        let id = match record.tcp {
            false => http::number(record.path.as_bytes()),
            true => record.client.and_then(|client| self.tcp_request(client)),
        };
        if let Some(request) = id.and_then(|id| self.meter.requests.get_mut(id as usize)) {
            request.attempts = request.attempts.saturating_add(record.attempts);
        }
    }

    fn check(&mut self) {
        if let Err(what) = self.proxy.check_invariants() {
            self.meter.defect(format!("an invariant of the core does not hold: {what}"));
        }
    }

    fn sample(&mut self) {
        let gauges = self.proxy.gauges();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.meter.samples.push(Sample {
            at: self.cx.now - START,
            sessions: number(gauges.sessions),
            clients: number(self.meter.client_open as usize),
            to_servers: number(gauges.backend_connections),
            idle: number(gauges.backend_idle),
            accept_queue: number(gauges.queued),
            waiting: number(gauges.backend_waiting),
            busy: self.meter.servers.iter().map(|server| server.busy as u32).collect(),
        });
        self.cx.after(SAMPLE_EVERY, 0, Ev::Phase);
    }

    fn finish(mut self) -> report::Report {
        self.check();
        let end = self.cx.now - START;
        for server in &mut self.meter.servers {
            if let Some(since) = server.down_since.take() {
                server.down.push((since, end));
            }
        }
        report::Report::of(&self.plan, &self.meter, self.proxy.counters(), end, self.events)
    }
}

//! Sessions under random lists of operations: whatever clients, servers, time and the operator do,
//! the core's accounting adds up after each of them, nothing panics, and in the end everything is
//! released exactly once (LOOP-2, SES-2, SES-4, ACC-5, ACC-6, ACC-8, RES-6, RUN-1, RUN-2, RUN-5).

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::net::SocketAddr;
use std::time::Duration;
use support::{ip, rig_of, run_of, simple_config};
use tidegate_core::config::{
    Balance, Cluster, Config, FixedAnswer, Listener, PathRule, Reuse, Route, Server, Settings,
    Target,
};
use tidegate_core::event::Event;
use tidegate_core::id::SocketId;
use tidegate_core::input::{AcceptError, Readiness, SocketError};
use tidegate_proptests::memory::{READABLE, Rig};
use tidegate_proptests::naive;

const CLIENT_BYTES: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHo",
    b"st: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"400\r\n",
    b"\r\n0\r\n\r\n",
    &[b'x'; 1024],
    &[b'y'; 3000],
    b"\0",
];

const SERVER_BYTES: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\nbegin",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    b"0\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 50",
    b"0 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    b"bad\r\n\r\n",
    &[b'z'; 9000],
];

const ERRORS: &[SocketError] = &[
    SocketError::Refused,
    SocketError::Reset,
    SocketError::Unreachable,
    SocketError::TimedOut,
    SocketError::Resources,
    SocketError::Other,
];

/// One thing that happens. Sockets are picked among those that are open, if there are any.
#[derive(Clone, Debug)]
enum Op {
    Connect,
    ClientSends(Index, &'static [u8]),
    ClientFinishes(Index),
    ClientBreaks(Index),
    ClientReads(Index, usize),
    ClientStalls(Index),
    ServerSends(Index, &'static [u8]),
    ServerFinishes(Index),
    ServerBreaks(Index, SocketError),
    ServerReads(Index, usize),
    ServerStalls(Index),
    ServerAccepts(Index),
    HoldConnects(bool),
    FailConnects(Option<SocketError>),
    FailAccepts(Option<AcceptError>),
    Spurious(Index, Readiness),
    Stale(u64, Readiness),
    Cuts(Index, usize, usize),
    Pass(u64),
    GoBack(u64),
    WallClock(i64),
    Apply(usize),
    Stop,
}

fn readiness() -> impl Strategy<Value = Readiness> {
    // What a kernel may say at any time: an error is never spurious.
    (any::<bool>(), any::<bool>()).prop_map(|(readable, writable)| Readiness {
        readable,
        writable,
        ..Readiness::default()
    })
}

fn op() -> impl Strategy<Value = Op> {
    let at = any::<Index>;
    let error = || select(ERRORS);
    let accept_error = select(vec![AcceptError::Resources, AcceptError::Connection]);
    prop_oneof![
        8 => Just(Op::Connect),
        14 => (at(), select(CLIENT_BYTES)).prop_map(|(at, it)| Op::ClientSends(at, it)),
        3 => at().prop_map(Op::ClientFinishes),
        2 => at().prop_map(Op::ClientBreaks),
        3 => (at(), 1..5000_usize).prop_map(|(at, n)| Op::ClientReads(at, n)),
        2 => at().prop_map(Op::ClientStalls),
        12 => (at(), select(SERVER_BYTES)).prop_map(|(at, it)| Op::ServerSends(at, it)),
        3 => at().prop_map(Op::ServerFinishes),
        3 => (at(), error()).prop_map(|(at, error)| Op::ServerBreaks(at, error)),
        3 => (at(), 1..5000_usize).prop_map(|(at, n)| Op::ServerReads(at, n)),
        2 => at().prop_map(Op::ServerStalls),
        3 => at().prop_map(Op::ServerAccepts),
        2 => any::<bool>().prop_map(Op::HoldConnects),
        1 => proptest::option::of(error()).prop_map(Op::FailConnects),
        1 => proptest::option::of(accept_error).prop_map(Op::FailAccepts),
        3 => (at(), readiness()).prop_map(|(at, it)| Op::Spurious(at, it)),
        1 => (any::<u64>(), readiness()).prop_map(|(bits, it)| Op::Stale(bits, it)),
        2 => (at(), 1..50_usize, 1..50_usize).prop_map(|(at, r, w)| Op::Cuts(at, r, w)),
        5 => prop_oneof![0..50_u64, 50..5_000_u64, 5_000..70_000_u64].prop_map(Op::Pass),
        1 => (1..1000_u64).prop_map(Op::GoBack),
        1 => any::<i64>().prop_map(Op::WallClock),
        2 => (0..CONFIGS).prop_map(Op::Apply),
        1 => Just(Op::Stop),
    ]
}

const CONFIGS: usize = 6;

/// The configurations that come and go.
fn config(number: usize) -> Config {
    let mut config = simple_config();
    config.limits.head_bytes = 2048;
    config.limits.target_bytes = 1024;
    let fixed = Target::Answer(FixedAnswer { status: 200, body: None });
    let path = PathRule::Exact("/fixed".into());
    config.routes.push(Route { path, to: fixed, ..Route::to_cluster("app") });
    match number {
        1 => {
            config.clusters[0].servers.push(Server::new(ip(9002)));
            config.clusters[0].balance = Balance::LeastConnections;
        }
        2 => {
            config.listeners = vec![Listener::new("other", vec![ip(8081), ip(8082)])];
            config.listeners[0].abort_on_close = true;
            config.listeners[0].max_body = Some(2000);
        }
        3 => {
            config.clusters = vec![
                Cluster::new("new", vec![Server::new(ip(9003)), Server::new(ip(9001))]),
                Cluster { reuse: Reuse::Session, ..Cluster::new("app", Vec::new()) },
            ];
            config.clusters[0].fall = 1;
            config.routes[0] = Route::to_cluster("new");
        }
        4 => config.clusters[0].servers[0].drained = true,
        5 => {
            for (name, millis) in [("request_head", 200), ("keep_alive", 30), ("backend_idle", 50)]
            {
                config.timeouts.set(name, Duration::from_millis(millis));
            }
        }
        _ => {}
    }
    config
}

/// The worker's limits: few of everything.
#[derive(Clone, Debug)]
struct Limits {
    max_connections: usize,
    capacity: usize,
    buffers_max: usize,
    evict_idle: bool,
}

fn limits() -> impl Strategy<Value = Limits> {
    (1..5_usize, 1..4_usize, 2..9_usize, any::<bool>()).prop_map(
        |(max_connections, capacity, buffers_max, evict_idle)| Limits {
            max_connections,
            capacity,
            buffers_max,
            evict_idle,
        },
    )
}

/// The world around the proxy.
struct World {
    rig: Rig,
    limits: Limits,
}

impl World {
    fn new(limits: Limits) -> World {
        let settings = Settings {
            max_connections: limits.max_connections,
            accept_queue_capacity: limits.capacity,
            accept_queue_max_wait: Duration::from_secs(2),
            accept_queue_evict_idle: limits.evict_idle,
            buffer_bytes: 2048,
            buffers_max: limits.buffers_max,
            ..Settings::default()
        };
        World { rig: rig_of(settings, config(0)), limits }
    }

    fn open(&self, of: &[SocketId], at: Index) -> Option<SocketId> {
        let open: Vec<_> = of.iter().filter(|id| self.rig.kernel.is_open(**id)).collect();
        if open.is_empty() { None } else { Some(*open[at.index(open.len())]) }
    }

    fn client(&self, at: Index) -> Option<SocketId> {
        self.open(&self.rig.kernel.accepted, at)
    }

    fn server(&self, at: Index) -> Option<SocketId> {
        let all: Vec<_> = self.rig.kernel.connected.iter().map(|(id, _)| *id).collect();
        self.open(&all, at)
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Connect => self.connect(),
            Op::ClientSends(at, bytes) => {
                self.with(self.client(*at), |rig, id| send(rig, id, bytes))
            }
            Op::ClientFinishes(at) => self.with(self.client(*at), Rig::finish),
            Op::ClientBreaks(at) => {
                self.with(self.client(*at), |rig, id| rig.fail(id, SocketError::Reset));
            }
            Op::ClientReads(at, n) => self.with(self.client(*at), |rig, id| rig.make_room(id, *n)),
            Op::ClientStalls(at) => {
                self.with(self.client(*at), |rig, id| rig.kernel.wire(id).room = 0);
            }
            Op::ServerSends(at, bytes) => {
                self.with(self.server(*at), |rig, id| send(rig, id, bytes))
            }
            Op::ServerFinishes(at) => self.with(self.server(*at), Rig::finish),
            Op::ServerBreaks(at, error) => {
                self.with(self.server(*at), |rig, id| rig.fail(id, *error));
            }
            Op::ServerReads(at, n) => self.with(self.server(*at), |rig, id| rig.make_room(id, *n)),
            Op::ServerStalls(at) => {
                self.with(self.server(*at), |rig, id| rig.kernel.wire(id).room = 0);
            }
            Op::ServerAccepts(at) => self.with(self.server(*at), Rig::establish),
            _ => self.apply_to_all(op),
        }
    }

    fn apply_to_all(&mut self, op: &Op) {
        let rig = &mut self.rig;
        match op {
            Op::HoldConnects(on) => rig.kernel.server.connecting = *on,
            Op::FailConnects(error) => rig.kernel.connect_error = *error,
            Op::FailAccepts(error) => rig.kernel.accept_error = *error,
            Op::Spurious(at, readiness) => {
                let open: Vec<_> = rig.kernel.open_sockets().collect();
                if !open.is_empty() {
                    rig.nudge(open[at.index(open.len())], *readiness);
                }
            }
            Op::Stale(bits, readiness) => {
                rig.nudge(SocketId::from_bits(*bits | 1 << 40), *readiness)
            }
            Op::Cuts(at, read, write) => {
                let open: Vec<_> = rig.kernel.open_sockets().collect();
                if !open.is_empty() {
                    let wire = rig.kernel.wire(open[at.index(open.len())]);
                    (wire.read_max, wire.write_max) = (*read, *write);
                }
            }
            Op::Pass(millis) => rig.advance_to(rig.now.after(Duration::from_millis(*millis))),
            Op::GoBack(nanos) => {
                rig.now.0 = rig.now.0.saturating_sub(*nanos);
                rig.turn();
                rig.now = rig.proxy.now();
            }
            Op::WallClock(millis) => rig.proxy.set_wall_clock(*millis),
            Op::Apply(number) => {
                rig.proxy.apply(config(*number)).expect("a valid configuration");
                rig.turn();
            }
            Op::Stop => {
                rig.proxy.stop();
                rig.turn();
            }
            _ => unreachable!("it concerns one socket"),
        }
    }

    fn connect(&mut self) {
        if let Some(&listener) = self.rig.kernel.listeners.last() {
            self.rig.kernel.backlog.push_back(SocketAddr::from(([127, 0, 0, 1], 40_000)));
            self.rig.nudge(listener, READABLE);
        }
    }

    fn with(&mut self, id: Option<SocketId>, work: impl FnOnce(&mut Rig, SocketId)) {
        if let Some(id) = id {
            work(&mut self.rig, id);
        }
    }

    /// What holds after each operation.
    fn check(&self) -> Result<(), TestCaseError> {
        let proxy = &self.rig.proxy;
        prop_assert_eq!(proxy.check_invariants(), Ok(()));
        let (counters, gauges) = (proxy.counters(), proxy.gauges());
        // SES-4: the safety net catches nothing.
        prop_assert_eq!((counters.zombies, counters.broken), (0, 0), "{:?}", self.rig.events);
        prop_assert!(gauges.sessions <= self.limits.max_connections, "ACC-5");
        prop_assert!(gauges.queued <= self.limits.capacity, "ACC-6");
        prop_assert!(gauges.buffers_lent <= self.limits.buffers_max, "REQ-3");
        let listening = self.rig.kernel.listeners.len();
        prop_assert_eq!(gauges.sockets, self.rig.kernel.open_sockets().count() + listening);
        for (id, _) in &self.rig.kernel.connected {
            let mut bytes = self.rig.written(*id);
            while let Some(request) = naive::request(bytes).filter(|request| request.is_whole) {
                bytes = &bytes[request.len..];
            }
        }
        Ok(())
    }

    /// The world heals, the proxy stops, the clients leave: nothing may be left.
    fn end(mut self) -> Result<(), TestCaseError> {
        let kernel = &mut self.rig.kernel;
        (kernel.accept_error, kernel.connect_error) = (None, None);
        self.rig.proxy.stop();
        self.rig.advance_to(self.rig.now.after(Duration::from_secs(120)));
        self.check()?;
        let gauges = self.rig.proxy.gauges();
        prop_assert_eq!(gauges.sockets, 0, "RUN-2: {:?}", gauges);
        let left = [gauges.sessions, gauges.queued, gauges.listeners, gauges.deadlines];
        prop_assert_eq!(left, [0; 4], "LOOP-2: {:?}", gauges);
        let left = [gauges.buffers_lent, gauges.buffers_promised, gauges.requests_in_flight];
        prop_assert_eq!(left, [0; 3], "LOOP-2: {:?}", gauges);
        prop_assert_eq!((gauges.backend_connections, gauges.versions), (0, 1), "{:?}", gauges);
        let stopped = |event: &Event| match event {
            Event::Stopped { cut } => Some(*cut as u64),
            _ => None,
        };
        let stopped: Vec<u64> = self.rig.events.iter().filter_map(stopped).collect();
        prop_assert_eq!(stopped.len(), 1, "RUN-2");
        let counters = self.rig.proxy.counters();
        let refused = counters.queue_aged + counters.queue_overflow;
        let unserved = counters.accepted - counters.sessions - refused;
        prop_assert!(unserved <= stopped[0], "ACC-2 to ACC-6: {} of {:?}", unserved, stopped);
        prop_assert_eq!(counters.requests as usize, self.rig.records().len());
        Ok(())
    }
}

fn send(rig: &mut Rig, id: SocketId, bytes: &[u8]) {
    let wire = rig.kernel.wire(id);
    if !wire.finished && !wire.broken && !wire.connecting {
        rig.feed(id, bytes);
    }
}

proptest! {
    #![proptest_config(run_of(20_000))]

    #[test]
    fn any_run_of_events_adds_up(limits in limits(), ops in vec(op(), 1..60)) {
        let mut world = World::new(limits);
        for op in &ops {
            world.apply(op);
            world.check()?;
        }
        world.end()?;
    }
}

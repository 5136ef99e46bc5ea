//! The world of one run: the proxy, its kernel, clients, backends and a controller, phase by phase.

mod actions;
mod announce;
mod ask;
mod backend;
mod client;
mod controller;
mod crowd;
mod desired;
mod dress;
mod episodes;
mod extras;
mod flaws;
mod hello;
mod leave;
mod make;
mod manner;
mod outcome;
mod pairs;
mod phases;
mod plan;
mod producer;
mod protocols;
mod reached;
mod read;
mod scenario;
mod secure;
mod talker;
mod tls_marks;
mod tunnel;
mod turn;
mod wrong;
mod ws;

pub use actions::{Actions, is_fault};
pub use outcome::{Options, Outcome};
pub use pairs::variant_of;
pub use protocols::{Protocols, TunnelRates};
pub use scenario::Scenario;
pub use secure::{TlsPlan, provider_of};

use crate::cx::{Cx, Ev, MS, SEC};
use crate::gate::{Runaway, Sockets};
use crate::kernel::{Acceptor, Ep, Net, Notice, Owner};
use crate::layer::Layers;
use crate::marks::Group;
use crate::oracle::metamorphic::View;
use crate::oracle::{Oracle, Verdict, Violation, panics, progress};
use crate::site;
use crate::story::{Ledger, START};
use crate::swarm::{Fault, Operation};
use crate::tls::{Provider, Streams};
use backend::{BackConn, Server};
use client::{Client, Role};
use crowd::Crowd;
use desired::{Desired, listener_address};
use episodes::Episode;
use pairs::Part;
use phases::Phase;
use secure::Secure;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tidegate_core::Proxy;
use tidegate_core::buggify::Point;
use tidegate_core::flight::wire::Stored;
use tidegate_core::input::Address;

/// Events of one run at most; a run that needs more does not end.
pub const EVENTS_MAX: u64 = 3_000_000;

/// The first clients come within so many nanoseconds.
const START_MAX: u64 = 4 * SEC;
/// Notices that one event may cause. A world that spins, in one nanosecond for ever, has no next
/// event at which it could be stopped.
const NOTICES_MAX: u32 = 1_000_000;

/// Everything that exists in one run.
pub struct World {
    seed: u64,
    cx: Cx,
    net: Net,
    oracle: Oracle,
    proxy: Proxy,
    sockets: Sockets,
    secure: Secure,
    layers: Layers,
    /// The proxy's random numbers for TLS.
    streams: Streams,
    generations: u32,
    scenario: Scenario,
    desired: Desired,
    first_desired: Desired,
    clients: Vec<Client>,
    servers: Vec<Server>,
    back_conns: Vec<BackConn>,
    episodes: Vec<Episode>,
    phase: Phase,
    /// What the controller does.
    controls: Vec<Operation>,
    /// The draws of the swarm, if kept.
    turn_at: u64,
    turns: u64,
    is_wake_scheduled: bool,
    stop_limit: u64,
    /// The last clients before a stop in the middle of chaos are on their way.
    crowd: Option<Crowd>,
    settled_at: u64,
    until: Option<u64>,
    /// The configurations so far, as a flight recording keeps them.
    flown: Vec<Vec<u8>>,
    events_max: u64,
    provider: Provider,
    /// Changes of the configuration that were drawn.
    operations: u64,
    fired: Actions,
    part: Part,
}

/// Makes the run of `seed`.
pub fn run(seed: u64, options: Options) -> Outcome {
    match options.variant {
        Some(variant) => pairs::run(seed, variant, options),
        None => one(seed, options, Part::default()),
    }
}

fn one(seed: u64, options: Options, part: Part) -> Outcome {
    let place = options.place_of_panic;
    let provider = options.provider.unwrap_or_else(|| provider_of(seed));
    let lost = |violation| Outcome::lost(seed, provider, part.varied, violation);
    let made = catch_unwind(AssertUnwindSafe(|| World::new(seed, options, part)));
    let mut world = match made {
        Ok(world) => world,
        Err(payload) => {
            let breach = panicked(payload.as_ref(), place).err();
            return lost(breach.map(|breach| Violation { breach, event: 0, at: 0 }));
        }
    };
    let all = catch_unwind(AssertUnwindSafe(|| {
        world.begin();
        while world.violation().is_none() && world.step() {}
    }));
    if let Err(payload) = all {
        world.oracle.judge(panicked(payload.as_ref(), place));
    }
    let finished = catch_unwind(AssertUnwindSafe(|| world.finish()));
    finished.unwrap_or_else(|payload| {
        world.oracle.judge(panicked(payload.as_ref(), place));
        lost(world.oracle.violation.take())
    })
}

/// A panic is a failure like any other: caught, and reported with its seed.
fn panicked(payload: &(dyn Any + Send), place: Option<fn() -> String>) -> Verdict {
    if let Some(Runaway(found)) = payload.downcast_ref::<Runaway>() {
        return Err(found.clone());
    }
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_string());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
    panics::panicked(&text.unwrap_or_default(), &place.map_or_else(String::new, |at| at()))
}

impl World {
    fn new(seed: u64, mut options: Options, part: Part) -> World {
        let (scenario, mut cx) = make::begun(seed, &mut options, part);
        let mut net = Net::default();
        let mut desired = Desired::draw(&mut cx, &scenario);
        desired.calm(part);
        let servers = make::servers(&mut cx, &mut net, &scenario);
        let addresses: Vec<Address> = servers.iter().map(|server| server.at.clone()).collect();
        for n in 0..scenario.all_listeners() {
            net.intern(&listener_address(n), u32::MAX);
        }
        let numbers: Vec<u16> = servers.iter().map(|server| server.address).collect();
        let episodes = episodes::draw(&mut cx, &scenario, &numbers);
        let provider = options.provider.unwrap_or_else(|| provider_of(seed));
        let mut secure = Secure::new(seed, provider);
        let secure_servers = scenario.all_clusters().into_iter().zip(&desired.tls.clusters);
        let secure_servers = secure_servers.flat_map(|(n, tls)| vec![tls.is_some(); n]).collect();
        let config = desired.config(&scenario, &addresses, &mut secure);
        let mut proxy = make::proxy(seed, &scenario, config.clone());
        let mut flown = Vec::new();
        if let Some(bytes) = options.flight {
            proxy.record(bytes);
            flown.push(Stored::bytes_of(&config));
        }
        let version = desired.version(cx.now, config);
        let natures = servers.iter().map(|server| server.nature).collect();
        let mut oracle = make::ledger(&scenario, version, natures);
        oracle.keeps_heads = part.is_told;
        World {
            seed,
            oracle,
            cx,
            net,
            proxy,
            sockets: Sockets::default(),
            secure,
            layers: Layers::new(secure_servers),
            streams: Streams::new(seed),
            generations: 0,
            first_desired: desired.clone(),
            desired,
            clients: Vec::new(),
            servers,
            back_conns: Vec::new(),
            episodes,
            phase: Phase::WarmUp,
            controls: scenario.swarm.controls(),
            turn_at: u64::MAX,
            turns: 0,
            is_wake_scheduled: false,
            stop_limit: u64::MAX,
            crowd: None,
            settled_at: u64::MAX,
            until: options.until,
            flown,
            events_max: options.events_max.unwrap_or(EVENTS_MAX),
            provider,
            operations: 0,
            fired: Actions::default(),
            part,
            scenario,
        }
    }

    fn begin(&mut self) {
        crate::trace!(self.cx, "scenario: {:#?}", self.scenario);
        for server in 0..self.servers.len() as u32 {
            self.server_up(server);
        }
        self.schedule_turn(self.cx.now);
        for _ in 0..self.scenario.clients {
            let within = (self.scenario.chaos / 2).min(START_MAX);
            self.add_client(Role::Chaos, self.scenario.connections, within);
        }
        self.schedule_episodes();
        self.begin_part();
        self.mark_world();
        self.cx.after(self.scenario.warm_up, 0, Ev::Phase);
    }

    /// Marks the faults that are properties of this world. Those that show at an occasion are
    /// marked there.
    fn mark_world(&mut self) {
        let all = [
            Fault::Tight,
            Fault::FewBuffers,
            Fault::ShortTimeouts,
            Fault::ShortBacklog,
            Fault::PerAddress,
        ];
        for fault in all.into_iter().filter(|&it| self.scenario.swarm.has(it)) {
            self.cx.fired(fault);
        }
        let smallest = self.scenario.front_wires.buffer.0.min(self.scenario.back_wires.buffer.0);
        if smallest <= 2048 {
            self.cx.fired(Fault::TinyWires);
        }
    }

    fn add_client(&mut self, role: Role, connections: u64, within: u64) {
        let c = self.clients.len() as u32;
        let is_omitted = self.cx.choices.omits(site!("client"), c.into());
        self.clients.push(Client::new(role, if is_omitted { 0 } else { connections }));
        let delay = self.cx.choose(site!("client/start"), c.into(), within.max(1));
        // Listeners open in the very first turn.
        self.cx.after(MS + delay, c.into(), Ev::Client(c, 0));
    }

    fn violation(&self) -> Option<&Violation> {
        self.oracle.violation.as_ref()
    }

    /// Lets the next event happen; false when the run is over.
    fn step(&mut self) -> bool {
        let Some((at, event, cause)) = self.cx.heap.pop_with_cause() else { return false };
        self.cx.now = at;
        let number = self.cx.trace.events();
        self.oracle.clock(at, number);
        self.cx.trace.begin_event();
        if let Some(story) = self.cx.trace.story() {
            story.begin(at, event, cause.unwrap_or(START));
            self.cx.heap.pushing(number as u32);
        }
        if !self.happen(event) {
            if let Some(story) = self.cx.trace.story() {
                story.retract();
            }
            return true;
        }
        self.dispatch();
        if !self.net.proxy_woken.is_empty() && !self.is_wake_scheduled {
            self.wake_proxy();
        }
        self.cx.trace.fold(1, at, fold_event(event));
        self.cx.trace.end_event();
        let events = self.cx.trace.events();
        if events >= self.events_max {
            self.oracle.judge(progress::endless(events));
        }
        self.phase != Phase::Over && !self.is_cut()
    }

    /// Whether the run ends here because that was asked for.
    fn is_cut(&self) -> bool {
        self.until.is_some_and(|until| self.cx.trace.events() > until)
    }

    /// Whether the event was not too late to matter.
    fn happen(&mut self, event: Ev) -> bool {
        match event {
            Ev::Flight(ep, flight) => {
                self.mark_blow(ep, flight);
                self.net.deliver(&mut self.cx, ep, flight);
            }
            Ev::Turn => return self.turn(),
            Ev::Client(c, token) => return self.client_timer(c, token),
            Ev::BackConn(b, token) => return self.back_timer(b, token),
            Ev::BackAccept(server) => self.server_accept(server),
            Ev::Episode(n, begins) => {
                self.episode(n, begins);
                if begins {
                    self.mark_stalls();
                }
            }
            Ev::Control => self.control(),
            Ev::Phase => self.next_phase(),
        }
        true
    }

    /// Tells peers what happened to their sockets.
    fn dispatch(&mut self) {
        let mut told = 0;
        while let Some(notice) = self.net.notices.pop_front() {
            told += 1;
            assert!(told <= NOTICES_MAX, "actors of the world wake each other without end");
            match notice {
                Notice::Server(server) => self.server_noticed(server),
                Notice::Endpoint(ep) => {
                    self.pump(ep);
                    match self.net.ep(ep).owner {
                        Owner::Client(c) if self.clients[c as usize].ep == Some(ep) => {
                            self.client_act(c);
                        }
                        Owner::Backend(b) => self.back_act(b),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Something happened at `ep`: the TLS there goes on, whatever its actor does.
    fn pump(&mut self, ep: Ep) {
        if self.layers.link(ep).is_some() {
            self.net.told(ep);
            self.layers.pump(&mut self.cx, &mut self.net, ep);
        }
    }

    /// The numbers of the addresses on which the proxy listens.
    fn open_listeners(&self) -> Vec<u16> {
        let open = |address: &u16| {
            self.net.listeners.iter().any(|l| {
                l.is_open() && l.address == *address && matches!(l.acceptor, Acceptor::Proxy(_))
            })
        };
        let all = (0..self.scenario.all_listeners())
            .filter_map(|n| self.net.number_of(&listener_address(n)));
        all.filter(open).collect()
    }

    /// What became of it; nothing of it is to be used afterwards.
    fn finish(&mut self) -> Outcome {
        if self.violation().is_none() && !self.is_cut() {
            self.oracle.audit(&self.net, self.proxy.counters());
        }
        phases::mark_counters(&mut self.cx, self.proxy.counters());
        self.mark_decisions();
        reached::mark(&mut self.cx, &self.oracle);
        for point in Point::ALL {
            if self.proxy.buggify().taken(point) > 0 {
                self.cx.mark(Group::Buggify.at(point as usize));
            }
        }
        tls_marks::mark_all(&mut self.cx, &self.oracle, self.proxy.counters());
        let healed = self.oracle.rows.iter().filter(|row| {
            row.must_succeed && row.answer.as_ref().is_some_and(|answer| answer.end.is_some())
        });
        let healed = healed.count() as u64;
        let configs: Vec<(u64, &[u8])> = (1..).zip(self.flown.iter().map(|it| &it[..])).collect();
        let recording = self.proxy.recording();
        let flight = recording.map(|it| it.write(&format!("seed {}", self.seed), &configs));
        let is_told = self.part.is_told;
        let view = match is_told {
            true => self.oracle.view(&self.net, |client| self.is_told(client)),
            false => View::default(),
        };
        let scenario = match is_told || self.violation().is_some() {
            true => self.scenario.to_string(),
            false => String::new(),
        };
        let draws = self.cx.choices.take_record();
        let mut story = self.cx.trace.take_story();
        if let Some(story) = &mut story {
            story.ledger = Ledger::of(&self.oracle, &self.net);
        }
        Outcome {
            seed: self.seed,
            hash: self.cx.trace.hash(),
            hash_without_cipher: self.cx.trace.hash_without_cipher(),
            checkpoints: self.cx.trace.checkpoints().to_vec(),
            each: self.cx.trace.each().to_vec(),
            events: self.cx.trace.events(),
            events_beside: 0,
            virtual_nanos: self.cx.now,
            sessions: self.proxy.counters().sessions,
            requests: self.oracle.rows.len() as u64,
            completed: self.oracle.completed,
            healed,
            violation: self.oracle.violation.take(),
            actions: Actions {
                connections: self.oracle.fronts.len() as u64,
                requests: self.oracle.rows.len() as u64,
                faults: actions::faults(&draws),
                ..self.fired
            },
            story,
            draws,
            omittable: self.cx.choices.take_omittable(),
            scenario,
            view,
            variant: self.part.varied,
            provider: self.provider,
            marks: std::mem::take(&mut self.cx.marks),
            flight,
        }
    }
}

fn fold_event(event: Ev) -> u64 {
    use crate::cx::Flight;
    let pack = |kind: u64, a: u64, b: u64| kind << 56 ^ a << 28 ^ b;
    match event {
        Ev::Flight(ep, flight) => {
            let what = match flight {
                Flight::Syn => 1,
                Flight::SynAck => 2,
                Flight::Data(n) => 16 + u64::from(n),
                Flight::Fin => 3,
                Flight::Rst => 4,
                Flight::Refused => 5,
            };
            pack(1, ep.into(), what)
        }
        Ev::Turn => pack(2, 0, 0),
        Ev::Client(c, token) => pack(3, c.into(), token.into()),
        Ev::BackConn(b, token) => pack(4, b.into(), token.into()),
        Ev::BackAccept(server) => pack(5, server.into(), 0),
        Ev::Episode(n, begins) => pack(6, n.into(), begins.into()),
        Ev::Control => pack(7, 0, 0),
        Ev::Phase => pack(8, 0, 0),
    }
}

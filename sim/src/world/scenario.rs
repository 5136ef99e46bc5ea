//! What one seed's world is like: limits, configuration, faults and operations, drawn by coins.

use super::protocols::{self, Protocols};
use super::secure::TlsPlan;
use crate::choice::{Choices, Rate};
use crate::cx::{MS, SEC, US};
use crate::site;
use crate::swarm::{Fault, Operation, Swarm};
use crate::wire;
use crate::wires::WireRange;
use std::time::Duration;
use tidegate_core::config::{Limits, Settings, Timeouts};

/// The world of one seed.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Nothing goes wrong.
    pub is_faultless: bool,
    /// Which faults and operations there are.
    pub swarm: Swarm,
    /// The worker's limits.
    pub settings: Settings,
    /// Every timer's span.
    pub timeouts: Timeouts,
    /// Limits on heads.
    pub limits: Limits,
    /// Longest body.
    pub body_max: u64,
    /// `max_body` of the listeners.
    pub max_body: Option<u64>,
    /// `abort_on_close` of the listeners.
    pub abort_on_close: bool,
    /// Backlog of the listeners.
    pub backlog: u32,
    /// Addresses the proxy listens on.
    pub listeners: usize,
    /// Whether there may be routes that catch some requests by their number.
    pub has_special_routes: bool,
    /// Servers of each cluster.
    pub clusters: Vec<usize>,
    /// Clients at work at a time.
    pub clients: usize,
    /// Connections each of them makes.
    pub connections: u64,
    /// Most requests on a connection.
    pub requests_max: u64,
    /// Deepest pipeline.
    pub depth_max: u64,
    /// Longest pause between requests, in nanoseconds.
    pub think_max: u64,
    /// Where there is TLS, and how often it goes wrong.
    pub tls: TlsPlan,
    /// Wires of clients.
    pub front_wires: WireRange,
    /// Wires towards backends.
    pub back_wires: WireRange,
    /// How long warm-up lasts, in nanoseconds.
    pub warm_up: u64,
    /// How long chaos lasts, in nanoseconds.
    pub chaos: u64,
    /// Longest delay between readiness and turn, in nanoseconds, and the longest while it is slow.
    pub turn_delay: u64,
    /// See `turn_delay`.
    pub slow_turn_delay: u64,
    /// Most readiness events in a batch.
    pub batch_max: usize,
    /// What there is beside plain HTTP.
    pub protocols: Protocols,
}

impl Scenario {
    /// Servers of each cluster, those behind the TCP listener last.
    pub fn all_clusters(&self) -> Vec<usize> {
        let tcp = Some(self.protocols.tcp_servers).filter(|&count| count > 0);
        let named = self.protocols.passage.map(|(_, servers)| servers);
        self.clusters.iter().copied().chain(tcp).chain(named).collect()
    }

    /// Index of the cluster behind the TCP listener.
    pub fn tcp_cluster(&self) -> Option<usize> {
        (self.protocols.tcp_servers > 0).then_some(self.clusters.len())
    }

    /// Listeners, the TCP one last.
    pub fn all_listeners(&self) -> usize {
        self.protocols.expects.len()
    }
}

/// In one line.
impl std::fmt::Display for Scenario {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Scenario { listeners, clients, connections, requests_max, .. } = self;
        let servers: Vec<String> = self.all_clusters().iter().map(ToString::to_string).collect();
        let tcp = match (self.tcp_cluster(), self.protocols.passage) {
            (None, _) => "",
            (Some(_), None) => " (the last for TCP)",
            (Some(_), Some(_)) => " (the last two for TCP, by name)",
        };
        write!(f, "clusters of {} servers{tcp}, {listeners} listeners, ", servers.join(", "))?;
        write!(f, "{clients} clients with up to {connections} connections of ")?;
        write!(f, "{requests_max} requests, chaos for {} ms", self.chaos / MS)?;
        if self.is_faultless { write!(f, ", faultless") } else { Ok(()) }
    }
}

/// Draws the world of a seed that uses `swarm`.
pub(super) fn draw(choices: &mut Choices, swarm: Swarm) -> Scenario {
    let is_faultless = swarm.is_faultless;
    let mut draw = Draw { choices: &mut *choices, swarm: &swarm };
    let front_wires = draw.wires(0);
    let back_wires = draw.wires(1);
    let smallest = front_wires.buffer.0.min(back_wires.buffer.0);
    let body_max = (smallest * 120).clamp(2_000, 200 * 1024);
    let clusters: Vec<usize> = (0..draw.between(site!("scenario/clusters"), 0, 1, 3))
        .map(|cluster| draw.between(site!("scenario/servers"), cluster, 1, 4) as usize)
        .collect();
    let clients = draw.between(site!("scenario/clients"), 0, 1, 10) as usize;
    let slow_turn_delay = if draw.coin(site!("scenario/slow loop"), 0) { 20 * MS } else { MS };
    let listeners = draw.between(site!("scenario/listeners"), 0, 1, 2) as usize;
    let protocols = protocols::draw(draw.choices, &swarm, listeners, clusters.len(), body_max);
    let buffer_bytes = 1 << draw.between(site!("scenario/buffer bytes"), 0, 11, 14);
    let mut scenario = Scenario {
        is_faultless,
        settings: draw.settings(clients, buffer_bytes),
        timeouts: draw.timeouts(),
        limits: Limits {
            head_bytes: buffer_bytes,
            fields_max: wire::FIELDS_MAX,
            target_bytes: wire::TARGET_BYTES_MAX,
        },
        body_max,
        max_body: draw.faulty(site!("scenario/max body"), 20).then_some(body_max / 2),
        abort_on_close: draw.faulty(site!("scenario/abort on close"), 15),
        backlog: if swarm.has(Fault::ShortBacklog) { 2 } else { 128 },
        listeners,
        has_special_routes: true,
        clusters,
        clients,
        connections: draw.between(site!("scenario/connections"), 0, 2, 6),
        requests_max: draw.between(site!("scenario/requests"), 0, 1, 8),
        depth_max: match swarm.uses(Operation::Pipeline) {
            true => draw.between(site!("scenario/depth"), 0, 2, 5),
            false => 1,
        },
        think_max: draw.choices.log_between(site!("scenario/think"), 0, 100 * US, 400 * MS),
        tls: TlsPlan::default(),
        front_wires,
        back_wires,
        warm_up: draw.choices.log_between(site!("scenario/warm-up"), 0, 2 * MS, 400 * MS),
        chaos: draw.choices.log_between(site!("scenario/chaos"), 0, SEC, 8 * SEC),
        turn_delay: 20 * US,
        slow_turn_delay,
        batch_max: draw.choices.log_between(site!("scenario/batch"), 0, 1, 1024) as usize,
        protocols,
        swarm,
    };
    scenario.tls = TlsPlan::draw(choices, &scenario);
    scenario
}

struct Draw<'a> {
    choices: &'a mut Choices,
    swarm: &'a Swarm,
}

impl Draw<'_> {
    fn between(&mut self, site: crate::choice::Site, entity: u64, low: u64, high: u64) -> u64 {
        self.choices.between(site, entity, low, high)
    }

    fn coin(&mut self, site: crate::choice::Site, entity: u64) -> bool {
        self.choices.coin(site, entity)
    }

    /// Whether something that can hurt is on, in `percent` of the seeds that may have faults.
    fn faulty(&mut self, site: crate::choice::Site, percent: u32) -> bool {
        !self.swarm.is_faultless && self.choices.chance(site, 0, Rate::percent(percent))
    }

    fn wires(&mut self, kind: u64) -> WireRange {
        if self.swarm.is_faultless {
            return WireRange::HEALTHY;
        }
        let is_tiny = self.swarm.has(Fault::TinyWires)
            && self.choices.chance(site!("wires/tiny"), kind, Rate::percent(60));
        let low = if is_tiny {
            self.choices.log_between(site!("wires/low"), kind, 16, 2048)
        } else {
            16 * 1024
        };
        let latency = self.choices.log_between(site!("wires/latency"), kind, 2 * US, 20 * MS);
        let cuts = self.choices.coin(site!("wires/cuts"), kind);
        WireRange {
            buffer: (low, (low * 8).max(4096)),
            latency: (latency, latency * 3),
            tiny_max: if cuts { 30 } else { 0 },
        }
    }

    fn settings(&mut self, clients: usize, buffer_bytes: usize) -> Settings {
        let is_tight = self.swarm.has(Fault::Tight);
        let is_short = self.swarm.has(Fault::FewBuffers);
        let max_connections = if is_tight {
            self.choices.log_between(site!("scenario/max connections"), 0, 1, 16) as usize
        } else {
            64
        };
        let capacity = if is_tight {
            self.choices.log_between(site!("scenario/queue"), 0, 1, 16) as usize
        } else {
            64
        };
        let wait = self.choices.log_between(site!("scenario/max wait"), 0, 50, 10_000);
        let buffers = if is_short {
            self.choices.log_between(site!("scenario/buffers"), 0, 2, 32) as usize
        } else {
            4 * max_connections.max(clients)
        };
        let evicts = self.coin(site!("scenario/evict"), 0) && !self.swarm.is_faultless;
        Settings {
            max_connections,
            accept_queue_capacity: capacity,
            accept_queue_max_wait: Duration::from_millis(wait),
            accept_queue_evict_idle: evicts,
            buffer_bytes,
            buffers_max: buffers,
            zombie_check_interval: Duration::from_secs(5),
            max_session_age: None,
            access_records: true,
            worker: (0, 1),
        }
    }

    fn timeouts(&mut self) -> Timeouts {
        let mut timeouts = Timeouts::default();
        let is_short = self.swarm.has(Fault::ShortTimeouts);
        for (name, entity) in Timeouts::NAMES.iter().zip(0..) {
            // What begins behind a stop shows soonest whose its time is if that is short.
            let is_hasty = *name == "drain" && self.faulty(site!("scenario/drain"), 30);
            if is_hasty || (is_short && self.choices.coin(site!("scenario/timeout"), entity)) {
                let site = site!("scenario/timeout span");
                let millis = self.choices.log_between(site, entity, 60, 4_000);
                timeouts.set(name, Duration::from_millis(millis));
            }
        }
        timeouts
    }
}

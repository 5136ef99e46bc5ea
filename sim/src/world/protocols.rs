//! What a seed draws beside plain HTTP: TCP listeners, upgrades, PROXY headers, limits.

use crate::choice::{Choices, Rate};
use crate::oracle::passage::Passage;
use crate::oracle::truth::Nature;
use crate::site;
use crate::swarm::{Fault, Operation, Rates, Swarm};
use tidegate_core::config::Network;
use tidegate_core::proxy_protocol::Version;

/// How peers of tunnels behave.
#[derive(Copy, Clone, Debug)]
pub struct TunnelRates {
    /// Whether they may wait for each other, or say nothing.
    pub is_rough: bool,
    /// Bytes that one says at most.
    pub most: u64,
    /// How often they misbehave.
    pub rates: Rates,
}

/// Which protocols and limits there are.
#[derive(Clone, Debug)]
pub struct Protocols {
    /// Servers behind the TCP listener; none: there is no such listener.
    pub tcp_servers: usize,
    /// Where it leads by the names in ClientHellos, if it looks into them, and how many servers are
    /// in its second cluster.
    pub passage: Option<(Passage, usize)>,
    /// How peers of tunnels behave before healing.
    pub tunnels: TunnelRates,
    /// Requests that ask for WebSocket, in percent.
    pub upgrades: u32,
    /// Which listeners expect a PROXY header, the TCP one last.
    pub expects: Vec<bool>,
    /// From whom; empty: from all.
    pub from: Vec<Network>,
    /// What each cluster is, the TCP one last.
    pub natures: Vec<Nature>,
    /// Requests that wait for a limited server at most.
    pub queue_capacity: usize,
    /// Connections of one client address at most.
    pub per_ip: Option<u32>,
    /// How many addresses the clients share, if they do.
    pub addresses: Option<u32>,
}

impl Protocols {
    /// The version of the header that a cluster sends.
    pub fn sends(&self, cluster: usize) -> Option<Version> {
        match self.natures.get(cluster)?.send_proxy? {
            1 => Some(Version::V1),
            _ => Some(Version::V2),
        }
    }

    /// As it is when everything is healed.
    pub fn healed(&self) -> TunnelRates {
        TunnelRates { is_rough: false, most: (self.tunnels.most / 4).max(1024), rates: Rates::NONE }
    }
}

/// Draws what a seed has of them, for `listeners` and `clusters` that speak HTTP.
pub(super) fn draw(
    choices: &mut Choices,
    swarm: &Swarm,
    listeners: usize,
    clusters: usize,
    body_max: u64,
) -> Protocols {
    let is_faultless = swarm.is_faultless;
    let mut draw = Draw { choices, swarm };
    let tcp_servers = match draw.on(0, 40) {
        true => draw.choices.between(site!("protocols/tcp servers"), 0, 1, 3) as usize,
        false => 0,
    };
    let has_tcp = usize::from(tcp_servers > 0);
    let passage = draw.passage(clusters).filter(|_| has_tcp > 0);
    let tcp_clusters = has_tcp + usize::from(passage.is_some());
    let tunnels =
        TunnelRates { is_rough: !is_faultless, most: body_max.max(2048), rates: swarm.rates };
    let upgrades = match swarm.uses(Operation::Upgrade) {
        true => draw.choices.log_between(site!("protocols/upgrades"), 0, 4, 50) as u32,
        false => 0,
    };
    let expects = draw.on(2, 30);
    let expects = (0..listeners + has_tcp)
        .map(|n| expects && draw.choices.coin(site!("protocols/expects"), n as u64))
        .collect();
    let from = if swarm.has(Fault::Strangers) { FROM_SOME } else { &[] };
    let sends = draw.on(4, 30);
    let limits = draw.on(5, 30);
    let natures =
        (0..clusters + tcp_clusters).map(|n| draw.nature(n, n >= clusters, sends, limits));
    let natures = natures.collect();
    let small = draw.choices.log_between(site!("protocols/queue"), 0, 1, 8) as usize;
    let per_ip = swarm.has(Fault::PerAddress);
    let shares = (draw.on(7, 40) && !is_faultless) || per_ip;
    Protocols {
        tcp_servers,
        passage,
        tunnels,
        upgrades,
        expects,
        from: from.to_vec(),
        natures,
        queue_capacity: if is_faultless { 100 } else { small },
        per_ip: per_ip
            .then(|| draw.choices.between(site!("protocols/per address"), 0, 2, 4) as u32),
        addresses: shares
            .then(|| draw.choices.between(site!("protocols/addresses"), 0, 1, 3) as u32),
    }
}

/// The first clients, and all that come when everything is healed.
const FROM_SOME: &[Network] = &[network([192, 0, 2, 0], 30), network([192, 0, 64, 0], 18)];

pub(super) const fn network([a, b, c, d]: [u8; 4], prefix: u8) -> Network {
    let ip = std::net::Ipv4Addr::new(a, b, c, d);
    Network { addr: std::net::IpAddr::V4(ip), prefix }
}

struct Draw<'a> {
    choices: &'a mut Choices,
    swarm: &'a Swarm,
}

impl Draw<'_> {
    fn on(&mut self, family: u64, percent: u32) -> bool {
        self.choices.chance(site!("protocols/family"), family, Rate::percent(percent))
    }

    /// Where ClientHellos lead, beside the cluster number `first`.
    fn passage(&mut self, first: usize) -> Option<(Passage, usize)> {
        if !self.choices.chance(site!("passage"), 0, Rate::percent(35)) {
            return None;
        }
        let mut lead = |entity| match self.choices.choose(site!("passage/name"), entity, 5) {
            0 => None,
            1 | 2 => Some(first),
            _ => Some(first + 1),
        };
        let mut names = [lead(0), lead(1), lead(2)];
        if names.iter().all(Option::is_none) {
            names[0] = Some(first + 1);
        }
        let other = self.choices.chance(site!("passage/other"), 0, Rate::percent(70));
        let servers = self.choices.between(site!("passage/servers"), 0, 1, 2) as usize;
        Some((Passage { names, other: other.then_some(first) }, servers))
    }

    fn nature(&mut self, cluster: usize, is_tcp: bool, sends: bool, limits: bool) -> Nature {
        let entity = cluster as u64;
        let sends = sends && self.choices.coin(site!("protocols/sends"), entity);
        let limits = limits && self.choices.coin(site!("protocols/limits"), entity);
        let version = self.choices.between(site!("protocols/version"), entity, 1, 2) as u8;
        let limit = self.choices.log_between(site!("protocols/limit"), entity, 1, 3) as u32;
        Nature {
            cluster: cluster as u16,
            is_tcp,
            send_proxy: sends.then_some(version),
            limit: (limits && !(is_tcp && self.swarm.is_faultless)).then_some(limit),
        }
    }
}

//! What a seed draws beside plain HTTP: TCP listeners, upgrades, PROXY headers, limits.

use crate::choice::{Choices, Rate};
use crate::oracle::truth::Nature;
use crate::site;
use tidegate_core::config::Network;
use tidegate_core::proxy_protocol::Version;

/// How peers of tunnels behave.
#[derive(Copy, Clone, Debug, Default)]
pub struct TunnelRates {
    /// Whether they may wait for each other, or say nothing.
    pub is_rough: bool,
    /// Bytes that one says at most.
    pub most: u64,
    /// Peers that close while bytes may still come.
    pub close: Rate,
    /// Peers that stay when they are done.
    pub stall: Rate,
    /// Peers that reset when they are done.
    pub reset: Rate,
    /// Peers that write or read slowly.
    pub slow: Rate,
}

/// Which protocols and limits there are.
#[derive(Clone, Debug, Default)]
pub struct Protocols {
    /// Servers behind the TCP listener; none: there is no such listener.
    pub tcp_servers: usize,
    /// How peers of tunnels behave before healing.
    pub tunnels: TunnelRates,
    /// Requests that ask for WebSocket.
    pub upgrades: Rate,
    /// Which listeners expect a PROXY header, the TCP one last.
    pub expects: Vec<bool>,
    /// From whom; empty: from all.
    pub from: Vec<Network>,
    /// Headers that are none.
    pub bad_header: Rate,
    /// Headers that stop in the middle.
    pub stalled_header: Rate,
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
        TunnelRates { most: (self.tunnels.most / 4).max(1024), ..TunnelRates::default() }
    }
}

/// Draws what a seed has of them, for `listeners` and `clusters` that speak HTTP.
pub(super) fn draw(
    choices: &mut Choices,
    is_faultless: bool,
    listeners: usize,
    clusters: usize,
    body_max: u64,
) -> Protocols {
    let mut draw = Draw { choices, is_faultless };
    let tcp_servers = match draw.on(0, 40) {
        true => draw.choices.between(site!("protocols/tcp servers"), 0, 1, 3) as usize,
        false => 0,
    };
    let has_tcp = usize::from(tcp_servers > 0);
    let tunnels = TunnelRates {
        is_rough: !is_faultless,
        most: body_max.max(2048),
        close: draw.rate(0, 40),
        stall: draw.rate(1, 30),
        reset: draw.rate(2, 40),
        slow: draw.rate(3, 30),
    };
    let upgrades = if draw.on(1, 40) {
        let percent = draw.choices.log_between(site!("protocols/upgrades"), 0, 4, 50);
        Rate::percent(percent as u32)
    } else {
        Rate::NEVER
    };
    let expects = draw.on(2, 30);
    let expects = (0..listeners + has_tcp)
        .map(|n| expects && draw.choices.coin(site!("protocols/expects"), n as u64))
        .collect();
    let from = if draw.faulty(3, 40) { FROM_SOME } else { &[] };
    let sends = draw.on(4, 30);
    let limits = draw.on(5, 30);
    let natures = (0..clusters + has_tcp).map(|n| draw.nature(n, n == clusters, sends, limits));
    let natures = natures.collect();
    let small = draw.choices.log_between(site!("protocols/queue"), 0, 1, 8) as usize;
    let per_ip = draw.faulty(6, 25);
    let shares = draw.faulty(7, 40) || per_ip;
    Protocols {
        tcp_servers,
        tunnels,
        upgrades,
        expects,
        from: from.to_vec(),
        bad_header: draw.rate(4, 30),
        stalled_header: draw.rate(5, 20),
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

const fn network([a, b, c, d]: [u8; 4], prefix: u8) -> Network {
    let ip = std::net::Ipv4Addr::new(a, b, c, d);
    Network { addr: std::net::IpAddr::V4(ip), prefix }
}

struct Draw<'a> {
    choices: &'a mut Choices,
    is_faultless: bool,
}

impl Draw<'_> {
    fn on(&mut self, family: u64, percent: u32) -> bool {
        self.choices.chance(site!("protocols/family"), family, Rate::percent(percent))
    }

    fn faulty(&mut self, family: u64, percent: u32) -> bool {
        self.on(family, percent) && !self.is_faultless
    }

    fn rate(&mut self, family: u64, most: u32) -> Rate {
        let is_on = self.choices.coin(site!("protocols/has rate"), family);
        if self.is_faultless || !is_on {
            return Rate::NEVER;
        }
        let most = u64::from(Rate::percent(most).0);
        Rate(self.choices.log_between(site!("protocols/rate"), family, 512, most) as u32)
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
            limit: (limits && !(is_tcp && self.is_faultless)).then_some(limit),
        }
    }
}

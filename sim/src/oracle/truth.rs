//! What was configured, and what was done to the world, when.

use super::passage::Passage;
use super::routes::Way;
use crate::tls::{ClientAuth, Versions, Which};
use std::net::IpAddr;
use tidegate_core::config::{Cluster, Config, Network, Timeouts};
use tidegate_core::input::Address;

/// A server's place in a cluster.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Index of the server.
    pub server: u16,
    /// Whether it gets no new request.
    pub is_drained: bool,
    /// Its share of the requests.
    pub weight: u32,
    /// Whether it is used only when no other can be.
    pub is_backup: bool,
}

impl Place {
    /// The place of `server`, which nothing is special about.
    pub const fn new(server: u16) -> Place {
        Place { server, is_drained: false, weight: 1, is_backup: false }
    }
}

/// How a listener terminates TLS.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ListenerTls {
    /// Its certificates, the first of which is the default.
    pub certificates: &'static [Which],
    /// Versions it speaks.
    pub versions: Versions,
    /// Whether it asks for client certificates.
    pub auth: ClientAuth,
    /// Another number stands for other settings.
    pub generation: u32,
}

/// Where there is TLS in a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsTruth {
    /// By the number of the listener.
    pub listeners: Vec<Option<ListenerTls>>,
    /// By cluster: which generation of settings its servers are spoken to with. Odd ones show a
    /// certificate to the server.
    pub clusters: Vec<Option<u32>>,
}

/// One applied configuration, as far as the oracle needs it.
#[derive(Clone, Debug)]
pub struct Version {
    /// When it was applied.
    pub at: u64,
    /// Its routes, in file order.
    pub routes: Vec<Way>,
    /// The servers of each cluster; none of one that is not there.
    pub clusters: Vec<Vec<Place>>,
    /// Every timer's span.
    pub timeouts: Timeouts,
    /// Longest request body.
    pub max_body: Option<u64>,
    /// Whether a client's FIN aborts its request.
    pub abort_on_close: bool,
    /// Where there is TLS.
    pub tls: TlsTruth,
    /// The configuration itself.
    pub config: Config,
}

impl Version {
    /// Whether the listener with this number is there.
    pub fn has_listener(&self, number: usize) -> bool {
        let name = format!("l{number}");
        self.config.listeners.iter().any(|listener| *listener.name == *name)
    }

    /// The configuration of cluster number `number`, if it is there.
    pub fn cluster(&self, number: usize) -> Option<&Cluster> {
        let is_it = |cluster: &&Cluster| cluster.name[1..].parse() == Ok(number);
        // Mostly none is missing.
        let at_its_place = self.config.clusters.get(number).filter(is_it);
        at_its_place.or_else(|| self.config.clusters.iter().find(is_it))
    }
}

/// What stays the same of a cluster, and so of its servers, for a whole run.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Nature {
    /// Index of the cluster.
    pub cluster: u16,
    /// Whether it speaks no HTTP.
    pub is_tcp: bool,
    /// The version of the PROXY header that its connections begin with.
    pub send_proxy: Option<u8>,
    /// Connections to each of its servers at most.
    pub limit: Option<u32>,
}

impl Nature {
    /// Whether its servers can be lent to other clusters.
    pub fn is_plain(self) -> bool {
        !self.is_tcp && self.send_proxy.is_none() && self.limit.is_none()
    }
}

/// A server that was marked down, in one cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Down {
    /// The cluster.
    pub cluster: Box<str>,
    /// The server's address.
    pub address: Address,
    /// When the proxy told of it.
    pub since: u64,
    /// When its back-off ends.
    pub until: u64,
    /// Requests since then that might have probed it, and went elsewhere.
    pub passed: u64,
}

impl Down {
    /// Whether it is the server at `address` of `cluster`.
    pub fn is_of(&self, cluster: &str, address: &Address) -> bool {
        *self.cluster == *cluster && self.address == *address
    }
}

/// Whether `ip` begins with the bits that `network` gives. An IPv6 address that stands for an IPv4
/// one is that one; no network is written so, since its prefix could be read in two ways.
pub fn covers(network: &Network, ip: IpAddr) -> bool {
    let bytes = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => match ip.octets() {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, a, b, c, d] => vec![a, b, c, d],
            octets => octets.to_vec(),
        },
    };
    let (one, other) = (bytes(network.addr), bytes(ip));
    let bit = |of: &[u8], n: usize| of[n / 8] >> (7 - n % 8) & 1;
    one.len() == other.len()
        && (0..usize::from(network.prefix)).all(|n| bit(&one, n) == bit(&other, n))
}

/// A connection attempt of the proxy that failed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ConnectFailure {
    /// When.
    pub at: u64,
    /// To which server.
    pub server: u16,
    /// This machine had no means for it: no fault of the server's.
    pub is_ours: bool,
}

/// What the wall clock shows at virtual time 0, in milliseconds since 1970.
pub const WALL_CLOCK: i64 = 1_700_000_000_000;

/// The history that answers are judged by.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Every applied configuration, oldest first; the first serial number is 1.
    pub versions: Vec<Version>,
    /// Failed connection attempts, oldest first.
    pub connect_failures: Vec<ConnectFailure>,
    /// Whether nothing at all goes wrong in this run.
    pub is_faultless: bool,
    /// When everything was healed.
    pub healed_at: Option<u64>,
    /// When a graceful stop began.
    pub stop_at: Option<u64>,
    /// Longest delay between a readiness or deadline and the turn that sees it, in nanoseconds.
    pub loop_delay_max: u64,
    /// When a server was last marked down, or up again.
    pub last_health_at: u64,
    /// Whether a connection to a server ever failed while it was in use.
    pub has_lost_backs: bool,
    /// When a connection to a server last failed or was given up.
    pub last_trouble_at: u64,
    /// Connections of one client address at most.
    pub per_ip: Option<u32>,
    /// What kind each server is, by its number.
    pub natures: Vec<Nature>,
    /// Where the TCP listener leads by the names in ClientHellos, if it looks into them.
    pub passage: Option<Passage>,
    /// Jumps of the wall clock, oldest first: when, and by how many milliseconds it is off since.
    pub wall_jumps: Vec<(u64, i64)>,
    /// The servers that are marked down, as the proxy told.
    pub down: Vec<Down>,
}

impl Truth {
    /// The versions that were in force at some time from `from` to `to`.
    pub fn in_force(&self, from: u64, to: u64) -> &[Version] {
        let end = self.versions.partition_point(|version| version.at <= to);
        let start = self.versions.partition_point(|version| version.at < from);
        &self.versions[start.saturating_sub(1).min(end)..end]
    }

    /// Whether the listener with this number terminates TLS, which no version changes.
    pub fn has_tls(&self, listener: usize) -> bool {
        self.versions[0].tls.listeners.get(listener).is_some_and(Option::is_some)
    }

    /// Whether the listener with this number was there all the time from `from` to `to`.
    pub fn keeps_listener(&self, listener: usize, from: u64, to: u64) -> bool {
        self.in_force(from, to).iter().all(|version| version.has_listener(listener))
    }

    /// Since when the version was in force that had the listener with this number last, at `at` or
    /// before: one that is gone takes who comes to its socket until nobody is in its backlog.
    pub fn had_listener(&self, listener: usize, at: u64) -> u64 {
        let mut known = self.versions.iter().rev().filter(|version| version.at <= at);
        known.find(|version| version.has_listener(listener)).map_or(at, |version| version.at)
    }

    /// The serial numbers in force at some time from `from` to `to`.
    pub fn serials(&self, from: u64, to: u64) -> std::ops::RangeInclusive<u64> {
        let end = self.versions.partition_point(|version| version.at <= to);
        let start = self.versions.partition_point(|version| version.at < from);
        start.max(1) as u64..=end as u64
    }

    /// The shortest and the longest span, in nanoseconds, that a timer had from `from` to `to`.
    pub fn span(
        &self,
        from: u64,
        to: u64,
        of: impl Fn(&Timeouts) -> std::time::Duration,
    ) -> (u64, u64) {
        let spans = self.in_force(from, to).iter().map(|v| of(&v.timeouts).as_nanos() as u64);
        spans.fold((u64::MAX, 0), |(low, high), span| (low.min(span), high.max(span)))
    }

    /// Failed connection attempts from `from` to `to`.
    pub fn failed(&self, from: u64, to: u64) -> &[ConnectFailure] {
        let all = &self.connect_failures;
        let end = all.partition_point(|f| f.at <= to);
        &all[all.partition_point(|f| f.at < from).min(end)..end]
    }

    /// How many they were.
    pub fn failures(&self, from: u64, to: u64) -> usize {
        self.failed(from, to).len()
    }
}

impl Truth {
    /// By how many milliseconds the wall clock is off now.
    pub fn wall_offset(&self) -> i64 {
        self.wall_jumps.last().map_or(0, |&(_, offset)| offset)
    }

    /// Whether the wall clock showed `seconds` since 1970 at some time from `from` to `to`.
    pub fn showed(&self, seconds: i64, from: u64, to: u64) -> bool {
        let begin = [(0, 0)];
        let jumps = || begin.iter().chain(&self.wall_jumps).copied();
        let ends = self.wall_jumps.iter().map(|&(at, _)| at).chain([u64::MAX]);
        jumps().zip(ends).any(|((start, offset), end)| {
            let (low, high) = (from.max(start), to.min(end));
            let at = |nanos: u64| WALL_CLOCK + (nanos / 1_000_000) as i64 + offset;
            let is_in = |nanos: u64| at(nanos).div_euclid(1000);
            low <= high && (is_in(low)..=is_in(high)).contains(&seconds)
        })
    }

    /// What kind `server` is.
    pub fn nature(&self, server: u16) -> Nature {
        self.natures.get(usize::from(server)).copied().unwrap_or_default()
    }

    /// The backlog of the listener called `name`.
    pub fn backlog_of(&self, name: &str) -> usize {
        let newest = self.versions.last();
        let listener =
            newest.and_then(|v| v.config.listeners.iter().find(|listener| &*listener.name == name));
        listener.map_or(16, |listener| listener.backlog as usize)
    }
}

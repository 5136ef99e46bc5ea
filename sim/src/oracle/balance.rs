//! Group *balance*: only eligible servers are chosen, and a server that was marked down is left
//! alone while another can be used.
//!
//! - BACK-1: only members that are not drained get requests; round-robin and source keep their
//!   promise in a quiet run.
//! - BACK-4: a server that backs off is left alone while another can be used; it is marked down
//!   when enough has failed, and not before, and probed when its back-off is over.

use super::ledger::Row;
use super::truth::Down;
use super::{Group, Oracle, Verdict, breach};
use std::collections::BTreeMap;
use tidegate_core::config::{Balance, Cluster, Server};
use tidegate_core::event::Event;
use tidegate_core::input::Address;

const GROUP: Group = Group::Balance;
/// How long nothing must have gone wrong for a choice to be a first one, in nanoseconds.
const QUIET: u64 = 4_000_000_000;

/// `row` is emitted to the server of `back`.
pub fn request(oracle: &Oracle, back: u32, row: &Row) -> Verdict {
    let server = oracle.backs[back as usize].server;
    let from = row.first_read_at.unwrap_or(oracle.now);
    let versions = oracle.truth.in_force(from, oracle.now);
    let is_member = |is_drained_too: bool| {
        versions.iter().any(|version| {
            let places = version.places(row.ask.host).unwrap_or_default();
            places.iter().any(|p| p.server == server && (is_drained_too || !p.is_drained))
        })
    };
    let id = row.ask.id;
    if !is_member(true) {
        let message = format!("request {id} went to server {server}, of another cluster");
        return breach(GROUP, "BACK-1", message);
    }
    if !is_member(false) {
        let message = format!("request {id} went to server {server}, which is drained");
        return breach(GROUP, "BACK-1", message);
    }
    Ok(())
}

/// The proxy begins to connect to `server`: it must not be backing off while another could be
/// used. A server whose back-off has ended is left to its probe, and is no other.
pub fn connect(oracle: &Oracle, server: u16, address: &Address) -> Verdict {
    // With one version only it is certain which servers there are.
    let [version] = oracle.truth.versions.as_slice() else { return Ok(()) };
    // A request that has met trouble elsewhere may go where it would not have gone at first.
    if oracle.now < oracle.truth.last_trouble_at + QUIET {
        return Ok(());
    }
    let down_until = |cluster: &Cluster, at: &Address| {
        let known = oracle.truth.down.iter().rev();
        let mut mine = known.filter(|down| down.is_of(&cluster.name, at));
        mine.next().map(|down| down.until)
    };
    let is_wrong = |cluster: &Cluster| {
        down_until(cluster, address).is_some_and(|until| oracle.now < until)
            && cluster.servers.iter().any(|other| {
                !other.drained && !other.backup && down_until(cluster, &other.addr).is_none()
            })
    };
    // Which cluster the connection is for is not known yet: it must be wrong for all of them.
    let has_server = |cluster: &&Cluster| cluster.servers.iter().any(|s| &s.addr == address);
    let mut mine = version.config.clusters.iter().filter(has_server).peekable();
    if mine.peek().is_some() && mine.all(is_wrong) {
        let message = format!("server {server} is backing off, and another could be used");
        return breach(GROUP, "BACK-4", message);
    }
    Ok(())
}

/// In a run in which nothing changed and no server failed, so that all were eligible all the time,
/// round-robin gave each as many requests as any other, or one more.
pub fn fair(oracle: &Oracle) -> Verdict {
    let [version] = oracle.truth.versions.as_slice() else { return Ok(()) };
    if !is_quiet(oracle) {
        return Ok(());
    }
    for (index, cluster) in version.config.clusters.iter().enumerate() {
        let is_odd = |server: &Server| {
            server.max_connections.is_some() || server.backup || server.weight != 1
        };
        let is_limited = cluster.servers.iter().any(is_odd);
        if cluster.balance != Balance::RoundRobin || cluster.sticky.is_some() || is_limited {
            continue;
        }
        let places = version.clusters[index].iter().filter(|place| !place.is_drained);
        let mut counts: BTreeMap<u16, u64> = places.map(|place| (place.server, 0)).collect();
        let is_ours = |row: &&Row| version.hosts[usize::from(row.ask.host)] == Some(index);
        for attempt in oracle.rows.iter().filter(is_ours).flat_map(|row| &row.attempts) {
            *counts.entry(oracle.backs[attempt.back as usize].server).or_default() += 1;
        }
        let (low, high) = (counts.values().min(), counts.values().max());
        if high.zip(low).is_some_and(|(high, low)| high - low > 1) {
            return breach(GROUP, "BACK-1", format!("round-robin in cluster {index}: {counts:?}"));
        }
    }
    Ok(())
}

/// Whether every server could be used all the while, and each request was given to one.
fn is_quiet(oracle: &Oracle) -> bool {
    let truth = &oracle.truth;
    let has_failures = truth.has_lost_backs || !truth.connect_failures.is_empty();
    // What was chosen for a head that was not sent whole is not known.
    let has_partial = oracle.backs.iter().any(|back| back.reader.is_inside_head());
    let is_odd = |row: &Row| match row.attempts.len() {
        0 => row.head_read_at.is_some() && row.answer.is_none() && !row.is_void,
        count => count > 1,
    };
    let is_calm = truth.last_health_at == 0 && !has_failures && !has_partial;
    is_calm && !oracle.rows.iter().any(is_odd)
}

/// In such a run, `source` led every client address to one server of a cluster.
pub fn faithful(oracle: &Oracle) -> Verdict {
    let [version] = oracle.truth.versions.as_slice() else { return Ok(()) };
    if !is_quiet(oracle) {
        return Ok(());
    }
    let is_by_source = |cluster: usize| {
        let config = &version.config.clusters[cluster];
        let is_limited = config.servers.iter().any(|server| server.max_connections.is_some());
        config.balance == Balance::Source && config.sticky.is_none() && !is_limited
    };
    let of_rows = oracle.rows.iter().filter_map(|row| {
        let cluster = version.hosts.get(usize::from(row.ask.host)).copied().flatten()?;
        Some((cluster, row.front, row.attempts.first()?.back))
    });
    let of_tunnels = oracle.tunnels.iter().filter_map(|tunnel| {
        let cluster = oracle.truth.tcp_cluster.filter(|_| tunnel.row.is_none())?;
        Some((cluster, tunnel.front, tunnel.back?))
    });
    let mut homes = BTreeMap::new();
    for (cluster, front, back) in of_rows.chain(of_tunnels) {
        let ip = oracle.fronts[front as usize].client_ip();
        let server = oracle.backs[back as usize].server;
        let home = *homes.entry((cluster, ip)).or_insert(server);
        if home != server && is_by_source(cluster) {
            let message = format!("{ip} went to server {home} of cluster {cluster}, and {server}");
            return breach(GROUP, "BACK-1", message);
        }
    }
    Ok(())
}

/// The proxy told of a server's health.
pub fn health(oracle: &mut Oracle, event: &Event) {
    oracle.truth.last_health_at = oracle.now;
    match event {
        Event::ServerDown { cluster, addr, backoff } => {
            let since = oracle.now;
            let until = since + backoff.as_nanos() as u64;
            let (cluster, address) = (cluster.clone(), addr.clone());
            oracle.truth.down.push(Down { cluster, address, since, until, passed: 0 });
        }
        Event::ServerUp { cluster, addr } => {
            oracle.truth.down.retain(|down| !down.is_of(cluster, addr));
        }
        _ => {}
    }
}

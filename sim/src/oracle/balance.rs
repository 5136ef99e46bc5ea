//! Group *balance*: only eligible servers are chosen, and a server that was marked down is left
//! alone while another can be used.
//!
//! - BACK-1: only members that are not drained get requests; round-robin and source keep their
//!   promise in a quiet run, least-connections in any.
//! - BACK-4: a server that backs off is left alone while another can be used, for no longer
//!   than its doublings allow, and one request probes it then.

use super::ledger::Row;
use super::truth::{Down, Place, Version};
use super::{Group, Oracle, Verdict, breach};
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_core::config::{Balance, Cluster};
use tidegate_core::event::Event;
use tidegate_core::input::Address;

const GROUP: Group = Group::Balance;
/// How long nothing must have gone wrong for a choice to be a first one, in nanoseconds.
const QUIET: u64 = 4_000_000_000;
/// A server that gets so many requests, and so many times its share, gets them by no chance:
/// (e / 16) ^ 16 is less than 10 ^ -12.
const UNLIKELY: u64 = 16;

/// `row` is emitted to the server of `back`.
pub fn request(oracle: &Oracle, back: u32, row: &Row) -> Verdict {
    let server = oracle.backs[back as usize].server;
    let from = row.first_read_at.unwrap_or(oracle.now);
    let versions = oracle.truth.in_force(from, oracle.now);
    let is_member = |is_drained_too: bool| {
        versions.iter().any(|version| {
            let places = version.places(&row.ask).unwrap_or_default();
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
    backup(oracle, server, row)
}

/// The first choice for `row` was `server`: no backup, as long as another could be used.
fn backup(oracle: &Oracle, server: u16, row: &Row) -> Verdict {
    let truth = &oracle.truth;
    let from = row.first_read_at.unwrap_or(oracle.now);
    // Whatever went wrong of late may have marked a server down, or failed this very request.
    let is_rough = truth.last_trouble_at + QUIET > from
        || truth.last_health_at + QUIET > from
        || !truth.down.is_empty()
        || !row.attempts.is_empty()
        || truth.versions.len() > 1;
    let [version] = truth.versions.as_slice() else { return Ok(()) };
    let Some(cluster) = version.cluster_of(&row.ask) else { return Ok(()) };
    let Some(places) = version.clusters.get(cluster).filter(|_| !is_rough) else { return Ok(()) };
    let sticks = row.ask.cookie.is_some()
        && version.cluster(cluster).is_some_and(|cluster| cluster.sticky.is_some());
    let is_backup = places.iter().any(|place| place.server == server && place.is_backup);
    let has_other = places.iter().any(|place| !place.is_backup && !place.is_drained);
    if is_backup && has_other && !sticks {
        let id = row.ask.id;
        let message = format!("request {id} went to server {server}, a backup: {places:?}");
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

/// In a run in which no server failed, so that all were eligible all the time, and since the
/// servers of a cluster or their weights changed last, round-robin gave none a whole turn more than
/// its share by weight, equal ones as many requests as each other or one more, and backups none.
pub fn fair(oracle: &Oracle) -> Verdict {
    let Some(version) = oracle.truth.versions.last().filter(|_| is_quiet(oracle)) else {
        return Ok(());
    };
    for (index, places) in version.clusters.iter().enumerate() {
        let known = version.cluster(index).zip(settled(oracle, index));
        let Some((cluster, since)) = known else { continue };
        // The others look at who is busy, or at who asks.
        let judge = match cluster.balance {
            Balance::RoundRobin => shares,
            Balance::Random => likely,
            Balance::LeastConnections | Balance::PowerOfTwo | Balance::Source => continue,
        };
        let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
        let is_ours = |row: &&Row| {
            let seen = row.record.as_ref().and_then(|it| (it.version as usize).checked_sub(1));
            let seen = seen.and_then(|number| oracle.truth.versions.get(number));
            seen.unwrap_or(version).cluster_of(&row.ask) == Some(index)
        };
        let all = oracle.rows.iter().filter(is_ours).flat_map(|row| &row.attempts);
        for attempt in all.filter(|attempt| attempt.at > since) {
            *counts.entry(oracle.backs[attempt.back as usize].server).or_default() += 1;
        }
        judge(index, places, &counts)?;
    }
    Ok(())
}

/// Since when a cluster has been what it is, 0 for always, if its turns began anew then: its
/// servers or their weights changed, nothing else did then that has a say in who is chosen, and
/// nobody was under way who might have had a turn before.
fn settled(oracle: &Oracle, index: usize) -> Option<u64> {
    let versions = &oracle.truth.versions;
    let last = versions.last()?;
    let places = |version: &Version| version.clusters.get(index).cloned().unwrap_or_default();
    let current = places(last);
    let before = versions.iter().rposition(|version| places(version) != current);
    // Who sticks, or waits in a line, goes elsewhere than the turns lead.
    let balance = |version: &Version| {
        let cluster = version.cluster(index)?;
        let is_limited = cluster.servers.iter().any(|server| server.max_connections.is_some());
        (cluster.sticky.is_none() && !is_limited).then_some(cluster.balance)
    };
    let always = balance(last)?;
    if versions[before.unwrap_or(0)..].iter().any(|version| balance(version) != Some(always)) {
        return None;
    }
    let Some(before) = before else { return Some(0) };
    let weights = |places: &[Place]| {
        let mut all: Vec<_> = places.iter().map(|place| (place.server, place.weight)).collect();
        all.sort_unstable();
        all
    };
    let since = versions[before + 1].at;
    let is_under_way = |row: &Row| {
        let has_begun = row.first_read_at.is_some_and(|at| at <= since);
        has_begun && row.record.as_ref().is_none_or(|record| record.at >= since)
    };
    let begins_anew = weights(&places(&versions[before])) != weights(&current)
        && !oracle.rows.iter().any(is_under_way);
    begins_anew.then_some(since)
}

/// What each server of a cluster got is its share.
pub fn shares(cluster: usize, places: &[Place], counts: &BTreeMap<u16, u64>) -> Verdict {
    let eligible = eligible(places);
    let count = |place: &Place| counts.get(&place.server).copied().unwrap_or(0);
    let (total, weights) = eligible.iter().fold((0, 0), |(total, weights), place| {
        (total + count(place), weights + u64::from(place.weight))
    });
    let is_greedy = |place: &&Place| {
        count(place) * weights >= total * u64::from(place.weight) + weights && weights > 0
    };
    let differ = |one: &Place, other: &Place| {
        one.weight == other.weight && count(one).abs_diff(count(other)) > 1
    };
    let is_unfair = eligible.iter().any(is_greedy)
        || eligible.iter().any(|one| eligible.iter().any(|other| differ(one, other)));
    let is_else = places.iter().any(|place| !eligible.contains(&place) && count(place) > 0);
    if is_unfair || is_else {
        let message = format!("round-robin in cluster {cluster}: {counts:?} of {places:?}");
        return breach(GROUP, "BACK-1", message);
    }
    Ok(())
}

/// The servers of a cluster among which it chooses: backups only if there is no other.
fn eligible(places: &[Place]) -> Vec<&Place> {
    let has_primary = places.iter().any(|place| !place.is_drained && !place.is_backup);
    let is_eligible = |place: &&Place| !place.is_drained && place.is_backup != has_primary;
    places.iter().filter(is_eligible).collect()
}

/// By chance no server of a cluster got very much more than its weight says: `UNLIKELY` requests,
/// and so many times its share.
pub fn likely(cluster: usize, places: &[Place], counts: &BTreeMap<u16, u64>) -> Verdict {
    let eligible = eligible(places);
    let weights: u64 = eligible.iter().map(|place| u64::from(place.weight)).sum();
    let total: u64 = counts.values().sum();
    for place in eligible {
        let count = counts.get(&place.server).copied().unwrap_or(0);
        if count >= UNLIKELY && count * weights >= UNLIKELY * total * u64::from(place.weight) {
            let message = format!("chance in cluster {cluster}: {counts:?} of {places:?}");
            return breach(GROUP, "BACK-1", message);
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
        let Some(config) = version.cluster(cluster) else { return false };
        let is_limited = config.servers.iter().any(|server| server.max_connections.is_some());
        config.balance == Balance::Source && config.sticky.is_none() && !is_limited
    };
    let of_rows = oracle.rows.iter().filter_map(|row| {
        let cluster = version.cluster_of(&row.ask)?;
        Some((cluster, row.front, row.attempts.first()?.back))
    });
    let of_tunnels = oracle.tunnels.iter().filter_map(|tunnel| {
        // Only its record tells whether a tunnel's first attempt led to where it is.
        let is_first = tunnel.record.is_some_and(|record| record.attempts <= 1);
        let back = tunnel.back.filter(|_| tunnel.row.is_none() && is_first)?;
        let cluster = oracle.truth.nature(oracle.backs[back as usize].server).cluster;
        Some((usize::from(cluster), tunnel.front, back))
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

/// The core found a server whose probe is nobody's: no request goes there any more.
pub(super) fn probes(what: String) -> Verdict {
    breach(GROUP, "BACK-4", what)
}

/// The proxy told of a server's health.
pub fn health(oracle: &mut Oracle, event: &Event) -> Verdict {
    oracle.truth.last_health_at = oracle.now;
    match event {
        Event::ServerDown { cluster, addr, backoff } => {
            let verdict = within_doublings(oracle, cluster, addr, *backoff);
            let since = oracle.now;
            let until = since + backoff.as_nanos() as u64;
            let (cluster, address) = (cluster.clone(), addr.clone());
            oracle.truth.down.push(Down { cluster, address, since, until, passed: 0 });
            return verdict;
        }
        Event::ServerUp { cluster, addr } => {
            oracle.truth.down.retain(|down| !down.is_of(cluster, addr));
            let known = oracle.dials.risen.iter_mut().find(|it| it.0 == *cluster && it.1 == *addr);
            match known {
                Some(it) => it.2 = oracle.now,
                None => oracle.dials.risen.push((cluster.clone(), addr.clone(), oracle.now)),
            }
        }
        _ => {}
    }
    Ok(())
}

/// A back-off doubles with each failed probe, up to its limit, and jitter only shortens it.
fn within_doublings(oracle: &Oracle, cluster: &str, addr: &Address, backoff: Duration) -> Verdict {
    let known = oracle.truth.down.iter().filter(|down| down.is_of(cluster, addr));
    let factor = 1_u32.checked_shl(known.count() as u32).unwrap_or(u32::MAX);
    let configured = oracle.truth.versions.iter().flat_map(|version| &version.config.clusters);
    let longest = configured
        .filter(|known| *known.name == *cluster)
        .map(|known| known.backoff_min.saturating_mul(factor).min(known.backoff_max))
        .max();
    if backoff.is_zero() || longest.is_some_and(|longest| backoff > longest) {
        let message = format!("{addr} of {cluster} backs off for {backoff:?}, not {longest:?}");
        return breach(GROUP, "BACK-4", message);
    }
    Ok(())
}

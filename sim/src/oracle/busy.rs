//! Group *balance*, of clusters that look at who is busy: who is far busier for its weight than
//! another one that can be used is not chosen by `least-connections`.
//!
//! - BACK-1: only members that are not drained get requests; round-robin and source keep their
//!   promise in a quiet run, least-connections in any.

use super::dials::is_usable;
use super::ledger::Back;
use super::truth::{Place, Version};
use super::{Group, Oracle, Verdict, breach};
use crate::kernel::Net;
use tidegate_core::config::Balance;

const GROUP: Group = Group::Balance;
/// Requests that may have been led to a server in this very turn, unseen as yet.
const UNSEEN: u64 = 2;

/// `server` was chosen: a connection to it begins, or an idle one, `taken`, got a request.
pub fn chosen(oracle: &Oracle, net: &Net, server: u16, taken: Option<u32>) -> Verdict {
    let since = oldest(oracle, server);
    let [version] = oracle.truth.in_force(since, oracle.now) else { return Ok(()) };
    let Some((cluster, places)) = of_server(version, server) else { return Ok(()) };
    let primary = |place: &&Place| !place.is_drained && !place.is_backup;
    let Some(mine) = places.iter().filter(primary).find(|place| place.server == server) else {
        return Ok(());
    };
    let config = version.cluster(cluster).expect("it has a server");
    let busy = to(oracle, server)
        .filter(|&(n, back)| taken != Some(n as u32) && back.connect_at >= version.at)
        .filter(|(_, back)| is_busy(oracle, net, back))
        .count() as u64;
    for (other, at) in places.iter().zip(&config.servers).filter(|(place, _)| primary(place)) {
        let open = to(oracle, other.server).filter(|(_, back)| !is_idle(oracle, back));
        let most = open.count() as u64 + UNSEEN;
        let is_needless = busy * u64::from(other.weight) > most * u64::from(mine.weight);
        if is_needless
            && is_usable(oracle, &config.name, other, at)
            && !may_be_tried(oracle, other.server, since)
        {
            let (other, weights) = (other.server, (mine.weight, other.weight));
            let message = format!(
                "least-connections in cluster {cluster}: server {server} with {busy} requests was \
                 preferred to server {other} with {most} at most, of weights {weights:?}"
            );
            return breach(GROUP, "BACK-1", message);
        }
    }
    Ok(())
}

/// The open connections to `server`, with their numbers.
fn to(oracle: &Oracle, server: u16) -> impl Iterator<Item = (usize, &Back)> {
    let all = oracle.backs.iter().enumerate();
    all.filter(move |(_, back)| back.server == server && back.closed_at.is_none())
}

/// Since when somebody may be under way whom `server` was chosen for.
fn oldest(oracle: &Oracle, server: u16) -> u64 {
    if oracle.truth.nature(server).is_tcp {
        let fronts = oracle.fronts.iter().filter(|front| front.is_tcp && front.closed.is_none());
        return fronts.map(|front| front.begun_at).min().unwrap_or(oracle.now);
    }
    let rows = oracle.rows.iter().filter(|row| row.answer.is_none() && row.record.is_none());
    rows.filter_map(|row| row.first_read_at).min().unwrap_or(oracle.now)
}

/// Whether somebody of those may have met trouble at `server`, and so has to go elsewhere.
fn may_be_tried(oracle: &Oracle, server: u16, since: u64) -> bool {
    let has_ended = |back: &Back| match back.closed_at {
        Some(at) => at >= since,
        None => back.has_failed || back.has_shown_end,
    };
    let mut its = oracle.backs.iter().filter(|back| back.server == server);
    its.any(has_ended)
        || oracle.truth.failed(since, oracle.now).iter().any(|it| it.server == server)
}

/// The one cluster of `server` in `version`, if that chooses by who is busy, and all its places.
fn of_server(version: &Version, server: u16) -> Option<(usize, &[Place])> {
    let has = |places: &Vec<Place>| places.iter().any(|place| place.server == server);
    let mut its = version.clusters.iter().enumerate().filter(|(_, places)| has(places));
    let (cluster, places) = its.next()?;
    let is_alone = its.next().is_none() && is_by_load(version, cluster);
    is_alone.then_some((cluster, places.as_slice()))
}

fn is_by_load(version: &Version, cluster: usize) -> bool {
    let Some(config) = version.cluster(cluster) else { return false };
    // Who sticks, or waits in a line, goes elsewhere than the load leads.
    let is_limited = config.servers.iter().any(|server| server.max_connections.is_some());
    config.balance == Balance::LeastConnections && config.sticky.is_none() && !is_limited
}

/// Whether a request is certainly under way on `back`: nothing of its answer was read yet.
fn is_busy(oracle: &Oracle, net: &Net, back: &Back) -> bool {
    let Some(seen) = back.seen.last() else { return true };
    let row = &oracle.rows[seen.row as usize];
    let attempt = &row.attempts[seen.attempt];
    row.record.is_none() && net.content_read(back.ep) == attempt.read_before
}

/// Whether `back` certainly waits for somebody who needs it.
fn is_idle(oracle: &Oracle, back: &Back) -> bool {
    let Some(seen) = back.seen.last() else { return false };
    !back.reader.is_inside_head() && oracle.rows[seen.row as usize].record.is_some()
}

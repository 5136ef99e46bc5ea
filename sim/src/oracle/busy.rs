//! Group *balance*, of clusters that look at who is busy: in a quiet run `least-connections` never
//! chooses a server that is far busier for its weight than another (BACK-1).

use super::balance::{QUIET, eligible};
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
    let Some((cluster, places)) = of_server(oracle, server) else { return Ok(()) };
    let eligible = eligible(places);
    let Some(mine) = eligible.iter().find(|place| place.server == server) else { return Ok(()) };
    let to = |server: u16| {
        let all = oracle.backs.iter().enumerate();
        all.filter(move |(_, back)| back.server == server && back.closed_at.is_none())
    };
    let is_other = |number: usize| taken.is_none_or(|taken| taken as usize != number);
    let busy = to(server).filter(|&(n, back)| is_other(n) && is_busy(oracle, net, back)).count();
    for other in eligible.iter().filter(|place| place.server != server && place.weight > 0) {
        let most =
            UNSEEN + to(other.server).filter(|(_, back)| !is_idle(oracle, back)).count() as u64;
        if busy as u64 * u64::from(other.weight) > most * u64::from(mine.weight) {
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

/// The one cluster of `server`, if it is certain that it chooses by who is busy, and all that may
/// be chosen there.
fn of_server(oracle: &Oracle, server: u16) -> Option<(usize, &[Place])> {
    let truth = &oracle.truth;
    let [version] = truth.versions.as_slice() else { return None };
    let last = truth.last_trouble_at.max(truth.last_health_at);
    let is_rough = last > 0 && oracle.now < last + QUIET || !truth.down.is_empty();
    let has = |places: &Vec<Place>| places.iter().any(|place| place.server == server);
    let mut its = version.clusters.iter().enumerate().filter(|(_, places)| has(places));
    let (cluster, places) = its.next().filter(|_| !is_rough)?;
    let is_alone = its.next().is_none() && is_by_load(version, cluster);
    is_alone.then_some((cluster, places))
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

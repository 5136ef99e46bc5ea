//! Group *balance*, continued: a server that fails is marked down, one that is backs off, and one
//! whose back-off is over is probed.
//!
//! - BACK-4: a server that backs off is left alone while another can be used; it is marked down
//!   when enough has failed, and not before, and probed when its back-off is over.

use super::dials::{Dial, certain, unsure, usable};
use super::ledger::Row;
use super::truth::Down;
use super::{Group, Oracle, Verdict, breach, retry};
use tidegate_core::config::Balance;
use tidegate_core::event::Event;
use tidegate_core::input::Address;

const GROUP: Group = Group::Balance;
/// Turns of each server that may pass before one whose back-off is over has its own.
const PASSED_MAX: u64 = 2;

/// The first choice for a request is no server that backs off, if another one can be used.
pub(super) fn left_alone(
    oracle: &Oracle,
    row: &Row,
    server: u16,
    address: &Address,
    before: &[Dial],
) -> Verdict {
    let may_be_first = before.is_empty() && row.attempts.is_empty();
    if !may_be_first || unsure(oracle, row).next().is_some() {
        return Ok(());
    }
    let Some((version, cluster)) = certain(oracle, row) else { return Ok(()) };
    let name = &version.config.clusters[cluster].name;
    let mut of_it = oracle.truth.down.iter().rev().filter(|down| down.is_of(name, address));
    let Some(down) = of_it.next() else { return Ok(()) };
    // What it answers in this turn may have brought it up, of which nobody has told yet. A server
    // that was out of the configuration meanwhile is a new one.
    let has_spoken =
        oracle.backs.iter().any(|back| back.server == server && back.last_read_at == oracle.now);
    let is_backing_off =
        down.since < oracle.now && oracle.now < down.until && stays(oracle, down) && !has_spoken;
    let other = usable(oracle, row, |config| !config.backup).find(|&other| other != server);
    if let Some(other) = other.filter(|_| is_backing_off) {
        let id = row.ask.id;
        let left = (down.until - oracle.now) / 1_000_000;
        let message = format!(
            "request {id} went to server {server}, which backs off for {left} ms, not to {other}"
        );
        return breach(GROUP, "BACK-4", message);
    }
    Ok(())
}

/// Whether a server was in the configuration all the time since it was marked down: one that comes
/// back is a new one.
fn stays(oracle: &Oracle, down: &Down) -> bool {
    let mut since = oracle.truth.in_force(down.since, oracle.now).iter();
    since.all(|version| {
        let mut its = version.config.clusters.iter().filter(|it| it.name == down.cluster);
        its.any(|cluster| cluster.servers.iter().any(|server| server.addr == down.address))
    })
}

/// `row` is emitted: servers of its cluster whose back-off had ended before it came might have been
/// probed by it, and are so before many more have gone elsewhere.
pub fn probed(oracle: &mut Oracle, row: u32) -> Verdict {
    let row = &oracle.rows[row as usize];
    let from = row.first_read_at.unwrap_or(oracle.now);
    let Some((version, cluster)) = certain(oracle, row) else { return Ok(()) };
    let config = &version.config.clusters[cluster];
    // The others ask chance, or the client's address.
    let takes_turns = matches!(config.balance, Balance::RoundRobin | Balance::LeastConnections);
    let may_stick = config.sticky.is_some() && row.ask.cookie.is_some();
    if !takes_turns || may_stick || !row.attempts.is_empty() {
        return Ok(());
    }
    let total: u64 = config.servers.iter().map(|server| u64::from(server.weight)).sum();
    let mut due = Vec::new();
    for (place, server) in version.clusters[cluster].iter().zip(&config.servers) {
        let has_turns = !server.drained && !server.backup && server.weight > 0;
        let is_busy =
            oracle.backs.iter().any(|b| b.server == place.server && b.closed_at.is_none());
        let all = &oracle.truth.down;
        // The last that was told of it counts.
        let last = all.iter().rposition(|down| down.is_of(&config.name, &server.addr));
        let over = last.filter(|&n| all[n].until <= from && stays(oracle, &all[n]));
        if let Some(down) =
            over.filter(|_| has_turns && server.max_connections.is_none() && !is_busy)
        {
            due.push((down, total.div_ceil(u64::from(server.weight))));
        }
    }
    for (down, share) in due {
        let down = &mut oracle.truth.down[down];
        down.passed += 1;
        if down.passed > PASSED_MAX * (share + 1) {
            let (passed, address) = (down.passed, &down.address);
            let message = format!("{passed} requests passed {address} by, whose back-off is over");
            return breach(GROUP, "BACK-4", message);
        }
    }
    Ok(())
}

/// `server` refused a connection: so often in a row only if it is marked down.
pub fn refused(oracle: &mut Oracle, server: u16) -> Verdict {
    let versions = oracle.truth.versions.len();
    if std::mem::replace(&mut oracle.dials.versions, versions) != versions {
        oracle.dials.refusals.clear();
    }
    let Some(newest) = oracle.truth.versions.last() else { return Ok(()) };
    let has_it = |cluster: &usize| newest.clusters[*cluster].iter().any(|p| p.server == server);
    let clusters: Vec<usize> = (0..newest.clusters.len()).filter(has_it).collect();
    let is_down = clusters.iter().any(|&cluster| {
        let config = &newest.config.clusters[cluster];
        let servers = newest.clusters[cluster].iter().zip(&config.servers);
        let mut its = servers.filter(|(place, _)| place.server == server);
        its.any(|(_, it)| oracle.truth.down.iter().any(|down| down.is_of(&config.name, &it.addr)))
    });
    if clusters.is_empty() || is_down {
        return Ok(());
    }
    let falls = oracle.truth.versions.iter().flat_map(|v| v.config.clusters.iter().map(|c| c.fall));
    let fall = falls.max().unwrap_or(1);
    let count = oracle.dials.refusals.entry(server).or_default();
    *count += 1;
    // A request counts once, however often it tries.
    let most = fall * u32::from(retry::ATTEMPTS_MAX) * clusters.len() as u32;
    if *count > most {
        let message = format!("server {server} refused {count} times in a row, and is not down");
        return breach(GROUP, "BACK-4", message);
    }
    Ok(())
}

/// The proxy told that it marked a server down: so many attempts have come to their end there.
pub fn marked_down(oracle: &Oracle, event: &Event) -> Verdict {
    let Event::ServerDown { cluster, addr, .. } = event else { return Ok(()) };
    let versions = oracle.truth.versions.iter();
    let all = versions.flat_map(|version| version.config.clusters.iter().zip(&version.clusters));
    let mine = all.filter(|(config, _)| config.name == *cluster);
    let numbers = mine.clone().flat_map(|(config, places)| config.servers.iter().zip(places));
    let number = numbers.filter(|(it, _)| it.addr == *addr).map(|(_, place)| place.server).next();
    let fall = mine.map(|(config, _)| config.fall).min();
    let Some((number, fall)) = number.zip(fall) else { return Ok(()) };
    let closed = oracle.backs.iter().filter(|b| b.server == number && b.closed_at.is_some());
    // What failed at once never became a connection.
    let failed = oracle.truth.connect_failures.iter().filter(|it| it.server == number);
    let ended = closed.filter(|back| !back.has_failed).count() + failed.count();
    if ended < fall as usize {
        let message = format!("server {number} is down after {ended} attempts of {fall}");
        return breach(GROUP, "BACK-4", message);
    }
    Ok(())
}

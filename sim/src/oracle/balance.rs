//! Group *balance*: only eligible servers are chosen, and a server that was marked down is left
//! alone while another can be used (BACK-1, BACK-4).

use super::ledger::Row;
use super::{Oracle, Verdict, breach};
use tidegate_core::event::Event;

const GROUP: &str = "balance";

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

/// The proxy begins to connect to `server`.
pub fn connect(oracle: &Oracle, server: u16, address: &tidegate_core::input::Address) -> Verdict {
    let now = oracle.now;
    let is_down = |cluster: &str, at: &tidegate_core::input::Address| {
        let down = &oracle.truth.down;
        down.iter().any(|(name, addr, until)| &**name == cluster && addr == at && now < *until)
    };
    // Which cluster the connection is for is not known yet: it must be wrong for all of them.
    let Some(version) = oracle.truth.versions.last() else { return Ok(()) };
    let mut mine = version
        .config
        .clusters
        .iter()
        .filter(|cluster| cluster.servers.iter().any(|s| &s.addr == address));
    let is_wrong = |cluster: &tidegate_core::config::Cluster| {
        is_down(&cluster.name, address)
            && cluster.servers.iter().any(|s| {
                !s.drained
                    && !s.backup
                    && &s.addr != address
                    && !is_down(&cluster.name, &s.addr)
                    && oracle
                        .truth
                        .connect_failures
                        .iter()
                        .rev()
                        .take(8)
                        .all(|f| f.at + 5_000_000_000 < now)
            })
    };
    let first = mine.next();
    if first.is_some_and(is_wrong) && mine.all(is_wrong) && oracle.truth.versions.len() == 1 {
        let message = format!("server {server} is backing off, and another could be used");
        return breach(GROUP, "BACK-4", message);
    }
    Ok(())
}

/// The proxy told of a server's health.
pub fn health(oracle: &mut Oracle, event: &Event) {
    match event {
        Event::ServerDown { cluster, addr, backoff } => {
            let until = oracle.now + backoff.as_nanos() as u64;
            oracle.truth.down.push((cluster.clone(), addr.clone(), until));
        }
        Event::ServerUp { cluster, addr } => {
            oracle.truth.down.retain(|(name, at, _)| name != cluster || at != addr);
        }
        _ => {}
    }
}

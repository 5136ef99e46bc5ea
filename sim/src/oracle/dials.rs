//! Group *retry*, continued: connection attempts, each judged by the one request that it can be
//! for, where there is but one.
//!
//! - BACK-2: a request tries to connect three times at most, and its repetitions once each; not
//!   where it has failed while there is another server, and not at once where it has just failed.

use super::ledger::Row;
use super::truth::Version;
use super::{Group, Oracle, Verdict, breach, probes, retry};
use crate::kernel::Net;
use std::collections::BTreeMap;
use tidegate_core::config::Server;
use tidegate_core::input::Address;

const GROUP: Group = Group::Retry;
/// The wait before an address that has just failed is tried again, in nanoseconds.
pub(super) const RETRY_PAUSE: u64 = 100_000_000;

/// One attempt to connect to a server.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// When it began.
    pub at: u64,
    /// To which server.
    pub server: u16,
    /// The request that it is for, if there is only one that it can be for.
    pub row: Option<u32>,
    /// When it failed, if it did before it carried a byte.
    pub failed_at: Option<u64>,
}

/// Every attempt, and how often servers refused in a row.
#[derive(Default, Debug)]
pub struct Dials {
    all: Vec<Dial>,
    /// Refusals since the last byte of a server.
    pub(super) refusals: BTreeMap<u16, u32>,
    /// Versions that were applied when they were counted last.
    pub(super) versions: usize,
}

impl Dials {
    /// The attempt that began last.
    pub fn last(&self) -> u32 {
        (self.all.len() as u32).saturating_sub(1)
    }

    /// The attempt failed before it carried a byte.
    pub fn failed(&mut self, dial: u32, now: u64) {
        self.all[dial as usize].failed_at.get_or_insert(now);
    }
}

impl Oracle {
    /// The proxy read something from a server.
    pub fn back_spoke(&mut self, back: u32) {
        let back = &mut self.backs[back as usize];
        back.last_read_at = self.now;
        self.dials.refusals.remove(&back.server);
    }

    /// The proxy closes a connection to a server.
    pub fn back_closed(&mut self, net: &Net, back: u32) {
        let back = &mut self.backs[back as usize];
        back.closed_at = Some(self.now);
        let is_known = back.told_at.is_some_and(|told| told < self.now);
        back.left_unread = is_known && net.content_unread(back.ep) > 0;
    }
}

/// The proxy begins to connect to `server`, at `address`.
pub fn begins(oracle: &mut Oracle, server: u16, address: &Address) -> Verdict {
    let row = if oracle.truth.nature(server).is_tcp { None } else { only(oracle) };
    let verdict = row.map_or(Ok(()), |row| {
        let row = &oracle.rows[row as usize];
        let before: Vec<Dial> = mine(oracle, row).copied().collect();
        in_bounds(oracle, row, server, &before)?;
        elsewhere(oracle, row, server, &before)?;
        probes::left_alone(oracle, row, server, address, &before)
    });
    for down in oracle.truth.down.iter_mut().filter(|down| down.address == *address) {
        down.passed = 0;
    }
    oracle.dials.all.push(Dial { at: oracle.now, server, row, failed_at: None });
    verdict
}

/// The only request that the proxy may be connecting for.
fn only(oracle: &Oracle) -> Option<u32> {
    let may_need = |row: &&Row| {
        let front = &oracle.fronts[row.front as usize];
        let is_over = row.answer.is_some() || row.record.is_some() || row.is_void;
        front.closed.is_none() && !is_over && row.first_read_at.is_some()
    };
    let mut all = oracle.rows.iter().filter(may_need);
    let first = all.next()?;
    let is_whole = first.head_read_at.is_some() && first.ask.flaw.is_none();
    (is_whole && all.next().is_none()).then_some(first.ask.id)
}

fn mine<'a>(oracle: &'a Oracle, row: &Row) -> impl Iterator<Item = &'a Dial> {
    let id = row.ask.id;
    oracle.dials.all.iter().filter(move |dial| dial.row == Some(id))
}

/// The attempts since `row` came that may have been for it, or for another.
pub(super) fn unsure<'a>(oracle: &'a Oracle, row: &Row) -> impl Iterator<Item = &'a Dial> {
    let from = row.first_read_at.unwrap_or(oracle.now);
    let first = oracle.dials.all.partition_point(|dial| dial.at < from);
    oracle.dials.all[first..].iter().filter(|dial| dial.row.is_none())
}

/// At most three attempts, and a pause before the address that has just failed.
fn in_bounds(oracle: &Oracle, row: &Row, server: u16, before: &[Dial]) -> Verdict {
    let (id, count) = (row.ask.id, before.len() + 1);
    if count > usize::from(retry::ATTEMPTS_MAX) {
        let message = format!("request {id}: connection attempt {count}, to server {server}");
        return breach(GROUP, "BACK-2", message);
    }
    if let Some(last) = before.last()
        && last.server == server
        && let Some(failed_at) = last.failed_at
        && !unsure(oracle, row).any(|dial| dial.at >= failed_at)
        && oracle.now < failed_at + RETRY_PAUSE
    {
        let pause = (oracle.now - failed_at) / 1_000_000;
        let message = format!("request {id}: server {server} was tried again after {pause} ms");
        return breach(GROUP, "BACK-2", message);
    }
    Ok(())
}

/// A server that failed this request is not tried again while there is another.
fn elsewhere(oracle: &Oracle, row: &Row, server: u16, before: &[Dial]) -> Verdict {
    if !before.iter().any(|dial| dial.server == server && dial.failed_at.is_some()) {
        return Ok(());
    }
    let is_fresh = |other: u16| {
        let has_tried = before.iter().any(|dial| dial.server == other)
            || unsure(oracle, row).any(|dial| dial.server == other)
            || row.attempts.iter().any(|it| oracle.backs[it.back as usize].server == other);
        !has_tried
    };
    let other = usable(oracle, row, |_| true).find(|&other| is_fresh(other));
    if let Some(other) = other {
        let id = row.ask.id;
        let message = format!("request {id} was tried at server {server} again, not at {other}");
        return breach(GROUP, "BACK-2", message);
    }
    Ok(())
}

/// The version and the cluster that a request sees, if they are certain.
pub(super) fn certain<'a>(oracle: &'a Oracle, row: &Row) -> Option<(&'a Version, usize)> {
    let from = row.first_read_at.unwrap_or(oracle.now);
    let [version] = oracle.truth.in_force(from, oracle.now) else { return None };
    let cluster = (*version.hosts.get(usize::from(row.ask.host))?)?;
    Some((version, cluster))
}

/// The servers of a request's cluster that surely can be used now, and that `is_such`.
pub(super) fn usable<'a>(
    oracle: &'a Oracle,
    row: &Row,
    is_such: impl Fn(&Server) -> bool + 'a,
) -> impl Iterator<Item = u16> + 'a {
    let now = oracle.now;
    let of = certain(oracle, row).into_iter().flat_map(move |(version, cluster)| {
        let config = &version.config.clusters[cluster];
        let places = version.clusters[cluster].iter().zip(&config.servers);
        places.map(move |(place, server)| (place.server, &config.name, server))
    });
    of.filter(move |(number, name, config)| {
        let is_free = !config.drained && config.weight > 0 && config.max_connections.is_none();
        let is_up = !oracle.truth.down.iter().any(|down| down.is_of(name, &config.addr));
        // In this turn it may have been marked down, of which nobody has told yet.
        let failures = oracle.truth.connect_failures.iter().rev();
        let mut recent = failures.take_while(|failure| failure.at >= now);
        let has_failed = recent.any(|failure| failure.server == *number)
            || oracle.backs.iter().any(|b| b.server == *number && b.closed_at >= Some(now));
        is_free && is_up && !has_failed && is_such(config)
    })
    .map(|(number, ..)| number)
}

//! Groups *retry* and *balance*, continued: connection attempts, each judged by the one request
//! that it can be for, where there is but one (BACK-2, BACK-4).
//!
//! - BACK-2: a request tries to connect three times at most, and its repetitions once each; not
//!   where it has failed while there is another server, and not at once where it has just failed.
//! - BACK-4: a server that backs off is left alone while another can be used, for no longer
//!   than its doublings allow, and one request probes it then.

use super::ledger::{Back, Front, Recorded, Row};
use super::truth::{Down, Place, Version};
use super::{Group, Oracle, Verdict, breach, retry, routes};
use crate::kernel::Net;
use std::collections::BTreeMap;
use tidegate_core::config::{Balance, Server};
use tidegate_core::event::Phase;
use tidegate_core::input::Address;

/// The wait before an address that has just failed is tried again, in nanoseconds.
pub(super) const RETRY_PAUSE: u64 = 100_000_000;
/// Turns of each server that may pass before one whose back-off is over has its own.
const PASSED_MAX: u64 = 2;

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
    /// Refusals since the last byte of a server, and when the first of them came.
    refusals: BTreeMap<u16, (u32, u64)>,
    /// When each server came up last: cluster, address, time.
    pub(super) risen: Vec<(Box<str>, Address, u64)>,
    /// Versions that were applied when they were counted last.
    versions: usize,
    /// Versions that were applied when it was counted last who is passed by.
    passed_versions: usize,
    /// When the system refused one at once.
    short: Vec<u64>,
}

impl Dials {
    /// The attempt that began last.
    pub fn last(&self) -> u32 {
        (self.all.len() as u32).saturating_sub(1)
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.all.len() as u64
    }

    /// The last that was surely for request `row`.
    pub fn last_for(&self, row: u32) -> Option<u32> {
        self.all.iter().rposition(|dial| dial.row == Some(row)).map(|dial| dial as u32)
    }

    /// Whether the proxy began to connect to `server` since `from`.
    pub(super) fn has_tried(&self, server: u16, from: u64) -> bool {
        self.all.iter().rev().take_while(|dial| dial.at >= from).any(|dial| dial.server == server)
    }

    /// When the system refused one at once.
    pub fn refused_at_once(&self) -> &[u64] {
        &self.short
    }

    /// The attempt failed before it carried a byte.
    pub fn failed(&mut self, dial: u32, now: u64) {
        self.all[dial as usize].failed_at.get_or_insert(now);
    }

    /// The proxy had no means to connect to `server`. A request that ends so says nothing of the
    /// server, whatever its attempts before did: those are refusals of nobody's.
    pub fn fell_short(&mut self, server: u16) {
        self.short.extend(self.all.last().map(|dial| dial.at));
        if let Some((count, _)) = self.refusals.get_mut(&server) {
            *count = count.saturating_sub(u32::from(retry::ATTEMPTS_MAX) - 1);
        }
    }
}

impl Oracle {
    /// The proxy read something from a server.
    pub fn back_spoke(&mut self, back: u32) {
        let back = &mut self.backs[back as usize];
        back.last_read_at = self.now;
        self.dials.refusals.remove(&back.server);
    }

    /// The proxy was told of a server's connection, or has read there, and knows whether bytes
    /// wait.
    pub fn back_seen(&mut self, net: &Net, back: u32, has_read: bool) {
        let back = &mut self.backs[back as usize];
        let since = back.waits_since.filter(|_| !has_read).unwrap_or(self.now);
        back.waits_since = (net.content_unread(back.ep) > 0).then_some(since);
    }

    /// The proxy closes a connection to a server.
    pub fn back_closed(&mut self, net: &Net, back: u32) {
        let back = &mut self.backs[back as usize];
        back.closed_at = Some(self.now);
        back.is_unanswered = net.ep(back.ep).is_connecting();
        back.left_unread = back.waits_since.is_some_and(|since| since < self.now);
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
        left_alone(oracle, row, server, address, &before)
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
pub(super) fn unsure<'a>(oracle: &'a Oracle, row: &'a Row) -> impl Iterator<Item = &'a Dial> {
    let from = row.first_read_at.unwrap_or(oracle.now);
    let first = oracle.dials.all.partition_point(|dial| dial.at < from);
    let may_be_its = |dial: &&Dial| {
        let is_tcp = oracle.truth.nature(dial.server).is_tcp;
        dial.row.is_none() && !is_tcp && routes::leads_to(oracle, row, dial.server)
    };
    oracle.dials.all[first..].iter().filter(may_be_its)
}

/// The connection of the last attempt that was made for `row`, if that is certain, and if it came
/// to one.
pub(super) fn last_of<'a>(oracle: &'a Oracle, row: &Row) -> Option<&'a Back> {
    let last = oracle.dials.last_for(row.ask.id)?;
    let at = oracle.dials.all[last as usize].at;
    let is_certain = !unsure(oracle, row).any(|dial| dial.at >= at);
    oracle.backs.iter().rev().find(|back| back.dial == last).filter(|_| is_certain)
}

/// At most three attempts, and a pause before the address that has just failed.
fn in_bounds(oracle: &Oracle, row: &Row, server: u16, before: &[Dial]) -> Verdict {
    let (id, count) = (row.ask.id, before.len() + 1);
    if count > usize::from(retry::ATTEMPTS_MAX) {
        let message = format!("request {id}: connection attempt {count}, to server {server}");
        return breach(Group::Retry, "BACK-2", message);
    }
    if let Some(last) = before.last()
        && last.server == server
        && let Some(failed_at) = last.failed_at
        && !unsure(oracle, row).any(|dial| dial.at >= failed_at)
        && oracle.now < failed_at + RETRY_PAUSE
    {
        let pause = (oracle.now - failed_at) / 1_000_000;
        let message = format!("request {id}: server {server} was tried again after {pause} ms");
        return breach(Group::Retry, "BACK-2", message);
    }
    Ok(())
}

/// A server that failed this request is not tried again while there is another.
fn elsewhere(oracle: &Oracle, row: &Row, server: u16, before: &[Dial]) -> Verdict {
    if !before.iter().any(|dial| dial.server == server && dial.failed_at.is_some()) {
        return Ok(());
    }
    // Who pauses before an address has chosen it before the pause: another that came up since was
    // none yet.
    let chosen_at = before.last().and_then(|last| last.failed_at).unwrap_or(oracle.now);
    let was_up = |cluster: &str, server: &Server| {
        let mut risen = oracle.dials.risen.iter();
        !risen.any(|(of, at, when)| **of == *cluster && *at == server.addr && *when >= chosen_at)
    };
    let Some((version, cluster)) = certain(oracle, row) else { return Ok(()) };
    let name = &version.cluster(cluster).expect("it is certain").name;
    let is_fresh = |other: u16| {
        let has_tried = before.iter().any(|dial| dial.server == other)
            || unsure(oracle, row).any(|dial| dial.server == other)
            || row.attempts.iter().any(|it| oracle.backs[it.back as usize].server == other);
        !has_tried
    };
    let other = usable(oracle, row, |it| was_up(name, it)).find(|&other| is_fresh(other));
    if let Some(other) = other {
        let id = row.ask.id;
        let message = format!("request {id} was tried at server {server} again, not at {other}");
        return breach(Group::Retry, "BACK-2", message);
    }
    Ok(())
}

/// The first choice for a request is no server that backs off, if another one can be used.
fn left_alone(
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
    let name = &version.cluster(cluster).expect("it is certain").name;
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
        return breach(Group::Balance, "BACK-4", message);
    }
    Ok(())
}

/// The proxy begins to connect to `server`: while one attempt probes a server whose back-off is
/// over, no other goes there, as long as another server can be used.
pub fn alone(oracle: &Oracle, net: &Net, server: u16, address: &Address) -> Verdict {
    let [version] = oracle.truth.versions.as_slice() else { return Ok(()) };
    // In each cluster that has the address its server has a health of its own.
    let has_it = |number: &usize| version.clusters[*number].iter().any(|p| p.server == server);
    let mut clusters = (0..version.clusters.len()).filter(has_it);
    let (Some(number), None) = (clusters.next(), clusters.next()) else { return Ok(()) };
    let Some(config) = version.cluster(number) else { return Ok(()) };
    let mut known = oracle.truth.down.iter().rev();
    let Some(down) = known.find(|down| down.is_of(&config.name, address)) else {
        return Ok(());
    };
    // A tunnel's server has passed as soon as its connection stands.
    let stands = |back: &Back| {
        back.is_tcp && back.connect_at >= down.until && !net.ep(back.ep).is_connecting()
    };
    // What is told in this turn, of the probe or of others there, may be its verdict.
    let has_moved = |back: &&Back| {
        let is_told = back.last_read_at == oracle.now || stands(back);
        back.server == server && is_told && back.connect_at < oracle.now
    };
    let probes = |back: &&Back| {
        let is_its = back.server == server && back.connect_at >= down.until;
        let is_silent = back.last_read_at == back.connect_at && !back.has_failed;
        is_its && is_silent && back.closed_at.is_none() && !stands(back)
    };
    let Some(probe) = oracle.backs.iter().find(probes) else { return Ok(()) };
    let all = &mut version.clusters[number].iter().zip(&config.servers);
    let other = all
        .find(|(place, it)| place.server != server && is_usable(oracle, &config.name, place, it));
    if let Some((other, _)) = other.filter(|_| !oracle.backs.iter().any(|b| has_moved(&b))) {
        let since = (oracle.now - probe.connect_at) / 1_000_000;
        let message = format!(
            "an attempt to connect to server {server}, which another has probed for {since} ms, \
             not to {}",
            other.server
        );
        return breach(Group::Balance, "BACK-4", message);
    }
    Ok(())
}

/// Whether a server of `cluster` surely can be used now.
pub(super) fn is_usable(oracle: &Oracle, cluster: &str, place: &Place, config: &Server) -> bool {
    let now = oracle.now;
    let is_free = !config.drained && config.weight > 0 && config.max_connections.is_none();
    let is_up = !oracle.truth.down.iter().any(|down| down.is_of(cluster, &config.addr));
    // In this turn it may have been marked down, of which nobody has told yet.
    let failures = oracle.truth.connect_failures.iter().rev();
    let mut recent = failures.take_while(|failure| failure.at >= now);
    let has_failed = recent.any(|failure| failure.server == place.server)
        || oracle.backs.iter().any(|b| b.server == place.server && b.closed_at >= Some(now));
    is_free && is_up && !has_failed
}

/// Whether a server was in the configuration all the time since it was marked down: one that comes
/// back is a new one.
pub(super) fn stays(oracle: &Oracle, down: &Down) -> bool {
    let mut since = oracle.truth.in_force(down.since, oracle.now).iter();
    since.all(|version| {
        let mut its = version.config.clusters.iter().filter(|it| it.name == down.cluster);
        its.any(|cluster| cluster.servers.iter().any(|server| server.addr == down.address))
    })
}

/// The version and the cluster that a request sees, if they are certain.
fn certain<'a>(oracle: &'a Oracle, row: &Row) -> Option<(&'a Version, usize)> {
    let from = row.first_read_at.unwrap_or(oracle.now);
    let [version] = oracle.truth.in_force(from, oracle.now) else { return None };
    let cluster = version.cluster_of(&row.ask)?;
    version.cluster(cluster)?;
    Some((version, cluster))
}

/// The servers of a request's cluster that surely can be used now, and that `is_such`.
fn usable<'a>(
    oracle: &'a Oracle,
    row: &Row,
    is_such: impl Fn(&Server) -> bool + 'a,
) -> impl Iterator<Item = u16> + 'a {
    let of = certain(oracle, row).into_iter().flat_map(move |(version, cluster)| {
        let config = version.cluster(cluster).expect("it is certain");
        let places = version.clusters[cluster].iter().zip(&config.servers);
        places.map(move |(place, server)| (place, &config.name, server))
    });
    of.filter(move |(place, name, config)| {
        is_usable(oracle, name, place, config) && is_such(config)
    })
    .map(|(place, ..)| place.server)
}

/// `row` is emitted: servers of its cluster whose back-off had ended before it came might have been
/// probed by it, and are so before many more have gone elsewhere.
pub fn probed(oracle: &mut Oracle, row: u32) -> Verdict {
    if oracle.truth.down.is_empty() {
        return Ok(());
    }
    turns_begin(oracle);
    let row = &oracle.rows[row as usize];
    let from = row.first_read_at.unwrap_or(oracle.now);
    let Some((version, cluster)) = certain(oracle, row) else { return Ok(()) };
    let config = version.cluster(cluster).expect("it is certain");
    // The others ask chance, the client's address, or who has the fewest requests.
    let takes_turns = config.balance == Balance::RoundRobin;
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
            return breach(Group::Balance, "BACK-4", message);
        }
    }
    Ok(())
}

/// The turns of a cluster begin anew with each version that has other servers or weights for it, or
/// chooses in another way: who was passed by before is counted from there.
fn turns_begin(oracle: &mut Oracle) {
    fn turns<'a>(version: &'a Version, name: &str) -> Option<(&'a [Server], Balance)> {
        let cluster = version.config.clusters.iter().find(|cluster| *cluster.name == *name)?;
        Some((&cluster.servers, cluster.balance))
    }
    let (versions, down) = (&oracle.truth.versions, &mut oracle.truth.down);
    let counted = std::mem::replace(&mut oracle.dials.passed_versions, versions.len());
    let since = &versions[counted.saturating_sub(1)..];
    for down in down {
        let goes_on =
            |pair: &[Version]| turns(&pair[0], &down.cluster) == turns(&pair[1], &down.cluster);
        if !since.windows(2).all(goes_on) {
            down.passed = 0;
        }
    }
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
        let Some(config) = newest.cluster(cluster) else { return false };
        let servers = newest.clusters[cluster].iter().zip(&config.servers);
        let mut its = servers.filter(|(place, _)| place.server == server);
        its.any(|(_, it)| oracle.truth.down.iter().any(|down| down.is_of(&config.name, &it.addr)))
    });
    if clusters.is_empty() || is_down {
        return Ok(());
    }
    let falls = oracle.truth.versions.iter().flat_map(|version| {
        let numbers = (0..version.clusters.len())
            .filter(move |&n| version.clusters[n].iter().any(|place| place.server == server));
        numbers.filter_map(|n| Some(version.cluster(n)?.fall))
    });
    let fall = falls.max().unwrap_or(1);
    let now = oracle.now;
    let (count, since) = oracle.dials.refusals.entry(server).or_insert((0, now));
    *count += 1;
    let (count, since) = (*count, *since);
    // A request counts once, however often it tries, and when it has given up: before that, or if
    // its client left, all but its last attempt are refusals of nobody's.
    let tries = u32::from(retry::ATTEMPTS_MAX);
    let counted = fall * tries * clusters.len() as u32;
    if count > counted && count > counted + (tries - 1) * at_work(oracle, server, since) {
        let message = format!("server {server} refused {count} times in a row, and is not down");
        return breach(Group::Balance, "BACK-4", message);
    }
    Ok(())
}

/// How many requests, or tunnels, may have tried to connect to `server` since `since` without
/// telling anything of it in the end.
fn at_work(oracle: &Oracle, server: u16, since: u64) -> u32 {
    if oracle.truth.nature(server).is_tcp {
        let lives = |front: &&Front| front.closed.is_none_or(|(at, _)| at >= since);
        return oracle.fronts.iter().filter(|f| f.is_tcp).filter(lives).count() as u32;
    }
    let rows = oracle.rows.iter().filter(|row| {
        let is_blamed = |it: &Recorded| it.ending.phase == Phase::Connect && it.status == 503;
        let is_its = row.record.as_ref().is_none_or(|it| it.at >= since && !is_blamed(it));
        // Where what is flawed leads, nobody knows.
        let may_lead = row.ask.flaw.is_some() || routes::leads_to(oracle, row, server);
        row.head_read_at.is_some() && is_its && may_lead
    });
    rows.count() as u32
}

//! Group *limits*: connections of one client address, connections to one server and the line in
//! front of it.
//!
//! - REQ-3: nothing passes that is larger than it may be.
//! - ACC-9: no more connections of an address are served than may be, and whoever is refused is
//!   told when to come again.
//! - BACK-9: a server has no more connections than it may, its line no more requests, nobody
//!   overtakes there, and nobody waits there while a server has room.

use super::ledger::{Back, Front, Row};
use super::truth::{Place, Version};
use super::{Group, Oracle, Verdict, answers, breach};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use tidegate_core::config::Server;
use tidegate_core::time::TICK;

const GROUP: Group = Group::Limits;

impl Front {
    /// Whether it was open at some time from `from` to `to`.
    pub fn overlaps(&self, from: u64, to: u64) -> bool {
        self.accepted_at.is_some_and(|at| at <= to) && self.closed.is_none_or(|(at, _)| at >= from)
    }

    /// The client's address, as a PROXY header announced it or as it is.
    pub fn client_ip(&self) -> IpAddr {
        self.client_address().ip()
    }

    /// The client's address, as it is announced or as the system knows it.
    pub fn client_address(&self) -> SocketAddr {
        let announced = self.announced.as_ref().and_then(|header| header.source());
        announced.unwrap_or(self.address)
    }
}

/// Whether a session of `front` may have been over the limit of its address.
pub fn may_refuse(oracle: &Oracle, front: u32) -> bool {
    let Some(limit) = oracle.truth.per_ip else { return false };
    let at = &oracle.fronts[front as usize];
    let ip = at.client_ip();
    let Some(from) = at.accepted_at else { return false };
    // When exactly it was counted is not known: until it was served, or closed.
    let begun = at.announced.as_ref().and_then(|header| header.read_at).or(at.served_at);
    let to = begun.or(at.closed.map(|(at, _)| at)).unwrap_or(oracle.now);
    let others = oracle.fronts.iter().enumerate().filter(|&(other, f)| {
        other != front as usize && f.client_ip() == ip && f.overlaps(from, to)
    });
    others.count() >= limit as usize
}

/// The proxy serves `front`: no more of its address than may are served at once.
pub fn served(oracle: &mut Oracle, front: u32) -> Verdict {
    let Some(limit) = oracle.truth.per_ip else { return Ok(()) };
    oracle.fronts[front as usize].is_let_in = true;
    let ip = oracle.fronts[front as usize].client_ip();
    let served = oracle
        .fronts
        .iter()
        .filter(|front| front.is_let_in && front.closed.is_none() && front.client_ip() == ip);
    let count = served.count();
    if count > limit as usize {
        let message = format!("{count} connections of {ip} are served, {limit} may be");
        return breach(GROUP, "ACC-9", message);
    }
    Ok(())
}

/// The limited cluster that `row` leads to, and its rules, if that is certain.
fn limited(oracle: &Oracle, row: &Row) -> Option<(usize, u32)> {
    let from = row.first_read_at.unwrap_or(oracle.now);
    let of = |version: &Version| version.cluster_of(&row.ask);
    let mut all = oracle.truth.in_force(from, oracle.now).iter().map(of);
    let first = all.next()??;
    if !all.all(|other| other == Some(first)) {
        return None;
    }
    let nature = oracle.truth.natures.iter().find(|nature| usize::from(nature.cluster) == first);
    Some((first, nature?.limit?))
}

/// Whether a request may be told 503 because no server had room: the line was full, or it has
/// waited there for too long (BACK-9).
pub fn may_be_turned_away(oracle: &Oracle, row: &Row) -> bool {
    let from = row.first_read_at.unwrap_or(oracle.now);
    let is_limited = oracle.truth.in_force(from, oracle.now).iter().any(|version| {
        let cluster = version.cluster_of(&row.ask);
        let servers =
            cluster.and_then(|cluster| Some(version.cluster(cluster)?.servers.as_slice()));
        servers.is_some_and(|all| all.iter().any(|server| server.max_connections.is_some()))
    });
    let Some(read) = row.head_read_at.filter(|_| is_limited) else { return false };
    let turn = read.max(answers::turn_came(oracle, row));
    let (low, _) = oracle.truth.span(from, oracle.now, |t| t.backend_queue);
    if oracle.now >= turn.saturating_add(low) {
        return true;
    }
    let capacity = oracle.truth.in_force(from, oracle.now).iter().filter_map(|version| {
        let cluster = version.cluster_of(&row.ask)?;
        Some(version.cluster(cluster)?.queue_capacity)
    });
    let capacity = capacity.min().unwrap_or(usize::MAX);
    let in_force = oracle.truth.in_force(from, oracle.now);
    let mine: Vec<usize> =
        in_force.iter().filter_map(|version| version.cluster_of(&row.ask)).collect();
    // Who came before may see an older version.
    let is_of_mine = |other: &Row| {
        let since = other.first_read_at.unwrap_or(oracle.now);
        let mut seen = oracle.truth.in_force(since, oracle.now).iter();
        seen.any(|v| v.cluster_of(&other.ask).is_some_and(|cluster| mine.contains(&cluster)))
    };
    // Whoever could have stood in line at some time since.
    let others = oracle.rows.iter().filter(|other| {
        let begins = other.head_read_at.is_some() && is_of_mine(other);
        // Whose connection broke before an answer may stand in line again.
        let answered_at = other.answer.as_ref().map_or(u64::MAX, |answer| answer.at);
        let is_given = other.attempts.last().is_some_and(|last| {
            let closed_at = oracle.backs[last.back as usize].closed_at;
            last.at < turn && closed_at.is_none_or(|at| at >= answered_at)
        });
        let is_over = other.answer.as_ref().is_some_and(|answer| answer.at < turn)
            || other.record.is_some_and(|record| record.at < turn);
        other.ask.id != row.ask.id && begins && !is_given && !is_over
    });
    others.count() >= capacity
}

/// The connections to `server` that are open.
fn open_to(oracle: &Oracle, server: u16) -> impl Iterator<Item = &Back> {
    oracle.backs.iter().filter(move |b| b.server == server && b.closed_at.is_none())
}

/// How many connections `server` may have by the most generous version that somebody still sees:
/// whoever connects may see an older one. An address is a server of its own in each cluster that
/// has it, or had it when a connection was opened that is open still. None: as many as come.
fn most_connections(oracle: &Oracle, server: u16) -> Option<u32> {
    if oracle.truth.versions.len() == 1 {
        return oracle.truth.nature(server).limit;
    }
    let open = oracle.rows.iter().filter(|row| row.record.is_none());
    let tunnels = oracle.fronts.iter().filter(|front| front.is_tcp && front.closed.is_none());
    let since = open.filter_map(|row| row.first_read_at);
    let since = since.chain(tunnels.filter_map(|front| front.accepted_at)).min();
    let since = since.unwrap_or(oracle.now);
    let opened = open_to(oracle, server).map(|back| back.connect_at).min();
    let opened = opened.unwrap_or(oracle.now).min(since);
    let mut all = most_by_cluster(oracle, server, opened);
    // Whoever connects closes idle connections above a limit that was lowered: those of its own
    // cluster, not of another one.
    if all.len() == 1 {
        all.extend(most_by_cluster(oracle, server, since));
    }
    let first = all.pop_first()?.1?;
    all.into_values().try_fold(first, |sum, most| Some(sum.saturating_add(most?)))
}

/// How many connections `server` may have in each cluster, by the most generous version in force
/// since `since`.
fn most_by_cluster(oracle: &Oracle, server: u16, since: u64) -> BTreeMap<&str, Option<u32>> {
    let id = crate::wire::server_id(server);
    let mut most: BTreeMap<&str, Option<u32>> = BTreeMap::new();
    let versions = oracle.truth.in_force(since, oracle.now).iter();
    for cluster in versions.flat_map(|version| &version.config.clusters) {
        for it in cluster.servers.iter().filter(|it| it.id.as_deref() == Some(&id)) {
            let most = most.entry(&cluster.name).or_insert(Some(0));
            *most = most.zip(it.max_connections).map(|(one, other)| one.max(other));
        }
    }
    most
}

/// The proxy begins to connect to `server`: it has no more connections than it may.
pub fn connects(oracle: &Oracle, server: u16) -> Verdict {
    let Some(limit) = most_connections(oracle, server) else { return Ok(()) };
    let open = open_to(oracle, server).count();
    if open >= limit as usize {
        let message = format!("connection {} to server {server}, which may have {limit}", open + 1);
        return breach(GROUP, "BACK-9", message);
    }
    Ok(())
}

/// The requests that wait for a server of `cluster`, chosen or not, and since when.
fn waiting<'a>(
    oracle: &'a Oracle,
    version: &'a Version,
    cluster: usize,
) -> impl Iterator<Item = (u32, u64)> + 'a {
    let waits = move |row: &&Row| {
        let front = &oracle.fronts[row.front as usize];
        // Answers that a client does not take are no longer waited for.
        let is_open = front.closed.is_none()
            && !front.last_response_closes
            && front.response_begun_at.is_none();
        let is_over = row.answer.is_some() || row.record.is_some() || row.gave_up_at.is_some();
        is_open
            && !is_over
            && !row.is_void
            && row.head_read_at.is_some()
            && row.attempts.is_empty()
            && row.ask.flaw.is_none()
            && version.cluster_of(&row.ask) == Some(cluster)
            && oracle.head_of_line(row.front).is_some_and(|head| head.ask.id == row.ask.id)
    };
    oracle.rows.iter().filter(waits).map(|row| (row.ask.id, turn(oracle, row)))
}

/// When it was a request's turn to be served.
fn turn(oracle: &Oracle, row: &Row) -> u64 {
    row.head_read_at.unwrap_or(0).max(answers::turn_came(oracle, row))
}

/// Connections to servers of `cluster` that were begun for a request and were not given it.
fn chosen(oracle: &Oracle, cluster: usize) -> usize {
    let is_chosen = |back: &&Back| {
        let nature = oracle.truth.nature(back.server);
        let is_empty = back.seen.is_empty() || back.reader.is_inside_head();
        // A record that is not whole yet shows nothing of what it carries.
        let is_held = back.is_short && back.tls.is_some();
        let is_its = usize::from(nature.cluster) == cluster && back.closed_at.is_none();
        is_its && (is_empty || is_held)
    };
    oracle.backs.iter().filter(is_chosen).count()
}

/// Whether an attempt in `cluster` may have failed since `from`: connections were refused, or one
/// broke that had taken a part of a head. Whoever pauses between two attempts does not stand in
/// line.
fn is_rough(oracle: &Oracle, cluster: usize, from: u64) -> bool {
    let broke = |back: &&Back| {
        let is_inside = back.reader.is_inside_head() || back.is_short && back.tls.is_some();
        let is_its = usize::from(oracle.truth.nature(back.server).cluster) == cluster;
        is_its && is_inside && back.closed_at.is_some_and(|at| at >= from)
    };
    oracle.truth.failures(from, oracle.now) > 0 || oracle.backs.iter().any(|back| broke(&back))
}

/// `row` is emitted to a server: of those that wait for the same cluster it was the first (BACK-9).
pub fn in_turn(oracle: &Oracle, row: &Row) -> Verdict {
    let Some((cluster, _)) = limited(oracle, row) else { return Ok(()) };
    let [version] = oracle.truth.versions.as_slice() else { return Ok(()) };
    let mine = turn(oracle, row);
    // Until the records of the answer before it are out, a request by TLS is not looked at.
    let is_clear = |id: u32| {
        let front = oracle.rows[id as usize].front;
        oracle.fronts[front as usize].tls.is_none()
    };
    let older = waiting(oracle, version, cluster).filter(|&(id, at)| at < mine && is_clear(id));
    let older: Vec<(u32, u64)> = older.collect();
    let Some(oldest) = older.iter().map(|&(_, at)| at).min() else { return Ok(()) };
    // Who sticks to a server, or has been elsewhere, waits for others than the rest do.
    let is_sticky = version.cluster(cluster).is_some_and(|cluster| cluster.sticky.is_some());
    let is_again = !row.attempts.is_empty();
    let is_rough = is_rough(oracle, cluster, oldest) || is_again || is_sticky;
    // Those that were chosen already wait for their connection to stand.
    if !is_rough && older.len() > chosen(oracle, cluster) {
        let id = row.ask.id;
        let message = format!("request {id} was served before {older:?}, which waited longer");
        return breach(GROUP, "BACK-9", message);
    }
    Ok(())
}

/// A turn begins: nobody slept in a line through the end of a server's back-off (BACK-9).
pub fn slept(oracle: &Oracle) -> Verdict {
    let is_needless = oracle.truth.down.is_empty() || oracle.turn.is_more;
    if is_needless { Ok(()) } else { lines(oracle) }
}

/// At the end of a turn that has no work left, or before the next: no more requests wait for a
/// cluster than its line has room for.
pub fn lines(oracle: &Oracle) -> Verdict {
    let [version] = oracle.truth.versions.as_slice() else { return Ok(()) };
    let limited = oracle.truth.natures.iter().filter(|nature| nature.limit.is_some());
    let mut clusters: Vec<u16> = limited.map(|nature| nature.cluster).collect();
    clusters.dedup();
    for cluster in clusters.into_iter().map(usize::from).filter(|_| oracle.has_ample_buffers()) {
        let capacity = version.cluster(cluster).map_or(0, |cluster| cluster.queue_capacity);
        let all: Vec<(u32, u64)> = waiting(oracle, version, cluster).collect();
        let Some(oldest) = all.iter().map(|&(_, at)| at).min() else { continue };
        let is_rough = is_rough(oracle, cluster, oldest);
        if !is_rough && all.len() > capacity + chosen(oracle, cluster) {
            let message = format!("{all:?} wait for cluster {cluster}, {capacity} may");
            return breach(GROUP, "BACK-9", message);
        }
        if !is_rough && all.len() > chosen(oracle, cluster) {
            nobody_has_room(oracle, version, cluster, &all)?;
        }
    }
    Ok(())
}

/// While `all` wait for a cluster, each of its servers that can be used has all its connections.
fn nobody_has_room(
    oracle: &Oracle,
    version: &Version,
    cluster: usize,
    all: &[(u32, u64)],
) -> Verdict {
    let Some(config) = version.cluster(cluster) else { return Ok(()) };
    // Who sticks to a server waits for that one.
    if config.sticky.is_some() {
        return Ok(());
    }
    // A server's back-off that ends now may be seen either way.
    let slack = TICK.as_nanos() as u64 + oracle.truth.loop_delay_max;
    let backs_off = |server: &Server| {
        let mut all = oracle.truth.down.iter().rev();
        all.find(|down| down.is_of(&config.name, &server.addr)).map(|down| down.until)
    };
    let is_primary =
        |place: &Place, server: &Server| !place.is_backup && !place.is_drained && server.weight > 0;
    let members = || version.clusters[cluster].iter().zip(&config.servers);
    let primaries = || members().filter(|(place, server)| is_primary(place, server));
    let has_primary = primaries().any(|(_, server)| backs_off(server).is_none());
    // Backups are there for those whom no other server can be used by.
    let has_none = primaries()
        .all(|(_, server)| backs_off(server).is_some_and(|until| oracle.now + slack < until));
    for (place, server) in members() {
        let Some(limit) = server.max_connections else { continue };
        let down = backs_off(server);
        let is_its = |back: &&Back| back.server == place.server && back.closed_at.is_none();
        let open = oracle.backs.iter().filter(is_its).count();
        // When a back-off ends, whoever waits may probe, unless somebody does already.
        let is_down = down.is_some_and(|until| oracle.now <= until + slack || open > 0);
        let is_its_turn = if place.is_backup { has_none } else { has_primary || down.is_some() };
        let is_meant = !is_down && !place.is_drained && is_its_turn && server.weight > 0;
        if is_meant && open < limit as usize {
            let server = place.server;
            let message = format!("{all:?} wait, and server {server} has {open} of {limit}");
            return breach(GROUP, "BACK-9", message);
        }
    }
    Ok(())
}

/// The versions until `until` of which one may say what the listener of `row` lets pass: those that
/// its request may have seen, and, once the listener was removed, those that its connection may
/// have begun under and the last that had it, since it keeps what it had (SES-1).
pub fn of_listener<'a>(oracle: &'a Oracle, row: &Row, until: u64) -> &'a [Version] {
    let front = &oracle.fronts[row.front as usize];
    let from = match oracle.truth.keeps_listener(front.listener, front.begun_at, until) {
        true => row.first_read_at.unwrap_or(until),
        false => oracle.truth.had_listener(front.listener, front.begun_at),
    };
    oracle.truth.in_force(from, until)
}

/// Something passed that is nothing but too large (REQ-3).
pub fn passed(message: String) -> Verdict {
    breach(GROUP, "REQ-3", message)
}

/// A server was given `body` bytes of the body of `row`: no more than some version lets pass.
pub fn body(oracle: &Oracle, row: &Row, body: u64) -> Verdict {
    let versions = of_listener(oracle, row, oracle.now).iter();
    let most = versions.map(|version| version.max_body.unwrap_or(u64::MAX)).max();
    if most.is_some_and(|most| body > most) {
        let id = row.ask.id;
        return passed(format!("{body} bytes of the body of request {id} passed, of {most:?}"));
    }
    Ok(())
}

/// Whoever was refused as one too many was not told when to come again.
pub fn untold(row: &Row) -> Verdict {
    breach(GROUP, "ACC-9", format!("request {}: a 429 without Retry-After", row.ask.id))
}

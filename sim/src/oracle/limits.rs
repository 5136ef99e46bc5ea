//! Group *limits*: connections of one client address, connections to one server and the line in
//! front of it (ACC-9, BACK-9).

use super::ledger::{Front, Row};
use super::truth::Version;
use super::{Oracle, Verdict, answers, breach};
use std::net::IpAddr;

const GROUP: &str = "limits";

impl Front {
    /// Whether it was open at some time from `from` to `to`.
    pub fn overlaps(&self, from: u64, to: u64) -> bool {
        self.accepted_at.is_some_and(|at| at <= to) && self.closed.is_none_or(|(at, _)| at >= from)
    }

    /// The client's address, as a PROXY header announced it or as it is.
    pub fn client_ip(&self) -> IpAddr {
        let announced = self.announced.as_ref().and_then(|header| header.source());
        announced.unwrap_or(self.address).ip()
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
    let of = |version: &Version| version.hosts.get(usize::from(row.ask.host)).copied().flatten();
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
        let cluster = version.hosts.get(usize::from(row.ask.host)).copied().flatten();
        let servers = cluster.map(|cluster| version.config.clusters[cluster].servers.as_slice());
        servers.is_some_and(|all| all.iter().any(|server| server.max_connections.is_some()))
    });
    let Some(read) = row.head_read_at.filter(|_| is_limited) else { return false };
    let turn = read.max(answers::turn_came(oracle, row));
    let (low, _) = oracle.truth.span(from, oracle.now, |t| t.backend_queue);
    if oracle.now >= turn.saturating_add(low) {
        return true;
    }
    let capacity = oracle.truth.in_force(from, oracle.now).iter().filter_map(|version| {
        let cluster = version.hosts.get(usize::from(row.ask.host)).copied().flatten()?;
        Some(version.config.clusters[cluster].queue_capacity)
    });
    let capacity = capacity.min().unwrap_or(usize::MAX);
    // Whoever could have stood in line at some time since.
    let others = oracle.rows.iter().filter(|other| {
        let begins = other.head_read_at.is_some();
        let is_given = other.attempts.first().is_some_and(|first| first.at < turn);
        let is_over = other.answer.as_ref().is_some_and(|answer| answer.at < turn)
            || other.record.is_some_and(|record| record.at < turn);
        other.ask.id != row.ask.id && begins && !is_given && !is_over
    });
    others.count() >= capacity
}

/// The proxy begins to connect to `server`: it has no more connections than it may.
pub fn connects(oracle: &Oracle, server: u16) -> Verdict {
    let Some(limit) = oracle.truth.nature(server).limit else { return Ok(()) };
    let open = oracle.backs.iter().filter(|b| b.server == server && b.closed_at.is_none()).count();
    if open >= limit as usize {
        let message = format!("connection {} to server {server}, which may have {limit}", open + 1);
        return breach(GROUP, "BACK-9", message);
    }
    Ok(())
}

/// `row` is emitted to the server of `back`: of those that wait for the same cluster it was the
/// first (BACK-9).
pub fn in_turn(oracle: &Oracle, row: &Row) -> Verdict {
    let Some((cluster, _)) = limited(oracle, row) else { return Ok(()) };
    let [version] = oracle.truth.versions.as_slice() else { return Ok(()) };
    let Some(read) = row.head_read_at else { return Ok(()) };
    // Who sticks to a server, or has been elsewhere, waits for others than the rest do.
    let is_sticky = version.config.clusters[cluster].sticky.is_some();
    let is_again = !row.attempts.is_empty();
    let waits = |other: &&Row| {
        other.ask.id != row.ask.id
            && other.head_read_at.is_some()
            && other.attempts.is_empty()
            && other.answer.is_none()
            && other.record.is_none()
            && other.gave_up_at.is_none()
            && !other.is_void
            && oracle.fronts[other.front as usize].closed.is_none()
            && !oracle.fronts[other.front as usize].last_response_closes
            && other.ask.flaw.is_none()
            && version.hosts.get(usize::from(other.ask.host)) == Some(&Some(cluster))
            && oracle.head_of_line(other.front).is_some_and(|head| head.ask.id == other.ask.id)
    };
    let turn = |row: &Row| row.head_read_at.unwrap_or(0).max(answers::turn_came(oracle, row));
    let mine = read.max(answers::turn_came(oracle, row));
    let older: Vec<u64> =
        oracle.rows.iter().filter(waits).map(turn).filter(|&at| at < mine).collect();
    let Some(&oldest) = older.iter().min() else { return Ok(()) };
    let has_failed = oracle.truth.failures(oldest, oracle.now) > 0;
    // The line does not hear of a back-off that ends: whoever comes then may be the first there.
    let is_down = !oracle.truth.down.is_empty();
    let is_rough = has_failed || is_down || is_again || is_sticky;
    // Those that were chosen already wait for their connection to stand.
    let chosen = oracle.backs.iter().filter(|back| {
        let nature = oracle.truth.nature(back.server);
        usize::from(nature.cluster) == cluster
            && back.closed_at.is_none()
            && (back.seen.is_empty() || back.reader.is_inside_head())
    });
    if !is_rough && older.len() > chosen.count() {
        let id = row.ask.id;
        let rows: Vec<u32> = oracle.rows.iter().filter(waits).map(|row| row.ask.id).collect();
        let message = format!(
            "request {id} was served before {} of {rows:?}, which waited longer",
            older.len()
        );
        return breach(GROUP, "BACK-9", message);
    }
    Ok(())
}

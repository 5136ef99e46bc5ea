//! The choice of one server of a cluster (BACK-1): pure, one pass or two, no allocation.
//!
//! Who may be chosen is decided before: a caller leaves [`ServerLoad::eligible`] out for servers
//! that are drained or down, that this request has tried already, and for backup servers as long
//! as another can be used.

mod source;

use crate::config::Balance;
use crate::rng::Draw;
use std::net::IpAddr;

pub use source::{by_source, server_key};

/// What balancing knows of one server. The caller keeps one for each server of a cluster.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct ServerLoad {
    /// Its share, 1 to 256. A weight of 0 is never chosen.
    pub weight: u32,
    /// Requests in flight to it.
    pub active: u32,
    /// The running value of smooth round-robin. Starts at 0 and is written by [`choose`] alone.
    pub current: i64,
    /// What stands for it in `source` balancing: its [`server_key`].
    pub key: u64,
    /// Whether it may be chosen this time.
    pub eligible: bool,
}

impl ServerLoad {
    fn is_open(&self) -> bool {
        self.eligible && self.weight > 0
    }

    /// Compares requests in flight for the weight, exactly: a/w < b/v iff a*v < b*w.
    fn load_cmp(&self, other: &ServerLoad) -> std::cmp::Ordering {
        let mine = u64::from(self.active) * u64::from(other.weight);
        mine.cmp(&(u64::from(other.active) * u64::from(self.weight)))
    }
}

/// The index of the server to use, or `None` when none is eligible.
///
/// - `round-robin`: smooth and weighted; among the same servers none gets a whole turn more than
///   its share, and equal ones stay within one of each other.
/// - `random`: each with the probability of its weight.
/// - `least-connections`: the least load for its weight; equals take turns by smooth round-robin.
/// - `power-of-two`: two different servers drawn by weight, of which the less loaded is taken, the
///   first drawn when equal.
/// - `source`: the server of `client`, see [`by_source`]; no other policy looks at `client`.
pub fn choose(
    policy: Balance,
    client: Option<IpAddr>,
    servers: &mut [ServerLoad],
    rng: &mut impl Draw,
) -> Option<usize> {
    match policy {
        Balance::RoundRobin => take_turns(servers, |_| true),
        Balance::Random => draw(servers, None, rng),
        Balance::LeastConnections => {
            let open = servers.iter().filter(|server| server.is_open());
            let least = *open.min_by(|a, b| a.load_cmp(b))?;
            take_turns(servers, |server| server.load_cmp(&least).is_eq())
        }
        Balance::PowerOfTwo => {
            let first = draw(servers, None, rng)?;
            let Some(second) = draw(servers, Some(first), rng) else { return Some(first) };
            let second_is_better = servers[second].load_cmp(&servers[first]).is_lt();
            Some(if second_is_better { second } else { first })
        }
        Balance::Source => by_source(client, servers),
    }
}

/// Smooth weighted round-robin: everyone gains its weight, the richest pays for all.
fn take_turns(servers: &mut [ServerLoad], among: impl Fn(&ServerLoad) -> bool) -> Option<usize> {
    let mut total = 0;
    let mut richest: Option<(usize, i64)> = None;
    for (index, server) in servers.iter_mut().enumerate() {
        if !server.is_open() || !among(server) {
            continue;
        }
        server.current += i64::from(server.weight);
        total += i64::from(server.weight);
        if richest.is_none_or(|(_, most)| server.current > most) {
            richest = Some((index, server.current));
        }
    }
    let (index, _) = richest?;
    servers[index].current -= total;
    Some(index)
}

/// Draws an eligible server other than `except`, by weight.
fn draw(servers: &[ServerLoad], except: Option<usize>, rng: &mut impl Draw) -> Option<usize> {
    let open = || {
        let all = servers.iter().enumerate();
        all.filter(move |(index, server)| server.is_open() && Some(*index) != except)
    };
    let total: u64 = open().map(|(_, server)| u64::from(server.weight)).sum();
    if total == 0 {
        return None;
    }
    let mut point = rng.below(total);
    for (index, server) in open() {
        match point.checked_sub(u64::from(server.weight)) {
            Some(rest) => point = rest,
            None => return Some(index),
        }
    }
    None
}

#[cfg(test)]
mod tests;

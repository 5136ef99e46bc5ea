//! Group *limits*: connections of one client address, connections to one server and the line in
//! front of it (ACC-9, BACK-9).

use super::ledger::Front;
use super::{Oracle, Verdict, breach};
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

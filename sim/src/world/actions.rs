//! What was done to the proxy in one run, counted: the size of a case.

use crate::choice::Draw;
use std::fmt;

/// Actions of one run, by kind.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Actions {
    /// Connections that clients began.
    pub connections: u64,
    /// Requests that clients began.
    pub requests: u64,
    /// Faults that fired, of peers and of the kernel; known only if draws were recorded.
    pub faults: u64,
    /// Episodes that began.
    pub episodes: u64,
    /// Changes of the configuration.
    pub operations: u64,
}

impl Actions {
    /// All of them.
    pub fn total(&self) -> u64 {
        let Actions { connections, requests, faults, episodes, operations } = self;
        connections + requests + faults + episodes + operations
    }
}

impl fmt::Display for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Actions { connections, requests, faults, episodes, operations } = self;
        write!(f, "{} actions ({connections} connections, {requests} requests, ", self.total())?;
        write!(f, "{faults} faults, {episodes} episodes, {operations} operations)")
    }
}

/// Sites that draw by a rate what is no fault, but one good way among others.
const WAYS: [&str; 18] = [
    "scenario/",
    "wires/",
    "protocols/",
    "config/",
    "tls/family",
    "tls/listener",
    "tls/cluster",
    "ask/",
    "plan/until close",
    "plan/interim",
    "plan/1.0",
    "plan/close",
    "plan/hops",
    "plan/leaves",
    "passage",
    "swarm/",
    "tls/tunnels",
    "backend/races",
];

/// Whether `draw` made a fault fire.
pub fn is_fault(draw: &Draw) -> bool {
    draw.hit == Some(true) && !WAYS.iter().any(|way| draw.site.starts_with(way))
}

pub(super) fn faults(draws: &[Draw]) -> u64 {
    draws.iter().filter(|draw| is_fault(draw)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    // A coin that chooses between good ways is none of the actions of a case; what strikes is.
    #[test]
    fn coins_of_good_ways_are_no_faults() {
        let draw = |site, hit| Draw {
            site,
            entity: 0,
            count: 0,
            n: 65_536,
            value: 65_535,
            hit: Some(hit),
        };
        let ways = [
            "passage",
            "passage/other",
            "swarm/buggify",
            "swarm/faultless",
            "tls/tunnels",
            "backend/races",
            "plan/leaves",
        ];
        assert_eq!(faults(&ways.map(|site| draw(site, true))), 0);
        let strikes =
            [draw("fault/clog", true), draw("fault/abort", true), draw("tls/naked", true)];
        assert_eq!(faults(&strikes), 3);
        assert_eq!(faults(&strikes.map(|it| Draw { hit: Some(false), ..it })), 0);
    }
}

//! The oracle: a ledger apart from the product, and one checker file for each group of rules.
//!
//! It watches the system calls that the driver makes, knows from the simulated kernel which bytes
//! reached whom, knows from the actors what was meant, and never asks the product.

pub mod accept;
pub mod accounting;
pub mod answers;
mod attempts;
pub mod audit;
mod back;
pub mod balance;
pub mod busy;
pub mod bytes;
pub mod counters;
pub mod dials;
pub mod falls;
pub mod framing;
mod front;
mod groups;
pub mod handshakes;
pub mod headers;
pub mod ledger;
pub mod limits;
pub mod liveness;
pub mod matching;
pub mod metamorphic;
pub mod own;
pub mod panics;
pub mod passage;
pub mod progress;
pub mod proxy;
pub mod reconfiguration;
mod records;
mod refdate;
pub mod retry;
pub mod reuse;
pub mod routes;
pub mod sticky;
#[cfg(test)]
mod tests;
pub mod timers;
pub mod tls;
pub mod truth;
mod tunnel_ends;
pub mod tunnels;

pub use groups::{GROUPS, Group};

use crate::kernel::{Ep, Net, client_address};
use ledger::{Ask, Back, Front, Row};
use std::collections::BTreeSet;
use tidegate_core::config::Settings;
use tidegate_core::tls::TlsFailure;
use truth::Truth;
use tunnels::Tunnel;

/// A rule that was broken, before it is known when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Breach {
    /// The name of the checker's group.
    pub group: &'static str,
    /// The rule's number.
    pub rule: &'static str,
    /// What was seen.
    pub message: String,
}

/// What a checker says.
pub type Verdict<T = ()> = Result<T, Breach>;

/// A broken rule: one of those that the table lists for `group`.
pub fn breach<T>(group: Group, rule: &'static str, message: String) -> Verdict<T> {
    Err(Breach { group: group.name(), rule, message })
}

/// The first broken rule of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// What was broken.
    pub breach: Breach,
    /// Number of the event.
    pub event: u64,
    /// Virtual nanoseconds.
    pub at: u64,
}

/// Which connection an endpoint belongs to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Side {
    /// A client's, by index.
    Front(u32),
    /// A backend's, by index.
    Back(u32),
}

/// The ledger and everything that judges it.
pub struct Oracle {
    /// Every request, by number.
    pub rows: Vec<Row>,
    /// Every connection of a client, in the order they were begun.
    pub fronts: Vec<Front>,
    /// Every connection to a backend, in the order they were begun.
    pub backs: Vec<Back>,
    /// Every attempt to connect to a server.
    pub dials: dials::Dials,
    /// Every tunnel, in the order in which its client was met or its upgrade seen.
    pub tunnels: Vec<Tunnel>,
    /// Those that are not over.
    pub(crate) live_tunnels: Vec<u32>,
    /// What was configured, and which faults were on, when.
    pub truth: Truth,
    /// The worker's settings.
    pub settings: Settings,
    /// The first broken rule.
    pub violation: Option<Violation>,
    /// Of the turn that is running.
    pub turn: progress::Turn,
    /// Sockets accepted and not yet served, oldest first.
    pub waiting: Vec<u32>,
    /// When accepting last met a shortage of descriptors.
    pub short_at: Option<u64>,
    /// Client connections served and not closed.
    pub serving: usize,
    /// Request ids seen.
    pub(crate) request_ids: BTreeSet<u128>,
    /// Whether a session had to wait for buffers, which excuses much.
    pub has_waited: bool,
    /// Idle connections that the proxy counted as closed to make room, at the last turn's end.
    pub(crate) evicted: u64,
    /// Final responses that reached a client whole.
    pub completed: u64,
    /// Access records seen.
    pub records: u64,
    /// Handshakes that the proxy told of as failed, in the order of [`TlsFailure::ALL`].
    pub handshakes_failed: [u64; TlsFailure::ALL.len()],
    /// Whether final heads are kept, to be compared with those of another run.
    pub keeps_heads: bool,
    sides: Vec<Side>,
    now: u64,
    event: u64,
}

impl Oracle {
    /// An empty ledger for a worker with `settings`.
    pub fn new(settings: Settings, truth: Truth) -> Oracle {
        Oracle {
            rows: Vec::new(),
            fronts: Vec::new(),
            backs: Vec::new(),
            dials: dials::Dials::default(),
            tunnels: Vec::new(),
            live_tunnels: Vec::new(),
            truth,
            settings,
            violation: None,
            turn: progress::Turn::default(),
            waiting: Vec::new(),
            short_at: None,
            serving: 0,
            request_ids: BTreeSet::new(),
            has_waited: false,
            evicted: 0,
            completed: 0,
            records: 0,
            handshakes_failed: [0; TlsFailure::ALL.len()],
            keeps_heads: false,
            sides: Vec::new(),
            now: 0,
            event: 0,
        }
    }

    /// A new event begins.
    pub fn clock(&mut self, now: u64, event: u64) {
        self.now = now;
        self.event = event;
    }

    /// Keeps the first broken rule.
    pub fn judge(&mut self, verdict: Verdict) {
        if let Err(breach) = verdict
            && self.violation.is_none()
        {
            self.violation = Some(Violation { breach, event: self.event, at: self.now });
        }
    }

    /// A client begins to connect; `active` is its end.
    pub fn front_begun(&mut self, client: u32, active: Ep) -> u32 {
        let front = self.fronts.len() as u32;
        let mut begun = Front::new(client, active ^ 1);
        begun.address = client_address(client, front);
        begun.begun_at = self.now;
        self.fronts.push(begun);
        self.set_side(active, Side::Front(front));
        front
    }

    /// The proxy begins to connect to `server`; `active` is its end.
    pub fn back_begun(&mut self, server: u16, active: Ep) -> u32 {
        let back = self.backs.len() as u32;
        let nature = self.truth.nature(server);
        let mut begun = Back::new(server, active, self.now);
        begun.dial = self.dials.last();
        begun.is_tcp = nature.is_tcp;
        begun.preface = proxy::Preface::expected(nature.send_proxy);
        self.backs.push(begun);
        self.set_side(active, Side::Back(back));
        back
    }

    fn set_side(&mut self, ep: Ep, side: Side) {
        debug_assert_eq!(self.sides.len(), ep as usize / 2);
        self.sides.push(side);
    }

    /// Which connection `ep` belongs to.
    pub fn side(&self, ep: Ep) -> Side {
        self.sides[ep as usize / 2]
    }

    /// A client begins a request on `front`, at `start` in its stream; its number.
    pub fn row_begun(&mut self, front: u32, start: u64, ask: impl FnOnce(u32) -> Ask) -> u32 {
        let id = self.rows.len() as u32;
        self.rows.push(Row::new(ask(id), front, start));
        self.fronts[front as usize].rows.push(id);
        id
    }

    /// The client of `front` finished writing, or, with `is_gone`, left of its own accord: nothing
    /// more is owed to those of its requests that are not complete. A client that leaves because
    /// it saw the proxy leave is still owed what it was owed.
    pub fn client_left(&mut self, front: u32, is_gone: bool) {
        let now = self.now;
        let front = &mut self.fronts[front as usize];
        front.left_at.get_or_insert(now);
        for &row in &front.rows[front.answered.saturating_sub(1)..] {
            let row = &mut self.rows[row as usize];
            if is_gone || row.end.is_none() {
                row.gave_up_at.get_or_insert(now);
            }
        }
    }

    /// The row that the next response on `front` must answer.
    pub fn head_of_line(&self, front: u32) -> Option<&Row> {
        let front = &self.fronts[front as usize];
        front.rows.get(front.answered).map(|&id| &self.rows[id as usize])
    }

    /// The proxy was told that a socket is ready.
    pub fn told(&mut self, net: &Net, ep: Ep, mask: tidegate_core::input::Readiness) {
        self.turn.told(ep, mask);
        if let Side::Front(front) = self.side(ep)
            && mask.readable
            && net.ep(ep).unread() > 0
        {
            let now = self.now;
            self.fronts[front as usize].knocks_since.get_or_insert(now);
        }
        if let Side::Back(back) = self.side(ep)
            && ep & 1 == 0
        {
            self.back_seen(net, back, false);
            self.backs[back as usize].has_shown_end |= mask.read_closed || mask.error;
            // Readiness may be spurious: what counts is what there was to see.
            reuse::told(self, net, back, net.mask(ep));
        }
    }
}

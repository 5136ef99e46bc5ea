//! What is noted while a rehearsal goes on.

use super::targets::Expect;
use crate::kernel::Ep;
use std::collections::BTreeSet;

/// What became of a request, as its user sees it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    /// Nothing yet.
    Waits,
    /// A whole answer with this status; [`super::targets::ECHOED`] of a TCP session.
    Answered(u16),
    /// The connection ended before the answer did.
    Cut,
    /// No connection was made.
    Refused,
    /// The user's patience was over first.
    GivenUp,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// When its user wanted it, in nanoseconds since the start.
    pub(super) at: u64,
    pub(super) client: u32,
    /// Where among the targets of its version: version, group, member.
    pub(super) target: (u16, u32, u16),
    pub(super) method: &'static str,
    pub(super) expect: Expect,
    pub(super) fate: Fate,
    /// When that was, in nanoseconds since the start.
    pub(super) end: u64,
    /// Connections to servers that were tried for it, as the access log says.
    pub(super) attempts: u8,
    /// A kept-alive connection broke under it, and the client asked again on its own.
    pub(super) resent: bool,
}

impl Request {
    /// Whether its user got what the configuration promises.
    pub(super) fn succeeded(&self) -> bool {
        self.fate == Fate::Answered(self.expect.status)
    }
}

/// How a connection to a server was lost.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Loss {
    /// Nobody listened.
    Refused,
    /// It was not established in time.
    TimedOut,
    /// It broke, idle or not.
    Broken,
}

/// Of one server.
#[derive(Clone, Debug, Default)]
pub(super) struct ServerMeter {
    /// Connections that were tried.
    pub(super) connects: u64,
    pub(super) refused: u64,
    pub(super) timed_out: u64,
    pub(super) broken: u64,
    /// Connections now, and at most.
    pub(super) open: u64,
    pub(super) open_peak: u64,
    /// When each request came to it whole.
    pub(super) began: Vec<u64>,
    /// Answers that were written.
    pub(super) answered: u64,
    /// Requests that were lost with it.
    pub(super) lost: u64,
    /// Requests in it now, and at most.
    pub(super) busy: u64,
    pub(super) busy_peak: u64,
    /// Since when the proxy has it down, if it has.
    pub(super) down_since: Option<u64>,
    /// From when to when the proxy had it down.
    pub(super) down: Vec<(u64, u64)>,
}

/// What is live at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    /// In nanoseconds since the start.
    pub(super) at: u64,
    pub(super) sessions: u32,
    pub(super) clients: u32,
    pub(super) to_servers: u32,
    pub(super) idle: u32,
    pub(super) accept_queue: u32,
    pub(super) waiting: u32,
    /// Requests in each server.
    pub(super) busy: Vec<u32>,
}

/// Everything that is noted.
#[derive(Default)]
pub(super) struct Meter {
    pub(super) requests: Vec<Request>,
    pub(super) servers: Vec<ServerMeter>,
    pub(super) samples: Vec<Sample>,
    /// What must never be, in words; the first few.
    pub(super) defects: Vec<String>,
    pub(super) client_connects: u64,
    pub(super) client_open: u64,
    pub(super) client_open_peak: u64,
    lost: BTreeSet<Ep>,
}

/// Defects that are told of.
const DEFECTS_MAX: usize = 10;

impl Meter {
    pub(super) fn new(servers: usize) -> Meter {
        Meter { servers: vec![ServerMeter::default(); servers], ..Meter::default() }
    }

    /// Something that must never be.
    pub(super) fn defect(&mut self, what: String) {
        if self.defects.len() < DEFECTS_MAX {
            self.defects.push(what);
        }
    }

    /// The proxy connects to a server.
    pub(super) fn connecting(&mut self, server: usize) {
        let server = &mut self.servers[server];
        server.connects += 1;
        server.open += 1;
        server.open_peak = server.open_peak.max(server.open);
    }

    /// The proxy loses its connection `ep` to a server; counted once.
    pub(super) fn lost(&mut self, server: usize, ep: Ep, loss: Loss) {
        if !self.lost.insert(ep) {
            return;
        }
        let server = &mut self.servers[server];
        match loss {
            Loss::Refused => server.refused += 1,
            Loss::TimedOut => server.timed_out += 1,
            Loss::Broken => server.broken += 1,
        }
    }

    /// The proxy has closed its connection `ep` to a server.
    pub(super) fn closed(&mut self, server: usize, ep: Ep) {
        self.servers[server].open -= 1;
        self.lost.remove(&ep);
    }

    /// A request is whole in a server.
    pub(super) fn came(&mut self, server: usize, at: u64) {
        let server = &mut self.servers[server];
        server.began.push(at);
        server.busy += 1;
        server.busy_peak = server.busy_peak.max(server.busy);
    }

    /// A request has left a server, with its answer or without.
    pub(super) fn went(&mut self, server: usize, answered: bool) {
        let server = &mut self.servers[server];
        server.busy -= 1;
        if answered {
            server.answered += 1;
        } else {
            server.lost += 1;
        }
    }

    /// The proxy marks a server down, or up again.
    pub(super) fn marked(&mut self, server: usize, at: u64, is_down: bool) {
        let server = &mut self.servers[server];
        match (server.down_since, is_down) {
            (None, true) => server.down_since = Some(at),
            (Some(since), false) => {
                server.down_since = None;
                server.down.push((since, at));
            }
            _ => {}
        }
    }
}

//! The story of a run: everything that happened as typed facts, and what caused what.
//!
//! It is kept only when somebody asks for it (`replay --trace`, `--html`, `--pcap`, `explain`), and
//! costs one branch where it is not. The readable trace, the timeline, the capture and the
//! explanation are all made of it.

mod about;
mod chain;
mod ledger;
mod plain;
mod words;

pub use about::{about, requests_of};
pub use chain::{Step, chain};
pub use ledger::{Conn, Ledger, Request};
pub use words::{clock, event_words, fact_words};

use crate::cx::{Ev, Flight};
use crate::kernel::Ep;
use tidegate_core::effect::Close;
use tidegate_core::id::SocketId;
use tidegate_core::input::{Readiness, SocketError};

/// Stands for "before the first event".
pub const START: u32 = u32::MAX;

/// Who said something.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Who {
    /// The world as a whole.
    World,
    /// The proxy.
    Proxy,
    /// A client, by index.
    Client(u32),
    /// A client, about a request of its.
    Asks(u32, u32),
    /// A server, by index.
    Server(u32),
    /// A server, about a connection to it.
    Back(u32),
    /// A server, about a connection to it and the request there.
    Answers(u32, u32),
    /// An episode, by index.
    Episode(u32),
    /// The operator.
    Operator,
}

/// A system call of the proxy on one connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// Took this connection of this client out of a backlog.
    Accept(u32, u32),
    /// Began to connect: the connection, and the server.
    Connect(u32, u16),
    /// Read.
    Recv(Result<usize, SocketError>),
    /// Wrote, of so many bytes offered.
    Send(usize, Result<usize, SocketError>),
    /// Asked whether it stands.
    Probe(Result<(), SocketError>),
    /// Finished writing.
    Shutdown,
    /// Closed it.
    Close(Close),
    /// Asked the kernel to keep it alive.
    KeepAlive,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// Something arrived at an end.
    Wire {
        /// The end.
        to: Ep,
        /// What.
        flight: Flight,
        /// The bytes of the stream that came with it, if somebody wants them.
        bytes: Vec<u8>,
    },
    /// Something waits before a clogged link.
    Held(Ep, Flight),
    /// The proxy was told that one of its sockets is ready; `None` for a listener.
    Ready(SocketId, Option<Ep>, Readiness),
    /// The proxy made a system call.
    Called(SocketId, Ep, Call),
    /// Somebody did something, in words.
    Said(Who, String),
}

/// One event of the heap that happened.
#[derive(Copy, Clone, Debug)]
pub struct Event {
    /// Virtual nanoseconds.
    pub at: u64,
    /// What was due.
    pub ev: Ev,
    /// The event that made it due, or [`START`].
    pub cause: u32,
    /// Index of its first fact.
    pub first: usize,
}

/// Everything that happened in one run.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// Every event, by number.
    pub events: Vec<Event>,
    /// Every fact, in order: the number of its event (or [`START`]), and the fact.
    pub facts: Vec<(u32, Fact)>,
    /// What the oracle knew at the end.
    pub ledger: Ledger,
    /// Whether facts of the wire keep their bytes.
    pub keeps_bytes: bool,
}

impl Story {
    /// Event `ev` happens now, because of event `cause`.
    pub fn begin(&mut self, at: u64, ev: Ev, cause: u32) {
        self.events.push(Event { at, ev, cause, first: self.facts.len() });
    }

    /// The event that has begun was too late to matter, and did nothing.
    pub fn retract(&mut self) {
        let gone = self.events.pop();
        debug_assert!(gone.is_some_and(|event| event.first == self.facts.len()));
    }

    /// `fact` belongs to the event that happens now.
    pub fn tell(&mut self, fact: Fact) {
        let event = self.events.len().checked_sub(1).map_or(START, |last| last as u32);
        self.facts.push((event, fact));
    }

    /// The facts of event `n`.
    pub fn facts_of(&self, n: u32) -> &[(u32, Fact)] {
        let from = self.events.get(n as usize).map_or(0, |event| event.first);
        let to = self.events.get(n as usize + 1).map_or(self.facts.len(), |event| event.first);
        &self.facts[from..to]
    }

    /// The latest event before `before` in which something arrived at `ep` that the proxy is told
    /// of by readiness: at the end itself, or, for room to write, at the other one.
    pub fn woke(&self, ep: Ep, mask: Readiness, before: u32) -> Option<u32> {
        let is_it = |fact: &Fact| match *fact {
            Fact::Wire { to, flight, .. } if to == ep => {
                mask.readable || mask.error || mask.read_closed || flight == Flight::SynAck
            }
            Fact::Wire { to, flight: Flight::Data(_), .. } if to == ep ^ 1 => {
                mask.writable && !mask.readable
            }
            _ => false,
        };
        let to = self.events.get(before as usize).map_or(self.facts.len(), |event| event.first);
        let found = self.facts[..to].iter().rev().find(|(_, fact)| is_it(fact));
        found.map(|&(event, _)| event).filter(|&event| event != START)
    }
}

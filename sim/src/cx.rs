//! What every part of a running simulation shares: time, events to come, choices, trace, marks.

use crate::choice::{Choices, Rate, Site};
use crate::heap::Heap;
use crate::marks::{Group, Mark, Marks};
use crate::trace::Trace;

/// A microsecond in nanoseconds.
pub const US: u64 = 1_000;
/// A millisecond in nanoseconds.
pub const MS: u64 = 1_000_000;
/// A second in nanoseconds.
pub const SEC: u64 = 1_000_000_000;

/// What travels on the wire.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Flight {
    /// A connection request, to whoever listens.
    Syn,
    /// The connection is established on the far side.
    SynAck,
    /// The next bytes of the stream, this many.
    Data(u32),
    /// No more bytes will come.
    Fin,
    /// The connection is gone.
    Rst,
    /// Nobody listens there.
    Refused,
}

/// Everything that can happen.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Ev {
    /// A segment arrives at this endpoint.
    Flight(u32, Flight),
    /// The proxy wakes: readiness, or a deadline.
    Turn,
    /// Client number `.0` acts; `.1` tells late wake-ups from current ones.
    Client(u32, u32),
    /// Backend connection `.0` acts; `.1` tells late wake-ups from current ones.
    BackConn(u32, u32),
    /// Backend server `.0` accepts what waits.
    BackAccept(u32),
    /// Episode `.0` begins (true) or ends.
    Episode(u32, bool),
    /// The configuration controller acts.
    Control,
    /// The next phase begins.
    Phase,
}

/// Shared by every part of one run.
pub struct Cx {
    /// Virtual nanoseconds.
    pub now: u64,
    /// Events to come.
    pub heap: Heap<Ev>,
    /// The source of every draw.
    pub choices: Choices,
    /// The rolling hash, and the readable trace if one is wanted.
    pub trace: Trace,
    /// Rare states reached.
    pub marks: Marks,
}

impl Cx {
    /// The start of the run of `seed`.
    pub fn new(seed: u64, choices: Choices) -> Cx {
        Cx {
            now: SEC,
            heap: Heap::new(seed),
            choices,
            trace: Trace::default(),
            marks: Marks::default(),
        }
    }

    /// Schedules `event` after `delay` nanoseconds; `entity` keys its tie.
    pub fn after(&mut self, delay: u64, entity: u64, event: Ev) {
        self.heap.push(self.now + delay, entity, event);
    }

    /// See [`Choices::chance`].
    #[inline]
    pub fn chance(&mut self, site: Site, entity: u64, rate: Rate) -> bool {
        self.choices.chance(site, entity, rate)
    }

    /// See [`Choices::choose`].
    #[inline]
    pub fn choose(&mut self, site: Site, entity: u64, n: u64) -> u64 {
        self.choices.choose(site, entity, n)
    }

    /// Counts that a rare state was reached.
    #[inline]
    pub fn mark(&mut self, mark: Mark) {
        self.marks.hit(mark);
    }

    /// Counts the answer number `error` of those that `group` lists, if there was one.
    #[inline]
    pub fn mark_failure(&mut self, group: Group, error: Option<usize>) {
        if let Some(error) = error {
            self.marks.hit(group.at(error));
        }
    }
}

//! The accept queue: sockets that were accepted and wait for a session (ACC-2 to ACC-6).

use crate::id::SocketId;
use crate::time::Time;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

/// Connections accepted from one listener in one turn at most (ACC-1).
pub const ACCEPT_BUDGET: usize = 256;
/// How long accepting pauses when the machine is short of resources (ACC-8).
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One waiting socket.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The socket.
    pub socket: SocketId,
    /// The listener it came by.
    pub listener: crate::listen::ListenId,
    /// The client, absent on Unix sockets.
    pub peer: Option<SocketAddr>,
    /// The address that it connected to, where that was asked for.
    pub local: Option<SocketAddr>,
    /// When it was accepted.
    pub since: Time,
}

/// Waiting sockets in order of arrival: the newest leaves first, the oldest ages out.
#[derive(Debug)]
pub struct AcceptQueue {
    waiting: VecDeque<Waiting>,
    capacity: usize,
    max_wait: Duration,
}

impl AcceptQueue {
    /// An empty queue for `capacity` sockets, each of which waits `max_wait` at most.
    pub fn new(capacity: usize, max_wait: Duration) -> AcceptQueue {
        AcceptQueue { waiting: VecDeque::with_capacity(capacity), capacity, max_wait }
    }

    /// How many sockets wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the queue holds all it can (ACC-6).
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= self.capacity
    }

    /// Adds the newest socket.
    pub fn push(&mut self, waiting: Waiting) {
        assert!(!self.is_full(), "a full queue is asked first");
        self.waiting.push_back(waiting);
    }

    /// Takes the newest socket (ACC-3).
    pub fn take_newest(&mut self) -> Option<Waiting> {
        self.waiting.pop_back()
    }

    /// Takes the oldest socket if it has waited too long at `now` (ACC-4).
    pub fn take_aged(&mut self, now: Time) -> Option<Waiting> {
        let oldest = self.waiting.front()?;
        if self.due(oldest) <= now { self.waiting.pop_front() } else { None }
    }

    /// When the oldest socket will have waited too long.
    pub fn next_deadline(&self) -> Option<Time> {
        self.waiting.front().map(|oldest| self.due(oldest))
    }

    fn due(&self, waiting: &Waiting) -> Time {
        waiting.since.deadline(self.max_wait)
    }

    /// All waiting sockets, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.waiting.iter()
    }
}

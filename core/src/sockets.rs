//! Every socket the proxy knows, its owner, its interest and its remembered readiness (LOOP-1).
//!
//! Interest is set by sessions, readiness is reported by drivers, and whenever both meet the
//! socket is queued: so "bytes pending and no wake-up owed" cannot be written.

use crate::backend::BackId;
use crate::id::{Slots, SocketId, SocketTag};
use crate::input::Readiness;
use crate::listen::ListenId;
use crate::session::SessionId;
use crate::tls::Tls;
use crate::transport::Transport;
use std::collections::VecDeque;

/// What a socket's owner would do, or what the kernel lets it do, as a set of bits.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Ops(u8);

impl Ops {
    pub(crate) const NONE: Ops = Ops(0);
    /// Read; on a listener: accept.
    pub(crate) const READ: Ops = Ops(1);
    /// Write.
    pub(crate) const WRITE: Ops = Ops(2);
    /// Go on with input that is here already: always possible.
    pub(crate) const RESUME: Ops = Ops(4);

    pub(crate) fn with(self, other: Ops, on: bool) -> Ops {
        if on { Ops(self.0 | other.0) } else { self }
    }

    fn without(self, other: Ops) -> Ops {
        Ops(self.0 & !other.0)
    }

    pub(crate) fn has(self, other: Ops) -> bool {
        self.0 & other.0 != 0
    }

    fn and(self, other: Ops) -> Ops {
        Ops(self.0 & other.0)
    }
}

/// To whom a socket belongs.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// A listen session (LOOP-3).
    Listener(ListenId),
    /// Waits in the accept queue.
    Queued,
    /// A session's client.
    Front(SessionId),
    /// A connection to a server.
    Back(BackId),
    /// Nobody: to be closed, and stale as soon as the driver has taken the order.
    Closing,
}

/// One socket.
pub(crate) struct Socket {
    pub(crate) owner: Owner,
    /// What lies between it and its owner's bytes, if anything.
    pub(crate) transport: Option<Box<Transport>>,
    interest: Ops,
    ready: Ops,
    queued: Ops,
    /// The peer has finished writing.
    pub(crate) read_closed: bool,
    /// A reset was seen, by whichever call or event told of it first: on Linux a failed `send`
    /// eats the error, and the next `recv` reports a clean end.
    pub(crate) reset: bool,
}

impl Socket {
    /// Whether a step is owed to it.
    pub(crate) fn is_queued(&self) -> bool {
        self.queued != Ops::NONE
    }

    /// Whether the peer has said nothing that is not yet read: neither bytes nor an end.
    pub(crate) fn is_silent(&self) -> bool {
        !self.is_ready(Ops::READ) && !self.read_closed && !self.reset
    }

    pub(crate) fn is_ready(&self, op: Ops) -> bool {
        self.ready().has(op)
    }

    /// Whether its owner would do `op`.
    pub(crate) fn wants(&self, op: Ops) -> bool {
        self.interest.has(op)
    }

    /// Its TLS, if it has any.
    pub(crate) fn tls(&self) -> Option<&Tls> {
        self.transport.as_ref()?.tls.as_ref()
    }

    /// Its TLS, if it has any.
    pub(crate) fn tls_mut(&mut self) -> Option<&mut Tls> {
        self.transport.as_mut()?.tls.as_mut()
    }

    /// Whether its transport has bytes of its own to send.
    pub(crate) fn owes(&self) -> bool {
        self.transport.as_ref().is_some_and(|transport| transport.owes())
    }

    /// What the kernel lets it do, or its transport: that has input of which no edge will tell.
    fn ready(&self) -> Ops {
        let holds = self.transport.as_ref().is_some_and(|transport| transport.has_input());
        self.ready.with(Ops::READ, holds)
    }

    /// What can be done now: what is wanted, and what its transport wants on its own.
    fn can(&self) -> Ops {
        self.interest.with(Ops::WRITE, self.owes()).and(self.ready())
    }
}

/// One thing to do with one socket.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Send(SocketId),
    Receive(SocketId),
    /// Input is here already, in its transport.
    Deliver(SocketId),
    Accept(SocketId),
    Resume(SocketId),
}

/// The sockets, and the queues of those that can make progress.
pub(crate) struct Sockets {
    slots: Slots<Socket, SocketTag>,
    /// Sockets with output that the kernel may take: served before anything else, so that bytes
    /// leave in the turn in which they came.
    sends: VecDeque<SocketId>,
    /// The ready list: everything else, first come first served (LOOP-5).
    steps: VecDeque<SocketId>,
}

impl Sockets {
    pub(crate) fn with_capacity(capacity: usize) -> Sockets {
        Sockets {
            slots: Slots::with_capacity(capacity),
            sends: VecDeque::with_capacity(capacity.min(4096)),
            steps: VecDeque::with_capacity(capacity.min(4096)),
        }
    }

    pub(crate) fn next_id(&self) -> SocketId {
        self.slots.next_id()
    }

    /// A new socket, under `transport` if there is any. It is taken for writable, and for readable
    /// if `readable`, until the kernel says otherwise.
    pub(crate) fn insert(
        &mut self,
        owner: Owner,
        readable: bool,
        transport: Option<Box<Transport>>,
    ) -> SocketId {
        let ready = Ops::WRITE.with(Ops::RESUME, true).with(Ops::READ, readable);
        self.slots.insert(Socket {
            owner,
            transport,
            interest: Ops::NONE,
            ready,
            queued: Ops::NONE,
            read_closed: false,
            reset: false,
        })
    }

    /// Frees the slot: the driver has been told to close.
    pub(crate) fn remove(&mut self, id: SocketId) {
        self.slots.remove(id);
    }

    #[inline]
    pub(crate) fn get(&self, id: SocketId) -> Option<&Socket> {
        self.slots.get(id)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.slots.get_mut(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (SocketId, &Socket)> {
        self.slots.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Sets what the owner wants to do from here on.
    #[inline]
    pub(crate) fn want(&mut self, id: SocketId, interest: Ops) {
        if let Some(socket) = self.slots.get_mut(id) {
            socket.interest = interest;
            if interest != Ops::NONE || socket.transport.is_some() {
                self.queue(id);
            }
        }
    }

    /// Remembers what the kernel said.
    pub(crate) fn note(&mut self, id: SocketId, said: Readiness) {
        if let Some(socket) = self.slots.get_mut(id) {
            socket.read_closed |= said.read_closed;
            socket.reset |= said.error;
            let readable = said.readable || said.read_closed || said.error;
            socket.ready = socket
                .ready
                .with(Ops::READ, readable)
                .with(Ops::WRITE, said.writable || said.error);
            self.queue(id);
        }
    }

    /// Forces a read attempt, as if the kernel had reported the socket readable.
    pub(crate) fn assume_readable(&mut self, id: SocketId) {
        self.note(id, Readiness { readable: true, ..Readiness::default() });
    }

    /// The kernel would block: the operation waits for the next edge.
    pub(crate) fn exhausted(&mut self, id: SocketId, op: Ops) {
        if let Some(socket) = self.slots.get_mut(id) {
            socket.ready = socket.ready.without(op);
        }
    }

    /// A read gave less than it could: nothing more is there, unless the end is (and on an end
    /// or a reset that was announced, no further edge comes).
    pub(crate) fn short_read(&mut self, id: SocketId) {
        if let Some(socket) = self.slots.get_mut(id)
            && !socket.read_closed
            && !socket.reset
        {
            socket.ready = socket.ready.without(Ops::READ);
        }
    }

    #[inline]
    fn queue(&mut self, id: SocketId) {
        let socket = &mut self.slots[id];
        let can = socket.can();
        if can.has(Ops::WRITE) && !socket.queued.has(Ops::WRITE) {
            socket.queued = socket.queued.with(Ops::WRITE, true);
            self.sends.push_back(id);
        }
        let others = can.without(Ops::WRITE);
        if others != Ops::NONE && !socket.queued.has(Ops::READ) {
            socket.queued = socket.queued.with(Ops::READ, true);
            self.steps.push_back(id);
        }
    }

    /// The next socket that can make progress, taken off its queue.
    pub(crate) fn next_step(&mut self) -> Option<Step> {
        while let Some(id) = self.sends.pop_front() {
            let Some(socket) = self.slots.get_mut(id) else { continue };
            socket.queued = socket.queued.without(Ops::WRITE);
            if socket.can().has(Ops::WRITE) {
                return Some(Step::Send(id));
            }
        }
        while let Some(id) = self.steps.pop_front() {
            let Some(socket) = self.slots.get_mut(id) else { continue };
            socket.queued = socket.queued.without(Ops::READ);
            let can = socket.can();
            if can.has(Ops::RESUME) {
                return Some(Step::Resume(id));
            }
            if can.has(Ops::READ) {
                return Some(match &socket.transport {
                    Some(transport) if transport.has_input() => Step::Deliver(id),
                    _ if matches!(socket.owner, Owner::Listener(_)) => Step::Accept(id),
                    _ => Step::Receive(id),
                });
            }
        }
        None
    }

    /// Queues the socket again if it can still make progress.
    pub(crate) fn requeue(&mut self, id: SocketId) {
        if self.slots.get(id).is_some() {
            self.queue(id);
        }
    }

    /// Whether a socket is queued.
    pub(crate) fn has_steps(&self) -> bool {
        !self.sends.is_empty() || !self.steps.is_empty()
    }

    /// Interest and readiness meet, and yet no step is owed: must not exist (contract 6).
    pub(crate) fn is_forgotten(socket: &Socket) -> bool {
        let can = socket.can();
        let owed = socket.queued;
        (can.has(Ops::WRITE) && !owed.has(Ops::WRITE))
            || (can.without(Ops::WRITE) != Ops::NONE && !owed.has(Ops::READ))
    }
}

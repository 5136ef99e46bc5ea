//! A kernel without a kernel: sockets are byte queues in memory, so that a test or a benchmark sees
//! the core and nothing else.
//!
//! A socket behaves as on Linux where it matters: readiness is told by edges, a read gives what has
//! come before it tells of a reset, a reset is told once, and a full peer makes writes short.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use tidegate_core::Proxy;
use tidegate_core::drive::{Kernel, turn};
use tidegate_core::effect::Close;
use tidegate_core::event::{AccessRecord, Event};
use tidegate_core::id::SocketId;
use tidegate_core::input::{AcceptError, Address, Readiness, SocketError};
use tidegate_core::time::Time;

/// The edge that tells of bytes to read.
pub const READABLE: Readiness =
    Readiness { readable: true, writable: false, read_closed: false, error: false };
/// The edge that tells of room to write.
pub const WRITABLE: Readiness =
    Readiness { readable: false, writable: true, read_closed: false, error: false };
/// The edge that tells of the peer's FIN.
pub const READ_CLOSED: Readiness =
    Readiness { readable: true, writable: false, read_closed: true, error: false };
/// The edge that tells of a reset.
pub const BROKEN: Readiness =
    Readiness { readable: true, writable: true, read_closed: true, error: true };

/// Turns without an event at most, of thousands of steps each; more is a loop without progress
/// (LOOP-5).
const TURNS_MAX: usize = 1000;

/// Turns at one time that a deadline may ask for.
const SAME_TIME_MAX: usize = 1000;

/// One socket as the proxy's peer sees it.
#[derive(Clone)]
pub struct Wire {
    /// Bytes for the proxy to read.
    pub to_proxy: Vec<u8>,
    read: usize,
    /// Bytes that the proxy wrote.
    pub from_proxy: Vec<u8>,
    /// The peer has finished writing.
    pub finished: bool,
    /// The proxy has finished writing.
    pub shut: bool,
    /// The connection does not stand yet: reads and writes would block.
    pub connecting: bool,
    /// What the next read (behind the bytes that came) or write tells, once.
    pub error: Option<SocketError>,
    /// The connection is broken: after its error was told, reads end and writes fail.
    pub broken: bool,
    /// Bytes that one read gives at most.
    pub read_max: usize,
    /// Bytes that one write takes at most.
    pub write_max: usize,
    /// Bytes that the peer still takes before it must read.
    pub room: usize,
    /// The proxy has turned SO_KEEPALIVE on.
    pub kept_alive: bool,
    /// How the proxy has closed it.
    pub closed: Option<Close>,
}

/// Where every client connects to.
pub const LOCAL: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 8443));

impl Default for Wire {
    fn default() -> Wire {
        Wire {
            to_proxy: Vec::new(),
            read: 0,
            from_proxy: Vec::new(),
            finished: false,
            shut: false,
            connecting: false,
            error: None,
            broken: false,
            read_max: usize::MAX,
            write_max: usize::MAX,
            room: usize::MAX,
            kept_alive: false,
            closed: None,
        }
    }
}

impl Wire {
    /// Bytes that the proxy has not read: those make a close a reset.
    pub fn unread(&self) -> usize {
        self.to_proxy.len() - self.read
    }
}

/// Sockets in memory, known by the index of their id.
#[derive(Default)]
pub struct MemoryKernel {
    wires: Vec<Option<(SocketId, Wire)>>,
    /// Listeners that are open, in the order in which they were opened.
    pub listeners: Vec<SocketId>,
    /// Clients that wait in the backlog.
    pub backlog: VecDeque<SocketAddr>,
    /// Sockets that were accepted, in order.
    pub accepted: Vec<SocketId>,
    /// The listeners that they were accepted from, in the same order.
    pub accepted_from: Vec<SocketId>,
    /// Sockets that were connected, in order, with where to.
    pub connected: Vec<(SocketId, Address)>,
    /// How often a read or a write was tried.
    pub calls: u64,
    /// Whether what happened is kept: closed wires here, events in the [`Rig`].
    pub is_observed: bool,
    /// Wires that the proxy has closed, in order, if they are kept.
    pub closed: Vec<(SocketId, Wire)>,
    /// What every accept fails with, while it is set: for want of descriptors at once, else as one
    /// connection after the other.
    pub accept_error: Option<AcceptError>,
    /// Connections closed with the spare descriptor.
    pub sheds: u64,
    /// What every connect fails with at once, while it is set.
    pub connect_error: Option<SocketError>,
    /// What new connections to servers begin as.
    pub server: Wire,
    /// What new connections of clients begin as.
    pub client: Wire,
    /// Edges that the kernel owes, since it gave or took less than there was.
    owed: Vec<(SocketId, Readiness)>,
}

impl MemoryKernel {
    fn open(&mut self, id: SocketId, wire: Wire) {
        if self.wires.len() <= id.index() {
            self.wires.resize_with(id.index() + 1, || None);
        }
        self.wires[id.index()] = Some((id, wire));
    }

    /// The wire of a socket that is open.
    pub fn wire(&mut self, id: SocketId) -> &mut Wire {
        match &mut self.wires[id.index()] {
            Some((known, wire)) if *known == id => wire,
            _ => panic!("{id:?} is not open"),
        }
    }

    /// The wire of a socket that is open, or was closed and is kept.
    pub fn peek(&self, id: SocketId) -> Option<&Wire> {
        let open = self.wires.get(id.index()).and_then(Option::as_ref);
        let all = open.into_iter().chain(&self.closed);
        all.filter(|(known, _)| *known == id).map(|(_, wire)| wire).next()
    }

    /// Whether the proxy still holds `id`.
    pub fn is_open(&self, id: SocketId) -> bool {
        self.wires
            .get(id.index())
            .is_some_and(|w| w.as_ref().is_some_and(|(known, _)| *known == id))
    }

    /// Sockets that the proxy holds, listeners apart.
    pub fn open_sockets(&self) -> impl Iterator<Item = SocketId> {
        self.wires.iter().flatten().map(|(id, _)| *id)
    }
}

impl Kernel for MemoryKernel {
    fn accept(
        &mut self,
        listener: SocketId,
        id: SocketId,
    ) -> Result<Option<SocketAddr>, AcceptError> {
        if self.accept_error == Some(AcceptError::Resources) {
            return Err(AcceptError::Resources);
        }
        let peer = self.backlog.pop_front().ok_or(AcceptError::WouldBlock)?;
        if let Some(error) = self.accept_error {
            return Err(error);
        }
        self.open(id, self.client.clone());
        self.accepted.push(id);
        self.accepted_from.push(listener);
        Ok(Some(peer))
    }

    fn shed(&mut self, _listener: SocketId) {
        self.sheds += 1;
        self.backlog.pop_front();
    }

    fn listen(&mut self, id: SocketId, _name: &str, _at: &Address) {
        self.listeners.push(id);
    }

    fn connect(&mut self, id: SocketId, to: &Address) -> Result<(), SocketError> {
        if let Some(error) = self.connect_error {
            return Err(error);
        }
        self.open(id, self.server.clone());
        self.connected.push((id, to.clone()));
        Ok(())
    }

    fn recv(&mut self, id: SocketId, into: &mut [&mut [u8]]) -> Result<usize, SocketError> {
        self.calls += 1;
        let wire = self.wire(id);
        if wire.connecting {
            return Err(SocketError::WouldBlock);
        }
        let mut total = 0;
        for space in into {
            let n = space.len().min(wire.unread()).min(wire.read_max - total);
            space[..n].copy_from_slice(&wire.to_proxy[wire.read..wire.read + n]);
            wire.read += n;
            total += n;
        }
        if wire.read == wire.to_proxy.len() {
            wire.read = 0;
            wire.to_proxy.clear();
        } else if total == wire.read_max {
            self.owed.push((id, READABLE));
            return Ok(total);
        }
        if total > 0 {
            return Ok(total);
        }
        match wire.error.take() {
            Some(error) => Err(error),
            None if wire.finished || wire.broken => Ok(0),
            None => Err(SocketError::WouldBlock),
        }
    }

    fn send(&mut self, id: SocketId, from: &[&[u8]]) -> Result<usize, SocketError> {
        self.calls += 1;
        let wire = self.wire(id);
        if let Some(error) = wire.error.take() {
            return Err(error);
        }
        assert!(!wire.shut, "nothing is written behind a FIN");
        if wire.broken {
            return Err(SocketError::Reset);
        }
        if from.is_empty() && !wire.connecting {
            return Ok(0);
        }
        if wire.connecting || wire.room == 0 {
            return Err(SocketError::WouldBlock);
        }
        let mut left = wire.room.min(wire.write_max);
        let before = wire.from_proxy.len();
        for bytes in from {
            let n = left.min(bytes.len());
            wire.from_proxy.extend_from_slice(&bytes[..n]);
            left -= n;
        }
        let n = wire.from_proxy.len() - before;
        if wire.room < usize::MAX {
            wire.room -= n;
        }
        if left == 0 && wire.room > 0 {
            self.owed.push((id, WRITABLE));
        }
        Ok(n)
    }

    fn local_addr(&mut self, id: SocketId) -> Option<SocketAddr> {
        self.is_open(id).then_some(LOCAL)
    }

    fn keep_alive(&mut self, id: SocketId) {
        self.wire(id).kept_alive = true;
    }

    fn shutdown_write(&mut self, id: SocketId) {
        self.wire(id).shut = true;
    }

    fn close(&mut self, id: SocketId, how: Close) {
        self.listeners.retain(|listener| *listener != id);
        if !self.is_open(id) {
            return;
        }
        let closed = self.wires[id.index()].take();
        if let Some((id, mut wire)) = closed.filter(|_| self.is_observed) {
            wire.closed = Some(how);
            self.closed.push((id, wire));
        }
    }
}

/// A proxy over memory.
pub struct Rig {
    /// The core.
    pub proxy: Proxy,
    /// Its sockets.
    pub kernel: MemoryKernel,
    /// The time of the next turn.
    pub now: Time,
    /// What the core told, if it is [observed](MemoryKernel::is_observed).
    pub events: Vec<Event>,
}

impl Rig {
    /// A rig around `proxy`, listening.
    pub fn new(proxy: Proxy) -> Rig {
        let kernel = MemoryKernel::default();
        let mut rig = Rig { proxy, kernel, now: Time::ZERO, events: Vec::new() };
        rig.turn();
        rig
    }

    /// A rig that keeps closed wires and events.
    pub fn observed(proxy: Proxy) -> Rig {
        let mut rig = Rig::new(proxy);
        rig.kernel.is_observed = true;
        rig
    }

    /// Turns until nothing is left to do. Events are dropped, unless they are observed.
    pub fn turn(&mut self) {
        loop {
            let mut turns = 0;
            while turn(&mut self.proxy, &mut self.kernel, self.now) {
                turns += 1;
                assert!(turns < TURNS_MAX, "LOOP-5: steps without progress");
            }
            if self.kernel.owed.is_empty() {
                break;
            }
            for (id, edge) in std::mem::take(&mut self.kernel.owed) {
                if self.kernel.is_open(id) {
                    self.proxy.ready(id, edge);
                }
            }
        }
        while let Some(event) = self.proxy.poll_event() {
            if self.kernel.is_observed {
                self.events.push(event);
            }
        }
    }

    /// The time becomes `to`. Turns at each deadline in between, as a driver does.
    pub fn advance_to(&mut self, to: Time) {
        let mut again = 0;
        while self.proxy.next_deadline().0 <= to {
            let next = self.proxy.next_deadline().0;
            // A turn may begin what is due at once, as when the queue is served behind `drain`.
            again = if next > self.now { 0 } else { again + 1 };
            assert!(again < SAME_TIME_MAX, "a deadline that was served comes again and again");
            self.now = self.now.max(next);
            self.turn();
        }
        self.now = to;
        self.turn();
    }

    /// A client connects; returns its socket.
    pub fn connect(&mut self) -> SocketId {
        self.kernel.backlog.push_back(SocketAddr::from(([127, 0, 0, 1], 40_000)));
        self.nudge(self.kernel.listeners[0], READABLE);
        *self.kernel.accepted.last().expect("accepted")
    }

    /// A peer sends `bytes` to the proxy's socket `id`.
    pub fn feed(&mut self, id: SocketId, bytes: &[u8]) {
        self.kernel.wire(id).to_proxy.extend_from_slice(bytes);
        self.nudge(id, READABLE);
    }

    /// A peer finishes writing.
    pub fn finish(&mut self, id: SocketId) {
        self.kernel.wire(id).finished = true;
        self.nudge(id, READ_CLOSED);
    }

    /// A peer breaks the connection, or a connection attempt comes to nothing.
    pub fn fail(&mut self, id: SocketId, error: SocketError) {
        let wire = self.kernel.wire(id);
        wire.connecting = false;
        wire.broken = true;
        wire.error = Some(error);
        self.nudge(id, BROKEN);
    }

    /// A held connection stands.
    pub fn establish(&mut self, id: SocketId) {
        self.kernel.wire(id).connecting = false;
        self.nudge(id, WRITABLE);
    }

    /// A peer takes `bytes` more.
    pub fn make_room(&mut self, id: SocketId, bytes: usize) {
        let wire = self.kernel.wire(id);
        wire.room = wire.room.saturating_add(bytes);
        self.nudge(id, WRITABLE);
    }

    /// The kernel tells an edge, due or not; then turns.
    pub fn nudge(&mut self, id: SocketId, edge: Readiness) {
        self.proxy.advance(self.now);
        self.proxy.ready(id, edge);
        self.turn();
    }

    /// The access records observed so far.
    pub fn records(&self) -> Vec<&AccessRecord> {
        fn record(event: &Event) -> Option<&AccessRecord> {
            if let Event::Access(record) = event { Some(record) } else { None }
        }
        self.events.iter().filter_map(record).collect()
    }

    /// What the proxy wrote to `id`, open or closed.
    pub fn written(&self, id: SocketId) -> &[u8] {
        self.kernel.peek(id).map_or(&[], |wire| &wire.from_proxy)
    }
}

//! A kernel without a kernel: sockets are byte queues in memory, so that a test or a benchmark sees
//! the core and nothing else.

use std::net::SocketAddr;
use tidegate_core::Proxy;
use tidegate_core::drive::{Kernel, turn};
use tidegate_core::effect::Close;
use tidegate_core::id::SocketId;
use tidegate_core::input::{AcceptError, Address, Readiness, SocketError};
use tidegate_core::time::Time;

/// One socket as the proxy's peer sees it.
#[derive(Default)]
pub struct Wire {
    /// Bytes for the proxy to read.
    pub to_proxy: Vec<u8>,
    read: usize,
    /// Bytes that the proxy wrote.
    pub from_proxy: Vec<u8>,
    /// The peer has finished writing.
    pub finished: bool,
    /// The proxy has closed it.
    pub closed: bool,
}

/// Sockets in memory, known by the index of their id.
#[derive(Default)]
pub struct MemoryKernel {
    wires: Vec<Option<(SocketId, Wire)>>,
    /// Listeners, in the order in which they were opened.
    pub listeners: Vec<SocketId>,
    /// Clients that wait in the backlog.
    pub backlog: Vec<SocketAddr>,
    /// Sockets that were accepted, in order.
    pub accepted: Vec<SocketId>,
    /// Sockets that were connected, in order, with where to.
    pub connected: Vec<(SocketId, Address)>,
    /// How often a read or a write was tried.
    pub calls: u64,
}

impl MemoryKernel {
    fn open(&mut self, id: SocketId) {
        if self.wires.len() <= id.index() {
            self.wires.resize_with(id.index() + 1, || None);
        }
        self.wires[id.index()] = Some((id, Wire::default()));
    }

    /// The wire of a socket that is open.
    pub fn wire(&mut self, id: SocketId) -> &mut Wire {
        match &mut self.wires[id.index()] {
            Some((known, wire)) if *known == id => wire,
            _ => panic!("{id:?} is not open"),
        }
    }

    /// Whether the proxy still holds `id`.
    pub fn is_open(&self, id: SocketId) -> bool {
        self.wires
            .get(id.index())
            .is_some_and(|w| w.as_ref().is_some_and(|(known, _)| *known == id))
    }
}

impl Kernel for MemoryKernel {
    fn accept(
        &mut self,
        _listener: SocketId,
        id: SocketId,
    ) -> Result<Option<SocketAddr>, AcceptError> {
        let peer = self.backlog.pop().ok_or(AcceptError::WouldBlock)?;
        self.open(id);
        self.accepted.push(id);
        Ok(Some(peer))
    }

    fn shed(&mut self, _listener: SocketId) {
        self.backlog.pop();
    }

    fn listen(&mut self, id: SocketId, _name: &str, _at: &Address) {
        self.listeners.push(id);
    }

    fn connect(&mut self, id: SocketId, to: &Address) -> Result<(), SocketError> {
        self.open(id);
        self.connected.push((id, to.clone()));
        Ok(())
    }

    fn recv(&mut self, id: SocketId, into: &mut [&mut [u8]]) -> Result<usize, SocketError> {
        self.calls += 1;
        let wire = self.wire(id);
        let mut total = 0;
        for space in into {
            let n = space.len().min(wire.to_proxy.len() - wire.read);
            space[..n].copy_from_slice(&wire.to_proxy[wire.read..wire.read + n]);
            wire.read += n;
            total += n;
        }
        if wire.read == wire.to_proxy.len() {
            wire.read = 0;
            wire.to_proxy.clear();
        }
        if total == 0 && !wire.finished { Err(SocketError::WouldBlock) } else { Ok(total) }
    }

    fn send(&mut self, id: SocketId, from: &[&[u8]]) -> Result<usize, SocketError> {
        self.calls += 1;
        let wire = self.wire(id);
        let before = wire.from_proxy.len();
        for bytes in from {
            wire.from_proxy.extend_from_slice(bytes);
        }
        Ok(wire.from_proxy.len() - before)
    }

    fn shutdown_write(&mut self, _id: SocketId) {}

    fn close(&mut self, id: SocketId, _how: Close) {
        if let Some(wire) = self.wires.get_mut(id.index()) {
            *wire = None;
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
}

impl Rig {
    /// A rig around `proxy`, listening.
    pub fn new(proxy: Proxy) -> Rig {
        let mut rig = Rig { proxy, kernel: MemoryKernel::default(), now: Time::ZERO };
        rig.turn();
        rig
    }

    /// Turns until nothing is left to do; events are dropped.
    pub fn turn(&mut self) {
        while turn(&mut self.proxy, &mut self.kernel, self.now) {}
        while self.proxy.poll_event().is_some() {}
    }

    /// A client connects; returns its socket.
    pub fn connect(&mut self) -> SocketId {
        self.kernel.backlog.push(SocketAddr::from(([127, 0, 0, 1], 40_000)));
        let listener = self.kernel.listeners[0];
        self.proxy.ready(listener, Readiness { readable: true, ..Readiness::default() });
        self.turn();
        *self.kernel.accepted.last().expect("accepted")
    }

    /// A peer sends `bytes` to the proxy's socket `id`.
    pub fn feed(&mut self, id: SocketId, bytes: &[u8]) {
        self.kernel.wire(id).to_proxy.extend_from_slice(bytes);
        self.proxy.ready(id, Readiness { readable: true, ..Readiness::default() });
        self.turn();
    }
}

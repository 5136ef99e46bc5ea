//! What a session begins with.

use super::wire::{Wire, wired};
use crate::input::Address;
use crate::proxy::Proxy;
use crate::session::SessionId;
use std::net::SocketAddr;

/// The first entry of a session's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Serial number within the worker, as the access log has it.
    pub serial: u64,
    /// The client, absent on Unix sockets.
    pub peer: Option<SocketAddr>,
    /// The address it connected to, where that was asked for.
    pub local: Option<SocketAddr>,
    /// The seed of the session's own randomness.
    pub child: u128,
    /// Serial number of the configuration whose listener it came by, and the listener's
    /// index there.
    pub opened: u64,
    /// See `opened`.
    pub listener: u16,
    /// The address of the listener that it came by.
    pub at: Address,
    /// Serial number of the configuration in force.
    pub current: u64,
    /// Whether its listener is open, or closing by a stop, rather than because a reload gave up its
    /// address: one of the same name and address may have come since.
    pub is_listed: bool,
    /// Whether the client had finished writing, or was gone, before its session began.
    pub read_closed: bool,
    /// See `read_closed`.
    pub reset: bool,
    /// When the graceful stop began, if one has: nanoseconds of the worker's time.
    pub stopping: Option<u64>,
}
wired!(Start {
    serial,
    peer,
    local,
    child,
    opened,
    listener,
    at,
    current,
    is_listed,
    read_closed,
    reset,
    stopping
});

impl Start {
    /// Writes the start of session `id` as [`Start::read`] reads it, without a copy of it in
    /// between.
    pub(super) fn write(proxy: &Proxy, id: SessionId, child: u128, out: &mut Vec<u8>) {
        let session = &proxy.sessions[id];
        let socket = proxy.sockets.get(session.front).expect("a session has a socket");
        let listen = &proxy.listens[session.listener];
        session.serial.put(out);
        session.peer.put(out);
        session.local.put(out);
        child.put(out);
        proxy.versions[listen.last.0].serial.put(out);
        listen.last.1.put(out);
        listen.at.put(out);
        proxy.versions[proxy.current].serial.put(out);
        (proxy.stopping || !listen.closing).put(out);
        socket.read_closed.put(out);
        socket.reset.put(out);
        proxy.stopping.then_some(proxy.stop_began.0).put(out);
    }

    /// What the first entry of a chain carries. `None`: it is damaged.
    pub fn read(mut bytes: &[u8]) -> Option<Start> {
        let start = Start::get(&mut bytes)?;
        bytes.is_empty().then_some(start)
    }
}

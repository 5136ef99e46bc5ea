//! Listen sessions: listeners are entries of the same socket map as everything else (LOOP-3).

use crate::id::{Id, SocketId};
use crate::input::Address;
use crate::version::VersionId;
use std::net::SocketAddr;

/// One bound address of a listener.
#[derive(Debug)]
pub struct Listen {
    pub(crate) name: Box<str>,
    pub(crate) at: Address,
    /// Its listener's index in the current configuration, by name; absent if that has none. Who
    /// came by an address that was given up is not thereby of no listener: routes may be bound to
    /// it (RUN-1).
    pub(crate) index: Option<u16>,
    /// The last version of the configuration that has it, which is counted there, and its index
    /// in that one: sessions open by it, also those that come out of the backlog later (SES-1).
    pub(crate) last: (VersionId, u16),
    /// Absent once closed.
    pub(crate) socket: Option<SocketId>,
    /// Accepts what is in the backlog and closes then.
    pub(crate) closing: bool,
    /// Sessions and waiting sockets that came by it.
    pub(crate) users: usize,
}

/// Names a bound address of a listener.
pub type ListenId = Id<Listen>;

impl Listen {
    /// The address that its clients connect to, if it is one alone.
    pub(crate) fn addr(&self) -> Option<SocketAddr> {
        match &self.at {
            Address::Ip(addr) if !addr.ip().is_unspecified() => Some(*addr),
            _ => None,
        }
    }

    /// Whether each of its connections may have come by another address.
    pub(crate) fn is_on_all(&self) -> bool {
        matches!(&self.at, Address::Ip(addr) if addr.ip().is_unspecified())
    }

    /// The local port, 0 for a Unix socket.
    pub(crate) fn port(&self) -> u16 {
        match &self.at {
            Address::Ip(addr) => addr.port(),
            Address::Unix(_) => 0,
        }
    }
}

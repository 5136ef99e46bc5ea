//! What a driver can report besides plain progress: readiness and errors of sockets.
//!
//! Inputs cannot fail: a driver reports what the kernel said, and what goes wrong becomes an
//! answer, an event or a close inside the core.

use crate::names::names;
use std::net::SocketAddr;

/// Why a socket operation failed, as far as the core needs to tell causes apart.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SocketError {
    /// The operation would block: wait for the next readiness edge. Never a failure.
    WouldBlock,
    /// Nobody listens there (ECONNREFUSED).
    Refused,
    /// The peer reset the connection (ECONNRESET, EPIPE).
    Reset,
    /// No way to the address (ENETUNREACH, EHOSTUNREACH and the like).
    Unreachable,
    /// The kernel gave up on the peer (ETIMEDOUT).
    TimedOut,
    /// This machine is short of descriptors, memory or local ports (EMFILE, ENFILE, ENOBUFS,
    /// ENOMEM, EADDRNOTAVAIL): no fault of the peer's.
    Resources,
    /// Anything else; the connection is unusable.
    Other,
}

names! {
    /// The name that marks of simulations use.
    SocketError {
        WouldBlock => "would block",
        Refused => "refused",
        Reset => "reset",
        Unreachable => "unreachable",
        TimedOut => "timed out",
        Resources => "out of resources",
        Other => "other",
    }
}

/// Why no connection was accepted (ACC-8).
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AcceptError {
    /// The backlog is empty.
    WouldBlock,
    /// This one connection failed (ECONNABORTED, EPROTO, EINTR, network errors): try the next.
    Connection,
    /// Short of descriptors or memory (EMFILE, ENFILE, ENOBUFS, ENOMEM): pause.
    Resources,
}

names! {
    /// The name that marks of simulations use.
    AcceptError {
        WouldBlock => "would block",
        Connection => "aborted",
        Resources => "out of resources",
    }
}

/// What the kernel said of a socket: four separate facts (LOOP-6), delivered as an edge.
#[derive(Copy, Clone, PartialEq, Eq, Default, Debug)]
pub struct Readiness {
    /// Reading may make progress (on a listener: accepting may).
    pub readable: bool,
    /// Writing may make progress.
    pub writable: bool,
    /// The peer has finished writing (EPOLLRDHUP): a `close()` and a `shutdown(WR)` look the same.
    pub read_closed: bool,
    /// The socket is in error (EPOLLERR): a reset, or a connect that failed.
    pub error: bool,
}

impl Readiness {
    /// The facts as bits, in the order of the fields.
    pub(crate) fn bits(self) -> u64 {
        u64::from(self.readable)
            | u64::from(self.writable) << 1
            | u64::from(self.read_closed) << 2
            | u64::from(self.error) << 3
    }

    /// What [`Readiness::bits`] made bits of.
    pub(crate) fn of_bits(bits: u64) -> Readiness {
        Readiness {
            readable: bits & 1 != 0,
            writable: bits & 2 != 0,
            read_closed: bits & 4 != 0,
            error: bits & 8 != 0,
        }
    }
}

/// An address that can be listened on or connected to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Address {
    /// IPv4 or IPv6 with a port.
    Ip(SocketAddr),
    /// A Unix stream socket's path.
    Unix(Box<str>),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Ip(addr) => addr.fmt(f),
            Address::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

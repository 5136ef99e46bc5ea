//! What the core asks of its driver, in order.

use crate::id::SocketId;
use crate::input::Address;

/// How a socket is closed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Close {
    /// `close(2)`: FIN after what was written, or RST if the receive buffer holds unread bytes.
    Normal,
    /// RST at once (SO_LINGER of zero): the peer must not take what it has for complete.
    Reset,
}

/// One order to the driver. Effects are drained in FIFO order; draining late is legal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Begin to listen.
    Listen {
        /// The listener's new socket.
        id: SocketId,
        /// The listener's name in the configuration.
        name: Box<str>,
        /// Where to listen.
        at: Address,
    },
    /// Begin to connect; report failure by [`crate::Proxy::failed`].
    Connect {
        /// The new socket.
        id: SocketId,
        /// Where to.
        to: Address,
    },
    /// Write these bytes if the kernel takes them at once, and forget the rest: a TLS alert, the
    /// last that is said on the socket. What becomes of them is not reported.
    LastWords {
        /// The socket.
        id: SocketId,
        /// The bytes.
        bytes: Box<[u8]>,
    },
    /// Have the kernel look now and then whether the peer is still there (SO_KEEPALIVE, RUN-7).
    KeepAlive(SocketId),
    /// Send FIN after what was written.
    ShutdownWrite(SocketId),
    /// Close and forget the socket: its id is stale from here on.
    Close(SocketId, Close),
}

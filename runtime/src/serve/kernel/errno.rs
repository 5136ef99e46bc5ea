//! What an errno means to the core.

use rustix::io::Errno;
use tidegate_core::input::{AcceptError, SocketError};

/// The meaning of an error that a stream socket reported.
pub(super) fn of_socket(errno: Errno) -> SocketError {
    match errno {
        Errno::AGAIN => SocketError::WouldBlock,
        // A Unix path that does not exist is, for a client, a port where nobody listens.
        Errno::CONNREFUSED | Errno::NOENT => SocketError::Refused,
        // ENOTCONN: the connection was torn down and its error already fetched.
        Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED | Errno::NOTCONN => SocketError::Reset,
        Errno::NETUNREACH
        | Errno::HOSTUNREACH
        | Errno::NETDOWN
        | Errno::HOSTDOWN
        | Errno::NONET
        | Errno::ADDRNOTAVAIL
        | Errno::AFNOSUPPORT
        | Errno::ACCESS
        | Errno::PERM => SocketError::Unreachable,
        Errno::TIMEDOUT => SocketError::TimedOut,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => SocketError::Resources,
        _ => SocketError::Other,
    }
}

/// The meaning of an error of `connect(2)`; `None` when the connection is under way.
///
/// EAGAIN is a failure here. On a Unix socket it says that the server's backlog is full, on TCP
/// that this machine has no free port left.
pub(super) fn of_connect(errno: Errno, unix: bool) -> Option<SocketError> {
    match errno {
        Errno::INPROGRESS | Errno::INTR => None,
        Errno::AGAIN if unix => Some(SocketError::Refused),
        Errno::AGAIN => Some(SocketError::Resources),
        errno => Some(of_socket(errno)),
    }
}

/// The meaning of an error of `accept4(2)` (ACC-8).
pub(super) fn of_accept(errno: Errno) -> AcceptError {
    match errno {
        Errno::AGAIN => AcceptError::WouldBlock,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => AcceptError::Resources,
        // The listener itself is unusable. Trying the next connection would spin; a pause will not.
        Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::FAULT => AcceptError::Resources,
        _ => AcceptError::Connection,
    }
}

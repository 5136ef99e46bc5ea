//! Interest **and** readiness: the one place that joins them, shared by every driver.

use crate::effect::Close;
use crate::id::SocketId;
use crate::input::{AcceptError, Address, SocketError};
use std::net::SocketAddr;

/// The system calls a driver owes the core. Production answers them with mio and rustix, the
/// simulator with its kernel model. Every call is non-blocking.
///
/// Ids are minted by the core, and name the same socket until [`Kernel::close`]. A kernel keeps
/// its own table from `id.index()` to a descriptor. Sockets are registered edge-triggered, for
/// reading and writing at once, some time before the driver next waits for events; the core
/// treats a new socket as readable and writable until the kernel answers `WouldBlock`.
pub trait Kernel {
    /// Accepts one connection of `listener` and keeps it under `id`. `Ok(None)`: a Unix peer.
    fn accept(
        &mut self,
        listener: SocketId,
        id: SocketId,
    ) -> Result<Option<SocketAddr>, AcceptError>;

    /// Accepts one connection with the spare descriptor and closes it at once (ACC-8).
    /// Called at most once a turn, after `accept` answered [`AcceptError::Resources`].
    fn shed(&mut self, listener: SocketId);

    /// Starts listening under `id` on the address of bind number `bind` of the listener named
    /// `name` in the configuration now in force.
    fn listen(&mut self, id: SocketId, name: &str, at: &Address);

    /// Begins to connect a new socket under `id`. `Ok`: begun, perhaps already established.
    fn connect(&mut self, id: SocketId, to: &Address) -> Result<(), SocketError>;

    /// Reads into `into`, in order. `Ok(0)` is the end of the stream; `into` is never empty.
    fn recv(&mut self, id: SocketId, into: &mut [&mut [u8]]) -> Result<usize, SocketError>;

    /// Writes from `from`, in order, as much as fits. `from` holds at least one byte.
    fn send(&mut self, id: SocketId, from: &[&[u8]]) -> Result<usize, SocketError>;

    /// Finishes writing: sends FIN after what was written.
    fn shutdown_write(&mut self, id: SocketId);

    /// Closes the socket and forgets `id`. Also for listeners.
    fn close(&mut self, id: SocketId, how: Close);
}

/// One turn: fires due timers, carries out effects, then accepts, reads and writes where interest
/// and readiness meet, until nothing can progress or the turn's budget is used up. Call
/// [`crate::Proxy::ready`] for each readiness event first. Returns whether work is left, so that
/// the driver polls without waiting.
#[expect(clippy::todo, unused_variables)]
pub fn turn<K: Kernel>(proxy: &mut crate::Proxy, kernel: &mut K, now: crate::time::Time) -> bool {
    todo!()
}

//! [`MioKernel`]: the system calls behind a worker's [`Kernel`].
//!
//! A keep-alive request costs one read and one write a side. Everything else is kept off that
//! path: a socket is registered once, and only if its first turn left it open; `TCP_NODELAY` is
//! inherited from the listening socket; nothing is asked of the kernel that it has already said.

mod errno;
mod table;
#[cfg(test)]
mod tests;

use super::listen::Bound;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, readv, retry_on_intr};
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use std::io::{IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::time::Duration;
use table::Table;
use tidegate_core::drive::Kernel;
use tidegate_core::effect::Close;
use tidegate_core::id::SocketId;
use tidegate_core::input::{AcceptError, Address, SocketError};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("a socket's id must fit into a mio token: 64-bit targets only");

/// Slices of one vectored read or write; what exceeds them waits for the next call.
const SLICES_MAX: usize = 64;
/// Most calls have no more slices than this, and shall not pay for an array of the full size.
const SLICES_FEW: usize = 8;
const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);

/// An address that the configuration in force listens on, with its backlog.
pub(crate) type Wanted = (Address, u32);

/// One worker's sockets.
pub(crate) struct MioKernel {
    registry: Registry,
    table: Table,
    /// Opened since the last wait, and perhaps closed again.
    fresh: Vec<SocketId>,
    /// Listeners in use, with what is needed to hand them on.
    listening: Vec<(SocketId, Bound)>,
    /// Bound sockets that wait for [`Kernel::listen`].
    bound: Vec<Bound>,
    /// What the configuration in force listens on; a closed listener that is still wanted goes
    /// back to `bound`, so that giving it another name loses no connection.
    wanted: Vec<Wanted>,
    /// Given up for a moment to close one connection when descriptors have run out (ACC-8).
    spare: Option<OwnedFd>,
}

/// The token under which `id` is registered.
pub(crate) fn token(id: SocketId) -> Token {
    Token(id.to_bits() as usize)
}

impl MioKernel {
    /// A kernel without sockets, on `registry`.
    pub(crate) fn new(registry: Registry) -> MioKernel {
        MioKernel {
            registry,
            table: Table::default(),
            fresh: Vec::new(),
            listening: Vec::new(),
            bound: Vec::new(),
            wanted: Vec::new(),
            spare: open_spare(),
        }
    }

    /// Hands over the sockets of a configuration that is about to be applied, before its
    /// `Listen` effects are carried out. `wanted` names all its addresses, old ones included.
    pub(crate) fn prepare(&mut self, bound: Vec<Bound>, wanted: Vec<Wanted>) {
        self.bound.extend(bound);
        self.wanted = wanted;
        for (id, listener) in &mut self.listening {
            let now = self.wanted.iter().find(|(at, _)| *at == listener.at);
            if let (Some(&(_, backlog)), Some(fd)) = (now, self.table.get(*id))
                && backlog != listener.backlog
            {
                listener.backlog = backlog;
                // On a listening socket this changes the backlog and nothing else.
                let _ = net::listen(fd, backlog.min(i32::MAX as u32) as i32);
            }
        }
    }

    /// Closes the bound sockets that no listener took. To be called after the turn that followed
    /// [`MioKernel::prepare`].
    pub(crate) fn drop_unclaimed(&mut self) -> usize {
        std::mem::take(&mut self.bound).len()
    }

    /// Closes every connection and keeps the listening sockets for the next `Proxy` (RUN-9).
    /// Returns how many connections were closed.
    ///
    /// They are reset: nobody knows any more which of them were complete, and a peer must not
    /// take a part for the whole (RES-2).
    pub(crate) fn restart(&mut self) -> usize {
        self.fresh.clear();
        let mut closed = 0;
        for fd in self.table.drain_connections() {
            set_reset(&fd);
            closed += 1;
        }
        for (id, mut bound) in std::mem::take(&mut self.listening) {
            if let Some(removed) = self.table.remove(id) {
                self.deregister(&removed.fd);
                bound.fd = Some(removed.fd);
                self.bound.push(bound);
            }
        }
        self.table = Table::default();
        closed
    }

    /// Registers the sockets opened since the last call that are still open. A driver calls this
    /// before it polls. `failed` hears of sockets that the kernel would not watch.
    pub(crate) fn register_fresh(&mut self, mut failed: impl FnMut(SocketId)) {
        for &id in &self.fresh {
            let Some(fd) = self.table.unregistered(id) else { continue };
            let interest = Interest::READABLE | Interest::WRITABLE;
            match self.registry.register(&mut SourceFd(&fd.as_raw_fd()), token(id), interest) {
                Ok(()) => self.table.set_registered(id),
                Err(_) => failed(id),
            }
        }
        self.fresh.clear();
    }

    fn fd(&self, id: SocketId) -> Result<BorrowedFd<'_>, SocketError> {
        self.table.get(id).ok_or(SocketError::Other)
    }

    fn keep(&mut self, id: SocketId, fd: OwnedFd) {
        self.table.insert(id, fd, false);
        self.fresh.push(id);
    }

    fn deregister(&self, fd: &OwnedFd) {
        // Nothing to do if it was never registered.
        let _ = self.registry.deregister(&mut SourceFd(&fd.as_raw_fd()));
    }

    /// A bound socket for `at`: one that waits for it, or that of a listener that is about to be
    /// closed under its old name.
    fn take_bound(&mut self, at: &Address) -> Option<Bound> {
        if let Some(position) = self.bound.iter().position(|bound| bound.at == *at) {
            return Some(self.bound.swap_remove(position));
        }
        let position = self.listening.iter().position(|(_, bound)| bound.at == *at)?;
        let (old, mut bound) = self.listening.swap_remove(position);
        let removed = self.table.remove(old)?;
        self.deregister(&removed.fd);
        bound.fd = Some(removed.fd);
        Some(bound)
    }

    fn close_listener(&mut self, id: SocketId, fd: OwnedFd) {
        self.deregister(&fd);
        let Some(position) = self.listening.iter().position(|(of, _)| *of == id) else { return };
        let (_, mut bound) = self.listening.swap_remove(position);
        if self.wanted.iter().any(|(at, _)| *at == bound.at) {
            bound.fd = Some(fd);
            self.bound.push(bound);
        }
    }

    fn open_towards(to: &Address) -> Result<OwnedFd, SocketError> {
        let family = match to {
            Address::Ip(SocketAddr::V4(_)) => AddressFamily::INET,
            Address::Ip(SocketAddr::V6(_)) => AddressFamily::INET6,
            Address::Unix(_) => AddressFamily::UNIX,
        };
        let fd =
            net::socket_with(family, SocketType::STREAM, FLAGS, None).map_err(errno::of_socket)?;
        let begun = match to {
            Address::Ip(addr) => {
                // Costs latency when it fails, never correctness.
                let _ = sockopt::set_tcp_nodelay(&fd, true);
                net::connect(&fd, addr)
            }
            Address::Unix(path) => {
                net::SocketAddrUnix::new(path.as_bytes()).and_then(|addr| net::connect(&fd, &addr))
            }
        };
        match begun {
            Ok(()) => Ok(fd),
            Err(errno) => match errno::of_connect(errno, matches!(to, Address::Unix(_))) {
                None => Ok(fd),
                Some(error) => Err(error),
            },
        }
    }
}

impl Kernel for MioKernel {
    fn accept(
        &mut self,
        listener: SocketId,
        id: SocketId,
    ) -> Result<Option<SocketAddr>, AcceptError> {
        // A Unix listener of another worker has no socket here, and never a connection (RUN-4).
        let fd = self.table.get(listener).ok_or(AcceptError::WouldBlock)?;
        let (fd, peer) =
            retry_on_intr(|| net::acceptfrom_with(fd, FLAGS)).map_err(errno::of_accept)?;
        self.keep(id, fd);
        Ok(peer.and_then(|peer| SocketAddr::try_from(peer).ok()))
    }

    fn shed(&mut self, listener: SocketId) {
        self.spare = None;
        if let Some(fd) = self.table.get(listener) {
            drop(retry_on_intr(|| net::acceptfrom_with(fd, FLAGS)));
        }
        self.spare = open_spare();
    }

    fn listen(&mut self, id: SocketId, _name: &str, at: &Address) {
        let Some(mut bound) = self.take_bound(at) else { return };
        let Some(fd) = bound.fd.take() else { return };
        // A failure leaves a listener that never becomes readable; it is retried before each wait.
        let registered =
            self.registry.register(&mut SourceFd(&fd.as_raw_fd()), token(id), Interest::READABLE);
        self.table.insert(id, fd, true);
        match registered {
            Ok(()) => self.table.set_registered(id),
            Err(_) => self.fresh.push(id),
        }
        self.listening.push((id, bound));
    }

    fn connect(&mut self, id: SocketId, to: &Address) -> Result<(), SocketError> {
        let fd = Self::open_towards(to)?;
        self.keep(id, fd);
        Ok(())
    }

    #[inline]
    fn recv(&mut self, id: SocketId, into: &mut [&mut [u8]]) -> Result<usize, SocketError> {
        let fd = self.fd(id)?;
        retry_on_intr(|| match into.len() {
            1 => net::recv(fd, &mut *into[0], RecvFlags::empty()).map(|(n, _)| n),
            ..=SLICES_FEW => recv_slices::<SLICES_FEW>(fd, into),
            _ => recv_slices::<SLICES_MAX>(fd, into),
        })
        .map_err(errno::of_socket)
    }

    #[inline]
    fn send(&mut self, id: SocketId, from: &[&[u8]]) -> Result<usize, SocketError> {
        let fd = self.fd(id)?;
        retry_on_intr(|| match from.len() {
            // Linux answers EAGAIN while it is connecting; a writev of nothing does not ask.
            0 => net::send(fd, &[], SendFlags::NOSIGNAL),
            1 => net::send(fd, from[0], SendFlags::NOSIGNAL),
            2..=SLICES_FEW => send_slices::<SLICES_FEW>(fd, from),
            _ => send_slices::<SLICES_MAX>(fd, from),
        })
        .map_err(errno::of_socket)
    }

    fn local_addr(&mut self, id: SocketId) -> Option<SocketAddr> {
        let local = net::getsockname(self.table.get(id)?).ok()?;
        SocketAddr::try_from(local).ok()
    }

    fn keep_alive(&mut self, id: SocketId) {
        if let Some(fd) = self.table.get(id) {
            // Without it a tunnel ends by `tunnel_idle`: later, not never.
            let _ = sockopt::set_socket_keepalive(fd, true);
        }
    }

    fn shutdown_write(&mut self, id: SocketId) {
        if let Some(fd) = self.table.get(id) {
            // ENOTCONN: the peer was faster, and the next read says so.
            let _ = net::shutdown(fd, net::Shutdown::Write);
        }
    }

    fn close(&mut self, id: SocketId, how: Close) {
        let Some(removed) = self.table.remove(id) else { return };
        if removed.listener {
            self.close_listener(id, removed.fd);
            return;
        }
        if how == Close::Reset {
            set_reset(&removed.fd);
        }
    }
}

fn recv_slices<const N: usize>(fd: BorrowedFd<'_>, into: &mut [&mut [u8]]) -> Result<usize, Errno> {
    let count = into.len().min(N);
    let mut slices: [IoSliceMut<'_>; N] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
    for (slice, space) in slices.iter_mut().zip(into) {
        *slice = IoSliceMut::new(space);
    }
    readv(fd, &mut slices[..count])
}

fn send_slices<const N: usize>(fd: BorrowedFd<'_>, from: &[&[u8]]) -> Result<usize, Errno> {
    let count = from.len().min(N);
    let mut slices: [IoSlice<'_>; N] = std::array::from_fn(|_| IoSlice::new(&[]));
    for (slice, bytes) in slices.iter_mut().zip(from) {
        *slice = IoSlice::new(bytes);
    }
    let mut no_control = net::SendAncillaryBuffer::default();
    net::sendmsg(fd, &slices[..count], &mut no_control, SendFlags::NOSIGNAL)
}

/// Makes the coming `close` of `fd` send RST.
fn set_reset(fd: &OwnedFd) {
    // Cannot fail on a socket; if it did, the close would be a normal one.
    let _ = sockopt::set_socket_linger(fd, Some(Duration::ZERO));
}

fn open_spare() -> Option<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}

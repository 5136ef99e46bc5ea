//! Interest **and** readiness: the one place that joins them, shared by every driver.

use crate::accept::ACCEPT_BUDGET;
use crate::buggify::Point;
use crate::effect::{Close, Effect};
use crate::flight::Tag;
use crate::id::SocketId;
use crate::input::{AcceptError, Address, SocketError};
use crate::proxy::{Proxy, SLICES_MAX};
use crate::session::Moved;
use crate::sockets::{Owner, Step};
use crate::time::Time;
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

    /// Starts listening under `id` on `at`, an address that the listener called `name` is bound to
    /// in the configuration now in force.
    fn listen(&mut self, id: SocketId, name: &str, at: &Address);

    /// Begins to connect a new socket under `id`. `Ok`: begun, perhaps already established.
    fn connect(&mut self, id: SocketId, to: &Address) -> Result<(), SocketError>;

    /// Reads into `into`, in order. `Ok(0)` is the end of the stream; `into` is never empty.
    fn recv(&mut self, id: SocketId, into: &mut [&mut [u8]]) -> Result<usize, SocketError>;

    /// Writes from `from`, in order, as much as fits. An empty `from` asks whether a connection
    /// that was begun stands: `Ok(0)` if so, `WouldBlock` while it does not (on Linux a `send` of
    /// no bytes does just that).
    fn send(&mut self, id: SocketId, from: &[&[u8]]) -> Result<usize, SocketError>;

    /// The local address of an accepted socket, which a PROXY header for a server tells; absent
    /// for Unix sockets. Asked right after `accept`, for listeners on all addresses alone.
    fn local_addr(&mut self, id: SocketId) -> Option<SocketAddr>;

    /// Turns SO_KEEPALIVE on (RUN-7).
    fn keep_alive(&mut self, id: SocketId);

    /// Finishes writing: sends FIN after what was written.
    fn shutdown_write(&mut self, id: SocketId);

    /// Closes the socket and forgets `id`. Also for listeners.
    fn close(&mut self, id: SocketId, how: Close);
}

/// Steps of one turn at most; what is left goes on in the next one, after a poll that does not
/// wait. Each step is one read, write or accept round.
pub const STEPS_MAX: usize = 4096;

/// One turn: fires due timers, carries out effects, then accepts, reads and writes where interest
/// and readiness meet, until nothing can progress or the turn's budget is used up. Call
/// [`Proxy::advance`], and [`Proxy::ready`] for each readiness event, first. Returns whether work
/// is left, so that the driver polls without waiting.
pub fn turn<K: Kernel>(proxy: &mut Proxy, kernel: &mut K, now: Time) -> bool {
    proxy.expire(now);
    let mut has_shed = false;
    for _ in 0..proxy.begin_turn() {
        // Who gets room may order a connection, which must exist before its first step.
        proxy.give_room();
        carry_out(proxy, kernel);
        let Some(step) = proxy.next_step() else {
            if proxy.has_room_to_give() {
                continue;
            }
            break;
        };
        match step {
            Step::Send(id) => proxy.transmit(id, |slices| kernel.send(id, slices)),
            Step::Receive(id) => receive(proxy, kernel, id),
            Step::Deliver(id) => proxy.deliver(id),
            Step::Accept(id) => accept(proxy, kernel, id, &mut has_shed),
            Step::Resume(id) => proxy.resume_input(id),
        }
        proxy.requeue(step);
    }
    carry_out(proxy, kernel);
    proxy.tell_stopped();
    proxy.has_steps()
}

/// Carries out the core's orders, in order. A connect that fails at once is reported at once.
fn carry_out<K: Kernel>(proxy: &mut Proxy, kernel: &mut K) {
    while let Some(effect) = proxy.poll_effect() {
        match effect {
            Effect::Listen { id, name, at } => kernel.listen(id, &name, &at),
            Effect::Connect { id, to } => {
                if let Err(error) = kernel.connect(id, &to) {
                    proxy.failed(id, error, false);
                }
            }
            Effect::LastWords { id, bytes } => {
                // What the kernel does not take now is not worth waiting for.
                let _taken_or_not = kernel.send(id, &[&bytes]);
            }
            Effect::KeepAlive(id) => kernel.keep_alive(id),
            Effect::ShutdownWrite(id) => kernel.shutdown_write(id),
            Effect::Close(id, how) => kernel.close(id, how),
        }
    }
}

fn receive<K: Kernel>(proxy: &mut Proxy, kernel: &mut K, id: SocketId) {
    let mut space: [&mut [u8]; SLICES_MAX] = std::array::from_fn(|_| &mut [][..]);
    let few = proxy.buggify.point(Point::ShortRead).then(|| proxy.buggify.few(Point::ShortRead));
    let mut count = proxy.recv_space(id, &mut space);
    if let (Some(few), 1..) = (few, count) {
        let first = std::mem::take(&mut space[0]);
        let len = first.len().min(few);
        space[0] = &mut first[..len];
        count = 1;
    }
    let offered: usize = space[..count].iter().map(|slice| slice.len()).sum();
    if offered == 0 {
        proxy.note_socket(id, Tag::NoRoom, 0, false);
        return proxy.settle_owner(id, Moved::Nobody);
    }
    match kernel.recv(id, &mut space[..count]) {
        Ok(n) => {
            // A short read is trusted: it saves the read that would block.
            if 0 < n && n < offered {
                proxy.read_was_short(id);
            }
            proxy.received(id, n);
        }
        Err(SocketError::WouldBlock) => proxy.blocked(id, false),
        Err(error) => proxy.failed(id, error, false),
    }
}

fn accept<K: Kernel>(proxy: &mut Proxy, kernel: &mut K, listener: SocketId, has_shed: &mut bool) {
    let mut ended = None;
    let is_told = proxy.tells_local_address(listener);
    let budget = if proxy.buggify.point(Point::AcceptOne) { 1 } else { ACCEPT_BUDGET };
    for _ in 0..budget {
        let id = proxy.next_socket_id();
        match kernel.accept(listener, id) {
            Ok(peer) => {
                let local = if is_told { kernel.local_addr(id) } else { None };
                proxy.accepted(listener, peer, local);
                // An id is free again once its close is carried out.
                carry_out(proxy, kernel);
            }
            Err(AcceptError::Connection) => {}
            Err(error) => {
                if error == AcceptError::Resources && !std::mem::replace(has_shed, true) {
                    kernel.shed(listener);
                }
                ended = Some(error);
                break;
            }
        }
    }
    proxy.accept_done(listener, ended);
}

impl Proxy {
    /// A turn begins: how many steps it may take.
    fn begin_turn(&mut self) -> usize {
        self.pool.withheld = self.buggify.point(Point::NoExtraBuffer);
        match self.buggify.point(Point::EarlyYield) {
            true => self.buggify.few(Point::EarlyYield),
            false => STEPS_MAX,
        }
    }

    /// Whoever waits for a session, a server or buffers gets what has become free (ACC-7).
    fn give_room(&mut self) {
        if self.vacancy {
            self.admit();
        }
        if self.relieved {
            self.serve_queues();
        }
        if self.pool.contended {
            self.serve_waiters();
        }
    }

    fn has_room_to_give(&self) -> bool {
        self.vacancy || self.relieved
    }

    fn next_step(&mut self) -> Option<Step> {
        self.sockets.next_step()
    }

    /// What can still make progress goes to the end of its queue (LOOP-5).
    fn requeue(&mut self, step: Step) {
        let (Step::Send(id)
        | Step::Receive(id)
        | Step::Deliver(id)
        | Step::Accept(id)
        | Step::Resume(id)) = step;
        self.sockets.requeue(id);
    }

    fn has_steps(&self) -> bool {
        self.has_room_to_give() || self.sockets.has_steps()
    }

    fn read_was_short(&mut self, id: SocketId) {
        self.sockets.short_read(id);
    }

    pub(crate) fn resume_input(&mut self, id: SocketId) {
        if let Some(Owner::Front(session)) = self.sockets.get(id).map(|socket| socket.owner) {
            self.resume(session);
        }
    }
}

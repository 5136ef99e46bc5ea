//! The simulated kernel: what Linux shows of its TCP sockets, and nothing else.
//!
//! Peers and the proxy use the same sockets, so both ends of a connection behave alike. A
//! connection is a pair of endpoints, the active one even, the passive one odd; indices are never
//! reused within a run. Bytes inside a stream are never lost or reordered: loss is delay, or a
//! reset.

mod content;
mod endpoint;
mod flight;
mod listener;
mod ops;
#[cfg(test)]
mod tests;

pub use endpoint::{Endpoint, Owner};
pub use listener::{Acceptor, Listener};

use crate::choice::Rate;
use crate::cx::{Cx, Ev, Flight, US};
use crate::site;
use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use tidegate_core::input::{Address, Readiness};

/// Index of an endpoint; the other end is `ep ^ 1`.
pub type Ep = u32;

/// Sizes and delays of one connection.
#[derive(Copy, Clone, Debug)]
pub struct Wire {
    /// Bytes that the active end may have written and not yet had acknowledged.
    pub active_send: usize,
    /// Bytes that wait for the active end to read.
    pub active_recv: usize,
    /// As `active_send`, for the passive end.
    pub passive_send: usize,
    /// As `active_recv`, for the passive end.
    pub passive_recv: usize,
    /// One-way delay in nanoseconds.
    pub latency: u64,
    /// How many segments each way are cut to a few bytes.
    pub tiny_segments: u16,
}

impl Default for Wire {
    fn default() -> Self {
        Wire {
            active_send: 64 * 1024,
            active_recv: 64 * 1024,
            passive_send: 64 * 1024,
            passive_recv: 64 * 1024,
            latency: 100 * US,
            tiny_segments: 0,
        }
    }
}

/// Faults of the kernel that are switched on at the moment.
#[derive(Default)]
pub struct Faults {
    /// Addresses whose SYNs vanish.
    pub black_holes: Vec<u16>,
    /// Addresses that cannot be reached from here (EADDRNOTAVAIL and the like).
    pub unreachable: Vec<u16>,
    /// Links on which nothing moves.
    pub clogged: Vec<u32>,
    /// How often `accept` fails for one connection (ECONNABORTED).
    pub accept_aborts: Rate,
    /// How often a signal interrupts `accept` (EINTR): nothing is lost.
    pub accept_interrupts: Rate,
    /// How many sockets the proxy may have open.
    pub descriptors_max: Option<usize>,
    /// How often a write takes less than there is room for.
    pub short_writes: Rate,
    /// Added to every latency, in nanoseconds.
    pub extra_latency: u64,
    /// How often a reset overtakes the bytes in flight before it.
    pub resets_overtake: Rate,
}

/// The address from which client number `client` makes connection `front`, which the port tells.
pub fn client_address(client: u32, front: u32) -> SocketAddr {
    let ip = Ipv4Addr::new(192, 0, 2 + (client / 250) as u8, 1 + (client % 250) as u8);
    SocketAddr::new(ip.into(), port_of(front))
}

/// The port that names connection `front`.
pub fn port_of(front: u32) -> u16 {
    FRONT_PORTS + (front % u32::from(u16::MAX - FRONT_PORTS)) as u16
}

/// The connection that `port` names.
pub fn front_of(port: u16) -> Option<u32> {
    port.checked_sub(FRONT_PORTS).map(u32::from)
}

/// The ports of clients begin here.
const FRONT_PORTS: u16 = 2000;

/// Every socket of the run.
#[derive(Default)]
pub struct Net {
    pub(crate) eps: Vec<Endpoint>,
    pub(crate) listeners: Vec<Listener>,
    addresses: Vec<(Address, u32)>,
    held: VecDeque<(Ep, Flight)>,
    spare: Vec<VecDeque<u8>>,
    /// By endpoint: what its stream carries, where that is not the stream itself.
    carried: Vec<Option<Box<content::Carried>>>,
    /// Endpoints and listeners of the proxy that its next batch must tell of.
    pub proxy_woken: VecDeque<Woken>,
    /// Endpoints of peers to which something happened.
    pub notices: VecDeque<Notice>,
    /// Faults that are switched on.
    pub faults: Faults,
    /// Sockets the proxy has open, listeners included.
    pub proxy_sockets: usize,
}

/// Something that a batch of readiness tells of.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Woken {
    /// A connection's end.
    Endpoint(Ep),
    /// A listener, by index.
    Listener(u32),
}

/// Something that happened to a peer.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Notice {
    /// Something changed at this endpoint.
    Endpoint(Ep),
    /// A connection waits at this server's listener.
    Server(u32),
}

impl Net {
    /// The number of `address`, which lies on `link`.
    pub fn intern(&mut self, address: &Address, link: u32) -> u16 {
        if let Some(known) = self.addresses.iter().position(|(known, _)| known == address) {
            return known as u16;
        }
        self.addresses.push((address.clone(), link));
        (self.addresses.len() - 1) as u16
    }

    /// The number of `address`, if anybody ever named it.
    pub fn number_of(&self, address: &Address) -> Option<u16> {
        self.addresses.iter().position(|(known, _)| known == address).map(|n| n as u16)
    }

    /// The address numbered `number`.
    pub fn address(&self, number: u16) -> &Address {
        &self.addresses[usize::from(number)].0
    }

    /// The endpoint `ep`.
    #[inline]
    pub fn ep(&self, ep: Ep) -> &Endpoint {
        &self.eps[ep as usize]
    }

    #[inline]
    pub(crate) fn ep_mut(&mut self, ep: Ep) -> &mut Endpoint {
        &mut self.eps[ep as usize]
    }

    /// What `epoll_wait` would say of `ep` now.
    pub fn mask(&self, ep: Ep) -> Readiness {
        self.ep(ep).mask()
    }

    /// What `epoll_wait` would say of a listener now.
    pub fn listener_mask(&self, listener: u32) -> Readiness {
        let listener = &self.listeners[listener as usize];
        let readable = listener.is_open && !listener.queue.is_empty();
        Readiness { readable, ..Readiness::default() }
    }

    /// Begins to connect to address number `to`; the active endpoint. `link` names the cable for
    /// faults that hit cables.
    pub fn connect(&mut self, cx: &mut Cx, owner: Owner, to: u16, link: u32, wire: &Wire) -> Ep {
        let active = self.eps.len() as Ep;
        let out = self.spare.pop().unwrap_or_default();
        let recv = self.spare.pop().unwrap_or_default();
        self.eps.push(Endpoint::active(owner, to, link, wire, out, recv));
        let out = self.spare.pop().unwrap_or_default();
        let recv = self.spare.pop().unwrap_or_default();
        self.eps.push(Endpoint::passive(to, link, wire, out, recv));
        self.fly(cx, active ^ 1, Flight::Syn);
        active
    }

    /// The link of address number `to`.
    pub fn link_of(&self, to: u16) -> u32 {
        self.addresses[usize::from(to)].1
    }

    /// Puts something on the wire towards `to`, behind all that flies there already.
    pub(crate) fn fly(&mut self, cx: &mut Cx, to: Ep, what: Flight) {
        let extra = self.faults.extra_latency;
        let sender = self.ep_mut(to ^ 1);
        let jitter =
            cx.choices.choose(site!("kernel/jitter"), u64::from(to), 1 + sender.latency / 4);
        let at = (cx.now + sender.latency + jitter + extra).max(sender.last_flight + 1);
        sender.last_flight = at;
        cx.heap.push(at, u64::from(to), Ev::Flight(to, what));
    }

    /// Tells the owner of `ep` that something changed.
    pub(crate) fn wake(&mut self, ep: Ep) {
        let end = &mut self.eps[ep as usize];
        if end.woken || end.closed {
            return;
        }
        match end.owner {
            Owner::Nobody => return,
            Owner::Proxy(_) => self.proxy_woken.push_back(Woken::Endpoint(ep)),
            Owner::Client(_) | Owner::Backend(_) => {
                self.notices.push_back(Notice::Endpoint(ep));
            }
        }
        end.woken = true;
    }

    /// The owner of `ep` was told. Whoever hears that there is no room to write is owed the edge
    /// as if a write had failed.
    pub fn told(&mut self, ep: Ep) {
        let end = self.ep_mut(ep);
        end.woken = false;
        end.nospace |= end.is_open() && !end.is_writable();
    }

    /// Puts the buffers of a connection whose both ends are gone back into the pool.
    pub(crate) fn recycle(&mut self, ep: Ep) {
        for end in [ep & !1, ep | 1] {
            if !self.ep(end).is_gone() {
                return;
            }
        }
        for end in [ep & !1, ep | 1] {
            let end = &mut self.eps[end as usize];
            for mut buffer in [std::mem::take(&mut end.out), std::mem::take(&mut end.recv)] {
                if buffer.capacity() > 0 {
                    buffer.clear();
                    self.spare.push(buffer);
                }
            }
            end.inflight = 0;
        }
    }

    /// Stops everything on `link` until [`Net::unclog`].
    pub fn clog(&mut self, link: u32) {
        self.faults.clogged.push(link);
    }

    /// Lets everything on `link` move again; what was held arrives now, in order.
    pub fn unclog(&mut self, cx: &mut Cx, link: u32) {
        if let Some(at) = self.faults.clogged.iter().position(|&l| l == link) {
            self.faults.clogged.swap_remove(at);
        }
        for (ep, flight) in std::mem::take(&mut self.held) {
            if self.faults.clogged.contains(&self.ep(ep).link) {
                self.held.push_back((ep, flight));
            } else {
                self.arrive(cx, ep, flight);
            }
        }
    }

    /// Sockets that some application still has open, or whose last bytes still fly.
    pub fn live(&self) -> usize {
        self.eps.iter().filter(|end| !end.is_gone()).count()
    }
}

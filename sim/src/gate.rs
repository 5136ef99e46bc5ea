//! The system calls of the driver under test, answered by the simulated kernel and watched by the
//! oracle.

use crate::cx::Cx;
use crate::kernel::{Acceptor, Ep, Net, Owner};
use crate::layer::{Layers, Link};
use crate::mark;
use crate::marks::Group;
use crate::oracle::truth::ConnectFailure;
use crate::oracle::{
    Breach, Oracle, Side, Verdict, answers, balance, busy, dials, limits, proxy, reconfiguration,
    reuse, tls,
};
use crate::story::{Call, Fact, Who};
use crate::swarm::Fault;
use crate::tls::random;
use crate::wires::WireRange;
use crate::{fact, tell};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use tidegate_core::drive::Kernel;
use tidegate_core::effect::Close;
use tidegate_core::id::SocketId;
use tidegate_core::input::{AcceptError, Address, SocketError};

/// Thrown when a turn does not end: nothing else can stop it.
#[derive(Debug)]
pub struct Runaway(pub Breach);

/// What an id of the proxy stands for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Slot {
    /// Nothing, or nothing any more.
    Free,
    /// A connection's end.
    Endpoint(u64, Ep),
    /// A listener, by index.
    Listener(u64, u32),
}

/// The proxy's table of sockets, by the index of their ids.
#[derive(Default)]
pub struct Sockets {
    slots: Vec<Slot>,
    /// An id that was closed, to be told of as readiness sometimes (LOOP-1).
    pub last_closed: Option<SocketId>,
}

impl Sockets {
    pub(crate) fn put(&mut self, id: SocketId, slot: Slot) {
        let index = id.index();
        if index >= self.slots.len() {
            self.slots.resize(index + 32, Slot::Free);
        }
        assert_eq!(self.slots[index], Slot::Free, "the driver used an id twice: {id:?}");
        self.slots[index] = slot;
    }

    pub(crate) fn ep(&self, id: SocketId) -> Ep {
        match self.slots.get(id.index()) {
            Some(&Slot::Endpoint(bits, ep)) if bits == id.to_bits() => ep,
            other => panic!("the driver used the connection {id:?}, which is {other:?}"),
        }
    }

    pub(crate) fn listener(&self, id: SocketId) -> u32 {
        match self.slots.get(id.index()) {
            Some(&Slot::Listener(bits, listener)) if bits == id.to_bits() => listener,
            other => panic!("the driver used the listener {id:?}, which is {other:?}"),
        }
    }

    pub(crate) fn take(&mut self, id: SocketId) -> Slot {
        self.last_closed = Some(id);
        match self.slots.get_mut(id.index()) {
            Some(slot) => std::mem::replace(slot, Slot::Free),
            None => Slot::Free,
        }
    }

    /// The ids of the connections that are open, by index.
    pub fn endpoints(&self) -> impl Iterator<Item = (SocketId, Ep)> {
        self.slots.iter().filter_map(|slot| match *slot {
            Slot::Endpoint(bits, ep) => Some((SocketId::from_bits(bits), ep)),
            _ => None,
        })
    }
}

/// One turn's view of the kernel.
pub struct Gate<'a> {
    /// Time, choices, trace.
    pub cx: &'a mut Cx,
    /// The kernel.
    pub net: &'a mut Net,
    /// The ledger.
    pub oracle: &'a mut Oracle,
    /// The proxy's table.
    pub sockets: &'a mut Sockets,
    /// TLS of the peers.
    pub layers: &'a mut Layers,
    /// Wires towards backends.
    pub wires: &'a WireRange,
}

impl Gate<'_> {
    fn call(&mut self) {
        if let Err(breach) = self.oracle.turn.call() {
            std::panic::panic_any(Runaway(breach));
        }
    }

    fn fold(&mut self, kind: u64, id: SocketId, result: u64) {
        self.cx.trace.fold(0x100 | kind, id.to_bits(), result);
    }

    /// A connection failed before it carried a byte; counted once.
    fn back_failed(&mut self, back: u32) {
        let back = &mut self.oracle.backs[back as usize];
        let (server, dial) = (back.server, back.dial);
        if !std::mem::replace(&mut back.has_failed, true) {
            self.connect_failed(server, dial, false);
        }
    }

    /// Whether nothing but a PROXY header or a handshake has passed on a connection to a server.
    fn is_unused(&self, back: u32) -> bool {
        let at = &self.oracle.backs[back as usize];
        self.net.content_written(at.ep) <= at.preface.len && self.net.content_read(at.ep) == 0
    }

    /// Whether a backend that closes now does what its last response said.
    fn ends_in_order(&self, back: u32) -> bool {
        let last = self.oracle.backs[back as usize].seen.last();
        let plan = last.and_then(|seen| {
            let row = &self.oracle.rows[seen.row as usize];
            row.plan_of(seen.attempt)
        });
        plan.is_some_and(|plan| plan.until_close && plan.end.is_some())
    }

    fn connect_failed(&mut self, server: u16, dial: u32, is_ours: bool) {
        let at = self.cx.now;
        self.oracle.dials.failed(dial, at);
        self.oracle.truth.last_trouble_at = at;
        self.oracle.truth.connect_failures.push(ConnectFailure { at, server, is_ours });
    }

    fn fails(&mut self, ep: Ep, error: SocketError) {
        let Side::Back(back) = self.oracle.side(ep) else { return };
        self.oracle.truth.has_lost_backs |= self.oracle.backs[back as usize].tunnel.is_none();
        self.oracle.backs[back as usize].has_shown_end = true;
        if self.is_unused(back) {
            let server = self.oracle.backs[back as usize].server;
            tell!(self.cx, Who::Proxy, "connection {back} to server {server} failed: {error:?}");
            self.back_failed(back);
            let verdict = dials::refused(self.oracle, server);
            self.oracle.judge(verdict);
        }
    }
}

impl Kernel for Gate<'_> {
    fn accept(
        &mut self,
        listener: SocketId,
        id: SocketId,
    ) -> Result<Option<SocketAddr>, AcceptError> {
        self.call();
        let at = self.sockets.listener(listener);
        let result = self.net.accept(self.cx, at, Owner::Proxy(id));
        self.oracle.accept_answered(result.err());
        let code = result.map_or_else(|error| 1 << 40 | error as u64, u64::from);
        self.fold(1, id, code);
        self.cx.mark_failure(Group::Accept, result.err().map(|error| error as usize));
        let ep = result?;
        random::feed(ep.into());
        self.sockets.put(id, Slot::Endpoint(id.to_bits(), ep));
        let Side::Front(front) = self.oracle.side(ep) else {
            panic!("a backend's connection in the proxy's backlog");
        };
        self.oracle.accepted(front);
        let client = self.oracle.fronts[front as usize].client;
        fact!(self.cx, Fact::Called(id, ep, Call::Accept(front, client)));
        Ok(Some(self.oracle.fronts[front as usize].address))
    }

    fn shed(&mut self, listener: SocketId) {
        self.call();
        let at = self.sockets.listener(listener);
        let shed = self.net.shed(self.cx, at);
        self.fold(2, listener, shed.map_or(0, u64::from));
        self.cx.mark(mark!("accept: shed with the spare descriptor"));
    }

    fn listen(&mut self, id: SocketId, name: &str, at: &Address) {
        self.call();
        let address = self.net.intern(at, u32::MAX);
        let backlog = self.oracle.truth.backlog_of(name);
        let listener = self.net.listen(Acceptor::Proxy(id), address, backlog);
        self.sockets.put(id, Slot::Listener(id.to_bits(), listener));
        self.fold(3, id, listener.into());
        tell!(self.cx, Who::Proxy, "listen {id:?} on {at} ({name})");
    }

    fn connect(&mut self, id: SocketId, to: &Address) -> Result<(), SocketError> {
        self.call();
        let Some(number) = self.net.number_of(to) else {
            panic!("the proxy connects to {to}, which nobody configured");
        };
        let link = self.net.link_of(number);
        let server = link.wrapping_sub(SERVER_LINKS) as u16;
        let verdict = balance::connect(self.oracle, server, to)
            .and_then(|()| busy::chosen(self.oracle, self.net, server, None))
            .and_then(|()| limits::connects(self.oracle, server))
            .and_then(|()| dials::alone(self.oracle, self.net, server, to))
            .and_then(|()| dials::begins(self.oracle, server, to));
        self.oracle.judge(verdict);
        let failure = if self.net.is_out_of_descriptors() {
            self.cx.fired(Fault::Descriptors);
            self.cx.mark(mark!("kernel: EMFILE on connect"));
            Some(SocketError::Resources)
        } else if self.net.faults.unreachable.contains(&number) {
            self.cx.fired(Fault::Unreachable);
            self.cx.mark(mark!("kernel: EADDRNOTAVAIL on connect"));
            Some(SocketError::Unreachable)
        } else {
            None
        };
        self.fold(4, id, failure.map_or(0, |error| 1 + error as u64));
        if let Some(error) = failure {
            self.cx.mark(Group::Connect.at(error as usize));
            self.connect_failed(server, self.oracle.dials.last(), error == SocketError::Resources);
            tell!(self.cx, Who::Proxy, "cannot connect to server {server}: {error:?}");
            self.oracle.dials.fell_short(server);
            // The id stays with the core until it closes it.
            self.sockets.put(id, Slot::Free);
            return Err(error);
        }
        let wire = self.wires.draw(self.cx, link.into());
        let ep = self.net.connect(self.cx, Owner::Proxy(id), number, link, &wire);
        self.net.proxy_sockets += 1;
        let back = self.oracle.back_begun(server, ep);
        if self.layers.is_secure(server) {
            let link = Link::awaiting();
            self.oracle.backs[back as usize].tls = Some(link.shared_facts());
            self.layers.insert(self.net, ep, link);
        }
        self.sockets.put(id, Slot::Endpoint(id.to_bits(), ep));
        fact!(self.cx, Fact::Called(id, ep, Call::Connect(back, server)));
        Ok(())
    }

    fn recv(&mut self, id: SocketId, into: &mut [&mut [u8]]) -> Result<usize, SocketError> {
        self.call();
        let ep = self.sockets.ep(id);
        random::feed(ep.into());
        let result = self.net.recv(self.cx, ep, into);
        let code = result.map_or_else(|error| 1 << 40 | error as u64, |n| n as u64);
        self.fold(5, id, code);
        self.cx.mark_failure(Group::Recv, result.err().map(|error| error as usize));
        fact!(self.cx, Fact::Called(id, ep, Call::Recv(result)));
        let is_vain = matches!(result, Ok(0) | Err(SocketError::WouldBlock));
        let verdict = self.oracle.turn.read(ep, is_vain);
        self.oracle.judge(verdict);
        match self.oracle.side(ep) {
            Side::Front(front) => {
                let at = &self.oracle.fronts[front as usize];
                if at.served_at.is_none() && !at.is_tcp {
                    self.oracle.turn.first_served.push(front);
                }
                let all = self.net.content_read(ep);
                self.oracle.read_from_client(front, all);
                self.oracle.secured(self.net, front);
            }
            Side::Back(back) => {
                if result == Ok(0) && !self.oracle.backs[back as usize].is_tcp {
                    self.oracle.truth.has_lost_backs |= !self.ends_in_order(back);
                }
                if result.is_ok_and(|n| n > 0) {
                    self.oracle.back_spoke(back);
                }
                self.oracle.backs[back as usize].has_shown_end |= result == Ok(0);
                self.oracle.back_seen(self.net, back, true);
            }
        }
        match result {
            Ok(_) => {
                let verdict = self.oracle.tunnel_read(self.net, ep);
                self.oracle.judge(verdict);
            }
            Err(SocketError::WouldBlock) => {}
            Err(error) => self.fails(ep, error),
        }
        result
    }

    fn send(&mut self, id: SocketId, from: &[&[u8]]) -> Result<usize, SocketError> {
        self.call();
        let ep = self.sockets.ep(id);
        random::feed(ep.into());
        match self.oracle.side(ep) {
            Side::Front(front) => self.oracle.writes_to_client(front),
            Side::Back(back) => reuse::begins(self.oracle, self.net, back),
        }
        if from.is_empty() {
            return self.probe(id, ep);
        }
        let result = self.net.send(self.cx, ep, from);
        let code = result.map_or_else(|error| 1 << 40 | error as u64, |n| n as u64);
        self.fold(6, id, code);
        self.cx.mark_failure(Group::Send, result.err().map(|error| error as usize));
        let offered = from.iter().map(|part| part.len()).sum();
        fact!(self.cx, Fact::Called(id, ep, Call::Send(offered, result)));
        let blocked = matches!(result, Err(SocketError::WouldBlock));
        if result.is_ok() || (blocked && !self.net.ep(ep).is_connecting()) {
            let verdict = self.oracle.turn.wrote(ep, result.ok(), offered);
            self.oracle.judge(verdict);
            let is_short = result.unwrap_or(0) < offered;
            match self.oracle.side(ep) {
                Side::Front(front) => {
                    let at = &mut self.oracle.fronts[front as usize];
                    at.is_short = is_short;
                    if is_short {
                        at.stalled_at = Some(self.cx.now);
                    }
                }
                Side::Back(back) => self.oracle.backs[back as usize].is_short = is_short,
            }
        }
        match result {
            Ok(n) => {
                let verdict = self.oracle.tunnel_wrote(self.net, ep);
                self.oracle.judge(verdict);
                let mut left = n;
                for part in from {
                    let taken = &part[..part.len().min(left)];
                    left -= taken.len();
                    if !taken.is_empty() {
                        self.emitted(ep, taken);
                    }
                }
            }
            Err(SocketError::WouldBlock) => {}
            Err(error) => {
                let verdict = self.oracle.turn.write_failed(ep);
                self.oracle.judge(verdict);
                self.fails(ep, error);
            }
        }
        result
    }

    fn local_addr(&mut self, id: SocketId) -> Option<SocketAddr> {
        self.call();
        match self.oracle.side(self.sockets.ep(id)) {
            Side::Front(front) => {
                Some(listener_socket(self.oracle.fronts[front as usize].listener))
            }
            Side::Back(_) => None,
        }
    }

    fn keep_alive(&mut self, id: SocketId) {
        self.call();
        self.fold(9, id, 0);
        fact!(self.cx, Fact::Called(id, self.sockets.ep(id), Call::KeepAlive));
    }

    fn shutdown_write(&mut self, id: SocketId) {
        self.call();
        let ep = self.sockets.ep(id);
        self.fold(7, id, 0);
        fact!(self.cx, Fact::Called(id, ep, Call::Shutdown));
        if let Side::Front(front) = self.oracle.side(ep) {
            let verdict = tls::front_ended(self.oracle, self.net, front, Close::Normal);
            self.oracle.judge(verdict);
            self.oracle.front_ended(front, Close::Normal, false);
        }
        let verdict = self.oracle.finishes_writing(self.net, ep);
        self.oracle.judge(verdict);
        self.net.shutdown_write(self.cx, ep);
    }

    fn close(&mut self, id: SocketId, how: Close) {
        self.call();
        self.fold(8, id, how as u64);
        match self.sockets.take(id) {
            Slot::Free => {}
            Slot::Listener(_, listener) => {
                tell!(self.cx, Who::Proxy, "closes its listener {id:?}");
                let waiting = self.net.listener(listener).waiting();
                let verdict = reconfiguration::listener_closed(self.oracle, waiting);
                self.oracle.judge(verdict);
                self.net.close_listener(self.cx, listener);
            }
            Slot::Endpoint(_, ep) => {
                fact!(self.cx, Fact::Called(id, ep, Call::Close(how)));
                self.oracle.turn.closed(ep);
                self.closing(ep, how);
                match how {
                    Close::Normal => self.net.close(self.cx, ep),
                    Close::Reset => self.net.reset(self.cx, ep),
                }
            }
        }
    }
}

/// Where clients of the proxy's listener number `n` find it, be it on that address or on all.
pub fn listener_socket(n: usize) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 1), 8000 + n as u16))
}

/// Links of servers begin here; those of clients begin at 0.
pub const SERVER_LINKS: u32 = 1 << 16;

impl Gate<'_> {
    /// The proxy wrote `taken`: records are opened, and what they carry is judged.
    fn emitted(&mut self, ep: Ep, taken: &[u8]) {
        let taken = match self.in_the_clear(ep, taken) {
            Ok(taken) => taken,
            Err(breach) => return self.oracle.judge(Err(breach)),
        };
        let before = self.layers.facts(ep);
        let mut plain = std::mem::take(&mut self.layers.scratch);
        plain.clear();
        let now = self.layers.feed(self.net, ep, taken, &mut plain);
        if let Some((before, now)) = before.zip(now) {
            self.cx.trace.fold_cipher(taken);
            let verdict = tls::emitted(self.oracle, self.net, ep, &before, &now);
            self.oracle.judge(verdict);
        }
        let content = if now.is_some() { &plain[..] } else { taken };
        match self.oracle.side(ep) {
            Side::Front(front) => {
                self.oracle.secured(self.net, front);
                self.oracle.sent_to_client(self.net, front, content);
            }
            Side::Back(back) => self.oracle.sent_to_backend(self.net, back, content),
        }
        self.layers.scratch = plain;
    }

    /// Takes what goes before TLS off `taken`, which the proxy wrote.
    fn in_the_clear<'a>(&mut self, ep: Ep, taken: &'a [u8]) -> Verdict<&'a [u8]> {
        let Side::Back(back) = self.oracle.side(ep) else { return Ok(taken) };
        let at = &self.oracle.backs[back as usize];
        if at.tls.is_none() || !at.preface.is_awaited() {
            return Ok(taken);
        }
        let rest = proxy::take_preface(self.oracle, back, taken)?;
        let preface = &self.oracle.backs[back as usize].preface;
        if !preface.is_awaited() {
            self.layers.follows(self.net, ep, preface.len);
        }
        Ok(rest)
    }

    /// The proxy asks whether a connection stands.
    fn probe(&mut self, id: SocketId, ep: Ep) -> Result<usize, SocketError> {
        let result = self.net.probe(ep);
        self.fold(10, id, result.map_or_else(|error| 1 + error as u64, |_| 0));
        fact!(self.cx, Fact::Called(id, ep, Call::Probe(result)));
        match result {
            Ok(()) => Ok(0),
            Err(SocketError::WouldBlock) => Err(SocketError::WouldBlock),
            Err(error) => {
                self.fails(ep, error);
                Err(error)
            }
        }
    }

    fn closing(&mut self, ep: Ep, how: Close) {
        let verdict = self.oracle.tunnel_closes(self.net, ep, how);
        self.oracle.judge(verdict);
        match self.oracle.side(ep) {
            Side::Front(front) => {
                let end = self.net.ep(ep);
                let verdict = proxy::closes(self.oracle, front, end.is_reset() || end.has_fin());
                self.oracle.judge(verdict);
                let verdict = tls::front_ended(self.oracle, self.net, front, how)
                    .and_then(|()| answers::closes(self.oracle, self.net, front, how));
                self.oracle.judge(verdict);
                self.oracle.front_ended(front, how, true);
                self.oracle.unserved_closed(self.net, front);
            }
            Side::Back(back) => {
                self.oracle.back_closed(self.net, back);
                let at = &self.oracle.backs[back as usize];
                // A silent tunnel is no failure.
                let stands = at.is_tcp && self.net.ep(ep).is_open();
                if self.is_unused(back) && !stands {
                    self.back_failed(back);
                }
                self.oracle.truth.last_trouble_at = self.cx.now;
            }
        }
    }
}

//! Listeners: n + 1 established connections wait, the SYNs of the rest are dropped and come again.

use super::endpoint::State;
use super::{Ep, Net, Notice, Owner, Woken};
use crate::cx::{Cx, Ev, Flight, SEC};
use crate::mark;
use crate::site;
use crate::swarm::Fault;
use crate::trace;
use std::collections::VecDeque;
use tidegate_core::id::SocketId;
use tidegate_core::input::{AcceptError, SocketError};

/// SYNs that are sent a second apart, before the pauses begin to double.
const SYNS_LINEAR: u8 = 5;
/// Connection attempts whose SYN is dropped so often end with ETIMEDOUT, after 131 s.
const SYNS_MAX: u8 = 11;

/// Who accepts at a listener.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Acceptor {
    /// The proxy under test, by the listener's id.
    Proxy(SocketId),
    /// A backend server, by index.
    Server(u32),
}

/// A listening socket.
pub struct Listener {
    /// Who accepts.
    pub acceptor: Acceptor,
    /// Number of its address.
    pub address: u16,
    pub(super) backlog: usize,
    pub(super) queue: VecDeque<Ep>,
    pub(super) is_open: bool,
    woken: bool,
}

impl Listener {
    /// Established connections that wait to be accepted.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether somebody waits whom the acceptor was not told of.
    pub fn is_woken(&self) -> bool {
        self.woken
    }

    /// Whether it still listens.
    pub fn is_open(&self) -> bool {
        self.is_open
    }
}

impl Net {
    /// Starts to listen on address number `address`; the listener's index.
    pub fn listen(&mut self, acceptor: Acceptor, address: u16, backlog: usize) -> u32 {
        if matches!(acceptor, Acceptor::Proxy(_)) {
            self.proxy_sockets += 1;
        }
        let queue = VecDeque::new();
        self.listeners.push(Listener {
            acceptor,
            address,
            backlog,
            queue,
            is_open: true,
            woken: false,
        });
        (self.listeners.len() - 1) as u32
    }

    /// The listener with this index.
    pub fn listener(&self, listener: u32) -> &Listener {
        &self.listeners[listener as usize]
    }

    /// Closes a listener and resets every connection that was not accepted.
    pub fn close_listener(&mut self, cx: &mut Cx, listener: u32) {
        let closed = &mut self.listeners[listener as usize];
        if !closed.is_open {
            return;
        }
        closed.is_open = false;
        if matches!(closed.acceptor, Acceptor::Proxy(_)) {
            self.proxy_sockets -= 1;
        }
        for ep in std::mem::take(&mut closed.queue) {
            cx.mark(mark!("kernel: unaccepted reset by closing listener"));
            self.ep_mut(ep).in_backlog = false;
            self.reset(cx, ep);
        }
    }

    /// The listener that SYNs to address number `address` reach: the youngest open one.
    fn listening_on(&self, address: u16) -> Option<usize> {
        self.listeners.iter().rposition(|l| l.is_open && l.address == address)
    }

    /// A SYN arrives at the passive end `ep`.
    pub(super) fn arrive_syn(&mut self, cx: &mut Cx, ep: Ep) {
        let active = ep ^ 1;
        if self.ep(active).state != State::Connecting || self.ep(ep).state != State::Unborn {
            return;
        }
        if self.ep(active).syn_tries == SYNS_MAX {
            return self.give_up_connecting(active);
        }
        let address = self.ep(ep).address;
        let Some(index) = self.listening_on(address) else {
            cx.mark(mark!("kernel: connection refused"));
            self.fly(cx, active, Flight::Refused);
            return;
        };
        let is_lost = self.faults.black_holes.contains(&address);
        let listener = &mut self.listeners[index];
        if is_lost || listener.queue.len() > listener.backlog {
            if is_lost {
                cx.fired(Fault::BlackHole);
            }
            cx.mark(if is_lost {
                mark!("kernel: SYN lost in a black hole")
            } else {
                mark!("kernel: SYN dropped at a full backlog")
            });
            self.retry_syn(cx, ep);
            return;
        }
        listener.queue.push_back(ep);
        let end = self.ep_mut(ep);
        end.state = State::Open;
        end.in_backlog = true;
        self.wake_listener(index as u32);
        self.fly(cx, active, Flight::SynAck);
    }

    fn retry_syn(&mut self, cx: &mut Cx, ep: Ep) {
        let active = self.ep_mut(ep ^ 1);
        active.syn_tries += 1;
        let delay = SEC << active.syn_tries.saturating_sub(SYNS_LINEAR);
        cx.after(delay, ep.into(), Ev::Flight(ep, Flight::Syn));
    }

    /// The pause after the last SYN is over.
    fn give_up_connecting(&mut self, active: Ep) {
        let end = self.ep_mut(active);
        end.state = State::Dead;
        end.reset_in = true;
        end.error = Some(SocketError::TimedOut);
        self.wake(active);
    }

    /// Tells the owner of a listener that it is readable.
    fn wake_listener(&mut self, index: u32) {
        let listener = &mut self.listeners[index as usize];
        if listener.woken {
            return;
        }
        listener.woken = true;
        match listener.acceptor {
            Acceptor::Proxy(_) => self.proxy_woken.push_back(Woken::Listener(index)),
            Acceptor::Server(server) => {
                listener.woken = false;
                self.notices.push_back(Notice::Server(server));
            }
        }
    }

    /// The owner of a listener was told.
    pub fn told_listener(&mut self, index: u32) {
        self.listeners[index as usize].woken = false;
    }

    /// Accepts the oldest waiting connection for `owner`.
    pub fn accept(&mut self, cx: &mut Cx, listener: u32, owner: Owner) -> Result<Ep, AcceptError> {
        let is_proxy = matches!(owner, Owner::Proxy(_));
        if self.listeners[listener as usize].queue.is_empty() {
            return Err(AcceptError::WouldBlock);
        }
        let interrupts = self.faults.accept_interrupts;
        if is_proxy && cx.chance(site!("kernel/accept EINTR"), u64::from(listener), interrupts) {
            cx.fired(Fault::AcceptInterrupts);
            return Err(AcceptError::Connection);
        }
        if is_proxy && self.is_out_of_descriptors() {
            cx.fired(Fault::Descriptors);
            cx.mark(mark!("kernel: EMFILE on accept"));
            return Err(AcceptError::Resources);
        }
        let Some(ep) = self.listeners[listener as usize].queue.pop_front() else {
            return Err(AcceptError::WouldBlock);
        };
        self.ep_mut(ep).in_backlog = false;
        let aborts = self.faults.accept_aborts;
        if is_proxy && cx.chance(site!("kernel/accept aborts"), u64::from(listener), aborts) {
            cx.fired(Fault::AcceptAborts);
            cx.mark(mark!("kernel: ECONNABORTED on accept"));
            trace!(cx, "kernel: accept of {ep} aborted");
            self.reset(cx, ep);
            return Err(AcceptError::Connection);
        }
        self.ep_mut(ep).owner = owner;
        if is_proxy {
            self.proxy_sockets += 1;
        }
        self.wake(ep);
        Ok(ep)
    }

    /// Takes the oldest waiting connection with the spare descriptor and closes it.
    pub fn shed(&mut self, cx: &mut Cx, listener: u32) -> Option<Ep> {
        let ep = self.listeners[listener as usize].queue.pop_front()?;
        self.ep_mut(ep).in_backlog = false;
        self.close(cx, ep);
        Some(ep)
    }

    /// Whether the proxy can open no further socket.
    pub fn is_out_of_descriptors(&self) -> bool {
        self.faults.descriptors_max.is_some_and(|max| self.proxy_sockets >= max)
    }
}

//! One end of a connection.

use super::Wire;
use std::collections::VecDeque;
use tidegate_core::id::SocketId;
use tidegate_core::input::{Readiness, SocketError};

/// Who holds a socket.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Owner {
    /// Nobody yet: it waits in a backlog, or was never born.
    Nobody,
    /// The proxy under test, by its id.
    Proxy(SocketId),
    /// A client actor, by index.
    Client(u32),
    /// A backend connection actor, by index.
    Backend(u32),
}

/// How far a socket's connection has come.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// The passive end before its SYN came.
    Unborn,
    /// The active end before it was answered.
    Connecting,
    /// Established; either direction may be finished.
    Open,
    /// Reset, refused or aborted.
    Dead,
}

/// One end of a connection: two buffers and what the kernel knows of the peer.
pub struct Endpoint {
    /// Who holds it.
    pub owner: Owner,
    pub(super) state: State,
    /// Number of the address that was connected to.
    pub address: u16,
    pub(super) link: u32,
    pub(super) out: VecDeque<u8>,
    pub(super) inflight: usize,
    pub(super) send_cap: usize,
    pub(super) nospace: bool,
    pub(super) recv: VecDeque<u8>,
    pub(super) recv_cap: usize,
    pub(super) fin_in: bool,
    pub(super) reset_in: bool,
    /// Shut down while it was connecting: hung up, but its stream never began and never ends.
    pub(super) aborted: bool,
    pub(super) error: Option<SocketError>,
    pub(super) shut: bool,
    pub(super) fin_flown: bool,
    pub(super) closed: bool,
    pub(super) in_backlog: bool,
    pub(super) woken: bool,
    pub(super) syn_tries: u8,
    pub(super) tiny: u16,
    pub(super) latency: u64,
    pub(super) last_flight: u64,
    /// Bytes its application wrote.
    pub written: u64,
    /// Bytes of those that reached the peer's receive buffer.
    pub arrived: u64,
    /// Bytes its application read.
    pub read: u64,
}

impl Endpoint {
    /// How long what it sends takes to arrive, in nanoseconds, in the middle of its jitter.
    pub(crate) fn usual_latency(&self) -> u64 {
        self.latency + self.latency / 8
    }

    fn new(
        address: u16,
        link: u32,
        wire: &Wire,
        out: VecDeque<u8>,
        recv: VecDeque<u8>,
    ) -> Endpoint {
        Endpoint {
            owner: Owner::Nobody,
            state: State::Unborn,
            address,
            link,
            out,
            inflight: 0,
            send_cap: 0,
            nospace: false,
            recv,
            recv_cap: 0,
            fin_in: false,
            reset_in: false,
            aborted: false,
            error: None,
            shut: false,
            fin_flown: false,
            closed: false,
            in_backlog: false,
            woken: false,
            syn_tries: 0,
            tiny: wire.tiny_segments,
            latency: wire.latency,
            last_flight: 0,
            written: 0,
            arrived: 0,
            read: 0,
        }
    }

    pub(super) fn active(
        owner: Owner,
        address: u16,
        link: u32,
        wire: &Wire,
        out: VecDeque<u8>,
        recv: VecDeque<u8>,
    ) -> Endpoint {
        Endpoint {
            owner,
            state: State::Connecting,
            send_cap: wire.active_send,
            recv_cap: wire.active_recv,
            ..Endpoint::new(address, link, wire, out, recv)
        }
    }

    pub(super) fn passive(
        address: u16,
        link: u32,
        wire: &Wire,
        out: VecDeque<u8>,
        recv: VecDeque<u8>,
    ) -> Endpoint {
        Endpoint {
            send_cap: wire.passive_send,
            recv_cap: wire.passive_recv,
            ..Endpoint::new(address, link, wire, out, recv)
        }
    }

    /// Room for writing, in bytes.
    pub fn space(&self) -> usize {
        self.send_cap - self.out.len().min(self.send_cap)
    }

    /// Whether the kernel calls the socket writable: at least a third of the buffer is free.
    pub fn is_writable(&self) -> bool {
        match self.state {
            State::Unborn | State::Connecting => false,
            State::Open => self.shut || self.space() * 3 >= self.send_cap,
            State::Dead => true,
        }
    }

    pub(super) fn mask(&self) -> Readiness {
        if matches!(self.state, State::Unborn | State::Connecting) {
            return Readiness::default();
        }
        let is_over = self.fin_in || self.reset_in;
        Readiness {
            readable: !self.recv.is_empty() || is_over,
            writable: self.is_writable(),
            read_closed: is_over || self.aborted,
            error: self.error.is_some(),
        }
    }

    /// Bytes that wait to be read.
    pub fn unread(&self) -> usize {
        self.recv.len()
    }

    /// Puts `count` bytes into its receive buffer, from nowhere.
    #[cfg(test)]
    pub fn stuff(&mut self, count: usize) {
        self.recv.extend(std::iter::repeat_n(0, count));
    }

    /// Its application finishes writing, of which nobody learns.
    #[cfg(test)]
    pub fn finish(&mut self) {
        self.shut = true;
    }

    /// Whether the peer's FIN has arrived.
    pub fn has_fin(&self) -> bool {
        self.fin_in
    }

    /// Whether a reset, or a refusal, has arrived.
    pub fn is_reset(&self) -> bool {
        self.reset_in
    }

    /// Whether its application has closed it.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether its application has finished writing.
    pub fn is_shut(&self) -> bool {
        self.shut
    }

    /// Whether something happened to it that its owner was not told yet.
    pub fn is_woken(&self) -> bool {
        self.woken
    }

    /// Whether it is still to be established.
    pub fn is_connecting(&self) -> bool {
        self.state == State::Connecting
    }

    /// Whether bytes can still go both ways as far as this end knows.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether nothing goes either way any more: it was reset, or refused.
    pub fn is_dead(&self) -> bool {
        self.state == State::Dead
    }

    /// Whether neither an application nor a flight needs it any more.
    pub fn is_gone(&self) -> bool {
        let done = matches!(self.state, State::Dead | State::Unborn)
            || (self.fin_flown && self.out.is_empty() && self.fin_in);
        done && (self.closed || self.owner == Owner::Nobody && !self.in_backlog)
    }

    /// Whether a write met a full buffer, or the owner heard of one, and the writable edge has not
    /// come back since.
    pub fn owes_writable(&self) -> bool {
        self.nospace
    }

    /// Number of the cable it hangs on.
    pub fn link(&self) -> u32 {
        self.link
    }
}

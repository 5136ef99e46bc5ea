//! Bytes both ways as they are: TCP sessions, and HTTP ones after an upgrade (TUN-1 to TUN-3).
//!
//! Each direction is a pipe and a [`Flow`]. An end is passed on behind the last byte, the other
//! direction stays open; an end that may hide missing bytes is passed on as a reset.

use super::dial::ending;
use super::state::{Move, State};
use super::{Exchange, Moved, SessionId};
use crate::buffer::Encoding;
use crate::effect::{Close, Effect};
use crate::event::{Ending, Phase, Timer, Who};
use crate::http1::BodyReader;
use crate::id::SocketId;
use crate::proxy::Proxy;
use crate::reach::Decision;

/// How far one direction of a tunnel has come.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Flow {
    /// Its source may send.
    #[default]
    Open,
    /// Its source has ended; bytes are still to be passed on, and then the end.
    Ending,
    /// Its source broke off: when the bytes are passed on, so is that.
    Broken,
    /// Its end was passed on.
    Ended,
}

impl Proxy {
    /// A TCP session has done everything that lies below: it needs buffers, and a server.
    pub(crate) fn begin_tcp(&mut self, id: SessionId) {
        let spans = self.versions[self.current].config.timeouts;
        let due = self.now.deadline(spans.backend_queue);
        let session = &mut self.sessions[id];
        session.go(Move::Carry);
        session.timers.set_front(Timer::BackendQueue, due);
        self.ready_tcp(id);
    }

    /// Goes on with a TCP session once its buffers are promised to it.
    pub(crate) fn ready_tcp(&mut self, id: SessionId) {
        if !self.begin_read(id) {
            return;
        }
        let now = self.now;
        let session = self.sessions.get_mut(id).expect("a live session");
        session.timers.clear_front();
        session.requests = 1;
        let opening = session.opening.take().expect("a TCP session opens under a version");
        let (serial, client) = (session.serial, session.peer);
        let socket = session.front;
        let version = &self.versions[opening.version];
        let x = session.x();
        // The count moves from the session to its exchange.
        x.version = Some(opening.version);
        x.tcp = true;
        x.record.tcp = true;
        x.record.version = version.serial;
        x.record.listener = Some(opening.listener);
        x.record.session = serial;
        x.record.request = 1;
        x.record.client = client;
        x.record.start = now;
        x.mark = now;
        x.record.received = x.request.input_len() as u64;
        if let Some(tls) = self.sockets.get(socket).and_then(|socket| socket.tls()) {
            x.record.tls = Some(tls.facts());
        }
        let to = x.record.cluster.or(version.forwards[usize::from(opening.listener)].to);
        x.record.cluster = to;
        self.pour(id);
        match to {
            Some(_) => self.dispatch(id),
            None => self.give_up(id, ending(Who::Proxy, Phase::Connect)),
        }
    }

    /// From here on, bytes pass both ways as they are; first those that came already.
    fn pour(&mut self, id: SessionId) {
        let x = self.sessions[id].x();
        (x.request_body, x.response_body) = (BodyReader::UntilClose, BodyReader::UntilClose);
        (x.request_encoding, x.response_encoding) = (Encoding::Raw, Encoding::Raw);
        let poured = x.request.take_body(&mut x.request_body, Encoding::Raw);
        debug_assert!(poured.is_ok(), "bytes until the end are never bad");
    }

    /// The session ends without an answer: a TCP one has none.
    pub(crate) fn give_up(&mut self, id: SessionId, ending: Ending) {
        self.abort(id, ending);
    }

    /// The server agreed to switch protocols; its 101 is the response pipe's output (TUN-3).
    pub(crate) fn begin_upgrade(&mut self, id: SessionId) {
        self.sessions[id].go(Move::Upgrade);
        self.pour(id);
        self.begin_tunnel(id);
    }

    /// The server's connection of a TCP session stands.
    pub(crate) fn join(&mut self, id: SessionId) {
        self.sessions[id].go(Move::Join);
        let now = self.now;
        let x = self.sessions[id].x();
        x.charge(State::Connect, now);
        self.praise(id);
        self.begin_tunnel(id);
    }

    fn begin_tunnel(&mut self, id: SessionId) {
        self.counters.tunnels += 1;
        let session = &mut self.sessions[id];
        session.timers.clear_front();
        session.timers.clear_back();
        let front = session.front;
        let x = session.x();
        x.request.release_kept(&mut self.pool);
        let back = self.backs[x.back.expect("a tunnel has a connection")].socket;
        self.effects.push_back(Effect::KeepAlive(front));
        self.effects.push_back(Effect::KeepAlive(back));
    }

    /// The client's or the server's socket gave `n` bytes of a tunnel; none are its end.
    pub(crate) fn tunnel_received(&mut self, id: SessionId, from_front: bool, n: usize) {
        let session = &self.sessions[id];
        let socket = if from_front { session.front } else { self.back_socket(id) };
        let broken = n == 0 && (self.is_truncated(socket) || self.was_reset(socket));
        let x = self.sessions[id].x();
        if n == 0 {
            let flow = if from_front { &mut x.to_back } else { &mut x.to_front };
            *flow = if broken { Flow::Broken } else { Flow::Ending };
            return self.pass_ends_on(id);
        }
        let (pipe, body) = match from_front {
            true => (&mut x.request, &mut x.request_body),
            false => (&mut x.response, &mut x.response_body),
        };
        pipe.filled(&mut self.pool, n);
        let poured = pipe.take_body(body, Encoding::Raw);
        debug_assert!(poured.is_ok(), "bytes until the end are never bad");
        if from_front {
            x.record.received += n as u64;
        }
    }

    fn was_reset(&self, socket: SocketId) -> bool {
        self.sockets.get(socket).is_some_and(|socket| socket.reset)
    }

    fn back_socket(&self, id: SessionId) -> SocketId {
        let x = self.sessions[id].exchange.as_deref().expect("a tunnel has an exchange");
        self.backs[x.back.expect("a tunnel has a connection")].socket
    }

    /// Bytes of a tunnel went out.
    pub(crate) fn tunnel_sent(&mut self, id: SessionId) {
        self.pass_ends_on(id);
    }

    /// Passes on what ends behind its last byte, and ends the tunnel when both ways have ended.
    fn pass_ends_on(&mut self, id: SessionId) {
        let (front, back) = (self.sessions[id].front, self.back_socket(id));
        let x = self.sessions[id].x();
        let sides = [
            (x.to_back, x.request.unsent(), back, Who::Client),
            (x.to_front, x.response.unsent(), front, Who::Backend),
        ];
        let mut ended = [false; 2];
        for ((flow, unsent, to, who), ended) in sides.into_iter().zip(&mut ended) {
            let owes = self.sockets.get(to).is_some_and(|socket| socket.owes());
            *ended = match flow {
                Flow::Broken if unsent == 0 && !owes => return self.break_tunnel(id, who),
                Flow::Ending if unsent == 0 => self.finish_writing(to),
                flow => flow == Flow::Ended,
            };
        }
        let x = self.sessions[id].x();
        for (flow, ended) in [(&mut x.to_back, ended[0]), (&mut x.to_front, ended[1])] {
            if ended {
                *flow = Flow::Ended;
            }
        }
        self.reach.decided_if(ended[0] != ended[1], Decision::TunnelHalfClosed);
        if ended == [true, true] {
            let how = match x.back_write_failed {
                true => ending(Who::Backend, Phase::Tunnel),
                false => ending(Who::Nobody, Phase::Complete),
            };
            self.end_tunnel(id, how);
        }
    }

    /// The server takes no more bytes of a tunnel. If it had ended its own before, no read will
    /// tell of it: what it sent is whole, and the tunnel ends behind that.
    pub(crate) fn back_takes_no_more(&mut self, id: SessionId) {
        let x = self.sessions[id].x();
        if matches!(x.to_front, Flow::Ending | Flow::Ended) {
            self.reach.decided(Decision::TunnelServerDeaf);
            x.back_write_failed |= x.to_back != Flow::Ended;
            x.to_back = Flow::Ended;
            self.pass_ends_on(id);
        }
    }

    /// An event told that the server's connection broke: a tunnel that reads nothing from there
    /// any more has no other way to know.
    pub(crate) fn back_broke_off(&mut self, id: SessionId) {
        if self.sessions[id].state == State::Tunnel {
            self.back_takes_no_more(id);
            self.settle(id, Moved::Nobody);
        }
    }

    /// Says on a socket that nothing more will come. False while that waits for room.
    fn finish_writing(&mut self, id: SocketId) -> bool {
        let socket = self.sockets.get_mut(id).expect("a tunnel's socket");
        if let Some(tls) = socket.tls_mut() {
            tls.close_notify();
        }
        if socket.owes() {
            return false;
        }
        if let Some(transport) = socket.transport.as_deref_mut() {
            transport.mute();
        }
        self.effects.push_back(Effect::ShutdownWrite(id));
        true
    }

    /// A side broke off: the other one must not take what it has for complete.
    pub(crate) fn break_tunnel(&mut self, id: SessionId, who: Who) {
        self.counters.truncated += 1;
        self.reach.decided(match who {
            Who::Client => Decision::TunnelClientBroke,
            _ => Decision::TunnelServerBroke,
        });
        self.emit_record(id, ending(who, Phase::Tunnel));
        self.close_session(id, Close::Reset);
    }

    /// The tunnel has come to its end, or is brought to it.
    pub(crate) fn end_tunnel(&mut self, id: SessionId, ending: Ending) {
        debug_assert_eq!(self.sessions[id].state, State::Tunnel);
        let x = self.sessions[id].x();
        // Whoever has not read all must not take what it has for complete.
        let is_cut = x.request.unsent() > 0 || x.response.unsent() > 0;
        self.counters.truncated += u64::from(is_cut);
        self.reach.decided_if(is_cut, Decision::TunnelCut);
        self.emit_record(id, ending);
        self.close_session(id, if is_cut { Close::Reset } else { Close::Normal });
    }
}

impl Exchange {
    /// Whether the client's bytes may still come, and the server's.
    pub(crate) fn flows(&self) -> (bool, bool) {
        (self.to_back == Flow::Open, self.to_front == Flow::Open)
    }
}

//! What the server sends: bytes, its end, its failure.

use super::dial::{Fault, ending, phase_of};
use super::state::State;
use super::{ResponsePhase, SessionId};
use crate::event::{Phase, Who};
use crate::input::SocketError;
use crate::proxy::Proxy;
use crate::reach::Decision;

impl Proxy {
    /// The server's socket gave `n` bytes; none means that it has finished writing.
    pub(crate) fn back_received(&mut self, id: SessionId, n: usize) {
        if n == 0 && self.sessions[id].state != State::Tunnel {
            return self.back_ended(id);
        }
        if self.sessions[id].state == State::Tunnel {
            return self.tunnel_received(id, false, n);
        }
        let x = self.sessions[id].exchange.as_deref_mut().expect("a request is being served");
        if x.given == 0 {
            // Nothing was asked yet: this is no answer to this request (BACK-7).
            self.reach.decided(Decision::ServerSpokeUnasked);
            x.response.take_back(&mut self.pool);
            return self.back_lost(id, Fault::Closed);
        }
        x.response_begun = true;
        // After a byte of a response nothing is sent again (BACK-3).
        if x.request.is_keeping() {
            x.request.release_kept(&mut self.pool);
        }
        x.response.filled(&mut self.pool, n);
        match x.phase {
            ResponsePhase::Head => self.scan_response(id),
            ResponsePhase::Body => self.take_response_body(id),
            ResponsePhase::Interim | ResponsePhase::Done => {
                unreachable!("nothing is read behind a response")
            }
        }
    }

    /// Whether a connection that was used before has something to say, bytes or its end, while
    /// nothing of the request was given to it: it came after the connection was taken.
    pub(crate) fn speaks_unasked(&self, id: SessionId) -> bool {
        let session = &self.sessions[id];
        if session.state != State::Relay {
            return false;
        }
        let x = session.exchange.as_deref().expect("a request is being served");
        if x.given != 0 || x.sealed != 0 || x.phase != ResponsePhase::Head {
            return false;
        }
        let back = x.back.map(|back| &self.backs[back]).filter(|back| back.reused);
        let socket = back.and_then(|back| self.sockets.get(back.socket));
        socket.is_some_and(|socket| !socket.is_silent())
    }

    /// The server has finished writing.
    fn back_ended(&mut self, id: SessionId) {
        let x = self.sessions[id].exchange.as_deref().expect("a request is being served");
        let back = &self.backs[x.back.expect("it was just read")];
        let reset = self.sockets.get(back.socket).is_some_and(|socket| socket.reset);
        let fault = if reset || self.is_truncated(back.socket) {
            Fault::Socket(SocketError::Reset)
        } else {
            Fault::Closed
        };
        self.back_lost(id, fault);
    }

    /// The server's connection is of no more use.
    pub(crate) fn back_lost(&mut self, id: SessionId, fault: Fault) {
        let state = self.sessions[id].state;
        if state == State::Tunnel {
            return self.break_tunnel(id, Who::Backend);
        }
        let x = self.sessions[id].exchange.as_deref().expect("a request is being served");
        if state == State::Connect {
            return self.attempt_failed(id, fault);
        }
        let back = x.back.expect("a connection was lost");
        let reused = self.backs[back].reused;
        match x.phase {
            ResponsePhase::Head if !x.response_begun => self.attempt_failed(id, fault),
            ResponsePhase::Head | ResponsePhase::Interim => {
                let phase = phase_of(x.request_sent());
                if !reused {
                    self.blame(id);
                }
                self.answer(id, 502, ending(Who::Backend, phase));
            }
            ResponsePhase::Body => {
                if x.response_body.at_eof() && fault == Fault::Closed {
                    self.end_response_body(id);
                } else {
                    self.cut_response(id, ending(Who::Backend, Phase::ResponseBody));
                }
            }
            ResponsePhase::Done => unreachable!("the connection was given back"),
        }
    }

    /// A read or a write on the server's socket failed.
    pub(crate) fn back_failed(&mut self, id: SessionId, error: SocketError, writing: bool) {
        let connecting = self.sessions[id].state == State::Connect;
        let x = self.sessions[id].exchange.as_deref_mut().expect("a request is being served");
        if !writing || (x.given == 0 && !x.tcp) || connecting {
            return self.back_lost(id, Fault::Socket(error));
        }
        // What the server sent before it stopped reading may be an answer: read on to the end.
        self.reach.decided(Decision::ServerReadOnAfterWriteFailed);
        x.back_write_failed = true;
        let back = &self.backs[x.back.expect("it was just written to")];
        let socket = back.socket;
        if let Some(socket) = self.sockets.get_mut(socket) {
            socket.reset = true;
            if let Some(transport) = socket.transport.as_deref_mut() {
                transport.mute();
            }
        }
        if !x.request.is_keeping() {
            x.request.drop_output(&mut self.pool);
        }
        self.sockets.assume_readable(socket);
        if self.sessions[id].state == State::Tunnel {
            self.back_takes_no_more(id);
        }
    }
}

//! After each input: what the session wants of its sockets, and which timers run. Both follow
//! from its state, so that no path can forget to set them.

use super::state::State;
use super::{BufferWait, Exchange, ResponsePhase, Session, SessionId};
use crate::buffer::Pool;
use crate::event::Timer;
use crate::proxy::Proxy;
use crate::sockets::Ops;

/// Which peer has just made progress: its idle timer starts anew.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Moved {
    Nobody,
    Front,
    Back,
}

/// What a session waits for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wants {
    pub(crate) front: Ops,
    pub(crate) back: Ops,
}

/// What `session` wants of its sockets: a function of its state. `tls_to_back`: there is TLS to
/// its server. `speaks_unasked`: that has something to say though nothing was asked yet.
pub(crate) fn wants(
    session: &Session,
    pool: &Pool,
    tls_to_back: bool,
    speaks_unasked: bool,
) -> Wants {
    let none = Wants { front: Ops::NONE, back: Ops::NONE };
    let read = Wants { front: Ops::READ, ..none };
    match session.state {
        State::Idle | State::ExpectProxy | State::Hello => {
            let can_read = session.buffers != BufferWait::Waiting;
            Wants { front: Ops::NONE.with(Ops::READ, can_read), ..none }
        }
        State::Linger | State::Handshake => read,
        State::Open | State::Ready | State::Queue | State::Pause | State::Closed => none,
        _ => {
            let x = session.exchange.as_deref().expect("an exchange outside Idle");
            let flush = Ops::NONE.with(Ops::WRITE, x.response.unsent() > 0);
            match session.state {
                State::Head if x.is_resuming => Wants { front: Ops::RESUME, ..none },
                State::Head => read,
                State::Answer => Wants { front: flush, ..none },
                // TLS writes on its own account, and stands when it has read enough.
                State::Connect if tls_to_back => Wants { back: Ops::READ, ..none },
                State::Connect => Wants { back: Ops::WRITE, ..none },
                State::Tunnel => wants_of_tunnel(x, flush, pool),
                // What it says is read first: it would be taken for the answer (BACK-7).
                _ if speaks_unasked => Wants { front: flush, back: Ops::READ },
                _ => wants_of_relay(x, flush, pool),
            }
        }
    }
}

fn wants_of_relay(x: &Exchange, flush: Ops, pool: &Pool) -> Wants {
    let body = !x.request_read()
        && !x.back_write_failed
        && x.back.is_some()
        && x.request.has_body_space(pool);
    let response = match x.phase {
        ResponsePhase::Head => true,
        ResponsePhase::Body => x.response.has_body_space(pool),
        ResponsePhase::Interim | ResponsePhase::Done => false,
    };
    let request = x.request.unsent() > 0 && !x.back_write_failed;
    Wants {
        front: flush.with(Ops::READ, body),
        back: Ops::NONE.with(Ops::READ, response).with(Ops::WRITE, request),
    }
}

fn wants_of_tunnel(x: &Exchange, flush: Ops, pool: &Pool) -> Wants {
    let (from_front, from_back) = x.flows();
    let up = from_front && !x.back_write_failed && x.request.has_body_space(pool);
    let down = from_back && x.response.has_body_space(pool);
    let request = x.request.unsent() > 0 && !x.back_write_failed;
    Wants {
        front: flush.with(Ops::READ, up),
        back: Ops::NONE.with(Ops::READ, down).with(Ops::WRITE, request),
    }
}

impl Proxy {
    /// Brings interest and timers in line with the session's state.
    pub(crate) fn settle(&mut self, id: SessionId, moved: Moved) {
        let Some(session) = self.sessions.get(id) else { return };
        if session.broken {
            return self.close_broken(id);
        }
        if self.sockets.get(session.front).is_some_and(|socket| socket.read_closed) {
            self.front_read_closed(id);
        }
        if !self.settle_buffers(id) {
            return;
        }
        let session = &self.sessions[id];
        let back = session.exchange.as_deref().and_then(|x| x.back);
        let back = back.map(|back| self.backs[back].socket);
        let back_socket = back.and_then(|back| self.sockets.get(back));
        let tls_to_back = back_socket.is_some_and(|socket| socket.tls().is_some());
        let wants = wants(session, &self.pool, tls_to_back, self.speaks_unasked(id));
        self.sockets.want(session.front, wants.front);
        if let Some(back) = back {
            self.sockets.want(back, wants.back);
        }
        if self.sessions[id].is_idle_listed {
            self.offer_room();
        }
        self.settle_front_timer(id, wants, moved);
        self.settle_back_timer(id, wants, moved);
        let session = &self.sessions[id];
        let (deadline, earliest) = (session.deadline, session.timers.earliest());
        self.deadlines.set(deadline, earliest);
    }

    /// Buffers that are not needed for now go back, and a session that waited for some goes on.
    /// False if it is gone.
    fn settle_buffers(&mut self, id: SessionId) -> bool {
        let Some(session) = self.sessions.get_mut(id) else { return false };
        match (session.state, session.exchange.as_deref_mut()) {
            (State::Idle, Some(_)) => self.release_exchange(id),
            (State::ExpectProxy | State::Hello, Some(x)) if x.request.input_len() == 0 => {
                self.release_exchange(id);
            }
            (State::Ready, _) if session.buffers == BufferWait::Promised => self.ready_tcp(id),
            (State::Tunnel, Some(x)) => x.park(&mut self.pool),
            _ => {}
        }
        self.sessions.get(id).is_some()
    }

    /// `tunnel_idle` runs anew from each byte; `client_idle` runs while the proxy waits for the
    /// client to send its body, or to read.
    fn settle_front_timer(&mut self, id: SessionId, wants: Wants, moved: Moved) {
        let session = &self.sessions[id];
        match session.state {
            State::Idle if session.timers.front().is_none() => {
                return self.start_idle_timer(id);
            }
            State::Tunnel => {
                if moved != Moved::Nobody || session.timers.front() != Some(Timer::TunnelIdle) {
                    let due = self.now.deadline(self.cluster_timeouts(id).tunnel_idle);
                    self.sessions[id].timers.set_front(Timer::TunnelIdle, due);
                }
                return;
            }
            State::Queue | State::Connect | State::Pause | State::Relay | State::Answer => {}
            _ => return,
        }
        let unread = self.has_unread(id, wants);
        let x = session.exchange.as_deref().expect("an exchange outside Idle");
        if !unread && (!wants.front.has(Ops::READ) || x.awaits_continue()) {
            self.sessions[id].timers.clear_front();
        } else if moved == Moved::Front || session.timers.front() != Some(Timer::ClientIdle) {
            let due = self.now.deadline(self.front_timeouts(id).client_idle);
            self.sessions[id].timers.set_front(Timer::ClientIdle, due);
        }
    }

    /// Whether the client has yet to read before more can be sent to it.
    fn has_unread(&self, id: SessionId, wants: Wants) -> bool {
        let socket = self.sockets.get(self.sessions[id].front);
        let owes = socket.is_some_and(|socket| socket.owes());
        (wants.front.has(Ops::WRITE) || owes) && !self.front_writable(id)
    }

    fn front_writable(&self, id: SessionId) -> bool {
        let front = self.sessions[id].front;
        self.sockets.get(front).is_some_and(|socket| socket.is_ready(Ops::WRITE))
    }

    /// `backend_response` runs from the request's last byte to the response's head;
    /// `backend_idle` while the proxy waits for the server to read, or to send its body.
    fn settle_back_timer(&mut self, id: SessionId, wants: Wants, moved: Moved) {
        let session = &self.sessions[id];
        match session.state {
            State::Relay => {}
            State::Queue | State::Connect | State::Pause => return,
            _ => return self.sessions[id].timers.clear_back(),
        }
        let x = session.exchange.as_deref().expect("an exchange is relayed");
        let held = x.awaits_continue() && x.request.unsent() == 0;
        let socket = x.back.and_then(|back| self.sockets.get(self.backs[back].socket));
        // Records that are still to be sent are part of the request; what TLS says later is not.
        let waits = session.timers.back() == Some(Timer::BackendResponse);
        let owes = !waits && socket.is_some_and(|socket| socket.owes());
        let sent = ((x.request_sent() || held) && !owes) || x.back_write_failed;
        let unread = (wants.back.has(Ops::WRITE) || owes)
            && socket.is_some_and(|socket| !socket.is_ready(Ops::WRITE));
        let timer = match x.phase {
            // Not while the server's answer waits behind an interim one that the client does not
            // read: that is not the server's fault.
            ResponsePhase::Interim if self.has_unread(id, wants) => None,
            ResponsePhase::Head | ResponsePhase::Interim if sent => Some(Timer::BackendResponse),
            ResponsePhase::Body if wants.back.has(Ops::READ) => Some(Timer::BackendIdle),
            ResponsePhase::Done => None,
            _ => unread.then_some(Timer::BackendIdle),
        };
        match timer {
            None => self.sessions[id].timers.clear_back(),
            Some(timer) => {
                let extends = timer == Timer::BackendIdle && moved == Moved::Back;
                if !extends && session.timers.back() == Some(timer) {
                    return;
                }
                let spans = self.cluster_timeouts(id);
                let span = match timer {
                    Timer::BackendResponse => spans.backend_response,
                    _ => spans.backend_idle,
                };
                let due = self.now.deadline(span);
                self.sessions[id].timers.set_back(timer, due);
            }
        }
    }
}

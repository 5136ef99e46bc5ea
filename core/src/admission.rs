//! From a listener's backlog to a session: the accept queue and its limits (ACC).

use crate::accept::{ACCEPT_PAUSE, Waiting};
use crate::effect::Close;
use crate::event::{Event, Timer};
use crate::flight::Cause;
use crate::id::SocketId;
use crate::input::AcceptError;
use crate::listen::ListenId;
use crate::proxy::{Proxy, Wakes};
use crate::reach::{Decision, Trail};
use crate::rng::{Child, Draw};
use crate::session::state::State;
use crate::session::{BufferWait, Carries, Moved, Session, SessionId, Timers};
use crate::sockets::{Ops, Owner};
use std::net::SocketAddr;

impl Proxy {
    /// The id that the next [`accepted`](Proxy::accepted) connection will get.
    pub fn next_socket_id(&self) -> SocketId {
        self.sockets.next_id()
    }

    /// A connection was accepted from `listener`, to be known by
    /// [`next_socket_id`](Proxy::next_socket_id). It waits in the accept queue until
    /// [`accept_done`](Proxy::accept_done), or is closed at once if that is full (ACC-6).
    /// `local` is its own address, if [`tells_local_address`](Proxy::tells_local_address) asked.
    pub fn accepted(
        &mut self,
        listener: SocketId,
        peer: Option<SocketAddr>,
        local: Option<SocketAddr>,
    ) {
        let socket = self.sockets.insert(Owner::Queued, true, None);
        self.counters.accepted += 1;
        let Some(Owner::Listener(listener)) = self.sockets.get(listener).map(|s| s.owner) else {
            self.counters.stale_ids += 1;
            return self.close_socket(socket, Close::Normal);
        };
        if self.queue.is_full() {
            self.admit();
        }
        if self.queue.is_full() {
            self.counters.queue_overflow += 1;
            return self.close_socket(socket, Close::Normal);
        }
        self.listens[listener].users += 1;
        self.queue.push(Waiting { socket, listener, peer, local, since: self.now });
        self.vacancy = true;
    }

    /// Whether the local address of connections to `listener` is wanted with them: the listener's
    /// own does not say it, and servers may be told of it (PP-1), by this configuration or by a
    /// later one that the connection lives to see.
    pub fn tells_local_address(&self, listener: SocketId) -> bool {
        let Some(Owner::Listener(id)) = self.sockets.get(listener).map(|s| s.owner) else {
            return false;
        };
        self.listens[id].is_on_all()
    }

    /// Accepting from `listener` came to an end for now: for want of connections, for an error,
    /// or, without one, because its budget is used up.
    pub fn accept_done(&mut self, listener: SocketId, error: Option<AcceptError>) {
        match error {
            Some(AcceptError::WouldBlock) => {
                self.sockets.exhausted(listener, Ops::READ);
                if let Some(Owner::Listener(id)) = self.sockets.get(listener).map(|s| s.owner)
                    && self.listens[id].closing
                {
                    self.close_listener(id);
                }
            }
            Some(AcceptError::Resources) => self.pause_accepting(),
            Some(AcceptError::Connection) | None => {}
        }
        self.admit();
    }

    /// Creates sessions from the queue, newest socket first, as far as the limit allows (ACC-3,
    /// ACC-5), after those that have waited too long are closed (ACC-4).
    pub(crate) fn admit(&mut self) {
        self.vacancy = false;
        while let Some(aged) = self.queue.take_aged(self.now) {
            self.counters.queue_aged += 1;
            self.close_socket(aged.socket, Close::Normal);
            self.leave_listener(aged.listener);
        }
        while !self.queue.is_empty() {
            if self.sessions.len() >= self.settings.max_connections && !self.evict_idle() {
                break;
            }
            let newest = self.queue.take_newest().expect("the queue is not empty");
            if self.stopping && self.drain_due(self.listens[newest.listener].index) <= self.now {
                // A graceful stop has waited long enough: there is no time left to serve it.
                self.drain_cut += 1;
                self.reach.decided(Decision::StopCutWaiting);
                self.close_socket(newest.socket, Close::Normal);
                self.leave_listener(newest.listener);
                continue;
            }
            self.create_session(newest);
        }
    }

    pub(crate) fn create_session(&mut self, waiting: Waiting) {
        let is_gone = self.listens[waiting.listener].index.is_none();
        self.reach.decided_if(is_gone, Decision::ListenerGoneServed);
        self.counters.sessions += 1;
        self.session_serial += 1;
        let id: SessionId = self.sessions.next_id();
        let deadline = self.deadlines.insert(Wakes::Session(id));
        let seed = self.children.next_u128();
        let child = Child::new(seed);
        self.sockets.get_mut(waiting.socket).expect("a waiting socket").owner = Owner::Front(id);
        self.sessions.insert(Session {
            front: waiting.socket,
            listener: waiting.listener,
            serial: self.session_serial,
            child,
            peer: waiting.peer,
            local: waiting.local,
            tlvs: None,
            carries: Carries::Http,
            state: State::Open,
            trail: Trail::default(),
            opening: None,
            exchange: None,
            requests: 0,
            created: self.now,
            serving_since: self.now,
            deadline,
            timers: Timers::NONE,
            buffers: BufferWait::None,
            idle_prev: None,
            idle_next: None,
            is_idle_listed: false,
            linger_left: 0,
            counted: None,
            over_limit: false,
            broken: false,
        });
        self.note_start(id, seed);
        if self.stopping {
            self.arm_drain(id);
        }
        self.open(id);
        self.settle(id, Moved::Nobody);
    }

    /// `request_head` for a connection that has not begun a request yet, else `keep_alive`.
    pub(crate) fn start_idle_timer(&mut self, id: SessionId) {
        let spans = self.front_timeouts(id);
        let (first, now) = (self.sessions[id].requests == 0, self.now);
        let (timer, span) = match first {
            true => (Timer::RequestHead, spans.request_head),
            false => (Timer::KeepAlive, spans.keep_alive),
        };
        self.sessions[id].timers.set_front(timer, now.deadline(span));
    }

    /// The machine is short of descriptors or memory: all listeners pause (ACC-8).
    fn pause_accepting(&mut self) {
        if self.accept_resumes.is_none() {
            self.counters.accept_pauses += 1;
            self.events.push_back(Event::AcceptPaused);
        }
        self.accept_resumes = Some(self.now.deadline(ACCEPT_PAUSE));
        self.set_accepting(false);
    }

    /// The pause is over: the backlog is served without waiting for new traffic (ACC-8).
    pub(crate) fn resume_accepting(&mut self) {
        self.accept_resumes = None;
        self.set_accepting(true);
    }

    fn set_accepting(&mut self, on: bool) {
        let interest = Ops::NONE.with(Ops::READ, on);
        for index in 0..self.listens.high_water() {
            if let Some((_, listen)) = self.listens.at(index)
                && let Some(socket) = listen.socket
            {
                self.sockets.want(socket, interest);
                if on {
                    self.sockets.assume_readable(socket);
                }
            }
        }
    }

    /// Closes the longest-idle keep-alive connection to make room, if that is configured: never a
    /// session that is serving a request, nor one whose next request may be here (ACC-10).
    fn evict_idle(&mut self) -> bool {
        if !self.settings.accept_queue_evict_idle {
            return false;
        }
        let mut candidate = self.idle_first;
        while let Some(id) = candidate {
            let session = &self.sessions[id];
            candidate = session.idle_next;
            if self.sockets.get(session.front).is_some_and(|s| !s.is_ready(Ops::READ)) {
                self.counters.evicted += 1;
                self.note_end(id, Cause::Evicted);
                self.close_session(id, Close::Normal);
                return true;
            }
        }
        false
    }

    /// Puts a session at the end of the idle list.
    pub(crate) fn list_idle(&mut self, id: SessionId) {
        let last = self.idle_last.replace(id);
        match last {
            Some(last) => self.sessions[last].idle_next = Some(id),
            None => self.idle_first = Some(id),
        }
        let session = &mut self.sessions[id];
        session.idle_prev = last;
        session.idle_next = None;
        session.is_idle_listed = true;
        if self.closes_when_idle(id) {
            self.sockets.assume_readable(self.sessions[id].front);
        }
    }

    /// Something became of an idle session's connection: it may be that its next request, which
    /// seemed to be here when a place was looked for, is not. Those who wait try again (ACC-10).
    pub(crate) fn offer_room(&mut self) {
        if self.settings.accept_queue_evict_idle && !self.queue.is_empty() {
            self.vacancy = true;
        }
    }

    /// Takes a session out of the idle list, if it is in there.
    pub(crate) fn unlist_idle(&mut self, id: SessionId) {
        let session = &mut self.sessions[id];
        if !std::mem::take(&mut session.is_idle_listed) {
            return;
        }
        let (prev, next) = (session.idle_prev.take(), session.idle_next.take());
        match prev {
            Some(prev) => self.sessions[prev].idle_next = next,
            None => self.idle_first = next,
        }
        match next {
            Some(next) => self.sessions[next].idle_prev = prev,
            None => self.idle_last = prev,
        }
    }

    /// One session or waiting socket less; a closed listener without any goes.
    pub(crate) fn leave_listener(&mut self, id: ListenId) {
        let listen = &mut self.listens[id];
        listen.users -= 1;
        if listen.users == 0 && listen.socket.is_none() {
            self.forget_listener(id);
        }
    }

    fn forget_listener(&mut self, id: ListenId) {
        let listen = self.listens.remove(id).expect("a listener is forgotten once");
        self.unview(listen.last.0);
    }

    /// Closes a listener whose backlog is empty.
    pub(crate) fn close_listener(&mut self, id: ListenId) {
        let Some(socket) = self.listens[id].socket.take() else { return };
        self.close_socket(socket, Close::Normal);
        if self.listens[id].users == 0 {
            self.forget_listener(id);
        }
    }

    /// Accepts what is in the listener's backlog, and closes it then.
    pub(crate) fn retire_listener(&mut self, id: ListenId) {
        self.listens[id].closing = true;
        self.reach.decided(Decision::ListenerRetired);
        if let Some(socket) = self.listens[id].socket {
            self.sockets.want(socket, Ops::READ);
            self.sockets.assume_readable(socket);
        }
    }
}

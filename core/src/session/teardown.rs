//! The one place where what a session holds is released (LOOP-2), and where exchanges end.

use super::state::{Move, State};
use super::{BufferWait, Moved, ResponsePhase, SessionId};
use crate::effect::{Close, Effect};
use crate::event::{Ending, Event, Timer};
use crate::flight::Tag;
use crate::proxy::Proxy;
use crate::reach::Decision;
use crate::session::front::LINGER_BYTES_MAX;
use crate::sockets::Ops;

impl Proxy {
    /// Ends the exchange if its response is produced and every byte of it is flushed (RES-5).
    pub(crate) fn finish_if_flushed(&mut self, id: SessionId) {
        let session = &mut self.sessions[id];
        let front = session.front;
        let x = session.x();
        if x.phase != ResponsePhase::Done || x.response.unsent() > 0 {
            return;
        }
        let is_last_said = x.is_last_said();
        let socket = self.sockets.get_mut(front).expect("a live session's socket");
        if is_last_said && let Some(tls) = socket.tls_mut() {
            tls.close_notify();
        }
        if socket.owes() {
            return;
        }
        let x = self.sessions[id].x();
        let (cut, until_close) = (x.cut, x.until_close);
        let (keep, read) = (x.keep_alive, x.request_read());
        let surplus = x.request.input_len();
        let ending = x.record.ending;
        self.emit_record(id, ending);
        if cut {
            let (how, decision) = match until_close {
                true => (Close::Reset, Decision::EndCutByReset),
                false => (Close::Normal, Decision::EndCutByClose),
            };
            self.reach.decided(decision);
            return self.close_session(id, how);
        }
        let unread = surplus > 0 || self.sockets.get(front).is_some_and(|s| s.is_ready(Ops::READ));
        if keep && read {
            self.keep_session(id, surplus);
        } else if !read || unread {
            self.reach.decided(Decision::EndLingers);
            self.linger(id);
        } else {
            self.reach.decided(Decision::EndCloses);
            self.close_session(id, Close::Normal);
        }
    }

    /// The client's connection waits for the next request, or goes on with it.
    fn keep_session(&mut self, id: SessionId, surplus: usize) {
        self.release_version(id);
        self.reach.decided(match surplus {
            0 => Decision::EndKept,
            _ => Decision::EndPipelined,
        });
        let now = self.now;
        let session = &mut self.sessions[id];
        session.timers.clear_front();
        session.timers.clear_back();
        if surplus == 0 {
            session.go(Move::Keep);
            self.release_exchange(id);
            return self.list_idle(id);
        }
        let x = session.exchange.as_deref_mut().expect("an exchange was kept");
        x.response.drain(&mut self.pool);
        x.request.release_kept(&mut self.pool);
        x.request.gather_head(&mut self.pool);
        x.reset(now);
        x.record.received = surplus as u64;
        x.is_resuming = true;
        self.begin_exchange(id, Move::Pipelined);
    }

    /// Goes on with the next pipelined request, in a step of its own (LOOP-5).
    pub(crate) fn resume(&mut self, id: SessionId) {
        self.note_plain(id, Tag::Resumed);
        self.sessions[id].x().is_resuming = false;
        self.scan_request(id);
        self.settle(id, Moved::Nobody);
    }

    /// The final answer is out, the request was not wholly read: finishes writing, and reads on
    /// so that no reset destroys the answer (RES-8).
    fn linger(&mut self, id: SessionId) {
        self.detach_back(id, Close::Normal);
        let due = self.now.deadline(self.front_timeouts(id).linger);
        self.release_version(id);
        let session = &mut self.sessions[id];
        session.go(Move::Discard);
        session.timers.clear_back();
        session.timers.set_front(Timer::Linger, due);
        session.linger_left = LINGER_BYTES_MAX;
        let front = session.front;
        self.release_exchange(id);
        // What comes now is discarded unopened.
        self.sockets.get_mut(front).expect("a live session's socket").transport = None;
        self.effects.push_back(Effect::ShutdownWrite(front));
    }

    /// Takes the exchange from its session, with all its buffers and promises.
    pub(crate) fn release_exchange(&mut self, id: SessionId) {
        let session = &mut self.sessions[id];
        if let Some(mut x) = session.exchange.take() {
            x.release_buffers(&mut self.pool);
            self.spare.push(x);
            self.serve_waiters();
        }
    }

    /// Sessions that wait for buffers get them first in, first out (SES-5).
    pub(crate) fn serve_waiters(&mut self) {
        // A TCP session may end as soon as it is served, and come here: the loop goes on with
        // what it gave back.
        if std::mem::replace(&mut self.serving_waiters, true) {
            return;
        }
        while let Some(&first) = self.waiters.front() {
            let waits = self.sessions.get(first).is_some_and(|s| s.buffers == BufferWait::Waiting);
            if waits {
                if !self.pool.promise() {
                    break;
                }
                self.note_plain(first, Tag::Granted);
                self.sessions[first].buffers = BufferWait::Promised;
                self.waiters.pop_front();
                self.settle(first, Moved::Front);
            } else {
                self.waiters.pop_front();
            }
        }
        self.pool.contended = !self.waiters.is_empty();
        self.serving_waiters = false;
    }

    /// Separates the exchange from its connection to a server, which is closed, and from the
    /// server that it was counted at.
    pub(crate) fn detach_back(&mut self, id: SessionId, how: Close) {
        self.release_choice(id);
        let Some(x) = self.sessions[id].exchange.as_deref_mut() else { return };
        if let Some(back) = x.back.take() {
            self.gave(id, how as u64);
            self.close_back(back, how);
        }
    }

    /// The server counts one request less; a verdict that is still owed is none.
    pub(crate) fn release_choice(&mut self, id: SessionId) {
        let Some(x) = self.sessions[id].exchange.as_deref_mut() else { return };
        let Some(server) = x.server.take() else { return };
        let state = &mut self.servers[server];
        state.active -= 1;
        self.relieved |= !self.queues.is_empty();
        if let Some(attempt) = x.attempt.take() {
            self.reach.decided_if(attempt.is_probe(), Decision::ProbeAbandoned);
            state.health.abandoned(attempt);
        }
    }

    /// The exchange sees its configuration no more; an old one without viewers goes.
    pub(crate) fn release_version(&mut self, id: SessionId) {
        let Some(x) = self.sessions[id].exchange.as_deref_mut() else { return };
        if let Some(version) = x.version.take() {
            self.unview(version);
        }
    }

    /// Writes the access record of the session's exchange.
    pub(crate) fn emit_record(&mut self, id: SessionId, ending: Ending) {
        self.counters.requests += 1;
        let now = self.now;
        let session = &mut self.sessions[id];
        let state = session.state;
        let x = session.x();
        if x.request_read() && state != State::Head {
            // What lies behind a whole request is none of its bytes, however reads were cut.
            x.record.received -= x.request.input_len() as u64;
        }
        x.record.ending = ending;
        x.charge(state, now);
        self.note_record(id);
        if self.settings.access_records {
            let record = std::mem::take(&mut self.sessions[id].x().record);
            self.events.push_back(Event::Access(record));
        }
    }

    /// Ends a session whose accounting does not add up, without a word to either side (RUN-5).
    pub(crate) fn close_broken(&mut self, id: SessionId) {
        self.counters.broken += 1;
        let (session, what) = (self.sessions[id].serial, self.sessions[id].state.name());
        self.events.push_back(Event::Broken { session, what });
        self.close_session(id, Close::Reset);
    }

    /// Ends the session: every token, buffer, timer and count of its goes (LOOP-2).
    pub(crate) fn close_session(&mut self, id: SessionId, how: Close) {
        self.tell_unread(id);
        self.gave(id, how as u64);
        self.unlist_idle(id);
        self.leave_queue(id);
        self.detach_back(id, how);
        self.release_opening(id);
        self.release_version(id);
        self.release_exchange(id);
        let mut session = self.sessions.remove(id).expect("a session ends once");
        session.go(Move::Close);
        self.reach.walked(session.trail);
        match session.buffers {
            BufferWait::None | BufferWait::Waiting => {}
            BufferWait::Promised => self.pool.unpromise(crate::buffer::PROMISE),
        }
        if session.buffers == BufferWait::Waiting {
            self.waiters.retain(|&waiter| waiter != id);
        }
        if let Some(address) = session.counted.take() {
            self.uncount_address(address);
        }
        self.deadlines.remove(session.deadline);
        self.close_socket(session.front, how);
        self.leave_listener(session.listener);
        debug_assert_eq!(session.state, State::Closed);
        self.note_closed(id);
        self.vacancy = true;
    }
}

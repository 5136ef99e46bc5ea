//! Time passes: every timer that is due has its one outcome (SES-3), and the zombie checker looks
//! for what should not exist (SES-4).

use crate::effect::Close;
use crate::event::{Ending, Event, Phase, Timer, Who};
use crate::flight::Cause;
use crate::proxy::{Proxy, Wakes};
use crate::reach::Decision;
use crate::session::dial::timed_out;
use crate::session::state::State;
use crate::session::{Moved, SessionId};
use crate::time::Time;
use std::time::Duration;

/// How long past its earliest deadline a session is taken for a zombie (SES-4).
pub(crate) const ZOMBIE_GRACE: Duration = Duration::from_secs(5);

/// How the zombie checker ends what it finds.
pub(crate) const SWEPT: Ending = Ending { who: Who::Proxy, phase: Phase::Complete, timer: None };

impl Proxy {
    /// `now` becomes the core's time: at the start of each turn, before any other input, so that
    /// what they begin counts from there. A `now` that goes back is clamped and counted.
    pub fn advance(&mut self, now: Time) {
        if now < self.now {
            self.counters.time_went_back += 1;
        } else {
            self.now = now;
        }
    }

    /// Fires every timer that is due at `now`, which becomes the core's time.
    pub fn expire(&mut self, now: Time) {
        self.advance(now);
        while let Some((due, wakes)) = self.deadlines.earliest() {
            if due > self.now {
                break;
            }
            match wakes {
                Wakes::Session(id) => self.fire(id),
                Wakes::Back(id) => self.idle_expired(id),
            }
        }
        if self.accept_resumes.is_some_and(|due| due <= self.now) {
            self.resume_accepting();
        }
        if self.listeners_due().is_some_and(|due| due <= self.now) {
            self.close_late_listeners();
        }
        if self.vacancy || self.queue.next_deadline().is_some_and(|due| due <= self.now) {
            self.admit();
        }
        if self.relief_due <= self.now {
            self.relieved = true;
            self.await_relief();
        }
        if self.zombie_check <= self.now {
            self.check_zombies();
            self.zombie_check = self.now.deadline(self.settings.zombie_check_interval);
        }
    }

    /// The outcome of the session's earliest timer.
    pub(crate) fn fire(&mut self, id: SessionId) {
        let timer = self.sessions[id].timers.next().expect("a deadline has a timer");
        self.note_timer(id, timer);
        self.reach.fired(timer);
        match timer {
            Timer::ProxyHeader | Timer::TlsHandshake => self.opening_timed_out(id, timer),
            Timer::RequestHead => self.head_timed_out(id),
            Timer::KeepAlive | Timer::Linger => self.close_session(id, Close::Normal),
            Timer::ClientIdle => self.client_idled(id),
            Timer::Connect => self.connect_timed_out(id),
            Timer::RetryPause => self.pause_over(id),
            Timer::BackendQueue => self.queue_timed_out(id),
            Timer::TunnelIdle => self.end_tunnel(id, timed_out(timer, Phase::Tunnel)),
            Timer::BackendResponse => {
                self.blame(id);
                self.answer(id, 504, timed_out(timer, Phase::ResponseHead));
            }
            Timer::BackendIdle => self.backend_idled(id),
            Timer::Drain => self.drained(id),
            Timer::BackendKeepAlive => unreachable!("a timer of idle connections"),
        }
        self.settle(id, Moved::Nobody);
    }

    fn head_timed_out(&mut self, id: SessionId) {
        let session = &mut self.sessions[id];
        let begun = session.state == State::Head && session.x().scanner.has_begun();
        if begun {
            let x = session.x();
            x.facts.persistent = false;
            x.facts.head_only = x.begins_with_head();
            x.request_body = crate::http1::BodyReader::UntilClose;
            self.answer(id, 408, timed_out(Timer::RequestHead, Phase::RequestHead));
        } else {
            self.reach.decided(Decision::HeadNeverBegan);
            self.close_session(id, Close::Normal);
        }
    }

    /// No server had room in time (BACK-9), or no buffers for a TCP session.
    fn queue_timed_out(&mut self, id: SessionId) {
        if self.sessions[id].state == State::Ready {
            self.reach.decided(Decision::TcpStarved);
            return self.close_session(id, Close::Normal);
        }
        self.leave_queue(id);
        self.fail(id, 503, timed_out(Timer::BackendQueue, Phase::Connect));
    }

    fn client_idled(&mut self, id: SessionId) {
        self.leave_queue(id);
        let x = self.sessions[id].x();
        if x.tcp {
            // It waits for its server, and the client has not read the end of the handshake.
            return self.abort(id, timed_out(Timer::ClientIdle, Phase::Connect));
        }
        if x.may_answer() && x.record.sent == 0 && x.response.unsent() == 0 {
            x.facts.persistent = false;
            self.reach.decided(Decision::ClientIdleAnswered);
            self.fail(id, 408, timed_out(Timer::ClientIdle, Phase::RequestBody));
        } else {
            let phase = x.present_phase();
            self.reach.decided(Decision::ClientIdleCut);
            self.abort(id, timed_out(Timer::ClientIdle, phase));
        }
    }

    fn backend_idled(&mut self, id: SessionId) {
        let x = self.sessions[id].x();
        if x.may_answer() {
            self.reach.decided(Decision::BackendIdleAnswered);
            self.blame(id);
            self.answer(id, 504, timed_out(Timer::BackendIdle, Phase::RequestBody));
        } else {
            self.reach.decided(Decision::BackendIdleCut);
            self.cut_response(id, timed_out(Timer::BackendIdle, Phase::ResponseBody));
        }
    }

    /// A graceful stop has waited long enough for this session (RUN-2).
    fn drained(&mut self, id: SessionId) {
        self.drain_cut += 1;
        self.end_session(id, timed_out(Timer::Drain, Phase::Complete));
    }

    /// Ends a session whatever it is doing, with a record if it serves a request.
    pub(crate) fn end_session(&mut self, id: SessionId, ending: Ending) {
        let session = &mut self.sessions[id];
        match session.state {
            State::Idle
            | State::Linger
            | State::Open
            | State::ExpectProxy
            | State::Handshake
            | State::Hello
            | State::Ready => self.close_session(id, Close::Normal),
            State::Tunnel => self.end_tunnel(id, Ending { phase: Phase::Tunnel, ..ending }),
            State::Head => self.abort(id, Ending { phase: Phase::RequestHead, ..ending }),
            State::Queue | State::Connect | State::Pause => {
                self.abort(id, Ending { phase: Phase::Connect, ..ending });
            }
            State::Relay | State::Answer | State::Closed => {
                let phase = session.x().present_phase();
                self.abort(id, Ending { phase, ..ending });
            }
        }
    }

    /// Ends every session that nothing will ever wake, and every one that is too old. Save for
    /// the latter it is a safety net, and a hit is a bug of ours.
    fn check_zombies(&mut self) {
        for index in 0..self.sessions.high_water() {
            let Some((id, session)) = self.sessions.at(index) else { continue };
            let due = session.timers.earliest();
            let forgotten = due == Time::NEVER && !self.has_work(id);
            let overdue = due < Time::NEVER && due.after(ZOMBIE_GRACE) < self.now;
            let age = self.now.since(session.created);
            let aged = self.settings.max_session_age.is_some_and(|max| age > max);
            let (serial, state) = (session.serial, session.state.name());
            if forgotten || overdue {
                self.counters.zombies += 1;
                self.events.push_back(Event::Zombie { session: serial, state });
            } else if aged {
                self.counters.aged_sessions += 1;
            } else {
                continue;
            }
            self.note_end(id, Cause::Swept);
            self.end_session(id, SWEPT);
        }
    }

    /// Whether the session waits in a queue that will wake it.
    fn has_work(&self, id: SessionId) -> bool {
        let session = &self.sessions[id];
        let is_queued = |socket| self.sockets.get(socket).is_some_and(|s| s.is_queued());
        let back = session.exchange.as_deref().and_then(|x| x.back);
        session.buffers != crate::session::BufferWait::None
            || is_queued(session.front)
            || back.is_some_and(|back| is_queued(self.backs[back].socket))
    }
}

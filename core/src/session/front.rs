//! What the client sends: heads, bodies, its end (REQ, RES-6).

use super::dial::ending;
use super::plan::{Context, Destination, plan};
use super::state::{Move, State};
use super::{BufferWait, Exchange, SessionId};
use crate::buffer::Encoding;
use crate::buggify::Point;
use crate::effect::Close;
use crate::event::{Phase, Timer, Who};
use crate::flight::{Flight, Verdict};
use crate::http1::{BodyReader, Framing, Refusal, Scan};
use crate::input::SocketError;
use crate::proxy::Proxy;
use crate::reach::Decision;
use crate::rng::Draw;
use crate::time::Time;
use std::time::Duration;

/// Bytes that a lingering session reads and discards at most (RES-8).
pub(crate) const LINGER_BYTES_MAX: u32 = 256 * 1024;

/// The shortest span: a deadline after it is the next tick.
const NEXT_TICK: Duration = Duration::from_nanos(1);

impl Proxy {
    /// Makes the session ready to read, if the pool can promise it its buffers; else it stands
    /// in line (SES-5).
    pub(crate) fn begin_read(&mut self, id: SessionId) -> bool {
        let session = &mut self.sessions[id];
        if session.exchange.is_some() {
            return true;
        }
        match session.buffers {
            BufferWait::Waiting => return false,
            BufferWait::Promised => session.buffers = BufferWait::None,
            BufferWait::None => {
                let has_room = |proxy: &mut Proxy| {
                    let is_denied = proxy.buggify.point(Point::NoPromise);
                    u64::from(!is_denied && proxy.pool.can_promise())
                };
                if self.decide(id, Verdict::Buffers, has_room) == 0 || !self.pool.promise() {
                    let session = &mut self.sessions[id];
                    session.buffers = BufferWait::Waiting;
                    self.pool.contended = true;
                    self.waiters.push_back(id);
                    self.counters.buffer_waits += 1;
                    return false;
                }
            }
        }
        let mut x = self.spare.pop().unwrap_or_else(Exchange::new);
        x.reset(self.now);
        x.promises = crate::buffer::PROMISE - 1;
        x.request.open(&mut self.pool);
        self.sessions[id].exchange = Some(x);
        true
    }

    /// The client's socket gave `n` bytes; none means that it has finished writing.
    pub(crate) fn front_received(&mut self, id: SessionId, n: usize) {
        let session = &mut self.sessions[id];
        if n == 0 {
            return self.front_ended(id);
        }
        match session.state {
            State::ExpectProxy => {
                self.fill_request(id, n);
                self.scan_proxy_header(id);
            }
            State::Hello => {
                self.fill_request(id, n);
                self.scan_hello(id);
            }
            State::Tunnel => self.tunnel_received(id, true, n),
            State::Idle => {
                self.unlist_idle(id);
                self.begin_exchange(id, Move::FirstByte);
                self.fill_request(id, n);
                self.scan_request(id);
            }
            State::Head => {
                self.fill_request(id, n);
                self.scan_request(id);
            }
            State::Linger => {
                session.linger_left = session.linger_left.saturating_sub(n as u32);
                if session.linger_left == 0 {
                    self.reach.decided(Decision::LingerSpent);
                    self.close_session(id, Close::Normal);
                }
            }
            _ => {
                self.fill_request(id, n);
                self.sessions[id].x().continued = true;
                self.take_request_body(id);
            }
        }
    }

    fn fill_request(&mut self, id: SessionId, n: usize) {
        let x = self.sessions[id].exchange.as_deref_mut().expect("reading needs an exchange");
        x.request.filled(&mut self.pool, n);
        x.record.received += n as u64;
    }

    /// A request's first bytes are here.
    pub(crate) fn begin_exchange(&mut self, id: SessionId, by: Move) {
        let now = self.now;
        let first = self.sessions[id].requests == 0;
        let span = self.front_timeouts(id).request_head;
        let session = &mut self.sessions[id];
        session.go(by);
        session.requests += 1;
        // The first head counts from the session's start, by the timeouts of the request's.
        let due = match first {
            true => session.serving_since.deadline(span).max(now.deadline(NEXT_TICK)),
            false => now.deadline(span),
        };
        session.timers.set_front(Timer::RequestHead, due);
        let (serial, request, client) = (session.serial, session.requests, session.peer);
        let listener = self.listens[session.listener].index;
        let tls = self.sockets.get(session.front).and_then(|socket| socket.tls());
        let tls = tls.map(|tls| tls.facts());
        let version = &mut self.versions[self.current];
        version.users += 1;
        let x = session.x();
        x.version = Some(self.current);
        x.record.version = version.serial;
        x.record.listener = listener;
        x.record.request_id = self.request_ids.next_u128();
        x.mark = now;
        x.record.start = now;
        x.record.session = serial;
        x.record.request = request;
        x.record.client = client;
        x.record.tls = tls;
    }

    /// Goes on with a head whose bytes are here.
    pub(crate) fn scan_request(&mut self, id: SessionId) {
        loop {
            let x = self.sessions[id].exchange.as_deref_mut().expect("a head is being read");
            let limits = &self.versions[x.version.expect("a request sees a version")].config.limits;
            match x.scanner.scan(x.request.head_input(), limits) {
                Scan::More => {
                    if !x.request.gather_head(&mut self.pool) {
                        return;
                    }
                }
                Scan::Complete { start, end } => {
                    self.tell_head(id, false, Some(end));
                    return self.begin_request(id, start, end);
                }
                Scan::Refused(refusal) => {
                    self.tell_head(id, false, None);
                    return self.refuse_unread(id, refusal);
                }
            }
        }
    }

    /// A complete request head lies at `start..end` of the input.
    fn begin_request(&mut self, id: SessionId, start: usize, end: usize) {
        let session = self.sessions.get_mut(id).expect("a live session");
        session.timers.clear_front();
        let x = session.exchange.as_deref_mut().expect("a head was read");
        x.record.head = self.now.since(x.mark);
        x.mark = self.now;
        let mut context = Context {
            version: &self.versions[x.version.expect("a request sees a version")],
            listener: x.record.listener.map(usize::from),
            port: self.listens[session.listener].port(),
            client: session.peer,
            tls: self.sockets.get(session.front).and_then(|socket| socket.tls()),
            flight: self.flight.as_deref_mut().map(|flight| (flight, self.now, id)),
            request_id: x.record.request_id,
            path: &mut self.path_scratch,
        };
        let head = &x.request.head_input()[start..end];
        let planned = plan(head, &mut context, &mut self.head_scratch, &mut x.record);
        let plan = match planned {
            Ok(plan) => plan,
            Err(refusal) => return self.refuse_unread(id, refusal),
        };
        x.facts = plan.facts;
        x.stuck_to = match &mut self.flight {
            None => plan.stuck_to,
            Some(flight) => settle_sticky(flight, self.now, id, plan.stuck_to),
        };
        x.request.consume_head(end);
        x.request_body = BodyReader::new(plan.framing);
        if plan.framing == Framing::Chunked {
            x.request_encoding = Encoding::Chunked;
        }
        if let Framing::Length(length) = plan.framing
            && self.over_limit(id, length)
        {
            self.reach.decided(Decision::BodyDeclaredTooLong);
            return self.answer(id, 413, ending(Who::Client, Phase::RequestHead));
        }
        if self.sessions[id].over_limit {
            self.sessions[id].x().facts.persistent = false;
            return self.answer(id, 429, ending(Who::Client, Phase::RequestHead));
        }
        self.proceed(id, plan.destination);
    }

    /// Goes where the plan says.
    fn proceed(&mut self, id: SessionId, destination: Destination) {
        let x = self.sessions[id].x();
        if let Destination::Cluster(cluster) = destination {
            x.record.cluster = Some(cluster);
        }
        self.take_request_body(id);
        // The body's first bytes may have been refused: then the answer is on its way.
        if self.sessions.get(id).is_none_or(|session| session.state != State::Head) {
            return;
        }
        match destination {
            Destination::Cluster(_) => {
                let x = self.sessions[id].x();
                if !x.request.prepend(&self.head_scratch) {
                    return self.refuse(id, Refusal::HeadTooLarge);
                }
                self.dispatch(id);
            }
            Destination::Redirect => self.answer_redirect(id),
            Destination::Fixed => self.answer_fixed(id),
            Destination::Misdirected => {
                self.answer(id, 421, ending(Who::Client, Phase::RequestHead));
            }
            Destination::Nowhere => self.answer(id, 404, ending(Who::Proxy, Phase::RequestHead)),
        }
    }

    /// Turns body bytes that are here into output for the server.
    pub(crate) fn take_request_body(&mut self, id: SessionId) {
        self.tell_framing(id, false);
        let x = self.sessions[id].x();
        match x.request.take_body(&mut x.request_body, x.request_encoding) {
            Ok(taken) => {
                x.request_payload += taken.payload as u64;
                x.continued |= taken.payload > 0;
                let payload = x.request_payload;
                if self.over_limit(id, payload) {
                    self.reach.decided(Decision::BodyBecameTooLong);
                    self.fail_request(id, Refusal::BodyTooLarge);
                }
            }
            Err(refusal) => self.fail_request(id, refusal),
        }
    }

    /// Whether a body of `length` bytes is more than the listener takes.
    fn over_limit(&self, id: SessionId, length: u64) -> bool {
        self.listener_config(id).max_body.is_some_and(|max| length > max)
    }

    /// The head, which lies unread in the input, is not to be served.
    fn refuse_unread(&mut self, id: SessionId, refusal: Refusal) {
        let x = self.sessions[id].x();
        x.facts.head_only = x.begins_with_head();
        self.refuse(id, refusal);
    }

    /// The head is not to be served.
    fn refuse(&mut self, id: SessionId, refusal: Refusal) {
        self.reach.refused_request(refusal);
        let x = self.sessions[id].x();
        x.facts.persistent = false;
        x.request_body = BodyReader::UntilClose;
        self.answer(id, refusal.status(), ending(Who::Client, Phase::RequestHead));
    }

    /// The body turned out bad: an answer if none has begun, else the end.
    fn fail_request(&mut self, id: SessionId, refusal: Refusal) {
        self.reach.refused_request(refusal);
        let x = self.sessions[id].x();
        x.facts.persistent = false;
        x.request_body = BodyReader::UntilClose;
        let ending = ending(Who::Client, Phase::RequestBody);
        if x.may_answer() {
            self.reach.decided(Decision::BodyBadAnswered);
            self.answer(id, refusal.status(), ending);
        } else {
            self.reach.decided(Decision::BodyBadCut);
            self.abort(id, ending);
        }
    }

    /// The client has finished writing: before its request is complete that is its end (RES-6).
    fn front_ended(&mut self, id: SessionId) {
        let session = &mut self.sessions[id];
        match session.state {
            State::Idle | State::Linger => self.close_session(id, Close::Normal),
            State::ExpectProxy | State::Handshake | State::Hello => self.opening_ended(id),
            State::Tunnel => self.tunnel_received(id, true, 0),
            State::Head => {
                let begun = session.x().scanner.has_begun();
                if begun {
                    self.abort(id, ending(Who::Client, Phase::RequestHead));
                } else {
                    self.close_session(id, Close::Normal);
                }
            }
            _ => self.abort(id, ending(Who::Client, Phase::RequestBody)),
        }
    }

    /// The client's connection is broken: the session ends at once (RES-6).
    pub(crate) fn front_failed(&mut self, id: SessionId, _error: SocketError) {
        let session = &mut self.sessions[id];
        let phase = match session.state {
            State::Idle | State::Linger => return self.close_session(id, Close::Normal),
            State::Open | State::ExpectProxy | State::Handshake | State::Hello => {
                return self.opening_ended(id);
            }
            State::Ready if session.exchange.is_none() => {
                return self.close_session(id, Close::Normal);
            }
            State::Tunnel => return self.break_tunnel(id, Who::Client),
            State::Head => Phase::RequestHead,
            State::Ready | State::Queue | State::Connect | State::Pause => Phase::Connect,
            State::Relay | State::Answer | State::Closed => session.x().present_phase(),
        };
        self.abort(id, ending(Who::Client, phase));
    }

    /// The client has finished writing behind a complete request: an abort, if the listener
    /// takes it for one (`abort_on_close`, RES-6).
    pub(crate) fn front_read_closed(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        let state = session.state;
        if !matches!(state, State::Queue | State::Connect | State::Pause | State::Relay) {
            return;
        }
        let x = session.x();
        if x.tcp {
            return;
        }
        let (phase, is_read) = (x.present_phase(), x.request_read());
        if is_read && self.listener_config(id).abort_on_close {
            self.reach.decided(Decision::AbortOnClose);
            self.abort(id, ending(Who::Client, phase));
        }
    }

    /// Ends the exchange where it stands, and its session with it.
    pub(crate) fn abort(&mut self, id: SessionId, ending: crate::event::Ending) {
        let session = &mut self.sessions[id];
        let x = session.x();
        let visible_end = x.until_close && x.record.sent > 0;
        if x.record.sent > 0 && x.record.status != 0 && !x.cut {
            self.counters.truncated += 1;
        }
        self.emit_record(id, ending);
        // A body that ends with its connection must not look complete (RES-2).
        self.close_session(id, if visible_end { Close::Reset } else { Close::Normal });
    }
}

/// The server that the sticky cookie names; of a recording, whose cookies are masked, what it was.
fn settle_sticky(flight: &mut Flight, now: Time, id: SessionId, live: Option<u16>) -> Option<u16> {
    let live = live.map_or(0, |index| u64::from(index) + 1);
    let settled = flight.settle_on(now, id, Verdict::Sticky, live);
    settled.checked_sub(1).and_then(|index| u16::try_from(index).ok())
}

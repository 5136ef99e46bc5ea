//! From a request to a connection that carries it: reuse, attempts, retries (BACK-2, BACK-3).

use super::SessionId;
use super::state::{Move, State};
use crate::backend::{Back, Choice, Pick};
use crate::config::{CONNECT_ATTEMPTS_MAX, RETRY_PAUSE, Reuse};
use crate::effect::{Close, Effect};
use crate::event::{Ending, Event, Phase, Timer, Who};
use crate::flight::{Flaw, Verdict};
use crate::http1::HeadScanner;
use crate::input::SocketError;
use crate::proxy::Proxy;
use crate::proxy_protocol;
use crate::reach::Decision;
use crate::sockets::Owner;
use crate::tls::Tls;
use crate::transport::Transport;

/// Why an attempt came to nothing.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// The socket failed.
    Socket(SocketError),
    /// The `connect` timer fired.
    TimedOut,
    /// The server closed before its response.
    Closed,
    /// TLS with the server failed.
    Tls,
}

impl Fault {
    /// Whether the server is to blame (BACK-4), or this machine.
    fn blames_server(self) -> bool {
        !matches!(self, Fault::Socket(SocketError::Resources))
    }

    fn decision(self) -> Decision {
        match self {
            Fault::Socket(_) => Decision::FaultSocket,
            Fault::TimedOut => Decision::FaultTimedOut,
            Fault::Closed => Decision::FaultClosed,
            Fault::Tls => Decision::FaultTls,
        }
    }
}

impl Proxy {
    /// Finds a server for the session's request and gives it to a connection there.
    pub(crate) fn dispatch(&mut self, id: SessionId) {
        if self.is_behind(id) {
            self.reach.decided(Decision::QueueFirst);
            // Nobody overtakes those who wait: they choose first.
            self.serve_queues();
        }
        match self.choose_server(id) {
            Choice::Server(pick) => self.dispatch_to(id, pick),
            Choice::Full => self.enqueue(id),
            Choice::Nobody => self.fail(id, 503, ending(Who::Proxy, Phase::Connect)),
        }
    }

    /// Gives the session's request to a connection of the server that was chosen.
    pub(crate) fn dispatch_to(&mut self, id: SessionId, pick: Pick) {
        let session = &mut self.sessions[id];
        let x = session.x();
        let cluster = x.record.cluster.expect("the route led to a cluster") as usize;
        let version = x.version.expect("a request sees a version");
        let config = &self.versions[version].config.clusters[cluster];
        let view = &self.versions[version].clusters[cluster];
        let speech = view.speeches[usize::from(pick.index)];
        let speaks = self.servers[pick.server].speech_serial == speech;
        let reuse = if x.tcp || !speaks { Reuse::Never } else { config.reuse };
        // A connection that announced one client must not carry another's requests.
        let others = reuse == Reuse::Safe && x.facts.idempotent && config.send_proxy.is_none();
        if reuse != Reuse::Never
            && !x.fresh_only
            && let Some(back) = self.choose_idle(pick.server, id, others)
        {
            return self.reuse(id, pick, back);
        }
        self.reach.decided(if speaks { Decision::PoolMiss } else { Decision::PoolOtherSpeech });
        let x = self.sessions[id].x();
        if x.last_failed == Some(pick.server) {
            x.last_failed = None;
            x.held_back = Some(pick);
            self.sessions[id].go(Move::HoldBack);
            let due = self.now.deadline(RETRY_PAUSE);
            self.sessions[id].timers.set_back(Timer::RetryPause, due);
            return;
        }
        self.connect(id, pick);
    }

    fn reuse(&mut self, id: SessionId, pick: Pick, back: crate::backend::BackId) {
        self.counters.reuses += 1;
        self.assign(id, pick);
        let session = &mut self.sessions[id];
        session.go(Move::Reuse);
        session.timers.clear_back();
        let x = session.x();
        x.back = Some(back);
        x.record.reused = true;
        x.charge(State::Connect, self.now);
    }

    fn connect(&mut self, id: SessionId, pick: Pick) {
        let Some(transport) = self.transport_to(id, pick) else {
            self.note_flaw(id, Flaw::Tls);
            return self.fail(id, 503, ending(Who::Proxy, Phase::Connect));
        };
        let speech = self.speech_of(id, pick);
        self.counters.connects += 1;
        self.gave(id, u64::from(pick.index));
        self.make_room(id, pick);
        self.assign(id, pick);
        self.servers[pick.server].users += 1;
        self.servers[pick.server].open += 1;
        let back = self.backs.next_id();
        let socket = self.sockets.insert(Owner::Back(back), false, transport);
        let deadline = self.back_deadline(back);
        let (server, session) = (pick.server, id);
        let back = self.backs.insert(Back {
            socket,
            server,
            session,
            speech,
            idle: false,
            reused: false,
            deadline,
        });
        let to = self.servers[server].addr.clone();
        self.effects.push_back(Effect::Connect { id: socket, to });
        let session = &mut self.sessions[id];
        session.go(Move::Dial);
        let x = session.x();
        x.back = Some(back);
        x.record.reused = false;
        x.record.attempts += 1;
        let span = self.cluster_timeouts(id).connect;
        self.sessions[id].timers.set_back(Timer::Connect, self.now.deadline(span));
    }

    /// A limited server whose connections are all open has idle ones closed for a new one: more
    /// than one if the limit has been lowered since they were opened.
    fn make_room(&mut self, id: SessionId, pick: Pick) {
        let limit = self.limit_of(id, pick);
        while self.servers[pick.server].open >= limit
            && let Some(&oldest) = self.servers[pick.server].idle.first()
        {
            self.reach.decided(Decision::PoolRoomMade);
            self.close_back(oldest, Close::Normal);
        }
    }

    /// Connections that the server may have (BACK-9).
    fn limit_of(&self, id: SessionId, pick: Pick) -> u32 {
        let x = self.sessions[id].exchange.as_deref().expect("a request is being served");
        let cluster = x.record.cluster.expect("the route led to a cluster") as usize;
        let version = &self.versions[x.version.expect("a request sees a version")];
        version.clusters[cluster].limits[usize::from(pick.index)]
    }

    /// The serial number of how the request's configuration speaks to the server.
    fn speech_of(&self, id: SessionId, pick: Pick) -> u32 {
        let x = self.sessions[id].exchange.as_deref().expect("a request is being served");
        let cluster = x.record.cluster.expect("the route led to a cluster") as usize;
        let version = &self.versions[x.version.expect("a request sees a version")];
        version.clusters[cluster].speeches[usize::from(pick.index)]
    }

    /// What lies between a new connection to the server and the session's bytes: the PROXY header
    /// that announces its client (PP-1), and TLS (TLS-4). `None`: TLS cannot be begun, for want of
    /// randomness; nothing is said in the clear then.
    fn transport_to(&self, id: SessionId, pick: Pick) -> Option<Option<Box<Transport>>> {
        let session = &self.sessions[id];
        let x = session.exchange.as_deref().expect("a request is being served");
        let cluster = x.record.cluster.expect("the route led to a cluster") as usize;
        let version = &self.versions[x.version.expect("a request sees a version")];
        let config = &version.config.clusters[cluster];
        let mut preface = Vec::new();
        if let Some(proxy) = config.send_proxy {
            let local = session.local.or(self.listens[session.listener].addr());
            let addresses = session.peer.zip(local);
            let tlvs = session.tlvs.as_deref().unwrap_or_default();
            proxy_protocol::write(&mut preface, proxy, addresses, tlvs);
        }
        let server = &config.servers[usize::from(pick.index)];
        let tls = match config.tls.as_ref().zip(server.tls_name.as_ref()) {
            Some(_) if self.is_replay() => Some(Tls::played(false)),
            Some((settings, name)) => Some(Tls::client(settings, name.clone())?),
            None => None,
        };
        Some(Transport::new(preface, tls))
    }

    /// Counts the request at the server, and forgets what an earlier attempt left.
    fn assign(&mut self, id: SessionId, pick: Pick) {
        let server = &mut self.servers[pick.server];
        server.active += 1;
        let attempt = server.health.begin(self.now);
        let x = self.sessions[id].x();
        x.server = Some(pick.server);
        x.attempt = Some(attempt);
        x.record.server = Some(pick.index);
        if x.record.attempts == 0 && !x.fresh_only {
            x.charge(State::Queue, self.now);
        }
        (x.given, x.sealed) = (0, 0);
        x.request.rewind();
        x.response_begun = false;
        x.back_write_failed = false;
        x.scanner = HeadScanner::response();
        if x.facts.idempotent {
            x.request.keep();
        }
    }

    /// The connection stands: from here on the exchange is relayed.
    pub(crate) fn back_connected(&mut self, id: SessionId) {
        if self.sessions[id].state != State::Connect {
            return;
        }
        if self.sessions[id].x().tcp {
            return self.join(id);
        }
        let session = &mut self.sessions[id];
        session.go(Move::Connected);
        session.timers.clear_back();
        let now = self.now;
        let x = session.x();
        x.charge(State::Connect, now);
    }

    /// The connection was lost before a byte of a response: sends the request again where BACK-3
    /// allows it, else answers.
    pub(crate) fn attempt_failed(&mut self, id: SessionId, fault: Fault) {
        self.reach.decided(fault.decision());
        let connecting = self.sessions[id].state == State::Connect;
        let x = self.sessions[id].x();
        let reused = self.backs[x.back.expect("an attempt has a connection")].reused;
        let x = self.sessions[id].x();
        let nothing_given = x.given == 0 && x.is_held_whole();
        let may_repeat = x.facts.idempotent && x.is_held_whole();
        if !reused && fault.blames_server() {
            self.blame(id);
        }
        if connecting {
            self.counters.connect_failures += 1;
        }
        let x = self.sessions[id].x();
        let server = x.server;
        if reused {
            x.fresh_only = true;
        } else {
            x.last_failed = server;
            x.tried.add(server.expect("an attempt has a server"));
        }
        let again = if nothing_given {
            true
        } else if may_repeat && reused && !x.resent_reused {
            x.resent_reused = true;
            self.counters.resent_reused += 1;
            true
        } else if may_repeat && !reused && !x.resent_fresh {
            x.resent_fresh = true;
            self.counters.resent_fresh += 1;
            true
        } else {
            false
        };
        self.tell_unread(id);
        self.detach_back(id, Close::Normal);
        let x = self.sessions[id].x();
        x.response.drop_input();
        let spent = x.record.attempts >= CONNECT_ATTEMPTS_MAX;
        self.reach.decided_if(again && spent, Decision::RetrySpent);
        self.reach.decided_if(again && !spent && nothing_given, Decision::RetryUnsent);
        self.reach.decided_if(!again, Decision::RetryForbidden);
        if again && !spent {
            self.dispatch(id);
        } else if nothing_given {
            let cause = match fault {
                Fault::TimedOut => timed_out(Timer::Connect, Phase::Connect),
                Fault::Socket(SocketError::Resources) => ending(Who::Proxy, Phase::Connect),
                Fault::Socket(_) | Fault::Closed | Fault::Tls => {
                    ending(Who::Backend, Phase::Connect)
                }
            };
            self.fail(id, 503, cause);
        } else {
            let phase = phase_of(x.request_sent());
            self.answer(id, 502, ending(Who::Backend, phase));
        }
    }

    /// Tells the server's health of a failure, once for each request and server (BACK-4).
    pub(crate) fn blame(&mut self, id: SessionId) {
        let x = self.sessions[id].exchange.as_deref_mut().expect("a request is being served");
        let (Some(server), Some(attempt)) = (x.server, x.attempt) else { return };
        // A probe's verdict is owed in any case: nobody else may use the server before it.
        self.reach.decided_if(attempt.is_probe(), Decision::ProbeFailed);
        if x.tried.has(server) && !attempt.is_probe() {
            self.reach.decided(Decision::BlamedBefore);
            return;
        }
        x.attempt = None;
        let cluster = x.record.cluster.expect("the route led to a cluster") as usize;
        let version = x.version.expect("a request sees a version");
        let config = &self.versions[version].config.clusters[cluster];
        let span = (config.backoff_min, config.backoff_max);
        let state = &mut self.servers[server];
        let down = state.health.failed(attempt, self.now, config.fall, span, &mut self.backoff);
        if let Some(backoff) = down {
            let (cluster, addr) = (state.cluster.clone(), state.addr.clone());
            self.events.push_back(Event::ServerDown { cluster, addr, backoff });
            self.empty_pool(server);
            self.await_relief();
        }
    }

    /// Tells the server's health that it answered.
    pub(crate) fn praise(&mut self, id: SessionId) {
        let x = self.sessions[id].x();
        let (Some(server), Some(attempt)) = (x.server, x.attempt.take()) else { return };
        let state = &mut self.servers[server];
        if state.health.succeeded(attempt) {
            let (cluster, addr) = (state.cluster.clone(), state.addr.clone());
            self.events.push_back(Event::ServerUp { cluster, addr });
            self.relieved |= !self.queues.is_empty();
        }
    }

    fn is_still_free(&self, id: SessionId, pick: Pick) -> bool {
        let server = &self.servers[pick.server];
        server.health.usable(self.now) && server.active < self.limit_of(id, pick)
    }

    /// The pause before another attempt is over.
    pub(crate) fn pause_over(&mut self, id: SessionId) {
        self.sessions[id].timers.clear_back();
        // Others may have marked the server down meanwhile, or taken its last connection: then the
        // choice is made anew.
        let held_back = self.sessions[id].x().held_back.take();
        let is_free = |proxy: &mut Proxy| {
            u64::from(held_back.is_some_and(|pick| proxy.is_still_free(id, pick)))
        };
        let is_free = self.decide(id, Verdict::StillFree, is_free) != 0;
        match held_back {
            Some(pick) if is_free => {
                self.reach.decided(Decision::PauseKept);
                self.connect(id, pick);
            }
            _ => {
                self.reach.decided(Decision::PauseAnew);
                self.dispatch(id);
            }
        }
    }
}

/// The phase in which an exchange stands that has no response yet.
pub(crate) fn phase_of(request_sent: bool) -> Phase {
    if request_sent { Phase::ResponseHead } else { Phase::RequestBody }
}

/// An ending without a timer.
pub(crate) fn ending(who: Who, phase: Phase) -> Ending {
    Ending { who, phase, timer: None }
}

/// An ending by a timer.
pub(crate) fn timed_out(timer: Timer, phase: Phase) -> Ending {
    Ending { who: Who::Timeout, phase, timer: Some(timer) }
}

//! What lies below a session's first request or first byte, in the only order there is (SES-2):
//! PROXY header, TLS handshake or ClientHello, service. Its listener says which of them there are.

use super::dial::ending;
use super::state::{Move, State};
use super::{Carries, Moved, SessionId};
use crate::config::{Listener, Protocol};
use crate::effect::{Close, Effect};
use crate::event::{Event, Phase, Timer, Who};
use crate::flight::{Flaw, Verdict};
use crate::http1::BodyReader;
use crate::id::SocketId;
use crate::proxy::Proxy;
use crate::proxy_protocol::{self, Announced, Parsed};
use crate::reach::Decision;
use crate::session::dial::Fault;
use crate::session::front::LINGER_BYTES_MAX;
use crate::sockets::Owner;
use crate::tls::{Tls, TlsFailure, hello};
use crate::transport::Transport;
use crate::version::VersionId;

/// The settings that a session opens under: those of its listener at the session's start (SES-1).
/// The version is counted, as an exchange's is.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opening {
    pub(crate) version: VersionId,
    /// The listener's index in it.
    pub(crate) listener: u16,
}

impl Proxy {
    /// A session was created: begins what its listener wants first.
    pub(crate) fn open(&mut self, id: SessionId) {
        let (version, listener) = self.listens[self.sessions[id].listener].last;
        self.versions[version].users += 1;
        self.sessions[id].opening = Some(Opening { version, listener });
        let config = self.opening_listener(id);
        let (expects, tcp) = (config.expect_proxy, matches!(config.protocol, Protocol::Tcp(_)));
        if tcp {
            self.sessions[id].carries = Carries::Tcp;
        }
        if !expects {
            return self.announced(id);
        }
        let peer = self.sessions[id].peer.map(|addr| addr.ip());
        let from = &self.opening_listener(id).proxy_from;
        if !from.is_empty() && !peer.is_some_and(|ip| from.iter().any(|net| net.contains(ip))) {
            self.counters.proxy_refused += 1;
            return self.close_session(id, Close::Normal);
        }
        let due = self.now.deadline(self.opening_timeouts(id).proxy_header);
        let session = &mut self.sessions[id];
        session.go(Move::Announce);
        session.timers.set_front(Timer::ProxyHeader, due);
        self.settle(id, Moved::Nobody);
    }

    fn opening_listener(&self, id: SessionId) -> &Listener {
        let opening = self.sessions[id].opening.expect("a session that is opening");
        &self.versions[opening.version].config.listeners[usize::from(opening.listener)]
    }

    fn opening_timeouts(&self, id: SessionId) -> &crate::config::Timeouts {
        let opening = self.sessions[id].opening.expect("a session that is opening");
        &self.versions[opening.version].listeners[usize::from(opening.listener)]
    }

    /// Bytes of a PROXY header are here.
    pub(crate) fn scan_proxy_header(&mut self, id: SessionId) {
        let input = self.sessions[id].x().request.head_input();
        match proxy_protocol::parse(input) {
            Parsed::More => {}
            Parsed::Refused(_) => {
                self.counters.proxy_malformed += 1;
                self.close_session(id, Close::Normal);
            }
            Parsed::Complete { len, header } => {
                self.tell_prelude(id);
                let x = self.sessions[id].x();
                x.request.consume_head(len);
                x.record.received -= len as u64;
                self.take_announced(id, header);
                self.announced(id);
            }
        }
    }

    fn take_announced(&mut self, id: SessionId, header: Announced) {
        let session = &mut self.sessions[id];
        if let Some((source, destination)) = header.addresses {
            session.peer = Some(source);
            session.local = Some(destination);
        }
        if !header.tlvs.is_empty() {
            session.tlvs = Some(header.tlvs);
        }
    }

    /// The client's address is known: counts it (ACC-9), and goes on with TLS or what it wraps.
    fn announced(&mut self, id: SessionId) {
        if !self.count_address(id) {
            match self.sessions[id].carries {
                Carries::Tcp => {
                    self.reach.decided(Decision::AddressTcpClosed);
                    return self.close_session(id, Close::Normal);
                }
                Carries::Http => self.sessions[id].over_limit = true,
            }
        }
        let config = self.opening_listener(id);
        let (secure, sniffs) = (config.tls.is_some(), config.sniffs());
        let due = self.now.deadline(self.opening_timeouts(id).tls_handshake);
        if secure {
            self.begin_handshake(id);
        } else if sniffs {
            let session = &mut self.sessions[id];
            session.go(Move::Sniff);
            session.timers.set_front(Timer::TlsHandshake, due);
            if self.sessions[id].exchange.is_some() {
                self.scan_hello(id);
            }
        } else {
            self.serve(id);
        }
        self.settle(id, Moved::Nobody);
    }

    fn begin_handshake(&mut self, id: SessionId) {
        let tls = match self.is_replay() {
            true => Some(Tls::played(true)),
            false => self.opening_listener(id).tls.as_ref().and_then(Tls::server),
        };
        let due = self.now.deadline(self.opening_timeouts(id).tls_handshake);
        let front = self.sessions[id].front;
        let Some(tls) = tls else {
            self.note_flaw(id, Flaw::Tls);
            return self.close_session(id, Close::Normal);
        };
        let socket = self.sockets.get_mut(front).expect("a live session's socket");
        socket.transport = Transport::new(Vec::new(), Some(tls));
        let session = &mut self.sessions[id];
        session.go(Move::Secure);
        session.timers.set_front(Timer::TlsHandshake, due);
        let Some(x) = session.exchange.as_deref_mut() else { return };
        // What came right behind the PROXY header is TLS, too.
        let surplus = x.request.head_input();
        if surplus.is_empty() {
            return self.release_exchange(id);
        }
        let n = surplus.len();
        self.reach.decided(Decision::HandshakeSurplus);
        self.cipher[..n].copy_from_slice(surplus);
        self.release_exchange(id);
        self.cipher_received(front, n);
    }

    /// The client's handshake is complete.
    pub(crate) fn front_secured(&mut self, id: SessionId) {
        let front = self.sessions[id].front;
        let tls = self.sockets.get(front).and_then(|socket| socket.tls());
        let facts = tls.expect("it was just secured").facts();
        self.counters.handshakes += 1;
        self.counters.handshakes_resumed += u64::from(facts.resumed);
        self.serve(id);
    }

    /// Everything below is done: HTTP waits for a request, TCP looks for a server.
    fn serve(&mut self, id: SessionId) {
        let now = self.now;
        let session = &mut self.sessions[id];
        session.timers.clear_front();
        session.serving_since = now;
        if session.carries == Carries::Tcp {
            return self.begin_tcp(id);
        }
        session.go(Move::Serve);
        self.release_opening(id);
        if self.closes_when_idle(id) {
            // A graceful stop has begun meanwhile: it closes unless its request is here.
            self.sockets.assume_readable(self.sessions[id].front);
        }
        let session = &mut self.sessions[id];
        let Some(x) = session.exchange.as_deref_mut() else { return };
        let surplus = x.request.input_len();
        if surplus > 0 {
            // The first request came with the PROXY header.
            self.reach.decided(Decision::RequestSurplus);
            x.reset(now);
            x.record.received = surplus as u64;
            self.begin_exchange(id, Move::FirstByte);
            self.scan_request(id);
        }
    }

    /// Bytes of a ClientHello are here: looks for the name in it (TLS-5).
    pub(crate) fn scan_hello(&mut self, id: SessionId) {
        self.tell_prelude(id);
        let input = self.sessions[id].exchange.as_deref().expect("it was read into");
        let input = input.request.head_input();
        match hello::read(input, &mut self.head_scratch) {
            hello::Hello::More if input.len() < self.settings.buffer_bytes => {}
            hello::Hello::Name(name) => {
                let mut lower = [0; 256];
                let name = crate::http1::canonical_host(name, &mut lower);
                let opening = self.sessions[id].opening.expect("a session that is opening");
                let to = self.versions[opening.version].forwards[usize::from(opening.listener)]
                    .by_name(name);
                let x = self.sessions[id].x();
                x.record.host.set(name);
                x.record.cluster = to;
                self.serve(id);
            }
            hello::Hello::Nameless => self.serve(id),
            hello::Hello::More | hello::Hello::NotTls => {
                self.note_tls_failure(id, TlsFailure::NotTls);
                self.close_session(id, Close::Normal);
            }
        }
    }

    /// An HTTP client spoke in the clear where TLS is expected: a 400 that it can read (TLS-2).
    pub(crate) fn refuse_plaintext(&mut self, id: SessionId, n: usize, head_only: bool) {
        self.note_tls_failure(id, TlsFailure::NotTls);
        let front = self.sessions[id].front;
        self.sockets.get_mut(front).expect("a live session's socket").transport = None;
        if self.sessions[id].carries == Carries::Tcp || !self.begin_read(id) {
            return self.close_session(id, Close::Normal);
        }
        self.release_opening(id);
        self.begin_exchange(id, Move::FirstByte);
        let x = self.sessions[id].x();
        x.facts.head_only = head_only;
        x.record.received = n as u64;
        x.facts.persistent = false;
        x.request_body = BodyReader::UntilClose;
        self.reach.decided(Decision::PlaintextAnswered);
        self.answer(id, 400, ending(Who::Client, Phase::RequestHead));
        self.settle(id, Moved::Nobody);
    }

    /// TLS with a peer failed: an alert goes out if it can, and the connection ends.
    pub(crate) fn tls_failed(&mut self, id: SocketId, failure: TlsFailure) {
        self.say_last_words(id);
        let Some(socket) = self.sockets.get_mut(id) else { return };
        socket.transport = None;
        match socket.owner {
            Owner::Front(session) if self.sessions[session].state == State::Handshake => {
                self.note_tls_failure(session, failure);
                self.let_alert_arrive(session);
            }
            Owner::Front(session) => {
                self.counters.count_tls_failure(failure);
                self.reach.decided(Decision::TlsBrokeLater);
                self.front_failed(session, crate::input::SocketError::Other);
                self.settle(session, Moved::Nobody);
            }
            Owner::Back(back) if self.backs[back].idle => self.idle_disturbed(back),
            Owner::Back(back) => {
                let session = self.backs[back].session;
                self.back_lost(session, Fault::Tls);
                self.settle(session, Moved::Nobody);
            }
            Owner::Listener(_) | Owner::Queued | Owner::Closing => {}
        }
    }

    /// The alert is out: reads on for a while, so that no reset destroys it (as RES-8).
    fn let_alert_arrive(&mut self, id: SessionId) {
        let due = self.now.deadline(self.opening_timeouts(id).linger);
        self.release_opening(id);
        let session = &mut self.sessions[id];
        session.go(Move::Discard);
        session.timers.set_front(Timer::Linger, due);
        session.linger_left = LINGER_BYTES_MAX;
        let front = session.front;
        self.effects.push_back(Effect::ShutdownWrite(front));
        self.settle(id, Moved::Nobody);
    }

    /// Counts a handshake that failed, and tells of it.
    fn note_tls_failure(&mut self, id: SessionId, failure: TlsFailure) {
        self.counters.count_tls_failure(failure);
        let session = &self.sessions[id];
        let listener = self.listens[session.listener].name.clone();
        let (session, client) = (session.serial, session.peer);
        self.events.push_back(Event::HandshakeFailed { session, listener, client, failure });
    }

    /// `proxy_header` or `tls_handshake` fired.
    pub(crate) fn opening_timed_out(&mut self, id: SessionId, timer: Timer) {
        if timer == Timer::TlsHandshake {
            self.note_tls_failure(id, TlsFailure::TimedOut);
        } else {
            self.counters.proxy_timed_out += 1;
        }
        self.close_session(id, Close::Normal);
    }

    /// The client left while its connection was opening.
    pub(crate) fn opening_ended(&mut self, id: SessionId) {
        if matches!(self.sessions[id].state, State::Handshake | State::Hello) {
            self.note_tls_failure(id, TlsFailure::Closed);
        }
        self.close_session(id, Close::Normal);
    }

    /// The session opens no more: its settings are released, once.
    pub(crate) fn release_opening(&mut self, id: SessionId) {
        if let Some(opening) = self.sessions[id].opening.take() {
            self.unview(opening.version);
        }
    }

    /// Counts the session for its client's address. False if that has all that it may have.
    fn count_address(&mut self, id: SessionId) -> bool {
        let Some(limit) = self.opening_listener(id).max_connections_per_ip else { return true };
        let Some(peer) = self.sessions[id].peer else { return true };
        let address = peer.ip().to_canonical();
        let may_enter = |proxy: &mut Proxy| {
            u64::from(proxy.per_address.get(&address).is_none_or(|count| *count < limit))
        };
        if self.decide(id, Verdict::Address, may_enter) == 0 {
            self.counters.over_address_limit += 1;
            return false;
        }
        *self.per_address.entry(address).or_insert(0) += 1;
        self.sessions[id].counted = Some(address);
        true
    }

    /// The session's address counts one session less.
    pub(crate) fn uncount_address(&mut self, address: std::net::IpAddr) {
        let count = self.per_address.get_mut(&address).expect("it was counted");
        *count -= 1;
        if *count == 0 {
            self.per_address.remove(&address);
        }
    }
}

//! Bytes between sockets and sessions: what the core lends for a read or a write, and what becomes
//! of it. With TLS in between, a read fills a buffer of the worker's, and a write takes records.

use crate::backend::Back;
use crate::buffer::Pool;
use crate::buggify::Point;
use crate::effect::Effect;
use crate::flight::{Flight, Tag, Verdict};
use crate::id::{Slots, SocketId};
use crate::input::SocketError;
use crate::proxy::{Proxy, SLICES_MAX};
use crate::session::state::State;
use crate::session::{Moved, ResponsePhase, Session, SessionId};
use crate::sockets::{Ops, Owner};
use crate::time::Time;
use crate::tls::{End, Tls};

impl Proxy {
    /// The space that the next read of `id` may fill, in order. Returns how many slices of
    /// `space` are set; none when the session must wait for buffers, or wants no bytes.
    /// Follow it up by [`received`](Proxy::received), [`blocked`](Proxy::blocked) or
    /// [`failed`](Proxy::failed) before anything else.
    pub fn recv_space<'a>(&'a mut self, id: SocketId, space: &mut [&'a mut [u8]]) -> usize {
        let Some(socket) = self.sockets.get(id) else { return 0 };
        let (owner, has_tls) = (socket.owner, socket.tls().is_some());
        self.note_lent(owner);
        if !self.may_read(owner) {
            return 0;
        }
        if has_tls {
            space[0] = &mut self.cipher[..crate::tls::RECV_BYTES];
            return 1;
        }
        let Proxy { sessions, backs, servers, pool, discard, flight, now, .. } = self;
        let window = |back: &Back| {
            let window = u64::from(servers[back.server].read_window);
            window_of(flight.as_deref_mut(), *now, back, window)
        };
        plain_space(owner, sessions, backs, window, pool, discard, space)
    }

    /// Whether the owner of a socket can take bytes from it; an idle session gets its buffers
    /// first.
    pub(crate) fn may_read(&mut self, owner: Owner) -> bool {
        match owner {
            Owner::Front(session) => self.front_may_read(session),
            Owner::Back(_) => true,
            Owner::Listener(_) | Owner::Queued | Owner::Closing => false,
        }
    }

    fn front_may_read(&mut self, id: SessionId) -> bool {
        match self.sessions[id].state {
            State::Idle | State::ExpectProxy | State::Hello => {
                let ready = self.begin_read(id);
                if !ready {
                    self.settle(id, Moved::Nobody);
                }
                ready
            }
            State::Head | State::Linger | State::Handshake => true,
            State::Relay | State::Tunnel => {
                let x = self.sessions[id].x();
                x.request.has_body_space(&self.pool)
            }
            _ => false,
        }
    }

    /// A read of `id` filled `n` bytes of the space lent last; 0 is the end of the stream.
    pub fn received(&mut self, id: SocketId, n: usize) {
        let Some(socket) = self.sockets.get(id) else {
            self.counters.stale_ids += 1;
            return;
        };
        let (owner, has_tls) = (socket.owner, socket.tls().is_some());
        self.note_read(owner, n, has_tls);
        match has_tls {
            false => self.plain_received(id, n),
            true => self.cipher_received(id, n),
        }
    }

    /// Bytes of the session came by `id`, in the space lent last; none are the end.
    pub(crate) fn plain_received(&mut self, id: SocketId, n: usize) {
        if n == 0 {
            self.take_back_loan(id);
        }
        match self.sockets.get(id).map(|socket| socket.owner) {
            Some(Owner::Front(session)) => {
                self.front_received(session, n);
                self.settle(session, Moved::Front);
            }
            Some(Owner::Back(back)) if self.backs[back].idle => self.idle_disturbed(back),
            Some(Owner::Back(back)) => {
                let session = self.backs[back].session;
                self.back_received(session, n);
                self.settle(session, Moved::Back);
            }
            _ => self.counters.stale_ids += 1,
        }
    }

    /// Whether the stream that `id` has just ended may be short of bytes: TLS without
    /// close_notify (TLS-3).
    pub(crate) fn is_truncated(&self, id: SocketId) -> bool {
        let tls = self.sockets.get(id).and_then(|socket| socket.tls());
        tls.is_some_and(|tls| tls.end() == Some(End::Truncated))
    }

    /// A read gave nothing: the buffers that were lent for it alone go back.
    fn take_back_loan(&mut self, id: SocketId) {
        let Some(owner) = self.sockets.get(id).map(|socket| socket.owner) else { return };
        let (session, front) = match owner {
            Owner::Front(session) => (session, true),
            Owner::Back(back) if !self.backs[back].idle => (self.backs[back].session, false),
            _ => return,
        };
        if let Some(x) = self.sessions[session].exchange.as_deref_mut() {
            let pipe = if front { &mut x.request } else { &mut x.response };
            pipe.take_back(&mut self.pool);
        }
    }

    /// Sends what is to be sent next on `id`, by one call of `send` with the slices in order. With
    /// nothing to send but a connection to wait for, the one call is empty: it asks whether the
    /// connection stands.
    pub fn transmit(
        &mut self,
        id: SocketId,
        mut send: impl FnMut(&[&[u8]]) -> Result<usize, SocketError>,
    ) {
        let Some(owner) = self.sockets.get(id).map(|socket| socket.owner) else { return };
        let unsealed = self.seal(id, owner);
        // Bytes on the wire, which a preface or TLS makes more than the session's own.
        let mut wrote = 0;
        let mut send = |from: &[&[u8]]| send(from).inspect(|&n| wrote = n);
        let few = self.buggify.point(Point::ShortWrite);
        let few = few.then(|| self.buggify.few(Point::ShortWrite));
        let Proxy { sockets, sessions, backs, .. } = self;
        let mut slices: [&[u8]; SLICES_MAX] = [&[]; SLICES_MAX];
        let mut count = output(owner, sessions, backs, &mut slices);
        if let (Some(few), 1..) = (few, count) {
            slices[0] = &slices[0][..slices[0].len().min(few)];
            count = 1;
        }
        let plain = &slices[..count];
        let offered: usize = plain.iter().map(|slice| slice.len()).sum();
        let socket = sockets.get_mut(id).expect("just seen");
        let sent = match socket.transport.as_deref_mut() {
            Some(transport) => transport.send(plain, &mut send),
            None if plain.is_empty() => None,
            None => Some(send(plain).map(|n| (n, n == offered))),
        };
        let sent = match sent {
            None if self.is_probing(owner) => send(&[]).map(|_| (0, true)),
            None => {
                self.gave_on(owner, offered as u64);
                return self.settle_owner(id, Moved::Nobody);
            }
            Some(sent) => sent,
        };
        let tls = self.sockets.get(id).and_then(|socket| socket.tls());
        // One write offers all that TLS has: a replay does not know what it had else.
        debug_assert!(!sent.is_ok_and(|(_, all)| all) || tls.is_none_or(Tls::is_flushed));
        self.note_sealed(owner, unsealed);
        if sent.is_err() {
            self.gave_on(owner, offered as u64);
        }
        match sent {
            Ok((n, all)) => {
                self.note_sent(owner, offered, wrote, all);
                if !all {
                    // The socket's buffer is full.
                    self.sockets.exhausted(id, Ops::WRITE);
                }
                self.sent(id, n);
            }
            Err(SocketError::WouldBlock) => self.blocked(id, true),
            Err(error) => self.failed(id, error, true),
        }
    }

    /// Whether a socket without output is asked whether its connection stands.
    fn is_probing(&self, owner: Owner) -> bool {
        match owner {
            Owner::Back(back) if !self.backs[back].idle => {
                self.sessions[self.backs[back].session].state == State::Connect
            }
            _ => false,
        }
    }

    /// Turns a session's output into records, once the ones before are out. From here on it
    /// counts as sent. Returns how much of what was offered TLS did not take.
    fn seal(&mut self, id: SocketId, owner: Owner) -> usize {
        let is_small = self.buggify.point(Point::SmallRecord);
        let Proxy { sockets, sessions, backs, .. } = self;
        let Some(tls) = sockets.get_mut(id).and_then(|socket| socket.tls_mut()) else { return 0 };
        if !tls.is_secured() || tls.owes() {
            return 0;
        }
        let mut slices: [&[u8]; SLICES_MAX] = [&[]; SLICES_MAX];
        let mut count = output(owner, sessions, backs, &mut slices);
        if is_small {
            count = count.min(1);
        }
        let offered: usize = slices[..count].iter().map(|slice| slice.len()).sum();
        let sealed = tls.seal(&slices[..count]);
        match owner {
            Owner::Front(session) if sealed > 0 => {
                let x = self.sessions[session].x();
                x.response.sent(&mut self.pool, sealed);
                x.record.sent += sealed as u64;
                if x.is_last_said() {
                    let tls = self.sockets.get_mut(id).and_then(|socket| socket.tls_mut());
                    tls.expect("just used").close_notify();
                }
            }
            Owner::Back(back) if sealed > 0 => {
                let x = self.sessions[self.backs[back].session].x();
                if x.given == 0 && !x.tcp {
                    x.request.keep();
                }
                x.request.sent(&mut self.pool, sealed);
                x.sealed += sealed as u64;
            }
            _ => {}
        }
        offered - sealed
    }

    /// A write on `id` took everything before and the first `n` bytes of the session's output.
    fn sent(&mut self, id: SocketId, n: usize) {
        let Some(socket) = self.sockets.get(id) else { return };
        let stands = socket.tls().is_none_or(Tls::is_secured);
        match socket.owner {
            Owner::Front(session) => {
                self.front_sent(session, n);
                self.settle(session, Moved::Front);
            }
            Owner::Back(back) if !self.backs[back].idle => {
                let session = self.backs[back].session;
                if stands {
                    self.back_connected(session);
                }
                self.back_sent(session, n);
                self.settle(session, Moved::Back);
            }
            _ => {}
        }
    }

    fn front_sent(&mut self, id: SessionId, n: usize) {
        let session = &mut self.sessions[id];
        let Some(x) = session.exchange.as_deref_mut() else { return };
        if n > 0 {
            x.response.sent(&mut self.pool, n);
            x.record.sent += n as u64;
        }
        if session.state == State::Tunnel {
            return self.tunnel_sent(id);
        }
        if x.response.unsent() > 0 {
            return;
        }
        match x.phase {
            ResponsePhase::Done => self.finish_if_flushed(id),
            ResponsePhase::Interim => {
                x.phase = ResponsePhase::Head;
                if x.response.input_len() > 0 {
                    x.response.gather_head(&mut self.pool);
                    self.scan_response(id);
                }
            }
            ResponsePhase::Head | ResponsePhase::Body => {}
        }
    }

    fn back_sent(&mut self, id: SessionId, n: usize) {
        let session = &mut self.sessions[id];
        let Some(x) = session.exchange.as_deref_mut() else { return };
        if n > 0 {
            x.request.sent(&mut self.pool, n);
            x.given += n as u64;
        }
        if x.sealed > 0 {
            x.given += std::mem::take(&mut x.sealed);
            if !x.facts.idempotent {
                x.request.release_kept(&mut self.pool);
            }
        }
        if session.state == State::Tunnel {
            self.tunnel_sent(id);
        }
    }

    /// A read (or, with `writing`, a write) of `id` would block: it waits for the next edge.
    pub fn blocked(&mut self, id: SocketId, writing: bool) {
        self.note_socket(id, Tag::Blocked, 0, writing);
        if !writing {
            self.take_back_loan(id);
        }
        self.sockets.exhausted(id, if writing { Ops::WRITE } else { Ops::READ });
        if let Some(Owner::Front(session)) = self.sockets.get(id).map(|socket| socket.owner)
            && !writing
            && self.idle_at_stop(session)
        {
            return;
        }
        self.settle_owner(id, Moved::Nobody);
    }

    /// A socket failed: while connecting, reading, or, with `writing`, while writing.
    pub fn failed(&mut self, id: SocketId, error: SocketError, writing: bool) {
        self.note_failure(id, error, writing);
        if !writing {
            self.take_back_loan(id);
        }
        let Some(socket) = self.sockets.get_mut(id) else {
            self.counters.stale_ids += 1;
            return;
        };
        socket.reset = true;
        match socket.owner {
            Owner::Front(session) => {
                self.front_failed(session, error);
                self.settle(session, Moved::Nobody);
            }
            Owner::Back(back) if self.backs[back].idle => self.idle_disturbed(back),
            Owner::Back(back) => {
                let session = self.backs[back].session;
                self.back_failed(session, error, writing);
                self.settle(session, Moved::Nobody);
            }
            Owner::Listener(_) | Owner::Queued | Owner::Closing => {}
        }
    }

    /// Computes interest and timers anew for the session that a socket belongs to.
    pub(crate) fn settle_owner(&mut self, id: SocketId, moved: Moved) {
        match self.sockets.get(id).map(|socket| socket.owner) {
            Some(Owner::Front(session)) => self.settle(session, moved),
            Some(Owner::Back(back)) if !self.backs[back].idle => {
                self.settle(self.backs[back].session, moved);
            }
            _ => {}
        }
    }

    /// What TLS has still to say goes out if it can: the goodbye, or the alert of a failure.
    pub(crate) fn say_last_words(&mut self, id: SocketId) {
        // A socket that failed takes no words. One that gave no byte yet has none to be told: it
        // may not even be connected.
        let Some(socket) = self.sockets.get_mut(id).filter(|socket| !socket.reset) else { return };
        let transport = socket.transport.as_deref_mut().filter(|transport| !transport.is_mute());
        // Behind half a PROXY header they would be taken for the rest of it (PP-1).
        let transport = transport.filter(|transport| !transport.owes_preface());
        let tls = transport.and_then(|transport| transport.tls.as_mut());
        let Some(tls) = tls.filter(|tls| tls.has_begun()) else { return };
        tls.close_notify();
        let bytes = tls.take_output();
        if !bytes.is_empty() {
            self.effects.push_back(Effect::LastWords { id, bytes: bytes.into() });
        }
    }
}

/// How many buffers the first read of a response is given: `live`, as the server's last one needed.
pub(crate) fn window_of(flight: Option<&mut Flight>, now: Time, back: &Back, live: u64) -> usize {
    let settled = |flight: &mut Flight| flight.settle_on(now, back.session, Verdict::Window, live);
    flight.map_or(live, settled) as usize
}

/// The session's own space for bytes from a socket of `owner`.
pub(crate) fn plain_space<'a>(
    owner: Owner,
    sessions: &'a mut Slots<Session>,
    backs: &Slots<Back>,
    window: impl FnOnce(&Back) -> usize,
    pool: &mut Pool,
    discard: &'a mut [u8],
    space: &mut [&'a mut [u8]],
) -> usize {
    let (id, back) = match owner {
        Owner::Front(session) => (session, None),
        Owner::Back(back) if backs[back].idle => {
            space[0] = &mut discard[..1];
            return 1;
        }
        Owner::Back(back) => (backs[back].session, Some(&backs[back])),
        Owner::Listener(_) | Owner::Queued | Owner::Closing => return 0,
    };
    let session = sessions.get_mut(id).expect("a socket has a session");
    let state = session.state;
    let Some(x) = session.exchange.as_deref_mut() else {
        space[0] = discard;
        return 1;
    };
    let Some(back) = back else {
        return match state {
            State::Tunnel => {
                x.open_request(pool);
                x.request.lend_body(pool, space)
            }
            State::Relay => x.request.lend_body(pool, space),
            _ => x.request.lend_head(pool, false, space),
        };
    };
    if !x.response.is_open() {
        x.open_response(pool);
        x.response.expect(window(back));
    }
    if state != State::Tunnel && x.phase == ResponsePhase::Head {
        x.response.lend_head(pool, true, space)
    } else {
        x.response.lend_body(pool, space)
    }
}

/// The session's own bytes for a socket of `owner`.
fn output<'a>(
    owner: Owner,
    sessions: &'a Slots<Session>,
    backs: &Slots<Back>,
    slices: &mut [&'a [u8]],
) -> usize {
    let exchange = |id: SessionId| sessions[id].exchange.as_deref();
    match owner {
        Owner::Front(session) => exchange(session).map_or(0, |x| x.response.output(slices)),
        Owner::Back(back) if !backs[back].idle => {
            exchange(backs[back].session).map_or(0, |x| x.request.output(slices))
        }
        _ => 0,
    }
}

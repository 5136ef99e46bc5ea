//! Where the proxy and its recorder meet: what is off costs one comparison.

use super::mask::{self, Prelude};
use super::{
    AMPLE, BACK, Cause, Entry, FILLER, FLAG, Flaw, Flight, Loan, Mode, Recording, Start, Step, Tag,
    Track, Verdict, fold_pairs,
};
use crate::backend::{Back, BackId, Choice, Pick, ServerId};
use crate::buffer::Pool;
use crate::event::{AccessRecord, Timer};
use crate::http1::BodyReader;
use crate::id::SocketId;
use crate::input::SocketError;
use crate::proxy::Proxy;
use crate::session::state::State;
use crate::session::{ResponsePhase, SessionId};
use crate::sockets::{Ops, Owner, Socket};
use crate::time::Time;
use crate::tls::Tls;
use crate::transport::Transport;
use std::time::Duration;

impl Proxy {
    /// Records from here on into a ring of about `bytes`; sessions that live already are not
    /// replayable. Call it before the first turn.
    pub fn record(&mut self, bytes: usize) {
        self.flight = Some(Box::new(Flight::recorder(bytes)));
    }

    /// A copy of what was recorded, if anything is: of the ring's size, so not for every turn.
    pub fn recording(&self) -> Option<Recording> {
        let flight = self.flight.as_deref()?;
        let Mode::Record(ring) = &flight.mode else { return None };
        Some(Recording {
            ring: ring.clone(),
            alive: flight.alive(),
            settings: self.settings.clone(),
        })
    }

    /// The configuration in force, the only one so far, gets this serial number.
    pub(super) fn renumber(&mut self, serial: u64) {
        self.version_serial = serial;
        self.versions[self.current].serial = serial;
    }

    /// A session's step, about to be carried out.
    #[inline(always)]
    fn note(&mut self, id: SessionId, step: Step) {
        let Some(flight) = self.flight.as_deref_mut() else { return };
        if self.pool.available() < AMPLE || self.pool.contended {
            flight.put_scarce(self.now, id, &self.pool);
        }
        let due = self.sessions.get(id).map_or(Time::NEVER, |session| session.timers.earliest());
        flight.step(self.now, due, slot(id), step);
    }

    /// The session that a socket works for now, and whether it is the server's side of it.
    #[inline]
    pub(super) fn worked_for(&self, owner: Owner) -> Option<(SessionId, bool)> {
        match owner {
            Owner::Front(session) => Some((session, false)),
            Owner::Back(back) => {
                let back = &self.backs[back];
                (!back.idle).then_some((back.session, true))
            }
            Owner::Listener(_) | Owner::Queued | Owner::Closing => None,
        }
    }

    /// A step on a socket; nothing is noted of sockets without a session.
    #[inline]
    pub(crate) fn note_socket(&mut self, id: SocketId, tag: Tag, a: u64, flag: bool) {
        if self.flight.is_some()
            && let Some(socket) = self.sockets.get(id)
        {
            self.note_step(socket.owner, Step::new(tag, a).flagged(FLAG, flag));
        }
    }

    /// The same where it is known whose socket it is.
    #[inline(never)]
    pub(super) fn note_step(&mut self, owner: Owner, step: Step) {
        if let Some((session, back)) = self.worked_for(owner) {
            self.note(session, step.flagged(BACK, back));
        }
    }

    /// Space for a read from a socket of `owner` is about to be lent.
    #[inline]
    pub(crate) fn note_lent(&mut self, owner: Owner) {
        if self.flight.is_none() {
            return;
        }
        let Some((session, back)) = self.worked_for(owner) else { return };
        let Some(flight) = self.flight.as_deref_mut() else { return };
        let loan = Loan { slot: slot(session), back };
        if self.pool.available() < AMPLE || self.pool.contended {
            flight.put_scarce(self.now, session, &self.pool);
            flight.put(self.now, &Entry::new(Tag::Lent, slot(session)).flagged(BACK, back));
        } else {
            flight.lent = Some(loan);
        }
    }

    /// A write took `wrote` bytes, of `offered` that the session had for it; `all`: nothing was
    /// left.
    #[inline]
    pub(crate) fn note_sent(&mut self, owner: Owner, offered: usize, wrote: usize, all: bool) {
        if self.flight.is_some() {
            let step = Step::new(Tag::Sent, wrote as u64).flagged(FLAG, !all);
            self.note_step(owner, Step { b: offered as u64, ..step });
        }
    }

    /// What a session gives out on a socket: any number that a replay must repeat.
    #[inline]
    pub(crate) fn gave_on(&mut self, owner: Owner, value: u64) {
        if self.flight.is_some()
            && let Some((session, _)) = self.worked_for(owner)
        {
            self.gave(session, value);
        }
    }

    /// The same for a failed socket.
    pub(crate) fn note_failure(&mut self, id: SocketId, error: SocketError, writing: bool) {
        self.note_socket(id, Tag::Failed, error as u64, writing);
    }

    #[inline(never)]
    fn note_rare(&mut self, id: SessionId, step: Step) {
        self.note(id, step);
    }

    pub(crate) fn note_timer(&mut self, id: SessionId, timer: Timer) {
        self.note_rare(id, Step::new(Tag::Fired, timer as u64));
    }

    pub(crate) fn note_plain(&mut self, id: SessionId, tag: Tag) {
        self.note_rare(id, Step::new(tag, 0));
    }

    pub(crate) fn note_end(&mut self, id: SessionId, cause: Cause) {
        self.note_rare(id, Step::new(Tag::Ended, cause as u64));
    }

    /// A fact about the worker that its sessions see.
    pub(crate) fn note_worker(&mut self, tag: Tag, a: u64) {
        if let Some(flight) = self.flight.as_deref_mut() {
            flight.put(self.now, &Entry::new(tag, 0).with(a));
            // Each chain has the entry.
            flight.tracks.iter_mut().for_each(|track| track.omitted = 0);
        }
    }

    /// A session was created, and nothing done with it yet.
    pub(crate) fn note_start(&mut self, id: SessionId, child: u128) {
        let Some(flight) = self.flight.as_deref_mut() else { return };
        let mut bytes = std::mem::take(&mut flight.scratch);
        bytes.clear();
        Start::write(self, id, child, &mut bytes);
        let flight = self.flight.as_deref_mut().expect("just seen");
        *flight.track(slot(id)) = Track { lives: true, ..Track::default() };
        flight.put(self.now, &Entry { bytes: &bytes, ..Entry::new(Tag::Accepted, slot(id)) });
        flight.scratch = bytes;
    }

    /// A decision that depends on more than the session: `live` takes it, and it is recorded; in
    /// a replay it is what it was.
    #[inline]
    pub(crate) fn decide(
        &mut self,
        id: SessionId,
        what: Verdict,
        live: impl FnOnce(&mut Proxy) -> u64,
    ) -> u64 {
        if let Some(flight) = self.flight.as_deref_mut()
            && let Some(value) = flight.forced(what)
        {
            return value;
        }
        let value = live(self);
        if let Some(flight) = self.flight.as_deref_mut() {
            flight.decided(self.now, id, what, value);
        }
        value
    }

    /// What the session gives out: any number that a replay must repeat.
    #[inline]
    pub(crate) fn gave(&mut self, id: SessionId, value: u64) {
        if let Some(flight) = self.flight.as_deref_mut() {
            flight.track(slot(id)).mix(value);
        }
    }

    /// The client's head, or the server's, is about to be understood: its `end`, or none where it
    /// is refused or lost. Then it is told as far as its scanner has looked.
    pub(crate) fn tell_head(&mut self, id: SessionId, back: bool, end: Option<usize>) {
        let Some(flight) = self.flight.as_deref_mut() else { return };
        let Some(x) = self.sessions.get(id).and_then(|s| s.exchange.as_deref()) else { return };
        let pipe = if back { &x.response } else { &x.request };
        let input = pipe.head_input();
        let end = end.unwrap_or_else(|| x.scanner.looked_at(input));
        let entry = Entry { bytes: &input[..end], ..Entry::new(Tag::Head, slot(id)) };
        flight.tell(self.now, entry.flagged(BACK, back), pipe.input_len());
    }

    /// The client's PROXY header, or as much as came of its ClientHello, is about to be understood,
    /// or lost.
    pub(crate) fn tell_prelude(&mut self, id: SessionId) {
        let Some(flight) = self.flight.as_deref_mut() else { return };
        let Some(session) = self.sessions.get(id) else { return };
        let Some(x) = session.exchange.as_deref() else { return };
        let kind = match session.state {
            State::Hello => Prelude::Hello,
            _ => Prelude::Proxy,
        };
        let bytes = mask::prelude(kind, x.request.head_input());
        let entry = Entry { bytes: &bytes, ..Entry::new(Tag::Prelude, slot(id)) };
        flight.tell(self.now, entry, x.request.input_len());
    }

    /// What was read of a head that will never be complete: it is answered, or lost.
    pub(crate) fn tell_unread(&mut self, id: SessionId) {
        if self.flight.is_none() {
            return;
        }
        let Some(session) = self.sessions.get(id) else { return };
        let Some(x) = session.exchange.as_deref() else { return };
        let is_head = session.timers.front() == Some(Timer::RequestHead);
        let (state, answers) = (session.state, x.phase == ResponsePhase::Head && x.response_begun);
        let pipe = if state == State::Relay { &x.response } else { &x.request };
        let (pending, back) = (pipe.input_len(), state == State::Relay);
        let flight = self.flight.as_deref().expect("just seen");
        if flight.has_told(slot(id), back, pending) {
            // A head that was told whole: what is behind it is a body's.
            return;
        }
        match state {
            State::Head if is_head => self.tell_head(id, false, None),
            State::ExpectProxy | State::Hello => self.tell_prelude(id),
            State::Relay if answers => self.tell_head(id, true, None),
            _ => {}
        }
    }

    /// The session cannot be played back, for this reason.
    pub(crate) fn note_flaw(&mut self, id: SessionId, flaw: Flaw) {
        if let Some(flight) = self.flight.as_deref_mut() {
            flight.put(self.now, &Entry::new(Tag::Torn, slot(id)).with(flaw as u64));
        }
    }

    /// Chooses a server for the session's request, as far as others have left it a choice.
    pub(crate) fn choose_server(&mut self, id: SessionId) -> Choice {
        if let Some(flight) = self.flight.as_deref_mut()
            && let Some(number) = flight.forced(Verdict::Server)
        {
            return self.choice_of(id, number);
        }
        let choice = self.pick_server(id);
        self.note_choice(id, choice);
        choice
    }

    /// A server was chosen for a session that stands in line.
    pub(crate) fn note_choice(&mut self, id: SessionId, choice: Choice) {
        if let Some(flight) = self.flight.as_deref_mut() {
            flight.decided(self.now, id, Verdict::Server, number_of(choice));
        }
    }

    fn choice_of(&self, id: SessionId, number: u64) -> Choice {
        let index = match number {
            0 => return Choice::Nobody,
            1 => return Choice::Full,
            _ => (number - 2) as usize,
        };
        let x = self.sessions[id].exchange.as_deref().expect("a request is being served");
        let cluster = x.record.cluster.expect("the route led to a cluster") as usize;
        let version = &self.versions[x.version.expect("a request sees a version")];
        match version.clusters[cluster].servers.get(index) {
            Some(&server) => Choice::Server(Pick { server, index: index as u16 }),
            None => Choice::Nobody,
        }
    }

    /// Takes an idle connection of `server`, as [`Proxy::take_idle`] does; in a replay, one that is
    /// as the recorded one was.
    pub(crate) fn choose_idle(
        &mut self,
        server: ServerId,
        id: SessionId,
        others: bool,
    ) -> Option<BackId> {
        if let Some(flight) = self.flight.as_deref_mut()
            && let Some(number) = flight.forced(Verdict::Idle)
        {
            return (number > 0).then(|| self.make_idle(server, id, number - 1));
        }
        let back = self.take_idle(server, id, others);
        if let Some(flight) = self.flight.as_deref_mut() {
            let socket = back.and_then(|back| self.sockets.get(self.backs[back].socket));
            flight.decided(self.now, id, Verdict::Idle, socket.map_or(0, number_of_idle));
        }
        back
    }

    /// A connection as one that was taken out of the pool: bits of [`number_of_idle`].
    fn make_idle(&mut self, server: ServerId, session: SessionId, bits: u64) -> BackId {
        let back = self.backs.next_id();
        let tls = (bits & 2 != 0).then(|| Tls::played_idle(bits & 4 != 0));
        let transport = Transport::new(Vec::new(), tls);
        let socket = self.sockets.insert(Owner::Back(back), false, transport);
        if bits & 1 != 0 {
            self.sockets.exhausted(socket, Ops::WRITE);
        }
        let deadline = self.back_deadline(back);
        let state = &mut self.servers[server];
        state.users += 1;
        state.open += 1;
        let speech = state.speech_serial;
        self.backs.insert(Back {
            socket,
            server,
            session,
            speech,
            idle: false,
            reused: true,
            deadline,
        })
    }

    /// The framing of a chunked body in the unread input, which is about to be decoded.
    #[inline]
    pub(crate) fn tell_framing(&mut self, id: SessionId, back: bool) {
        let Some(flight) = self.flight.as_deref_mut() else { return };
        if flight.is_replay() {
            return;
        }
        let Some(x) = self.sessions.get(id).and_then(|s| s.exchange.as_deref()) else { return };
        let (pipe, reader) = match back {
            true => (&x.response, &x.response_body),
            false => (&x.request, &x.request_body),
        };
        let BodyReader::Chunked(mut decoder) = *reader else { return };
        let mut pending = pipe.input_len();
        let now = self.now;
        for input in pipe.inputs() {
            let goes_on = decoder.walk(input, FILLER, |at, bytes| {
                let entry = Entry { bytes, ..Entry::new(Tag::Framing, slot(id)) };
                flight.tell(now, entry.flagged(BACK, back), pending - at);
            });
            if !goes_on {
                return;
            }
            pending -= input.len();
        }
    }

    /// The session's access record is about to be written.
    pub(crate) fn note_record(&mut self, id: SessionId) {
        let Some(flight) = self.flight.as_deref_mut() else { return };
        let Some(x) = self.sessions[id].exchange.as_deref() else { return };
        let track = flight.track(slot(id));
        track.mix(fold_pairs(&fields_of(&x.record)));
        track.omitted = 0;
        let hash = track.hash & u64::from(u32::MAX);
        match &mut flight.mode {
            Mode::Record(_) => flight.write(self.now, slot(id), Step::new(Tag::Logged, hash)),
            Mode::Replay(script) => script.reached(Tag::Logged, hash),
        }
    }

    /// The session is gone.
    pub(crate) fn note_closed(&mut self, id: SessionId) {
        if let Some(flight) = self.flight.as_deref_mut() {
            let track = flight.track(slot(id));
            track.lives = false;
            let hash = track.hash;
            match &mut flight.mode {
                Mode::Record(_) => {
                    flight.put(self.now, &Entry::new(Tag::Closed, slot(id)).with(hash));
                }
                Mode::Replay(script) => script.reached(Tag::Closed, hash),
            }
        }
    }
}

impl Flight {
    /// The pool is short while the session's next entry is carried out.
    #[cold]
    fn put_scarce(&mut self, now: Time, id: SessionId, pool: &Pool) {
        let scarce = Entry::new(Tag::Scarce, slot(id)).with(pool.available().min(AMPLE) as u64);
        self.put(now, &scarce.flagged(FLAG, pool.contended));
    }

    #[inline]
    pub(super) fn is_replay(&self) -> bool {
        matches!(self.mode, Mode::Replay(_))
    }

    #[inline]
    pub(super) fn forced(&mut self, what: Verdict) -> Option<u64> {
        match &mut self.mode {
            Mode::Record(_) => None,
            Mode::Replay(script) => script.forced(what),
        }
    }

    #[inline]
    pub(crate) fn decided(&mut self, now: Time, id: SessionId, what: Verdict, value: u64) {
        let track = self.track(slot(id));
        if value == what.usual() && track.omitted < u8::MAX {
            track.omitted += 1;
        } else {
            self.put_decided(now, id, what, value);
        }
    }

    #[inline(never)]
    fn put_decided(&mut self, now: Time, id: SessionId, what: Verdict, value: u64) {
        let number = what.number(self.track(slot(id)).omitted);
        self.put(now, &Entry { b: value, ..Entry::new(Tag::Decided, slot(id)).with(number) });
    }

    /// [`Proxy::decide`] for whoever has lent the proxy's parts away.
    #[inline]
    pub(crate) fn settle_on(&mut self, now: Time, id: SessionId, what: Verdict, live: u64) -> u64 {
        let value = self.forced(what).unwrap_or(live);
        self.decided(now, id, what, value);
        value
    }

    /// The sessions that live, with their hashes so far.
    fn alive(&self) -> Vec<(u32, u64)> {
        let live = self.tracks.iter().zip(0..).filter(|(track, _)| track.lives);
        live.map(|(track, slot)| (slot, track.hash)).collect()
    }

    pub(super) fn hash_of(&self, slot: u32) -> u64 {
        self.tracks.get(slot as usize).map_or(0, |track| track.hash)
    }
}

/// The slot of a session, as entries name it.
pub(super) fn slot(id: SessionId) -> u32 {
    id.index() as u32
}

/// A choice by its number in recordings; [`Proxy::choice_of`] is the way back.
fn number_of(choice: Choice) -> u64 {
    match choice {
        Choice::Nobody => 0,
        Choice::Full => 1,
        Choice::Server(pick) => 2 + u64::from(pick.index),
    }
}

/// An idle connection, as [`Verdict::Idle`] has it.
fn number_of_idle(socket: &Socket) -> u64 {
    let of_tls = |tls: &Tls| if tls.is_flushed() { 2 } else { 2 + 4 };
    let is_full = !socket.is_ready(Ops::WRITE);
    1 + u64::from(is_full) + socket.tls().map_or(0, of_tls)
}

/// What of a record must come out equal: kinds, sizes, spans and parsed fields, no payload.
fn fields_of(record: &AccessRecord) -> [[u64; 2]; 7] {
    let option = |value: Option<u32>| value.map_or(0, |value| u64::from(value) + 1);
    let two = |a: u64, b: u64| a << 32 ^ b;
    let three = |a: usize, b: usize, c: usize| (a << 32 | b << 16 | c) as u64;
    let span = |span: Duration| two(span.as_secs(), u64::from(span.subsec_nanos()));
    let (listener, server) = (record.listener.map(u32::from), record.server.map(u32::from));
    let (method, host, path) = (&record.method, &record.host, &record.path);
    let lens = three(method.as_bytes().len(), host.as_bytes().len(), path.as_bytes().len());
    let ending = record.ending;
    let timer = ending.timer.map_or(0, |timer| timer as usize + 1);
    let ended = three(ending.who as usize, ending.phase as usize, timer);
    let attempts = u64::from(record.attempts) << 1 | u64::from(record.reused);
    let status = u64::from(record.status) << 16 | u64::from(record.minor) << 8;
    [
        [record.start.0, two(record.version, u64::from(record.request))],
        [two(option(listener), option(record.route)), two(option(record.cluster), option(server))],
        [lens, two(attempts, status)],
        [record.received, record.sent],
        [span(record.head), span(record.queue)],
        [span(record.connect), span(record.wait)],
        [span(record.transfer), ended],
    ]
}

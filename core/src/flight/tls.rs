//! Where TLS meets the recorder: what each call of it came to is recorded, and played back.

use super::{BACK, Entry, FLAG, Flight, Mode, Step, Tag, Verdict, hooks::slot};
use crate::id::SocketId;
use crate::proxy::Proxy;
use crate::session::SessionId;
use crate::sockets::Owner;
use crate::time::Time;
use crate::tls::{Tls, TlsFailure, Told};

impl Proxy {
    /// Whether this proxy plays a recording back: nobody speaks TLS there.
    pub(crate) fn is_replay(&self) -> bool {
        self.flight.as_deref().is_some_and(Flight::is_replay)
    }

    /// A read from a socket of `owner` gave `n` bytes, which are TLS's if so.
    #[inline]
    pub(crate) fn note_read(&mut self, owner: Owner, n: usize, are_tls: bool) {
        if self.flight.is_some() {
            self.note_step(owner, Step::new(Tag::Read, n as u64).flagged(FLAG, are_tls));
        }
    }

    /// The session that a socket of `owner` works for, if there is a recorder to be told.
    #[inline]
    pub(crate) fn recorded(&self, owner: Owner) -> Option<(SessionId, bool)> {
        self.flight.as_ref().and_then(|_| self.worked_for(owner))
    }

    /// Whether the first `n` bytes for a client's TLS are HTTP in the clear, and then whether they
    /// are HEAD's: `live` says so, or a recording.
    pub(crate) fn settle_cleartext(&mut self, id: SessionId, live: bool, n: usize) -> Option<bool> {
        let live = match live {
            false => 0,
            true => 1 + u64::from(self.cipher[..n].starts_with(b"HEAD ")),
        };
        match self.decide(id, Verdict::Cleartext, |_| live) {
            0 => None,
            what => Some(what == 2),
        }
    }

    /// Feeds the TLS of `id` with the first `n` bytes of the worker's buffer.
    ///
    /// # Errors
    /// Those of [`Tls::feed`].
    pub(crate) fn feed_tls(&mut self, id: SocketId, owner: Owner, n: usize) -> Fed {
        let works_for = self.recorded(owner);
        let Proxy { sockets, flight, cipher, now, .. } = self;
        let tls = sockets.get_mut(id).and_then(|socket| socket.tls_mut());
        let tls = tls.expect("the caller has seen it");
        let bytes = &cipher[..n];
        let Some((flight, (session, _))) = flight.as_deref_mut().zip(works_for) else {
            return tls.feed(bytes);
        };
        if bytes.is_empty() {
            // The end of the stream changes what follows from the calls before.
            return tls.feed(bytes);
        }
        let expected = tls.told(Ok(0)).with_record(n);
        if let Some(number) = flight.forced(Verdict::Opened) {
            return tls.play(Told::of(number, expected)).map(|_| ());
        }
        let fed = tls.feed(bytes);
        let number = tls.told(fed.map(|()| 0)).number(expected);
        flight.decided(*now, session, Verdict::Opened, number);
        fed
    }

    /// A write for `owner` is about to be told of: before it TLS left `unsealed` bytes of what it
    /// was offered.
    #[inline]
    pub(crate) fn note_sealed(&mut self, owner: Owner, unsealed: usize) {
        if self.flight.is_none() || unsealed == 0 {
            return;
        }
        let Some((session, back)) = self.worked_for(owner) else { return };
        let entry = Entry::new(Tag::Sealed, slot(session)).with(unsealed as u64);
        if let Some(flight) = self.flight.as_deref_mut() {
            flight.put(self.now, &entry.flagged(BACK, back));
        }
    }
}

/// What came of bytes for TLS.
type Fed = Result<(), TlsFailure>;

impl Flight {
    /// Reads plaintext of the session, and of its server's side if so, into `space`.
    ///
    /// # Errors
    /// Those of [`Tls::read`].
    pub(crate) fn read_tls(
        &mut self,
        now: Time,
        (session, back): (SessionId, bool),
        tls: &mut Tls,
        space: &mut [&mut [u8]],
    ) -> Result<usize, TlsFailure> {
        let room: usize = space.iter().map(|slice| slice.len()).sum();
        let expected = tls.told(Ok(0)).with_read(room);
        if let Some(number) = self.forced(Verdict::Plain) {
            let n = tls.play(Told::of(number, expected))?.min(room);
            if let Mode::Replay(script) = &mut self.mode {
                script.fill(back, space, n);
            }
            return Ok(n);
        }
        let read = tls.read(space);
        self.decided(now, session, Verdict::Plain, tls.told(read).number(expected));
        self.track(slot(session)).read[usize::from(back)] += read.unwrap_or(0) as u64;
        read
    }
}

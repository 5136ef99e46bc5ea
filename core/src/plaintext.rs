//! From the TLS of a socket to its session: bytes are opened, and handed on as far as the session
//! takes them.

use crate::backend::Back;
use crate::flight::Tag;
use crate::id::SocketId;
use crate::proxy::{Proxy, SLICES_MAX};
use crate::session::Moved;
use crate::sockets::{Ops, Owner};
use crate::tls::{Tls, TlsFailure};
use crate::transfer::{plain_space, window_of};

impl Proxy {
    /// The first `n` bytes of the worker's buffer are for the TLS of `id`; 0 is the end.
    pub(crate) fn cipher_received(&mut self, id: SocketId, n: usize) {
        let socket = self.sockets.get(id).expect("just seen");
        let (owner, has_begun) = (socket.owner, socket.tls().is_none_or(Tls::has_begun));
        if let Owner::Front(session) = owner
            && !has_begun
        {
            let live = crate::http1::plaintext_on_tls(&self.cipher[..n]);
            if let Some(head_only) = self.settle_cleartext(session, live, n) {
                return self.refuse_plaintext(session, n, head_only);
            }
        }
        let fed = self.feed_tls(id, owner, n);
        self.fed(id, fed);
    }

    /// TLS was given bytes: goes on with what came of them.
    pub(crate) fn fed(&mut self, id: SocketId, fed: Result<(), TlsFailure>) {
        if let Err(failure) = fed {
            return self.tls_failed(id, failure);
        }
        let socket = self.sockets.get_mut(id).expect("it was just fed");
        let owner = socket.owner;
        if socket.tls_mut().is_some_and(Tls::secured) {
            match owner {
                Owner::Front(session) => self.front_secured(session),
                Owner::Back(back) => self.back_connected(self.backs[back].session),
                Owner::Listener(_) | Owner::Queued | Owner::Closing => {}
            }
            self.settle_owner(id, Moved::Nobody);
        }
        self.hand_on(id);
    }

    /// The session goes on with plaintext that TLS holds, or its end.
    pub(crate) fn deliver(&mut self, id: SocketId) {
        self.note_socket(id, Tag::Delivered, 0, false);
        self.hand_on(id);
    }

    /// Hands plaintext on that TLS holds, as long as the session takes it.
    fn hand_on(&mut self, id: SocketId) {
        while let Some(socket) = self.sockets.get(id)
            && socket.wants(Ops::READ)
            && let Some(tls) = socket.tls()
            && tls.has_input()
        {
            let owner = socket.owner;
            if !tls.has_plaintext() {
                self.plain_received(id, 0);
                break;
            }
            if !self.may_read(owner) {
                break;
            }
            match self.read_plaintext(id, owner) {
                Ok(0) => break,
                Ok(n) => self.plain_received(id, n),
                Err(failure) => return self.tls_failed(id, failure),
            }
        }
        if let Some(tls) = self.sockets.get_mut(id).and_then(|socket| socket.tls_mut()) {
            tls.rest();
        }
        self.settle_owner(id, Moved::Nobody);
    }

    fn read_plaintext(&mut self, id: SocketId, owner: Owner) -> Result<usize, TlsFailure> {
        let works_for = self.recorded(owner);
        let Proxy { sockets, sessions, backs, servers, pool, discard, flight, now, .. } = self;
        let window = |back: &Back| {
            let window = u64::from(servers[back.server].read_window);
            window_of(flight.as_deref_mut(), *now, back, window)
        };
        let mut space: [&mut [u8]; SLICES_MAX] = std::array::from_fn(|_| &mut [][..]);
        let count = plain_space(owner, sessions, backs, window, pool, discard, &mut space);
        let tls = sockets.get_mut(id).and_then(|socket| socket.tls_mut());
        let tls = tls.expect("the caller has seen it");
        match flight.as_deref_mut().zip(works_for) {
            Some((flight, works_for)) => flight.read_tls(*now, works_for, tls, &mut space[..count]),
            None => tls.read(&mut space[..count]),
        }
    }
}

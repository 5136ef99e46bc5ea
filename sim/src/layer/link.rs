//! The layer of one connection, at the peer's end.

use super::facts::{Facts, Refused};
use super::sabotage::{Records, Trouble, garbage};
use super::store::Store;
use crate::choice::mix;
use crate::cx::Cx;
use crate::kernel::{Ep, Net};
use crate::tls::{Peer, Which};
use rustls::pki_types::CertificateDer;
use rustls::{Error, HandshakeKind, ProtocolVersion};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use tidegate_core::input::SocketError;

const HEADER_BYTES: usize = 5;
/// Bytes of a record at most, without its header.
const RECORD_MAX: usize = 16 * 1024 + 2048;
/// Content bytes after which records are as long as they can be.
const PIECES_MAX: u64 = 4096;

/// What comes behind the last byte.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// FIN.
    Fin,
    /// The socket is closed.
    Close,
}

/// TLS at the peer's end of one connection.
pub struct Link {
    peer: Option<Peer>,
    /// A peer will come.
    is_awaited: bool,
    /// Bytes in the clear before TLS, in what the peer writes.
    before: u64,
    /// What is known.
    facts: Rc<RefCell<Facts>>,
    store: Option<(Arc<Store>, u32)>,
    records: Records,
    /// Of the proxy: bytes of a record that is not whole yet.
    pub(super) partial: Vec<u8>,
    /// Of the proxy: bytes opened, and their content.
    fed: u64,
    content_in: u64,
    /// Output that answers what was read: not before the peer has read so many bytes.
    held: VecDeque<(u64, Vec<u8>)>,
    pending: VecDeque<u8>,
    /// Bytes of records made, and their content.
    made: u64,
    content_out: u64,
    flights: u8,
    /// Nothing more is sent: it stalls, or is cut.
    is_muted: bool,
    ready_at: Option<u64>,
    failed_at: Option<u64>,
    /// Content of a record at most, for the first ones.
    piece: u64,
    ending: Option<Ending>,
}

impl Link {
    /// For a client, which begins at once, with `store` for its sessions: behind `before` bytes in
    /// the clear, at first by records of `piece` bytes of content at most.
    pub fn client(
        peer: Option<Peer>,
        facts: Facts,
        store: Option<Arc<Store>>,
        (piece, before): (u64, u64),
    ) -> Link {
        let mut link = Link::awaiting();
        (link.before, link.made, link.content_out) = (before, before, before);
        link.store = store.map(|store| (Arc::clone(&store), store.kept()));
        link.begin(peer, facts, piece);
        link
    }

    /// For a server, which has not accepted yet.
    pub fn awaiting() -> Link {
        Link {
            peer: None,
            is_awaited: true,
            before: 0,
            facts: Rc::default(),
            store: None,
            records: Records::default(),
            partial: Vec::new(),
            fed: 0,
            content_in: 0,
            held: VecDeque::new(),
            pending: VecDeque::new(),
            made: 0,
            content_out: 0,
            flights: 0,
            is_muted: false,
            ready_at: None,
            failed_at: None,
            piece: 0,
            ending: None,
        }
    }

    pub(super) fn begin(&mut self, peer: Option<Peer>, facts: Facts, piece: u64) {
        self.is_awaited = false;
        self.peer = peer;
        *self.facts.borrow_mut() = facts;
        self.piece = piece;
        if let Trouble::Garbage(n) = facts.trouble {
            self.pending.extend(garbage(n, piece));
            self.made += self.pending.len() as u64;
            self.peer = None;
        }
        self.collect();
    }

    /// The bytes in the clear before TLS count as content.
    pub(super) fn inserted(&self, net: &mut Net, ep: Ep) {
        if self.before > 0 {
            net.mark_content(ep, self.before, self.before);
            net.count_content(ep, self.before);
        }
    }

    /// The proxy, whose end is `ep`, begins with `before` bytes in the clear, which count as
    /// content.
    pub(super) fn follows(&mut self, net: &mut Net, ep: Ep, before: u64) {
        debug_assert_eq!((self.fed, self.partial.len()), (0, 0), "the clear comes first");
        (self.fed, self.content_in) = (before, before);
        net.mark_content(ep, before, before);
        net.count_content(ep, before);
    }

    /// Opens what came from the proxy, whose end is `ep`, record by record.
    pub(super) fn digest(&mut self, net: &mut Net, ep: Ep, plain: &mut Vec<u8>) {
        if self.is_awaited {
            return;
        }
        let all = std::mem::take(&mut self.partial);
        let mut rest = &all[..];
        while let Some(&[kind, major, _, high, low]) = rest.get(..HEADER_BYTES) {
            let length = usize::from(high) << 8 | usize::from(low);
            if !(20..=23).contains(&kind) || major != 3 || length > RECORD_MAX {
                // What a plain client or server would have to be told in the clear stays unread.
                self.facts.borrow_mut().refused.get_or_insert(Refused::NotTls);
                self.failed_at.get_or_insert(self.fed);
            }
            let Some(record) = rest.get(..HEADER_BYTES + length) else { break };
            rest = &rest[HEADER_BYTES + length..];
            self.open(net, ep, record, plain);
        }
        self.partial = rest.to_vec();
        self.facts.borrow_mut().is_inside = !self.partial.is_empty();
    }

    fn open(&mut self, net: &mut Net, ep: Ep, record: &[u8], plain: &mut Vec<u8>) {
        self.fed += record.len() as u64;
        if self.facts.borrow().notified_at.is_some() {
            self.facts.borrow_mut().behind_notify += record.len() as u64;
        }
        if self.failed_at.is_some() {
            return;
        }
        let Some(peer) = &mut self.peer else { return };
        let result = peer.receive(record);
        let received = peer.received();
        if !received.is_empty() {
            self.content_in += received.len() as u64;
            plain.append(received);
            net.mark_content(ep, self.fed, self.content_in);
            net.count_content(ep, self.content_in);
        }
        if peer.is_whole() {
            self.facts.borrow_mut().notified_at.get_or_insert(self.fed);
        }
        if let Err(error) = result {
            self.failed_at = Some(self.fed);
            match error {
                Error::AlertReceived(alert) => self.facts.borrow_mut().alert = Some(alert),
                other => self.facts.borrow_mut().refused = Some(Refused::of(&other)),
            }
        }
        self.collect();
    }

    /// Takes what TLS has to say, and looks how far it has come.
    fn collect(&mut self) {
        let Some(peer) = &mut self.peer else { return };
        let mut output = Vec::new();
        peer.take_output(&mut output);
        if !output.is_empty() {
            self.flights += 1;
            self.emit(output, self.fed);
        }
        let Some(peer) = &self.peer else { return };
        let facts = &mut *self.facts.borrow_mut();
        if let Some((store, before)) = &self.store {
            facts.tickets = store.kept() - before;
        }
        if facts.finished_at.is_some() || peer.connection().is_handshaking() {
            return;
        }
        let connection = peer.connection();
        facts.is_complete = true;
        facts.is_13 = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        facts.is_resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
        facts.shown = connection.peer_certificates().and_then(<[_]>::first).and_then(known);
        // Who stalls in its last flight never finishes.
        if !self.is_muted {
            facts.finished_at = Some(self.made);
            self.ready_at = Some(self.fed);
        }
    }

    /// Puts records on their way, as far as the trouble lets them: not before the peer has read
    /// `after` bytes, which they answer.
    fn emit(&mut self, mut output: Vec<u8>, after: u64) {
        if self.is_muted {
            return;
        }
        let trouble = self.facts().trouble;
        if let Trouble::Cuts(flight, part) | Trouble::Stalls(flight, part) = trouble
            && flight + 1 == self.flights
        {
            self.is_muted = true;
            output.truncate(output.len() * usize::from(part) / 100);
            if matches!(trouble, Trouble::Cuts(..)) {
                self.ending = Some(Ending::Fin);
            }
        }
        if !self.is_damaged()
            && let Some((at, damage)) = self.records.pass(&mut output, trouble)
        {
            self.facts.borrow_mut().damaged = Some((self.made + at, damage));
        }
        self.made += output.len() as u64;
        let before = self.held.back().map_or(0, |&(at, _)| at);
        self.held.push_back((after.max(before), output));
    }

    /// Whether the actor may write: its handshake is complete, and it knows.
    pub(super) fn is_ready(&self, net: &Net, ep: Ep) -> bool {
        let has_read = self.ready_at.is_some_and(|at| net.ep(ep).read >= at);
        has_read
            && self.failed_at.is_none()
            && !self.is_muted
            && self.ending.is_none()
            && self.is_flushed()
    }

    /// What is known.
    pub fn facts(&self) -> Facts {
        *self.facts.borrow()
    }

    /// What is known, now and later.
    pub fn shared_facts(&self) -> Rc<RefCell<Facts>> {
        Rc::clone(&self.facts)
    }

    fn is_damaged(&self) -> bool {
        self.facts.borrow().damaged.is_some()
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.held.is_empty() && self.pending.is_empty()
    }

    pub(super) fn has_failed(&self, net: &Net, ep: Ep) -> bool {
        self.failed_at.is_some_and(|at| net.ep(ep).read >= at)
    }

    /// Makes a record of the first of `bytes`, or of all; how many.
    pub(super) fn seal(&mut self, net: &mut Net, ep: Ep, bytes: &[u8]) -> usize {
        let Some(peer) = &mut self.peer else { return 0 };
        let mut max = bytes.len().min(16 * 1024);
        if self.content_out < PIECES_MAX && self.piece > 0 {
            max = max.min(1 + (mix(self.content_out ^ self.piece) % self.piece) as usize);
        }
        peer.send(&bytes[..max]);
        let mut output = Vec::with_capacity(max + 64);
        peer.take_output(&mut output);
        self.content_out += max as u64;
        self.emit(output, 0);
        net.count_content(ep, self.content_out);
        // What follows a damaged record is never opened.
        if !self.is_damaged() {
            net.mark_content(ep, self.made, self.content_out);
        }
        max
    }

    /// Writes what has to be written, and ends when that is done.
    pub(super) fn pump(&mut self, cx: &mut Cx, net: &mut Net, ep: Ep) -> Result<(), SocketError> {
        if net.ep(ep).written < self.before {
            // What comes first is not out; who goes before it is says nothing.
            if self.ending.is_some() {
                self.pending.clear();
                self.held.clear();
                self.finish(cx, net, ep);
            }
            return Ok(());
        }
        let read = net.ep(ep).read;
        while self.held.front().is_some_and(|&(at, _)| read >= at) {
            let (_, output) = self.held.pop_front().unwrap_or_default();
            self.pending.extend(output);
        }
        while !self.pending.is_empty() {
            let (front, _) = self.pending.as_slices();
            let n = match net.send(cx, ep, &[front]) {
                Ok(n) => n,
                Err(SocketError::WouldBlock) => return Ok(()),
                Err(error) => {
                    self.pending.clear();
                    self.held.clear();
                    self.is_muted = true;
                    self.finish(cx, net, ep);
                    return Err(error);
                }
            };
            cx.trace.fold_cipher(&front[..n]);
            self.pending.drain(..n);
        }
        if self.is_flushed() {
            self.finish(cx, net, ep);
        }
        Ok(())
    }

    fn finish(&mut self, cx: &mut Cx, net: &mut Net, ep: Ep) {
        match self.ending {
            None => {}
            // Each call is an edge to the caller: once, or it wakes itself for ever.
            Some(Ending::Fin) if net.ep(ep).is_shut() || net.ep(ep).is_dead() => {}
            Some(Ending::Fin) => net.shutdown_write(cx, ep),
            Some(Ending::Close) => net.close(cx, ep),
        }
    }

    /// Ends the stream behind everything that was written.
    pub(super) fn end(&mut self, cx: &mut Cx, net: &mut Net, ep: Ep, how: Ending) {
        if self.ending.is_none() && !self.is_muted && self.facts().finished_at.is_some() {
            self.say_goodbye();
        }
        // What answers what will not be read is not said.
        self.held.retain(|&(at, _)| net.ep(ep).read >= at);
        self.ending = Some(how);
        let _ = self.pump(cx, net, ep);
    }

    fn say_goodbye(&mut self) {
        let Some(peer) = &mut self.peer else { return };
        let trouble = self.facts.borrow().trouble;
        if trouble == Trouble::Mute || self.failed_at.is_some() {
            return;
        }
        let mut output = Vec::new();
        peer.close();
        peer.take_output(&mut output);
        self.emit(output, 0);
        // Behind a damaged record nobody reads it.
        if !self.is_damaged() {
            self.facts.borrow_mut().said_at = Some(self.made);
        }
        if trouble == Trouble::More {
            // A record of nonsense: nobody may look at it.
            let mut more = vec![23, 3, 3, 0, 40];
            more.extend(garbage(40, self.made));
            self.emit(more, 0);
        }
    }
}

/// Which of the certificates of the simulated world this is.
fn known(shown: &CertificateDer<'_>) -> Option<Which> {
    Which::ALL.into_iter().find(|which| which.certificate() == *shown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::choice::Choices;
    use crate::cx::Ev;
    use crate::kernel::{Owner, Wire};
    use tidegate_core::input::Address;

    // Seed 405713: an end that waited until everything was written met a connection that had been
    // reset. Each look at it was an edge, which led to the next look, for ever.
    #[test]
    fn the_end_of_a_dead_connection_wakes_nobody() {
        let (mut cx, mut net) = (Cx::new(1, Choices::from_seed(1)), Net::default());
        let nobody = net.intern(&Address::Unix("nobody".into()), u32::MAX);
        let ep = net.connect(&mut cx, Owner::Client(0), nobody, 0, &Wire::default());
        while let Some((at, event)) = cx.heap.pop() {
            cx.now = at;
            if let Ev::Flight(ep, flight) = event {
                net.deliver(&mut cx, ep, flight);
            }
        }
        assert!(net.ep(ep).is_dead());
        let mut link = Link::awaiting();
        link.ending = Some(Ending::Fin);
        net.notices.clear();
        net.told(ep);
        assert!(link.pump(&mut cx, &mut net, ep).is_ok());
        assert!(net.notices.is_empty());
    }
}

//! Pooled buffers of one fixed size, and the promise that keeps sessions from waiting for one
//! another (SES-5).
//!
//! A buffer is moved, never shared: out of the pool into a pipe, and back. The pool counts
//! what is out (`lent`) and what is promised; a session is promised two buffers before it reads
//! its first byte, one for each direction, so that whoever has begun can always finish. Buffers
//! beyond these two are extras: they make bulk fast and are given only while nobody waits.

mod pipe;

pub(crate) use pipe::{Encoding, Pipe};

/// Room in front of a message, so that its rewritten head can grow in place. What a rewritten
/// head adds to the original is bounded by this: beyond it the head is refused.
pub const HEADROOM_BYTES: usize = 2048;
/// Room in front of body bytes, for a chunk header.
pub(crate) const CHUNK_ROOM_BYTES: usize = 16;
/// Room behind body bytes, for the end of a chunk and the last chunk.
pub(crate) const TAIL_BYTES: usize = 16;
/// Buffers that one direction of an exchange may hold, its own one included: 256 KiB of 16 KiB.
pub const CHAIN_MAX: usize = 16;
/// Buffers promised to an exchange: one for each direction.
pub(crate) const PROMISE: usize = 2;

/// One buffer: bytes on their way out, then bytes that are not yet understood.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    /// `start..end`: output.
    start: usize,
    end: usize,
    /// `in_start..in_end`: input not yet parsed; behind the output.
    in_start: usize,
    in_end: usize,
    /// First byte that input must not reach: the tail is for framing.
    limit: usize,
}

impl Buffer {
    fn clear(&mut self, at: usize) {
        self.start = at;
        self.end = at;
        self.in_start = at;
        self.in_end = at;
        let payload_bytes = self.bytes.len() - HEADROOM_BYTES - TAIL_BYTES;
        self.limit = at + payload_bytes;
    }

    fn output(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }
}

/// The buffers of one worker.
#[derive(Debug)]
pub(crate) struct Pool {
    payload_bytes: usize,
    buffers_max: usize,
    free: Vec<Box<[u8]>>,
    lent: usize,
    promised: usize,
    /// Whether sessions wait for a promise: then nobody gets extras.
    pub(crate) contended: bool,
    /// Nobody gets extras in this turn, though they are there.
    pub(crate) withheld: bool,
}

impl Pool {
    pub(crate) fn new(payload_bytes: usize, buffers_max: usize) -> Pool {
        let free = Vec::with_capacity(buffers_max);
        Pool {
            payload_bytes,
            buffers_max,
            free,
            lent: 0,
            promised: 0,
            contended: false,
            withheld: false,
        }
    }

    /// Buffers out of the pool.
    pub(crate) fn lent(&self) -> usize {
        self.lent
    }

    /// Buffers promised and not yet taken.
    pub(crate) fn promised(&self) -> usize {
        self.promised
    }

    /// Buffers neither lent nor promised.
    pub(crate) fn available(&self) -> usize {
        self.buffers_max - self.lent - self.promised
    }

    /// Whether a session that comes now may be promised its buffers.
    pub(crate) fn can_promise(&self) -> bool {
        !self.contended && self.available() >= PROMISE
    }

    /// Leaves `available` buffers in the pool, whatever is out: how a replay puts it into the state
    /// that other sessions had brought it into.
    pub(crate) fn arrange(&mut self, available: usize, contended: bool) {
        self.buffers_max = self.lent + self.promised + available;
        self.contended = contended;
    }

    /// Promises a session its two buffers; false if they are not there.
    pub(crate) fn promise(&mut self) -> bool {
        if self.available() < PROMISE {
            return false;
        }
        self.promised += PROMISE;
        true
    }

    /// A buffer was given back against a new promise: it is there, whoever waits.
    pub(crate) fn promise_again(&mut self) {
        assert!(self.available() > 0, "a buffer was just given back");
        self.promised += 1;
    }

    /// Takes back `n` promises that were not used.
    pub(crate) fn unpromise(&mut self, n: usize) {
        assert!(n <= self.promised, "a promise is given back once");
        self.promised -= n;
    }

    /// Redeems one promise.
    fn take_promised(&mut self) -> Buffer {
        self.unpromise(1);
        self.take()
    }

    /// Whether a buffer beyond the promised ones could be had now.
    pub(crate) fn has_extra(&self) -> bool {
        !self.contended && !self.withheld && self.available() > 0
    }

    fn take_extra(&mut self) -> Option<Buffer> {
        self.has_extra().then(|| self.take())
    }

    fn take(&mut self) -> Buffer {
        self.lent += 1;
        let bytes = self.free.pop().unwrap_or_else(|| {
            vec![0; HEADROOM_BYTES + self.payload_bytes + TAIL_BYTES].into_boxed_slice()
        });
        Buffer { bytes, ..Buffer::default() }
    }

    fn give(&mut self, buffer: Buffer) {
        assert!(self.lent > 0, "a buffer comes back once");
        self.lent -= 1;
        self.free.push(buffer.bytes);
    }
}

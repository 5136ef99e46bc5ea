//! One direction of an exchange: bytes come in, are understood in place, and go out of the very
//! buffer they were read into.

use super::{Buffer, CHAIN_MAX, CHUNK_ROOM_BYTES, HEADROOM_BYTES, Pool};
use crate::http1::{BodyReader, CHUNK_END, CHUNK_HEADER_MAX, LAST_CHUNK, Refusal, chunk_header};
use std::collections::VecDeque;

/// What the pipe's end does to body bytes.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) enum Encoding {
    /// Passed on as they are.
    #[default]
    Raw,
    /// Framed as chunks, one for each run of payload.
    Chunked,
}

/// What became of a stretch of body input.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Taken {
    /// Payload bytes that are now output.
    pub(crate) payload: usize,
    /// Whether the body's end was seen.
    pub(crate) done: bool,
}

/// A chain of buffers. The first may hold kept output (sent, but needed for a retry); every
/// buffer holds output and, behind it, unparsed input; only the last ones hold input.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    buffers: VecDeque<Buffer>,
    /// Output bytes not yet sent.
    unsent: usize,
    /// Output bytes that were sent and are kept, at the front of the chain.
    kept: usize,
    /// Whether output is kept when it is sent.
    keeping: bool,
    /// First buffer of the space lent to the driver.
    lent_from: usize,
    /// How many buffers the next read may fill: doubles when a read fills them all.
    window: usize,
    /// How many buffers the largest read so far needed.
    needed: usize,
}

impl Pipe {
    /// Redeems one of the session's promises: from here on the pipe has a buffer of its own.
    pub(crate) fn open(&mut self, pool: &mut Pool) {
        assert!(self.buffers.is_empty(), "a pipe is opened once");
        let mut buffer = pool.take_promised();
        buffer.clear(HEADROOM_BYTES);
        self.buffers.push_back(buffer);
        (self.window, self.needed) = (1, 1);
    }

    /// Sets how many buffers the next read may fill, as [`Pipe::needed`] told of another exchange:
    /// a read into one buffer is cheaper than one into several.
    pub(crate) fn expect(&mut self, needed: usize) {
        self.window = needed.clamp(1, CHAIN_MAX);
    }

    /// How many buffers the largest read so far needed; more, if it filled all that it had.
    pub(crate) fn needed(&self) -> usize {
        self.needed
    }

    /// Whether the pipe has its own buffer.
    pub(crate) fn is_open(&self) -> bool {
        !self.buffers.is_empty()
    }

    /// Gives every buffer back.
    pub(crate) fn close(&mut self, pool: &mut Pool) {
        while let Some(buffer) = self.buffers.pop_back() {
            pool.give(buffer);
        }
        (self.unsent, self.kept, self.keeping, self.lent_from) = (0, 0, false, 0);
    }

    /// Buffers held.
    pub(crate) fn held(&self) -> usize {
        self.buffers.len()
    }

    /// Output bytes not yet sent.
    pub(crate) fn unsent(&self) -> usize {
        self.unsent
    }

    /// Unparsed input bytes.
    pub(crate) fn input_len(&self) -> usize {
        self.buffers.iter().map(|b| b.in_end - b.in_start).sum()
    }

    /// The unparsed input of the first buffer: a message's head lies wholly in it.
    pub(crate) fn head_input(&self) -> &[u8] {
        match self.buffers.front() {
            Some(b) => &b.bytes[b.in_start..b.in_end],
            None => &[],
        }
    }

    /// The unparsed input of every buffer, in order.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = &[u8]> {
        self.buffers.iter().map(|b| &b.bytes[b.in_start..b.in_end]).filter(|it| !it.is_empty())
    }

    /// Forgets the first `n` bytes of [`Pipe::head_input`].
    pub(crate) fn consume_head(&mut self, n: usize) {
        let buffer = &mut self.buffers[0];
        assert!(n <= buffer.in_end - buffer.in_start);
        buffer.in_start += n;
    }

    /// Forgets all input.
    pub(crate) fn drop_input(&mut self) {
        for buffer in &mut self.buffers {
            buffer.in_start = buffer.in_end;
        }
    }

    /// Space for (more of) a head, and behind it for what may follow it, in `extra` more buffers
    /// at most. Nothing may be waiting to be sent. Returns how many slices of `space` are set;
    /// zero when the head fills its buffer.
    pub(crate) fn lend_head<'a>(
        &'a mut self,
        pool: &mut Pool,
        extra: bool,
        space: &mut [&'a mut [u8]],
    ) -> usize {
        debug_assert!(self.unsent == 0 && self.buffers.len() == 1);
        let first = &mut self.buffers[0];
        first.move_input(HEADROOM_BYTES);
        (first.start, first.end) = (HEADROOM_BYTES, HEADROOM_BYTES);
        self.kept = 0;
        self.lent_from = 0;
        if extra {
            self.grow(pool, self.window);
        }
        self.lend(space)
    }

    /// Moves the head's input to the front of its buffer and pulls in what follows in the next
    /// ones, so that a head that lies across two reads is whole. False if nothing could be moved.
    pub(crate) fn gather_head(&mut self, pool: &mut Pool) -> bool {
        debug_assert!(self.unsent == 0 && self.kept == 0);
        let before = self.head_input().len();
        self.shrink(pool);
        let Some(first) = self.buffers.front_mut() else { return false };
        first.move_input(HEADROOM_BYTES);
        while self.buffers.len() > 1 {
            let (front, rest) = self.buffers.as_mut_slices();
            let (first, next) = match (front, rest) {
                ([first, next, ..], _) | ([first], [next, ..]) => (first, next),
                _ => break,
            };
            let n = (first.limit - first.in_end).min(next.in_end - next.in_start);
            let from = &next.bytes[next.in_start..next.in_start + n];
            first.bytes[first.in_end..first.in_end + n].copy_from_slice(from);
            first.in_end += n;
            next.in_start += n;
            if next.in_start < next.in_end {
                break;
            }
            pool.give(self.buffers.remove(1).expect("a second buffer"));
        }
        self.head_input().len() > before
    }

    /// Whether [`Pipe::lend_body`] would find space.
    pub(crate) fn has_body_space(&self, pool: &Pool) -> bool {
        self.unsent == 0 || (self.buffers.len() < CHAIN_MAX && pool.has_extra())
    }

    /// Space for body bytes, in fresh buffers: each read gets its own, so that what is read is
    /// framed where it lies. Kept output is given up when it would need a third buffer, or when
    /// the pool has no second one.
    pub(crate) fn lend_body<'a>(
        &'a mut self,
        pool: &mut Pool,
        space: &mut [&'a mut [u8]],
    ) -> usize {
        debug_assert!(self.input_len() == 0);
        if self.keeping && (self.buffers.len() > 1 || !pool.has_extra()) {
            self.release_kept(pool);
        }
        if self.unsent == 0 && self.kept == 0 {
            self.shrink(pool);
            self.buffers[0].clear(CHUNK_ROOM_BYTES);
            self.lent_from = 0;
            self.grow(pool, self.window);
        } else {
            self.lent_from = self.buffers.len();
            self.grow(pool, self.buffers.len() + self.window);
        }
        self.lend(space)
    }

    /// Takes extras until the chain is `upto` long, as far as the pool and `CHAIN_MAX` allow.
    fn grow(&mut self, pool: &mut Pool, upto: usize) {
        while self.buffers.len() < upto.min(CHAIN_MAX) {
            let Some(mut buffer) = pool.take_extra() else { break };
            buffer.clear(CHUNK_ROOM_BYTES);
            self.buffers.push_back(buffer);
        }
    }

    fn lend<'a>(&'a mut self, space: &mut [&'a mut [u8]]) -> usize {
        let mut lent = 0;
        let lendable = self.buffers.iter_mut().skip(self.lent_from);
        for (buffer, slot) in lendable.filter(|b| b.in_end < b.limit).zip(space) {
            *slot = &mut buffer.bytes[buffer.in_end..buffer.limit];
            lent += 1;
        }
        lent
    }

    /// The driver read `n` bytes into the space it was lent last.
    pub(crate) fn filled(&mut self, pool: &mut Pool, mut n: usize) {
        let (mut offered, mut used) = (0, 0);
        for buffer in self.buffers.iter_mut().skip(self.lent_from) {
            let room = buffer.limit - buffer.in_end;
            let put = room.min(n);
            buffer.in_end += put;
            used += usize::from(put > 0);
            n -= put;
            offered += room - put;
        }
        assert!(n == 0, "a driver reads no more than it was lent");
        self.take_back(pool);
        if offered == 0 {
            self.window = (self.window * 2).min(CHAIN_MAX);
            used = self.window;
        } else {
            self.window = used.max(1);
        }
        self.needed = self.needed.max(used);
    }

    /// Gives back the buffers at the end of the chain that were lent and got nothing.
    pub(crate) fn take_back(&mut self, pool: &mut Pool) {
        while self.buffers.len() > 1 && self.buffers[self.buffers.len() - 1].is_empty() {
            pool.give(self.buffers.pop_back().expect("more than one"));
        }
    }

    /// Turns unparsed input into body output, as far as the body goes.
    pub(crate) fn take_body(
        &mut self,
        reader: &mut BodyReader,
        encoding: Encoding,
    ) -> Result<Taken, Refusal> {
        let mut taken = Taken { payload: 0, done: reader.is_done() };
        for buffer in &mut self.buffers {
            if taken.done || buffer.in_start == buffer.in_end {
                continue;
            }
            let at = buffer.in_start;
            let decoded = reader.take(&mut buffer.bytes[at..buffer.in_end])?;
            taken.payload += decoded.payload.len();
            taken.done = decoded.done;
            buffer.in_start += decoded.consumed;
            let (from, to) = (at + decoded.payload.start, at + decoded.payload.end);
            let before = buffer.end - buffer.start;
            buffer.put(from, to, encoding, decoded.done);
            self.unsent += buffer.end - buffer.start - before;
        }
        Ok(taken)
    }

    /// Ends a chunked body that no input ended: the body was delimited by the connection's close.
    pub(crate) fn end_chunks(&mut self) {
        self.append(LAST_CHUNK);
    }

    /// Puts `bytes` behind all output; they must fit into the tail of the last buffer.
    fn append(&mut self, bytes: &[u8]) {
        let last = self.buffers.back_mut().expect("an open pipe");
        if last.start == last.end {
            last.clear(CHUNK_ROOM_BYTES);
        }
        last.bytes[last.end..last.end + bytes.len()].copy_from_slice(bytes);
        last.end += bytes.len();
        last.in_start = last.in_start.max(last.end);
        last.in_end = last.in_end.max(last.end);
        self.unsent += bytes.len();
    }

    /// Puts a head in front of all output, right before the unparsed input if there is no output
    /// yet. False when the headroom is too small: the head grew beyond its bound.
    pub(crate) fn prepend(&mut self, head: &[u8]) -> bool {
        debug_assert!(self.kept == 0);
        let first = &mut self.buffers[0];
        if first.start == first.end {
            (first.start, first.end) = (first.in_start, first.in_start);
        }
        let Some(start) = first.start.checked_sub(head.len()) else { return false };
        first.bytes[start..first.start].copy_from_slice(head);
        first.start = start;
        self.unsent += head.len();
        true
    }

    /// Forgets the input and puts `message` behind what is still to be sent. False if it does not
    /// fit there.
    pub(crate) fn put_message(&mut self, pool: &mut Pool, message: &[u8]) -> bool {
        self.drop_input();
        if self.unsent == 0 {
            self.release_kept(pool);
            self.shrink(pool);
            self.buffers[0].clear(0);
        }
        let last = self.buffers.back_mut().expect("an open pipe");
        if message.len() > last.bytes.len() - last.end {
            return false;
        }
        last.push(message);
        last.in_start = last.end;
        last.in_end = last.end;
        self.unsent += message.len();
        true
    }

    /// The output to send next. Returns how many slices of `slices` are set.
    pub(crate) fn output<'a>(&'a self, slices: &mut [&'a [u8]]) -> usize {
        let mut skip = self.kept;
        let mut set = 0;
        for buffer in &self.buffers {
            let output = buffer.output();
            let skipped = skip.min(output.len());
            skip -= skipped;
            if skipped < output.len() && set < slices.len() {
                slices[set] = &output[skipped..];
                set += 1;
            }
        }
        set
    }

    /// The driver sent `n` bytes of the output.
    pub(crate) fn sent(&mut self, pool: &mut Pool, n: usize) {
        assert!(n <= self.unsent, "a driver sends no more than it was lent");
        self.unsent -= n;
        self.kept += n;
        if !self.keeping {
            self.release_kept(pool);
        }
    }

    /// Forgets everything and keeps no more than the pipe's own buffer.
    pub(crate) fn drain(&mut self, pool: &mut Pool) {
        self.drop_input();
        self.drop_output(pool);
        self.shrink(pool);
    }

    /// From here on, what is sent is kept for a retry.
    pub(crate) fn keep(&mut self) {
        self.keeping = true;
    }

    /// Whether everything that was ever output is still here.
    pub(crate) fn is_keeping(&self) -> bool {
        self.keeping
    }

    /// Makes all kept output unsent again.
    pub(crate) fn rewind(&mut self) {
        self.unsent += self.kept;
        self.kept = 0;
    }

    /// Forgets the output that is not sent.
    pub(crate) fn drop_output(&mut self, pool: &mut Pool) {
        self.sent(pool, self.unsent);
        self.release_kept(pool);
    }

    /// Gives up what is kept, and keeping.
    pub(crate) fn release_kept(&mut self, pool: &mut Pool) {
        self.keeping = false;
        let mut n = std::mem::take(&mut self.kept);
        let mut at = 0;
        while n > 0 {
            let buffer = &mut self.buffers[at];
            let gone = n.min(buffer.end - buffer.start);
            buffer.start += gone;
            n -= gone;
            if buffer.is_empty() && self.buffers.len() > 1 {
                pool.give(self.buffers.remove(at).expect("in bounds"));
            } else {
                at += 1;
            }
        }
        if self.unsent == 0 {
            self.shrink(pool);
        }
    }

    /// Gives back every buffer that holds nothing, save one.
    fn shrink(&mut self, pool: &mut Pool) {
        let mut at = 0;
        while at < self.buffers.len() && self.buffers.len() > 1 {
            if self.buffers[at].is_empty() {
                pool.give(self.buffers.remove(at).expect("in bounds"));
            } else {
                at += 1;
            }
        }
    }
}

impl Buffer {
    /// Makes `from..to` output behind the present output, framed as `encoding` says.
    fn put(&mut self, mut from: usize, to: usize, encoding: Encoding, last: bool) {
        let len = to - from;
        if encoding == Encoding::Raw {
            if self.start == self.end {
                (self.start, self.end) = (from, from);
            } else if self.end != from {
                self.bytes.copy_within(from..to, self.end);
            }
            self.end += len;
            return;
        }
        if len == 0 {
            if last {
                self.put_last_chunk();
            }
            return;
        }
        let mut header = [0; CHUNK_HEADER_MAX];
        let header_len = chunk_header(len, &mut header);
        if self.start == self.end {
            (self.start, self.end) = (from - header_len, from - header_len);
        } else if self.end + header_len != from {
            self.bytes.copy_within(from..to, self.end + header_len);
        }
        from = self.end + header_len;
        self.bytes[self.end..from].copy_from_slice(&header[..header_len]);
        self.end = from + len;
        self.push(CHUNK_END);
        if last {
            self.push(LAST_CHUNK);
        }
    }

    /// The last chunk alone: right before the input that is left, which may be another message.
    fn put_last_chunk(&mut self) {
        if self.start == self.end {
            let at = self.in_start - LAST_CHUNK.len();
            (self.start, self.end) = (at, at);
        }
        self.push(LAST_CHUNK);
    }

    fn is_empty(&self) -> bool {
        self.start == self.end && self.in_start == self.in_end
    }

    /// Moves the input to `at`; nothing may be waiting to be sent.
    fn move_input(&mut self, at: usize) {
        let len = self.in_end - self.in_start;
        if self.in_start != at {
            self.bytes.copy_within(self.in_start..self.in_end, at);
        }
        self.clear(at);
        self.in_end = at + len;
    }

    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }
}

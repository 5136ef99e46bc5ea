//! Produces the bytes of one message: a head, then a body that is a function of its key.

use crate::body::BodyKey;
use crate::choice::mix;
use std::io::Write as _;

/// Bytes produced at a time at most.
const PIECE_BYTES: u64 = 16 * 1024;

/// How a body is framed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    /// Content-Length, until close, or no body at all: the bytes alone.
    Plain,
    /// Chunks of up to so many bytes.
    Chunked(u64),
}

/// One message on its way out.
pub(super) struct Producer {
    piece: Vec<u8>,
    taken: usize,
    key: BodyKey,
    at: u64,
    length: u64,
    framing: Framing,
    is_ended: bool,
    produced: u64,
    limit: u64,
    head_bytes: u64,
    has_extras: bool,
    has_bad_end: bool,
}

/// A chunk line without end, and a trailer section.
const LONG_LINE: &[u8] = &{
    let mut line = [b'a'; 20_000];
    (line[0], line[1]) = (b'0', b';');
    line
};
const LONG_TRAILER: &[u8] = &trailer::<20_000>();

/// A last chunk, and a trailer section that does not end within `N` bytes of it.
const fn trailer<const N: usize>() -> [u8; N] {
    let mut trailer = [b'a'; N];
    (trailer[0], trailer[1], trailer[2], trailer[3], trailer[4]) = (b'0', b'\r', b'\n', b'x', b':');
    trailer
}

/// The longest line of a chunk that a proxy may let pass, without its end (REQ-3).
const CHUNK_LINE_BYTES: usize = 256;
/// A last chunk with the longest trailer section that a proxy may let pass (REQ-3).
const LONGEST_TRAILER: &[u8] = &{
    let mut trailer = trailer::<{ 3 + 4096 }>();
    let end = trailer.len();
    (trailer[end - 4], trailer[end - 3]) = (b'\r', b'\n');
    (trailer[end - 2], trailer[end - 1]) = (b'\r', b'\n');
    trailer
};

/// What should be a last chunk.
const BAD_ENDS: &[&[u8]] = &[
    b"zz\r\n\r\n",
    b"0;\0\r\n\r\n",
    b"0;a=\"b\r\n\r\n",
    b"0\r\n: nameless\r\n\r\n",
    b"0\r\n folded\r\n\r\n",
    b"0\r\nx: y\n\r\n",
    LONG_LINE,
    LONG_TRAILER,
];

impl Producer {
    /// A message with this head and `length` bytes of the body of `key`.
    pub(super) fn new(head: Vec<u8>, key: BodyKey, length: u64, framing: Framing) -> Producer {
        let head_bytes = head.len() as u64;
        Producer {
            piece: head,
            taken: 0,
            key,
            at: 0,
            length,
            framing,
            is_ended: framing == Framing::Plain && length == 0,
            produced: head_bytes,
            limit: u64::MAX,
            head_bytes,
            has_extras: false,
            has_bad_end: false,
        }
    }

    /// Chunk extensions and a trailer go along.
    #[must_use]
    pub(super) fn with_extras(mut self) -> Producer {
        self.has_extras = true;
        self
    }

    /// What should be the last chunk is none.
    #[must_use]
    pub(super) fn with_bad_end(mut self) -> Producer {
        self.has_bad_end = true;
        self
    }

    /// Stops for good after `limit` bytes, head included.
    #[must_use]
    pub(super) fn cut_at(mut self, limit: u64) -> Producer {
        self.limit = limit;
        if self.produced >= limit {
            self.piece.truncate(limit as usize);
            self.is_ended = true;
        }
        self
    }

    /// Bytes of the head.
    pub(super) fn head_bytes(&self) -> u64 {
        self.head_bytes
    }

    /// Bytes taken so far.
    pub(super) fn sent(&self) -> u64 {
        self.produced.min(self.limit) - (self.piece.len() - self.taken) as u64
    }

    /// The next bytes, at most `max`; `None` when the message is at its end.
    pub(super) fn peek(&mut self, max: usize) -> Option<&[u8]> {
        if self.taken == self.piece.len() {
            self.refill();
        }
        let rest = &self.piece[self.taken..];
        (!rest.is_empty()).then(|| &rest[..rest.len().min(max)])
    }

    /// So many of the peeked bytes were taken.
    pub(super) fn advance(&mut self, n: usize) {
        self.taken += n;
    }

    fn refill(&mut self) {
        self.piece.clear();
        self.taken = 0;
        if self.is_ended {
            return;
        }
        let left = self.length - self.at;
        match self.framing {
            Framing::Plain => {
                self.body(left.min(PIECE_BYTES));
                self.is_ended = self.at == self.length;
            }
            Framing::Chunked(_) if left == 0 => {
                let end: &[u8] = if self.has_bad_end {
                    BAD_ENDS[(self.length % BAD_ENDS.len() as u64) as usize]
                } else if self.has_extras && self.length.is_multiple_of(5) {
                    LONGEST_TRAILER
                } else if self.has_extras {
                    b"0;last=1\r\nX-Trailer: dropped\r\n\r\n"
                } else {
                    b"0\r\n\r\n"
                };
                self.piece.extend_from_slice(end);
                self.is_ended = true;
            }
            Framing::Chunked(max) => {
                let size = (1 + mix(self.at ^ self.length) % max).min(left).min(PIECE_BYTES);
                // Writing into a vector cannot fail.
                let _ = write!(self.piece, "{size:x}");
                if self.has_extras && self.at == 0 && self.length % 5 == 1 {
                    let room = CHUNK_LINE_BYTES - self.piece.len();
                    self.piece.push(b';');
                    self.piece.resize(self.piece.len() + room - 1, b'e');
                } else if self.has_extras {
                    self.piece.extend_from_slice(b";e=\"x\"");
                }
                self.piece.extend_from_slice(b"\r\n");
                self.body(size);
                self.piece.extend_from_slice(b"\r\n");
            }
        }
        self.produced += self.piece.len() as u64;
        if self.produced >= self.limit {
            let excess = self.produced - self.limit;
            self.piece.truncate(self.piece.len() - excess as usize);
            self.is_ended = true;
        }
    }

    fn body(&mut self, n: u64) {
        let end = self.at + n;
        while self.at < end {
            let part = self.key.at(self.at, (end - self.at) as usize);
            self.piece.extend_from_slice(part);
            self.at += part.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::Direction;

    fn drain(mut producer: Producer) -> Vec<u8> {
        let mut all = Vec::new();
        while let Some(bytes) = producer.peek(100) {
            all.extend_from_slice(bytes);
            let n = bytes.len();
            producer.advance(n);
        }
        assert_eq!(producer.sent(), all.len() as u64);
        all
    }

    #[test]
    fn a_body_is_whole_in_either_framing_and_stops_at_its_cut() {
        let key = BodyKey::new(1, Direction::Up);
        let plain = drain(Producer::new(b"H".to_vec(), key, 40_000, Framing::Plain));
        assert_eq!(plain.len(), 40_001);
        assert_eq!(key.mismatch(0, &plain[1..]), None);
        let chunked = Producer::new(b"H".to_vec(), key, 3000, Framing::Chunked(700));
        let chunked = drain(chunked);
        assert!(chunked.len() > 3010 && chunked.ends_with(b"\r\n0\r\n\r\n"));
        for cut in [0, 1, 2, 500, chunked.len() - 1] {
            let whole = Producer::new(b"H".to_vec(), key, 3000, Framing::Chunked(700));
            assert_eq!(drain(whole.cut_at(cut as u64)), chunked[..cut]);
        }
        assert_eq!(drain(Producer::new(b"H".to_vec(), key, 0, Framing::Plain)), b"H");
    }
}

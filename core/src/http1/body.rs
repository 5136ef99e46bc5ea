//! Reading a body to its exact end (REQ-8, RES-2).

use super::chunked::ChunkDecoder;
use super::refusal::Refusal;
use super::request::Framing;
use std::ops::Range;

/// What was made of some bytes of a body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// Where in the given bytes the payload now lies.
    pub payload: Range<usize>,
    /// How many of the given bytes belong to the body; fewer than all only when it ended.
    pub consumed: usize,
    /// Whether the body is complete.
    pub done: bool,
}

/// Where a reader stands in a body.
#[derive(Copy, Clone, Debug)]
pub enum BodyReader {
    /// The body is complete, or there is none.
    Done,
    /// This many bytes, at least 1, are still to come.
    Length(u64),
    /// Inside a chunked body.
    Chunked(ChunkDecoder),
    /// The body ends with its connection.
    UntilClose,
}

impl BodyReader {
    /// A reader at a body's first byte.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => BodyReader::Done,
            Framing::Length(length) => BodyReader::Length(length),
            Framing::Chunked => BodyReader::Chunked(ChunkDecoder::new()),
            Framing::UntilClose => BodyReader::UntilClose,
        }
    }

    /// Whether the body's last byte was taken. Never true while an end of stream is awaited.
    pub fn is_done(&self) -> bool {
        matches!(self, BodyReader::Done)
    }

    /// Takes the next bytes of the connection; those of a chunked body are decoded in place.
    /// Bytes behind the body's end are left alone.
    ///
    /// # Errors
    /// Malformed or excessive chunk framing; the body is then lost.
    pub fn take(&mut self, bytes: &mut [u8]) -> Result<Decoded, Refusal> {
        let taken = match self {
            BodyReader::Done => 0,
            BodyReader::UntilClose => bytes.len(),
            BodyReader::Length(remaining) => {
                let taken = usize::try_from(*remaining).map_or(bytes.len(), |n| n.min(bytes.len()));
                *remaining -= taken as u64;
                if *remaining == 0 {
                    *self = BodyReader::Done;
                }
                taken
            }
            BodyReader::Chunked(decoder) => {
                let decoded = decoder.decode(bytes)?;
                if decoded.done {
                    *self = BodyReader::Done;
                }
                return Ok(decoded);
            }
        };
        Ok(Decoded { payload: 0..taken, consumed: taken, done: self.is_done() })
    }

    /// Whether an end of stream here leaves the body complete, or cuts it short (RES-2).
    pub fn at_eof(&self) -> bool {
        matches!(self, BodyReader::Done | BodyReader::UntilClose)
    }

    /// How many bytes are still to come, where that is known.
    pub fn remaining_length(&self) -> Option<u64> {
        match self {
            BodyReader::Done => Some(0),
            BodyReader::Length(remaining) => Some(*remaining),
            BodyReader::Chunked(_) | BodyReader::UntilClose => None,
        }
    }
}

//! Taking a chunked body apart, strictly and in place (RFC 9112 7.1, REQ-2, REQ-3, REQ-5).

use super::body::Decoded;
use super::bytes::{is_text, is_token};
use super::refusal::Refusal;

/// Bytes of a chunk-size line at most, extensions included, CR LF not (REQ-3).
pub const CHUNK_LINE_BYTES_MAX: u16 = 256;
/// Bytes of a trailer section at most, the empty line at its end included (REQ-3).
pub const TRAILER_BYTES_MAX: u16 = 4096;

/// Digits of a chunk size at most; more could not be told from an overflow.
const SIZE_DIGITS_MAX: u16 = 16;

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum State {
    /// In a chunk's size; its digits are counted by `line`.
    Size,
    /// In white space behind the size: an extension must follow.
    SizeSpace,
    Extension,
    Quoted,
    /// Behind a backslash in a quoted string.
    Escaped,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the start of a trailer line, or of the empty line at the end.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    FinalLf,
    Done,
}

/// A decoder that can stop at any byte and go on with the next.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ChunkDecoder {
    /// Payload bytes of this chunk that are still to come; while the size is read, the size.
    remaining: u64,
    /// Bytes of this chunk-size line, or of the trailer section, so far.
    line: u16,
    state: State,
}

impl Default for ChunkDecoder {
    fn default() -> Self {
        ChunkDecoder::new()
    }
}

impl ChunkDecoder {
    /// A decoder at the first byte of a chunked body.
    pub fn new() -> Self {
        ChunkDecoder { remaining: 0, line: 0, state: State::Size }
    }

    /// Decodes the next bytes in place: payload closes up behind the first of it, which stays
    /// where it is, so that a single run is never moved. Extensions and trailers are dropped.
    ///
    /// # Errors
    /// Malformed or excessive framing; the decoder is of no use then.
    pub fn decode(&mut self, bytes: &mut [u8]) -> Result<Decoded, Refusal> {
        let (mut at, mut payload) = (0, 0..0);
        while at < bytes.len() && self.state != State::Done {
            if self.state != State::Data {
                self.framing(bytes[at])?;
                at += 1;
                continue;
            }
            let rest = bytes.len() - at;
            let run = usize::try_from(self.remaining).map_or(rest, |remaining| remaining.min(rest));
            if payload.is_empty() {
                payload = at..at + run;
            } else {
                bytes.copy_within(at..at + run, payload.end);
                payload.end += run;
            }
            at += run;
            self.remaining -= run as u64;
            if self.remaining == 0 {
                self.state = State::DataCr;
            }
        }
        Ok(Decoded { payload, consumed: at, done: self.state == State::Done })
    }

    /// Shows each run of `bytes` that decides how the body is understood, with where it begins:
    /// no payload, and no byte in whose place `filler` would do as well, such as those of
    /// extensions and trailers. Stops where [`decode`](ChunkDecoder::decode) would: at the body's
    /// end, or at the first bad byte, which it shows. Returns whether the body goes on.
    pub(crate) fn walk(
        &mut self,
        bytes: &[u8],
        filler: u8,
        mut show: impl FnMut(usize, &[u8]),
    ) -> bool {
        let mut show_run = |from: usize, to: usize| {
            if from < to {
                show(from, &bytes[from..to]);
            }
        };
        let (mut at, mut from) = (0, 0);
        let mut is_good = true;
        while is_good && at < bytes.len() && self.state != State::Done {
            if self.state == State::Data {
                show_run(from, at);
                let left = bytes.len() - at;
                let run = usize::try_from(self.remaining).map_or(left, |it| it.min(left));
                at += run;
                from = at;
                self.remaining -= run as u64;
                if self.remaining == 0 {
                    self.state = State::DataCr;
                }
                continue;
            }
            let mut other = *self;
            let (taken, as_other) = (self.framing(bytes[at]), other.framing(filler));
            if taken == as_other && *self == other {
                show_run(from, at);
                from = at + 1;
            }
            at += 1;
            is_good = taken.is_ok();
        }
        show_run(from, at);
        is_good && self.state != State::Done
    }

    /// Takes one byte that is not payload.
    fn framing(&mut self, byte: u8) -> Result<(), Refusal> {
        self.state = match self.state {
            State::Size
            | State::SizeSpace
            | State::Extension
            | State::Quoted
            | State::Escaped
            | State::SizeLf => self.size_line(byte)?,
            State::DataCr if byte == b'\r' => State::DataLf,
            State::DataLf if byte == b'\n' => {
                *self = ChunkDecoder::new();
                State::Size
            }
            State::DataCr | State::DataLf => return Err(Refusal::ChunkEnd),
            State::TrailerStart
            | State::TrailerName
            | State::TrailerValue
            | State::TrailerLf
            | State::FinalLf => self.trailer(byte)?,
            State::Data | State::Done => self.state,
        };
        Ok(())
    }

    /// Takes one byte of a chunk-size line; returns the next state.
    fn size_line(&mut self, byte: u8) -> Result<State, Refusal> {
        if self.state == State::SizeLf {
            self.line = 0;
            return match (byte, self.remaining) {
                (b'\n', 0) => Ok(State::TrailerStart),
                (b'\n', _) => Ok(State::Data),
                _ => Err(Refusal::BareCr),
            };
        }
        let ends = byte == b'\r' && matches!(self.state, State::Size | State::Extension);
        if ends && self.line > 0 {
            return Ok(State::SizeLf);
        }
        if self.line >= CHUNK_LINE_BYTES_MAX {
            return Err(Refusal::ChunkLineTooLong);
        }
        let next = match self.state {
            State::Size => self.size(byte)?,
            State::SizeSpace => match byte {
                b' ' | b'\t' => State::SizeSpace,
                b';' => State::Extension,
                _ => return Err(Refusal::ChunkSize),
            },
            State::Quoted => match byte {
                b'"' => State::Extension,
                b'\\' => State::Escaped,
                _ if is_text(byte) => State::Quoted,
                _ => return Err(Refusal::ChunkExtension),
            },
            State::Escaped if is_text(byte) => State::Quoted,
            State::Extension => match byte {
                b'"' => State::Quoted,
                b';' | b'=' | b' ' | b'\t' => State::Extension,
                _ if is_token(byte) => State::Extension,
                _ => return Err(Refusal::ChunkExtension),
            },
            _ => return Err(Refusal::ChunkExtension),
        };
        self.line += 1;
        Ok(next)
    }

    fn size(&mut self, byte: u8) -> Result<State, Refusal> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b';' if self.line > 0 => return Ok(State::Extension),
            b' ' | b'\t' if self.line > 0 => return Ok(State::SizeSpace),
            _ => return Err(Refusal::ChunkSize),
        };
        if self.line >= SIZE_DIGITS_MAX {
            return Err(Refusal::ChunkSize);
        }
        self.remaining = self.remaining << 4 | u64::from(digit);
        Ok(State::Size)
    }

    /// Takes one byte of the trailer section; returns the next state.
    fn trailer(&mut self, byte: u8) -> Result<State, Refusal> {
        if self.line >= TRAILER_BYTES_MAX {
            return Err(Refusal::TrailersTooLarge);
        }
        self.line += 1;
        match (self.state, byte) {
            (State::TrailerStart, b'\r') => Ok(State::FinalLf),
            (State::TrailerStart, b' ' | b'\t') => Err(Refusal::ObsFold),
            (State::TrailerStart | State::TrailerName, _) if is_token(byte) => {
                Ok(State::TrailerName)
            }
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerName, b' ' | b'\t') => Err(Refusal::SpaceBeforeColon),
            (State::TrailerStart | State::TrailerName, _) => Err(Refusal::FieldName),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLf),
            (State::TrailerValue, _) if is_text(byte) => Ok(State::TrailerValue),
            (State::TrailerValue, b'\n') => Err(Refusal::BareLf),
            (State::TrailerValue, _) => Err(Refusal::Control),
            (State::TrailerLf, b'\n') => Ok(State::TrailerStart),
            (State::FinalLf, b'\n') => Ok(State::Done),
            _ => Err(Refusal::BareCr),
        }
    }
}

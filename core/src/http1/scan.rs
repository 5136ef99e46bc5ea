//! The resumable scanner of heads (REQ-1, REQ-2, REQ-3).

use super::bytes::{is_token, target_end, text_end, token_end};
use super::refusal::Refusal;
use crate::config::Limits;

/// What a scan found.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Scan {
    /// All bytes are in order; the head goes on.
    More,
    /// The head is complete: `bytes[start..end]`.
    Complete {
        /// Where it begins: 2 behind a skipped empty line (requests only), else 0.
        start: usize,
        /// Where it ends, behind the empty line.
        end: usize,
    },
    /// It can never become a valid head.
    Refused(Refusal),
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum State {
    /// Before the first byte of a request.
    Begin,
    /// Behind the CR of a skipped empty line.
    SkippedLf,
    /// Before the first byte of a request, behind a skipped empty line.
    AfterSkipped,
    Method,
    Target,
    /// In the version, at this byte of `HTTP/1.1`.
    Version(u8),
    /// Behind a request's version.
    RequestLineCr,
    /// Behind a response's version.
    StatusSpace,
    /// In the status, at this digit.
    Status(u8),
    /// Behind the status.
    ReasonSpace,
    Reason,
    StartLineLf,
    FieldStart,
    Name,
    Value,
    ValueLf,
    FinalLf,
    Complete,
}

/// Finds the end of a head and polices its bytes, each looked at once, as they arrive.
///
/// A head that it lets pass holds nothing but well-formed lines that end with CR LF
/// (RFC 9112 2.2, 3, 4, 5). What the fields *mean* is judged by [`super::parse_request`] and
/// [`super::parse_response`]. How the bytes are cut into reads changes nothing (REQ-1).
#[derive(Copy, Clone, Debug)]
pub struct HeadScanner {
    at: usize,
    /// Where the target begins.
    target: usize,
    fields: usize,
    state: State,
    response: bool,
    skipped: bool,
}

impl HeadScanner {
    /// A scanner at the first byte of a request.
    pub fn request() -> Self {
        HeadScanner {
            at: 0,
            target: 0,
            fields: 0,
            state: State::Begin,
            response: false,
            skipped: false,
        }
    }

    /// A scanner at the first byte of a response.
    pub fn response() -> Self {
        HeadScanner { state: State::Version(0), response: true, ..HeadScanner::request() }
    }

    /// Whether a byte of the message itself was seen: a skipped empty line is none.
    pub fn has_begun(&self) -> bool {
        match self.state {
            State::Begin | State::SkippedLf | State::AfterSkipped => false,
            _ => self.at > 0,
        }
    }

    /// How many bytes of the head decided what the last scan found: all that it has looked at, the
    /// one that it refused included.
    pub(crate) fn looked_at(&self, head: &[u8]) -> usize {
        (self.at + 1).min(head.len())
    }

    /// Goes on over `head`, which is all bytes since the last message's end; those already seen
    /// are not looked at again, and those behind the head's end never are.
    ///
    /// A skipped empty line counts as a part of the head, so that a buffer of
    /// `limits.head_bytes` holds every head that can pass.
    pub fn scan(&mut self, head: &[u8], limits: &Limits) -> Scan {
        let bytes = &head[..head.len().min(limits.head_bytes)];
        while self.at < bytes.len() && self.state != State::Complete {
            if let Err(refusal) = self.step(bytes, limits) {
                return Scan::Refused(refusal);
            }
        }
        if self.state == State::Complete {
            Scan::Complete { start: if self.skipped { 2 } else { 0 }, end: self.at }
        } else if self.at >= limits.head_bytes {
            Scan::Refused(Refusal::HeadTooLarge)
        } else {
            Scan::More
        }
    }

    /// Consumes at least one byte, or refuses, or changes to a state that does.
    #[inline]
    fn step(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), Refusal> {
        match self.state {
            State::FieldStart | State::Name | State::Value | State::ValueLf => {
                self.fields(bytes, limits)
            }
            State::Begin | State::SkippedLf | State::AfterSkipped => self.begin(bytes[self.at]),
            State::Method => self.method(bytes),
            State::Target => self.target(bytes, limits),
            State::Version(digit) => self.version(digit, bytes[self.at]),
            State::StatusSpace | State::Status(_) | State::ReasonSpace => {
                self.status(bytes[self.at])
            }
            State::Reason => {
                self.at = text_end(bytes, self.at);
                match bytes.get(self.at) {
                    None => Ok(()),
                    Some(b'\r') => self.pass(State::StartLineLf),
                    Some(&byte) => Err(stray(byte)),
                }
            }
            State::RequestLineCr => match bytes[self.at] {
                b'\r' => self.pass(State::StartLineLf),
                b'\n' => Err(Refusal::BareLf),
                _ => Err(Refusal::StartLine),
            },
            State::StartLineLf => self.line_feed(bytes[self.at], State::FieldStart),
            State::FinalLf => self.line_feed(bytes[self.at], State::Complete),
            State::Complete => Ok(()),
        }
    }

    /// Consumes one byte and goes to `next`.
    #[inline]
    fn pass(&mut self, next: State) -> Result<(), Refusal> {
        self.at += 1;
        self.state = next;
        Ok(())
    }

    #[inline]
    fn line_feed(&mut self, byte: u8, next: State) -> Result<(), Refusal> {
        if byte == b'\n' { self.pass(next) } else { Err(Refusal::BareCr) }
    }

    fn begin(&mut self, byte: u8) -> Result<(), Refusal> {
        match (self.state, byte) {
            (State::SkippedLf, b'\n') => {
                self.skipped = true;
                self.pass(State::AfterSkipped)
            }
            (State::SkippedLf, _) => Err(Refusal::BareCr),
            (State::Begin, b'\r') => self.pass(State::SkippedLf),
            (_, byte) if is_token(byte) => self.pass(State::Method),
            (_, b'\n') => Err(Refusal::BareLf),
            _ => Err(Refusal::NotHttp),
        }
    }

    fn method(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        self.at = token_end(bytes, self.at);
        match bytes.get(self.at) {
            None => Ok(()),
            Some(b' ') => {
                self.target = self.at + 1;
                self.pass(State::Target)
            }
            Some(_) => Err(Refusal::NotHttp),
        }
    }

    fn target(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), Refusal> {
        self.at = target_end(bytes, self.at);
        if self.at - self.target > limits.target_bytes {
            return Err(Refusal::TargetTooLong);
        }
        match bytes.get(self.at) {
            None => Ok(()),
            Some(b' ') if self.at > self.target => self.pass(State::Version(0)),
            Some(b' ' | b'\r') => Err(Refusal::StartLine),
            Some(b'\n') => Err(Refusal::BareLf),
            Some(_) => Err(Refusal::TargetByte),
        }
    }

    fn version(&mut self, digit: u8, byte: u8) -> Result<(), Refusal> {
        let malformed = if self.response { Refusal::NotHttp } else { Refusal::StartLine };
        let next = match digit {
            0..5 if byte == b"HTTP/"[usize::from(digit)] => State::Version(digit + 1),
            5 if byte == b'1' => State::Version(6),
            5 if byte.is_ascii_digit() => return Err(Refusal::Version),
            6 if byte == b'.' => State::Version(7),
            7 if byte.is_ascii_digit() && self.response => State::StatusSpace,
            7 if byte.is_ascii_digit() => State::RequestLineCr,
            _ => return Err(malformed),
        };
        self.pass(next)
    }

    fn status(&mut self, byte: u8) -> Result<(), Refusal> {
        let next = match (self.state, byte) {
            (State::StatusSpace, b' ') => State::Status(0),
            (State::Status(0), b'1'..=b'9') => State::Status(1),
            (State::Status(1), b'0'..=b'9') => State::Status(2),
            (State::Status(2), b'0'..=b'9') => State::ReasonSpace,
            (State::ReasonSpace, b' ') => State::Reason,
            // A status line without the space before an empty reason is common, and clear.
            (State::ReasonSpace, b'\r') => State::StartLineLf,
            (_, b'\n') => return Err(Refusal::BareLf),
            _ => return Err(Refusal::StartLine),
        };
        self.pass(next)
    }

    /// Consumes field lines until the bytes or the fields end.
    fn fields(&mut self, bytes: &[u8], limits: &Limits) -> Result<(), Refusal> {
        while let Some(&byte) = bytes.get(self.at) {
            match self.state {
                State::FieldStart => match byte {
                    b'\r' => return self.pass(State::FinalLf),
                    b' ' | b'\t' => return Err(Refusal::ObsFold),
                    byte if !is_token(byte) => return Err(misnamed(byte)),
                    _ if self.fields >= limits.fields_max => return Err(Refusal::TooManyFields),
                    _ => {
                        self.fields += 1;
                        self.state = State::Name;
                    }
                },
                State::Name => {
                    self.at = token_end(bytes, self.at);
                    match bytes.get(self.at) {
                        None => return Ok(()),
                        Some(b':') => self.pass(State::Value)?,
                        Some(&byte) => return Err(misnamed(byte)),
                    }
                }
                State::Value => {
                    self.at = text_end(bytes, self.at);
                    match bytes.get(self.at) {
                        None => return Ok(()),
                        Some(b'\r') => self.pass(State::ValueLf)?,
                        Some(&byte) => return Err(stray(byte)),
                    }
                }
                _ => self.line_feed(byte, State::FieldStart)?,
            }
        }
        Ok(())
    }
}

/// Why `byte` may not stand in a value or a reason.
#[cold]
fn stray(byte: u8) -> Refusal {
    if byte == b'\n' { Refusal::BareLf } else { Refusal::Control }
}

/// Why `byte` may not stand in a field's name.
#[cold]
fn misnamed(byte: u8) -> Refusal {
    match byte {
        b' ' | b'\t' => Refusal::SpaceBeforeColon,
        b'\n' => Refusal::BareLf,
        0..b' ' | 0x7f if byte != b'\r' => Refusal::Control,
        _ => Refusal::FieldName,
    }
}

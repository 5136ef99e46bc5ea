//! Reference HTTP/1.1 parsers for the oracle, strict and lenient, sharing nothing with the product.
//!
//! They judge what the proxy emits: every byte must be read in one way only.

mod body;
mod head;
#[cfg(test)]
mod tests;

pub use body::{Body, BodyReader};
pub use head::{Head, Kind, lenient_view, parse};

/// Longest head the reference accepts.
const HEAD_BYTES_MAX: usize = 128 * 1024;

/// What the next bytes of a stream are.
#[derive(Debug)]
pub enum Step<'a> {
    /// Nothing more can be said without more bytes.
    Starved,
    /// A head is complete; tell [`MessageReader::begin_body`] how its body ends.
    Head(Head),
    /// Bytes of the body, without framing.
    Body(&'a [u8]),
    /// The message is complete.
    End,
}

enum State {
    Head,
    AwaitRule,
    Body(BodyReader),
}

/// Reads a stream of messages as they are emitted.
pub struct MessageReader {
    kind: Kind,
    state: State,
    partial: Vec<u8>,
    /// Bytes read so far.
    pub offset: u64,
}

impl MessageReader {
    /// A reader at the start of a stream of requests or responses.
    pub fn new(kind: Kind) -> MessageReader {
        MessageReader { kind, state: State::Head, partial: Vec::new(), offset: 0 }
    }

    /// Reads the next part of `input` and removes it from there.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Step<'a>, &'static str> {
        match &mut self.state {
            State::Head => self.next_head(input),
            State::AwaitRule => Err("a body without a rule"),
            State::Body(reader) => {
                let before = input.len();
                let step = reader.next(input)?;
                self.offset += (before - input.len()) as u64;
                match step {
                    Body::Starved => Ok(Step::Starved),
                    Body::Bytes(bytes) => Ok(Step::Body(bytes)),
                    Body::End => {
                        self.state = State::Head;
                        Ok(Step::End)
                    }
                }
            }
        }
    }

    fn next_head<'a>(&mut self, input: &mut &'a [u8]) -> Result<Step<'a>, &'static str> {
        if input.is_empty() {
            return Ok(Step::Starved);
        }
        // The end may straddle what was kept and what is new: search from three bytes back.
        let from = self.partial.len().saturating_sub(3);
        let kept = self.partial.len();
        self.partial.extend_from_slice(input);
        let end = self.partial[from..].windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end.map(|at| from + at + 4) else {
            self.offset += input.len() as u64;
            *input = &[];
            if self.partial.len() > HEAD_BYTES_MAX {
                return Err("a head without an end");
            }
            return Ok(Step::Starved);
        };
        self.partial.truncate(end);
        *input = &input[end - kept..];
        self.offset += (end - kept) as u64;
        let head = parse(self.kind, std::mem::take(&mut self.partial))?;
        self.state = State::AwaitRule;
        Ok(Step::Head(head))
    }

    /// Says how the body behind the head just returned ends.
    pub fn begin_body(&mut self, reader: BodyReader) {
        self.state = State::Body(reader);
    }

    /// Whether the stream stands between two messages.
    pub fn is_between(&self) -> bool {
        matches!(self.state, State::Head) && self.partial.is_empty()
    }

    /// Whether the stream stands inside a body.
    pub fn is_inside_body(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    /// Whether the stream stands inside a head.
    pub fn is_inside_head(&self) -> bool {
        matches!(self.state, State::Head) && !self.partial.is_empty()
    }

    /// Whether the current body ends with the stream.
    pub fn is_until_close(&self) -> bool {
        matches!(&self.state, State::Body(reader) if reader.is_until_close())
    }
}

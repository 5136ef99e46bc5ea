//! Bodies, by the letter: no extension, no trailer, no short cut.

/// What the next bytes of a body are.
#[derive(PartialEq, Eq, Debug)]
pub enum Body<'a> {
    /// Nothing more can be said without more bytes.
    Starved,
    /// Bytes without framing.
    Bytes(&'a [u8]),
    /// The body is complete.
    End,
}

#[derive(PartialEq, Eq, Debug)]
enum State {
    Length(u64),
    Size { digits: u8, value: u64 },
    SizeLf(u64),
    Chunk(u64),
    ChunkCr,
    ChunkLf,
    LastCr,
    LastLf,
    UntilClose,
    Done,
}

/// Reads one body.
#[derive(PartialEq, Eq, Debug)]
pub struct BodyReader {
    state: State,
}

impl BodyReader {
    /// A body of `length` bytes.
    pub fn length(length: u64) -> BodyReader {
        BodyReader { state: State::Length(length) }
    }

    /// A body in chunks.
    pub fn chunked() -> BodyReader {
        BodyReader { state: State::Size { digits: 0, value: 0 } }
    }

    /// A body that ends with its stream.
    pub fn until_close() -> BodyReader {
        BodyReader { state: State::UntilClose }
    }

    /// Whether the body ends with its stream.
    pub fn is_until_close(&self) -> bool {
        self.state == State::UntilClose
    }

    /// Reads the next part of `input` and removes it from there.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Body<'a>, &'static str> {
        loop {
            match self.state {
                State::Length(0) | State::Done => {
                    self.state = State::Done;
                    return Ok(Body::End);
                }
                _ if input.is_empty() => return Ok(Body::Starved),
                State::UntilClose => return Ok(Body::Bytes(std::mem::take(input))),
                State::Length(left) => {
                    let bytes = cut(input, left);
                    self.state = State::Length(left - bytes.len() as u64);
                    return Ok(Body::Bytes(bytes));
                }
                State::Chunk(left) => {
                    let bytes = cut(input, left);
                    let left = left - bytes.len() as u64;
                    self.state = if left == 0 { State::ChunkCr } else { State::Chunk(left) };
                    return Ok(Body::Bytes(bytes));
                }
                _ => {
                    let byte = input[0];
                    *input = &input[1..];
                    self.framing(byte)?;
                }
            }
        }
    }

    fn framing(&mut self, byte: u8) -> Result<(), &'static str> {
        self.state = match (&self.state, byte) {
            (&State::Size { digits, value }, b'\r') if digits > 0 => State::SizeLf(value),
            (&State::Size { digits, value }, _) if digits < 16 => {
                let digit = (byte as char).to_digit(16).ok_or("a bad chunk size")?;
                State::Size { digits: digits + 1, value: value << 4 | u64::from(digit) }
            }
            (State::SizeLf(0), b'\n') => State::LastCr,
            (&State::SizeLf(size), b'\n') => State::Chunk(size),
            (State::ChunkCr, b'\r') => State::ChunkLf,
            (State::ChunkLf, b'\n') => State::Size { digits: 0, value: 0 },
            (State::LastCr, b'\r') => State::LastLf,
            (State::LastLf, b'\n') => State::Done,
            _ => return Err("bad chunk framing"),
        };
        Ok(())
    }
}

fn cut<'a>(input: &mut &'a [u8], left: u64) -> &'a [u8] {
    let n = usize::try_from(left).unwrap_or(usize::MAX).min(input.len());
    let (head, tail) = input.split_at(n);
    *input = tail;
    head
}

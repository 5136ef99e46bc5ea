//! The name that a ClientHello asks for, where TLS is passed through undecrypted (TLS-5).
//!
//! Only the structure up to the server_name extension is judged (RFC 8446 4.1.2, RFC 6066 3):
//! everything else is between the client and the server.

/// What the first bytes of a connection say.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Hello<'a> {
    /// More bytes are needed.
    More,
    /// The ClientHello asks for this name.
    Name(&'a [u8]),
    /// The ClientHello asks for no name.
    Nameless,
    /// This is no ClientHello.
    NotTls,
}

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEADER: usize = 5;
/// Bytes of a record's content at most (RFC 8446 5.1).
const RECORD_MAX: usize = 16 * 1024;
const VERSION_AND_RANDOM: usize = 2 + 32;
/// The extension that tells the name.
const SERVER_NAME: usize = 0;

/// Reads `bytes`, all that came so far. A hello may lie across several records: its content is
/// gathered in `scratch`.
pub(crate) fn read<'a>(bytes: &[u8], scratch: &'a mut Vec<u8>) -> Hello<'a> {
    scratch.clear();
    let mut rest = bytes;
    loop {
        let header = &rest[..rest.len().min(RECORD_HEADER)];
        if header.first().is_some_and(|&kind| kind != HANDSHAKE)
            || header.get(1).is_some_and(|&major| major != 3)
        {
            return Hello::NotTls;
        }
        let [_, _, _, high, low] = *header else { return Hello::More };
        let length = usize::from(high) << 8 | usize::from(low);
        if length == 0 || length > RECORD_MAX {
            return Hello::NotTls;
        }
        let content = &rest[RECORD_HEADER..];
        scratch.extend_from_slice(&content[..content.len().min(length)]);
        if scratch[..].first().is_some_and(|&kind| kind != CLIENT_HELLO) {
            return Hello::NotTls;
        }
        if let [_, a, b, c, ..] = scratch[..] {
            let whole = 4 + (usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c));
            if whole > RECORD_MAX {
                return Hello::NotTls;
            }
            if scratch.len() >= whole {
                return name_of(&scratch[4..whole]);
            }
        }
        if content.len() < length {
            return Hello::More;
        }
        rest = &content[length..];
    }
}

/// The name in the body of a complete ClientHello.
fn name_of(body: &[u8]) -> Hello<'_> {
    let Some(mut extensions) = extensions(body) else { return Hello::NotTls };
    while !extensions.is_empty() {
        let Some((kind, after)) = number(extensions) else { return Hello::NotTls };
        let Some((content, after)) = counted16(after) else { return Hello::NotTls };
        extensions = after;
        if usize::from(kind) == SERVER_NAME {
            return server_name(content).unwrap_or(Hello::NotTls);
        }
    }
    Hello::Nameless
}

/// What stands in the extensions of a ClientHello, empty when it has none.
fn extensions(body: &[u8]) -> Option<&[u8]> {
    let rest = body.get(VERSION_AND_RANDOM..)?;
    let (_session, rest) = counted8(rest)?;
    let (_suites, rest) = counted16(rest)?;
    let (_compressions, rest) = counted8(rest)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let (extensions, rest) = counted16(rest)?;
    rest.is_empty().then_some(extensions)
}

/// The host name of a server_name extension.
fn server_name(content: &[u8]) -> Option<Hello<'_>> {
    let (list, rest) = counted16(content)?;
    let (&kind, name) = list.split_first()?;
    let (name, _others) = counted16(name)?;
    (rest.is_empty() && kind == 0 && !name.is_empty()).then_some(Hello::Name(name))
}

fn number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*number), rest))
}

fn counted8(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(length))
}

fn counted16(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = number(bytes)?;
    rest.split_at_checked(usize::from(length))
}

/// `bytes` up to the one at which [`read`] has come to its end, with `filler` for what it does not
/// look at: everything but lengths and the server_name extension. [`read`] says the same of it,
/// byte by byte.
pub(crate) fn mask(bytes: &[u8], filler: u8) -> Vec<u8> {
    let scratch = &mut Vec::new();
    // What was settled stays settled.
    let (mut end, mut high) = (0, bytes.len());
    while end < high {
        let middle = usize::midpoint(end, high);
        match read(&bytes[..middle], scratch) {
            Hello::More => end = middle + 1,
            _ => high = middle,
        }
    }
    let mut masked = bytes[..end].to_vec();
    let places = content_of(&masked);
    let mut content: Vec<u8> = places.iter().map(|&at| masked[at]).collect();
    Masked { content: &mut content, at: 0, filler }.hello();
    places.iter().zip(content).for_each(|(&at, byte)| masked[at] = byte);
    masked
}

/// Where in `records` their content lies.
fn content_of(records: &[u8]) -> Vec<usize> {
    let (mut places, mut at) = (Vec::new(), 0);
    while let Some(&[_, _, _, high, low]) = records.get(at..).and_then(<[u8]>::first_chunk) {
        let from = at + RECORD_HEADER;
        at = from + (usize::from(high) << 8 | usize::from(low));
        places.extend(from..at.min(records.len()));
    }
    places
}

/// A ClientHello, complete or not, that is masked up to `at`.
struct Masked<'a> {
    content: &'a mut [u8],
    at: usize,
    filler: u8,
}

impl Masked<'_> {
    fn hello(&mut self) -> Option<()> {
        self.number(4)?;
        self.hide(VERSION_AND_RANDOM);
        // Session, cipher suites, compressions; then extensions.
        for width in [1, 2, 1] {
            let length = self.number(width)?;
            self.hide(length);
        }
        self.number(2)?;
        loop {
            let (kind, length) = (self.number(2)?, self.number(2)?);
            if kind == SERVER_NAME {
                self.at += length;
                self.hide(self.content.len());
                return Some(());
            }
            self.hide(length);
        }
    }

    /// Passes a number of `width` bytes, which stays.
    fn number(&mut self, width: usize) -> Option<usize> {
        let bytes = self.content.get(self.at..)?.get(..width)?;
        self.at += width;
        Some(bytes.iter().fold(0, |number, &byte| number << 8 | usize::from(byte)))
    }

    /// Passes `length` bytes, as far as they are here, which become filler.
    fn hide(&mut self, length: usize) {
        let from = self.at.min(self.content.len());
        self.at += length;
        let to = self.at.min(self.content.len());
        self.content[from..to].fill(self.filler);
    }
}

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
        if kind == 0 {
            return server_name(content).unwrap_or(Hello::NotTls);
        }
    }
    Hello::Nameless
}

/// What stands in the extensions of a ClientHello, empty when it has none.
fn extensions(body: &[u8]) -> Option<&[u8]> {
    const VERSION_AND_RANDOM: usize = 2 + 32;
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

//! What of a recording is filler: every byte that no parser looks at, in its own length.
//!
//! Kept of a head are its start line without the query, the names of fields, the values of fields
//! that decide framing, routing and connections, and the names of cookies; of a start line that is
//! none (what a confused client sends in its place may be a body) only where its words end. Bytes
//! that a parser refuses are kept, or a replay would go on where the session did not.
//!
//! Of PROXY headers and ClientHellos, [`prelude`] keeps what [`proxy_protocol::parse`] and
//! [`hello::read`] look at. Chunked framing is filtered by [`ChunkDecoder::walk`] where it is told.
//!
//! [`ChunkDecoder::walk`]: crate::http1::ChunkDecoder::walk

use super::FILLER;
use super::entry::{Entry, Tag};
use crate::http1::{is_target, is_text, is_token};
use crate::proxy_protocol;
use crate::tls::hello;

/// Fields whose values the proxy reads (or a parser judges), in lower case.
const KEPT: [&[u8]; 18] = [
    b"host",
    b"connection",
    b"content-length",
    b"transfer-encoding",
    b"te",
    b"trailer",
    b"upgrade",
    b"expect",
    b"keep-alive",
    b"proxy-connection",
    b"accept",
    b"x-request-id",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-proto",
    b"forwarded",
    b"http2-settings",
];

/// What a connection may begin with before anything else.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Prelude {
    /// A PROXY header.
    Proxy,
    /// A ClientHello that is passed through.
    Hello,
}

/// What decides how `bytes`, all that a connection has brought so far, are understood; the rest of
/// them is filler, or left out behind the byte that settled it. More bytes change nothing of what
/// stands here already.
pub(super) fn prelude(kind: Prelude, bytes: &[u8]) -> Vec<u8> {
    match kind {
        Prelude::Proxy => proxy_protocol::mask(bytes, FILLER),
        Prelude::Hello => hello::mask(bytes, FILLER),
    }
}

/// Masks the heads in a stretch of entries, in place. Stops at the first one that is damaged.
pub(super) fn mask_entries(entries: &mut [u8]) {
    let mut at = 0;
    while let Some((entry, len)) = Entry::read(&entries[at..]) {
        let (tag, payload, is_response) = (entry.tag, entry.bytes.len(), entry.is_back());
        let end = at + len;
        if tag == Tag::Head {
            mask_head(&mut entries[end - payload..end], is_response);
        }
        at = end;
    }
}

/// Masks one head, complete or not.
pub(super) fn mask_head(head: &mut [u8], is_response: bool) {
    let (mut is_first, mut is_over, mut rest) = (true, false, head);
    while !rest.is_empty() {
        let (line, after) = rest.split_at_mut(line_len(rest));
        rest = after;
        let is_blank = line.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        is_over |= is_blank && !is_first;
        if is_blank || is_over {
            // Nothing is told that lies behind a head.
            fill(line, is_text);
            continue;
        }
        match std::mem::replace(&mut is_first, false) {
            true if is_response => mask_status_line(line),
            true => mask_request_line(line),
            false => mask_field(line),
        }
    }
}

/// Bytes of the first line with its end: CR LF, or either alone, at which a head is refused.
fn line_len(bytes: &[u8]) -> usize {
    match bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(at) if bytes[at..].starts_with(b"\r\n") => at + 2,
        Some(at) => at + 1,
        None => bytes.len(),
    }
}

/// Makes filler of what the parser takes for it: bytes of its class. White space stays.
fn fill(bytes: &mut [u8], is_taken: impl Fn(u8) -> bool) {
    let hidden = |byte: &&mut u8| is_taken(**byte) && !matches!(**byte, b' ' | b'\t');
    bytes.iter_mut().filter(hidden).for_each(|byte| *byte = FILLER);
}

/// The reason phrase is text; the two words before it are not.
fn mask_status_line(line: &mut [u8]) {
    if let Some(reason) = line.splitn_mut(3, |&byte| byte == b' ').nth(2) {
        fill(reason, is_text);
    }
}

fn mask_request_line(line: &mut [u8]) {
    let mut words = line.splitn_mut(3, |&byte| byte == b' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let is_whole = version.is_some_and(|it| it.starts_with(b"HTTP/1.") && it.len() > 7);
    let Some(target) = target else { return fill(method.unwrap_or_default(), is_token) };
    if !is_whole {
        // Whether an answer to the rest of it has a body hangs on this word alone.
        let method = method.filter(|method| **method != *b"HEAD");
        fill(method.unwrap_or_default(), is_token);
        return fill(target, is_target);
    }
    if let Some(from) = target.iter().position(|&byte| byte == b'?') {
        fill(&mut target[from + 1..], is_target);
    }
}

fn mask_field(line: &mut [u8]) {
    let Some(colon) = line.iter().position(|&byte| byte == b':') else {
        return fill(line, is_token);
    };
    let (name, value) = line.split_at_mut(colon + 1);
    let name = &name[..colon];
    if name.eq_ignore_ascii_case(b"cookie") {
        return value.split_mut(|&byte| byte == b';').for_each(mask_cookie);
    }
    if !KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept)) {
        fill(value, is_text);
    }
}

/// Of a cookie only the name is kept; of what is none, nothing.
fn mask_cookie(pair: &mut [u8]) {
    let from = pair.iter().position(|&byte| byte == b'=').map_or(0, |at| at + 1);
    fill(&mut pair[from..], is_text);
}

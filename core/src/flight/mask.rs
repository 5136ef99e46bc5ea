//! What of a recording is filler: every value that no parser looks at, in its own length.
//!
//! Kept are start lines without their query, the names of fields, the values of fields that decide
//! framing, routing and connections, the names of cookies, and addresses in PROXY headers.
//! Everything else that can be seen in a head becomes `x`.

use super::entry::{Entry, Tag};

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

/// Masks the heads in a stretch of entries, in place. Stops at the first one that is damaged.
pub fn mask_entries(entries: &mut [u8]) {
    let mut at = 0;
    while let Some((entry, len)) = Entry::read(&entries[at..]) {
        let (tag, payload) = (entry.tag, entry.bytes.len());
        let end = at + len;
        if tag == Tag::Head {
            mask_head(&mut entries[end - payload..end]);
        }
        at = end;
    }
}

/// Masks one head, complete or not, of a request or a response, and whatever lies behind it.
pub fn mask_head(head: &mut [u8]) {
    let mut is_first = true;
    let mut is_over = false;
    for line in head.split_inclusive_mut(|&byte| byte == b'\n') {
        let is_blank = line.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        is_over |= is_blank && !is_first;
        if is_blank || is_over {
            // What may lie behind a head is a body.
            fill(line);
            continue;
        }
        match std::mem::replace(&mut is_first, false) {
            true => mask_start_line(line),
            false => mask_field(line),
        }
    }
}

fn fill(bytes: &mut [u8]) {
    bytes.iter_mut().filter(|byte| !byte.is_ascii_whitespace() && **byte > b' ').for_each(|byte| {
        if *byte != 0x7f {
            *byte = b'x';
        }
    });
}

fn mask_start_line(line: &mut [u8]) {
    if line.starts_with(b"HTTP/") {
        // The reason phrase is text; the two words before it are not.
        let mut words = line.splitn_mut(3, |&byte| byte == b' ');
        if let Some(reason) = words.nth(2) {
            fill(reason);
        }
        return;
    }
    let Some(from) = line.iter().position(|&byte| byte == b'?') else { return };
    let query = &mut line[from + 1..];
    let len = query.iter().position(|&byte| byte == b' ').unwrap_or(query.len());
    fill(&mut query[..len]);
}

fn mask_field(line: &mut [u8]) {
    if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
        return fill(line);
    }
    let Some(colon) = line.iter().position(|&byte| byte == b':') else { return fill(line) };
    let (name, value) = line.split_at_mut(colon + 1);
    let name = &name[..colon];
    if name.eq_ignore_ascii_case(b"cookie") {
        return value.split_mut(|&byte| byte == b';').for_each(mask_cookie);
    }
    if !KEPT.iter().any(|kept| name.eq_ignore_ascii_case(kept)) {
        fill(value);
    }
}

/// Of a cookie only the name is kept; of what is none, nothing.
fn mask_cookie(pair: &mut [u8]) {
    let from = pair.iter().position(|&byte| byte == b'=').map_or(0, |at| at + 1);
    fill(&mut pair[from..]);
}

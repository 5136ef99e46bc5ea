//! Normalisation of paths before they are compared (ROUTE-3, RFC 3986 6.2.2).

use memchr::memchr2;
use std::borrow::Cow;

/// `path` with percent-encoded unreserved characters decoded and dot segments removed. Written to
/// `scratch` if anything has to change. An empty path is `/` (RFC 9110 4.2.3); one that does not
/// begin with `/`, as the `*` of OPTIONS, stays as it is.
pub(super) fn normalise<'a>(path: &'a [u8], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    match path.first() {
        None => b"/",
        Some(b'/') if needs_work(path) => {
            rewrite(path, scratch);
            scratch
        }
        Some(_) => path,
    }
}

/// The same for a path of the configuration.
pub(super) fn normalised(path: &str) -> Cow<'_, [u8]> {
    let mut scratch = Vec::new();
    if normalise(path.as_bytes(), &mut scratch) == path.as_bytes() {
        Cow::Borrowed(path.as_bytes())
    } else {
        Cow::Owned(normalise(path.as_bytes(), &mut scratch).to_vec())
    }
}

/// Whether `path`, which begins with `/`, has an encoded unreserved character or a dot segment.
fn needs_work(path: &[u8]) -> bool {
    let mut from = 0;
    while let Some(found) = memchr2(b'%', b'.', &path[from..]) {
        let at = from + found;
        let found = match path[at] {
            b'%' => unreserved(&path[at..]).is_some(),
            // A dot segment: `.` or `..` between two slashes, or at the end.
            _ if path[at - 1] != b'/' => false,
            _ => matches!(path[at + 1..], [] | [b'/', ..] | [b'.'] | [b'.', b'/', ..]),
        };
        if found {
            return true;
        }
        from = at + 1;
    }
    false
}

/// The unreserved character (RFC 3986 2.3) that `bytes` begins with as `%XX`.
fn unreserved(bytes: &[u8]) -> Option<u8> {
    let [b'%', high, low, ..] = bytes else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = (digit(*high)? * 16 + digit(*low)?) as u8;
    let is_unreserved = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    is_unreserved.then_some(byte)
}

/// Copies `path` to `out` segment by segment. Reads each byte once and takes each segment back at
/// most once, so its time is linear.
fn rewrite(path: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let mut rest = path;
    while let [b'/', tail @ ..] = rest {
        let start = out.len();
        out.push(b'/');
        rest = copy_segment(tail, out);
        let dots = match &out[start + 1..] {
            b"." => 1,
            b".." => 2,
            _ => continue,
        };
        out.truncate(start);
        if dots == 2 {
            let parent = memchr::memrchr(b'/', out).unwrap_or(0);
            out.truncate(parent);
        }
        // `/a/.` and `/a/b/..` end in a slash; in the middle the next segment brings its own.
        if rest.is_empty() {
            out.push(b'/');
        }
    }
}

/// Decodes up to the next slash; returns what comes from there on.
fn copy_segment<'a>(mut rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    while let [byte, tail @ ..] = rest {
        if *byte == b'/' {
            break;
        }
        if let Some(decoded) = unreserved(rest) {
            out.push(decoded);
            rest = &rest[3..];
        } else {
            out.push(*byte);
            rest = tail;
        }
    }
    rest
}

/// A configured prefix as it is compared: `/api/` and `/api` are the same, and `/` is every path.
pub(super) fn prefix_key(path: &str) -> Cow<'_, [u8]> {
    match normalised(path) {
        Cow::Borrowed(path) => Cow::Borrowed(path.strip_suffix(b"/").unwrap_or(path)),
        Cow::Owned(mut path) => {
            if path.ends_with(b"/") {
                path.pop();
            }
            Cow::Owned(path)
        }
    }
}

/// Whether `path` is `prefix`, a [`prefix_key`], or lies below it: `/api` holds for `/api`, `/api/`
/// and `/api/x`, not for `/apix`. The empty prefix holds for every path, `*` included.
pub(super) fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| is_boundary(prefix.len(), rest))
}

/// Whether a prefix of `len` bytes that leaves `rest` ends on a segment's bound.
pub(super) fn is_boundary(len: usize, rest: &[u8]) -> bool {
    len == 0 || matches!(rest, [] | [b'/', ..])
}

#[cfg(test)]
mod tests;

//! Byte classes of HTTP/1.1 (RFC 9110 5.6.2, 5.5; RFC 3986) and fast runs over them.

const TOKEN: u8 = 1;
const TEXT: u8 = 2;
const TARGET: u8 = 4;

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        if b.is_ascii_alphanumeric() || is_token_mark(b) {
            table[byte] |= TOKEN;
        }
        if b == b'\t' || b >= b' ' && b != 0x7f {
            table[byte] |= TEXT;
        }
        if b > b' ' && b < 0x7f && b != b'#' {
            table[byte] |= TARGET;
        }
        byte += 1;
    }
    table
}

const fn is_token_mark(b: u8) -> bool {
    matches!(
        b,
        b'!' | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'
            | b'_'
            | b'`'
            | b'|'
            | b'~'
    )
}

/// Whether `byte` may stand in a token: a method, a field name (RFC 9110 5.6.2).
#[inline]
pub(crate) fn is_token(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TOKEN != 0
}

/// Whether `byte` may stand in a field value or a reason phrase (RFC 9110 5.5).
#[inline]
pub(crate) fn is_text(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TEXT != 0
}

/// Whether `byte` may stand in a request target; a fragment and bytes above 0x7e may not.
#[inline]
pub(crate) fn is_target(byte: u8) -> bool {
    CLASSES[usize::from(byte)] & TARGET != 0
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Marks the bytes of `word` below `bound`. The lowest mark is exact, those above it may not be.
#[inline]
const fn below(word: u64, bound: u8) -> u64 {
    word.wrapping_sub(ONES * bound as u64) & !word & HIGH
}

/// Marks the bytes of `word` equal to `byte`. The lowest mark is exact, those above it may not be.
#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    below(word ^ (ONES * byte as u64), 1)
}

/// The index of the first byte from `at` on that is not in a token.
#[inline]
pub(super) fn token_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && is_token(bytes[at]) {
        at += 1;
    }
    at
}

/// The index of the first byte from `at` on that is neither text nor a tab.
#[inline]
pub(super) fn text_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let marks = below(word, b' ') | equal(word, 0x7f);
        if marks == 0 {
            at += 8;
            continue;
        }
        at += (marks.trailing_zeros() / 8) as usize;
        if bytes[at] != b'\t' {
            return at;
        }
        at += 1;
    }
    while at < bytes.len() && is_text(bytes[at]) {
        at += 1;
    }
    at
}

/// The index of the first byte from `at` on that no request target may hold.
#[inline]
pub(super) fn target_end(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let marks = below(word, b'!') | equal(word, 0x7f) | equal(word, b'#') | word & HIGH;
        if marks != 0 {
            return at + (marks.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while at < bytes.len() && is_target(bytes[at]) {
        at += 1;
    }
    at
}

/// `bytes` without the spaces and tabs around it.
#[inline]
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

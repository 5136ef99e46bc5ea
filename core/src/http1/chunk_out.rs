//! Putting a chunked body together (RFC 9112 7.1): size line, payload, [`CHUNK_END`], …,
//! [`LAST_CHUNK`].

/// What follows a chunk's payload.
pub const CHUNK_END: &[u8] = b"\r\n";
/// What ends a chunked body, without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";
/// Bytes of a chunk's size line at most.
pub const CHUNK_HEADER_MAX: usize = 18;

/// Writes the size line of a chunk of `len` bytes at the front of `out`, and returns its length.
/// No chunk has 0 bytes, since that would be the last: for them nothing is written.
pub fn chunk_header(len: usize, out: &mut [u8; CHUNK_HEADER_MAX]) -> usize {
    let start = chunk_header_before(len, out);
    out.copy_within(start.., 0);
    CHUNK_HEADER_MAX - start
}

/// Writes the size line of a chunk of `len` bytes at the end of `out`, directly in front of a
/// payload that follows, and returns where it begins. For 0 bytes nothing is written.
pub fn chunk_header_before(len: usize, out: &mut [u8; CHUNK_HEADER_MAX]) -> usize {
    let mut at = CHUNK_HEADER_MAX;
    if len == 0 {
        return at;
    }
    at -= CHUNK_END.len();
    out[at..].copy_from_slice(CHUNK_END);
    let mut rest = len;
    while rest > 0 {
        at -= 1;
        out[at] = b"0123456789abcdef"[rest % 16];
        rest /= 16;
    }
    at
}

//! Small writers that the heads of requests, responses and answers share.

use super::fields::Fields;
use httparse::Header;
use std::io::Write as _;
use std::net::IpAddr;

/// Appends one field line.
#[inline]
pub(super) fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a field line with a decimal number.
pub(super) fn number_field(out: &mut Vec<u8>, name: &str, number: u64) {
    field(out, name, itoa::Buffer::new().format(number).as_bytes());
}

/// Appends the Via line of a message that came with this minor version (RFC 9110 7.6.3).
pub(super) fn via(out: &mut Vec<u8>, minor: u8) {
    match minor {
        0 => out.extend_from_slice(b"Via: 1.0 tidegate\r\n"),
        1 => out.extend_from_slice(b"Via: 1.1 tidegate\r\n"),
        minor => {
            out.extend_from_slice(b"Via: 1.");
            out.push(b'0' + minor.min(9));
            out.extend_from_slice(b" tidegate\r\n");
        }
    }
}

/// Appends 32 hexadecimal digits.
pub(super) fn hex(out: &mut Vec<u8>, number: u128) {
    out.extend_from_slice(&hex_digits(number));
}

/// The 32 hexadecimal digits of a number.
pub(super) fn hex_digits(number: u128) -> [u8; 32] {
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(number.to_be_bytes()) {
        pair[0] = b"0123456789abcdef"[usize::from(byte >> 4)];
        pair[1] = b"0123456789abcdef"[usize::from(byte & 15)];
    }
    digits
}

/// Appends an address; an IPv4-mapped IPv6 one as IPv4.
pub(super) fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        IpAddr::V6(address) => {
            // Writing to a vector never fails.
            let _ = write!(out, "{address}");
        }
    }
}

/// Appends a path and query, with the slash that an absolute-form target may lack.
pub(super) fn path_and_query(out: &mut Vec<u8>, path_and_query: &[u8]) {
    if path_and_query.first() == Some(&b'?') {
        out.push(b'/');
    }
    out.extend_from_slice(path_and_query);
}

/// Appends the lines of `head` whose field is to be kept, as they came. Neighbours are copied
/// in one go; the scanner has seen to it that each line is whole and clean.
pub(super) fn kept_lines(
    out: &mut Vec<u8>,
    head: &[u8],
    fields: &Fields<'_, '_>,
    keep: impl Fn(usize, &Header<'_>) -> bool,
) {
    let line_start = |field: &Header<'_>| field.name.as_ptr().addr() - head.as_ptr().addr();
    let mut run = None;
    for (index, field) in fields.iter().enumerate() {
        match (keep(index, field), run) {
            (true, None) => run = Some(line_start(field)),
            (false, Some(start)) => {
                out.extend_from_slice(head.get(start..line_start(field)).unwrap_or_default());
                run = None;
            }
            _ => {}
        }
    }
    if let Some(start) = run {
        let end = head.len().saturating_sub(2);
        out.extend_from_slice(head.get(start..end).unwrap_or_default());
    }
}

/// Appends the lines that ask for an upgrade to WebSocket, or agree to it (RFC 6455 4.1, 4.2.2).
pub(super) fn upgrade(out: &mut Vec<u8>) {
    out.extend_from_slice(b"Connection: upgrade\r\nUpgrade: websocket\r\n");
}

/// Appends the Connection line that a client of this minor version needs, if any (REQ-10).
pub(super) fn connection(out: &mut Vec<u8>, keep_alive: bool, client_minor: u8) {
    if !keep_alive {
        out.extend_from_slice(b"Connection: close\r\n");
    } else if client_minor == 0 {
        out.extend_from_slice(b"Connection: keep-alive\r\n");
    }
}

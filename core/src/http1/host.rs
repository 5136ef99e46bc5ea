//! Authorities: what a Host may be, and the name that routes compare (REQ-2, ROUTE-3).

use std::net::Ipv6Addr;

/// Bytes of a host at most: the longest name that DNS knows.
pub const HOST_BYTES_MAX: usize = 255;
/// Bytes of an authority at most: a host, a colon and a port.
pub const AUTHORITY_BYTES_MAX: usize = HOST_BYTES_MAX + 6;

/// Splits an authority into host and port; an IPv6 literal keeps its brackets.
pub(super) fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memrchr(b':', authority) {
        Some(colon) if memchr::memchr(b']', &authority[colon..]).is_none() => {
            (&authority[..colon], Some(&authority[colon + 1..]))
        }
        _ => (authority, None),
    }
}

/// Whether `authority` is `host [ ":" port ]` with a host that is not empty (RFC 3986 3.2.2,
/// RFC 9110 4.2.1). User information, a comma (which would read as two hosts in a list) and
/// literals other than IPv6 ones are refused.
pub(super) fn is_valid(authority: &[u8]) -> bool {
    let (host, port) = split_port(authority);
    if host.is_empty() || host.len() > HOST_BYTES_MAX {
        return false;
    }
    if !port.is_none_or(is_port) {
        return false;
    }
    match host {
        [b'[', literal @ .., b']'] => {
            std::str::from_utf8(literal).is_ok_and(|it| it.parse::<Ipv6Addr>().is_ok())
        }
        name => is_name(name),
    }
}

/// Whether `port` is empty or a decimal number up to 65535.
fn is_port(port: &[u8]) -> bool {
    port.len() <= 5
        && port.iter().all(u8::is_ascii_digit)
        && port.iter().fold(0, |port, byte| port * 10 + u32::from(byte - b'0')) <= 65_535
}

fn is_name(name: &[u8]) -> bool {
    let mut rest = name;
    loop {
        rest = match rest {
            [] => return true,
            [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                rest
            }
            [byte, rest @ ..] if byte.is_ascii_alphanumeric() => rest,
            [b'-' | b'.' | b'_' | b'~', rest @ ..] => rest,
            [b'!' | b'$' | b'&' | b'\'' | b'(' | b')', rest @ ..] => rest,
            [b'*' | b'+' | b';' | b'=', rest @ ..] => rest,
            _ => return false,
        }
    }
}

/// The host of `authority` as routes compare it: in lower case, without port and without one
/// trailing dot (ROUTE-3). Of an invalid, longer authority, its first 256 bytes.
pub fn canonical_host<'b>(authority: &[u8], buf: &'b mut [u8; 256]) -> &'b [u8] {
    let (host, _) = split_port(authority);
    let host = host.strip_suffix(b".").unwrap_or(host);
    let host = &host[..host.len().min(buf.len())];
    let canonical = &mut buf[..host.len()];
    canonical.copy_from_slice(host);
    canonical.make_ascii_lowercase();
    canonical
}

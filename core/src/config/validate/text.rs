//! What names, tokens, hosts, paths and addresses look like.

use super::NAME_BYTES_MAX;
use crate::input::Address;
use std::net::Ipv6Addr;

/// Bytes of a content type at most.
pub(super) const CONTENT_TYPE_BYTES_MAX: usize = 256;
/// Bytes of a method, a cookie's name or a field's name at most.
const TOKEN_BYTES_MAX: usize = 64;
/// Bytes of a path at most: as many as a request target has by default (REQ-3).
const PATH_BYTES_MAX: usize = 8 * 1024;
/// Bytes of a Unix socket's path at most on Linux.
const UNIX_PATH_BYTES_MAX: usize = 107;

/// Whether `name` can name a listener, a cluster or a server.
pub(super) fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(good)
}

/// Whether `text` is a token (RFC 9110 5.6.2) of at most 64 bytes.
pub(super) fn is_token(text: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=TOKEN_BYTES_MAX).contains(&text.len()) && text.bytes().all(good)
}

/// Whether `text` can stand as a field's value as it is (RFC 9110 5.5).
pub(super) fn is_field_value(text: &str) -> bool {
    let good = |byte: u8| byte >= b' ' && byte != 0x7f || byte == b'\t';
    let blank = [' ', '\t'];
    text.bytes().all(good) && !text.starts_with(blank) && !text.ends_with(blank)
}

/// What is wrong with `host` as a canonical hostname, IPv4 address or bracketed IPv6 address.
pub(super) fn bad_host(host: &str) -> Option<&'static str> {
    if let Some(inside) = host.strip_prefix('[') {
        let address = inside.strip_suffix(']').and_then(|inside| inside.parse::<Ipv6Addr>().ok());
        let spelled = address.map(|address| format!("[{address}]"));
        return match spelled {
            Some(spelled) if spelled == host => None,
            Some(_) => Some("write an IPv6 address in its shortest form, in lower case"),
            None => Some("what stands in brackets is an IPv6 address"),
        };
    }
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if host.is_empty() || host.len() > 253 {
        Some("a host name has 1 to 253 bytes")
    } else if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Some("a host name is kept in lower case")
    } else if host.contains('*') {
        Some("`*` stands for the first label only, as in `*.example.com`")
    } else if host.contains(':') {
        Some("a host name has no port: a route holds for every port")
    } else if host.split('.').any(|label| label.is_empty() || label.len() > 63) {
        Some("a label has 1 to 63 bytes")
    } else if !host.bytes().all(|byte| byte == b'.' || good(byte)) {
        Some("a host name consists of letters, digits, `-`, `_` and `.`; write others in Punycode")
    } else {
        None
    }
}

/// What is wrong with `host` as a redirect's host, with a port or without.
pub(super) fn bad_authority(host: &str) -> Option<&'static str> {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    match port {
        Some(port) if !digits(port) || !port.parse::<u16>().is_ok_and(|port| port > 0) => {
            Some("a port is a number from 1 to 65535")
        }
        // What a redirect shows need not be canonical.
        _ => bad_host(&name.to_ascii_lowercase()),
    }
}

/// What is wrong with `path` as a path that requests can have.
pub(super) fn bad_path(path: &str) -> Option<&'static str> {
    if path.contains(['?', '#']) {
        return Some("routes look at the path alone, without query and fragment");
    }
    bad_target(path)
}

/// What is wrong with `target` as a path with or without query.
pub(super) fn bad_target(target: &str) -> Option<&'static str> {
    if !target.starts_with('/') {
        Some("a path begins with `/`")
    } else if target.len() > PATH_BYTES_MAX {
        Some("a path has at most 8 KiB")
    } else if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("percent-encode what is not visible ASCII")
    } else {
        None
    }
}

/// What is wrong with `address` to listen on or, but for its port, to connect to.
pub(super) fn bad_address(address: &Address) -> Option<&'static str> {
    let Address::Unix(path) = address else { return None };
    if !(1..=UNIX_PATH_BYTES_MAX).contains(&path.len()) {
        Some("a Unix socket's path has 1 to 107 bytes")
    } else if path.contains('\0') {
        Some("a Unix socket's path holds no NUL")
    } else {
        None
    }
}

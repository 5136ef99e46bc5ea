//! Version 1: one line of text (2.1).

use super::{Announced, Found, Malformed, Stop, skip};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of a header of version 1 at most, CR LF included (2.1).
pub const LINE_BYTES_MAX: usize = 107;

/// Characters of an IPv4 address at most.
const IPV4_CHARS_MAX: usize = 15;
/// Characters of an IPv6 address at most, when its last 32 bits are written like an IPv4 address.
const IPV6_CHARS_MAX: usize = 45;
/// Digits of a port at most.
const PORT_DIGITS_MAX: usize = 5;

/// Reads a header of version 1 from bytes that begin with its first letter.
pub(super) fn parse(bytes: &[u8]) -> Found {
    // Nothing behind the limit is looked at: whether it is here already makes no difference.
    let line = &bytes[..bytes.len().min(LINE_BYTES_MAX)];
    match line_of(line) {
        Ok((rest, addresses)) => {
            Ok((line.len() - rest.len(), Announced { addresses, tlvs: Box::default() }))
        }
        Err(Stop::More) if line.len() == LINE_BYTES_MAX => Err(Malformed::TooLong.into()),
        Err(stop) => Err(stop),
    }
}

/// What is behind the line, and the addresses it tells.
type Line<'a> = (&'a [u8], Option<(SocketAddr, SocketAddr)>);

fn line_of(bytes: &[u8]) -> Result<Line<'_>, Stop> {
    let rest = skip(bytes, b"PROXY ", Malformed::Signature)?;
    if rest.first() == Some(&b'U') {
        return Ok((unknown(skip(rest, b"UNKNOWN", Malformed::Family)?)?, None));
    }
    let rest = skip(rest, b"TCP", Malformed::Family)?;
    let address = match rest.first() {
        Some(b'4') => ipv4,
        Some(b'6') => ipv6,
        Some(_) => return Err(Malformed::Family.into()),
        None => return Err(Stop::More),
    };
    let rest = skip(&rest[1..], b" ", Malformed::Family)?;
    let (rest, source) = address(rest)?;
    let (rest, destination) = address(skip(rest, b" ", Malformed::Address)?)?;
    let (rest, source_port) = port(skip(rest, b" ", Malformed::Address)?)?;
    let (rest, destination_port) = port(skip(rest, b" ", Malformed::Port)?)?;
    let rest = skip(rest, b"\r\n", Malformed::LineEnd)?;
    let source = SocketAddr::new(source, source_port);
    Ok((rest, Some((source, SocketAddr::new(destination, destination_port)))))
}

/// Goes past the end of an UNKNOWN line: what stands there has no meaning (2.1), but a CR or LF
/// alone would end the line for others.
fn unknown(bytes: &[u8]) -> Result<&[u8], Stop> {
    match bytes.first() {
        Some(b' ' | b'\r') => {}
        Some(_) => return Err(Malformed::Family.into()),
        None => return Err(Stop::More),
    }
    let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')).ok_or(Stop::More)?;
    skip(&bytes[end..], b"\r\n", Malformed::LineEnd)
}

/// Puts `filler` in place of what has no meaning: the text behind UNKNOWN, which stays as long.
pub(super) fn mask(line: &mut [u8], filler: u8) {
    const UNKNOWN: &[u8] = b"PROXY UNKNOWN ";
    if line.starts_with(UNKNOWN) {
        let text = line[UNKNOWN.len()..].iter_mut().filter(|byte| !matches!(byte, b'\r' | b'\n'));
        text.for_each(|byte| *byte = filler);
    }
}

fn ipv4(bytes: &[u8]) -> Result<(&[u8], IpAddr), Stop> {
    let is_part = |byte: u8| byte.is_ascii_digit() || byte == b'.';
    let (rest, text) = field(bytes, is_part, IPV4_CHARS_MAX, Malformed::Address)?;
    let address: Ipv4Addr = text.parse().map_err(|_| Malformed::Address)?;
    Ok((rest, IpAddr::V4(address)))
}

/// An IPv6 address, also one that ends like an IPv4 address: HAProxy writes mapped ones so.
fn ipv6(bytes: &[u8]) -> Result<(&[u8], IpAddr), Stop> {
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let (rest, text) = field(bytes, is_part, IPV6_CHARS_MAX, Malformed::Address)?;
    let address: Ipv6Addr = text.parse().map_err(|_| Malformed::Address)?;
    Ok((rest, IpAddr::V6(address)))
}

fn port(bytes: &[u8]) -> Result<(&[u8], u16), Stop> {
    let is_part = |byte: u8| byte.is_ascii_digit();
    let (rest, text) = field(bytes, is_part, PORT_DIGITS_MAX, Malformed::Port)?;
    if text.len() > 1 && text.starts_with('0') {
        return Err(Malformed::Port.into());
    }
    let port = text.parse().map_err(|_| Malformed::Port)?;
    Ok((rest, port))
}

/// Splits off a field of these bytes. It is whole when the byte behind it is here.
fn field(
    bytes: &[u8],
    is_part: impl Fn(u8) -> bool,
    max: usize,
    why: Malformed,
) -> Result<(&[u8], &str), Stop> {
    let len = bytes.iter().take(max + 1).take_while(|byte| is_part(**byte)).count();
    if len > max {
        return Err(why.into());
    }
    if len == bytes.len() {
        return Err(Stop::More);
    }
    let (text, rest) = bytes.split_at(len);
    Ok((rest, std::str::from_utf8(text).map_err(|_| why)?))
}

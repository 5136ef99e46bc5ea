//! The header that is sent to a server.

use super::v2::{
    FIXED_BYTES, HEADER_BYTES_MAX, PROXY, SIGNATURE, TCP_IPV4, TCP_IPV6, TLV_BYTES_MAX, UNSPECIFIED,
};
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Which of the two versions is sent.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    /// A line of text; it cannot carry TLVs.
    V1,
    /// Binary, with TLVs.
    V2,
}

/// Two addresses of one family.
enum Pair {
    V4(Ipv4Addr, Ipv4Addr),
    V6(Ipv6Addr, Ipv6Addr),
}

impl Pair {
    /// Both as IPv4 where both are, an IPv4-mapped one included; else the IPv4 one is mapped.
    fn of(source: IpAddr, destination: IpAddr) -> Pair {
        match (source.to_canonical(), destination.to_canonical()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Pair::V4(source, destination),
            (source, destination) => Pair::V6(mapped(source), mapped(destination)),
        }
    }
}

fn mapped(addr: IpAddr) -> Ipv6Addr {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped(),
        IpAddr::V6(addr) => addr,
    }
}

/// Appends a header to `out`, to be sent before any other byte and at once (2): at most
/// [`HEADER_BYTES_MAX`] bytes, at most [`LINE_BYTES_MAX`](super::LINE_BYTES_MAX) of version 1.
///
/// `addresses` are source and destination of the client's connection. A pair of IPv4-mapped IPv6
/// addresses is written as IPv4, a mixed pair as IPv6; flow labels and scopes are not written.
/// `None` (a Unix socket) becomes `UNKNOWN` in version 1, and in version 2 the command PROXY with
/// the unspecified family, not LOCAL: a receiver ignores the TLVs of LOCAL.
///
/// `tlvs` are those of [`Announced`](super::Announced), or none. Version 1 has no room for them:
/// they are dropped.
///
/// # Panics
/// When `tlvs` have more than [`TLV_BYTES_MAX`] bytes, which those of
/// [`Announced`](super::Announced) never have.
pub fn write(
    out: &mut Vec<u8>,
    version: Version,
    addresses: Option<(SocketAddr, SocketAddr)>,
    tlvs: &[u8],
) {
    assert!(tlvs.len() <= TLV_BYTES_MAX, "TLVs were bounded when they were read");
    let addresses = addresses.map(|(source, destination)| {
        let ports = [source.port(), destination.port()];
        (Pair::of(source.ip(), destination.ip()), ports)
    });
    match version {
        Version::V1 => write_line(out, addresses),
        Version::V2 => write_binary(out, addresses, tlvs),
    }
}

fn write_line(out: &mut Vec<u8>, addresses: Option<(Pair, [u16; 2])>) {
    // A vector takes all that is written.
    let _ = match addresses {
        None => write!(out, "PROXY UNKNOWN\r\n"),
        Some((Pair::V4(source, destination), [from, to])) => {
            write!(out, "PROXY TCP4 {source} {destination} {from} {to}\r\n")
        }
        Some((Pair::V6(source, destination), [from, to])) => {
            let (source, destination) = (Hexadecimal(source), Hexadecimal(destination));
            write!(out, "PROXY TCP6 {source} {destination} {from} {to}\r\n")
        }
    };
}

/// An IPv6 address in groups of hexadecimal digits throughout, as 2.1 wants it: the standard
/// library writes the end of an IPv4-mapped one in decimal.
struct Hexadecimal(Ipv6Addr);

impl std::fmt::Display for Hexadecimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.to_ipv4_mapped() {
            None => self.0.fmt(f),
            Some(_) => {
                let [.., high, low] = self.0.segments();
                write!(f, "::ffff:{high:x}:{low:x}")
            }
        }
    }
}

fn write_binary(out: &mut Vec<u8>, addresses: Option<(Pair, [u16; 2])>, tlvs: &[u8]) {
    let start = out.len();
    let family = match &addresses {
        None => UNSPECIFIED,
        Some((Pair::V4(..), _)) => TCP_IPV4,
        Some((Pair::V6(..), _)) => TCP_IPV6,
    };
    out.extend_from_slice(&SIGNATURE);
    out.extend_from_slice(&[PROXY, family, 0, 0]);
    if let Some((pair, ports)) = addresses {
        match pair {
            Pair::V4(source, destination) => {
                out.extend_from_slice(&source.octets());
                out.extend_from_slice(&destination.octets());
            }
            Pair::V6(source, destination) => {
                out.extend_from_slice(&source.octets());
                out.extend_from_slice(&destination.octets());
            }
        }
        ports.iter().for_each(|port| out.extend_from_slice(&port.to_be_bytes()));
    }
    out.extend_from_slice(tlvs);
    let len = out.len() - start;
    assert!(len <= HEADER_BYTES_MAX, "TLV_BYTES_MAX leaves room for every family");
    let declared = (len - FIXED_BYTES) as u16;
    out[start + FIXED_BYTES - 2..start + FIXED_BYTES].copy_from_slice(&declared.to_be_bytes());
}

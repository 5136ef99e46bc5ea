//! Reference reader and writer of PROXY headers, for clients and the oracle, sharing nothing with
//! the product.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The first bytes of version 2.
pub const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// A header of a well-behaved sender.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Header {
    /// 1 or 2.
    pub version: u8,
    /// Source and destination.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// The TLVs behind the addresses, as they came.
    pub tlvs: Vec<u8>,
}

/// What the first bytes of a connection are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Read {
    /// They may become a header.
    More,
    /// A header of so many bytes.
    Whole(usize, Header),
    /// No header.
    Bad(&'static str),
}

/// Whether `bytes` begin like a header, as far as they go.
pub fn begins(bytes: &[u8]) -> bool {
    let like = |literal: &[u8]| {
        let n = bytes.len().min(literal.len());
        bytes[..n] == literal[..n]
    };
    like(b"PROXY ") || like(SIGNATURE)
}

/// Reads the header that the first bytes of a connection must be.
pub fn read(bytes: &[u8]) -> Read {
    if !begins(bytes) {
        return Read::Bad("no PROXY header");
    }
    match bytes.first() {
        None => Read::More,
        Some(b'P') => read_line(bytes),
        Some(_) => read_binary(bytes),
    }
}

fn read_line(bytes: &[u8]) -> Read {
    let Some(end) = bytes.windows(2).position(|two| two == b"\r\n") else {
        return if bytes.len() < 107 { Read::More } else { Read::Bad("a line that is too long") };
    };
    let Ok(line) = std::str::from_utf8(&bytes[..end]) else { return Read::Bad("not text") };
    let words: Vec<&str> = line.split(' ').collect();
    let addresses = match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => None,
        ["PROXY", family, source, destination, from, to] => {
            let address = |ip: &str, port: &str| {
                let ip: IpAddr = ip.parse().ok()?;
                let port = port.parse::<u16>().ok()?;
                (ip.is_ipv4() == (*family == "TCP4")).then(|| SocketAddr::new(ip, port))
            };
            match (*family, address(source, from).zip(address(destination, to))) {
                ("TCP4" | "TCP6", Some(addresses)) => Some(addresses),
                _ => return Read::Bad("a line that is wrong"),
            }
        }
        _ => return Read::Bad("a line that is wrong"),
    };
    Read::Whole(end + 2, Header { version: 1, addresses, tlvs: Vec::new() })
}

fn read_binary(bytes: &[u8]) -> Read {
    let Some(&[command, family, high, low]) = bytes.get(12..16) else { return Read::More };
    let len = 16 + usize::from(u16::from_be_bytes([high, low]));
    let Some(block) = bytes.get(16..len) else { return Read::More };
    if command != 0x21 {
        return Read::Bad("a command that announces nobody");
    }
    let ip_bytes = match family {
        0x00 => 0,
        0x11 => 4,
        0x21 => 16,
        _ => return Read::Bad("a family that is none of TCP's"),
    };
    let Some((addresses, tlvs)) = block.split_at_checked(ip_bytes * 2 + ip_bytes.min(4)) else {
        return Read::Bad("no room for addresses");
    };
    let ip = |bytes: &[u8]| match <[u8; 4]>::try_from(bytes) {
        Ok(four) => IpAddr::V4(Ipv4Addr::from(four)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap_or_default())),
    };
    let port = |at: usize| u16::from_be_bytes([addresses[at], addresses[at + 1]]);
    let found = (ip_bytes > 0).then(|| {
        let (source, destination) = (ip(&addresses[..ip_bytes]), &addresses[ip_bytes..]);
        let destination = ip(&destination[..ip_bytes]);
        let ports = 2 * ip_bytes;
        (SocketAddr::new(source, port(ports)), SocketAddr::new(destination, port(ports + 2)))
    });
    Read::Whole(len, Header { version: 2, addresses: found, tlvs: tlvs.to_vec() })
}

/// The line of version 1.
pub fn line((source, destination): (SocketAddr, SocketAddr)) -> Vec<u8> {
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (source.ip(), destination.ip());
    let (from_port, to_port) = (source.port(), destination.port());
    format!("PROXY {family} {from} {to} {from_port} {to_port}\r\n").into_bytes()
}

/// A header of version 2 with this command and family, these addresses and TLVs; with `sum`, a
/// CRC32C follows.
pub fn binary(
    command: u8,
    family: u8,
    addresses: Option<(SocketAddr, SocketAddr)>,
    tlvs: &[u8],
    sum: bool,
) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend_from_slice(&[command, family, 0, 0]);
    if let Some((source, destination)) = addresses {
        for address in [source, destination] {
            match address.ip() {
                IpAddr::V4(ip) => bytes.extend_from_slice(&ip.octets()),
                IpAddr::V6(ip) => bytes.extend_from_slice(&ip.octets()),
            }
        }
        bytes.extend_from_slice(&source.port().to_be_bytes());
        bytes.extend_from_slice(&destination.port().to_be_bytes());
    }
    bytes.extend_from_slice(tlvs);
    if sum {
        bytes.extend_from_slice(&[0x03, 0, 4, 0, 0, 0, 0]);
    }
    let declared = (bytes.len() - 16) as u16;
    bytes[14..16].copy_from_slice(&declared.to_be_bytes());
    if sum {
        let at = bytes.len() - 4;
        let told = crc32c(&bytes);
        bytes[at..].copy_from_slice(&told.to_be_bytes());
    }
    bytes
}

/// CRC32C, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut sum = u32::MAX;
    for &byte in bytes {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 };
        }
    }
    !sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_however_it_is_cut() {
        let v4 = ("192.0.2.7:4711".parse().unwrap(), "10.0.0.1:80".parse().unwrap());
        let v6 = ("[2001:db8::7]:4711".parse().unwrap(), "[::1]:80".parse().unwrap());
        let tlvs = vec![0xe0, 0, 2, 7, 8];
        for (bytes, version, addresses, tlvs) in [
            (line(v4), 1, v4, Vec::new()),
            (line(v6), 1, v6, Vec::new()),
            (binary(0x21, 0x11, Some(v4), &tlvs, false), 2, v4, tlvs.clone()),
            (binary(0x21, 0x21, Some(v6), &tlvs, false), 2, v6, tlvs.clone()),
        ] {
            let len = bytes.len();
            let whole = Header { version, addresses: Some(addresses), tlvs };
            assert_eq!(read(&[&bytes[..], b"rest"].concat()), Read::Whole(len, whole));
            for cut in 0..len {
                assert_eq!(read(&bytes[..cut]), Read::More, "{cut}");
            }
        }
    }

    #[test]
    fn other_bytes_are_no_header() {
        for bytes in [&b"GET / HTTP/1.1"[..], b"PROXI", b"PROXY TCP4 a b c d\r\n", b"\r\n\r\n\r"] {
            assert!(matches!(read(bytes), Read::Bad(_)), "{bytes:?}");
        }
    }

    // The check value of CRC-32/ISCSI.
    #[test]
    fn the_sum_is_crc32c() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }
}

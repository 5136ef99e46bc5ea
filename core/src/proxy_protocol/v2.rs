//! Version 2: a binary header, with TLVs behind the addresses (2.2).

use super::crc32c::crc32c;
use super::{Announced, Found, Malformed, Stop, skip};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of a header of version 2 at most, TLVs included; a longer one is refused.
pub const HEADER_BYTES_MAX: usize = 2048;
/// Bytes of TLVs at most: what [`HEADER_BYTES_MAX`] leaves beside the longest addresses that are
/// sent on, so that everything that was accepted can be.
pub const TLV_BYTES_MAX: usize = HEADER_BYTES_MAX - FIXED_BYTES - IPV6_BYTES;

/// The first bytes of each header of version 2.
pub(super) const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes up to and including the length.
pub(super) const FIXED_BYTES: usize = 16;
/// Bytes of two IPv4 addresses and their ports.
const IPV4_BYTES: usize = 12;
/// Bytes of two IPv6 addresses and their ports.
const IPV6_BYTES: usize = 36;
/// Bytes of two paths of Unix sockets.
const UNIX_BYTES: usize = 216;

/// Version 2 with the command LOCAL, and with PROXY.
const LOCAL: u8 = 0x20;
pub(super) const PROXY: u8 = 0x21;
/// Families and transports (the 14th byte) whose addresses are taken or sent.
pub(super) const UNSPECIFIED: u8 = 0x00;
pub(super) const TCP_IPV4: u8 = 0x11;
pub(super) const TCP_IPV6: u8 = 0x21;

/// Type and length of a TLV.
const TLV_HEAD_BYTES: usize = 3;
const TYPE_CRC32C: u8 = 0x03;
const TYPE_NOOP: u8 = 0x04;

/// Reads a header of version 2.
pub(super) fn parse(bytes: &[u8]) -> Found {
    let rest = skip(bytes, &SIGNATURE, Malformed::Signature)?;
    let is_local = match rest.first() {
        None => return Err(Stop::More),
        Some(&LOCAL) => true,
        Some(&PROXY) => false,
        Some(byte) if byte >> 4 == 2 => return Err(Malformed::Command.into()),
        Some(_) => return Err(Malformed::Version.into()),
    };
    let family = *rest.get(1).ok_or(Stop::More)?;
    // The family of LOCAL has no meaning, and neither has what follows.
    let addresses = if is_local { 0 } else { address_bytes(family)? };
    let high = *rest.get(2).ok_or(Stop::More)?;
    if usize::from(high) << 8 > HEADER_BYTES_MAX - FIXED_BYTES {
        return Err(Malformed::TooLong.into());
    }
    let low = *rest.get(3).ok_or(Stop::More)?;
    let declared = usize::from(u16::from_be_bytes([high, low]));
    let tlvs = declared.checked_sub(addresses).ok_or(Malformed::TooShort)?;
    let len = FIXED_BYTES + declared;
    if len > HEADER_BYTES_MAX || !is_local && tlvs > TLV_BYTES_MAX {
        return Err(Malformed::TooLong.into());
    }
    let header = bytes.get(..len).ok_or(Stop::More)?;
    if is_local {
        return Ok((len, Announced::default()));
    }
    let (head, _) = header.split_at(FIXED_BYTES + addresses);
    let tlvs = tlvs_of(header, head.len())?;
    Ok((len, Announced { addresses: addresses_of(family, &head[FIXED_BYTES..]), tlvs }))
}

/// Bytes of the addresses of a family and transport: those that 2.2 lists, and no others.
fn address_bytes(family: u8) -> Result<usize, Malformed> {
    Ok(match family {
        UNSPECIFIED => 0,
        TCP_IPV4 | 0x12 => IPV4_BYTES,
        TCP_IPV6 | 0x22 => IPV6_BYTES,
        0x31 | 0x32 => UNIX_BYTES,
        _ => return Err(Malformed::Family),
    })
}

/// Source and destination, for TCP.
fn addresses_of(family: u8, block: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (source, destination, ports): (IpAddr, IpAddr, &[u8]) = match family {
        TCP_IPV4 => {
            let (source, rest) = block.split_first_chunk::<4>()?;
            let (destination, ports) = rest.split_first_chunk::<4>()?;
            (Ipv4Addr::from(*source).into(), Ipv4Addr::from(*destination).into(), ports)
        }
        TCP_IPV6 => {
            let (source, rest) = block.split_first_chunk::<16>()?;
            let (destination, ports) = rest.split_first_chunk::<16>()?;
            (Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), ports)
        }
        _ => return None,
    };
    let (source_port, rest) = ports.split_first_chunk::<2>()?;
    let destination_port = rest.first_chunk::<2>()?;
    let source = SocketAddr::new(source, u16::from_be_bytes(*source_port));
    Some((source, SocketAddr::new(destination, u16::from_be_bytes(*destination_port))))
}

/// The TLVs from `start` to the end of the whole header, without those that end with this hop.
fn tlvs_of(header: &[u8], start: usize) -> Result<Box<[u8]>, Malformed> {
    let mut kept = Vec::new();
    let mut checksum_at = None;
    let mut at = start;
    while at < header.len() {
        let head = header.get(at..at + TLV_HEAD_BYTES).ok_or(Malformed::Tlv)?;
        let value = at + TLV_HEAD_BYTES;
        let end = value + usize::from(u16::from_be_bytes([head[1], head[2]]));
        let tlv = header.get(at..end).ok_or(Malformed::Tlv)?;
        match head[0] {
            // A second one could not have been computed with the first one in place.
            TYPE_CRC32C if end - value != 4 || checksum_at.is_some() => {
                return Err(Malformed::Checksum);
            }
            TYPE_CRC32C => checksum_at = Some(value),
            TYPE_NOOP => {}
            _ => kept.extend_from_slice(tlv),
        }
        at = end;
    }
    if let Some(at) = checksum_at {
        // The sum is taken of the header with zeros in the sum's place (2.2.3).
        let (before, rest) = header.split_at(at);
        let (told, after) = rest.split_at(4);
        if crc32c([before, &[0; 4], after]).to_be_bytes() != *told {
            return Err(Malformed::Checksum);
        }
    }
    Ok(kept.into())
}

/// Puts `filler` in place of what has no meaning in a header, or in as much of one as is here:
/// values of TLVs, addresses that are not taken, whatever LOCAL carries. A checksum is made right
/// again, or stays wrong.
pub(super) fn mask(header: &mut [u8], filler: u8) {
    let was_right = parse(header).is_ok();
    let Some((fixed, rest)) = header.split_first_chunk_mut::<FIXED_BYTES>() else { return };
    let (is_local, family) = (fixed[12] == LOCAL, fixed[13]);
    let Ok(addresses) = address_bytes(if is_local { UNSPECIFIED } else { family }) else { return };
    let (block, _) = rest.split_at_mut(addresses.min(rest.len()));
    if !matches!(family, TCP_IPV4 | TCP_IPV6) {
        block.fill(filler);
    }
    if is_local {
        return rest.fill(filler);
    }
    let mut checksum_at = None;
    let mut at = FIXED_BYTES + addresses;
    while let Some(&[kind, high, low]) = header.get(at..).and_then(<[u8]>::first_chunk) {
        let value = at + TLV_HEAD_BYTES;
        let length = usize::from(u16::from_be_bytes([high, low]));
        at = value + length;
        let end = at.min(header.len());
        header[value..end].fill(filler);
        if kind == TYPE_CRC32C && (length, end) == (4, at) {
            checksum_at = Some(value);
        }
    }
    if let Some(at) = checksum_at {
        header[at..at + 4].fill(0);
        let sum = crc32c([&*header]);
        let sum = if was_right { sum } else { !sum };
        header[at..at + 4].copy_from_slice(&sum.to_be_bytes());
    }
}

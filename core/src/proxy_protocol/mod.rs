//! HAProxy's PROXY protocol, versions 1 and 2, as pure functions over bytes (PP-1): what a proxy
//! in front announces of the client's connection, and what is announced to a server.
//!
//! Section numbers here are those of HAProxy's `doc/proxy-protocol.txt`.
//!
//! # Reading
//!
//! A header is the first thing on a connection, so [`parse`] is given all bytes that came so far,
//! each time from the first one, until it has decided:
//!
//! ```text
//!                    ┌────────── More: read, and call again with more ──────────┐
//!                    ▼                                                          │
//!  first bytes ──▶ parse ──▶ Complete { len, header }: the stream goes on at `len`
//!                    └─────▶ Refused(Malformed): close (2.1: "abort the connection")
//! ```
//!
//! It keeps nothing between calls: however the bytes were cut into reads, the answer is the same,
//! and once it is not [`Parsed::More`], more bytes do not change it. Bytes behind the header are
//! not looked at.
//!
//! - What can be told of a prefix is refused at once: the first wrong byte of a signature, an
//!   unknown version, command or family, a length that does not fit. An address of version 1 is
//!   judged when its field ends (2.1), addresses and TLVs of version 2 when all declared bytes are
//!   here (2.2); until then a call costs the same however many are here.
//! - There is no guessing whether a header is there (2): without one the bytes are refused.
//! - A header has [`HEADER_BYTES_MAX`] bytes at most, a line of version 1 [`LINE_BYTES_MAX`]. The
//!   specification allows 65,551; what senders send fits into 536 (2).
//!
//! # What counts
//!
//! | header | addresses | TLVs |
//! |---|---|---|
//! | v1 `TCP4`, `TCP6` | announced | – |
//! | v1 `UNKNOWN`, with anything up to its CR LF | none | – |
//! | v2 `LOCAL`, of whatever family | none | ignored, a checksum too |
//! | v2 `PROXY`, TCP over IPv4 or IPv6 | announced | kept |
//! | v2 `PROXY`, UDP, Unix stream or datagram | none | kept, behind the addresses |
//! | v2 `PROXY`, unspecified | none | kept; they begin at once |
//!
//! Without addresses those of the connection itself stand. UDP is not refused, because 2.2 obliges
//! a receiver to treat families that it does not support as unspecified. Other combinations of
//! family and transport than the seven that 2.2 lists are refused. So is an unspecified header
//! whose block is no list of TLVs; 2.2 leaves that to the receiver.
//!
//! Of TLVs only their lengths are checked, and CRC32C (2.2.3), which is verified and taken out,
//! for it does not fit the header that is sent on. NOOP (2.2.4) is padding, and dropped. At most
//! [`TLV_BYTES_MAX`] bytes of TLVs are accepted, so that whatever was accepted can be sent on with
//! addresses of any family.
//!
//! # Writing
//!
//! [`write`](write()) makes the header that is sent to a server: the announced addresses and TLVs
//! when relaying, else those of the client's connection. What it writes, [`parse`] gives back.

pub(crate) mod crc32c;
mod mask;
mod v1;
mod v2;
mod write;

use std::net::SocketAddr;

pub(crate) use mask::mask;

pub use v1::LINE_BYTES_MAX;
pub use v2::{HEADER_BYTES_MAX, TLV_BYTES_MAX};
pub use write::{Version, write};

/// What [`parse`] says of the first bytes of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// So far this can become a header: call again with these bytes and more.
    More,
    /// A whole header.
    Complete {
        /// Its bytes; those behind belong to the protocol inside.
        len: usize,
        /// What it says.
        header: Announced,
    },
    /// This is no header, and no more bytes will make it one: close the connection (PP-1).
    Refused(Malformed),
}

/// What a header says of the connection that it announces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// Source and destination of the announced connection, which is the client's. `None` when the
    /// addresses of the connection itself stand: LOCAL, UNKNOWN, unspecified, Unix, UDP.
    pub addresses: Option<(SocketAddr, SocketAddr)>,
    /// The TLVs of version 2 (2.2), as they came but for CRC32C and NOOP, one after the other: at
    /// most [`TLV_BYTES_MAX`] bytes. Types and values are not validated. Empty for version 1.
    pub tlvs: Box<[u8]>,
}

/// Why bytes are no PROXY header.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Malformed {
    /// They begin like neither version: most likely there is no header at all.
    Signature,
    /// The signature of version 2 with another version's number.
    Version,
    /// A command other than LOCAL and PROXY.
    Command,
    /// A family or transport that is not assigned.
    Family,
    /// Longer than its limit.
    TooLong,
    /// The declared length has no room for the family's addresses.
    TooShort,
    /// An address of version 1 that is none, or not of the family.
    Address,
    /// A port of version 1 that is no decimal number up to 65535 without leading zeros.
    Port,
    /// The line of version 1 goes on where it should end, or holds a CR or LF of its own.
    LineEnd,
    /// A TLV is cut off by the declared length.
    Tlv,
    /// A CRC32C that does not match, is not 4 bytes long, or comes twice.
    Checksum,
}

impl Malformed {
    /// The cause in words, as logs spell it.
    pub fn name(self) -> &'static str {
        match self {
            Malformed::Signature => "no PROXY header",
            Malformed::Version => "unknown version",
            Malformed::Command => "unknown command",
            Malformed::Family => "unknown family or transport",
            Malformed::TooLong => "header too long",
            Malformed::TooShort => "no room for addresses",
            Malformed::Address => "malformed address",
            Malformed::Port => "malformed port",
            Malformed::LineEnd => "malformed end of line",
            Malformed::Tlv => "truncated TLV",
            Malformed::Checksum => "wrong checksum",
        }
    }
}

/// Looks for a header in `bytes`, all that a connection has brought so far (PP-1). Pure, and
/// cheap to call again after each read: until the last byte of the header is here, a call looks at
/// [`LINE_BYTES_MAX`] bytes at most. Allocates only for TLVs.
pub fn parse(bytes: &[u8]) -> Parsed {
    let found = match bytes.first() {
        None => Err(Stop::More),
        Some(b'P') => v1::parse(bytes),
        Some(_) => v2::parse(bytes),
    };
    match found {
        Ok((len, header)) => Parsed::Complete { len, header },
        Err(Stop::More) => Parsed::More,
        Err(Stop::Refused(why)) => Parsed::Refused(why),
    }
}

/// Why a header cannot be read to its end.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
enum Stop {
    /// The bytes end too early.
    More,
    /// The bytes are wrong.
    Refused(Malformed),
}

impl From<Malformed> for Stop {
    fn from(why: Malformed) -> Stop {
        Stop::Refused(why)
    }
}

/// A header with its length, or why there is none.
type Found = Result<(usize, Announced), Stop>;

/// Goes past `literal` at the beginning of `bytes`, of which each byte may be the last that came.
fn skip<'a>(bytes: &'a [u8], literal: &[u8], why: Malformed) -> Result<&'a [u8], Stop> {
    let here = bytes.len().min(literal.len());
    if bytes[..here] != literal[..here] {
        return Err(why.into());
    }
    bytes.get(literal.len()..).ok_or(Stop::More)
}

#[cfg(test)]
mod tests;

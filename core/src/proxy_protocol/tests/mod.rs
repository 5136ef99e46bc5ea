//! PROXY headers: PP-1, and the sections of the specification.

mod binary;
mod lines;
mod writing;

use super::*;

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// A header of version 2: command, family, block.
fn v2_of(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let mut bytes = v2::SIGNATURE.to_vec();
    bytes.extend_from_slice(&[command, family]);
    bytes.extend_from_slice(&(block.len() as u16).to_be_bytes());
    bytes.extend_from_slice(block);
    bytes
}

/// The header of `bytes`, none of which may be surplus: each prefix needs more, and what follows
/// the header changes nothing and is not counted.
#[track_caller]
fn header_of(bytes: &[u8]) -> Announced {
    for cut in 0..bytes.len() {
        assert_eq!(parse(&bytes[..cut]), Parsed::More, "{} at {cut}", bytes.escape_ascii());
    }
    let whole = parse(bytes);
    for surplus in [&b"\0"[..], b"\r\n", b"GET / HTTP/1.1\r\n", bytes, &[0xff; 3000]] {
        assert_eq!(parse(&[bytes, surplus].concat()), whole, "{}", bytes.escape_ascii());
    }
    match whole {
        Parsed::Complete { len, header } => {
            assert_eq!(len, bytes.len(), "{}", bytes.escape_ascii());
            header
        }
        other => panic!("{other:?}: {}", bytes.escape_ascii()),
    }
}

/// `bytes` are refused at their last byte, which is the first that tells, and whatever follows.
#[track_caller]
fn refused_at_end(bytes: &[u8], why: Malformed) {
    for cut in 0..bytes.len() {
        assert_eq!(parse(&bytes[..cut]), Parsed::More, "{} at {cut}", bytes.escape_ascii());
    }
    for surplus in [&b""[..], b"\0", b"\r\n", b" 1 2\r\n", &[b'1'; 200], &[0xff; 3000]] {
        let parsed = parse(&[bytes, surplus].concat());
        assert_eq!(parsed, Parsed::Refused(why), "{}", bytes.escape_ascii());
    }
}

// PP-1: without a header there is no connection, and no byte is taken for one by mistake.
#[test]
fn the_first_byte_that_is_no_header_tells() {
    for byte in 0..=u8::MAX {
        if !matches!(byte, b'P' | b'\r') {
            refused_at_end(&[byte], Malformed::Signature);
        }
    }
    for signature in [&b"PROXY "[..], &v2::SIGNATURE] {
        for at in 0..signature.len() {
            for flip in [1, 0x20, 0x80] {
                let mut bytes = signature[..=at].to_vec();
                bytes[at] ^= flip;
                refused_at_end(&bytes, Malformed::Signature);
            }
        }
    }
    refused_at_end(b"PO", Malformed::Signature);
    refused_at_end(b"\x16", Malformed::Signature);
    refused_at_end(b"\r\n\r\nG", Malformed::Signature);
}

#[test]
fn causes_have_different_words() {
    use Malformed::*;
    let all = [
        Signature, Version, Command, Family, TooLong, TooShort, Address, Port, LineEnd, Tlv,
        Checksum,
    ];
    let mut names: Vec<_> = all.iter().map(|why| why.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
}

//! As much of RFC 6455 as an echo needs, on both sides.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use std::io;

/// The key of RFC 6455's example: nobody checks that keys differ.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const REQUEST: &[u8] =
    b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// The first byte of a whole binary message in one frame.
pub(crate) const BINARY: u8 = 0x82;
/// The opcode of a close frame, in the low four bits of the first byte.
pub(crate) const CLOSE: u8 = 0x8;
/// A longer payload is refused: an echo of it would have to be held.
const PAYLOAD_MAX: usize = 65535;

/// The value of Sec-WebSocket-Accept for a key (section 4.2.2).
pub(crate) fn accept_key(key: &[u8]) -> String {
    let digest = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest.finalize())
}

/// The value of the field `name` in a head, without the blanks around it.
pub(crate) fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    head.split(|&byte| byte == b'\n').find_map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let found = line[..colon].eq_ignore_ascii_case(name.as_bytes());
        found.then(|| line[colon + 1..].trim_ascii())
    })
}

/// Appends a frame; `first` holds FIN and opcode. `payload` is at most `PAYLOAD_MAX` bytes.
pub(crate) fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8], out: &mut Vec<u8>) {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    out.push(first);
    match u8::try_from(payload.len()) {
        Ok(len @ 0..=125) => out.push(masked | len),
        _ => {
            let len = u16::try_from(payload.len()).unwrap_or(u16::MAX);
            out.push(masked | 126);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    out.extend_from_slice(mask.as_ref().map_or(&[][..], |mask| &mask[..]));
    let mask = mask.unwrap_or_default();
    out.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
}

/// Takes the first whole frame off `input`: its first byte and its payload, unmasked.
pub(crate) fn take_frame(input: &mut Vec<u8>) -> io::Result<Option<(u8, Vec<u8>)>> {
    let [first, second, ..] = input[..] else { return Ok(None) };
    let (len, mut at) = match second & 0x7f {
        126 => match input[2..] {
            [high, low, ..] => (usize::from(u16::from_be_bytes([high, low])), 4),
            _ => return Ok(None),
        },
        127 => return Err(io::Error::other(format!("a payload of more than {PAYLOAD_MAX}"))),
        len => (usize::from(len), 2),
    };
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        let Some(bytes) = input.get(at..at + 4) else { return Ok(None) };
        mask.copy_from_slice(bytes);
        at += 4;
    }
    let Some(payload) = input.get(at..at + len) else { return Ok(None) };
    let payload = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
    input.drain(..at + len);
    Ok(Some((first, payload)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455, section 1.3.
    #[test]
    fn the_example_key_is_accepted_as_the_rfc_says() {
        assert_eq!(accept_key(KEY.as_bytes()), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(field(REQUEST, "sec-websocket-key"), Some(KEY.as_bytes()));
    }

    /// A frame that comes byte by byte is taken once, whole, and leaves what follows it.
    #[test]
    fn frames_survive_any_split() {
        for len in [0, 64, 125, 126, 300] {
            let payload = vec![7; len];
            let (mut wire, mut input) = (Vec::new(), Vec::new());
            frame(BINARY, Some([1, 2, 3, 4]), &payload, &mut wire);
            for (at, byte) in wire.iter().enumerate() {
                assert_eq!(take_frame(&mut input).expect("a short frame"), None, "byte {at}");
                input.push(*byte);
            }
            input.push(9);
            let taken = take_frame(&mut input).expect("a short frame");
            assert_eq!(taken, Some((BINARY, payload)));
            assert_eq!(input, [9]);
        }
    }
}

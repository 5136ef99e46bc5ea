//! Headers without what nobody looks at, for recordings.

use super::{Parsed, parse, v1, v2};

/// `bytes` up to the one at which [`parse`] has come to its end, with `filler` for what it does
/// not look at: values of TLVs, addresses without meaning, the text behind UNKNOWN. [`parse`] says
/// the same of it, byte by byte, but for the values of TLVs; a checksum is right if it was.
pub(crate) fn mask(bytes: &[u8], filler: u8) -> Vec<u8> {
    let is_settled = |len: &usize| parse(&bytes[..*len]) != Parsed::More;
    let end = (0..bytes.len()).find(is_settled).unwrap_or(bytes.len());
    let mut masked = bytes[..end].to_vec();
    match masked.first() {
        Some(b'P') => v1::mask(&mut masked, filler),
        _ => v2::mask(&mut masked, filler),
    }
    masked
}

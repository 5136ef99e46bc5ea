//! CRC32C (Castagnoli; RFC 9260 appendix A), which guards headers of version 2 (2.2.3).

/// The polynomial, its bits in reverse order.
const POLYNOMIAL: u32 = 0x82f6_3b78;

static TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = if rest & 1 == 1 { rest >> 1 ^ POLYNOMIAL } else { rest >> 1 };
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
}

/// The checksum of all `parts`, one behind the other. Byte by byte: headers are short.
pub(crate) fn crc32c<const N: usize>(parts: [&[u8]; N]) -> u32 {
    let step = |sum: u32, byte: &u8| sum >> 8 ^ TABLE[(sum as u8 ^ byte) as usize];
    !parts.into_iter().flatten().fold(u32::MAX, step)
}

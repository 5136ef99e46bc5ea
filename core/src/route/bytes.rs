//! How the router writes numbers into its arena, and reads them again.

/// Writes a length: seven bits a byte, the lowest first, the top bit telling that more follow.
pub(super) fn put_len(out: &mut Vec<u8>, mut len: usize) {
    while len >= 0x80 {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
}

/// Reads what the router wrote; panics on anything else.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_first_chunk().expect("a whole record");
        self.0 = rest;
        *head
    }

    pub(super) fn u8(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    /// A length that [`put_len`] wrote.
    #[inline]
    pub(super) fn len(&mut self) -> usize {
        let (mut len, mut shift) = (0, 0);
        loop {
            let byte = self.u8();
            len |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return len;
            }
            shift += 7;
        }
    }

    pub(super) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(len);
        self.0 = rest;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_come_back_as_they_were() {
        let lens = [0, 1, 127, 128, 300, 16_383, 16_384, 1 << 31, usize::MAX];
        let mut out = Vec::new();
        lens.iter().for_each(|&len| put_len(&mut out, len));
        let mut reader = Reader(&out);
        assert!(lens.iter().all(|&len| reader.len() == len));
        assert!(reader.0.is_empty());
    }
}

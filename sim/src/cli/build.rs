//! Which build this is.

use crate::choice::mix;
use std::io::Read;

/// Bytes that are read at a time.
const READ_BYTES: u64 = 1 << 16;

/// A digest of the program that runs: where two differ their builds do, whatever commits they name.
#[expect(clippy::disallowed_types, reason = "the command reads files")]
pub(crate) fn binary() -> Option<String> {
    // This is what runs, though another file may have its name by now.
    let program = std::fs::File::open("/proc/self/exe");
    let program = program.or_else(|_| std::fs::File::open(std::env::current_exe()?));
    digest(program.ok()?).ok()
}

fn digest(mut bytes: impl Read) -> std::io::Result<String> {
    let (mut hash, mut size) = (0, 0);
    let mut piece = Vec::new();
    loop {
        piece.clear();
        let count = bytes.by_ref().take(READ_BYTES).read_to_end(&mut piece)?;
        if count == 0 {
            return Ok(format!("{size}-{hash:016x}"));
        }
        size += count;
        for bytes in piece.chunks(8) {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            hash = mix(hash ^ u64::from_le_bytes(word));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Any byte that differs is another build, and the size is.
    #[test]
    fn programs_that_differ_have_other_digests() {
        let of = |bytes: &[u8]| digest(bytes).expect("bytes");
        let mut program = vec![7; 200_001];
        let before = of(&program);
        assert!(before.starts_with("200001-"), "{before}");
        for at in [0, 65_536, 200_000] {
            program[at] ^= 1;
            assert_ne!(of(&program), before, "byte {at}");
            program[at] ^= 1;
        }
        assert_ne!(of(&[0; 8]), of(&[0; 9]));
        assert!(binary().is_some() && binary() == binary());
    }
}

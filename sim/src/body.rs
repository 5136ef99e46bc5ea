//! Body bytes as a function of (id, direction, offset), so that any range can be checked anywhere.
//!
//! A body is a window into one fixed random cycle of prime length; the id and the direction choose
//! where it starts. Checking a range is a comparison of slices.

use crate::choice::mix;
use std::sync::OnceLock;

const PERIOD: usize = 65_521;

/// Names one body.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct BodyKey {
    start: u32,
}

/// Which way a body travels.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Direction {
    /// From client to backend.
    Up,
    /// From backend to client; the serial number of the attempt keeps repetitions apart.
    Down(u32),
    /// From client to server, through a tunnel.
    TunnelUp,
    /// From server to client, through a tunnel.
    TunnelDown,
}

impl BodyKey {
    /// The body of request `id` in `direction`.
    pub fn new(id: u32, direction: Direction) -> BodyKey {
        let salt = match direction {
            Direction::Up => 0,
            Direction::Down(serial) => 1 + u64::from(serial),
            Direction::TunnelUp => 1 << 40,
            Direction::TunnelDown => 2 << 40,
        };
        let word = mix(u64::from(id) << 32 ^ salt.wrapping_mul(0x9e37_79b9));
        BodyKey { start: (word % PERIOD as u64) as u32 }
    }

    /// Bytes from `offset` on, at most `max` of them and at least 1 if `max` allows.
    pub fn at(self, offset: u64, max: usize) -> &'static [u8] {
        let from = ((u64::from(self.start) + offset) % PERIOD as u64) as usize;
        let cycle = cycle();
        &cycle[from..(from + max).min(cycle.len())]
    }

    /// The first position where `bytes`, which stand at `offset`, differ from this body.
    pub fn mismatch(self, offset: u64, bytes: &[u8]) -> Option<u64> {
        difference(offset, bytes, |at, max| self.at(at, max))
    }
}

/// The first position where `bytes`, which stand at `offset`, differ from what `at` tells to stand
/// there: for a position and a number of bytes at most, one byte at least.
pub fn difference<'a>(
    mut offset: u64,
    mut bytes: &[u8],
    at: impl Fn(u64, usize) -> &'a [u8],
) -> Option<u64> {
    while !bytes.is_empty() {
        let want = at(offset, bytes.len());
        let (head, tail) = bytes.split_at(want.len());
        if head != want {
            let at = head.iter().zip(want).position(|(a, b)| a != b);
            return Some(offset + at.unwrap_or(0) as u64);
        }
        offset += want.len() as u64;
        bytes = tail;
    }
    None
}

fn cycle() -> &'static [u8] {
    static CYCLE: OnceLock<Vec<u8>> = OnceLock::new();
    CYCLE.get_or_init(|| {
        let one: Vec<u8> = (0..PERIOD).map(|i| (mix(i as u64 + 1) >> 24) as u8).collect();
        [one.as_slice(), one.as_slice()].concat()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(key: BodyKey, from: u64, len: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < len {
            all.extend_from_slice(key.at(from + all.len() as u64, len - all.len()));
        }
        all
    }

    #[test]
    fn any_range_can_be_checked_and_any_change_shows() {
        let key = BodyKey::new(5, Direction::Up);
        let mut body = bytes(key, 0, 200_000);
        assert_eq!(bytes(key, 70_000, 1000), body[70_000..71_000]);
        assert_eq!(key.mismatch(0, &body), None);
        assert_eq!(key.mismatch(130_000, &body[130_000..]), None);
        body[150_001] ^= 1;
        assert_eq!(key.mismatch(100, &body[100..]), Some(150_001));
        assert!(key.mismatch(1, &body[..100]).is_some(), "a shift shows");
        let other = BodyKey::new(5, Direction::Down(0));
        assert!(other.mismatch(0, &body[..64]).is_some());
        assert_ne!(other, BodyKey::new(5, Direction::Down(1)));
    }
}

//! Randomness as an argument: one seed, one stream for each purpose, one child for each session.
//!
//! Streams are ChaCha8 under one key with different stream numbers, so that a draw for one
//! purpose neither shifts nor reveals the draws of another. A session draws from a [`Child`] of
//! its own, so that removing one session leaves the draws of all others as they were.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// What a stream of random numbers is for. The number of a purpose is part of every recorded
/// seed's meaning: add new ones at the end.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Purpose {
    /// The children of sessions ([`Child`]).
    Sessions,
    /// Request ids, which go on the wire (REQ-6).
    RequestIds,
    /// Choices among servers (BACK-1).
    Balance,
    /// Jitter of back-offs (BACK-4).
    Backoff,
}

/// The source of every stream: one 32-byte seed.
#[derive(Clone)]
pub struct Seeds {
    seed: [u8; 32],
}

impl Seeds {
    /// The streams of `seed`. Production takes it from the operating system (RUN-11).
    pub fn new(seed: [u8; 32]) -> Seeds {
        Seeds { seed }
    }

    /// The stream for `purpose`, from its beginning: to be taken once and kept.
    pub fn stream(&self, purpose: Purpose) -> Stream {
        let mut rng = ChaCha8Rng::from_seed(self.seed);
        rng.set_stream(purpose as u64);
        Stream { rng }
    }
}

/// The seed is a secret: sticky secrets and request ids must not be derived from a log.
impl std::fmt::Debug for Seeds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seeds(..)")
    }
}

/// A source of uniform random numbers.
pub trait Draw {
    /// The next 64 bits.
    fn next_u64(&mut self) -> u64;

    /// The next 128 bits: two draws, the upper half first.
    fn next_u128(&mut self) -> u128 {
        let high = self.next_u64();
        u128::from(high) << 64 | u128::from(self.next_u64())
    }

    /// A number below `n`, each equally likely; 0 when `n` is 0. Multiplies and rejects, so that
    /// it draws once save in fewer than `n` of 2^64 cases.
    fn below(&mut self, n: u64) -> u64 {
        if n == 0 {
            return 0;
        }
        // The first 2^64 mod n products of each bucket are one too many.
        let surplus = n.wrapping_neg() % n;
        loop {
            let product = u128::from(self.next_u64()) * u128::from(n);
            if product as u64 >= surplus {
                return (product >> 64) as u64;
            }
        }
    }
}

/// The random numbers of one purpose (ChaCha8).
pub struct Stream {
    rng: ChaCha8Rng,
}

impl Draw for Stream {
    fn next_u64(&mut self) -> u64 {
        self.rng.next_u64()
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Stream(..)")
    }
}

/// The random numbers of one session: 16 bytes of state (xoroshiro128++). Fast and well mixed,
/// but whoever sees its output can predict it: never for secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Child {
    state: [u64; 2],
}

impl Child {
    /// A child of 128 bits drawn from [`Purpose::Sessions`]. Seeds that differ in one bit give
    /// unrelated draws.
    pub fn new(seed: u128) -> Child {
        match [scramble((seed >> 64) as u64), scramble(seed as u64)] {
            // This one state would yield nothing but zeros.
            [0, 0] => Child { state: [1, 0] },
            state => Child { state },
        }
    }
}

impl Draw for Child {
    fn next_u64(&mut self) -> u64 {
        let [a, b] = self.state;
        let mixed = a ^ b;
        self.state = [a.rotate_left(49) ^ mixed ^ (mixed << 21), mixed.rotate_left(28)];
        a.wrapping_add(b).rotate_left(17).wrapping_add(a)
    }
}

/// Spreads each bit of `x` over all (the finalizer of SplitMix64); reversible.
fn scramble(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests;

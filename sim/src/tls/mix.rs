//! The arithmetic under every stand-in: a permutation of 256 bits, and a sponge around it.
//!
//! It resists nobody who tries. What it promises is that content matters: each step is a
//! bijection of the state, so that two inputs that differ in one block of 32 bytes never reach the
//! same state, and the last rounds spread a difference over the whole of it.

const FACTORS: [u64; 4] =
    [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93, 0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];

const LAST_ROUNDS: u64 = 4;

/// Bytes of a block, and of a [`Mixer`]'s result.
pub(super) const BLOCK_BYTES: usize = 32;

/// 256 bits, as four lanes.
#[derive(Copy, Clone)]
pub(super) struct State(pub(super) [u64; 4]);

impl State {
    /// Where everything for one purpose starts; purposes do not meet.
    pub(super) fn new(purpose: u64) -> State {
        State([purpose, !purpose, FACTORS[2], FACTORS[3]])
    }

    /// Takes in one block. A bijection of the state for each block, and of the block for each
    /// state: odd factors, rotations, sums and differences can all be undone.
    #[inline]
    pub(super) fn absorb(&mut self, block: [u64; 4]) {
        let [a, b, c, d] = self.0;
        let mut a = (a ^ block[0]).wrapping_mul(FACTORS[0]).rotate_left(32);
        let mut b = (b ^ block[1]).wrapping_mul(FACTORS[1]).rotate_left(29);
        let mut c = (c ^ block[2]).wrapping_mul(FACTORS[2]).rotate_left(37);
        let mut d = (d ^ block[3]).wrapping_mul(FACTORS[3]).rotate_left(31);
        a = a.wrapping_add(b);
        c = c.wrapping_add(d);
        b ^= c;
        d ^= a;
        self.0 = [a, b, c, d];
    }

    /// Takes in `last`, such as a length, and spreads every difference over all lanes.
    #[inline]
    pub(super) fn spread(&mut self, last: u64) {
        for round in 0..LAST_ROUNDS {
            self.absorb([last, round, FACTORS[1], FACTORS[2]]);
        }
    }

    /// The lanes as bytes.
    #[inline]
    pub(super) fn bytes(&self) -> [u8; BLOCK_BYTES] {
        let mut bytes = [0; BLOCK_BYTES];
        put(&mut bytes, self.0);
        bytes
    }
}

/// The lanes of a block of bytes.
#[inline]
pub(super) fn lanes(block: &[u8; BLOCK_BYTES]) -> [u64; 4] {
    let (words, _) = block.as_chunks::<8>();
    std::array::from_fn(|lane| u64::from_le_bytes(words[lane]))
}

/// The reverse of [`lanes`]. Word by word into its place: a block that is built aside and then
/// copied takes three times as long.
#[inline]
pub(super) fn put(block: &mut [u8; BLOCK_BYTES], lanes: [u64; 4]) {
    let (words, _) = block.as_chunks_mut::<8>();
    for (word, lane) in words.iter_mut().zip(lanes) {
        *word = lane.to_le_bytes();
    }
}

/// A hash of bytes that come in pieces: how they are cut does not matter.
#[derive(Copy, Clone)]
pub(super) struct Mixer {
    state: State,
    tail: [u8; BLOCK_BYTES],
    used: usize,
    total: u64,
}

impl Mixer {
    pub(super) fn new(purpose: u64) -> Mixer {
        Mixer { state: State::new(purpose), tail: [0; BLOCK_BYTES], used: 0, total: 0 }
    }

    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.total += bytes.len() as u64;
        if self.used > 0 {
            let take = bytes.len().min(BLOCK_BYTES - self.used);
            self.tail[self.used..self.used + take].copy_from_slice(&bytes[..take]);
            self.used += take;
            bytes = &bytes[take..];
            if self.used < BLOCK_BYTES {
                return;
            }
            self.state.absorb(lanes(&self.tail));
        }
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        for block in blocks {
            self.state.absorb(lanes(block));
        }
        self.tail[..rest.len()].copy_from_slice(rest);
        self.used = rest.len();
    }

    /// The hash of everything so far.
    pub(super) fn finish(mut self) -> State {
        self.tail[self.used..].fill(0);
        self.state.absorb(lanes(&self.tail));
        // The length tells zeros from padding.
        self.state.spread(self.total);
        self.state
    }
}

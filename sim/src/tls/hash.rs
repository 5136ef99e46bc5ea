//! The stand-ins for SHA-256 and HMAC-SHA-256: 32 bytes that depend on every bit that goes in.

use super::mix::{BLOCK_BYTES, Mixer};
use rustls::crypto::hash::{self, HashAlgorithm};
use rustls::crypto::hmac;

const HASH: u64 = 0x68;
const HMAC: u64 = 0x6d;

/// The hash of the fast provider. It says that it is SHA-256, as its cipher suites do.
#[derive(Copy, Clone, Debug)]
pub struct Hash;

impl hash::Hash for Hash {
    fn start(&self) -> Box<dyn hash::Context> {
        Box::new(Context(Mixer::new(HASH)))
    }

    fn hash(&self, data: &[u8]) -> hash::Output {
        let mut mixer = Mixer::new(HASH);
        mixer.update(data);
        output(mixer)
    }

    fn output_len(&self) -> usize {
        BLOCK_BYTES
    }

    fn algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }
}

struct Context(Mixer);

fn output(mixer: Mixer) -> hash::Output {
    hash::Output::new(&mixer.finish().bytes())
}

impl hash::Context for Context {
    fn fork_finish(&self) -> hash::Output {
        output(self.0)
    }

    fn fork(&self) -> Box<dyn hash::Context> {
        Box::new(Context(self.0))
    }

    fn finish(self: Box<Self>) -> hash::Output {
        output(self.0)
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

/// The keyed hash of the fast provider, under HKDF and the PRF of TLS 1.2.
#[derive(Copy, Clone, Debug)]
pub struct Hmac;

impl hmac::Hmac for Hmac {
    fn with_key(&self, key: &[u8]) -> Box<dyn hmac::Key> {
        Box::new(Key(keyed(key)))
    }

    fn hash_output_len(&self) -> usize {
        BLOCK_BYTES
    }
}

/// A hash that begins with `key` and its length, so that the key ends where the message begins.
fn keyed(key: &[u8]) -> Mixer {
    let mut mixer = Mixer::new(HMAC);
    mixer.update(&(key.len() as u64).to_le_bytes());
    mixer.update(key);
    mixer
}

/// The keyed hash of `message`, in pieces: 32 bytes.
pub(super) fn mac(key: &[u8], message: &[&[u8]]) -> [u8; BLOCK_BYTES] {
    let mut mixer = keyed(key);
    for piece in message {
        mixer.update(piece);
    }
    mixer.finish().bytes()
}

struct Key(Mixer);

impl hmac::Key for Key {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> hmac::Tag {
        let mut mixer = self.0;
        mixer.update(first);
        for piece in middle {
            mixer.update(piece);
        }
        mixer.update(last);
        hmac::Tag::new(&mixer.finish().bytes())
    }

    fn tag_len(&self) -> usize {
        BLOCK_BYTES
    }
}

//! Session tickets without chance (RFC 5077, RFC 8446 section 4.6.1).

use super::aead::{Cipher, NONCE_BYTES, TAG_BYTES};
use super::hash::mac;
use rustls::server::ProducesTickets;

/// Makes and reads tickets under one key. The nonce of a ticket is a MAC of what is in it: two
/// tickets share a nonce only when they are the same ticket, so the nonce needs no randomness.
/// Both providers use it, so their tickets have the same length.
pub struct Ticketer {
    key: [u8; 32],
    cipher: Cipher,
}

impl Ticketer {
    /// How long clients may keep a ticket, in seconds.
    pub const LIFETIME_SECS: u32 = 6 * 60 * 60;

    /// A ticketer under `key`. Two of the same key read each other's tickets; with another key,
    /// every ticket is refused and the handshake is a full one.
    pub fn new(key: [u8; 32]) -> Ticketer {
        Ticketer { key, cipher: Cipher::new(&mac(&key, &[b"cipher"])) }
    }
}

/// The key is not shown.
impl std::fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ticketer(..)")
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        Ticketer::LIFETIME_SECS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&mac(&self.key, &[b"nonce", plain])[..NONCE_BYTES]);
        let mut ticket = Vec::with_capacity(NONCE_BYTES + plain.len() + TAG_BYTES);
        ticket.extend_from_slice(&nonce);
        ticket.extend_from_slice(plain);
        let tag = self.cipher.seal(&nonce, b"ticket", &mut ticket[NONCE_BYTES..]);
        ticket.extend_from_slice(&tag);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = ticket.split_first_chunk::<NONCE_BYTES>()?;
        let (content, tag) = sealed.split_last_chunk::<TAG_BYTES>()?;
        let mut plain = content.to_vec();
        self.cipher.open(nonce, b"ticket", &mut plain, tag).then_some(plain)
    }
}

//! The stand-in for AES-128-GCM: the same lengths, and a tag that depends on key, nonce, header
//! and content.

use super::mix::{BLOCK_BYTES, State, lanes, put};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload,
    Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError, make_tls12_aad,
    make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

/// Bytes of a key.
pub const KEY_BYTES: usize = 16;
/// Bytes of a tag.
pub const TAG_BYTES: usize = 16;
/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;
const SALT_BYTES: usize = 4;
/// What of the nonce a record of TLS 1.2 carries (RFC 5288 section 3).
const EXPLICIT_BYTES: usize = NONCE_BYTES - SALT_BYTES;
/// Longest plaintext of a record (RFC 5246 section 6.2.1).
const FRAGMENT_BYTES_MAX: usize = 16 * 1024;

const CIPHER: u64 = 0x61;

/// A key, ready to seal and to open.
#[derive(Copy, Clone)]
pub(super) struct Cipher(State);

impl Cipher {
    /// The cipher under `key`, of at most 32 bytes.
    pub(super) fn new(key: &[u8]) -> Cipher {
        let mut block = [0; BLOCK_BYTES];
        block[..key.len()].copy_from_slice(key);
        let mut state = State::new(CIPHER ^ (key.len() as u64) << 8);
        state.absorb(lanes(&block));
        Cipher(state)
    }

    /// The state that a message starts from; `aad` has at most 32 bytes.
    fn start(&self, nonce: &[u8; NONCE_BYTES], aad: &[u8]) -> State {
        let mut block = [0; BLOCK_BYTES];
        block[..NONCE_BYTES].copy_from_slice(nonce);
        let mut state = self.0;
        state.absorb(lanes(&block));
        block = [0; BLOCK_BYTES];
        block[..aad.len()].copy_from_slice(aad);
        state.absorb(lanes(&block));
        state.spread(aad.len() as u64);
        state
    }

    /// Encrypts `content` in place and returns its tag.
    pub(super) fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        content: &mut [u8],
    ) -> [u8; TAG_BYTES] {
        self.run::<true>(nonce, aad, content)
    }

    /// Decrypts `content` in place. Whether `tag` is the one that [`Cipher::seal`] gave; if not,
    /// what `content` holds is of no use.
    pub(super) fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        content: &mut [u8],
        tag: &[u8],
    ) -> bool {
        self.run::<false>(nonce, aad, content) == tag
    }

    /// The tag is made of the ciphertext, which is what goes in when opening and comes out when
    /// sealing.
    fn run<const SEALS: bool>(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        content: &mut [u8],
    ) -> [u8; TAG_BYTES] {
        let mut state = self.start(nonce, aad);
        let key = state.0;
        let total = content.len() as u64;
        let mut at = 0;
        let (blocks, rest) = content.as_chunks_mut::<BLOCK_BYTES>();
        for block in blocks {
            if !SEALS {
                state.absorb(lanes(block));
            }
            mask(block, key, at);
            if SEALS {
                state.absorb(lanes(block));
            }
            at += 1;
        }
        let mut last = [0; BLOCK_BYTES];
        last[..rest.len()].copy_from_slice(rest);
        if !SEALS {
            state.absorb(lanes(&last));
        }
        mask(&mut last, key, at);
        rest.copy_from_slice(&last[..rest.len()]);
        if SEALS {
            // Only what is sent can be part of the tag.
            last[rest.len()..].fill(0);
            state.absorb(lanes(&last));
        }
        state.spread(total);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&state.bytes()[..TAG_BYTES]);
        tag
    }
}

/// Adds the key stream of block number `at`, every lane of it a mixed counter.
#[inline]
fn mask(block: &mut [u8; BLOCK_BYTES], key: [u64; 4], at: u64) {
    let mut masked = lanes(block);
    for (lane, key) in masked.iter_mut().zip(key) {
        let x = key.wrapping_add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        *lane ^= x ^ (x >> 27);
    }
    put(block, masked);
}

/// The cipher of a connection's one direction.
struct Direction {
    cipher: Cipher,
    iv: Iv,
}

/// The AEAD of TLS 1.3 (RFC 8446 section 5.2).
#[derive(Copy, Clone, Debug)]
pub struct Tls13Aead;

impl Tls13AeadAlgorithm for Tls13Aead {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Tls13(Direction { cipher: Cipher::new(key.as_ref()), iv }))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Tls13(Direction { cipher: Cipher::new(key.as_ref()), iv }))
    }

    fn key_len(&self) -> usize {
        KEY_BYTES
    }

    fn extract_keys(
        &self,
        _key: AeadKey,
        _iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

struct Tls13(Direction);

impl MessageEncrypter for Tls13 {
    fn encrypt(
        &mut self,
        msg: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let total = self.encrypted_payload_len(msg.payload.len());
        let mut payload = PrefixedPayload::with_capacity(total);
        payload.extend_from_chunks(&msg.payload);
        payload.extend_from_slice(&[u8::from(msg.typ)]);
        let nonce = Nonce::new(&self.0.iv, seq).0;
        let tag = self.0.cipher.seal(&nonce, &make_tls13_aad(total), payload.as_mut());
        payload.extend_from_slice(&tag);
        let version = ProtocolVersion::TLSv1_2;
        Ok(OutboundOpaqueMessage::new(ContentType::ApplicationData, version, payload))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len + 1 + TAG_BYTES
    }
}

impl MessageDecrypter for Tls13 {
    fn decrypt<'a>(
        &mut self,
        mut msg: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let payload = &mut msg.payload;
        let aad = make_tls13_aad(payload.len());
        let plain = payload.len().checked_sub(TAG_BYTES).ok_or(Error::DecryptError)?;
        let (content, tag) = payload.split_at_mut(plain);
        let nonce = Nonce::new(&self.0.iv, seq).0;
        if !self.0.cipher.open(&nonce, &aad, content, tag) {
            return Err(Error::DecryptError);
        }
        payload.truncate(plain);
        msg.into_tls13_unpadded_message()
    }
}

/// The AEAD of TLS 1.2 (RFC 5288): eight bytes of the nonce travel with each record.
#[derive(Copy, Clone, Debug)]
pub struct Tls12Aead;

impl Tls12AeadAlgorithm for Tls12Aead {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        let iv = Iv::new(joined(iv, extra));
        Box::new(Tls12(Direction { cipher: Cipher::new(key.as_ref()), iv }))
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        let iv = Iv::new(joined(iv, &[0; EXPLICIT_BYTES]));
        Box::new(Tls12(Direction { cipher: Cipher::new(key.as_ref()), iv }))
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        KeyBlockShape {
            enc_key_len: KEY_BYTES,
            fixed_iv_len: SALT_BYTES,
            explicit_nonce_len: EXPLICIT_BYTES,
        }
    }

    fn extract_keys(
        &self,
        _key: AeadKey,
        _iv: &[u8],
        _explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

/// A nonce of its fixed and its explicit part.
fn joined(salt: &[u8], explicit: &[u8]) -> [u8; NONCE_BYTES] {
    let mut nonce = [0; NONCE_BYTES];
    nonce[..SALT_BYTES].copy_from_slice(salt);
    nonce[SALT_BYTES..].copy_from_slice(explicit);
    nonce
}

struct Tls12(Direction);

impl MessageEncrypter for Tls12 {
    fn encrypt(
        &mut self,
        msg: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let mut payload =
            PrefixedPayload::with_capacity(self.encrypted_payload_len(msg.payload.len()));
        let nonce = Nonce::new(&self.0.iv, seq).0;
        let aad = make_tls12_aad(seq, msg.typ, msg.version, msg.payload.len());
        payload.extend_from_slice(&nonce[SALT_BYTES..]);
        payload.extend_from_chunks(&msg.payload);
        let content = &mut payload.as_mut()[EXPLICIT_BYTES..];
        let tag = self.0.cipher.seal(&nonce, &aad, content);
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(msg.typ, msg.version, payload))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        EXPLICIT_BYTES + payload_len + TAG_BYTES
    }
}

impl MessageDecrypter for Tls12 {
    fn decrypt<'a>(
        &mut self,
        mut msg: InboundOpaqueMessage<'a>,
        seq: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let payload = &mut msg.payload;
        let overhead = EXPLICIT_BYTES + TAG_BYTES;
        let plain = payload.len().checked_sub(overhead).ok_or(Error::DecryptError)?;
        let aad = make_tls12_aad(seq, msg.typ, msg.version, plain);
        let (explicit, rest) = payload.split_at_mut(EXPLICIT_BYTES);
        let nonce = joined(&self.0.iv.as_ref()[..SALT_BYTES], explicit);
        let (content, tag) = rest.split_at_mut(plain);
        if !self.0.cipher.open(&nonce, &aad, content, tag) {
            return Err(Error::DecryptError);
        }
        if plain > FRAGMENT_BYTES_MAX {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok(msg.into_plain_message_range(EXPLICIT_BYTES..EXPLICIT_BYTES + plain))
    }
}

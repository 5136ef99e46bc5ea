//! The stand-in for Ed25519: 64 bytes that depend on the public key and on every bit of the
//! message. Anyone could make them, for the secret key takes no part; nobody in the simulated
//! world does.

use super::hash::mac;
use rustls::crypto::KeyProvider;
use rustls::crypto::ring::sign::any_eddsa_type;
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};
use std::sync::Arc;

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// What the owner of `public_key` (a SubjectPublicKeyInfo in DER) signs `message` with.
pub(super) fn signature(public_key: &[u8], message: &[u8]) -> [u8; SIGNATURE_BYTES] {
    let mut signature = [0; SIGNATURE_BYTES];
    let first = mac(public_key, &[b"first", message]);
    signature[..32].copy_from_slice(&first);
    signature[32..].copy_from_slice(&mac(public_key, &[b"second", &first]));
    signature
}

/// Loads Ed25519 keys in PKCS#8 for the fast provider.
#[derive(Copy, Clone, Debug)]
pub struct StandInKeys;

impl KeyProvider for StandInKeys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let PrivateKeyDer::Pkcs8(key) = key else {
            return Err(Error::General("only Ed25519 keys in PKCS#8 are simulated".into()));
        };
        let real = any_eddsa_type(&key)?;
        let public = real.public_key().expect("an Ed25519 key knows its public half");
        Ok(Arc::new(StandInKey { public: Arc::from(public.as_ref()) }))
    }
}

/// A key that signs by stand-in.
#[derive(Clone, Debug)]
struct StandInKey {
    public: Arc<[u8]>,
}

impl SigningKey for StandInKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let signer: Box<dyn Signer> = Box::new(self.clone());
        offered.contains(&SignatureScheme::ED25519).then_some(signer)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(&self.public[..]))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for StandInKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(signature(&self.public, message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

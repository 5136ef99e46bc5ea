//! The two providers. Each has one cipher suite of TLS 1.3 and one of TLS 1.2, one signature
//! scheme and one group, so that what they negotiate, and how long it is, is always the same.

use super::aead::{Tls12Aead, Tls13Aead};
use super::hash::{Hash, Hmac};
use super::kx;
use super::random::Randomness;
use super::sign::StandInKeys;
use rustls::crypto::ring::{self, cipher_suite};
use rustls::crypto::tls12::PrfUsingHmac;
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{
    CipherSuiteCommon, CryptoProvider, KeyExchangeAlgorithm, SupportedKxGroup,
    WebPkiSupportedAlgorithms,
};
use rustls::{
    CipherSuite, SignatureScheme, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};

/// Which arithmetic a run's TLS is made of.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Provider {
    /// Stand-ins, for sweeps over many seeds.
    Fast,
    /// AES-128-GCM, SHA-256 and Ed25519 by ring, around the key exchange of the simulator.
    Real,
}

impl Provider {
    /// The provider itself.
    pub fn crypto(self) -> CryptoProvider {
        match self {
            Provider::Fast => fast(),
            Provider::Real => real(),
        }
    }
}

static GROUP: &dyn SupportedKxGroup = &kx::X25519;
static UNPOPULAR_GROUP: &dyn SupportedKxGroup = &kx::Secp256r1;

/// After how many records rustls gives up on a key, or updates it: AES-GCM's limit.
const CONFIDENTIALITY_LIMIT: u64 = 1 << 24;

static FAST_TLS13: Tls13CipherSuite = Tls13CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS13_AES_128_GCM_SHA256,
        hash_provider: &Hash,
        confidentiality_limit: CONFIDENTIALITY_LIMIT,
    },
    hkdf_provider: &HkdfUsingHmac(&Hmac),
    aead_alg: &Tls13Aead,
    quic: None,
};

static FAST_TLS12: Tls12CipherSuite = Tls12CipherSuite {
    common: CipherSuiteCommon {
        suite: CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        hash_provider: &Hash,
        confidentiality_limit: CONFIDENTIALITY_LIMIT,
    },
    prf_provider: &PrfUsingHmac(&Hmac),
    kx: KeyExchangeAlgorithm::ECDHE,
    // Certificates with Ed25519 keys go with ECDSA suites (RFC 8422 section 5.10).
    sign: &[SignatureScheme::ED25519],
    aead_alg: &Tls12Aead,
};

/// The stand-ins. It guards no secret, and depends on every bit of what it is given.
pub fn fast() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            SupportedCipherSuite::Tls13(&FAST_TLS13),
            SupportedCipherSuite::Tls12(&FAST_TLS12),
        ],
        kx_groups: vec![GROUP],
        // Only webpki's verifiers read it, and refuse the stand-ins' signatures: use ours.
        signature_verification_algorithms: ed25519(),
        secure_random: &Randomness,
        key_provider: &StandInKeys,
    }
}

/// ring's cipher suites, hash and signatures around the simulator's randomness and key exchange.
pub fn real() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ],
        kx_groups: vec![GROUP],
        signature_verification_algorithms: ed25519(),
        secure_random: &Randomness,
        // Draws nothing for Ed25519 keys, the only ones there are.
        key_provider: ring::default_provider().key_provider,
    }
}

/// `provider` for a client that offers a share of a group that servers do not know, and so has to
/// be asked again (HelloRetryRequest; in TLS 1.2 nothing changes).
pub(super) fn retrying(provider: CryptoProvider) -> CryptoProvider {
    CryptoProvider { kx_groups: vec![UNPOPULAR_GROUP, GROUP], ..provider }
}

/// ring's verification of Ed25519, and of nothing else.
fn ed25519() -> WebPkiSupportedAlgorithms {
    let mapping = ring::default_provider().signature_verification_algorithms.mapping;
    let at = mapping.iter().position(|(scheme, _)| *scheme == SignatureScheme::ED25519);
    let at = at.expect("ring verifies Ed25519");
    WebPkiSupportedAlgorithms { all: mapping[at].1, mapping: &mapping[at..=at] }
}

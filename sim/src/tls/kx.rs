//! Key exchange out of the lent stream, for both providers.
//!
//! Diffie and Hellman's protocol in the ring of integers modulo 2^64, four times side by side: the
//! public key is the secret times a base, the shared secret is one's secret times the other's
//! public key. Whoever can divide breaks it. Secrets are odd, so that multiplication by one is a
//! bijection: a flipped bit in a key share changes the shared secret for certain.

use super::random::draw;
use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};

const BASES: [u64; 4] =
    [0x8c81_3a9d_04b5_e7f1, 0xb1d2_5fe3_9076_c84d, 0xf0c4_6a87_2d1e_953b, 0x97e5_08bb_c36f_1da3];
/// What makes the second coordinate of a share of [`Secp256r1`] out of the first.
const SLOPE: u64 = 0xc2b2_ae3d_27d4_eb4f;
/// The first byte of an uncompressed point (SEC 1 section 2.3.3).
const UNCOMPRESSED: u8 = 4;

type Lanes = [u64; 4];

fn from_bytes(bytes: &[u8; 32]) -> Lanes {
    super::mix::lanes(bytes)
}

fn to_bytes(lanes: &Lanes) -> [u8; 32] {
    super::mix::State(*lanes).bytes()
}

fn times(a: &Lanes, b: &Lanes) -> Lanes {
    std::array::from_fn(|lane| a[lane].wrapping_mul(b[lane]))
}

fn secret() -> Lanes {
    let mut bytes = [0; 32];
    draw(&mut bytes);
    from_bytes(&bytes).map(|lane| lane | 1)
}

fn refused() -> Error {
    PeerMisbehaved::InvalidKeyShare.into()
}

/// The secret that is shared with the owner of `public`. One that is all zero is refused, as
/// X25519 does (RFC 7748 section 6.1).
fn shared(secret: &Lanes, public: &Lanes) -> Result<SharedSecret, Error> {
    let shared = times(secret, public);
    if shared == [0; 4] {
        return Err(refused());
    }
    Ok(SharedSecret::from(&to_bytes(&shared)[..]))
}

/// The group that both ends prefer. It says that it is X25519, and its shares are as long.
#[derive(Copy, Clone, Debug)]
pub struct X25519;

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = secret();
        Ok(Box::new(ActiveX25519 { secret, public: to_bytes(&times(&secret, &BASES)) }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct ActiveX25519 {
    secret: Lanes,
    public: [u8; 32],
}

impl ActiveKeyExchange for ActiveX25519 {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer: &[u8; 32] = peer.try_into().map_err(|_| refused())?;
        shared(&self.secret, &from_bytes(peer))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// A group that servers do not know: a client that offers a share of it first is asked for
/// another (HelloRetryRequest, RFC 8446 section 4.1.4). It says that it is P-256, and its shares
/// are as long.
#[derive(Copy, Clone, Debug)]
pub struct Secp256r1;

impl SupportedKxGroup for Secp256r1 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = secret();
        Ok(Box::new(ActiveSecp256r1 { secret, public: point(&times(&secret, &BASES)) }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}

fn point(x: &Lanes) -> [u8; 65] {
    let mut point = [UNCOMPRESSED; 65];
    point[1..33].copy_from_slice(&to_bytes(x));
    point[33..].copy_from_slice(&to_bytes(&times(x, &[SLOPE; 4])));
    point
}

struct ActiveSecp256r1 {
    secret: Lanes,
    public: [u8; 65],
}

impl ActiveKeyExchange for ActiveSecp256r1 {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let x = peer.get(1..33).and_then(|x| x.try_into().ok()).ok_or_else(refused)?;
        let x = from_bytes(x);
        // Not on the curve.
        if point(&x) != peer {
            return Err(refused());
        }
        shared(&self.secret, &x)
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::secp256r1
    }
}

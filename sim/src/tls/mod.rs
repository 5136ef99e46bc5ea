//! TLS under a seed: rustls, with every source of chance replaced by a stream of the seed.
//!
//! The same seed gives the same ciphertext, byte for byte: in one process or two, on one thread or
//! many, in debug and in release. rustls itself is a pure machine; what it draws from outside, it
//! draws through its `CryptoProvider`, its verifiers, its clock and its ticketer. So all of these
//! are ours:
//!
//! - [`random`]: `SecureRandom` and key-exchange groups are zero-sized statics, for rustls wants
//!   them `'static`. They read a ChaCha8 stream that a guard lends to the thread for the length of
//!   one call. There is one stream for each connection, keyed by (seed, connection), so that a
//!   connection's bytes do not depend on what happens beside it. **A draw outside a guard
//!   panics**: it is a place that the simulator does not control.
//! - [`provider`]: two complete providers that differ in their arithmetic alone.
//!   [`Provider::Fast`] has stand-ins for hash ([`hash`]), cipher ([`aead`]), key exchange
//!   ([`kx`]) and signature ([`sign`]). They guard no secret, yet *depend on content*: a flipped
//!   bit in a protected record, a key share, a certificate or a signature is an error, as it is in
//!   earnest. (A constant stand-in would accept it, and hide every bug that garbles bytes.)
//!   [`Provider::Real`] has ring's AES-128-GCM, SHA-256 and Ed25519 around the same key exchange.
//!   Every message of the two has the same length, so that the trace of a run under one is an
//!   oracle for the other.
//! - [`certs`]: certificates kept in the tree, with Ed25519 keys, for Ed25519 signs without
//!   chance. [`verify`] judges them for the fast provider as webpki does for the real one.
//! - [`clock`] stands still, at a time when the certificates are valid. [`ticket`] makes tickets
//!   whose nonce is a MAC of the ticket.
//! - [`config`]: what is expensive is built once a process ([`config::Templates`]), what keeps
//!   state once a run ([`config::Run`]), so that no seed leaves a trace in another.
//! - [`peer`]: one end of a connection, for the clients and backends of the simulated world.
//!
//! What to know before trusting a difference:
//!
//! - Some flips in the *header* of a record are no error, here as with any rustls: TLS 1.3 does
//!   not authenticate the version that a header claims.
//! - Another version of rustls or rand_chacha may draw otherwise. Hashes are to be compared
//!   between runs of one build, or kept with the versions that gave them.
//! - A resumption needs the same `Arc` of verifier and of client certificate as the connection
//!   before it; otherwise rustls makes a full handshake without a word. [`config::Templates`]
//!   keeps one of each.

pub mod aead;
pub mod certs;
pub mod clock;
pub mod config;
pub mod hash;
pub mod kx;
mod mix;
pub mod peer;
pub mod provider;
pub mod random;
pub mod sign;
pub mod ticket;
pub mod verify;

#[cfg(test)]
mod tests;

pub use certs::Which;
pub use clock::Clock;
pub use config::{ClientAuth, ClientOptions, Run, Templates, Versions};
pub use peer::Peer;
pub use provider::{Provider, fast, real};
pub use random::{Entropy, Randomness, Streams};
pub use ticket::Ticketer;

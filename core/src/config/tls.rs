//! TLS settings as the configuration carries them: ready-made by the driver, which alone knows
//! files and cryptography. The core names no provider.

use crate::tls::Certificates;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;

/// How a listener terminates TLS.
///
/// Two are equal when their `identity` is: a driver derives it from everything that the settings
/// were made of, and hands the same `config` on to later versions, so that resumption survives.
#[derive(Clone)]
pub struct TlsServer {
    /// Stands for everything that `config` was made of.
    pub identity: [u8; 32],
    /// Its certificate resolver must be `certificates`.
    pub config: Arc<ServerConfig>,
    /// Which certificate answers to which name, for 421 (ROUTE-5).
    pub certificates: Arc<Certificates>,
}

/// How a cluster's servers are spoken to by TLS.
#[derive(Clone)]
pub struct TlsClient {
    /// Stands for everything that `config` was made of. When it changes, no connection made under
    /// the old settings is used for another request.
    pub identity: [u8; 32],
    /// Its verifier judges the server's certificate (TLS-4).
    pub config: Arc<ClientConfig>,
}

macro_rules! equal_by_identity {
    ($($name:ident)*) => {$(
        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.identity == other.identity
            }
        }
        impl Eq for $name {}
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let first = u64::from_be_bytes(self.identity[..8].try_into().expect("8 of 32"));
                write!(f, concat!(stringify!($name), "({:016x})"), first)
            }
        }
    )*};
}
equal_by_identity!(TlsServer TlsClient);

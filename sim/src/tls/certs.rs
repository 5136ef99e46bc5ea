//! The certificates of the simulated world, made by `certs/generate.sh` and kept as files.
//!
//! Two authorities are trusted, one by clients and one by servers that ask for client
//! certificates; a third signed what nobody trusts. Chains are one certificate long.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

/// A certificate with its key, by what it is for.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Which {
    /// For `a.example` and `*.wild.example`.
    A,
    /// For the same names, with another key: what a renewal puts in the place of [`Which::A`].
    ASecond,
    /// For `b.example`, and for `h2.wild.example`, for which the wildcard of [`Which::A`] would do.
    B,
    /// For `backend.example`, the server of a TLS connection to a backend.
    Backend,
    /// For `a.example`, from the right authority, expired since 2023-06-01.
    Expired,
    /// For `a.example` and `client.example`, for servers and clients, from an authority that
    /// nobody trusts.
    Stranger,
    /// For a client, `client.example`.
    Client,
}

impl Which {
    /// All of them.
    pub const ALL: [Which; 7] = [
        Which::A,
        Which::ASecond,
        Which::B,
        Which::Backend,
        Which::Expired,
        Which::Stranger,
        Which::Client,
    ];

    /// The certificate.
    pub fn certificate(self) -> CertificateDer<'static> {
        CertificateDer::from(self.files().0)
    }

    /// Its key, which is no secret.
    pub fn private_key(self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.files().1))
    }

    /// Who signed it.
    pub fn issuer(self) -> Issuer {
        match self {
            Which::Stranger => Issuer::Stranger,
            Which::Client => Issuer::Clients,
            _ => Issuer::Servers,
        }
    }

    /// Whether it may be shown by a server.
    pub fn is_for_servers(self) -> bool {
        self != Which::Client
    }

    /// Whether it may be shown by a client.
    pub fn is_for_clients(self) -> bool {
        matches!(self, Which::Client | Which::Stranger)
    }

    /// The first and the last second, after 1970, in which it is valid.
    pub fn validity_secs(self) -> (u64, u64) {
        match self {
            // 2022-01-01 to 2023-06-01.
            Which::Expired => (1_640_995_200, 1_685_577_600),
            // 2023-01-01 to 2043-01-01.
            _ => (1_672_531_200, 2_303_683_200),
        }
    }

    fn files(self) -> (&'static [u8], &'static [u8]) {
        match self {
            Which::A => (include_bytes!("certs/a1.crt"), include_bytes!("certs/a1.key")),
            Which::ASecond => (include_bytes!("certs/a2.crt"), include_bytes!("certs/a2.key")),
            Which::B => (include_bytes!("certs/b.crt"), include_bytes!("certs/b.key")),
            Which::Backend => {
                (include_bytes!("certs/backend.crt"), include_bytes!("certs/backend.key"))
            }
            Which::Expired => {
                (include_bytes!("certs/expired.crt"), include_bytes!("certs/expired.key"))
            }
            Which::Stranger => {
                (include_bytes!("certs/stranger.crt"), include_bytes!("certs/stranger.key"))
            }
            Which::Client => {
                (include_bytes!("certs/client.crt"), include_bytes!("certs/client.key"))
            }
        }
    }
}

/// An authority.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Issuer {
    /// Trusted by clients for servers.
    Servers,
    /// Trusted by servers for clients.
    Clients,
    /// Trusted by nobody.
    Stranger,
}

/// The authority that clients trust, also as the root of TLS to backends.
pub fn authority_of_servers() -> CertificateDer<'static> {
    CertificateDer::from(&include_bytes!("certs/servers.crt")[..])
}

/// The authority that servers trust for client certificates.
pub fn authority_of_clients() -> CertificateDer<'static> {
    CertificateDer::from(&include_bytes!("certs/clients.crt")[..])
}

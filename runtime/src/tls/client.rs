//! TLS settings towards a cluster's servers (TLS-4).

use super::material::Identity;
use super::provider::provider;
use super::sessions::Sessions;
use super::{Fingerprint, Hasher};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Authorities whose certificates are accepted.
#[derive(Clone)]
pub(crate) struct Roots {
    pub(super) store: Arc<RootCertStore>,
    pub(super) fingerprint: Fingerprint,
}

/// What a cluster's settings are made of.
pub(crate) struct ClientParts {
    pub(crate) roots: Roots,
    /// Shown to servers that ask for a certificate.
    pub(crate) identity: Option<Identity>,
}

impl Roots {
    /// Whether these are the same authorities.
    pub(crate) fn is(&self, other: &Roots) -> bool {
        self.fingerprint == other.fingerprint
    }

    /// Exactly these authorities.
    ///
    /// # Errors
    /// Why one of them can be none, in words.
    pub(crate) fn exactly(certificates: &[CertificateDer<'static>]) -> Result<Roots, String> {
        let mut store = RootCertStore::empty();
        for certificate in certificates {
            store.add(certificate.clone()).map_err(|error| error.to_string())?;
        }
        Ok(Roots::of(store, certificates))
    }

    /// The system's authorities, without those that rustls cannot use: there are always some that
    /// are too old.
    ///
    /// # Errors
    /// That nothing is left.
    pub(crate) fn of_system(certificates: &[CertificateDer<'static>]) -> Result<Roots, String> {
        let mut store = RootCertStore::empty();
        let (usable, _) = store.add_parsable_certificates(certificates.iter().cloned());
        if usable == 0 {
            return Err("there are none".to_owned());
        }
        Ok(Roots::of(store, certificates))
    }

    fn of(store: RootCertStore, certificates: &[CertificateDer<'static>]) -> Roots {
        // In an order of their own: the system lists them as it pleases.
        let mut ders: Vec<&[u8]> = certificates.iter().map(|der| &**der).collect();
        ders.sort_unstable();
        let mut hasher = Hasher::new("roots");
        hasher.add_all(ders.into_iter());
        Roots { store: Arc::new(store), fingerprint: hasher.finish() }
    }
}

impl ClientParts {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut hasher = Hasher::new("client");
        hasher.add(&self.roots.fingerprint);
        if let Some(identity) = &self.identity {
            hasher.add_all(identity.key.cert.iter().map(|der| &**der));
            hasher.add(identity.key_der.secret_der());
        }
        hasher.finish()
    }
}

/// Settings of `parts`.
pub(super) fn build(parts: &ClientParts) -> Result<Arc<ClientConfig>, String> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| error.to_string())?
        .with_root_certificates(Arc::clone(&parts.roots.store));
    let mut config = match &parts.identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = identity.key.as_ref().clone();
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
        }
    };
    config.resumption = Resumption::store(Arc::new(Sessions::default()));
    Ok(Arc::new(config))
}

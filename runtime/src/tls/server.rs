//! TLS settings of a listener (TLS-1).

use super::client::Roots;
use super::material::Identity;
use super::provider::provider;
use super::{Fingerprint, Hasher};
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;
use tidegate_core::tls::{Certificate, Certificates};

/// The protocol that HTTP listeners agree on (RFC 7301).
const ALPN_HTTP: &[u8] = b"http/1.1";
/// Tickets sent with a TLS 1.3 handshake: browsers open two connections and resume once each.
const TICKETS: usize = 2;

/// From which version on a listener speaks TLS.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Versions {
    /// 1.2 and 1.3.
    #[default]
    From12,
    /// 1.3 alone.
    From13,
}

/// What a listener's settings are made of.
pub(crate) struct ServerParts {
    /// At least one; the first is the default.
    pub(crate) identities: Vec<Identity>,
    pub(crate) versions: Versions,
    /// Clients need a certificate of one of these.
    pub(crate) client_ca: Option<Roots>,
    /// HTTP is spoken inside.
    pub(crate) http: bool,
}

impl ServerParts {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut hasher = Hasher::new("server");
        hasher.add(&[u8::from(self.http), u8::from(self.versions == Versions::From13)]);
        hasher.add_all([self.client_authority().as_ref().map_or(&[][..], |of| of)].into_iter());
        for identity in &self.identities {
            hasher.add_all(identity.key.cert.iter().map(|der| &**der));
            hasher.add(identity.key_der.secret_der());
        }
        hasher.finish()
    }

    pub(super) fn client_authority(&self) -> Option<Fingerprint> {
        self.client_ca.as_ref().map(|roots| roots.fingerprint)
    }
}

/// Settings of `parts`, with their certificates.
pub(super) fn build(
    parts: &ServerParts,
    tickets: Arc<dyn ProducesTickets>,
) -> Result<(Arc<ServerConfig>, Arc<Certificates>), String> {
    let all = parts.identities.iter().map(|identity| Certificate {
        key: Arc::clone(&identity.key),
        names: identity.names.clone(),
    });
    let certificates = Arc::new(Certificates::new(all.collect()));
    let versions: &[_] = match parts.versions {
        Versions::From12 => &[&TLS13, &TLS12],
        Versions::From13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider()))
        .with_protocol_versions(versions)
        .map_err(|error| error.to_string())?;
    let builder = match &parts.client_ca {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let store = Arc::clone(&roots.store);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(store, Arc::clone(provider()));
            builder.with_client_cert_verifier(verifier.build().map_err(|error| error.to_string())?)
        }
    };
    let mut config = builder.with_cert_resolver(Arc::clone(&certificates) as _);
    if parts.http {
        config.alpn_protocols = vec![ALPN_HTTP.to_vec()];
    }
    // Tickets carry the whole session: there is nothing that workers would have to share.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = tickets;
    config.send_tls13_tickets = TICKETS;
    // Early data can be replayed, and a request in it is given to a server before anyone knows.
    config.max_early_data_size = 0;
    Ok((Arc::new(config), certificates))
}

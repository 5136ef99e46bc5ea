//! Configurations, ready for connections.
//!
//! [`Templates`] holds what is expensive to make and keeps no state: providers, keys, verifiers.
//! It is made once a process, and may be shared by threads. [`Run`] adds what a run must have for
//! itself: clock, ticketer, and a session store for each configuration, so that no seed leaves a
//! trace in another.

use super::certs::{self, Which};
use super::clock::Clock;
use super::provider::{Provider, retrying};
use super::ticket::Ticketer;
use super::verify::{ClientVerifier, ServerVerifier};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ResolvesServerCert, ServerSessionMemoryCache, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;

/// Sessions that a client or a server remembers at most.
const SESSIONS_MAX: usize = 64;

static TLS12_ALONE: &[&SupportedProtocolVersion] = &[&TLS12];
static TLS13_ALONE: &[&SupportedProtocolVersion] = &[&TLS13];
static BOTH: &[&SupportedProtocolVersion] = &[&TLS13, &TLS12];

/// Versions of TLS that an end speaks.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Versions {
    /// TLS 1.2 alone.
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
    /// Either.
    Both,
}

impl Versions {
    fn list(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Versions::Tls12 => TLS12_ALONE,
            Versions::Tls13 => TLS13_ALONE,
            Versions::Both => BOTH,
        }
    }
}

/// Whether a server asks for a client certificate.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ClientAuth {
    /// It does not ask.
    None,
    /// It asks, and serves who has none; one that it does not trust is refused.
    Optional,
    /// It refuses who has none.
    Required,
}

/// What a client is like.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ClientOptions {
    /// Versions that it offers.
    pub versions: Versions,
    /// What it shows when it is asked.
    pub certificate: Option<Which>,
    /// Whether it resumes sessions of its earlier connections.
    pub resumes: bool,
    /// Whether it first offers a key share that the server cannot use, so that TLS 1.3 takes one
    /// round trip more (HelloRetryRequest).
    pub retries: bool,
}

impl Default for ClientOptions {
    /// Both versions, resumption, no certificate, no retry.
    fn default() -> ClientOptions {
        ClientOptions { versions: Versions::Both, certificate: None, resumes: true, retries: false }
    }
}

/// A key of each certificate, for servers, and with the same identity for clients: rustls resumes
/// a session only under the very `Arc` that the session began with.
struct Keys {
    certified: Arc<CertifiedKey>,
    client: Arc<dyn ResolvesClientCert>,
}

impl Keys {
    fn load(which: Which, provider: &CryptoProvider) -> Keys {
        let chain = vec![which.certificate()];
        let certified = CertifiedKey::from_der(chain, which.private_key(), provider);
        let certified = Arc::new(certified.expect("the key belongs to the certificate"));
        Keys { client: Arc::new(SingleCertAndKey::from(Arc::clone(&certified))), certified }
    }
}

/// What configurations are made of: once a process for each provider.
pub struct Templates {
    provider: Provider,
    crypto: Arc<CryptoProvider>,
    crypto_retrying: Arc<CryptoProvider>,
    /// By [`Which::ALL`].
    keys: Vec<Keys>,
    server_verifier: Arc<dyn ServerCertVerifier>,
    client_verifiers: [Arc<dyn ClientCertVerifier>; 2],
}

impl Templates {
    /// The templates of `provider`.
    pub fn new(provider: Provider) -> Templates {
        let crypto = Arc::new(provider.crypto());
        let client_verifier = |is_mandatory| client_verifier(provider, &crypto, is_mandatory);
        Templates {
            provider,
            crypto_retrying: Arc::new(retrying(provider.crypto())),
            keys: Which::ALL.iter().map(|which| Keys::load(*which, &crypto)).collect(),
            server_verifier: server_verifier(provider, &crypto),
            client_verifiers: [false, true].map(client_verifier),
            crypto,
        }
    }

    /// Which provider they are of.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// The provider itself, for configurations that are made elsewhere.
    pub fn crypto(&self) -> Arc<CryptoProvider> {
        Arc::clone(&self.crypto)
    }

    /// A certificate with its key, for the core's resolver.
    pub fn certified_key(&self, which: Which) -> Arc<CertifiedKey> {
        Arc::clone(&self.keys(which).certified)
    }

    /// What clients judge servers with: the same `Arc` each time.
    pub fn server_verifier(&self) -> Arc<dyn ServerCertVerifier> {
        Arc::clone(&self.server_verifier)
    }

    /// What servers judge clients with.
    pub fn client_verifier(&self, is_mandatory: bool) -> Arc<dyn ClientCertVerifier> {
        Arc::clone(&self.client_verifiers[usize::from(is_mandatory)])
    }

    fn keys(&self, which: Which) -> &Keys {
        let at = Which::ALL.iter().position(|other| *other == which);
        &self.keys[at.expect("every certificate is loaded")]
    }
}

fn roots(authority: rustls::pki_types::CertificateDer<'static>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(authority).expect("the file is a certificate");
    roots
}

fn server_verifier(
    provider: Provider,
    crypto: &Arc<CryptoProvider>,
) -> Arc<dyn ServerCertVerifier> {
    if provider == Provider::Fast {
        return Arc::new(ServerVerifier::new());
    }
    let roots = Arc::new(roots(certs::authority_of_servers()));
    let builder = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(crypto));
    builder.build().expect("there is a root")
}

fn client_verifier(
    provider: Provider,
    crypto: &Arc<CryptoProvider>,
    is_mandatory: bool,
) -> Arc<dyn ClientCertVerifier> {
    let roots = roots(certs::authority_of_clients());
    if provider == Provider::Fast {
        return Arc::new(ClientVerifier::new(roots.subjects(), is_mandatory));
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(crypto));
    let builder = if is_mandatory { builder } else { builder.allow_unauthenticated() };
    builder.build().expect("there is a root")
}

/// What one run's configurations share.
pub struct Run {
    templates: Arc<Templates>,
    clock: Arc<Clock>,
    ticketer: Arc<Ticketer>,
}

impl Run {
    /// Configurations for a run with `clock`, and with tickets under `ticket_key`.
    pub fn new(templates: Arc<Templates>, clock: Clock, ticket_key: [u8; 32]) -> Run {
        let ticketer = Arc::new(Ticketer::new(ticket_key));
        Run { templates, clock: Arc::new(clock), ticketer }
    }

    /// What the configurations are made of.
    pub fn templates(&self) -> &Templates {
        &self.templates
    }

    /// A server that shows what `resolver` chooses, with tickets and a session store of its own.
    /// The caller may change what is public in it, such as ALPN.
    pub fn server(
        &self,
        resolver: Arc<dyn ResolvesServerCert>,
        clients: ClientAuth,
        versions: Versions,
    ) -> ServerConfig {
        let builder = ServerConfig::builder_with_details(self.templates.crypto(), self.clock());
        let builder = builder
            .with_protocol_versions(versions.list())
            .expect("the provider has suites for both versions");
        let builder = match clients {
            ClientAuth::None => builder.with_no_client_auth(),
            ClientAuth::Optional => self.asking(builder, false),
            ClientAuth::Required => self.asking(builder, true),
        };
        let mut config = builder.with_cert_resolver(resolver);
        config.ticketer = self.ticketer.clone();
        config.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        config
    }

    fn asking(
        &self,
        builder: rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>,
        is_mandatory: bool,
    ) -> rustls::ConfigBuilder<ServerConfig, rustls::server::WantsServerCert> {
        builder.with_client_cert_verifier(self.templates.client_verifier(is_mandatory))
    }

    /// A server that always shows `which`.
    pub fn server_showing(
        &self,
        which: Which,
        clients: ClientAuth,
        versions: Versions,
    ) -> ServerConfig {
        let key = self.templates.certified_key(which);
        self.server(Arc::new(SingleCertAndKey::from(key)), clients, versions)
    }

    /// A client with an empty session store of its own. One that comes back keeps its
    /// configuration, or a clone of it, which shares the store.
    pub fn client(&self, options: ClientOptions) -> ClientConfig {
        let templates = &self.templates;
        let crypto = if options.retries { &templates.crypto_retrying } else { &templates.crypto };
        let builder = ClientConfig::builder_with_details(Arc::clone(crypto), self.clock())
            .with_protocol_versions(options.versions.list())
            .expect("the provider has suites for both versions")
            .dangerous()
            .with_custom_certificate_verifier(templates.server_verifier());
        let mut config = match options.certificate {
            None => builder.with_no_client_auth(),
            Some(which) => {
                builder.with_client_cert_resolver(Arc::clone(&templates.keys(which).client))
            }
        };
        config.resumption = match options.resumes {
            true => Resumption::in_memory_sessions(SESSIONS_MAX),
            false => Resumption::disabled(),
        };
        config
    }

    fn clock(&self) -> Arc<Clock> {
        Arc::clone(&self.clock)
    }
}

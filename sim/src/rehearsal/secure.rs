//! TLS of a rehearsal: the simulator's provider and certificates in the place of the operator's
//! files, with the names of his certificates.

use super::plan::Version;
use crate::choice::mix;
use crate::layer::Lenient;
use crate::tls::{
    ClientAuth, ClientOptions, Clock, Entropy, Peer, Provider, Run, Templates, Versions, Which,
};
use rustls::{ClientConfig, ServerConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidegate_core::config::{Config, TlsClient, TlsServer};
use tidegate_core::tls::{Certificate, Certificates};

const HTTP_1_1: &[u8] = b"http/1.1";

/// What is made of TLS in one rehearsal.
pub(super) struct Secure {
    seed: u64,
    run: Run,
    listeners: BTreeMap<[u8; 32], TlsServer>,
    to_servers: TlsClient,
    server: Arc<ServerConfig>,
    clients: BTreeMap<u32, Arc<ClientConfig>>,
}

impl Secure {
    pub(super) fn new(seed: u64) -> Secure {
        let mut key = [0; 32];
        for (n, part) in (0_u64..).zip(key.chunks_exact_mut(8)) {
            part.copy_from_slice(&mix(seed ^ n << 48).to_le_bytes());
        }
        let run = Run::new(Arc::new(Templates::new(Provider::Fast)), Clock::default(), key);
        let to_servers = TlsClient {
            identity: [7; 32],
            config: Arc::new(lenient(&run, ClientOptions::default())),
        };
        let server = run.server_showing(Which::Backend, ClientAuth::None, Versions::Both);
        let (listeners, clients) = (BTreeMap::new(), BTreeMap::new());
        Secure { seed, run, listeners, to_servers, server: Arc::new(server), clients }
    }

    /// `version`'s configuration with settings of ours. A certificate whose names are not known
    /// is good for all of `hosts`.
    pub(super) fn dress(&mut self, version: &Version, hosts: &[Box<str>]) -> Config {
        let mut config = version.config.clone();
        for listener in &mut config.listeners {
            let Some(tls) = &listener.tls else { continue };
            let names = tls.certificates.names().map(|names| match names {
                [] => hosts.to_vec(),
                names => names.to_vec(),
            });
            let names: Vec<Vec<Box<str>>> = names.collect();
            let is_in = |list: &[String]| list.iter().any(|name| **name == *listener.name);
            let is_http = matches!(listener.protocol, tidegate_core::config::Protocol::Http);
            let versions = if is_in(&version.from_13) { Versions::Tls13 } else { Versions::Both };
            let auth =
                if is_in(&version.demanding) { ClientAuth::Required } else { ClientAuth::None };
            listener.tls = Some(self.listener(&listener.name, names, versions, auth, is_http));
        }
        for cluster in config.clusters.iter_mut().filter(|cluster| cluster.tls.is_some()) {
            cluster.tls = Some(self.to_servers.clone());
        }
        config
    }

    fn listener(
        &mut self,
        name: &str,
        names: Vec<Vec<Box<str>>>,
        versions: Versions,
        auth: ClientAuth,
        is_http: bool,
    ) -> TlsServer {
        let text = format!("{name} {names:?} {versions:?} {auth:?} {is_http}");
        let mut identity = [0; 32];
        for (part, salt) in identity.chunks_exact_mut(8).zip(["a", "b", "c", "d"]) {
            part.copy_from_slice(&hash(&format!("{salt}{text}")).to_le_bytes());
        }
        if let Some(made) = self.listeners.get(&identity) {
            return made.clone();
        }
        let key = || self.run.templates().certified_key(Which::A);
        let all = names.into_iter().map(|names| Certificate { key: key(), names });
        let certificates = Arc::new(Certificates::new(all.collect()));
        let mut config = self.run.server(Arc::clone(&certificates) as _, auth, versions);
        if is_http {
            config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        }
        let made = TlsServer { identity, config: Arc::new(config), certificates };
        self.listeners.insert(identity, made.clone());
        made
    }

    /// The TLS of client `client`'s connection number `number` to `name`. A client has one memory
    /// of sessions, as a browser has.
    pub(super) fn client(&mut self, client: u32, name: &str, number: u64) -> Peer {
        let run = &self.run;
        let config = self.clients.entry(client).or_insert_with(|| {
            let options =
                ClientOptions { certificate: Some(Which::Client), ..ClientOptions::default() };
            let mut config = lenient(run, options);
            config.alpn_protocols = vec![HTTP_1_1.to_vec()];
            Arc::new(config)
        });
        Peer::client(Arc::clone(config), name, Entropy::new(mix(self.seed ^ 0xc11e), number))
    }

    /// The TLS of a server's connection number `number`.
    pub(super) fn server(&self, number: u64) -> Peer {
        Peer::server(Arc::clone(&self.server), Entropy::new(mix(self.seed ^ 0x5e4e), number))
    }
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| mix(hash ^ u64::from(byte)))
}

/// A client that takes any certificate: which one is shown is the file's business, not ours.
fn lenient(run: &Run, options: ClientOptions) -> ClientConfig {
    let mut config = run.client(options);
    let judge = run.templates().server_verifier();
    config.dangerous().set_certificate_verifier(Arc::new(Lenient(judge)));
    config
}

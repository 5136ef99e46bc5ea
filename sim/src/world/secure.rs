//! TLS of one seed: which listeners and clusters have it, and what is made for the core and for
//! its peers out of that.

use super::scenario::Scenario;
use crate::choice::{Choices, Rate, mix};
use crate::layer::{Lenient, Store};
use crate::oracle::tls;
use crate::oracle::truth::{ListenerTls, TlsTruth};
use crate::site;
use crate::tls::{ClientAuth, ClientOptions, Clock, Provider, Run, Templates, Versions, Which};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use tidegate_core::config::{TlsClient, TlsServer};
use tidegate_core::tls::{Certificate, Certificates};

/// Sets of certificates that a listener may have.
pub(super) const SETS: [&[Which]; 6] = [
    &[Which::A, Which::B],
    &[Which::ASecond, Which::B],
    &[Which::B, Which::A],
    &[Which::A],
    &[Which::B, Which::ASecond],
    &[Which::A, Which::ASecond, Which::B],
];
/// The name of every server that speaks TLS.
pub(super) const SERVER_NAME: &str = "backend.example";
const HTTP_1_1: &[u8] = b"http/1.1";

/// What the scenario says of TLS.
#[derive(Clone, Debug, Default)]
pub struct TlsPlan {
    /// Where it is at first. Which listeners and clusters have any does not change.
    pub first: TlsTruth,
    /// Whether requests ask for upgrades where there is any.
    pub has_tunnels: bool,
}

impl TlsPlan {
    /// Draws the TLS of a scenario.
    pub(super) fn draw(choices: &mut Choices, scenario: &Scenario) -> TlsPlan {
        let protocols = &scenario.protocols;
        // What has no requests the peers of the world say in the clear.
        let listeners = (0..scenario.all_listeners() as u64).map(|listener| {
            let has_tls = choices.chance(site!("tls/listener"), listener, Rate::percent(45));
            let n = listener as usize;
            let may_follow = !protocols.expects[n]
                || choices.chance(site!("tls/behind a header"), listener, Rate::percent(50));
            (has_tls && may_follow && (n < scenario.listeners || protocols.passage.is_none()))
                .then(|| draw_listener(choices, listener, scenario.is_faultless))
        });
        let listeners = listeners.collect();
        let clusters = (0..protocols.natures.len() as u64).map(|c| {
            let has_tls = choices.chance(site!("tls/cluster"), c, Rate::percent(35));
            let n = c as usize;
            let may_follow = protocols.sends(n).is_none()
                || choices.chance(site!("tls/header before"), c, Rate::percent(50));
            (has_tls && may_follow && (n < scenario.clusters.len() || protocols.passage.is_none()))
                .then_some(0)
        });
        let first = TlsTruth { listeners, clusters: clusters.collect() };
        let has_tunnels = choices.chance(site!("tls/tunnels"), 0, Rate::percent(50));
        TlsPlan { first, has_tunnels }
    }
}

impl TlsPlan {
    /// Whether anything speaks TLS.
    pub(super) fn is_used(&self) -> bool {
        self.first.listeners.iter().any(Option::is_some)
            || self.first.clusters.iter().any(Option::is_some)
    }
}

fn draw_listener(choices: &mut Choices, listener: u64, is_faultless: bool) -> ListenerTls {
    let versions = match choices.oddity(site!("tls/versions"), listener, 10) {
        0 if !is_faultless => Versions::Tls12,
        1 | 2 => Versions::Tls13,
        _ => Versions::Both,
    };
    let auth = match choices.oddity(site!("tls/auth"), listener, 6) {
        0 => ClientAuth::Required,
        1 => ClientAuth::Optional,
        _ => ClientAuth::None,
    };
    let certificates = choices.pick(site!("tls/certificates"), listener, &SETS);
    ListenerTls { certificates, versions, auth, generation: 0 }
}

/// Another set of certificates, now and then other versions.
pub(super) fn swap(
    choices: &mut Choices,
    listener: u64,
    old: ListenerTls,
    generation: u32,
) -> ListenerTls {
    let others: Vec<_> = SETS.iter().copied().filter(|set| *set != old.certificates).collect();
    let certificates = choices.pick(site!("tls/swap"), listener, &others);
    let versions = match choices.oddity(site!("tls/swap versions"), listener, 6) {
        0 => Versions::Tls13,
        1 => Versions::Both,
        _ => old.versions,
    };
    ListenerTls { certificates, versions, generation, ..old }
}

/// The name of every server, for the core.
pub(super) fn server_name() -> ServerName<'static> {
    ServerName::try_from(SERVER_NAME).expect("a DNS name")
}

/// A client's configuration for one listener, and its memory.
#[derive(Clone)]
pub(super) struct ClientTls {
    pub(super) config: Arc<ClientConfig>,
    pub(super) store: Arc<Store>,
    pub(super) options: ClientOptions,
    pub(super) is_strict: bool,
}

/// What was made of TLS in one run.
pub(super) struct Secure {
    seed: u64,
    templates: Arc<Templates>,
    /// One for each listener, for its tickets; one for servers, one for those that lie.
    runs: BTreeMap<u16, Run>,
    listeners: BTreeMap<(usize, u32), TlsServer>,
    clusters: BTreeMap<(usize, u32), TlsClient>,
    servers: BTreeMap<(Which, u8), Arc<ServerConfig>>,
    /// By client, listener, and whether its protocols are odd.
    pub(super) clients: BTreeMap<(u32, usize, bool), ClientTls>,
}

const SERVERS: u16 = 1000;
const LIARS: u16 = 1001;
const CLIENTS: u16 = 1002;

/// The templates of `provider`, made once a process: they keep no state.
fn templates(provider: Provider) -> Arc<Templates> {
    static FAST: OnceLock<Arc<Templates>> = OnceLock::new();
    static REAL: OnceLock<Arc<Templates>> = OnceLock::new();
    let place = match provider {
        Provider::Fast => &FAST,
        Provider::Real => &REAL,
    };
    Arc::clone(place.get_or_init(|| Arc::new(Templates::new(provider))))
}

/// The provider of a seed: the real one for one in 16.
pub fn provider_of(seed: u64) -> Provider {
    match mix(seed ^ 0x7e15).is_multiple_of(16) {
        true => Provider::Real,
        false => Provider::Fast,
    }
}

impl Secure {
    pub(super) fn new(seed: u64, provider: Provider) -> Secure {
        Secure {
            seed,
            templates: templates(provider),
            runs: BTreeMap::new(),
            listeners: BTreeMap::new(),
            clusters: BTreeMap::new(),
            servers: BTreeMap::new(),
            clients: BTreeMap::new(),
        }
    }

    /// What keys the randomness of peers: apart from the proxy's.
    pub(super) fn peers_seed(&self) -> u64 {
        mix(self.seed ^ 0x5ea1)
    }

    fn run(&mut self, number: u16) -> &Run {
        let (seed, templates) = (self.seed, &self.templates);
        self.runs.entry(number).or_insert_with(|| {
            let mut key = [0; 32];
            for (n, part) in (0_u64..).zip(key.chunks_exact_mut(8)) {
                let word = mix(seed ^ n << 48 ^ u64::from(number) << 24);
                part.copy_from_slice(&word.to_le_bytes());
            }
            Run::new(Arc::clone(templates), Clock::default(), key)
        })
    }

    /// What the core terminates TLS with on listener number `listener`.
    pub(super) fn listener(&mut self, listener: usize, settings: ListenerTls) -> TlsServer {
        if let Some(made) = self.listeners.get(&(listener, settings.generation)) {
            return made.clone();
        }
        let run = self.run(listener as u16);
        let all = settings.certificates.iter().map(|&which| Certificate {
            key: run.templates().certified_key(which),
            names: tls::names(which).iter().map(|&name| name.into()).collect(),
        });
        let certificates = Arc::new(Certificates::new(all.collect()));
        let mut config =
            run.server(Arc::clone(&certificates) as _, settings.auth, settings.versions);
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        let identity = identity(1, listener, settings.generation);
        let made = TlsServer { identity, config: Arc::new(config), certificates };
        self.listeners.insert((listener, settings.generation), made.clone());
        made
    }

    /// What the core speaks to the servers of a cluster with.
    pub(super) fn cluster(&mut self, cluster: usize, generation: u32) -> TlsClient {
        if let Some(made) = self.clusters.get(&(cluster, generation)) {
            return made.clone();
        }
        let certificate = (generation % 2 == 1).then_some(Which::Client);
        let options = ClientOptions { certificate, ..ClientOptions::default() };
        let mut config = self.run(SERVERS).client(options);
        config.alpn_protocols = vec![HTTP_1_1.to_vec()];
        let identity = identity(2, cluster, generation);
        let made = TlsClient { identity, config: Arc::new(config) };
        self.clusters.insert((cluster, generation), made.clone());
        made
    }

    /// What a server answers with that shows `which`.
    pub(super) fn server(&mut self, which: Which, versions: Versions) -> Arc<ServerConfig> {
        if let Some(made) = self.servers.get(&(which, versions as u8)) {
            return Arc::clone(made);
        }
        // Who lies must not be able to resume what an honest server began.
        let run = self.run(if which == Which::Backend { SERVERS } else { LIARS });
        let config = run.server_showing(which, ClientAuth::Optional, versions);
        let made = Arc::new(config);
        self.servers.insert((which, versions as u8), Arc::clone(&made));
        made
    }

    /// A client's configuration, made anew.
    pub(super) fn client(&mut self, options: ClientOptions, strict: bool, odd: bool) -> ClientTls {
        let verifier = self.templates.server_verifier();
        let mut config = self.run(CLIENTS).client(options);
        if !strict {
            config.dangerous().set_certificate_verifier(Arc::new(Lenient(verifier)));
        }
        let store = Arc::new(Store::new());
        config.resumption = Resumption::store(Arc::clone(&store) as _);
        config.alpn_protocols = match odd {
            true => vec![b"odd/9".to_vec()],
            false => vec![b"odd/9".to_vec(), HTTP_1_1.to_vec()],
        };
        ClientTls { config: Arc::new(config), store, options, is_strict: strict }
    }
}

fn identity(kind: u8, number: usize, generation: u32) -> [u8; 32] {
    let mut identity = [0; 32];
    identity[0] = kind;
    identity[1..9].copy_from_slice(&(number as u64).to_le_bytes());
    identity[9..13].copy_from_slice(&generation.to_le_bytes());
    identity
}

//! The configuration as plain data: what a driver parses a file into and hands to the core.
//!
//! [`Settings`] are fixed for a worker's life. A [`Config`] is what [`crate::Proxy::apply`]
//! replaces as one transaction. Nothing here reads a file; the runtime owns syntax and spans,
//! [`validate()`] owns meaning, so that every driver refuses the same configurations.

mod compiled;
mod timeouts;
mod tls;
pub mod validate;

pub use compiled::Compiled;
pub use timeouts::{TimeoutOverrides, Timeouts};
pub use tls::{TlsClient, TlsServer};
pub use validate::{ANSWER_STATUSES, ConfigError, Place, Problem, validate};

use crate::input::Address;
use crate::proxy_protocol::Version;
use rustls::pki_types::ServerName;
use std::net::IpAddr;
use std::time::Duration;

/// Connection attempts of one request (BACK-2).
pub const CONNECT_ATTEMPTS_MAX: u8 = 3;
/// The wait before an address that has just failed is tried again (BACK-2).
pub const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// What a worker is given at its start and keeps: its share of the process's limits (ACC-11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Live sessions at most (ACC-5).
    pub max_connections: usize,
    /// Sockets waiting in the accept queue at most (ACC-6).
    pub accept_queue_capacity: usize,
    /// How long a socket may wait in the accept queue (ACC-4).
    pub accept_queue_max_wait: Duration,
    /// Close the longest-idle keep-alive connection to make room (ACC-10).
    pub accept_queue_evict_idle: bool,
    /// Payload bytes of one pooled buffer; a request or response head must fit into one.
    pub buffer_bytes: usize,
    /// Pooled buffers at most; at least 2 (SES-5).
    pub buffers_max: usize,
    /// Period of the zombie checker (SES-4).
    pub zombie_check_interval: Duration,
    /// Oldest age of a session, if limited (SES-4).
    pub max_session_age: Option<Duration>,
    /// Whether an access record is emitted for each request.
    pub access_records: bool,
    /// Which of how many workers this is: limits of the configuration are divided by it (ACC-11).
    pub worker: (usize, usize),
}

/// The share of `total` that worker `index` of `count` gets: the remainder goes to the first ones
/// (ACC-11).
pub fn share(total: usize, index: usize, count: usize) -> usize {
    total / count + usize::from(index < total % count)
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            max_connections: 10_000,
            accept_queue_capacity: 1024,
            accept_queue_max_wait: Duration::from_secs(10),
            accept_queue_evict_idle: false,
            buffer_bytes: 16 * 1024,
            buffers_max: 20_000,
            zombie_check_interval: Duration::from_secs(60),
            max_session_age: None,
            access_records: true,
            worker: (0, 1),
        }
    }
}

/// Everything that can change while traffic flows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Config {
    /// Where to listen, in file order.
    pub listeners: Vec<Listener>,
    /// Groups of servers, in file order.
    pub clusters: Vec<Cluster>,
    /// Routes, in file order.
    pub routes: Vec<Route>,
    /// Defaults for listeners and clusters that do not override them.
    pub timeouts: Timeouts,
    /// Limits on request heads (REQ-3).
    pub limits: Limits,
    /// Peers whose X-Forwarded-* fields are believed (REQ-6).
    pub trusted_proxies: Vec<Network>,
    /// Whether RFC 7239 `Forwarded` is added to requests (REQ-6).
    pub forwarded: bool,
    /// Key of sticky cookies for servers without an `id` (BACK-8).
    pub sticky_secret: Option<Vec<u8>>,
}

/// One named listener; it may bind several addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Unique name.
    pub name: Box<str>,
    /// Addresses to bind; at least one.
    pub binds: Vec<Address>,
    /// What is spoken on it, behind the PROXY header and inside TLS where these are set.
    pub protocol: Protocol,
    /// TLS is terminated with these certificates.
    pub tls: Option<TlsServer>,
    /// Each connection begins with a PROXY header (PP-1).
    pub expect_proxy: bool,
    /// Peers whose PROXY header is believed; others are refused. All when empty.
    pub proxy_from: Vec<Network>,
    /// Live sessions of one client address at most, over all such listeners of a worker (ACC-9).
    pub max_connections_per_ip: Option<u32>,
    /// Overrides of the global timeouts.
    pub timeouts: TimeoutOverrides,
    /// Request bodies above this many bytes are refused with 413 (REQ-3).
    pub max_body: Option<u64>,
    /// A FIN after a complete request aborts it (RES-6).
    pub abort_on_close: bool,
    /// Listen backlog (RUN-7).
    pub backlog: u32,
    /// Replacements of default answers (RES-7).
    pub answers: Answers,
}

impl Listener {
    /// Whether it looks into ClientHellos for a name (TLS-5).
    pub(crate) fn sniffs(&self) -> bool {
        matches!(&self.protocol, Protocol::Tcp(forward) if !forward.sni.is_empty())
    }

    /// A listener with every default.
    pub fn new(name: &str, binds: Vec<Address>) -> Listener {
        Listener {
            name: name.into(),
            binds,
            protocol: Protocol::Http,
            tls: None,
            expect_proxy: false,
            proxy_from: Vec::new(),
            max_connections_per_ip: None,
            timeouts: TimeoutOverrides::default(),
            max_body: None,
            abort_on_close: false,
            backlog: 4096,
            answers: Answers::default(),
        }
    }
}

/// What is spoken on a listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1, routed.
    Http,
    /// Bytes, passed on as they are (TUN-1).
    Tcp(Forward),
}

/// Where a TCP listener's connections go: to one cluster, or, by the name that their ClientHello
/// asks for, to one of several; TLS is passed through then (TLS-5).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Forward {
    /// The cluster of every connection that no pattern matches; absent: such a one is closed.
    pub to: Option<Box<str>>,
    /// Clusters by name: exact before wildcard. Empty: the ClientHello is not looked at.
    pub sni: Vec<(HostPattern, Box<str>)>,
}

/// One named group of interchangeable servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Unique name.
    pub name: Box<str>,
    /// Its servers, in file order.
    pub servers: Vec<Server>,
    /// How one is chosen (BACK-1).
    pub balance: Balance,
    /// The sticky cookie's name, when sessions stick (BACK-8).
    pub sticky: Option<Box<str>>,
    /// Who may reuse an idle connection (BACK-6).
    pub reuse: Reuse,
    /// Idle connections kept per server and worker (BACK-6).
    pub idle_per_server: usize,
    /// Requests and connections that wait for a server with `max_connections`, on one worker, at
    /// most (BACK-9).
    pub queue_capacity: usize,
    /// The PROXY header that each connection to a server begins with (PP-1).
    pub send_proxy: Option<Version>,
    /// TLS to the servers (TLS-4).
    pub tls: Option<TlsClient>,
    /// Failures in a row that mark a server down (BACK-4).
    pub fall: u32,
    /// First back-off of a server that is down (BACK-4).
    pub backoff_min: Duration,
    /// Longest back-off (BACK-4).
    pub backoff_max: Duration,
    /// Overrides of the global timeouts.
    pub timeouts: TimeoutOverrides,
    /// Replacements of default answers (RES-7).
    pub answers: Answers,
}

impl Cluster {
    /// A cluster with every default.
    pub fn new(name: &str, servers: Vec<Server>) -> Cluster {
        Cluster {
            name: name.into(),
            servers,
            balance: Balance::RoundRobin,
            sticky: None,
            reuse: Reuse::Safe,
            idle_per_server: 64,
            queue_capacity: 100,
            send_proxy: None,
            tls: None,
            fall: 3,
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            timeouts: TimeoutOverrides::default(),
            answers: Answers::default(),
        }
    }
}

/// One server of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where it listens; names were resolved by the driver (RUN-10).
    pub addr: Address,
    /// Stable name, used in logs and sticky cookies.
    pub id: Option<Box<str>>,
    /// Share of the traffic, 1 to 256.
    pub weight: u32,
    /// Used only when no other can be (BACK-1).
    pub backup: bool,
    /// Administratively drained: gets no new request.
    pub drained: bool,
    /// Connections to it on one worker at most (BACK-9).
    pub max_connections: Option<u32>,
    /// The name that its certificate must have, and that is asked for (SNI), when the cluster
    /// speaks TLS; validation demands it there.
    pub tls_name: Option<ServerName<'static>>,
}

impl Server {
    /// A server with every default.
    pub fn new(addr: Address) -> Server {
        Server {
            addr,
            id: None,
            weight: 1,
            backup: false,
            drained: false,
            max_connections: None,
            tls_name: None,
        }
    }
}

/// Balancing policies (BACK-1).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Balance {
    /// Smooth weighted round-robin.
    #[default]
    RoundRobin,
    /// Random, by weight.
    Random,
    /// Fewest requests in flight for its weight.
    LeastConnections,
    /// The better of two drawn at random.
    PowerOfTwo,
    /// By the client's address: each client keeps its server, and when a server comes or goes
    /// only that one's share of the clients moves. Weights count.
    Source,
}

/// Who may reuse an idle backend connection (BACK-6).
#[derive(Copy, Clone, Debug, PartialEq, Eq, Default)]
pub enum Reuse {
    /// The session that used it, and others for idempotent methods.
    #[default]
    Safe,
    /// Only the session that used it.
    Session,
    /// Nobody: closed after each request.
    Never,
}

/// One route: what it matches and where it leads (ROUTE-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Listener that it is bound to; all when absent.
    pub listener: Option<Box<str>>,
    /// Hostname pattern.
    pub host: HostPattern,
    /// Path rule.
    pub path: PathRule,
    /// Methods; all when empty.
    pub methods: Vec<Box<str>>,
    /// Where it leads.
    pub to: Target,
    /// Fields set on the request, replacing those of the same name.
    pub set_request_headers: Vec<(Box<str>, Box<str>)>,
    /// Fields removed from the response.
    pub remove_response_headers: Vec<Box<str>>,
}

impl Route {
    /// A route of every request to `cluster`.
    pub fn to_cluster(cluster: &str) -> Route {
        Route {
            listener: None,
            host: HostPattern::Any,
            path: PathRule::Any,
            methods: Vec::new(),
            to: Target::Cluster(cluster.into()),
            set_request_headers: Vec::new(),
            remove_response_headers: Vec::new(),
        }
    }
}

/// Hostname patterns: stored in lower case, without port and trailing dot (ROUTE-3).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum HostPattern {
    /// Every host, and requests without one.
    #[default]
    Any,
    /// This host.
    Exact(Box<str>),
    /// `*.suffix`: one label in front of the suffix, which is stored without `*.`.
    Wildcard(Box<str>),
}

/// Path rules, matched after normalisation (ROUTE-3).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum PathRule {
    /// Every path.
    #[default]
    Any,
    /// This path.
    Exact(Box<str>),
    /// This path and everything below it, on segment bounds.
    Prefix(Box<str>),
    /// A regular expression, anchored at both ends.
    Regex(Box<str>),
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A cluster's name.
    Cluster(Box<str>),
    /// A redirect.
    Redirect(Redirect),
    /// A fixed answer.
    Answer(FixedAnswer),
}

/// A redirect: the request's own URL with parts replaced (ROUTE-1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 301, 302, 307 or 308.
    pub status: u16,
    /// `http` or `https`; the request's when absent.
    pub scheme: Option<Box<str>>,
    /// Host, with port if any; the request's when absent.
    pub host: Option<Box<str>>,
    /// Path and query; the request's when absent.
    pub path: Option<Box<str>>,
}

/// A fixed answer of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedAnswer {
    /// 200 to 599.
    pub status: u16,
    /// Body; the status's default one when absent.
    pub body: Option<AnswerBody>,
}

/// A replacement body, shared between versions of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerBody {
    /// The value of Content-Type.
    pub content_type: Box<str>,
    /// The body's bytes.
    pub bytes: std::sync::Arc<[u8]>,
}

/// Replacements of default answers, by status.
pub type Answers = std::collections::BTreeMap<u16, AnswerBody>;

/// An IP network.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// Its address.
    pub addr: IpAddr,
    /// Its prefix length in bits.
    pub prefix: u8,
}

impl Network {
    /// Whether `addr` lies inside; an IPv4-mapped IPv6 address counts as IPv4.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self.addr.to_canonical(), addr.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(addr)) => {
                let shift = 32 - u32::from(self.prefix.min(32));
                let mask = u32::MAX.checked_shl(shift).unwrap_or(0);
                (u32::from(net) ^ u32::from(addr)) & mask == 0
            }
            (IpAddr::V6(net), IpAddr::V6(addr)) => {
                let shift = 128 - u32::from(self.prefix.min(128));
                let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
                (u128::from(net) ^ u128::from(addr)) & mask == 0
            }
            _ => false,
        }
    }
}

/// Limits on request heads (REQ-3).
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a head, request line and final empty line included; above: 431.
    pub head_bytes: usize,
    /// Fields of a head; above: 431.
    pub fields_max: usize,
    /// Bytes of a request target; above: 414.
    pub target_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { head_bytes: 16 * 1024, fields_max: 100, target_bytes: 8 * 1024 }
    }
}

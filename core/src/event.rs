//! Facts that the core reports: access records, closes, and what deserves an operator's eye.

use crate::input::Address;
use crate::names::names;
use crate::time::Time;
use crate::tls::{TlsFacts, TlsFailure};
use std::net::SocketAddr;
use std::time::Duration;

/// Who ended an exchange or a connection.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Who {
    /// The exchange came to its regular end.
    Nobody,
    /// The client closed, reset, or sent what cannot be served.
    Client,
    /// The backend closed, reset, or sent what cannot be forwarded.
    Backend,
    /// The proxy itself: no route, no buffer, an own rule.
    Proxy,
    /// A timer (SES-3) whose name stands in [`Ending::timer`].
    Timeout,
    /// An operator: stop, drain.
    Admin,
}

/// In which phase of an exchange it ended.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// Before or inside the request head.
    RequestHead,
    /// While a backend was chosen or connected to.
    Connect,
    /// While the request was passed on.
    RequestBody,
    /// After the request, before the response head was complete.
    ResponseHead,
    /// Inside the response body.
    ResponseBody,
    /// While bytes passed both ways as they are.
    Tunnel,
    /// After the response's last byte was produced.
    Complete,
}

/// The timers of SES-3, by name.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// A connection's start until its PROXY header is complete.
    ProxyHeader,
    /// Until the TLS handshake, or a ClientHello that is passed through, is complete.
    TlsHandshake,
    /// Deadline of a whole request head.
    RequestHead,
    /// Idle between requests.
    KeepAlive,
    /// The client neither sent its body nor read.
    ClientIdle,
    /// One connection attempt.
    Connect,
    /// The pause before the address that has just failed is tried again (BACK-2).
    RetryPause,
    /// Waiting for a free connection of a limited server.
    BackendQueue,
    /// Request sent until the complete final response head.
    BackendResponse,
    /// The backend neither sent its body nor read.
    BackendIdle,
    /// Idle pooled backend connection.
    BackendKeepAlive,
    /// No byte in either direction of a tunnel.
    TunnelIdle,
    /// RES-8.
    Linger,
    /// Graceful stop begun until the session ends.
    Drain,
}

names! {
    /// The name as the configuration and the logs spell it.
    Timer {
        ProxyHeader => "proxy_header",
        TlsHandshake => "tls_handshake",
        RequestHead => "request_head",
        KeepAlive => "keep_alive",
        ClientIdle => "client_idle",
        Connect => "connect",
        RetryPause => "retry_pause",
        BackendQueue => "backend_queue",
        BackendResponse => "backend_response",
        BackendIdle => "backend_idle",
        BackendKeepAlive => "backend_keep_alive",
        TunnelIdle => "tunnel_idle",
        Linger => "linger",
        Drain => "drain",
    }
}

names! {
    /// The name that marks of simulations use.
    Who {
        Nobody => "nobody",
        Client => "client",
        Backend => "backend",
        Proxy => "proxy",
        Timeout => "timeout",
        Admin => "admin",
    }
}

names! {
    /// The name that marks of simulations use.
    Phase {
        RequestHead => "request head",
        Connect => "connect",
        RequestBody => "request body",
        ResponseHead => "response head",
        ResponseBody => "response body",
        Tunnel => "tunnel",
        Complete => "complete",
    }
}

/// How an exchange ended.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct Ending {
    /// Who ended it.
    pub who: Who,
    /// In which phase.
    pub phase: Phase,
    /// Which timer, when `who` is [`Who::Timeout`].
    pub timer: Option<Timer>,
}

/// A short text kept inline: the first bytes of something a peer sent.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct Text<const N: usize> {
    len: u16,
    cut: bool,
    bytes: [u8; N],
}

impl<const N: usize> Text<N> {
    /// An empty text.
    pub const EMPTY: Text<N> = Text { len: 0, cut: false, bytes: [0; N] };

    /// The first `N` bytes of `of`.
    pub fn set(&mut self, of: &[u8]) {
        let len = of.len().min(N);
        self.bytes[..len].copy_from_slice(&of[..len]);
        self.len = len as u16;
        self.cut = len < of.len();
    }

    /// The bytes kept.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Whether there was more.
    pub fn is_cut(&self) -> bool {
        self.cut
    }
}

impl<const N: usize> std::fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:?}{}",
            String::from_utf8_lossy(self.as_bytes()),
            if self.cut { "…" } else { "" }
        )
    }
}

/// One request, as the access log tells it.
#[derive(Clone, PartialEq, Debug)]
pub struct AccessRecord {
    /// When its first byte came; of a request that was pipelined, when its turn came; of one that
    /// sent none, when it was given up.
    pub start: Time,
    /// Serial number of the session within its worker.
    pub session: u64,
    /// Number of the request within its session, from 1.
    pub request: u32,
    /// The request id that was sent on (REQ-6), 128 bits.
    pub request_id: u128,
    /// Index of the listener in the version, absent if that version has it no more.
    pub listener: Option<u16>,
    /// Index of the route, if one matched.
    pub route: Option<u32>,
    /// Index of the cluster, if the route led to one.
    pub cluster: Option<u32>,
    /// Index of the server within its cluster, if one was chosen.
    pub server: Option<u16>,
    /// Serial number of the configuration version that the request saw: 1 is the one that the
    /// proxy was made with, and each [`apply`](crate::Proxy::apply) or
    /// [`install`](crate::Proxy::install) that succeeds makes the next.
    pub version: u64,
    /// Connection attempts made; a reused connection is none.
    pub attempts: u8,
    /// Whether the response came over a reused connection.
    pub reused: bool,
    /// The client, absent on Unix sockets.
    pub client: Option<SocketAddr>,
    /// There was no request: this is a TCP session, from its start to its end.
    pub tcp: bool,
    /// The client's TLS.
    pub tls: Option<TlsFacts>,
    /// The method as sent.
    pub method: Text<16>,
    /// The authority without port, in lower case; of a TCP session, the name in its ClientHello,
    /// where that was looked at.
    pub host: Text<64>,
    /// The target as sent.
    pub path: Text<160>,
    /// HTTP minor version of the request.
    pub minor: u8,
    /// The final status that was decided on; 0 when it did not come to that. A client that left
    /// early may not have seen it: `sent` tells.
    pub status: u16,
    /// Bytes read from the client for this request, head included.
    pub received: u64,
    /// Bytes written to the client for this request, head included.
    pub sent: u64,
    /// First byte to complete head.
    pub head: Duration,
    /// Complete head to the first connection attempt or reuse.
    pub queue: Duration,
    /// First attempt to the connection that carried the request.
    pub connect: Duration,
    /// Connection to the complete response head.
    pub wait: Duration,
    /// Response head to the end.
    pub transfer: Duration,
    /// How it ended.
    pub ending: Ending,
}

impl Default for AccessRecord {
    fn default() -> Self {
        AccessRecord {
            start: Time::ZERO,
            session: 0,
            request: 0,
            request_id: 0,
            listener: None,
            route: None,
            cluster: None,
            server: None,
            version: 0,
            attempts: 0,
            reused: false,
            client: None,
            tcp: false,
            tls: None,
            method: Text::EMPTY,
            host: Text::EMPTY,
            path: Text::EMPTY,
            minor: 1,
            status: 0,
            received: 0,
            sent: 0,
            head: Duration::ZERO,
            queue: Duration::ZERO,
            connect: Duration::ZERO,
            wait: Duration::ZERO,
            transfer: Duration::ZERO,
            ending: Ending { who: Who::Nobody, phase: Phase::Complete, timer: None },
        }
    }
}

/// A fact for the driver's logs and metrics. Events may be dropped by a driver; the core's own
/// counters ([`crate::stats`]) never are.
#[derive(Clone, PartialEq, Debug)]
#[expect(clippy::large_enum_variant, reason = "a box for each request would be an allocation")]
pub enum Event {
    /// A request ended.
    Access(AccessRecord),
    /// A server was marked down after `fall` failures in a row (BACK-4).
    ServerDown {
        /// Cluster's name.
        cluster: Box<str>,
        /// Server's address.
        addr: Address,
        /// How long it is left alone.
        backoff: Duration,
    },
    /// A probe succeeded: the server is up again.
    ServerUp {
        /// Cluster's name.
        cluster: Box<str>,
        /// Server's address.
        addr: Address,
    },
    /// Accepting pauses: the machine is short of descriptors or memory (ACC-8).
    AcceptPaused,
    /// A client's TLS handshake came to nothing (TLS-2).
    HandshakeFailed {
        /// Serial number of the session.
        session: u64,
        /// The listener's name.
        listener: Box<str>,
        /// The client, absent on Unix sockets.
        client: Option<SocketAddr>,
        /// Why.
        failure: TlsFailure,
    },
    /// The zombie checker ended a session: a bug of ours, with the session's state (SES-4).
    Zombie {
        /// Serial number of the session.
        session: u64,
        /// Its state's name.
        state: &'static str,
    },
    /// A session was found broken by our own accounting and was closed.
    Broken {
        /// Serial number of the session.
        session: u64,
        /// The state in which an illegal move was tried.
        what: &'static str,
    },
    /// A graceful stop is complete: nothing is left, or the `drain` deadline cut `cut` sessions.
    Stopped {
        /// Sessions cut by the deadline.
        cut: usize,
    },
}

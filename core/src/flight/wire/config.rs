//! Settings and configurations. What is secret or merely the operator's own text is written as
//! filler of the same length: the key of sticky cookies, values of fields that are set, bodies.

use super::{Item, Wire, wired, wired_enum};
use crate::config::*;
use crate::flight::FILLER;
use crate::input::Address;
use crate::proxy_protocol::Version;
use rustls::pki_types::ServerName;

wired!(Settings {
    max_connections,
    accept_queue_capacity,
    accept_queue_max_wait,
    accept_queue_evict_idle,
    buffer_bytes,
    buffers_max,
    zombie_check_interval,
    max_session_age,
    access_records,
    worker,
});
wired!(Listener {
    name,
    binds,
    protocol,
    expect_proxy,
    proxy_from,
    max_connections_per_ip,
    timeouts,
    max_body,
    abort_on_close,
    backlog,
    answers,
} without tls);
wired!(Forward { to, sni });
wired!(Cluster {
    name,
    servers,
    balance,
    sticky,
    reuse,
    idle_per_server,
    queue_capacity,
    send_proxy,
    fall,
    backoff_min,
    backoff_max,
    timeouts,
    answers,
} without tls);
wired!(Server { addr, id, weight, backup, drained, max_connections, tls_name });
wired!(Redirect { status, scheme, host, path });
wired!(FixedAnswer { status, body });
wired!(Network { addr, prefix });
wired!(Limits { head_bytes, fields_max, target_bytes });

wired_enum!(Address { 0 => Ip(at), 1 => Unix(path) });
wired_enum!(Protocol { 0 => Http, 1 => Tcp(forward) });
wired_enum!(Balance {
    0 => RoundRobin, 1 => Random, 2 => LeastConnections, 3 => PowerOfTwo, 4 => Source,
});
wired_enum!(Reuse { 0 => Safe, 1 => Session, 2 => Never });
wired_enum!(HostPattern { 0 => Any, 1 => Exact(host), 2 => Wildcard(suffix) });
wired_enum!(PathRule { 0 => Any, 1 => Exact(path), 2 => Prefix(path), 3 => Regex(regex) });
wired_enum!(Target { 0 => Cluster(name), 1 => Redirect(redirect), 2 => Answer(answer) });
wired_enum!(Version { 0 => V1, 1 => V2 });

impl Item for (u16, AnswerBody) {}

/// A configuration, and who in it speaks TLS: ready-made settings cannot be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The configuration, without TLS.
    pub config: Config,
    /// The listeners that terminate TLS, by index, each with what tells its settings from others.
    pub secure_listeners: Vec<(u16, u64)>,
    /// The clusters that are spoken to by TLS, likewise.
    pub secure_clusters: Vec<(u16, u64)>,
}
wired!(Stored { config, secure_listeners, secure_clusters });

impl Stored {
    /// `config`, written for a recording: a driver keeps it for as long as its sessions may be in
    /// the ring, made where it compiles a configuration. Takes some milliseconds for a large one.
    pub fn bytes_of(config: &Config) -> Vec<u8> {
        let mut out = Vec::new();
        config.put(&mut out);
        let listeners = config.listeners.iter().map(|it| it.tls.as_ref().map(|tls| tls.identity));
        secure(listeners).put(&mut out);
        let clusters = config.clusters.iter().map(|it| it.tls.as_ref().map(|tls| tls.identity));
        secure(clusters).put(&mut out);
        out
    }
}

/// Those that have TLS settings, by index, with what identifies those folded into eight bytes:
/// enough to tell them apart. It comes of certificates, and of keys that nobody can guess.
fn secure(identities: impl Iterator<Item = Option<[u8; 32]>>) -> Vec<(u16, u64)> {
    let fold = |identity: [u8; 32]| {
        let words = identity.chunks_exact(8);
        words.fold(0, |sum, word| sum ^ u64::from_le_bytes(word.try_into().expect("8 of 32")))
    };
    let of_index = |(index, it): (u16, Option<[u8; 32]>)| Some((index, fold(it?)));
    (0u16..).zip(identities).filter_map(of_index).collect()
}

fn filler(text: &str) -> Box<str> {
    char::from(FILLER).to_string().repeat(text.len()).into()
}

impl Wire for Config {
    fn put(&self, out: &mut Vec<u8>) {
        self.listeners.put(out);
        self.clusters.put(out);
        self.routes.put(out);
        self.timeouts.put(out);
        self.limits.put(out);
        self.trusted_proxies.put(out);
        self.forwarded.put(out);
        self.sticky_secret.as_ref().map(|secret| vec![FILLER; secret.len()]).put(out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        Some(Config {
            listeners: Wire::get(from)?,
            clusters: Wire::get(from)?,
            routes: Wire::get(from)?,
            timeouts: Wire::get(from)?,
            limits: Wire::get(from)?,
            trusted_proxies: Wire::get(from)?,
            forwarded: Wire::get(from)?,
            sticky_secret: Wire::get(from)?,
        })
    }
}

impl Wire for Route {
    fn put(&self, out: &mut Vec<u8>) {
        self.listener.put(out);
        self.host.put(out);
        self.path.put(out);
        self.methods.put(out);
        self.to.put(out);
        let set = self.set_request_headers.iter();
        let set: Vec<(Box<str>, Box<str>)> =
            set.map(|(name, value)| (name.clone(), filler(value))).collect();
        set.put(out);
        self.remove_response_headers.put(out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        Some(Route {
            listener: Wire::get(from)?,
            host: Wire::get(from)?,
            path: Wire::get(from)?,
            methods: Wire::get(from)?,
            to: Wire::get(from)?,
            set_request_headers: Wire::get(from)?,
            remove_response_headers: Wire::get(from)?,
        })
    }
}

impl Wire for AnswerBody {
    fn put(&self, out: &mut Vec<u8>) {
        self.content_type.put(out);
        self.bytes.len().put(out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        let content_type = Wire::get(from)?;
        let len = usize::get(from)?;
        let len = (len <= BODY_BYTES_MAX).then_some(len)?;
        Some(AnswerBody { content_type, bytes: vec![FILLER; len].into() })
    }
}

/// Bytes of a replaced answer at most: more is no recording of ours.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

impl Wire for Answers {
    fn put(&self, out: &mut Vec<u8>) {
        let all: Vec<(u16, AnswerBody)> = self.iter().map(|(k, v)| (*k, v.clone())).collect();
        all.put(out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        Some(Vec::<(u16, AnswerBody)>::get(from)?.into_iter().collect())
    }
}

impl Wire for ServerName<'static> {
    fn put(&self, out: &mut Vec<u8>) {
        Box::<str>::from(self.to_str()).put(out);
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        ServerName::try_from(String::from(Box::<str>::get(from)?)).ok()
    }
}

impl Wire for Timeouts {
    fn put(&self, out: &mut Vec<u8>) {
        let spans = Timeouts::NAMES.iter().filter_map(|name| self.get(name));
        spans.for_each(|span| span.put(out));
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        let mut all = Timeouts::default();
        for name in Timeouts::NAMES {
            all.set(name, Wire::get(from)?);
        }
        Some(all)
    }
}

impl Wire for TimeoutOverrides {
    fn put(&self, out: &mut Vec<u8>) {
        Timeouts::NAMES.iter().for_each(|name| self.get(name).put(out));
    }

    fn get(from: &mut &[u8]) -> Option<Self> {
        let mut all = TimeoutOverrides::default();
        for name in Timeouts::NAMES {
            if let Some(span) = Option::get(from)? {
                all.set(name, span);
            }
        }
        Some(all)
    }
}

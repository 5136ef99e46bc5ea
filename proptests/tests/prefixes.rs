//! Random and mutated beginnings of connections, protocol by protocol, one proxy for all of them:
//! no panic, flat memory, and good traffic in between is served (RUN-5).
//!
//! `TIDEGATE_PREFIXES=1000000 cargo test --release -p tidegate-proptests --test prefixes` makes a
//! million of each; without it there are fewer.

mod support;

use std::time::Duration;
use support::{ip, rig_of, simple_config};
use tidegate_core::config::{Config, Forward, HostPattern, Listener, Protocol, Settings};
use tidegate_core::id::SocketId;
use tidegate_core::rng::{Draw, Purpose, Seeds, Stream};
use tidegate_proptests::memory::Rig;
use tidegate_proptests::secure::Secure;
use tidegate_sim::tls::{ClientAuth, ClientOptions, Versions, Which};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n\x81\x85maskhello";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
const V1: &[u8] = b"PROXY TCP6 2001:db8::1 2001:db8::2 65535 1\r\n";
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x12\x01\x02\x03\x04\x05\x06\x07\x08\x10\x20\
    \x30\x40\xe0\0\x03abc";

/// Prefixes of each protocol by default, and how many share one look at the proxy's health.
const PREFIXES: u64 = 4_000;
const BATCH: u64 = 500;

#[expect(clippy::disallowed_methods, reason = "a test that may be told to be longer")]
fn prefixes() -> u64 {
    let wanted = std::env::var("TIDEGATE_PREFIXES").ok();
    wanted.map_or(PREFIXES, |number| number.parse().expect("a number of prefixes"))
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// One kind of connection: its proxy, what good clients of it say first, and how one is served.
struct Kind {
    rig: Rig,
    secure: Secure,
    good: Vec<Vec<u8>>,
    serve: fn(&mut Kind),
}

fn mutate(rng: &mut Stream, good: &[Vec<u8>]) -> Vec<u8> {
    if rng.below(8) == 0 {
        let length = rng.below(600);
        return (0..length).map(|_| rng.next_u64() as u8).collect();
    }
    let mut bytes = good[rng.below(good.len() as u64) as usize].clone();
    for _ in 0..rng.below(4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.below(bytes.len() as u64) as usize;
        match rng.below(6) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = [0, 1, 0x7f, 0xff, b'\r', b'\n', 22, 23][rng.below(8) as usize],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, rng.next_u64() as u8),
            4 => drop(bytes.drain(at..(at + 1 + rng.below(40) as usize).min(bytes.len()))),
            _ => {
                let other = &good[rng.below(good.len() as u64) as usize];
                bytes.splice(at..at, other.iter().copied());
            }
        }
    }
    bytes
}

/// One client: says `bytes` in some pieces, and leaves in one way or another.
fn attack(kind: &mut Kind, rng: &mut Stream, bytes: &[u8]) {
    let Kind { rig, secure, .. } = kind;
    let id = secure.lend(|| rig.connect());
    let mut rest = bytes;
    while !rest.is_empty() && rig.kernel.is_open(id) {
        let n = if rng.below(4) == 0 { 1 + rng.below(64) as usize } else { rest.len() };
        let (now, later) = rest.split_at(n.min(rest.len()));
        secure.lend(|| rig.feed(id, now));
        rest = later;
    }
    if rig.kernel.is_open(id) && rng.below(2) == 0 {
        secure.lend(|| rig.finish(id));
    }
    if rig.kernel.is_open(id) {
        secure.lend(|| rig.fail(id, tidegate_core::input::SocketError::Reset));
    }
    assert!(!rig.kernel.is_open(id), "a client that broke its connection is gone");
    let open: Vec<SocketId> = rig.kernel.open_sockets().collect();
    for back in open {
        secure.lend(|| rig.fail(back, tidegate_core::input::SocketError::Reset));
    }
}

fn run(name: &str, seed: u8, mut kind: Kind) {
    let mut rng = Seeds::new([seed; 32]).stream(Purpose::Sessions);
    let mut early = None;
    for number in 1..=prefixes() {
        let bytes = mutate(&mut rng, &kind.good);
        attack(&mut kind, &mut rng, &bytes);
        if number % BATCH == 0 {
            // Servers that were reset may be avoided for a while.
            let later = kind.rig.now.after(Duration::from_secs(120));
            kind.secure.lend(|| kind.rig.advance_to(later));
            (kind.serve)(&mut kind);
            let Kind { rig, secure, .. } = &mut kind;
            let later = rig.now.after(Duration::from_secs(120));
            secure.lend(|| rig.advance_to(later));
            assert_eq!(rig.proxy.check_invariants(), Ok(()));
            let gauges = rig.proxy.gauges();
            assert_eq!((gauges.sessions, gauges.buffers_lent, gauges.buffers_promised), (0, 0, 0));
            let counters = rig.proxy.counters();
            assert_eq!((counters.zombies, counters.broken), (0, 0), "{name}");
            early = early.or_else(|| (number >= prefixes() / 10).then(resident));
        }
    }
    let (early, late) = (early.expect("a batch"), resident());
    // Other tests of this process come and go; a leak of a byte a prefix shows in a million.
    assert!(late < early + 64 * 1024, "{name}: {early} KiB became {late}");
}

/// A good request in the clear, behind `before`.
fn serve_plain(kind: &mut Kind, before: &[u8]) {
    let rig = &mut kind.rig;
    let connected = rig.kernel.connected.len();
    let id = rig.connect();
    rig.feed(id, &[before, GET].concat());
    assert_eq!(rig.kernel.connected.len(), connected + 1, "the request reached a server");
    let back = rig.kernel.connected[connected].0;
    rig.kernel.is_observed = true;
    rig.feed(back, OK);
    assert!(rig.written(id).ends_with(b"ok"), "{:?}", rig.written(id).escape_ascii().to_string());
    // A tunnel goes on until both have said that they are done.
    for end in [id, back] {
        if rig.kernel.is_open(end) {
            rig.finish(end);
        }
    }
    forget(rig);
}

/// What was observed for one request is not kept for a million.
fn forget(rig: &mut Rig) {
    rig.kernel.is_observed = false;
    rig.kernel.closed.clear();
    rig.events.clear();
    rig.kernel.accepted.clear();
    rig.kernel.accepted_from.clear();
    rig.kernel.connected.clear();
}

fn plain(config: Config, good: Vec<Vec<u8>>, serve: fn(&mut Kind)) -> Kind {
    let mut rig = rig_of(Settings::default(), config);
    rig.kernel.is_observed = false;
    Kind { rig, secure: Secure::default(), good, serve }
}

fn tcp(forward: Forward) -> Config {
    let mut listener = Listener::new("tcp", vec![ip(8080)]);
    listener.protocol = Protocol::Tcp(forward);
    Config { listeners: vec![listener], routes: Vec::new(), ..simple_config() }
}

/// ClientHellos of all sorts.
fn hellos(secure: &mut Secure) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for versions in [Versions::Tls12, Versions::Tls13, Versions::Both] {
        for name in ["a.example", "b.example", "unknown.example"] {
            let config = secure.client(ClientOptions { versions, ..ClientOptions::default() });
            let id = SocketId::from_bits(0);
            let mut hello = Vec::new();
            secure.connect(&config, name, id).peer.take_output(&mut hello);
            all.push(hello);
        }
    }
    all
}

// RUN-5, REQ-2.
#[test]
fn http() {
    let kind = plain(simple_config(), vec![GET.to_vec()], |kind| serve_plain(kind, b""));
    run("http", 1, kind);
}

// RUN-5, TUN-3.
#[test]
fn websocket() {
    let kind = plain(simple_config(), vec![UPGRADE.to_vec()], |kind| serve_plain(kind, b""));
    run("websocket", 2, kind);
}

// RUN-5, PP-1.
#[test]
fn proxy_headers() {
    let mut config = simple_config();
    config.listeners[0].expect_proxy = true;
    let good = [V1, V2].map(|header| [header, GET].concat()).to_vec();
    run("PROXY", 3, plain(config, good, |kind| serve_plain(kind, V2)));
}

// RUN-5, TUN-1.
#[test]
fn tunnels() {
    let forward = Forward { to: Some("app".into()), sni: Vec::new() };
    let good = vec![GET.to_vec(), V2.to_vec()];
    run("tcp", 4, plain(tcp(forward), good, |kind| serve_plain(kind, b"")));
}

// RUN-5, TLS-5.
#[test]
fn names_of_passed_tls() {
    let sni = vec![(HostPattern::Exact("a.example".into()), "app".into())];
    let mut kind = plain(tcp(Forward { to: Some("app".into()), sni }), Vec::new(), |kind| {
        let hello = kind.good[0].clone();
        let rig = &mut kind.rig;
        let id = rig.connect();
        let connected = rig.kernel.connected.len();
        rig.feed(id, &hello);
        let back = rig.kernel.connected[connected].0;
        assert_eq!(rig.written(back), hello);
        rig.finish(id);
        rig.finish(back);
        forget(rig);
    });
    kind.good = hellos(&mut kind.secure);
    run("sni", 5, kind);
}

// RUN-5, TLS-2.
#[test]
fn tls() {
    let mut secure = Secure::default();
    let mut config = simple_config();
    let shown: [(Which, &[&str]); 2] = [(Which::A, &["a.example"]), (Which::B, &["b.example"])];
    config.listeners[0].tls = Some(secure.server(&shown, ClientAuth::Optional));
    let good = hellos(&mut secure);
    let mut rig = rig_of(Settings::default(), config);
    rig.kernel.is_observed = false;
    let serve = |kind: &mut Kind| {
        let Kind { rig, secure, .. } = kind;
        rig.kernel.is_observed = true;
        let id = secure.lend(|| rig.connect());
        let config = secure.client(ClientOptions::default());
        let mut client = secure.connect(&config, "a.example", id);
        let connected = rig.kernel.connected.len();
        client.say(secure, rig, GET).expect("TLS");
        let back = rig.kernel.connected[connected].0;
        secure.lend(|| rig.feed(back, OK));
        client.run(secure, rig).expect("TLS");
        assert!(client.heard().ends_with("ok"));
        forget(rig);
    };
    run("TLS", 6, Kind { rig, secure, good, serve });
}

// RUN-5, TLS-2: the handshake goes on from the client's hello, and a later flight is changed.
#[test]
fn tls_within_the_handshake() {
    let mut secure = Secure::default();
    let mut config = simple_config();
    let shown: [(Which, &[&str]); 1] = [(Which::A, &["a.example"])];
    config.listeners[0].tls = Some(secure.server(&shown, ClientAuth::Optional));
    let mut rig = rig_of(Settings::default(), config);
    rig.kernel.is_observed = false;
    let mut rng = Seeds::new([7; 32]).stream(Purpose::Sessions);
    for _ in 0..prefixes() / 4 {
        let versions = [Versions::Tls12, Versions::Tls13][rng.below(2) as usize];
        let certificate = (rng.below(2) == 0).then_some(Which::Client);
        let options = ClientOptions { versions, certificate, ..ClientOptions::default() };
        let config = secure.client(options);
        let id = secure.lend(|| rig.connect());
        let mut client = secure.connect(&config, "a.example", id);
        client.peer.send(GET);
        let (mut seen, honest) = (0, rng.below(3));
        for flight in 0..4 {
            let mut out = Vec::new();
            client.peer.take_output(&mut out);
            if flight >= honest {
                out = mutate(&mut rng, &[out]);
            }
            if out.is_empty() || !rig.kernel.is_open(id) {
                break;
            }
            secure.lend(|| rig.feed(id, &out));
            let written = rig.written(id).get(seen..).unwrap_or_default().to_vec();
            seen += written.len();
            if client.peer.receive(&written).is_err() {
                break;
            }
        }
        let open: Vec<SocketId> = rig.kernel.open_sockets().collect();
        for socket in open {
            if rig.kernel.is_open(socket) {
                secure.lend(|| rig.fail(socket, tidegate_core::input::SocketError::Reset));
            }
        }
        rig.kernel.accepted.clear();
        rig.kernel.connected.clear();
        assert_eq!(rig.proxy.check_invariants(), Ok(()));
        assert_eq!(rig.proxy.gauges().sessions, 0);
    }
}

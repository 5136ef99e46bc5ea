//! TCP, and HTTP after an upgrade.

use super::support::{ip, rig_of, simple_config};
use super::{OK, check, pass, server, tcp, text};
use std::time::Duration;
use tidegate_core::config::{Config, Server, Settings, Timeouts};
use tidegate_core::effect::Close;
use tidegate_core::event::{Phase, Timer, Who};
use tidegate_core::id::SocketId;
use tidegate_core::input::SocketError;
use tidegate_proptests::memory::{READ_CLOSED, READABLE, Rig};

const UPGRADE: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n";

fn config() -> Config {
    Config { listeners: vec![tcp(8080)], routes: Vec::new(), ..simple_config() }
}

/// A tunnel that stands: its client's socket and its server's.
fn tunnel() -> (Rig, SocketId, SocketId) {
    let mut rig = rig_of(Settings::default(), config());
    let client = rig.connect();
    let back = server(&rig);
    (rig, client, back)
}

fn ending(rig: &Rig) -> (Who, Phase, Option<Timer>) {
    let ending = rig.records().last().expect("a record").ending;
    (ending.who, ending.phase, ending.timer)
}

// TUN-1: bytes pass both ways as they are, whoever speaks first; the log counts them.
#[test]
fn bytes_pass_both_ways() {
    let (mut rig, client, back) = tunnel();
    rig.feed(back, b"220 hello\r\n");
    rig.feed(client, b"GET");
    rig.feed(back, b"more");
    assert_eq!(
        (text(&rig, client).as_str(), text(&rig, back).as_str()),
        ("220 hello\r\nmore", "GET")
    );
    assert!(rig.kernel.wire(client).kept_alive && rig.kernel.wire(back).kept_alive, "RUN-7");
    rig.finish(client);
    rig.finish(back);
    assert!(!rig.kernel.is_open(client) && !rig.kernel.is_open(back));
    let record = rig.records()[0];
    assert_eq!((record.tcp, record.received, record.sent), (true, 3, 15));
    assert_eq!(ending(&rig), (Who::Nobody, Phase::Complete, None));
    check(&rig);
}

// TUN-2: an end is passed on behind the last byte; the other way stays open.
#[test]
fn one_end_leaves_the_other_way_open() {
    let (mut rig, client, back) = tunnel();
    rig.kernel.wire(back).room = 2;
    rig.kernel.wire(client).to_proxy.extend_from_slice(b"last");
    rig.kernel.wire(client).finished = true;
    rig.proxy.ready(client, READABLE);
    rig.nudge(client, READ_CLOSED);
    assert!(!rig.kernel.wire(back).shut, "bytes are still to be passed on");
    rig.make_room(back, 100);
    assert_eq!(text(&rig, back), "last");
    assert!(rig.kernel.wire(back).shut && rig.kernel.is_open(back) && rig.kernel.is_open(client));
    rig.feed(back, b"answer");
    assert_eq!(text(&rig, client), "answer");
    rig.finish(back);
    assert!(!rig.kernel.is_open(client) && !rig.kernel.is_open(back));
    check(&rig);
}

// TUN-2, RES-2: what broke off must not look complete to the other side.
#[test]
fn a_reset_is_passed_on_as_one() {
    for from_client in [true, false] {
        let (mut rig, client, back) = tunnel();
        let (from, to) = if from_client { (client, back) } else { (back, client) };
        rig.feed(from, b"half");
        rig.fail(from, SocketError::Reset);
        assert_eq!(text(&rig, to), "half");
        assert_eq!(rig.kernel.peek(to).and_then(|wire| wire.closed), Some(Close::Reset));
        let who = if from_client { Who::Client } else { Who::Backend };
        assert_eq!(ending(&rig), (who, Phase::Tunnel, None));
        check(&rig);
    }
}

// TUN-1: a side that does not read stops the other one, and memory stays bounded.
#[test]
fn back_pressure_bounds_a_tunnel() {
    let (mut rig, client, back) = tunnel();
    rig.kernel.wire(back).room = 0;
    for _ in 0..100 {
        rig.feed(client, &[7; 100_000]);
    }
    assert!(rig.kernel.wire(client).unread() > 9_000_000);
    assert!(rig.proxy.gauges().buffers_lent <= 17);
    rig.make_room(back, usize::MAX);
    assert_eq!(rig.written(back).len(), 10_000_000);
    assert_eq!(rig.proxy.gauges().buffers_lent, 0, "SES-5: a quiet tunnel holds none");
    check(&rig);
}

// SES-3: `tunnel_idle` begins anew with each byte of either side, and closes both.
#[test]
fn a_quiet_tunnel_is_closed() {
    let (mut rig, client, back) = tunnel();
    let idle = Timeouts::default().tunnel_idle;
    pass(&mut rig, idle - Duration::from_secs(1));
    rig.feed(back, b"still here");
    pass(&mut rig, idle - Duration::from_secs(1));
    assert!(rig.kernel.is_open(client));
    pass(&mut rig, Duration::from_secs(2));
    assert!(!rig.kernel.is_open(client) && !rig.kernel.is_open(back));
    assert_eq!(ending(&rig), (Who::Timeout, Phase::Tunnel, Some(Timer::TunnelIdle)));
    check(&rig);
}

// TUN-2, RES-2: a tunnel that is cut before its last bytes is closed by a reset, and counted; one
// whose bytes have all gone out is neither.
#[test]
fn a_tunnel_that_is_cut_is_counted() {
    for is_cut in [true, false] {
        let (mut rig, client, back) = tunnel();
        rig.kernel.wire(back).room = if is_cut { 2 } else { 100 };
        rig.feed(client, b"last");
        pass(&mut rig, Timeouts::default().tunnel_idle + Duration::from_secs(1));
        let how = if is_cut { Close::Reset } else { Close::Normal };
        assert_eq!(rig.kernel.peek(back).and_then(|wire| wire.closed), Some(how));
        assert_eq!(rig.proxy.counters().truncated, u64::from(is_cut));
        check(&rig);
    }
}

// BACK-2: three attempts, each at another server where there is one; then the client is closed.
#[test]
fn tcp_tries_three_times() {
    let mut config = config();
    config.clusters[0].servers.push(Server::new(ip(9002)));
    let mut rig = rig_of(Settings::default(), config);
    rig.kernel.server.connecting = true;
    let client = rig.connect();
    rig.feed(client, b"waits");
    for attempt in 1..=3 {
        assert_eq!(rig.kernel.connected.len(), attempt);
        let back = server(&rig);
        rig.fail(back, SocketError::Refused);
        pass(&mut rig, Duration::from_millis(110));
    }
    assert_ne!(rig.kernel.connected[0].1, rig.kernel.connected[1].1);
    assert!(!rig.kernel.is_open(client));
    assert_eq!(ending(&rig), (Who::Backend, Phase::Connect, None));
    check(&rig);
}

// BACK-2: what the client said meanwhile goes to the server that is found.
#[test]
fn tcp_finds_another_server() {
    let mut rig = rig_of(Settings::default(), config());
    rig.kernel.server.connecting = true;
    let client = rig.connect();
    rig.feed(client, b"hello");
    let back = server(&rig);
    rig.fail(back, SocketError::Refused);
    pass(&mut rig, Duration::from_millis(110));
    let back = server(&rig);
    rig.establish(back);
    assert_eq!(text(&rig, back), "hello");
    check(&rig);
}

fn upgrading(config: Config) -> (Rig, SocketId, SocketId) {
    let mut rig = rig_of(Settings::default(), config);
    let client = rig.connect();
    let mut request = UPGRADE.to_vec();
    request.extend_from_slice(b"early");
    rig.feed(client, &request);
    let back = server(&rig);
    (rig, client, back)
}

// TUN-3: bytes right behind the request and the 101 are kept, in order, and wait for the 101.
#[test]
fn an_upgrade_opens_a_tunnel() {
    let (mut rig, client, back) = upgrading(simple_config());
    assert!(text(&rig, back).ends_with("\r\n\r\n"), "nothing before the 101");
    let mut answer = SWITCHED.to_vec();
    answer.extend_from_slice(b"frames");
    rig.feed(back, &answer);
    assert!(text(&rig, client).starts_with("HTTP/1.1 101 "));
    assert!(text(&rig, client).ends_with("\r\n\r\nframes"));
    assert!(text(&rig, back).ends_with("\r\n\r\nearly"));
    rig.feed(client, b" later");
    assert!(text(&rig, back).ends_with("early later"));
    rig.finish(back);
    rig.finish(client);
    let record = rig.records()[0];
    assert_eq!((record.status, record.tcp), (101, false));
    assert!(!rig.kernel.is_open(client) && !rig.kernel.is_open(back));
    check(&rig);
}

// TUN-3: an upgrade that is refused leaves the session usable; what followed is a request.
#[test]
fn a_refused_upgrade_leaves_http() {
    let mut rig = rig_of(Settings::default(), simple_config());
    let client = rig.connect();
    let mut request = UPGRADE.to_vec();
    request.extend_from_slice(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.feed(client, &request);
    let back = server(&rig);
    rig.feed(back, OK);
    assert!(text(&rig, client).ends_with("ok"));
    assert!(text(&rig, back).contains("GET /next "));
    check(&rig);
}

// RES-1: a 101 that nobody asked for is a bad response.
#[test]
fn an_unasked_upgrade_is_refused() {
    let mut rig = rig_of(Settings::default(), simple_config());
    let client = rig.connect();
    rig.feed(client, b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n");
    let back = server(&rig);
    rig.feed(back, SWITCHED);
    assert!(text(&rig, client).starts_with("HTTP/1.1 502 "));
    check(&rig);
}

// RUN-2: a graceful stop gives tunnels until `drain`.
#[test]
fn a_stop_waits_for_tunnels_until_drain() {
    let (mut rig, client, back) = tunnel();
    rig.proxy.stop();
    rig.turn();
    rig.feed(client, b"on");
    assert_eq!(text(&rig, back), "on");
    pass(&mut rig, Timeouts::default().drain * 2);
    assert!(!rig.kernel.is_open(client) && rig.proxy.is_stopped());
    assert_eq!(ending(&rig), (Who::Timeout, Phase::Tunnel, Some(Timer::Drain)));
    check(&rig);
}

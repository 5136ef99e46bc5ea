//! What went wrong once where layers meet.

use super::support::{rig_of, simple_config};
use super::{GET, OK, check, pass, server, tcp, text};
use std::time::Duration;
use tidegate_core::config::{Config, Settings, Timeouts};
use tidegate_core::effect::Close;
use tidegate_core::id::SocketId;
use tidegate_core::input::SocketError;
use tidegate_proptests::memory::Rig;
use tidegate_proptests::secure::{Secure, SecurePeer};
use tidegate_sim::tls::{ClientAuth, ClientOptions, Versions, Which};

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi";

fn to_tls_server(secure: &Secure) -> Config {
    let mut config = simple_config();
    config.clusters[0].tls = Some(secure.to_servers());
    let name = "backend.example".to_owned();
    config.clusters[0].servers[0].tls_name = Some(name.try_into().expect("a name"));
    config
}

/// A client, and a server behind it whose TLS stands and that has answered once.
fn kept(secure: &mut Secure) -> (Rig, SocketId, SecurePeer) {
    let mut rig = rig_of(Settings::default(), to_tls_server(secure));
    let client = rig.connect();
    secure.lend(|| rig.feed(client, GET));
    let settings = secure.backend(Which::Backend);
    let mut back = secure.serve(&settings, server(&rig));
    back.run(secure, &mut rig).expect("TLS");
    back.say(secure, &mut rig, OK).expect("TLS");
    assert!(text(&rig, client).ends_with("ok"));
    (rig, client, back)
}

/// The connection breaks; no event has told of it yet.
fn break_quietly(rig: &mut Rig, id: SocketId) {
    let wire = rig.kernel.wire(id);
    (wire.broken, wire.error) = (true, Some(SocketError::Reset));
}

// LOOP-5, BACK-3: records that a broken connection does not take are not tried again and again;
// the idempotent request, held whole, goes to a fresh connection.
#[test]
fn records_for_a_broken_server_are_dropped() {
    let mut secure = Secure::default();
    let (mut rig, client, back) = kept(&mut secure);
    break_quietly(&mut rig, back.id);
    secure.lend(|| rig.feed(client, GET));
    assert!(!rig.kernel.is_open(back.id));
    assert_eq!(rig.kernel.connected.len(), 2);
    check(&rig);
}

// BACK-3 (a): a request is given to the socket with the first of its records, not before.
#[test]
fn records_that_never_left_give_nothing() {
    let mut secure = Secure::default();
    let (mut rig, client, back) = kept(&mut secure);
    break_quietly(&mut rig, back.id);
    secure.lend(|| rig.feed(client, POST));
    assert_eq!(rig.kernel.connected.len(), 2, "{}", text(&rig, client));
    let settings = secure.backend(Which::Backend);
    let mut back = secure.serve(&settings, server(&rig));
    back.run(&mut secure, &mut rig).expect("TLS");
    assert!(back.heard().ends_with("\r\n\r\nhi"), "{}", back.heard());
    check(&rig);
}

// PP-1, RUN-5: what follows a PROXY header is TLS, however much of it came along.
#[test]
fn a_header_may_be_followed_by_a_large_buffer_of_tls() {
    let secure = Secure::default();
    let mut config = simple_config();
    config.listeners[0].expect_proxy = true;
    let shown: [(Which, &[&str]); 1] = [(Which::A, &["a.example"])];
    config.listeners[0].tls = Some(secure.server(&shown, ClientAuth::None));
    let settings = Settings { buffer_bytes: 64 * 1024, ..Settings::default() };
    let mut rig = rig_of(settings, config);
    let client = rig.connect();
    let mut bytes = b"PROXY TCP4 198.51.100.7 203.0.113.9 5000 443\r\n".to_vec();
    bytes.resize(60_000, 22);
    let mut secure = secure;
    secure.lend(|| rig.feed(client, &bytes));
    assert_eq!(rig.written(client)[0], 21, "an alert");
    check(&rig);
}

// RUN-5, SES-5: thousands that wait for buffers and then fail at once do so one by one.
#[test]
fn many_that_wait_for_buffers_fail_one_by_one() {
    let mut config = simple_config();
    config.listeners.push(tcp(8081));
    config.clusters[0].servers[0].drained = true;
    let settings = Settings { buffers_max: 2, max_connections: 20_000, ..Settings::default() };
    let mut rig = rig_of(settings, config);
    let first = rig.connect();
    rig.feed(first, b"GET / HTTP/1.1\r\n");
    let listener = rig.kernel.listeners[1];
    for _ in 0..10_000 {
        rig.kernel.backlog.push_back(([127, 0, 0, 1], 40_000).into());
        rig.nudge(listener, tidegate_proptests::memory::READABLE);
    }
    assert_eq!(rig.proxy.gauges().sessions, 10_001);
    rig.finish(first);
    assert_eq!(rig.proxy.gauges().sessions, 0);
    check(&rig);
}

// BACK-9: whoever comes back from the pause before another attempt finds the limit in force.
#[test]
fn the_pause_does_not_lift_the_limit() {
    let mut config = simple_config();
    config.clusters[0].servers[0].max_connections = Some(1);
    let mut rig = rig_of(Settings::default(), config);
    rig.kernel.server.connecting = true;
    let first = rig.connect();
    rig.feed(first, GET);
    let back = server(&rig);
    rig.fail(back, SocketError::Refused);
    let second = rig.connect();
    rig.feed(second, GET);
    pass(&mut rig, Duration::from_millis(120));
    assert_eq!(rig.proxy.gauges().requests_in_flight, 1);
    let back = server(&rig);
    rig.establish(back);
    rig.feed(back, OK);
    rig.feed(server(&rig), OK);
    assert!(text(&rig, first).ends_with("ok") && text(&rig, second).ends_with("ok"));
    check(&rig);
}

fn tunnel() -> (Rig, SocketId, SocketId) {
    let config = Config { listeners: vec![tcp(8080)], routes: Vec::new(), ..simple_config() };
    let mut rig = rig_of(Settings::default(), config);
    let client = rig.connect();
    let back = server(&rig);
    (rig, client, back)
}

fn tls_tunnel(secure: &mut Secure, versions: Versions, config: Config) -> (Rig, SecurePeer) {
    let mut listener = tcp(8080);
    let shown: [(Which, &[&str]); 1] = [(Which::A, &["a.example"])];
    listener.tls = Some(secure.server(&shown, ClientAuth::None));
    let config = Config { listeners: vec![listener], routes: Vec::new(), ..config };
    let mut rig = rig_of(Settings::default(), config);
    let id = secure.lend(|| rig.connect());
    let settings = secure.client(ClientOptions { versions, ..ClientOptions::default() });
    let client = secure.connect(&settings, "a.example", id);
    (rig, client)
}

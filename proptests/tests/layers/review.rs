//! What went wrong once where layers meet.

use super::support::{rig_of, simple_config};
use super::{GET, OK, check, kept_by_tls, pass, server, tcp, text, to_tls_server};
use std::time::Duration;
use tidegate_core::config::{Config, Settings, Timeouts};
use tidegate_core::effect::Close;
use tidegate_core::event::{Phase, Who};
use tidegate_core::id::SocketId;
use tidegate_core::input::SocketError;
use tidegate_core::proxy_protocol::Version;
use tidegate_proptests::memory::Rig;
use tidegate_proptests::secure::{Secure, SecurePeer};
use tidegate_sim::tls::{ClientAuth, ClientOptions, Versions, Which};

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 2\r\n\r\nhi";

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
    let (mut rig, client, back) = kept_by_tls(&mut secure);
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
    let (mut rig, client, back) = kept_by_tls(&mut secure);
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

// TUN-2, RES-2: a server that has ended and then breaks off ends the tunnel, whether the client's
// bytes or the event tell of it.
#[test]
fn a_half_closed_server_may_still_break_off() {
    for is_told in [true, false] {
        let (mut rig, client, back) = tunnel();
        rig.finish(back);
        assert!(rig.kernel.wire(client).shut && rig.kernel.is_open(client));
        if is_told {
            rig.fail(back, SocketError::Reset);
        } else {
            break_quietly(&mut rig, back);
            rig.feed(client, b"to nobody");
        }
        assert!(!rig.kernel.is_open(client) && !rig.kernel.is_open(back));
        let how = rig.kernel.peek(client).and_then(|wire| wire.closed);
        assert_eq!(how, Some(Close::Normal), "what it sent is whole");
        let ending = rig.records()[0].ending;
        assert_eq!((ending.who, ending.phase), (Who::Backend, Phase::Tunnel));
        check(&rig);
    }
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

// TUN-2, RES-2: with TLS, too, what broke off is passed on behind the last byte that came.
#[test]
fn a_break_waits_for_the_records_before_it() {
    let mut secure = Secure::default();
    let (mut rig, mut client) = tls_tunnel(&mut secure, Versions::Tls13, simple_config());
    client.run(&mut secure, &mut rig).expect("TLS");
    let back = server(&rig);
    rig.kernel.wire(client.id).room = 5;
    secure.lend(|| rig.feed(back, b"half"));
    break_quietly(&mut rig, back);
    client.peer.send(b"to nobody");
    let mut out = Vec::new();
    client.peer.take_output(&mut out);
    secure.lend(|| rig.feed(client.id, &out));
    assert!(rig.kernel.is_open(client.id));
    secure.lend(|| rig.make_room(client.id, usize::MAX));
    client.run(&mut secure, &mut rig).expect("TLS");
    assert_eq!((client.heard().as_str(), client.peer.is_whole()), ("half", false));
    assert_eq!(rig.kernel.peek(client.id).and_then(|wire| wire.closed), Some(Close::Reset));
    check(&rig);
}

// TUN-2, TLS-3: behind close_notify and FIN nothing is said any more, not even an alert.
#[test]
fn nothing_follows_a_fin() {
    for versions in [Versions::Tls12, Versions::Tls13] {
        let mut secure = Secure::default();
        let (mut rig, mut client) = tls_tunnel(&mut secure, versions, simple_config());
        client.run(&mut secure, &mut rig).expect("TLS");
        let back = server(&rig);
        secure.lend(|| rig.finish(back));
        client.run(&mut secure, &mut rig).expect("TLS");
        assert!(client.peer.is_whole() && rig.kernel.wire(client.id).shut);
        secure.lend(|| rig.feed(client.id, &[23, 3, 3, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]));
        secure.lend(|| rig.feed(client.id, &[0; 64]));
        assert!(!rig.kernel.is_open(client.id) && !rig.kernel.is_open(back));
        check(&rig);
    }
}

// SES-3, TUN-1: a TCP client that does not read while it waits for a server is closed; HTTP is
// not spoken to it, and its place in the line is free.
#[test]
fn tcp_clients_get_no_answer_in_http() {
    let mut secure = Secure::default();
    let mut config = simple_config();
    config.clusters[0].servers[0].max_connections = Some(1);
    config.timeouts.client_idle = Duration::from_secs(1);
    let (mut rig, mut first) = tls_tunnel(&mut secure, Versions::Tls12, config);
    first.run(&mut secure, &mut rig).expect("TLS");
    let id = secure.lend(|| rig.connect());
    let options = ClientOptions { versions: Versions::Tls12, ..ClientOptions::default() };
    let settings = secure.client(options);
    let mut second = secure.connect(&settings, "a.example", id);
    let mut out = Vec::new();
    second.peer.take_output(&mut out);
    secure.lend(|| rig.feed(id, &out));
    let flight = rig.written(id).to_vec();
    second.peer.receive(&flight).expect("TLS");
    rig.kernel.wire(id).room = 0;
    out.clear();
    second.peer.take_output(&mut out);
    secure.lend(|| rig.feed(id, &out));
    assert_eq!(rig.proxy.counters().backend_queued, 1);
    secure.lend(|| pass(&mut rig, Duration::from_millis(1_100)));
    assert!(!rig.kernel.is_open(id));
    check(&rig);
}

// SES-3: with TLS, too, `backend_response` runs from the request's last byte on the wire; before,
// `backend_idle` waits for the server to read.
#[test]
fn backend_response_waits_for_the_last_record() {
    let mut secure = Secure::default();
    let (mut rig, client, mut back) = kept_by_tls(&mut secure);
    rig.kernel.wire(back.id).room = 10;
    secure.lend(|| rig.feed(client, POST));
    let most = Timeouts::default().backend_response - Duration::from_secs(5);
    secure.lend(|| pass(&mut rig, most));
    secure.lend(|| rig.make_room(back.id, usize::MAX));
    secure.lend(|| pass(&mut rig, most));
    assert!(rig.kernel.is_open(back.id), "{}", text(&rig, client));
    back.run(&mut secure, &mut rig).expect("TLS");
    back.say(&mut secure, &mut rig, OK).expect("TLS");
    assert_eq!(text(&rig, client).matches("200 OK").count(), 2);
    check(&rig);
}

/// Randomness that has run out.
#[derive(Debug)]
struct Exhausted;

impl rustls::crypto::SecureRandom for Exhausted {
    fn fill(&self, _: &mut [u8]) -> Result<(), rustls::crypto::GetRandomFailed> {
        Err(rustls::crypto::GetRandomFailed)
    }
}

// TLS-4: where no TLS can be begun, nothing is said in the clear.
#[test]
fn a_request_for_tls_never_goes_in_the_clear() {
    let secure = Secure::default();
    let mut config = to_tls_server(&secure);
    let tls = config.clusters[0].tls.as_mut().expect("TLS");
    let mut provider = (**tls.config.crypto_provider()).clone();
    provider.secure_random = &Exhausted;
    let settings = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_safe_default_protocol_versions()
        .expect("both versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    tls.config = settings.into();
    let mut rig = rig_of(Settings::default(), config);
    let client = rig.connect();
    rig.feed(client, GET);
    assert!(rig.kernel.connected.iter().all(|(back, _)| rig.written(*back).is_empty()));
    assert!(text(&rig, client).starts_with("HTTP/1.1 503 "), "{}", text(&rig, client));
    check(&rig);
}

/// In front of a server that is sent a PROXY header, and TLS behind it.
fn announced_by_tls(secure: &Secure) -> Rig {
    let mut config = to_tls_server(secure);
    config.clusters[0].send_proxy = Some(Version::V1);
    rig_of(Settings::default(), config)
}

// PP-1, TLS-4: an attempt that is given up takes with it what TLS had to say first: no socket but
// one whose TLS stands hears a last word.
#[test]
fn attempts_that_are_given_up_say_nothing() {
    let mut secure = Secure::default();
    let mut rig = announced_by_tls(&secure);
    rig.kernel.connect_error = Some(SocketError::Refused);
    let client = rig.connect();
    secure.lend(|| rig.feed(client, GET));
    rig.kernel.connect_error = None;
    rig.kernel.server.connecting = true;
    secure.lend(|| pass(&mut rig, Duration::from_millis(110)));
    let back = server(&rig);
    rig.kernel.wire(back).connecting = false;
    secure.lend(|| pass(&mut rig, Timeouts::default().connect + Duration::from_millis(20)));
    assert_eq!(text(&rig, back), "", "it stands, but the proxy was not told in time");
    check(&rig);
}

// PP-1, TLS-4: where TLS fails before the PROXY header in front of it is out, its last words would
// be taken for the rest of the header. Seed 331095.
#[test]
fn no_last_words_follow_half_a_header() {
    let mut secure = Secure::default();
    let mut rig = announced_by_tls(&secure);
    rig.kernel.server.room = 8;
    let client = rig.connect();
    secure.lend(|| rig.feed(client, GET));
    let back = server(&rig);
    assert_eq!(text(&rig, back), "PROXY TC");
    // There is room again, of which nobody has told yet, and the server talks nonsense.
    rig.kernel.wire(back).room = 1000;
    secure.lend(|| rig.feed(back, b"nonsense!"));
    assert!(!rig.kernel.is_open(back));
    assert_eq!(text(&rig, back), "PROXY TC");
    check(&rig);
}

// RUN-1, RUN-2: a configuration that comes after a graceful stop has begun may lack listeners.
#[test]
fn listeners_may_go_while_a_stop_is_under_way() {
    let mut config = simple_config();
    config.listeners.push(tcp(8081));
    let settings = Settings { max_connections: 1, ..Settings::default() };
    let mut rig = rig_of(settings, config);
    let listener = rig.kernel.listeners[1];
    for _ in 0..2 {
        rig.kernel.backlog.push_back(([127, 0, 0, 1], 40_000).into());
        rig.nudge(listener, tidegate_proptests::memory::READABLE);
    }
    rig.proxy.stop();
    rig.turn();
    rig.proxy.apply(simple_config()).expect("valid");
    let first = rig.kernel.accepted[0];
    rig.fail(first, SocketError::Reset);
    assert_eq!((rig.proxy.gauges().sessions, rig.proxy.gauges().queued), (1, 0));
    pass(&mut rig, Timeouts::default().drain * 2);
    assert!(rig.proxy.is_stopped());
    check(&rig);
}

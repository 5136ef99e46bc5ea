//! TLS with clients and servers.

use super::support::{ip, rig_of, simple_config};
use super::{GET, OK, check, pass, server, tcp, text};
use std::time::Duration;
use tidegate_core::config::{Config, Listener, Server, Settings, Timeouts};
use tidegate_core::event::{Event, Phase, Timer, Who};
use tidegate_core::tls::{TlsFailure, TlsVersion};
use tidegate_proptests::memory::{READABLE, Rig};
use tidegate_proptests::secure::{Secure, SecurePeer};
use tidegate_sim::layer::Lenient;
use tidegate_sim::tls::{ClientAuth, ClientOptions, Provider, Templates, Versions, Which};

const CLOSE: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";

fn https(secure: &Secure) -> Config {
    let mut config = simple_config();
    let shown: [(Which, &[&str]); 2] =
        [(Which::A, &["a.example", "*.wild.example"]), (Which::B, &["b.example"])];
    config.listeners[0].tls = Some(secure.server(&shown, ClientAuth::None));
    config
}

fn tcp_by_tls(secure: &Secure) -> Config {
    let shown: [(Which, &[&str]); 1] = [(Which::A, &["a.example"])];
    let tls = Some(secure.server(&shown, ClientAuth::None));
    let listeners = vec![Listener { tls, ..tcp(8080) }];
    Config { listeners, routes: Vec::new(), ..simple_config() }
}

fn versions(versions: Versions) -> ClientOptions {
    ClientOptions { versions, ..ClientOptions::default() }
}

/// A rig with HTTPS in front, and a client of it with these options.
fn with_client(options: ClientOptions) -> (Secure, Rig, SecurePeer) {
    let mut secure = Secure::default();
    let mut rig = rig_of(Settings::default(), https(&secure));
    let id = secure.lend(|| rig.connect());
    let config = secure.client(options);
    let client = secure.connect(&config, "a.example", id);
    (secure, rig, client)
}

// TLS-1: a request and its answer pass, under both versions; the log knows the version and the
// name.
#[test]
fn https_serves_both_versions() {
    for (offer, agreed) in
        [(Versions::Tls12, TlsVersion::Tls12), (Versions::Tls13, TlsVersion::Tls13)]
    {
        let (mut secure, mut rig, mut client) = with_client(versions(offer));
        client.say(&mut secure, &mut rig, GET).expect("TLS");
        let back = server(&rig);
        assert!(text(&rig, back).contains("X-Forwarded-Proto: https\r\n"));
        secure.lend(|| rig.feed(back, OK));
        client.run(&mut secure, &mut rig).expect("TLS");
        assert!(client.heard().ends_with("ok"), "{}", client.heard());
        let records = rig.records();
        let facts = records[0].tls.expect("TLS");
        assert_eq!((facts.version, facts.resumed), (agreed, false));
        assert_eq!(facts.sni.as_bytes(), b"a.example");
        check(&rig);
    }
}

// ACC-10: less than a record begins no request: the connection is idle still, and makes room for a
// socket that came when its readiness let it seem busy.
#[test]
fn half_a_record_keeps_no_idle_connection() {
    let settings =
        Settings { max_connections: 1, accept_queue_evict_idle: true, ..Settings::default() };
    let mut secure = Secure::default();
    let mut rig = rig_of(settings, https(&secure));
    let id = secure.lend(|| rig.connect());
    let config = secure.client(ClientOptions::default());
    let mut client = secure.connect(&config, "a.example", id);
    client.say(&mut secure, &mut rig, GET).expect("TLS");
    let back = server(&rig);
    secure.lend(|| rig.feed(back, OK));
    client.run(&mut secure, &mut rig).expect("TLS");
    rig.kernel.wire(id).to_proxy.extend([23, 3, 3, 0, 50, 1, 2, 3]);
    rig.kernel.backlog.push_back(std::net::SocketAddr::from(([127, 0, 0, 1], 40_000)));
    rig.proxy.ready(rig.kernel.listeners[0], READABLE);
    secure.lend(|| rig.nudge(id, READABLE));
    assert!(!rig.kernel.is_open(id));
    assert_eq!((rig.proxy.gauges().queued, rig.proxy.counters().evicted), (0, 1));
    check(&rig);
}

// BACK-8: the sticky cookie of a client that came by TLS goes by TLS alone.
#[test]
fn sticky_cookies_are_secure() {
    for secured in [true, false] {
        let mut secure = Secure::default();
        let mut config = if secured { https(&secure) } else { simple_config() };
        config.clusters[0].sticky = Some("tg_app".into());
        config.clusters[0].servers[0].id = Some("one".into());
        let mut rig = rig_of(Settings::default(), config);
        let id = secure.lend(|| rig.connect());
        let settings = secure.client(ClientOptions::default());
        let heard = if secured {
            let mut client = secure.connect(&settings, "a.example", id);
            client.say(&mut secure, &mut rig, GET).expect("TLS");
            let back = server(&rig);
            secure.lend(|| rig.feed(back, OK));
            client.run(&mut secure, &mut rig).expect("TLS");
            client.heard()
        } else {
            rig.feed(id, GET);
            let back = server(&rig);
            rig.feed(back, OK);
            text(&rig, id)
        };
        assert!(heard.contains("Set-Cookie: tg_app=one; "), "{heard}");
        assert_eq!(heard.contains("; Secure\r\n"), secured, "{heard}");
        check(&rig);
    }
}

// TLS-3: the last answer is followed by close_notify, in the same write.
#[test]
fn close_notify_ends_a_connection() {
    let (mut secure, mut rig, mut client) = with_client(ClientOptions::default());
    client.say(&mut secure, &mut rig, CLOSE).expect("TLS");
    let back = server(&rig);
    let calls = rig.kernel.calls;
    secure.lend(|| rig.feed(back, OK));
    assert_eq!(rig.kernel.calls - calls, 2, "one read, one write");
    client.run(&mut secure, &mut rig).expect("TLS");
    assert!(client.peer.is_whole() && !rig.kernel.is_open(client.id));
    check(&rig);
}

// TLS-3: an idle connection that times out, too.
#[test]
fn close_notify_ends_an_idle_connection() {
    let (mut secure, mut rig, mut client) = with_client(ClientOptions::default());
    client.say(&mut secure, &mut rig, GET).expect("TLS");
    let back = server(&rig);
    secure.lend(|| rig.feed(back, OK));
    secure.lend(|| pass(&mut rig, Timeouts::default().keep_alive * 2));
    client.run(&mut secure, &mut rig).expect("TLS");
    assert!(client.peer.is_whole() && !rig.kernel.is_open(client.id));
    check(&rig);
}

// TLS-1: a client that comes back resumes, under both versions.
#[test]
fn sessions_resume() {
    for offer in [Versions::Tls12, Versions::Tls13] {
        let mut secure = Secure::default();
        let mut rig = rig_of(Settings::default(), https(&secure));
        let config = secure.client(versions(offer));
        for resumed in [false, true] {
            let id = secure.lend(|| rig.connect());
            let mut client = secure.connect(&config, "a.example", id);
            client.say(&mut secure, &mut rig, CLOSE).expect("TLS");
            let back = server(&rig);
            secure.lend(|| rig.feed(back, OK));
            client.run(&mut secure, &mut rig).expect("TLS");
            let records = rig.records();
            let facts = records.last().expect("a record").tls.expect("TLS");
            assert_eq!(facts.resumed, resumed, "{offer:?}");
        }
        assert_eq!(rig.proxy.counters().handshakes_resumed, 1);
        check(&rig);
    }
}

// TLS-1: in TLS 1.3 the tickets wait for the answer: the handshake costs one write.
#[test]
fn tickets_leave_with_the_answer() {
    let (mut secure, mut rig, mut client) = with_client(versions(Versions::Tls13));
    client.run(&mut secure, &mut rig).expect("TLS");
    let flight = rig.written(client.id).len();
    client.run(&mut secure, &mut rig).expect("TLS");
    assert_eq!(rig.written(client.id).len(), flight, "nothing but the server's flight");
    assert_eq!(rig.proxy.counters().handshakes, 1);
    check(&rig);
}

// ROUTE-5: a host that the certificate shown does not cover is misdirected.
#[test]
fn a_host_that_is_not_covered_gets_421() {
    for (sni, host, status) in [
        ("a.example", "a.example", "200"),
        ("a.example", "x.wild.example", "200"),
        ("a.example", "b.example", "421"),
        ("b.example", "b.example:8443", "200"),
        ("unknown.example", "a.example", "200"),
        ("unknown.example", "unknown.example", "421"),
        ("a.example", "x.y.wild.example", "421"),
    ] {
        let mut secure = Secure::default();
        let mut rig = rig_of(Settings::default(), https(&secure));
        let id = secure.lend(|| rig.connect());
        let mut config = (*secure.client(ClientOptions::default())).clone();
        let known = Templates::new(Provider::Fast).server_verifier();
        config.dangerous().set_certificate_verifier(std::sync::Arc::new(Lenient(known)));
        let config = std::sync::Arc::new(config);
        let mut client = secure.connect(&config, sni, id);
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        client.say(&mut secure, &mut rig, request.as_bytes()).expect("TLS");
        if let Some((back, _)) = rig.kernel.connected.last().cloned() {
            secure.lend(|| rig.feed(back, OK));
            client.run(&mut secure, &mut rig).expect("TLS");
        }
        assert_eq!(&client.heard()[9..12], status, "{sni} {host}");
        check(&rig);
    }
}

// TLS-2, RES-7: HTTP in the clear gets a 400 that its client can read.
#[test]
fn plaintext_on_a_tls_port_gets_400() {
    let secure = Secure::default();
    let mut rig = rig_of(Settings::default(), https(&secure));
    let mut secure = secure;
    let id = secure.lend(|| rig.connect());
    secure.lend(|| rig.feed(id, GET));
    assert!(text(&rig, id).starts_with("HTTP/1.1 400 "), "{}", text(&rig, id));
    let failures = rig.proxy.counters().tls_failures;
    assert_eq!(failures[TlsFailure::NotTls as usize], 1);
    // Never a body to HEAD (RES-7).
    let id = secure.lend(|| rig.connect());
    secure.lend(|| rig.feed(id, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"));
    let answer = text(&rig, id);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    check(&rig);
}

// TLS-2: what is no TLS ends in an alert, which no reset destroys; the reason is counted.
#[test]
fn garbage_gets_an_alert() {
    let mut secure = Secure::default();
    let mut rig = rig_of(Settings::default(), https(&secure));
    let id = secure.lend(|| rig.connect());
    secure.lend(|| rig.feed(id, &[22, 3, 1, 0, 4, 1, 0, 0, 0]));
    assert_eq!(rig.written(id)[0], 21, "an alert");
    assert!(rig.kernel.wire(id).shut && rig.kernel.is_open(id), "it lingers");
    pass(&mut rig, Duration::from_secs(3));
    assert!(!rig.kernel.is_open(id));
    assert_eq!(rig.proxy.counters().tls_failures[TlsFailure::Protocol as usize], 1);
    assert!(rig.events.iter().any(|event| matches!(event, Event::HandshakeFailed { .. })));
    check(&rig);
}

// SES-3: a client that stalls in its handshake is closed by `tls_handshake`, and holds no buffer.
#[test]
fn a_stalled_handshake_times_out() {
    let mut secure = Secure::default();
    let mut rig = rig_of(Settings::default(), https(&secure));
    let id = secure.lend(|| rig.connect());
    secure.lend(|| rig.feed(id, &[22, 3, 1]));
    assert_eq!(rig.proxy.gauges().buffers_lent, 0);
    secure.lend(|| pass(&mut rig, Timeouts::default().tls_handshake - Duration::from_millis(20)));
    assert!(rig.kernel.is_open(id));
    secure.lend(|| pass(&mut rig, Duration::from_millis(40)));
    assert!(!rig.kernel.is_open(id));
    assert_eq!(rig.proxy.counters().tls_failures[TlsFailure::TimedOut as usize], 1);
    check(&rig);
}

// TLS-2: whoever has no certificate where one is demanded is refused, and told by an alert.
#[test]
fn client_certificates_are_demanded() {
    for (certificate, served) in
        [(None, false), (Some(Which::Stranger), false), (Some(Which::Client), true)]
    {
        let mut secure = Secure::default();
        let mut config = https(&secure);
        let shown: [(Which, &[&str]); 1] = [(Which::A, &["a.example"])];
        config.listeners[0].tls = Some(secure.server(&shown, ClientAuth::Required));
        let mut rig = rig_of(Settings::default(), config);
        let id = secure.lend(|| rig.connect());
        let options = ClientOptions { certificate, ..ClientOptions::default() };
        let settings = secure.client(options);
        let mut client = secure.connect(&settings, "a.example", id);
        let said = client.say(&mut secure, &mut rig, GET);
        assert_eq!(said.is_ok(), served, "{certificate:?}: {said:?}");
        assert_eq!(!rig.kernel.connected.is_empty(), served);
        let failures = rig.proxy.counters().tls_failures;
        assert_eq!(failures[TlsFailure::Certificate as usize], u64::from(!served));
        check(&rig);
    }
}

fn to_tls_servers(secure: &Secure, name: &str) -> Config {
    let mut config = simple_config();
    config.clusters[0].tls = Some(secure.to_servers());
    config.clusters[0].servers = vec![Server::new(ip(9001)), Server::new(ip(9002))];
    for server in &mut config.clusters[0].servers {
        server.tls_name = Some(name.to_owned().try_into().expect("a name"));
    }
    config
}

// TLS-4: a request goes to a server by TLS, and the connection is used again.
#[test]
fn servers_are_spoken_to_by_tls() {
    let mut secure = Secure::default();
    let mut config = to_tls_servers(&secure, "backend.example");
    config.clusters[0].servers.truncate(1);
    let mut rig = rig_of(Settings::default(), config);
    let client = rig.connect();
    secure.lend(|| rig.feed(client, GET));
    let settings = secure.backend(Which::Backend);
    let mut back = secure.serve(&settings, server(&rig));
    for round in 1..=2 {
        back.run(&mut secure, &mut rig).expect("TLS");
        assert_eq!(rig.kernel.connected.len(), 1, "{:?}", rig.proxy.counters());
        assert_eq!(back.heard().matches("GET / HTTP/1.1").count(), round);
        back.say(&mut secure, &mut rig, OK).expect("TLS");
        assert_eq!(text(&rig, client).matches("200 OK").count(), round);
        secure.lend(|| rig.feed(client, GET));
    }
    assert_eq!(rig.kernel.connected.len(), 1);
    check(&rig);
}

// TLS-4, BACK-2: a server whose certificate has another name gets no byte of the request.
#[test]
fn a_server_with_another_name_is_not_trusted() {
    let mut secure = Secure::default();
    let mut rig = rig_of(Settings::default(), to_tls_servers(&secure, "other.example"));
    let client = rig.connect();
    secure.lend(|| rig.feed(client, GET));
    let settings = secure.backend(Which::Backend);
    for _ in 0..3 {
        let mut back = secure.serve(&settings, server(&rig));
        assert!(back.run(&mut secure, &mut rig).is_err(), "an alert");
        assert_eq!(back.heard(), "");
        secure.lend(|| pass(&mut rig, Duration::from_millis(200)));
    }
    assert!(text(&rig, client).starts_with("HTTP/1.1 503 "));
    check(&rig);
}

// TLS-3, RES-2: a body that ends with its connection is whole only after close_notify.
#[test]
fn a_truncated_body_is_not_passed_off_as_whole() {
    for is_whole in [true, false] {
        let mut secure = Secure::default();
        let mut rig = rig_of(Settings::default(), to_tls_servers(&secure, "backend.example"));
        let client = rig.connect();
        secure.lend(|| rig.feed(client, GET));
        let settings = secure.backend(Which::Backend);
        let mut back = secure.serve(&settings, server(&rig));
        back.run(&mut secure, &mut rig).expect("TLS");
        back.say(&mut secure, &mut rig, b"HTTP/1.1 200 OK\r\n\r\nhalf").expect("TLS");
        if is_whole {
            back.peer.close();
            back.run(&mut secure, &mut rig).expect("TLS");
        } else {
            secure.lend(|| rig.finish(back.id));
        }
        assert_eq!(text(&rig, client).ends_with("0\r\n\r\n"), is_whole);
        check(&rig);
    }
}

// TLS-1: a record that was tampered with ends its own connection, and no other.
#[test]
fn a_flipped_bit_ends_one_connection() {
    let (mut secure, mut rig, mut client) = with_client(ClientOptions::default());
    client.run(&mut secure, &mut rig).expect("TLS");
    client.peer.send(GET);
    let mut out = Vec::new();
    client.peer.take_output(&mut out);
    *out.last_mut().expect("a record") ^= 1;
    secure.lend(|| rig.feed(client.id, &out));
    assert!(!rig.kernel.is_open(client.id));
    assert!(rig.kernel.connected.is_empty());
    assert!(client.run(&mut secure, &mut rig).is_err(), "an alert");
    check(&rig);
}

// REQ-9, TLS: large bodies pass both ways through small windows, byte for byte.
#[test]
fn large_bodies_pass_in_any_pieces() {
    let (mut secure, mut rig, mut client) = with_client(ClientOptions::default());
    let body: Vec<u8> = (0..300_000u32).map(|n| (n * 7 % 251) as u8).collect();
    let head =
        format!("POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: {}\r\n\r\n", body.len());
    rig.kernel.server.read_max = 10_000;
    client.run(&mut secure, &mut rig).expect("TLS");
    rig.kernel.wire(client.id).read_max = 1_000;
    rig.kernel.wire(client.id).write_max = 3_000;
    client.peer.send(head.as_bytes());
    client.say(&mut secure, &mut rig, &body).expect("TLS");
    let back = server(&rig);
    assert!(rig.written(back).ends_with(&body));
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    secure.lend(|| rig.feed(back, answer.as_bytes()));
    secure.lend(|| rig.feed(back, &body));
    client.run(&mut secure, &mut rig).expect("TLS");
    assert!(client.peer.received().ends_with(&body));
    assert_eq!(rig.records()[0].sent as usize, client.peer.received().len());
    check(&rig);
}

// SES-3: a TCP client by TLS 1.2 that does not read the end of the handshake is closed by
// `client_idle` while a server is looked for, and the log says where it was.
#[test]
fn a_tcp_client_that_reads_no_end_of_its_handshake_is_closed_while_connecting() {
    let mut secure = Secure::default();
    let (connect, client_idle) = (Duration::from_secs(100), Duration::from_secs(60));
    let timeouts = Timeouts { connect, client_idle, ..Timeouts::default() };
    let mut rig = rig_of(Settings::default(), Config { timeouts, ..tcp_by_tls(&secure) });
    rig.kernel.server.connecting = true;
    let id = secure.lend(|| rig.connect());
    let offer = secure.client(versions(Versions::Tls12));
    let mut client = secure.connect(&offer, "a.example", id);
    let mut out = Vec::new();
    client.peer.take_output(&mut out);
    secure.lend(|| rig.feed(id, &out));
    client.peer.receive(rig.written(id)).expect("the server's flight");
    rig.kernel.wire(id).room = 0;
    out.clear();
    client.peer.take_output(&mut out);
    secure.lend(|| rig.feed(id, &out));
    secure.lend(|| pass(&mut rig, client_idle + Duration::from_millis(20)));
    let ending = rig.records().last().expect("a record").ending;
    let is = (ending.who, ending.phase, ending.timer);
    assert_eq!(is, (Who::Timeout, Phase::Connect, Some(Timer::ClientIdle)));
    assert!(!rig.kernel.is_open(id));
    check(&rig);
}

// TLS-3: nothing is said behind close_notify, not even the alert that a bad record wants, though what
// was owed before it is still here. Seed 1075091861.
#[test]
fn no_alert_follows_close_notify() {
    let mut secure = Secure::default();
    let mut rig = rig_of(Settings::default(), tcp_by_tls(&secure));
    let id = secure.lend(|| rig.connect());
    let offer = secure.client(ClientOptions::default());
    let mut client = secure.connect(&offer, "a.example", id);
    client.say(&mut secure, &mut rig, b"hello").expect("TLS");
    let back = server(&rig);
    rig.kernel.wire(id).room = 0;
    secure.lend(|| rig.feed(back, b"bye"));
    secure.lend(|| rig.finish(back));
    assert!(rig.kernel.is_open(id), "the answer waits for room, and close_notify behind it");
    // There is room, of which the proxy was not told yet.
    rig.kernel.wire(id).room = 10_000;
    let before = rig.written(id).len();
    client.peer.send(b"more");
    let mut out = Vec::new();
    client.peer.take_output(&mut out);
    *out.last_mut().expect("a record") ^= 1;
    secure.lend(|| rig.feed(id, &out));
    assert!(!rig.kernel.is_open(id));
    assert_eq!(rig.written(id).len(), before);
    check(&rig);
}

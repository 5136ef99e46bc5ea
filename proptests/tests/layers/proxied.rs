//! PROXY headers from clients' proxies and for servers.

use super::support::{ip, rig_of, simple_config};
use super::{GET, OK, check, pass, server, tcp, text};
use std::net::SocketAddr;
use std::time::Duration;
use tidegate_core::config::{Config, Network, Server, Settings, Timeouts};
use tidegate_core::proxy_protocol::Version;
use tidegate_proptests::memory::Rig;
use tidegate_proptests::secure::Secure;
use tidegate_sim::tls::{ClientAuth, ClientOptions, Which};

const HEADER: &[u8] = b"PROXY TCP4 198.51.100.7 203.0.113.9 5000 443\r\n";

fn expecting() -> Config {
    let mut config = simple_config();
    config.listeners[0].expect_proxy = true;
    config
}

fn announced() -> Option<SocketAddr> {
    Some(SocketAddr::from(([198, 51, 100, 7], 5000)))
}

// PP-1: a header in any number of reads, followed by anything; its address is the client's.
#[test]
fn a_header_may_be_cut_anywhere() {
    let all = [HEADER, GET].concat();
    for cut in 1..all.len() {
        let mut rig = rig_of(Settings::default(), expecting());
        let client = rig.connect();
        rig.feed(client, &all[..cut]);
        rig.feed(client, &all[cut..]);
        let back = server(&rig);
        assert!(text(&rig, back).contains("X-Forwarded-For: 198.51.100.7\r\n"), "cut at {cut}");
        rig.feed(back, OK);
        assert!(text(&rig, client).ends_with("ok"), "cut at {cut}");
        let record = rig.records()[0];
        assert_eq!((record.client, record.received), (announced(), GET.len() as u64));
        check(&rig);
    }
}

// PP-1: a malformed or missing header closes; one from outside `proxy_protocol_from` is refused.
#[test]
fn bad_headers_close() {
    let mut rig = rig_of(Settings::default(), expecting());
    let client = rig.connect();
    rig.feed(client, GET);
    assert!(!rig.kernel.is_open(client) && rig.written(client).is_empty());
    assert_eq!(rig.proxy.counters().proxy_malformed, 1);
    let mut config = expecting();
    config.listeners[0].proxy_from = vec![Network { addr: [10, 0, 0, 0].into(), prefix: 8 }];
    let mut rig = rig_of(Settings::default(), config);
    let client = rig.connect();
    assert!(!rig.kernel.is_open(client));
    assert_eq!(rig.proxy.counters().proxy_refused, 1);
    check(&rig);
}

// SES-3: `proxy_header` is a deadline.
#[test]
fn a_header_that_does_not_come_times_out() {
    let mut rig = rig_of(Settings::default(), expecting());
    let client = rig.connect();
    rig.feed(client, b"PROXY TCP4 ");
    pass(&mut rig, Timeouts::default().proxy_header + Duration::from_millis(20));
    assert!(!rig.kernel.is_open(client));
    assert_eq!(rig.proxy.counters().proxy_timed_out, 1);
    check(&rig);
}

fn announcing(version: Version) -> Config {
    let mut config = simple_config();
    config.clusters[0].send_proxy = Some(version);
    config
}

fn heard(rig: &Rig) -> String {
    text(rig, server(rig))
}

// PP-1: the header goes first, once; the address is the client's own, or the announced one.
#[test]
fn servers_are_told_the_client() {
    let mut rig = rig_of(Settings::default(), announcing(Version::V1));
    let client = rig.connect();
    rig.feed(client, GET);
    let told = "PROXY TCP4 127.0.0.1 127.0.0.1 40000 8080\r\nGET / HTTP/1.1\r\n";
    assert!(heard(&rig).starts_with(told), "{}", heard(&rig));
    let back = server(&rig);
    rig.feed(back, OK);
    rig.feed(client, GET);
    assert_eq!(
        (heard(&rig).matches("PROXY").count(), heard(&rig).matches("GET /").count()),
        (1, 2)
    );
    let mut config = announcing(Version::V1);
    config.listeners[0].expect_proxy = true;
    let mut rig = rig_of(Settings::default(), config);
    let client = rig.connect();
    rig.feed(client, &[HEADER, GET].concat());
    assert!(heard(&rig).as_bytes().starts_with(HEADER), "{}", heard(&rig));
    check(&rig);
}

// PP-1: a listener on all addresses asks for the one that the client came to.
#[test]
fn the_local_address_is_asked_for_where_it_is_not_known() {
    let mut config = announcing(Version::V1);
    config.listeners[0].binds = vec!["0.0.0.0:8080".parse().map(super::super_ip).expect("one")];
    let mut rig = rig_of(Settings::default(), config);
    let client = rig.connect();
    rig.feed(client, GET);
    assert!(heard(&rig).starts_with("PROXY TCP4 127.0.0.1 192.0.2.1 40000 8443\r\n"));
    check(&rig);
}

// PP-1, RUN-1: a client that came before servers were to be told of it is announced all the same.
// Seed 710452.
#[test]
fn a_reload_may_begin_to_announce_who_is_there() {
    let on_all = |mut config: Config| {
        config.listeners[0].binds = vec!["0.0.0.0:8080".parse().map(super::super_ip).expect("one")];
        config
    };
    let mut rig = rig_of(Settings::default(), on_all(simple_config()));
    let client = rig.connect();
    rig.proxy.apply(on_all(announcing(Version::V1))).expect("valid");
    rig.feed(client, GET);
    assert!(heard(&rig).starts_with("PROXY TCP4 127.0.0.1 192.0.2.1 40000 8443\r\n"));
    check(&rig);
}

// BACK-6: a connection that announced one client does not carry another's requests.
#[test]
fn announced_connections_are_not_shared() {
    let mut rig = rig_of(Settings::default(), announcing(Version::V2));
    for _ in 0..2 {
        let client = rig.connect();
        rig.feed(client, GET);
        let back = server(&rig);
        rig.feed(back, OK);
        assert!(text(&rig, client).ends_with("ok"));
    }
    assert_eq!(rig.kernel.connected.len(), 2);
    check(&rig);
}

// PP-1: TLVs are passed on in version 2, to TCP servers too, and again to each attempt.
#[test]
fn tlvs_are_relayed() {
    let mut config = announcing(Version::V2);
    let mut listener = tcp(8080);
    listener.expect_proxy = true;
    (config.listeners, config.routes) = (vec![listener], Vec::new());
    config.clusters[0].servers.push(Server::new(ip(9002)));
    let mut rig = rig_of(Settings::default(), config);
    rig.kernel.server.connecting = true;
    let client = rig.connect();
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x12".to_vec();
    header.extend_from_slice(&[198, 51, 100, 7, 203, 0, 113, 9, 0x13, 0x88, 1, 0xbb]);
    header.extend_from_slice(&[0xe0, 0, 3, b'a', b'b', b'c']);
    rig.feed(client, &[&header[..], b"data"].concat());
    let first = server(&rig);
    rig.fail(first, tidegate_core::input::SocketError::Refused);
    let back = server(&rig);
    assert_ne!(back, first);
    rig.establish(back);
    assert_eq!(rig.written(back), [&header[..], b"data"].concat());
    check(&rig);
}

// PP-1, TLS-1: TLS behind a header, in one segment with it.
#[test]
fn tls_follows_a_header() {
    let mut secure = Secure::default();
    let mut config = expecting();
    let shown: [(Which, &[&str]); 1] = [(Which::A, &["a.example"])];
    config.listeners[0].tls = Some(secure.server(&shown, ClientAuth::None));
    let mut rig = rig_of(Settings::default(), config);
    let id = secure.lend(|| rig.connect());
    let settings = secure.client(ClientOptions::default());
    let mut client = secure.connect(&settings, "a.example", id);
    let mut first = HEADER.to_vec();
    client.peer.take_output(&mut first);
    secure.lend(|| rig.feed(id, &first));
    client.say(&mut secure, &mut rig, GET).expect("TLS");
    assert!(heard(&rig).contains("X-Forwarded-For: 198.51.100.7\r\n"));
    check(&rig);
}

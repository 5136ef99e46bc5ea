//! Limits of servers, of client addresses, and TLS that is passed through by name.

use super::support::{ip, rig_of, simple_config};
use super::{GET, OK, check, pass, server, tcp, text};
use std::time::Duration;
use tidegate_core::config::{
    Cluster, Config, Forward, HostPattern, Protocol, Server, Settings, Timeouts,
};
use tidegate_core::event::{Timer, Who};
use tidegate_core::id::SocketId;
use tidegate_proptests::memory::Rig;
use tidegate_proptests::secure::Secure;
use tidegate_sim::tls::{ClientOptions, Versions};

fn limited(max: u32, queue: usize) -> Config {
    let mut config = simple_config();
    config.clusters[0].servers[0].max_connections = Some(max);
    config.clusters[0].queue_capacity = queue;
    config
}

fn ask(rig: &mut Rig) -> SocketId {
    let client = rig.connect();
    rig.feed(client, GET);
    client
}

fn status(rig: &Rig, client: SocketId) -> String {
    text(rig, client).chars().skip(9).take(3).collect()
}

// BACK-9: no more connections than the limit; who waits is served first in, first out; a full
// line is a 503.
#[test]
fn a_limited_server_has_a_line_in_front() {
    let mut rig = rig_of(Settings::default(), limited(1, 2));
    let clients = [(); 4].map(|()| ask(&mut rig));
    assert_eq!(rig.kernel.connected.len(), 1);
    assert_eq!(status(&rig, clients[3]), "503");
    for client in &clients[..3] {
        assert_eq!(rig.proxy.gauges().backend_connections, 1);
        let back = server(&rig);
        rig.feed(back, OK);
        assert_eq!(status(&rig, *client), "200");
        check(&rig);
    }
    assert_eq!(rig.proxy.counters().backend_queued, 2);
}

// SES-3, BACK-9: `backend_queue` ends the waiting by a 503, and the place is free again.
#[test]
fn waiting_ends_by_backend_queue() {
    let mut rig = rig_of(Settings::default(), limited(1, 1));
    let first = ask(&mut rig);
    let waits = ask(&mut rig);
    pass(&mut rig, Timeouts::default().backend_queue + Duration::from_millis(20));
    assert_eq!((status(&rig, waits).as_str(), status(&rig, first).as_str()), ("503", ""));
    let ending = rig.records()[0].ending;
    assert_eq!((ending.who, ending.timer), (Who::Timeout, Some(Timer::BackendQueue)));
    let again = ask(&mut rig);
    let back = server(&rig);
    rig.feed(back, OK);
    rig.feed(back, OK);
    assert_eq!(status(&rig, again), "200");
    check(&rig);
}

// BACK-9: a client that leaves takes its place in the line with it.
#[test]
fn a_client_that_leaves_leaves_the_line() {
    let mut rig = rig_of(Settings::default(), limited(1, 1));
    let _first = ask(&mut rig);
    let waits = ask(&mut rig);
    rig.fail(waits, tidegate_core::input::SocketError::Reset);
    let again = ask(&mut rig);
    assert_eq!(status(&rig, again), "", "it waits");
    check(&rig);
}

// BACK-9: idle connections count: one of another session's makes room for a new one.
#[test]
fn an_idle_connection_makes_room() {
    let mut config = limited(1, 1);
    config.clusters[0].reuse = tidegate_core::config::Reuse::Session;
    let mut rig = rig_of(Settings::default(), config);
    for _ in 0..2 {
        let client = ask(&mut rig);
        assert_eq!(rig.proxy.gauges().backend_connections, 1);
        let back = server(&rig);
        rig.feed(back, OK);
        assert_eq!(status(&rig, client), "200");
    }
    assert_eq!(rig.kernel.connected.len(), 2);
    check(&rig);
}

// BACK-9: a limit that comes when more connections are idle has them closed, all that are too many.
// Seed 9448.
#[test]
fn a_lowered_limit_closes_what_is_idle() {
    let mut config = limited(8, 1);
    config.clusters[0].reuse = tidegate_core::config::Reuse::Session;
    let mut rig = rig_of(Settings::default(), config.clone());
    let clients = [(); 3].map(|()| ask(&mut rig));
    for (back, _) in rig.kernel.connected.clone() {
        rig.feed(back, OK);
    }
    assert!(clients.iter().all(|client| status(&rig, *client) == "200"));
    assert_eq!(rig.proxy.gauges().backend_connections, 3);
    config.clusters[0].servers[0].max_connections = Some(1);
    rig.proxy.apply(config).expect("a good configuration");
    let client = ask(&mut rig);
    assert_eq!(rig.proxy.gauges().backend_connections, 1);
    let back = server(&rig);
    rig.feed(back, OK);
    assert_eq!(status(&rig, client), "200");
    check(&rig);
}

// BACK-1, RUN-1: turns are counted in the weights of today. A server that owed hundreds of turns to
// one of 256 times its weight owes nothing to its equal. Seed 267173.
#[test]
fn turns_begin_anew_with_other_weights() {
    let mut config = simple_config();
    config.clusters[0].reuse = tidegate_core::config::Reuse::Never;
    config.clusters[0].servers.push(Server::new(ip(9002)));
    config.clusters[0].servers[0].weight = 256;
    let mut rig = rig_of(Settings::default(), config.clone());
    let asked_of = |rig: &mut Rig, times: usize| {
        let before = rig.kernel.connected.len();
        for _ in 0..times {
            let client = ask(rig);
            let back = server(rig);
            rig.feed(back, OK);
            assert_eq!(status(rig, client), "200");
        }
        let new = &rig.kernel.connected[before..];
        new.iter().filter(|(_, to)| *to == ip(9002)).count()
    };
    // Until the light one has had its turn: it owes the heavy one 256 now.
    assert_eq!(asked_of(&mut rig, 129), 1);
    config.clusters[0].servers[0].weight = 1;
    rig.proxy.apply(config).expect("a good configuration");
    assert_eq!(asked_of(&mut rig, 8), 4);
    check(&rig);
}

// BACK-9, TUN-1: a TCP session waits, too, and is closed when that takes too long.
#[test]
fn tcp_waits_in_line() {
    let mut config = limited(1, 1);
    (config.listeners, config.routes) = (vec![tcp(8080)], Vec::new());
    let mut rig = rig_of(Settings::default(), config);
    let first = rig.connect();
    let back = server(&rig);
    let waits = rig.connect();
    rig.feed(waits, b"hello");
    assert_eq!(rig.kernel.connected.len(), 1);
    rig.finish(first);
    rig.finish(back);
    assert_eq!(text(&rig, server(&rig)), "hello");
    let too_long = rig.connect();
    pass(&mut rig, Timeouts::default().backend_queue + Duration::from_millis(20));
    assert!(!rig.kernel.is_open(too_long) && rig.kernel.is_open(waits));
    check(&rig);
}

// ACC-9: over the limit of its address a client gets 429 with Retry-After; a place that is free
// is given again.
#[test]
fn an_address_has_so_many_sessions() {
    let mut config = simple_config();
    config.listeners[0].max_connections_per_ip = Some(1);
    let mut rig = rig_of(Settings::default(), config);
    let first = rig.connect();
    let second = ask(&mut rig);
    assert_eq!(status(&rig, second), "429");
    assert!(text(&rig, second).contains("Retry-After: 1\r\n"));
    assert!(!rig.kernel.is_open(second) && rig.kernel.is_open(first));
    rig.finish(first);
    let third = ask(&mut rig);
    let back = server(&rig);
    rig.feed(back, OK);
    assert_eq!(status(&rig, third), "200");
    check(&rig);
}

// ACC-9: TCP is closed.
#[test]
fn tcp_over_the_limit_is_closed() {
    let mut listener = tcp(8080);
    listener.max_connections_per_ip = Some(1);
    let config = Config { listeners: vec![listener], routes: Vec::new(), ..simple_config() };
    let mut rig = rig_of(Settings::default(), config);
    let first = rig.connect();
    let second = rig.connect();
    assert!(rig.kernel.is_open(first) && !rig.kernel.is_open(second));
    check(&rig);
}

// TLS-5: the name in the ClientHello chooses the cluster, in any cuts; not a byte is changed.
#[test]
fn tls_is_passed_through_by_name() {
    let mut listener = tcp(8080);
    let sni = vec![
        (HostPattern::Exact("b.example".into()), "b".into()),
        (HostPattern::Wildcard("wild.example".into()), "b".into()),
    ];
    listener.protocol = Protocol::Tcp(Forward { to: Some("app".into()), sni });
    let mut config = Config { listeners: vec![listener], routes: Vec::new(), ..simple_config() };
    config.clusters.push(Cluster::new("b", vec![Server::new(ip(9009))]));
    let mut secure = Secure::default();
    for versions in [Versions::Tls12, Versions::Tls13] {
        let settings = secure.client(ClientOptions { versions, ..ClientOptions::default() });
        for (name, port) in
            [("b.example", 9009), ("x.wild.example", 9009), ("wild.example", 9001), ("c.d", 9001)]
        {
            let mut rig = rig_of(Settings::default(), config.clone());
            let id = rig.connect();
            let mut hello = Vec::new();
            secure.connect(&settings, name, id).peer.take_output(&mut hello);
            for cut in hello.chunks(7) {
                assert!(rig.kernel.connected.is_empty());
                rig.feed(id, cut);
            }
            assert_eq!(rig.kernel.connected[0].1, ip(port), "{name}");
            assert_eq!(rig.written(server(&rig)), hello);
            check(&rig);
        }
    }
}

// TLS-5: what is no TLS on such a listener is closed.
#[test]
fn passing_through_refuses_what_is_no_tls() {
    let mut listener = tcp(8080);
    let sni = vec![(HostPattern::Exact("b.example".into()), "app".into())];
    listener.protocol = Protocol::Tcp(Forward { to: None, sni });
    let config = Config { listeners: vec![listener], routes: Vec::new(), ..simple_config() };
    let mut rig = rig_of(Settings::default(), config);
    let client = ask(&mut rig);
    assert!(!rig.kernel.is_open(client) && rig.kernel.connected.is_empty());
    check(&rig);
}

// BACK-9, BACK-4: the end of a back-off serves who waits, and nobody new overtakes them.
#[test]
fn a_back_off_that_ends_serves_the_line() {
    let mut config = limited(1, 4);
    let mut other = Server::new(ip(9002));
    other.max_connections = Some(1);
    config.clusters[0].servers.push(other);
    config.clusters[0].fall = 1;
    config.clusters[0].backoff_min = Duration::from_secs(1);
    config.clusters[0].backoff_max = Duration::from_secs(1);
    let mut rig = rig_of(Settings::default(), config);
    let busy = ask(&mut rig);
    let serving = server(&rig);
    let broken = ask(&mut rig);
    let dead = server(&rig);
    rig.fail(dead, tidegate_core::input::SocketError::Reset);
    assert_eq!(status(&rig, broken), "", "it waits for the server that has not failed it");
    let waits = ask(&mut rig);
    let connected = rig.kernel.connected.len();
    pass(&mut rig, Duration::from_millis(1_100));
    assert_eq!(rig.kernel.connected.len(), connected + 1, "whoever may probes");
    let probe = server(&rig);
    rig.feed(probe, OK);
    assert_eq!(status(&rig, waits), "200");
    rig.feed(serving, OK);
    assert_eq!(status(&rig, busy), "200");
    rig.feed(serving, OK);
    assert_eq!(status(&rig, broken), "200");
    check(&rig);
}

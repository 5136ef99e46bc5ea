//! What lies below HTTP and beside it, each rule as a short story: TLS, TCP, WebSocket, PROXY
//! headers, limits.

#[path = "layers/limits.rs"]
mod limits;
#[path = "layers/owed.rs"]
mod owed;
#[path = "layers/proxied.rs"]
mod proxied;
#[path = "layers/review.rs"]
mod review;
#[path = "layers/secured.rs"]
mod secured;
mod support;
#[path = "layers/tunnels.rs"]
mod tunnels;

use std::time::Duration;
use tidegate_core::config::{Config, Forward, Listener, Protocol, Settings};
use tidegate_core::id::SocketId;
use tidegate_proptests::memory::Rig;
use tidegate_proptests::secure::{Secure, SecurePeer};
use tidegate_sim::tls::Which;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A TCP listener that leads to the cluster `app`.
fn tcp(port: u16) -> Listener {
    let mut listener = Listener::new("tcp", vec![support::ip(port)]);
    listener.protocol = Protocol::Tcp(Forward { to: Some("app".into()), sni: Vec::new() });
    listener
}

fn super_ip(addr: std::net::SocketAddr) -> tidegate_core::input::Address {
    tidegate_core::input::Address::Ip(addr)
}

/// The newest connection to a server.
fn server(rig: &Rig) -> SocketId {
    rig.kernel.connected.last().expect("connected").0
}

fn text(rig: &Rig, id: SocketId) -> String {
    String::from_utf8_lossy(rig.written(id)).into_owned()
}

fn pass(rig: &mut Rig, span: Duration) {
    rig.advance_to(rig.now.after(span));
}

fn check(rig: &Rig) {
    assert_eq!(rig.proxy.check_invariants(), Ok(()));
    let counters = rig.proxy.counters();
    assert_eq!((counters.zombies, counters.broken), (0, 0), "{:?}", rig.events);
}

/// The simplest configuration, with TLS to its server.
fn to_tls_server(secure: &Secure) -> Config {
    let mut config = support::simple_config();
    config.clusters[0].tls = Some(secure.to_servers());
    let name = "backend.example".to_owned();
    config.clusters[0].servers[0].tls_name = Some(name.try_into().expect("a name"));
    config
}

/// A client, and a server behind it whose TLS stands and that has answered once.
fn kept_by_tls(secure: &mut Secure) -> (Rig, SocketId, SecurePeer) {
    let mut rig = support::rig_of(Settings::default(), to_tls_server(secure));
    let client = rig.connect();
    secure.lend(|| rig.feed(client, GET));
    let settings = secure.backend(Which::Backend);
    let mut back = secure.serve(&settings, server(&rig));
    back.run(secure, &mut rig).expect("TLS");
    back.say(secure, &mut rig, OK).expect("TLS");
    assert!(text(&rig, client).ends_with("ok"));
    (rig, client, back)
}

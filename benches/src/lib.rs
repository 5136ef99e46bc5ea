//! Benchmarks of the core (`benches/core.rs`, and `requests`, whose instructions are counted) and
//! of whole proxies (`compare`).
#![forbid(unsafe_code)]

use std::net::SocketAddr;
use std::time::Duration;
use tidegate_core::Proxy;
use tidegate_core::config::{Cluster, Config, Listener, Route, Server, Settings};
use tidegate_core::id::SocketId;
use tidegate_core::input::Address;
use tidegate_proptests::memory::Rig;

/// An address on this machine.
pub fn ip(port: u16) -> Address {
    Address::Ip(SocketAddr::from(([127, 0, 0, 1], port)))
}

/// One listener, one server, one route.
pub fn config() -> Config {
    Config {
        listeners: vec![Listener::new("web", vec![ip(8080)])],
        clusters: vec![Cluster::new("app", vec![Server::new(ip(9001))])],
        routes: vec![Route::to_cluster("app")],
        ..Config::default()
    }
}

/// A core over memory that serves [`config`].
pub fn rig() -> Rig {
    Rig::new(Proxy::new(Settings::default(), [7; 32], config()).expect("a valid configuration"))
}

/// Keep-alive requests of one client, over one pooled connection, from the client's bytes to the
/// client's.
pub struct Requests {
    rig: Rig,
    client: SocketId,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Requests {
    /// A client that sends `request`, to a server that answers with `head` and a body of `body`
    /// bytes, which the head must declare. The proxy records into a ring of `ring` bytes, if any.
    pub fn new(ring: Option<usize>, request: &[u8], head: &str, body: usize) -> Requests {
        let mut rig = rig();
        if let Some(bytes) = ring {
            rig.proxy.record(bytes);
        }
        let client = rig.connect();
        let mut response = head.as_bytes().to_vec();
        response.resize(head.len() + body, b'x');
        Requests { rig, client, request: request.to_vec(), response }
    }

    /// Carries one out.
    pub fn serve(&mut self) {
        let rig = &mut self.rig;
        for (late, from) in [(20, &self.request), (30, &self.response)] {
            rig.now = rig.now.after(Duration::from_micros(late));
            let from_client = late == 20;
            let socket = if from_client { self.client } else { rig.kernel.connected[0].0 };
            rig.feed(socket, from);
        }
        let server = rig.kernel.connected[0].0;
        rig.kernel.wire(server).from_proxy.clear();
        let answer = &mut rig.kernel.wire(self.client).from_proxy;
        assert!(!answer.is_empty(), "the response arrived");
        answer.clear();
    }
}

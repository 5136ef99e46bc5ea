//! TLS around a rig in memory: ready settings, and peers that speak it with the proxy's sockets.
//! Every draw comes from streams of fixed numbers, so that a story is the same in each run.

use crate::memory::Rig;
use rustls::{ClientConfig, ServerConfig};
use std::sync::Arc;
use tidegate_core::config::{TlsClient, TlsServer};
use tidegate_core::id::SocketId;
use tidegate_core::tls::{Certificate, Certificates};
use tidegate_sim::tls::{
    ClientAuth, ClientOptions, Clock, Entropy, Peer, Provider, Run, Templates, Versions, Which,
};

const SEED: u64 = 1;
/// The number of the proxy's own stream; peers count up from the next.
const PROXY: u64 = 0;

/// Everything that TLS needs around one rig.
pub struct Secure {
    run: Run,
    proxy: Entropy,
    peers: u64,
}

impl Default for Secure {
    fn default() -> Secure {
        Secure::new(Provider::Fast)
    }
}

impl Secure {
    /// With the fast stand-ins, or the real ciphers.
    pub fn new(provider: Provider) -> Secure {
        let templates = Arc::new(Templates::new(provider));
        let run = Run::new(templates, Clock::default(), [3; 32]);
        Secure { run, proxy: Entropy::new(SEED, PROXY), peers: PROXY }
    }

    /// A listener's settings, with these certificates, the first one the default.
    pub fn server(&self, shown: &[(Which, &[&str])], clients: ClientAuth) -> TlsServer {
        let certificates = shown.iter().map(|(which, names)| Certificate {
            key: self.run.templates().certified_key(*which),
            names: names.iter().map(|&name| name.into()).collect(),
        });
        let certificates = Arc::new(Certificates::new(certificates.collect()));
        let resolver = Arc::clone(&certificates);
        let mut config = self.run.server(resolver, clients, Versions::Both);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsServer { identity: [1; 32], config: Arc::new(config), certificates }
    }

    /// The settings of a cluster whose servers speak TLS.
    pub fn to_servers(&self) -> TlsClient {
        let config = Arc::new(self.run.client(ClientOptions::default()));
        TlsClient { identity: [2; 32], config }
    }

    /// A client's settings; one that comes back uses the same.
    pub fn client(&self, options: ClientOptions) -> Arc<ClientConfig> {
        Arc::new(self.run.client(options))
    }

    /// A backend's settings.
    pub fn backend(&self, shown: Which) -> Arc<ServerConfig> {
        Arc::new(self.run.server_showing(shown, ClientAuth::None, Versions::Both))
    }

    /// Does something with the rig during which the proxy may draw.
    pub fn lend<R>(&mut self, call: impl FnOnce() -> R) -> R {
        self.proxy.lend(call)
    }

    /// A client of the proxy's socket `id` that wants `name`.
    pub fn connect(&mut self, config: &Arc<ClientConfig>, name: &str, id: SocketId) -> SecurePeer {
        self.peers += 1;
        let entropy = Entropy::new(SEED, self.peers);
        SecurePeer { id, peer: Peer::client(Arc::clone(config), name, entropy), seen: 0 }
    }

    /// The server behind the proxy's connection `id`.
    pub fn serve(&mut self, config: &Arc<ServerConfig>, id: SocketId) -> SecurePeer {
        self.peers += 1;
        let entropy = Entropy::new(SEED, self.peers);
        SecurePeer { id, peer: Peer::server(Arc::clone(config), entropy), seen: 0 }
    }
}

/// One end of a TLS connection with the proxy's socket `id`.
pub struct SecurePeer {
    /// The proxy's socket.
    pub id: SocketId,
    /// The connection.
    pub peer: Peer,
    seen: usize,
}

impl SecurePeer {
    /// Carries bytes both ways until neither side has any. An error is what TLS says of what the
    /// proxy wrote.
    pub fn run(&mut self, secure: &mut Secure, rig: &mut Rig) -> Result<(), rustls::Error> {
        loop {
            let mut out = Vec::new();
            self.peer.take_output(&mut out);
            if !out.is_empty() && rig.kernel.is_open(self.id) {
                secure.lend(|| rig.feed(self.id, &out));
            }
            let written = rig.written(self.id);
            if written.len() == self.seen {
                return Ok(());
            }
            let new = written[self.seen..].to_vec();
            self.seen = written.len();
            self.peer.receive(&new)?;
        }
    }

    /// Says `plain`, and carries bytes until neither side has any.
    pub fn say(
        &mut self,
        secure: &mut Secure,
        rig: &mut Rig,
        plain: &[u8],
    ) -> Result<(), rustls::Error> {
        self.run(secure, rig)?;
        self.peer.send(plain);
        self.run(secure, rig)
    }

    /// What came so far, as text.
    pub fn heard(&mut self) -> String {
        String::from_utf8_lossy(self.peer.received()).into_owned()
    }
}

//! One end of a TLS connection in the simulated world: rustls and the stream that it draws from.

use super::random::Entropy;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, Error, ServerConfig, ServerConnection};
// rustls hands plaintext over by these traits; nothing here reads or writes a file or a socket.
use std::io::Read as _;
use std::io::Write as _;
use std::sync::Arc;

/// One end: bytes of the wire go in and out, and so does plaintext. Every draw comes from its own
/// [`Entropy`].
pub struct Peer {
    connection: Connection,
    entropy: Entropy,
    received: Vec<u8>,
    is_whole: bool,
}

impl Peer {
    /// A client that wants `name`; its hello is ready to be taken.
    ///
    /// # Panics
    ///
    /// When `name` is no DNS name or IP address.
    pub fn client(config: Arc<ClientConfig>, name: &str, mut entropy: Entropy) -> Peer {
        let name = ServerName::try_from(name.to_owned()).expect("a name to connect to");
        let connection = entropy.lend(|| ClientConnection::new(config, name));
        Peer::new(connection.expect("a configuration that can begin").into(), entropy)
    }

    /// A server.
    pub fn server(config: Arc<ServerConfig>, mut entropy: Entropy) -> Peer {
        let connection = entropy.lend(|| ServerConnection::new(config));
        Peer::new(connection.expect("a configuration that can begin").into(), entropy)
    }

    fn new(mut connection: Connection, entropy: Entropy) -> Peer {
        // What an actor sends is bounded by its script.
        connection.set_buffer_limit(None);
        Peer { connection, entropy, received: Vec::new(), is_whole: false }
    }

    /// Takes in bytes of the wire. After an error nothing more can be taken in, but there may be
    /// an alert to send.
    pub fn receive(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let connection = &mut self.connection;
            // Ends at the record that closes the connection: what follows is ignored (RFC 8446
            // section 6.1).
            if connection.read_tls(&mut bytes).expect("plaintext is always taken out") == 0 {
                break;
            }
            let state = self.entropy.lend(|| connection.process_new_packets())?;
            self.is_whole = state.peer_has_closed();
            let old = self.received.len();
            self.received.resize(old + state.plaintext_bytes_to_read(), 0);
            let read = connection.reader().read_exact(&mut self.received[old..]);
            read.expect("rustls has what it says it has");
        }
        Ok(())
    }

    /// Plaintext that has come in and was not taken out; the caller may take from it.
    pub fn received(&mut self) -> &mut Vec<u8> {
        &mut self.received
    }

    /// Encrypts `plain`, or keeps it until the handshake is complete.
    pub fn send(&mut self, plain: &[u8]) {
        let connection = &mut self.connection;
        let written = self.entropy.lend(|| connection.writer().write_all(plain));
        written.expect("the buffer has no limit");
    }

    /// Says that nothing more follows. Without it, the end of the stream is a truncation.
    pub fn close(&mut self) {
        self.entropy.lend(|| self.connection.send_close_notify());
    }

    /// Replaces the keys of both directions (TLS 1.3, after the handshake; otherwise an error).
    pub fn update_keys(&mut self) -> Result<(), Error> {
        self.entropy.lend(|| self.connection.refresh_traffic_keys())
    }

    /// Appends all that there is to put on the wire to `out`.
    pub fn take_output(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            let written = self.entropy.lend(|| self.connection.write_tls(out));
            written.expect("a vector takes everything");
        }
    }

    /// Whether the other end has said that nothing more follows (close_notify). If the stream ends
    /// without it, what was received may be less than what was sent.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// What rustls knows of the connection: handshake, version, certificates.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

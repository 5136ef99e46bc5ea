//! One TLS connection after another: a handshake, a request behind it, the answer, the end.
//!
//! TLS 1.3, X25519 and AES-128-GCM are all that is offered, so nothing else is measured. The
//! request goes out in the flight of the client's Finished, as browsers do it; it is what makes a
//! client read the tickets that the next connection resumes with, and 64 handshakes without one
//! would measure how a proxy treats connections that say nothing. The certificate and its
//! signature are not verified: that is the client's time, and load and origin share a core.

use crate::client::{Exchange, Step, Tally};
use mio::net::TcpStream;
use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{ClientConfig, ClientConnection, HandshakeKind};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;

const REQUEST: &[u8] = b"GET /1k HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
const BODY_LEN: usize = 1024;
/// An answer may not be longer, its head included.
const ANSWER_MAX: usize = 8192;

#[derive(Debug)]
struct NoVerifier;

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// A configuration for each of `count` slots. Each remembers tickets of its own: a ticket serves
/// once, and slots that drew on common ones would now and then find none left.
pub(crate) fn clients(resumed: bool, count: usize) -> io::Result<Vec<Arc<ClientConfig>>> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    });
    (0..count)
        .map(|_| {
            let mut config = ClientConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(&[&TLS13])
                .map_err(io::Error::other)?
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(NoVerifier))
                .with_no_client_auth();
            config.resumption = match resumed {
                true => Resumption::in_memory_sessions(1),
                false => Resumption::disabled(),
            };
            Ok(Arc::new(config))
        })
        .collect()
}

/// The connection of one slot.
pub(crate) struct Handshake {
    config: Arc<ClientConfig>,
    tls: Option<ClientConnection>,
    answer: Vec<u8>,
}

impl Handshake {
    pub(crate) fn new(config: Arc<ClientConfig>) -> Self {
        Self { config, tls: None, answer: Vec::new() }
    }

    /// The proxy has ended the connection: the answer must be whole.
    fn end(&self, kind: Option<HandshakeKind>, tally: &mut Tally) -> io::Result<Step> {
        let body = self.answer.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
        let whole = body.is_some_and(|start| self.answer.len() - start == BODY_LEN);
        if !whole || !self.answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(io::Error::other("closed without a whole 200"));
        }
        match kind {
            Some(HandshakeKind::Full) => tally.full += 1,
            Some(HandshakeKind::Resumed) => tally.resumed += 1,
            other => return Err(io::Error::other(format!("a handshake of kind {other:?}"))),
        }
        tally.units += 1;
        tally.bytes += self.answer.len() as u64;
        Ok(Step::Close)
    }
}

impl Exchange for Handshake {
    const ENDS: bool = true;

    fn open(&mut self) -> io::Result<()> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        tls.writer().write_all(REQUEST)?;
        self.tls = Some(tls);
        self.answer.clear();
        Ok(())
    }

    fn ready(&mut self, stream: &mut TcpStream, tally: &mut Tally) -> io::Result<Step> {
        let Some(tls) = &mut self.tls else { return Ok(Step::Close) };
        loop {
            while tls.wants_write() {
                match tls.write_tls(stream) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    result => drop(result?),
                }
            }
            let count = match tls.read_tls(stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Step::Wait),
                result => result?,
            };
            let state = tls.process_new_packets().map_err(io::Error::other)?;
            let mut bytes = vec![0; state.plaintext_bytes_to_read()];
            tls.reader().read_exact(&mut bytes)?;
            self.answer.extend_from_slice(&bytes);
            if self.answer.len() > ANSWER_MAX {
                return Err(io::Error::other("the answer is too long"));
            }
            if state.peer_has_closed() {
                let kind = tls.handshake_kind();
                return self.end(kind, tally);
            }
            if count == 0 {
                return Err(io::Error::other("closed without close_notify"));
            }
        }
    }
}

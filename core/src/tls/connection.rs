//! One TLS connection over slices.

use super::played::{PlayedTls, PlayedWrite, Told};
use super::{Certificates, TlsFacts, TlsFailure, TlsVersion};
use crate::config::{TlsClient, TlsServer};
use crate::event::Text;
use crate::proxy::SLICES_MAX;
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, Connection, HandshakeKind, ProtocolVersion, ServerConnection};
use std::io::{self, Read, Write};
use std::sync::Arc;

/// Bytes that one read of a TLS socket takes at most: a whole record of the largest size.
pub(crate) const RECV_BYTES: usize = 16 * 1024 + 2048 + 5;
/// Plaintext bytes that are turned into records before they are sent: four of the largest size.
pub(crate) const SEAL_BYTES_MAX: usize = 64 * 1024;
/// Plaintext that may be held before more records are opened.
const HELD_BYTES_MAX: usize = 16 * 1024;

/// How a peer's stream ended.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum End {
    /// By close_notify.
    Clean,
    /// The connection ended without it: bytes may be missing (TLS-3).
    Truncated,
}

/// Who speaks TLS.
#[expect(
    clippy::large_enum_variant,
    reason = "every live one is rustls, and boxed with its socket"
)]
enum Engine {
    Rustls(Connection),
    /// Nobody: what was said is told by a recording.
    Played(PlayedTls),
}

/// One connection's TLS state.
pub(crate) struct Tls {
    engine: Engine,
    /// Those that the client could be shown.
    certificates: Option<Arc<Certificates>>,
    /// Bytes from the socket that were not opened for want of room; short-lived and rare.
    parked: Vec<u8>,
    /// Plaintext bytes that wait to be read.
    held: usize,
    /// The first bytes have come.
    has_begun: bool,
    /// The peer sent close_notify.
    has_notified: bool,
    /// The socket's stream has ended.
    at_eof: bool,
    /// What is to be sent is session tickets alone: they go out with the next bytes, not in a
    /// write of their own.
    tickets_only: bool,
    /// Whether [`Tls::secured`] has told of the handshake's end.
    is_secured: bool,
    goodbye: Goodbye,
}

/// Our close_notify, behind which nothing may be sent (RFC 8446 6.1).
#[derive(Copy, Clone, PartialEq, Eq)]
enum Goodbye {
    /// Not said.
    Unsaid,
    /// Sent, or owed.
    Said,
    /// Behind it rustls owes an alert: it does not ask itself what it has said.
    Overtaken,
}

impl Tls {
    /// The server's side of a connection that a listener accepted. `None`: the settings cannot
    /// make one, which validation rules out.
    pub(crate) fn server(settings: &TlsServer) -> Option<Tls> {
        let conn = ServerConnection::new(Arc::clone(&settings.config)).ok()?;
        Some(Tls::new(Connection::Server(conn), Some(Arc::clone(&settings.certificates))))
    }

    /// The client's side of a connection to a server called `name`; its ClientHello is owed at
    /// once. `None`: as in [`Tls::server`].
    pub(crate) fn client(settings: &TlsClient, name: ServerName<'static>) -> Option<Tls> {
        let conn = ClientConnection::new(Arc::clone(&settings.config), name).ok()?;
        Some(Tls::new(Connection::Client(conn), None))
    }

    fn new(mut conn: Connection, certificates: Option<Arc<Certificates>>) -> Tls {
        conn.set_buffer_limit(Some(SEAL_BYTES_MAX));
        Tls::with_engine(Engine::Rustls(conn), certificates)
    }

    /// One that a replay tells what it comes to.
    pub(crate) fn played(is_server: bool) -> Tls {
        Tls::with_engine(Engine::Played(PlayedTls::begin(is_server)), None)
    }

    /// The same, of a connection to a server that stood idle.
    pub(crate) fn played_idle(wants_write: bool) -> Tls {
        let version = Some(TlsVersion::Tls13);
        let engine = PlayedTls { version, wants_write, ..PlayedTls::begin(false) };
        let tls = Tls::with_engine(Engine::Played(engine), None);
        Tls { has_begun: true, is_secured: true, ..tls }
    }

    fn with_engine(engine: Engine, certificates: Option<Arc<Certificates>>) -> Tls {
        Tls {
            engine,
            certificates,
            parked: Vec::new(),
            held: 0,
            has_begun: false,
            has_notified: false,
            at_eof: false,
            tickets_only: false,
            is_secured: false,
            goodbye: Goodbye::Unsaid,
        }
    }

    /// The socket gave `bytes`; none means that its stream has ended.
    ///
    /// # Errors
    /// What is wrong with them; an alert for the peer is owed then, unless close_notify was said,
    /// and nothing else is of use.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), TlsFailure> {
        if bytes.is_empty() {
            self.at_eof = true;
            return Ok(());
        }
        self.has_begun = true;
        if self.parked.is_empty() {
            let rest = self.open(bytes)?;
            self.parked.extend_from_slice(rest);
            return Ok(());
        }
        self.parked.extend_from_slice(bytes);
        self.unpark()
    }

    fn unpark(&mut self) -> Result<(), TlsFailure> {
        let parked = std::mem::take(&mut self.parked);
        let rest = self.open(&parked)?;
        self.parked = rest.to_vec();
        Ok(())
    }

    /// Opens records until the plaintext held is enough, and gives back what is left.
    fn open<'b>(&mut self, mut bytes: &'b [u8]) -> Result<&'b [u8], TlsFailure> {
        let Engine::Rustls(conn) = &mut self.engine else { return Ok(&[]) };
        while !bytes.is_empty() && self.held < HELD_BYTES_MAX && !self.has_notified {
            if conn.read_tls(&mut bytes).is_err() {
                return Err(TlsFailure::Protocol);
            }
            match conn.process_new_packets() {
                Ok(state) => {
                    self.held = state.plaintext_bytes_to_read();
                    self.has_notified = state.peer_has_closed();
                }
                Err(error) => {
                    if self.goodbye == Goodbye::Said {
                        self.goodbye = Goodbye::Overtaken;
                    }
                    return Err(TlsFailure::of(&error));
                }
            }
        }
        // Nothing that follows a close_notify counts (RFC 8446 6.1).
        Ok(if self.has_notified { &[] } else { bytes })
    }

    /// Once, when the handshake has come to its end.
    pub(crate) fn secured(&mut self) -> bool {
        if self.version().is_none() || std::mem::replace(&mut self.is_secured, true) {
            return false;
        }
        let is_server = match &self.engine {
            Engine::Rustls(conn) => matches!(conn, Connection::Server(_)),
            Engine::Played(played) => played.is_server,
        };
        // In TLS 1.2 the client waits for what is owed now; in 1.3 it is tickets.
        self.tickets_only = is_server && self.version() == Some(TlsVersion::Tls13);
        true
    }

    /// Whether bytes have come at all.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Whether the handshake is complete.
    pub(crate) fn is_secured(&self) -> bool {
        self.is_secured
    }

    /// The version agreed on, once the handshake has come to its end.
    fn version(&self) -> Option<TlsVersion> {
        let conn = match &self.engine {
            Engine::Played(played) => return played.version,
            Engine::Rustls(conn) if conn.is_handshaking() => return None,
            Engine::Rustls(conn) => conn,
        };
        Some(match conn.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        })
    }

    /// The name that the client asked for, if any.
    pub(crate) fn sni(&self) -> Option<&str> {
        match &self.engine {
            Engine::Rustls(Connection::Server(conn)) => conn.server_name(),
            Engine::Rustls(Connection::Client(_)) | Engine::Played(_) => None,
        }
    }

    /// Whether the certificate that the client was shown is valid for `host`; of a client that
    /// asked for no name that is not demanded (ROUTE-5).
    pub(crate) fn covers(&self, host: &[u8]) -> bool {
        match (self.sni(), &self.certificates) {
            (Some(sni), Some(certificates)) => certificates.cover(sni, host),
            _ => true,
        }
    }

    /// What the access log tells of it.
    pub(crate) fn facts(&self) -> TlsFacts {
        let mut sni = Text::EMPTY;
        sni.set(self.sni().unwrap_or_default().as_bytes());
        let resumed = match &self.engine {
            Engine::Rustls(conn) => conn.handshake_kind() == Some(HandshakeKind::Resumed),
            Engine::Played(_) => false,
        };
        TlsFacts { version: self.version().unwrap_or(TlsVersion::Tls13), resumed, sni }
    }

    /// Whether there is something to read: plaintext, or the end.
    pub(crate) fn has_input(&self) -> bool {
        self.held > 0 || self.has_notified || self.at_eof
    }

    /// Whether plaintext waits to be read.
    pub(crate) fn has_plaintext(&self) -> bool {
        self.held > 0
    }

    /// The end of the peer's stream, once everything before it was read.
    pub(crate) fn end(&self) -> Option<End> {
        match self.held {
            0 if self.has_notified => Some(End::Clean),
            0 if self.at_eof => Some(End::Truncated),
            _ => None,
        }
    }

    /// Reads plaintext into `space`, in order. Returns how much.
    ///
    /// # Errors
    /// As for [`Tls::feed`]: bytes that were parked may be bad.
    pub(crate) fn read(&mut self, space: &mut [&mut [u8]]) -> Result<usize, TlsFailure> {
        let mut total = 0;
        for slice in space {
            while !slice.is_empty() && self.held > 0 {
                let Engine::Rustls(conn) = &mut self.engine else { return Ok(total) };
                let Ok(n) = conn.reader().read(slice) else {
                    return Err(TlsFailure::Protocol);
                };
                self.held -= n;
                total += n;
                let rest = std::mem::take(slice);
                *slice = &mut rest[n..];
                if self.held == 0 && !self.parked.is_empty() {
                    self.unpark()?;
                }
            }
        }
        Ok(total)
    }

    /// Turns plaintext into records, as far as the bound allows. Returns how much.
    pub(crate) fn seal(&mut self, slices: &[&[u8]]) -> usize {
        debug_assert!(self.is_secured, "nothing is said before the handshake's end");
        let mut vectored = [io::IoSlice::new(&[]); SLICES_MAX];
        for (to, from) in vectored.iter_mut().zip(slices) {
            *to = io::IoSlice::new(from);
        }
        let sealed = match (&mut self.engine, slices) {
            (Engine::Played(played), _) => played.seal(slices.iter().map(|it| it.len()).sum()),
            (_, []) => 0,
            (Engine::Rustls(conn), [one]) => conn.writer().write(one).unwrap_or(0),
            (Engine::Rustls(conn), _) => {
                conn.writer().write_vectored(&vectored[..slices.len()]).unwrap_or(0)
            }
        };
        if sealed > 0 {
            self.tickets_only = false;
        }
        sealed
    }

    /// Whether nothing at all is to be sent, so that more may be sealed.
    pub(crate) fn is_flushed(&self) -> bool {
        !self.wants_write()
    }

    /// Whether bytes are to be sent that do not wait for others.
    pub(crate) fn owes(&self) -> bool {
        self.wants_write() && !self.tickets_only
    }

    fn wants_write(&self) -> bool {
        match &self.engine {
            Engine::Rustls(conn) => conn.wants_write(),
            Engine::Played(played) => played.wants_write,
        }
    }

    /// Hands the records to `send`, which takes as much as it likes from the front.
    ///
    /// # Errors
    /// What `send` says.
    pub(crate) fn write_with<E>(
        &mut self,
        send: impl FnMut(&[&[u8]]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let conn = match &mut self.engine {
            Engine::Rustls(conn) => conn,
            Engine::Played(played) => return played.write_with(send),
        };
        let mut writer = Records { send, error: None };
        match conn.write_tls(&mut writer) {
            Ok(n) => Ok(n),
            Err(_) => Err(writer.error.expect("only `send` fails")),
        }
    }

    /// Says that nothing more will be sent, behind everything that is owed.
    pub(crate) fn close_notify(&mut self) {
        if self.is_secured {
            match &mut self.engine {
                Engine::Rustls(conn) => conn.send_close_notify(),
                Engine::Played(played) => played.close_notify(),
            }
            self.tickets_only = false;
            if self.goodbye == Goodbye::Unsaid {
                self.goodbye = Goodbye::Said;
            }
        }
    }

    /// Everything that is owed, in one piece; nothing, if an alert behind close_notify is part of
    /// it: that cannot be told from what is before it.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        let mut output = Vec::new();
        match &mut self.engine {
            Engine::Played(played) => played.wants_write = false,
            Engine::Rustls(conn) => {
                while conn.wants_write() {
                    let taken = conn.write_tls(&mut output);
                    debug_assert!(taken.is_ok(), "a vector takes everything");
                }
            }
        }
        if self.goodbye == Goodbye::Overtaken {
            output.clear();
        }
        output
    }

    /// Everything that came was read: gives back what a large record needed. At once, so that the
    /// next connection that needs as much finds it in one piece; rustls itself would shrink its
    /// buffer before the next read, which on an idle connection is a long time off.
    pub(crate) fn rest(&mut self) {
        if self.held == 0 && self.parked.is_empty() {
            self.parked = Vec::new();
            // rustls shrinks its buffer before it reads; the end of the stream it would remember.
            let Engine::Rustls(conn) = &mut self.engine else { return };
            let read = conn.read_tls(&mut Empty);
            debug_assert!(read.is_err() || self.has_notified);
        }
    }

    /// What a recording keeps of it: the outcome of a call aside.
    pub(crate) fn told(&self, outcome: Result<usize, TlsFailure>) -> Told {
        Told {
            n: outcome.unwrap_or(0),
            failure: outcome.err(),
            version: self.version(),
            has_notified: self.has_notified,
            wants_write: self.wants_write(),
            held: self.held,
        }
    }

    /// In a replay, in place of [`Tls::feed`] and [`Tls::read`]: comes to what is told.
    ///
    /// # Errors
    /// What was recorded.
    pub(crate) fn play(&mut self, told: Told) -> Result<usize, TlsFailure> {
        let Engine::Played(played) = &mut self.engine else { return Ok(0) };
        self.has_begun = true;
        // Nothing can be read before the handshake's end, whatever a file says.
        let told = if told.version.is_some() { told } else { Told { n: 0, held: 0, ..told } };
        (self.held, self.has_notified) = (told.held, told.has_notified);
        (played.version, played.wants_write) = (told.version, told.wants_write);
        played.has_ended |= told.failure.is_some();
        told.failure.map_or(Ok(told.n), Err)
    }

    /// In a replay: what the next write comes to.
    ///
    /// # Errors
    /// No TLS ever has so much to write, in words.
    pub(crate) fn play_write(&mut self, write: PlayedWrite) -> Result<(), String> {
        match &mut self.engine {
            Engine::Played(played) => played.expect_write(write),
            Engine::Rustls(_) => Ok(()),
        }
    }
}

/// A reader without bytes, for now.
struct Empty;

impl Read for Empty {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// A writer that hands slices on.
struct Records<F, E> {
    send: F,
    error: Option<E>,
}

impl<E, F: FnMut(&[&[u8]]) -> Result<usize, E>> Write for Records<F, E> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[io::IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, records: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let mut slices: [&[u8]; SLICES_MAX] = [&[]; SLICES_MAX];
        let count = records.len().min(SLICES_MAX - 1);
        for (to, from) in slices.iter_mut().zip(&records[..count]) {
            *to = from;
        }
        (self.send)(&slices[..count]).map_err(|error| {
            self.error = Some(error);
            io::ErrorKind::WouldBlock.into()
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! TLS as a layer between a socket and its session (TLS-1 to TLS-5).
//!
//! `Tls` holds one rustls connection, client's or server's: bytes from the socket go in by
//! `Tls::feed`, plaintext comes out by `Tls::read`; plaintext goes in by `Tls::seal`, records
//! come out by `Tls::write_with`. In a replay of a recording there is no rustls in it, and it comes
//! to what was recorded (`played`). It is the one type of the core that names `std::io`, which
//! rustls' buffered interface speaks, and it does no I/O: readers and writers are slices.
//!
//! What it holds is bounded: of input, at most one record's plaintext, one partial record, and
//! the rest of one read; of output, `SEAL_BYTES_MAX` and what the handshake says. An idle
//! connection holds the 4 KiB that rustls reads into.
//!
//! The driver hands ready configurations in; the core names no provider, no key and no clock.
//! [`Certificates`] chooses by name, `hello` reads the name that a ClientHello asks for where TLS
//! is passed through.

mod certificates;
mod connection;
pub(crate) mod hello;
mod played;

pub use certificates::{Certificate, Certificates};
pub(crate) use connection::{End, RECV_BYTES, Tls};
pub(crate) use played::{PlayedWrite, Told};

use crate::event::Text;
use crate::names::names;

/// The protocol version that a handshake agreed on.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// What is known of a client's TLS once the handshake is complete.
#[derive(Copy, Clone, PartialEq, Debug)]
pub struct TlsFacts {
    /// The version agreed on.
    pub version: TlsVersion,
    /// Whether it resumed an earlier session.
    pub resumed: bool,
    /// The name that the client asked for (SNI), empty if it named none.
    pub sni: Text<64>,
}

/// Why TLS with a peer came to nothing. Counted by kind (TLS-2).
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum TlsFailure {
    /// The client speaks something else: HTTP in the clear, for the most part.
    NotTls,
    /// No version, cipher suite, group, signature scheme or protocol (ALPN) in common.
    Incompatible,
    /// The peer's certificate is not accepted, or it has none where one is demanded.
    Certificate,
    /// The peer refused us by an alert.
    Alert,
    /// What came is no valid TLS: malformed, out of order, or not authentic.
    Protocol,
    /// The handshake did not come to its end in time.
    TimedOut,
    /// The peer left within the handshake.
    Closed,
}

names! {
    /// The name that logs and metrics use.
    TlsFailure {
        NotTls => "not_tls",
        Incompatible => "incompatible",
        Certificate => "certificate",
        Alert => "alert",
        Protocol => "protocol",
        TimedOut => "timed_out",
        Closed => "closed",
    }
}

impl TlsFailure {
    fn of(error: &rustls::Error) -> TlsFailure {
        use rustls::Error;
        match error {
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => TlsFailure::Incompatible,
            Error::InvalidCertificate(_)
            | Error::InvalidCertRevocationList(_)
            | Error::NoCertificatesPresented
            | Error::UnsupportedNameType => TlsFailure::Certificate,
            Error::AlertReceived(_) => TlsFailure::Alert,
            _ => TlsFailure::Protocol,
        }
    }
}

#[cfg(test)]
mod tests;

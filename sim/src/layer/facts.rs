//! What the far end of the proxy knows of one TLS connection.

use super::{Damage, Trouble};
use crate::tls::{Versions, Which};
use rustls::AlertDescription;

/// What one peer of the proxy meant to do, and what it saw. Kept by its layer, read by the oracle.
#[derive(Copy, Clone, Debug)]
pub struct Facts {
    /// What it does wrong.
    pub trouble: Trouble,
    /// Versions it offers, or accepts.
    pub versions: Versions,
    /// The certificate it shows: always by a server, by a client when asked.
    pub certificate: Option<Which>,
    /// The name that a client asks for, by [`crate::layer`]'s owner's numbers; `None`: no SNI.
    pub sni: Option<u16>,
    /// A client verifies the server.
    pub is_strict: bool,
    /// A client offers protocols that no server here speaks.
    pub has_odd_alpn: bool,
    /// A client offered to resume a session: one of TLS 1.3, or not.
    pub offered: Option<bool>,
    /// The peer's TLS has come to the end of its handshake, whether it tells the proxy or not.
    pub is_complete: bool,
    /// Bytes of the peer's stream up to the end of its last handshake message, once its handshake
    /// is complete.
    pub finished_at: Option<u64>,
    /// The version agreed on is 1.3.
    pub is_13: bool,
    /// The handshake resumed a session.
    pub is_resumed: bool,
    /// The certificate that the proxy showed in a full handshake.
    pub shown: Option<Which>,
    /// Tickets that a client got on this connection.
    pub tickets: u32,
    /// The proxy's alert, close_notify not among them.
    pub alert: Option<AlertDescription>,
    /// Bytes of the proxy's stream up to the end of its close_notify.
    pub notified_at: Option<u64>,
    /// The proxy's last record is not whole yet.
    pub is_inside: bool,
    /// What is wrong with what the proxy emitted, as the peer's TLS sees it.
    pub refused: Option<Refused>,
    /// Bytes that the proxy emitted behind its close_notify.
    pub behind_notify: u64,
    /// What the peer damaged first: where it begins in its stream, and what it is.
    pub damaged: Option<(u64, Damage)>,
    /// Bytes of the peer's stream up to the end of its close_notify, if it says it.
    pub said_at: Option<u64>,
}

/// Why a peer's TLS refuses what the proxy emitted.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Refused {
    /// The proxy's certificate is not accepted, or it has none.
    Certificate,
    /// No version, suite or protocol in common.
    Incompatible,
    /// A record cannot be opened.
    Undecryptable,
    /// It is no TLS at all.
    NotTls,
    /// Anything else.
    Other,
}

impl Facts {
    /// A peer without faults that knows nothing yet.
    pub fn new() -> Facts {
        Facts {
            trouble: Trouble::None,
            versions: Versions::Both,
            certificate: None,
            sni: None,
            is_strict: true,
            has_odd_alpn: false,
            offered: None,
            is_complete: false,
            finished_at: None,
            is_13: false,
            is_resumed: false,
            shown: None,
            tickets: 0,
            alert: None,
            notified_at: None,
            is_inside: false,
            refused: None,
            behind_notify: 0,
            damaged: None,
            said_at: None,
        }
    }

    /// Whether the peer's own faults may have kept the handshake from its end.
    pub fn breaks_handshake(&self) -> bool {
        self.trouble.breaks_handshake() || self.damaged.is_some()
    }
}

impl Default for Facts {
    fn default() -> Facts {
        Facts::new()
    }
}

impl Refused {
    pub(super) fn of(error: &rustls::Error) -> Refused {
        use rustls::Error;
        match error {
            Error::InvalidCertificate(_) | Error::NoCertificatesPresented => Refused::Certificate,
            Error::PeerIncompatible(_) | Error::NoApplicationProtocol => Refused::Incompatible,
            Error::DecryptError => Refused::Undecryptable,
            _ => Refused::Other,
        }
    }
}

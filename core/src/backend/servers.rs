//! What a worker knows of each server: passive health, load, idle connections.

use super::connection::BackId;
use super::health::Health;
use crate::config::TlsClient;
use crate::id::Id;
use crate::input::Address;
use crate::proxy_protocol::Version;
use crate::session::SessionId;
use rustls::pki_types::ServerName;

/// Names a server across versions of the configuration.
pub type ServerId = Id<ServerState>;

/// What a connection to a server begins with, as far as it is the same for all clients.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Speech {
    /// TLS under these settings, and the name that is asked for.
    pub(crate) tls: Option<(TlsClient, ServerName<'static>)>,
    pub(crate) proxy: Option<Version>,
}

/// One server of one cluster. It lives as long as a version of the configuration knows it, or a
/// connection to it stands.
pub struct ServerState {
    pub(crate) cluster: Box<str>,
    pub(crate) addr: Address,
    pub(crate) health: Health,
    /// How it is spoken to by the newest configuration, and how often that has changed: only
    /// connections of the same count are kept and used again.
    pub(crate) speech: Speech,
    pub(crate) speech_serial: u32,
    /// Requests and tunnels in flight.
    pub(crate) active: u32,
    /// Connections to it, idle ones included.
    pub(crate) open: u32,
    /// Buffers that a read of its last response needed: what the next one is given at once.
    pub(crate) read_window: u8,
    /// Running value of smooth weighted round-robin.
    pub(crate) current: i64,
    /// What stands for it in `source` balancing, by the newest configuration that has it: its id
    /// may change while it stays.
    pub(crate) key: u64,
    /// Idle connections, oldest first (BACK-6).
    pub(crate) idle: Vec<BackId>,
    /// Versions of the configuration and connections that name it.
    pub(crate) users: usize,
    /// Whether the current configuration has it, and not drained: only then are its connections
    /// kept and reused.
    pub(crate) in_service: bool,
}

impl ServerState {
    /// Takes an idle connection that `tag_of` knows to be silent: the session's own, or, if
    /// `others` is set, the youngest. `tag_of` tells the session that used a connection last,
    /// and nothing of a connection that has something to say.
    pub(crate) fn take_idle(
        &mut self,
        tag_of: impl Fn(BackId) -> Option<SessionId>,
        session: SessionId,
        others: bool,
    ) -> Option<BackId> {
        if !self.in_service {
            return None;
        }
        let own = self.idle.iter().rposition(|&back| tag_of(back) == Some(session));
        let silent = || self.idle.iter().rposition(|&back| tag_of(back).is_some());
        let at = own.or_else(|| if others { silent() } else { None })?;
        Some(self.idle.remove(at))
    }

    /// Takes `back` out of the idle connections.
    pub(crate) fn forget_idle(&mut self, back: BackId) {
        if let Some(at) = self.idle.iter().position(|&idle| idle == back) {
            self.idle.remove(at);
        }
    }
}

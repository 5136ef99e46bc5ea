//! One connection to a server.

use super::ServerId;
use crate::deadline::DeadlineId;
use crate::id::{Id, SocketId};
use crate::session::SessionId;

/// Names a connection to a server.
pub type BackId = Id<Back>;

/// One connection to a server: carried by a session, or idle in its server's pool.
pub struct Back {
    pub(crate) socket: SocketId,
    pub(crate) server: ServerId,
    /// The session that uses it, or, while it is idle, the one that used it last: its tag.
    pub(crate) session: SessionId,
    /// The server's [`ServerState::speech_serial`](super::ServerState) under which it was made.
    pub(crate) speech: u32,
    /// Whether it lies in the pool.
    pub(crate) idle: bool,
    /// Whether it has carried an exchange before the present one.
    pub(crate) reused: bool,
    pub(crate) deadline: DeadlineId,
}

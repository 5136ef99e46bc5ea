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
    /// Whether it lies in the pool.
    pub(crate) idle: bool,
    /// Whether it has carried an exchange before the present one.
    pub(crate) reused: bool,
    pub(crate) deadline: DeadlineId,
}

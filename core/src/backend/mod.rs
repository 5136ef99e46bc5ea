//! Clusters and their servers: which one a request goes to, and which are left alone.

pub mod balance;
mod connection;
pub mod health;
mod pick;
mod pool;
mod servers;
pub mod sticky;

pub use connection::{Back, BackId};
pub(crate) use pick::{Choice, Pick};
pub(crate) use servers::Speech;
pub use servers::{ServerId, ServerState};

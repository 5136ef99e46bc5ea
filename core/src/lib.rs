//! The whole behaviour of the Tidegate reverse proxy, as one deterministic, sans-IO state machine.
#![forbid(unsafe_code)]

pub mod accept;
mod admission;
pub mod backend;
pub mod buffer;
pub mod config;
pub mod deadline;
pub mod drive;
pub mod effect;
pub mod event;
mod expire;
pub mod http1;
pub mod id;
pub mod input;
mod invariants;
pub mod listen;
pub mod proxy;
mod reconfigure;
pub mod rng;
pub mod route;
pub mod session;
mod sockets;
pub mod stats;
pub mod time;
mod version;

pub use proxy::Proxy;

//! The whole behaviour of the Tidegate reverse proxy, as one deterministic, sans-IO state machine.
#![forbid(unsafe_code)]

pub mod backend;
pub mod config;
pub mod drive;
pub mod effect;
pub mod event;
pub mod http1;
pub mod id;
pub mod input;
pub mod proxy;
pub mod rng;
pub mod route;
pub mod time;
pub use proxy::Proxy;

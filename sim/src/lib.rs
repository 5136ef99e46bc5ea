//! The seeded simulator of Tidegate: a network, clients and backends around the very core that
//! serves traffic, and an oracle that knows the right answers without asking it.
//!
//! The driver under test is the production one ([`tidegate_core::drive`]); only the system calls
//! are replaced, by [`kernel::Net`]. Everything that happens follows from one seed.
#![forbid(unsafe_code)]

pub mod body;
pub mod choice;
pub mod cli;
pub mod cx;
pub mod flight;
pub mod gate;
pub mod heap;
pub mod kernel;
pub mod layer;
pub mod marks;
pub mod oracle;
pub mod refhttp;
pub mod refproxy;
pub mod rehearsal;
pub mod rules;
pub mod shrink;
pub mod story;
pub mod stream;
pub mod swarm;
pub mod tls;
pub mod trace;
pub mod view;
pub mod wire;
pub mod wires;
pub mod world;

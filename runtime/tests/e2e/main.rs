//! The real binary with real sockets on loopback: what `tidegate serve` owes its users, end to end.
//!
//! Each test starts its own proxy on ephemeral ports, with clients and backends of its own that are
//! plain blocking sockets, so that they share no parser and no driver with the product.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    reason = "the tests live in the real world: threads, clocks, sockets and files"
)]

mod accept;
mod backend;
mod bodies;
mod client;
mod fields;
mod flight;
mod http;
mod log;
mod peers;
mod process;
mod proxy;
mod refuse;
mod reload;
mod retry;
mod routing;
mod sticky;
mod stop;
mod timeouts;

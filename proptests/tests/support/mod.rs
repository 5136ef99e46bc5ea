//! What all property tests share.

use proptest::test_runner::{Config as ProptestConfig, FileFailurePersistence, RngSeed};
use std::net::SocketAddr;
use tidegate_core::Proxy;
use tidegate_core::config::{Cluster, Config, Listener, Route, Server, Settings};
use tidegate_core::input::Address;
use tidegate_proptests::memory::Rig;

/// The run of one property: this many cases, the same ones in each run. The environment may say
/// otherwise: `PROPTEST_CASES`, `PROPTEST_RNG_SEED`.
#[allow(dead_code, reason = "not every test draws cases")]
pub(crate) fn run_of(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(0x71de_9a7e),
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    }
}

/// A proxy with one listener and one cluster of one server.
#[allow(dead_code, reason = "not every test needs one")]
pub(crate) fn simple_config() -> Config {
    Config {
        listeners: vec![Listener::new("web", vec![ip(8080)])],
        clusters: vec![Cluster::new("app", vec![Server::new(ip(9001))])],
        routes: vec![Route::to_cluster("app")],
        ..Config::default()
    }
}

/// An address on the loopback.
#[allow(dead_code, reason = "not every test needs one")]
pub(crate) fn ip(port: u16) -> Address {
    Address::Ip(SocketAddr::from(([127, 0, 0, 1], port)))
}

/// A rig that is observed, with these settings and configuration.
#[allow(dead_code, reason = "not every test needs one")]
pub(crate) fn rig_of(settings: Settings, config: Config) -> Rig {
    Rig::observed(Proxy::new(settings, [7; 32], config).expect("a valid configuration"))
}

/// Bytes that a failing case prints readably.
#[allow(dead_code, reason = "not every test needs one")]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

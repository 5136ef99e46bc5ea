//! TLS under a seed: the same ciphertext each time, the same run with either cipher, and every
//! state reached.

use std::collections::BTreeSet;
use tidegate_sim::marks::Mark;
use tidegate_sim::tls::Provider;
use tidegate_sim::world::{Options, Outcome, run};

fn with(provider: Provider, seed: u64) -> Outcome {
    run(seed, Options { provider: Some(provider), ..Options::default() })
}

/// Whether the run of a seed had ciphertext at all.
fn has_tls(outcome: &Outcome) -> bool {
    outcome.hash != outcome.hash_without_cipher
}

// TLS under a seed: byte for byte the same ciphertext, with either cipher.
#[test]
fn the_same_seed_gives_the_same_ciphertext() {
    let mut with_tls = 0;
    for seed in 2000..2016 {
        for provider in [Provider::Fast, Provider::Real] {
            let (one, two) = (with(provider, seed), with(provider, seed));
            assert_eq!(one.hash, two.hash, "seed {seed}, {provider:?}");
            assert_eq!(one.checkpoints, two.checkpoints, "seed {seed}, {provider:?}");
            with_tls += u32::from(has_tls(&one));
        }
    }
    assert!(with_tls >= 16, "{with_tls} runs had TLS");
}

// The two ciphers are an oracle for each other: all but the ciphertext is the same.
#[test]
fn either_cipher_gives_the_same_run() {
    for seed in 3000..3030 {
        let (fast, real) = (with(Provider::Fast, seed), with(Provider::Real, seed));
        assert_eq!(fast.violation, None, "tidegate-sim replay {seed}");
        assert_eq!(fast.hash_without_cipher, real.hash_without_cipher, "seed {seed}");
        assert_eq!((fast.events, fast.completed), (real.events, real.completed), "seed {seed}");
        assert_eq!(has_tls(&fast), fast.hash != real.hash, "seed {seed}: ciphertext differs");
    }
}

// TLS-1, TLS-2: both versions, full and resumed, on both sides, and every kind of failure.
#[test]
fn every_state_is_reached() {
    let mut marks = BTreeSet::new();
    for seed in 0..300 {
        let reached = run(seed, Options::default()).marks;
        marks.extend(Mark::all().filter(|&mark| reached.count(mark) > 0).map(Mark::name));
    }
    for name in [
        "tls: client by 1.2",
        "tls: client by 1.3",
        "tls: client resumes 1.2",
        "tls: client resumes 1.3",
        "tls: server by 1.2",
        "tls: server by 1.3",
        "tls: server resumes 1.2",
        "tls: server resumes 1.3",
        "tls: client in the clear",
        "tls failure: not_tls",
        "tls failure: incompatible",
        "tls failure: certificate",
        "tls failure: alert",
        "tls failure: protocol",
        "tls failure: timed_out",
        "tls failure: closed",
        "alert: bad_record_mac",
        "alert: protocol_version",
        "alert: unknown_ca",
        "alert: certificate_required",
        "alert: no_application_protocol",
        "status: 421",
        "operation: certificates",
        "operation: tls-to-servers",
    ] {
        assert!(marks.contains(name), "{name} was not reached");
    }
}

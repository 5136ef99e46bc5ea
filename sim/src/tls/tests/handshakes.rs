//! That connections come about, and that sessions are resumed where they may be, and only there.

use super::super::{ClientAuth, ClientOptions, Clock, Provider, Run, Templates, Versions, Which};
use super::{Script, Talk, run, run_of};
use rustls::{HandshakeKind, ProtocolVersion};
use std::sync::Arc;

#[test]
fn every_script_plays_under_both_providers() {
    for provider in [Provider::Fast, Provider::Real] {
        let templates = Arc::new(Templates::new(provider));
        for script in Script::all() {
            script.play(&run_of(&templates), 5);
        }
    }
}

#[test]
fn the_newest_common_version_is_spoken() {
    let run = run(Provider::Fast);
    let cases = [
        (Versions::Both, Versions::Both, ProtocolVersion::TLSv1_3),
        (Versions::Tls12, Versions::Both, ProtocolVersion::TLSv1_2),
        (Versions::Both, Versions::Tls12, ProtocolVersion::TLSv1_2),
    ];
    for (offered, spoken, version) in cases {
        let client = run.client(ClientOptions { versions: offered, ..ClientOptions::default() });
        let server = run.server_showing(Which::A, ClientAuth::None, spoken);
        let mut talk = Talk::new(&Arc::new(client), &Arc::new(server), "a.example", 1, 1);
        talk.settle().expect("a handshake");
        assert_eq!(talk.client.connection().protocol_version(), Some(version));
    }
}

/// The handshakes of two connections, the second to a server of `later`.
fn two(run: &Run, later: &Run, versions: Versions) -> HandshakeKind {
    let client = Arc::new(run.client(ClientOptions { versions, ..ClientOptions::default() }));
    let mut kind = HandshakeKind::Full;
    for (at, run) in [run, later].into_iter().enumerate() {
        let server = run.server_showing(Which::A, ClientAuth::None, Versions::Both);
        let number = 2 * at as u64;
        let mut talk = Talk::new(&client, &Arc::new(server), "a.example", 3, number);
        talk.settle().expect("a handshake");
        kind = talk.kinds()[1];
    }
    kind
}

#[test]
fn a_ticket_outlives_its_server_but_not_its_key() {
    for provider in [Provider::Fast, Provider::Real] {
        let templates = Arc::new(Templates::new(provider));
        for versions in [Versions::Tls12, Versions::Tls13] {
            let first = run_of(&templates);
            assert_eq!(two(&first, &run_of(&templates), versions), HandshakeKind::Resumed);
            let other = Run::new(Arc::clone(&templates), Clock::default(), [8; 32]);
            assert_eq!(two(&first, &other, versions), HandshakeKind::Full);
        }
    }
}

#[test]
fn a_client_that_is_new_has_nothing_to_resume() {
    // A template that kept sessions would leak one run into another.
    let run = run(Provider::Fast);
    let server = Arc::new(run.server_showing(Which::A, ClientAuth::None, Versions::Both));
    for at in 0..3 {
        let client = Arc::new(run.client(ClientOptions::default()));
        let mut talk = Talk::new(&client, &server, "a.example", 3, 2 * at);
        talk.settle().expect("a handshake");
        assert_eq!(talk.kinds(), [HandshakeKind::Full; 2]);
    }
}

#[test]
fn a_client_that_resumes_nothing_makes_full_handshakes() {
    let run = run(Provider::Fast);
    let server = Arc::new(run.server_showing(Which::A, ClientAuth::None, Versions::Both));
    let options = ClientOptions { resumes: false, ..ClientOptions::default() };
    let client = Arc::new(run.client(options));
    for at in 0..2 {
        let mut talk = Talk::new(&client, &server, "a.example", 3, 2 * at);
        talk.settle().expect("a handshake");
        assert_eq!(talk.kinds(), [HandshakeKind::Full; 2]);
    }
}

#[test]
fn an_end_without_close_notify_is_not_whole() {
    // TLS-3
    let run = run(Provider::Fast);
    let client = Arc::new(run.client(ClientOptions::default()));
    let server = Arc::new(run.server_showing(Which::A, ClientAuth::None, Versions::Both));
    let mut talk = Talk::new(&client, &server, "a.example", 3, 1);
    talk.settle().expect("a handshake");
    talk.server.send(b"half of");
    talk.settle().expect("data");
    assert_eq!(talk.client.received(), b"half of");
    assert!(!talk.client.is_whole());
    talk.server.close();
    talk.settle().expect("a close");
    assert!(talk.client.is_whole());
}

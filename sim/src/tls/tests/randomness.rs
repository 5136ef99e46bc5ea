//! Chance is lent, for the length of a call.

use super::super::random::{feed, forget};
use super::super::{ClientAuth, ClientOptions, Entropy, Provider, Randomness, Streams};
use super::super::{Versions, Which};
use super::run;
use rustls::crypto::SecureRandom as _;
use rustls::{ClientConnection, pki_types::ServerName};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

fn draw() -> u64 {
    let mut bytes = [0; 8];
    Randomness.fill(&mut bytes).expect("a draw");
    u64::from_le_bytes(bytes)
}

fn panics<R>(call: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(call)).is_err()
}

#[test]
fn a_draw_outside_of_a_guard_panics() {
    assert!(panics(draw));
    Entropy::new(1, 1).lend(draw);
    assert!(panics(draw), "the guard has ended");
}

#[test]
fn rustls_draws_nowhere_else() {
    // Were there another source, a client could say hello without a guard.
    for provider in [Provider::Fast, Provider::Real] {
        let config = Arc::new(run(provider).client(ClientOptions::default()));
        let name = ServerName::try_from("a.example").expect("a name");
        assert!(panics(|| drop(ClientConnection::new(config, name))));
    }
}

#[test]
fn one_stream_for_each_seed_and_connection() {
    let first = |seed, connection| Entropy::new(seed, connection).lend(draw);
    assert_eq!(first(1, 2), first(1, 2));
    let all = [first(1, 2), first(2, 1), first(1, 1), first(2, 2), first(0, 3), first(3, 0)];
    for (at, one) in all.iter().enumerate() {
        assert!(!all[..at].contains(one));
    }
}

#[test]
fn a_stream_goes_on_where_it_ended() {
    let mut whole = Entropy::new(1, 2);
    let whole = whole.lend(|| [draw(), draw()]);
    let mut cut = Entropy::new(1, 2);
    assert_eq!([cut.lend(draw), cut.lend(draw)], whole);
}

#[test]
fn guards_nest() {
    let (mut outer, mut inner) = (Entropy::new(1, 1), Entropy::new(1, 2));
    let mixed = outer.lend(|| [draw(), inner.lend(draw), draw()]);
    let alone = Entropy::new(1, 1).lend(|| [draw(), draw()]);
    assert_eq!(mixed, [alone[0], Entropy::new(1, 2).lend(draw), alone[1]]);
}

#[test]
fn a_panic_gives_back_what_was_lent() {
    let (mut outer, mut inner) = (Entropy::new(1, 1), Entropy::new(1, 2));
    outer.lend(|| {
        assert!(panics(|| inner.lend(|| panic!("a bug"))));
        assert_eq!(draw(), Entropy::new(1, 1).lend(draw));
    });
    assert_eq!(inner.lend(draw), Entropy::new(1, 2).lend(draw));
    let mut streams = Streams::new(1);
    assert!(panics(|| streams.lend(2, || panic!("a bug"))));
    assert_eq!(streams.lend(2, draw), Entropy::new(1, 2).lend(draw));
    assert!(panics(draw));
}

#[test]
fn streams_are_those_of_single_connections() {
    let mut streams = Streams::new(9);
    let mixed = streams.lend(5, || {
        let first = draw();
        feed(6);
        let other = draw();
        feed(5);
        [first, other, draw()]
    });
    let mut five = Entropy::new(9, 5);
    assert_eq!(mixed, [five.lend(draw), Entropy::new(9, 6).lend(draw), five.lend(draw)]);
    assert_eq!(streams.lend(5, draw), five.lend(draw), "they outlive a guard");
    assert_eq!(streams.len(), 2);
    streams.lend(0, || forget(5));
    assert_eq!(streams.len(), 1);
    assert_eq!(streams.lend(5, draw), Entropy::new(9, 5).lend(draw), "it begins anew");
}

#[test]
fn connections_are_named_within_their_guard_alone() {
    assert!(panics(|| feed(1)));
    assert!(panics(|| Entropy::new(1, 1).lend(|| forget(1))));
}

/// The core makes and drives its connections inside of one call: the same bytes as with a guard
/// around each.
#[test]
fn a_server_behind_streams_writes_what_one_with_its_own_would() {
    let run = run(Provider::Fast);
    let config = Arc::new(run.server_showing(Which::A, ClientAuth::None, Versions::Both));
    let client = Arc::new(run.client(ClientOptions::default()));
    let talk = || super::Talk::new(&client, &config, "a.example", 9, 1);
    let mut own = talk();
    own.step().expect("hellos");
    let mut hello = Vec::new();
    talk().client.take_output(&mut hello);
    let mut streams = Streams::new(9);
    let wire = streams.lend(0, || {
        feed(2);
        let mut server = rustls::ServerConnection::new(Arc::clone(&config)).expect("a server");
        server.read_tls(&mut &hello[..]).expect("a hello");
        server.process_new_packets().expect("a hello");
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).expect("a vector takes everything");
        }
        wire
    });
    assert_eq!(own.flights, [hello, wire]);
}

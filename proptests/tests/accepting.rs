//! Accepting: a budget for each listener and turn, and nobody starves (ACC-1).

mod support;

use std::net::SocketAddr;
use support::{ip, rig_of, simple_config};
use tidegate_core::accept::ACCEPT_BUDGET;
use tidegate_core::config::{Config, Listener, Settings};
use tidegate_core::id::SocketId;
use tidegate_proptests::memory::{READABLE, Rig};

fn crowd(rig: &mut Rig, count: usize) {
    let client = SocketAddr::from(([127, 0, 0, 1], 40_000));
    rig.kernel.backlog.extend(std::iter::repeat_n(client, count));
}

fn listening_on(ports: &[u16]) -> Config {
    let mut config = simple_config();
    let bound = ports.iter().map(|&port| ip(port)).collect();
    config.listeners = vec![Listener::new("web", bound)];
    config
}

/// Which listener accepted how many, one after the other.
fn rounds(rig: &Rig) -> Vec<(SocketId, usize)> {
    let runs = rig.kernel.accepted_from.chunk_by(|one, next| one == next);
    runs.map(|run| (run[0], run.len())).collect()
}

// ACC-1: one edge is all that the kernel gives, whatever part of the backlog a budget covers.
#[test]
fn one_edge_empties_a_backlog_of_any_length() {
    assert_eq!(ACCEPT_BUDGET, 256);
    for count in [1, 255, 256, 257, 511, 512, 513, 1000] {
        let mut rig = rig_of(Settings::default(), listening_on(&[8080]));
        let listener = rig.kernel.listeners[0];
        crowd(&mut rig, count);
        rig.nudge(listener, READABLE);
        assert_eq!(rig.kernel.accepted.len(), count);
        // It blocks now: a turn without an edge does not try again.
        crowd(&mut rig, 1);
        rig.turn();
        assert_eq!(rig.kernel.accepted.len(), count);
        rig.nudge(listener, READABLE);
        assert_eq!(rig.kernel.accepted.len(), count + 1);
        assert_eq!(rig.proxy.check_invariants(), Ok(()));
    }
}

// ACC-1, LOOP-5: whoever has used up his budget goes behind the others.
#[test]
fn listeners_take_turns() {
    let mut rig = rig_of(Settings::default(), listening_on(&[8080, 8081, 8082]));
    let [a, b, c] = rig.kernel.listeners[..] else { panic!("three listeners") };
    crowd(&mut rig, 1000);
    rig.proxy.ready(b, READABLE);
    rig.proxy.ready(a, READABLE);
    rig.proxy.ready(c, READABLE);
    rig.turn();
    assert_eq!(rounds(&rig), [(b, 256), (a, 256), (c, 256), (b, 232)]);
}

// ACC-1, LOOP-5: between two budgets it is the sessions' turn, those just accepted among them.
#[test]
fn sessions_are_served_between_two_budgets() {
    let settings = Settings { max_connections: 600, ..Settings::default() };
    let mut rig = rig_of(settings, listening_on(&[8080]));
    let client = rig.connect();
    crowd(&mut rig, 1000);
    rig.kernel.wire(client).to_proxy.extend_from_slice(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    rig.proxy.ready(rig.kernel.listeners[0], READABLE);
    rig.proxy.ready(client, READABLE);
    rig.turn();
    // The connection to the server was made before the second round of accepting.
    let (server, _) = rig.kernel.connected[0];
    let second_round = rig.kernel.accepted[257];
    assert!(server.index() < second_round.index(), "{server:?} after {second_round:?}");
    assert_eq!(rig.kernel.accepted.len(), 1001);
}

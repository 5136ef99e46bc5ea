//! Sockets as the core knows them: listeners among them (LOOP-3), and four separate facts of each
//! (LOOP-6).

mod support;

use support::{ip, rig_of, simple_config};
use tidegate_core::config::{Listener, Settings};
use tidegate_core::event::{Ending, Phase, Who};
use tidegate_core::id::SocketId;
use tidegate_core::input::{Readiness, SocketError};
use tidegate_proptests::memory::{BROKEN, READ_CLOSED, READABLE, Rig, WRITABLE};
use tidegate_proptests::naive;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn rig() -> Rig {
    rig_of(Settings::default(), simple_config())
}

/// A client that has asked, and the connection to the server that knows of it.
fn asked(rig: &mut Rig) -> (SocketId, SocketId) {
    let client = rig.connect();
    rig.feed(client, GET);
    (client, rig.kernel.connected.last().expect("connected").0)
}

/// The response to `client`, if its head came.
fn response(rig: &Rig, client: SocketId) -> Option<naive::Message> {
    naive::response(rig.written(client), false, false)
}

/// What the only request's record tells of its end.
fn ending(rig: &Rig) -> (Who, Phase) {
    let records = rig.records();
    assert_eq!(records.len(), 1, "{records:?}");
    let Ending { who, phase, .. } = records[0].ending;
    (who, phase)
}

// LOOP-3: an event on a listener means "accept", one on anything else never does.
#[test]
fn an_event_on_a_listener_means_accept() {
    let mut rig = rig();
    let listener = rig.kernel.listeners[0];
    let client = rig.connect();
    assert_eq!(rig.proxy.gauges().sockets, 2, "listeners are counted with all others");
    let waiting = std::net::SocketAddr::from(([127, 0, 0, 1], 40_001));
    rig.kernel.backlog.push_back(waiting);
    rig.nudge(client, READABLE);
    rig.nudge(client, WRITABLE);
    rig.nudge(listener, WRITABLE);
    assert_eq!(rig.kernel.accepted, [client]);
    rig.nudge(listener, READABLE);
    assert_eq!(rig.kernel.accepted.len(), 2);
}

// LOOP-3, LOOP-1: a closed listener's slot goes to the next socket, which its late events miss.
#[test]
fn late_events_of_a_closed_listener_reach_nobody() {
    let mut rig = rig();
    let (client, _) = asked(&mut rig);
    let old = rig.kernel.listeners[0];
    let mut config = simple_config();
    config.listeners = vec![Listener::new("other", vec![ip(8081)])];
    rig.proxy.apply(config).expect("a valid configuration");
    rig.turn();
    assert!(!rig.kernel.listeners.contains(&old) && rig.kernel.listeners.len() == 1);
    let tenant = rig.connect();
    assert_eq!(tenant.index(), old.index(), "the same map, the same slot");
    assert_ne!(tenant, old);
    let stale = rig.proxy.counters().stale_ids;
    rig.kernel.backlog.push_back(std::net::SocketAddr::from(([127, 0, 0, 1], 40_001)));
    for edge in [READABLE, WRITABLE, READ_CLOSED, BROKEN] {
        rig.nudge(old, edge);
    }
    assert_eq!(rig.proxy.counters().stale_ids, stale + 4);
    assert!(rig.kernel.is_open(client) && rig.kernel.is_open(tenant));
    assert_eq!(rig.kernel.accepted, [client, tenant]);
}

// LOOP-6: of the four facts only a reset ends a session whose request is whole.
#[test]
fn each_fact_of_a_client_stands_for_itself() {
    let facts = [
        (Readiness { readable: true, ..Readiness::default() }, true),
        (Readiness { writable: true, ..Readiness::default() }, true),
        (Readiness { read_closed: true, ..Readiness::default() }, true),
        (Readiness { error: true, ..Readiness::default() }, false),
    ];
    for (fact, goes_on) in facts {
        let mut rig = rig();
        let (client, server) = asked(&mut rig);
        rig.kernel.wire(client).finished = fact.read_closed;
        if fact.error {
            rig.kernel.wire(client).broken = true;
            rig.kernel.wire(client).error = Some(SocketError::Reset);
        }
        rig.nudge(client, fact);
        assert_eq!(rig.kernel.is_open(client), goes_on, "{fact:?}");
        assert_eq!(rig.kernel.is_open(server), goes_on, "{fact:?}");
        if goes_on {
            rig.feed(server, OK);
            assert_eq!(response(&rig, client).expect("an answer").body, b"ok", "{fact:?}");
            // A peer that has finished writing is not asked for another request.
            assert_eq!(rig.kernel.is_open(client), !fact.read_closed, "{fact:?}");
        } else {
            assert_eq!(ending(&rig), (Who::Client, Phase::ResponseHead));
        }
        assert_eq!(rig.proxy.check_invariants(), Ok(()));
    }
}

// LOOP-6, RES-6: a FIN may be a `close()`: only the reset that answers a write tells.
#[test]
fn a_later_reset_tells_a_close_from_a_half_close() {
    let mut rig = rig();
    let (client, server) = asked(&mut rig);
    rig.finish(client);
    rig.feed(server, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nok");
    assert!(rig.kernel.is_open(client), "half-closed, for all we know");
    assert!(response(&rig, client).is_some_and(|response| !response.is_whole));
    rig.fail(client, SocketError::Reset);
    assert!(!rig.kernel.is_open(client) && !rig.kernel.is_open(server));
    assert_eq!(ending(&rig), (Who::Client, Phase::ResponseBody));
}

// LOOP-6: a peer whose window is full is no peer that has gone: each fact waits for its own edge.
#[test]
fn writable_comes_back_after_a_half_close() {
    let mut rig = rig();
    let (client, server) = asked(&mut rig);
    rig.kernel.wire(client).room = 10;
    rig.finish(client);
    rig.feed(server, OK);
    assert_eq!(rig.written(client).len(), 10);
    rig.make_room(client, usize::MAX);
    assert_eq!(response(&rig, client).expect("an answer").body, b"ok");
    assert!(!rig.kernel.is_open(client));
    assert_eq!(ending(&rig), (Who::Nobody, Phase::Complete));
}

// LOOP-6, RES-2: a body that ends by close is whole after a FIN, and cut after a reset.
#[test]
fn an_end_and_a_reset_of_a_server_differ() {
    for resets in [false, true] {
        let mut rig = rig();
        let (client, server) = asked(&mut rig);
        rig.feed(server, b"HTTP/1.1 200 OK\r\n\r\nuntil the end");
        match resets {
            false => rig.finish(server),
            true => rig.fail(server, SocketError::Reset),
        }
        let response = response(&rig, client).expect("a head");
        assert_eq!((&response.body[..], response.is_whole), (&b"until the end"[..], !resets));
        let expected = match resets {
            false => (Who::Nobody, Phase::Complete),
            true => (Who::Backend, Phase::ResponseBody),
        };
        assert_eq!(ending(&rig), expected);
        assert_eq!(rig.proxy.counters().truncated, u64::from(resets));
    }
}

// LOOP-6, RES-2: on Linux a failed write eats the reset, and the next read tells a clean end: what
// was seen once is remembered.
#[test]
fn a_reset_that_a_write_has_met_makes_the_next_end_no_end() {
    let mut rig = rig();
    let client = rig.connect();
    rig.feed(client, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nbegin");
    let server = rig.kernel.connected[0].0;
    rig.feed(server, b"HTTP/1.1 200 OK\r\n\r\nhalf a bo");
    let wire = rig.kernel.wire(server);
    (wire.error, wire.broken) = (Some(SocketError::Reset), true);
    wire.to_proxy.extend_from_slice(b"dy");
    // The write comes first, then the edge of what looks like an end.
    rig.feed(client, b"more");
    if rig.kernel.is_open(server) {
        rig.nudge(server, READ_CLOSED);
    }
    let response = response(&rig, client).expect("a head");
    assert!(!response.is_whole, "a cut body is passed off as whole");
    assert_eq!(rig.proxy.counters().truncated, 1);
    assert!(!rig.kernel.is_open(client) || rig.kernel.wire(client).shut, "it waits for more");
}

//! Bugs that a review found once, each as the shortest story that showed it.

mod support;

use std::time::Duration;
use support::{ip, rig_of, simple_config};
use tidegate_core::config::{AnswerBody, Config, Server, Settings};
use tidegate_core::event::Event;
use tidegate_core::id::SocketId;
use tidegate_core::input::{Readiness, SocketError};
use tidegate_proptests::memory::{READ_CLOSED, READABLE, Rig};
use tidegate_proptests::naive;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const POISON: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

fn rig() -> Rig {
    rig_of(Settings::default(), simple_config())
}

/// A cluster of two, so that a second attempt need not wait.
fn two_servers() -> Config {
    let mut config = simple_config();
    config.clusters[0].servers.push(Server::new(ip(9002)));
    config
}

/// The newest connection to a server.
fn server(rig: &Rig) -> SocketId {
    rig.kernel.connected.last().expect("connected").0
}

fn written(rig: &Rig, id: SocketId) -> String {
    String::from_utf8_lossy(rig.written(id)).into_owned()
}

/// The statuses that a client got.
fn statuses(rig: &Rig, client: SocketId) -> Vec<u16> {
    let all = naive::responses(rig.written(client), &[], true);
    all.iter().map(naive::Message::status).collect()
}

/// A connected client that was served once, and the server's connection, now idle.
fn served_once(rig: &mut Rig) -> (SocketId, SocketId) {
    let client = rig.connect();
    rig.feed(client, GET);
    let back = server(rig);
    rig.feed(back, OK);
    assert_eq!(statuses(rig, client), [200]);
    (client, back)
}

/// Bytes arrive, and their edge is noted: the turn comes later.
fn put(rig: &mut Rig, id: SocketId, bytes: &[u8]) {
    rig.kernel.wire(id).to_proxy.extend_from_slice(bytes);
    rig.proxy.ready(id, READABLE);
}

fn pass(rig: &mut Rig, span: Duration) {
    rig.advance_to(rig.now.after(span));
}

fn check(rig: &Rig) {
    assert_eq!(rig.proxy.check_invariants(), Ok(()));
    let counters = rig.proxy.counters();
    assert_eq!((counters.zombies, counters.broken), (0, 0), "{:?}", rig.events);
}

// BACK-3 (a): a reused connection that broke before it took a byte of a POST cost the client a 502.
#[test]
fn a_post_of_which_nothing_was_given_goes_to_a_fresh_connection() {
    let mut rig = rig();
    let (client, back) = served_once(&mut rig);
    let wire = rig.kernel.wire(back);
    (wire.error, wire.broken) = (Some(SocketError::Reset), true);
    rig.feed(client, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
    assert_ne!(server(&rig), back);
    let request = naive::request(rig.written(server(&rig))).expect("a request");
    assert!(request.start.starts_with("POST ") && request.body == b"hi");
    check(&rig);
}

// BACK-3: the FIN of an idle connection came in one batch with a POST: it was given the POST, 502.
#[test]
fn a_post_is_not_given_to_a_connection_that_has_ended() {
    let mut rig = rig();
    let (client, back) = served_once(&mut rig);
    put(&mut rig, client, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    rig.kernel.wire(back).finished = true;
    rig.nudge(back, READ_CLOSED);
    assert_ne!(server(&rig), back);
    let fresh = server(&rig);
    rig.feed(fresh, OK);
    assert_eq!(statuses(&rig, client), [200, 200]);
    check(&rig);
}

// BACK-3 (c), LOOP-2: the buffers of an answer that never came stayed with the repeated request.
#[test]
fn a_request_is_repeated_after_an_end_without_answer() {
    let mut rig = rig_of(Settings::default(), two_servers());
    let client = rig.connect();
    rig.feed(client, GET);
    let first = server(&rig);
    rig.finish(first);
    pass(&mut rig, Duration::from_millis(200));
    let second = server(&rig);
    assert_ne!(first, second);
    check(&rig);
    rig.feed(second, OK);
    assert_eq!(statuses(&rig, client), [200]);
    assert_eq!(rig.proxy.gauges().buffers_lent, 0);
    check(&rig);
}

// LOOP-5, SES-5: the buffers lent to a read that gave nothing stayed out, and the next read found
// them in its way.
#[test]
fn spurious_readiness_changes_nothing() {
    let mut rig = rig();
    let client = rig.connect();
    rig.feed(client, GET);
    let back = server(&rig);
    // After a response of many buffers, as many are lent to the next one's first read.
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec();
    bytes.resize(bytes.len() + 100_000, b'x');
    rig.feed(back, &bytes);
    rig.feed(client, GET);
    for _ in 0..3 {
        rig.nudge(back, READABLE);
        assert!(rig.proxy.gauges().buffers_lent <= 2, "{:?}", rig.proxy.gauges());
        check(&rig);
    }
    rig.feed(back, OK);
    assert_eq!(statuses(&rig, client), [200, 200]);
}

// REQ-8: the next request that came in one read with a body's rest was refused with 431.
#[test]
fn a_request_right_behind_a_body_is_served() {
    let mut rig = rig();
    let client = rig.connect();
    rig.feed(client, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    let back = server(&rig);
    rig.feed(client, b"0123456789GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    let request = naive::request(rig.written(back)).expect("a request");
    assert_eq!(request.body, b"0123456789");
    rig.feed(back, OK);
    let next = naive::request(&rig.written(back)[request.len..]).expect("the next");
    assert_eq!(next.target(), "/2");
    rig.feed(back, OK);
    assert_eq!(statuses(&rig, client), [200, 200]);
    check(&rig);
}

// REQ-7, REQ-3: an interim response that filled the buffer to its last byte ended the exchange.
#[test]
fn an_interim_response_may_fill_the_buffer_exactly() {
    for minor in [0, 1] {
        let settings = Settings { buffer_bytes: 2048, ..Settings::default() };
        let mut config = simple_config();
        (config.limits.head_bytes, config.limits.target_bytes) = (2048, 1024);
        let mut rig = rig_of(settings, config);
        let client = rig.connect();
        let get = format!("GET / HTTP/1.{minor}\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
        rig.feed(client, get.as_bytes());
        let back = server(&rig);
        // After a response of many buffers, as many are offered to the next one's first read.
        let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n".to_vec();
        bytes.resize(bytes.len() + 9000, b'x');
        rig.feed(back, &bytes);
        rig.feed(client, get.as_bytes());
        let mut bytes = b"HTTP/1.1 103 Early\r\nX: ".to_vec();
        bytes.resize(2044, b'x');
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(OK);
        rig.feed(back, &bytes);
        let expected: &[u16] = if minor == 0 { &[200, 200] } else { &[200, 103, 200] };
        assert_eq!(statuses(&rig, client), expected);
        check(&rig);
    }
}

// SES-5: a session that waited for buffers slept on when others gave some back without ending.
#[test]
fn buffers_that_come_back_wake_who_waits() {
    let mut rig = rig_of(Settings { buffers_max: 4, ..Settings::default() }, simple_config());
    let client = rig.connect();
    rig.feed(client, GET);
    let back = server(&rig);
    rig.kernel.wire(client).room = 1000;
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n".to_vec();
    bytes.resize(60_000, b'x');
    rig.feed(back, &bytes);
    let waiter = rig.connect();
    rig.feed(waiter, GET);
    assert_eq!((rig.proxy.counters().buffer_waits, rig.kernel.connected.len()), (1, 1));
    // The client reads all there is; its response goes on.
    rig.make_room(client, usize::MAX);
    assert_eq!(rig.kernel.connected.len(), 2, "the waiter is served");
    assert!(rig.kernel.is_open(client));
    check(&rig);
}

// SES-3, SES-5: a session that waited for buffers had no timer, nor did it see its client leave.
#[test]
fn who_waits_for_buffers_is_not_forgotten() {
    for leaves in [true, false] {
        let mut rig = rig_of(Settings { buffers_max: 2, ..Settings::default() }, simple_config());
        let client = rig.connect();
        rig.feed(client, GET);
        let back = server(&rig);
        rig.feed(back, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let waiter = rig.connect();
        rig.feed(waiter, GET);
        assert_eq!(rig.proxy.counters().buffer_waits, 1);
        if leaves {
            rig.finish(waiter);
        }
        for _ in 0..10 {
            pass(&mut rig, Duration::from_secs(20));
            rig.feed(back, b"1\r\nx\r\n");
        }
        assert!(!rig.kernel.is_open(waiter), "after 200 s: {:?}", rig.proxy.gauges());
        assert!(rig.kernel.is_open(client));
        check(&rig);
    }
}

// SES-5: an answer that pauses gives the buffers back that it needs for no byte.
#[test]
fn a_quiet_response_holds_its_reserve_and_no_more() {
    let mut rig = rig_of(Settings { buffers_max: 100, ..Settings::default() }, simple_config());
    let client = rig.connect();
    rig.feed(client, GET);
    let back = server(&rig);
    let mut bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n".to_vec();
    bytes.resize(2_000_000, b'x');
    rig.feed(back, &bytes);
    rig.nudge(back, READABLE);
    assert!(rig.proxy.gauges().buffers_lent <= 2, "{:?}", rig.proxy.gauges());
    check(&rig);
}

// BACK-7, RES-3: bytes unasked on an idle connection, told in one batch with a victim's request
// before them, became the victim's answer.
#[test]
fn unasked_bytes_on_an_idle_connection_are_nobodys_answer() {
    let mut rig = rig();
    let victim = rig.connect();
    let (_, back) = served_once(&mut rig);
    put(&mut rig, victim, GET);
    put(&mut rig, back, POISON);
    rig.turn();
    assert!(!written(&rig, victim).contains("poison"));
    let fresh = server(&rig);
    assert_ne!(fresh, back);
    rig.feed(fresh, OK);
    assert_eq!(statuses(&rig, victim), [200]);
    check(&rig);
}

// BACK-7, RES-3: an answer that came before a byte of its request was taken was passed on.
#[test]
fn an_answer_before_the_request_was_written_is_nobodys() {
    let mut rig = rig();
    let (client, back) = served_once(&mut rig);
    rig.kernel.wire(back).room = 0;
    rig.feed(client, GET);
    rig.feed(back, POISON);
    assert!(!written(&rig, client).contains("poison"));
    check(&rig);
}

// BACK-7: a connection of the pool had been taken, its window was full, and one edge told of room
// and of unasked bytes: the request went first, and the bytes were its answer (or a 502).
#[test]
fn what_is_said_before_the_first_byte_of_a_request_is_read_first() {
    let mut rig = rig();
    let (client, back) = served_once(&mut rig);
    rig.kernel.wire(back).room = 0;
    rig.feed(client, GET);
    let before = rig.written(back).len();
    rig.kernel.wire(back).room = usize::MAX;
    rig.kernel.wire(back).to_proxy.extend_from_slice(POISON);
    rig.proxy.ready(back, Readiness { writable: true, ..READABLE });
    rig.turn();
    assert_eq!(rig.written(back).len(), before);
    let fresh = server(&rig);
    assert_ne!(fresh, back);
    rig.feed(fresh, OK);
    assert_eq!(statuses(&rig, client), [200, 200]);
    check(&rig);
}

// BACK-7: the buffers that such bytes were read into, several where a large answer came before, were
// still there when the answer of the next connection was to be read. Seed 967706.
#[test]
fn what_is_said_before_the_first_byte_of_a_request_leaves_no_buffers_behind() {
    let mut rig = rig();
    let (client, back) = served_once(&mut rig);
    rig.feed(client, GET);
    let large =
        [b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n", &[b'x'; 200_000][..]].concat();
    rig.feed(back, &large);
    rig.kernel.wire(back).room = 0;
    rig.feed(client, GET);
    rig.kernel.wire(back).room = usize::MAX;
    rig.kernel.wire(back).to_proxy.extend_from_slice(POISON);
    rig.proxy.ready(back, Readiness { writable: true, ..READABLE });
    rig.turn();
    assert_eq!(rig.proxy.gauges().buffers_lent, 2, "those that were promised");
    let fresh = server(&rig);
    assert_ne!(fresh, back);
    rig.feed(fresh, OK);
    assert_eq!(statuses(&rig, client), [200, 200, 200]);
    check(&rig);
}

// RES-7: requests that failed before they had a route got the built-in answer, not the listener's.
#[test]
fn a_listeners_own_answers_serve_for_bad_heads() {
    let mut config = simple_config();
    for status in [400, 408] {
        let bytes = format!("own {status}").into_bytes().into();
        let body = AnswerBody { content_type: "text/plain".into(), bytes };
        config.listeners[0].answers.insert(status, body);
    }
    let mut rig = rig_of(Settings::default(), config);
    let bad = rig.connect();
    rig.feed(bad, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n");
    assert!(written(&rig, bad).ends_with("own 400"));
    let slow = rig.connect();
    rig.feed(slow, b"GET / HT");
    pass(&mut rig, Duration::from_secs(11));
    assert!(written(&rig, slow).ends_with("own 408"));
    check(&rig);
}

// RES-6: `abort_on_close` overlooked a FIN that came in one batch with the request.
#[test]
fn abort_on_close_sees_a_fin_that_comes_with_the_request() {
    for aborts in [true, false] {
        let mut config = simple_config();
        config.listeners[0].abort_on_close = aborts;
        let mut rig = rig_of(Settings::default(), config);
        let client = rig.connect();
        rig.kernel.wire(client).to_proxy.extend_from_slice(GET);
        rig.finish(client);
        assert_eq!(rig.kernel.is_open(client), !aborts);
        check(&rig);
    }
}

// ACC-5, ACC-6: a burst longer than the queue was shed although sessions were free.
#[test]
fn a_burst_beyond_the_queue_finds_the_free_sessions() {
    let settings =
        Settings { accept_queue_capacity: 4, max_connections: 100, ..Settings::default() };
    let mut rig = rig_of(settings, simple_config());
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
    rig.kernel.backlog.extend([address; 19]);
    rig.connect();
    assert_eq!(rig.proxy.counters().queue_overflow, 0);
    assert_eq!(rig.proxy.gauges().sessions, 20);
    check(&rig);
}

// BACK-4: a client that did not read an interim response had its server marked down.
#[test]
fn a_client_that_does_not_read_is_no_failure_of_the_server() {
    let mut config = simple_config();
    config.clusters[0].fall = 1;
    let mut rig = rig_of(Settings::default(), config);
    let client = rig.connect();
    rig.kernel.wire(client).room = 0;
    rig.feed(
        client,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx",
    );
    let back = server(&rig);
    rig.feed(back, b"HTTP/1.1 100 Continue\r\n\r\n");
    rig.feed(back, OK);
    pass(&mut rig, Duration::from_secs(31));
    let is_down = rig.events.iter().any(|event| matches!(event, Event::ServerDown { .. }));
    assert!(!is_down, "{:?}", rig.events);
    check(&rig);
}

// SES-3: `client_idle` ran while it was the server's turn to say 100.
#[test]
fn the_client_is_not_waited_for_before_100() {
    let mut config = simple_config();
    config.timeouts.client_idle = Duration::from_secs(5);
    let mut rig = rig_of(Settings::default(), config);
    let client = rig.connect();
    rig.feed(
        client,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
    );
    pass(&mut rig, Duration::from_secs(6));
    assert_eq!(written(&rig, client), "");
    // From the 100 on, it is.
    let back = server(&rig);
    rig.feed(back, b"HTTP/1.1 100 Continue\r\n\r\n");
    pass(&mut rig, Duration::from_secs(6));
    assert!(!rig.kernel.is_open(client) || rig.kernel.wire(client).shut);
    check(&rig);
}

// RES-2: a response cut by its server was counted again when its client broke.
#[test]
fn a_truncated_response_is_counted_once() {
    let mut rig = rig();
    let client = rig.connect();
    rig.kernel.wire(client).room = 10;
    rig.feed(client, GET);
    let back = server(&rig);
    rig.feed(back, b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nabc");
    rig.finish(back);
    if rig.kernel.is_open(client) {
        rig.fail(client, SocketError::Reset);
    }
    assert_eq!(rig.proxy.counters().truncated, 1);
    check(&rig);
}

// RUN-2: a session begun while the proxy stopped got a whole `drain` of its own.
#[test]
fn the_drain_deadline_counts_from_the_stop() {
    let settings = Settings {
        max_connections: 1,
        accept_queue_max_wait: Duration::from_secs(60),
        ..Settings::default()
    };
    let mut rig = rig_of(settings, simple_config());
    let first = rig.connect();
    rig.feed(first, GET);
    let back = server(&rig);
    let second = rig.connect();
    rig.proxy.stop();
    rig.turn();
    pass(&mut rig, Duration::from_secs(25));
    rig.feed(back, OK);
    assert!(rig.kernel.is_open(second) && !rig.kernel.is_open(first));
    rig.feed(second, GET);
    pass(&mut rig, Duration::from_secs(6));
    assert!(rig.proxy.is_stopped(), "31 s after the stop: {:?}", rig.proxy.gauges());
    assert_eq!(rig.events.last(), Some(&Event::Stopped { cut: 1 }));
    check(&rig);
}

// RUN-2, ACC-3, ACC-7: one session at a time, 40 in the queue and 10 in the backlog: the stop
// serves all of them.
#[test]
fn a_stop_serves_everybody_who_waits() {
    let mut rig = rig_of(Settings { max_connections: 1, ..Settings::default() }, simple_config());
    rig.kernel.client.to_proxy = GET.to_vec();
    for _ in 0..41 {
        rig.connect();
    }
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
    rig.kernel.backlog.extend([address; 10]);
    rig.proxy.stop();
    rig.turn();
    assert!(rig.kernel.listeners.is_empty());
    let gauges = rig.proxy.gauges();
    assert_eq!((gauges.sessions, gauges.queued), (1, 50));
    for _ in 0..51 {
        assert!(!rig.proxy.is_stopped());
        let back = server(&rig);
        rig.feed(back, OK);
        pass(&mut rig, Duration::from_millis(10));
        check(&rig);
    }
    assert!(rig.proxy.is_stopped(), "{:?}", rig.proxy.gauges());
    assert_eq!(rig.events.last(), Some(&Event::Stopped { cut: 0 }));
    assert_eq!(rig.kernel.accepted.len(), 51);
    for &client in &rig.kernel.accepted {
        let response = naive::response(rig.written(client), false, true).expect("an answer");
        assert_eq!((response.status(), response.values("connection")), (200, vec!["close"]));
        assert!(response.is_whole && !rig.kernel.is_open(client));
    }
}

//! Bugs that the simulator found once, each as the shortest story that shows it without a seed.

mod support;

use std::time::Duration;
use support::{ip, rig_of, simple_config};
use tidegate_core::config::{Server, Settings};
use tidegate_core::event::{Timer, Who};
use tidegate_proptests::memory::{READABLE, Rig};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The newest connection to a server.
fn server(rig: &Rig) -> tidegate_core::id::SocketId {
    rig.kernel.connected.last().expect("connected").0
}

fn pass(rig: &mut Rig, span: Duration) {
    rig.advance_to(rig.now.after(span));
}

fn written(rig: &Rig, id: tidegate_core::id::SocketId) -> String {
    String::from_utf8_lossy(rig.written(id)).into_owned()
}

// SES-3, REQ-7: a client that waits for 100 was taken for idle, because the server did not yet take
// the head that it would answer.
#[test]
fn a_client_that_waits_for_100_is_not_idle_while_the_server_does_not_read() {
    let mut config = simple_config();
    config.timeouts.client_idle = Duration::from_secs(5);
    let mut rig = rig_of(Settings::default(), config);
    rig.kernel.server.room = 10;
    let client = rig.connect();
    rig.feed(
        client,
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n",
    );
    pass(&mut rig, Duration::from_secs(6));
    assert_eq!(written(&rig, client), "");
    assert!(rig.kernel.is_open(client));
    assert_eq!(rig.proxy.check_invariants(), Ok(()));
}

// SES-3, RUN-1: the first head of a connection was timed by the configuration of the connection's
// start, not by that of the request's.
#[test]
fn a_first_head_is_timed_by_the_version_that_its_request_sees() {
    let mut config = simple_config();
    config.timeouts.request_head = Duration::from_secs(10);
    let mut rig = rig_of(Settings::default(), config.clone());
    let client = rig.connect();
    config.timeouts.request_head = Duration::from_secs(3);
    rig.proxy.apply(config).expect("a good configuration");
    pass(&mut rig, Duration::from_secs(1));
    rig.feed(client, b"GET / HT");
    pass(&mut rig, Duration::from_millis(1_900));
    assert_eq!(written(&rig, client), "");
    pass(&mut rig, Duration::from_millis(200));
    assert!(written(&rig, client).starts_with("HTTP/1.1 408 "));
}

// SES-3, BACK-2: the record of a request whose attempts all timed out blamed the server's end, and
// charged the time to no attempt.
#[test]
fn attempts_that_time_out_are_named_and_charged() {
    let mut config = simple_config();
    config.timeouts.connect = Duration::from_secs(1);
    let mut rig = rig_of(Settings::default(), config);
    rig.kernel.server.connecting = true;
    let client = rig.connect();
    rig.feed(client, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    pass(&mut rig, Duration::from_secs(4));
    assert!(written(&rig, client).starts_with("HTTP/1.1 503 "));
    let records = rig.records();
    let record = records.last().expect("a record");
    assert_eq!(record.attempts, 3);
    assert_eq!((record.ending.who, record.ending.timer), (Who::Timeout, Some(Timer::Connect)));
    assert!(record.connect >= Duration::from_secs(3), "{record:?}");
    assert_eq!((record.wait, record.transfer), (Duration::ZERO, Duration::ZERO));
}

// RUN-2: a graceful stop never ended while accepting was held up for want of descriptors.
#[test]
fn a_stop_ends_by_the_drain_deadline_though_nothing_can_be_accepted() {
    let mut config = simple_config();
    config.timeouts.drain = Duration::from_secs(2);
    let mut rig = rig_of(Settings::default(), config);
    rig.kernel.accept_error = Some(tidegate_core::input::AcceptError::Resources);
    rig.proxy.stop();
    pass(&mut rig, Duration::from_secs(1));
    assert!(!rig.proxy.is_stopped());
    pass(&mut rig, Duration::from_secs(2));
    assert!(rig.proxy.is_stopped());
}

// SES-1, REQ-3, RES-6: a listener that was removed took the limits of its sessions with it. Seed
// 30077.
#[test]
fn a_removed_listener_keeps_its_limits_for_its_sessions() {
    let mut config = simple_config();
    config.listeners[0].max_body = Some(10);
    config.listeners[0].abort_on_close = true;
    let mut rig = rig_of(Settings::default(), config.clone());
    let [long, leaving] = [rig.connect(), rig.connect()];
    config.listeners.clear();
    rig.proxy.apply(config).expect("a valid configuration");
    rig.turn();
    rig.feed(long, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
    assert!(written(&rig, long).starts_with("HTTP/1.1 413 "));
    rig.kernel.wire(leaving).to_proxy.extend_from_slice(GET);
    rig.finish(leaving);
    assert!(!rig.kernel.is_open(leaving));
    assert_eq!(rig.proxy.check_invariants(), Ok(()));
}

// RUN-5: the time of an attempt whose connection broke after it stood was missing from the record,
// whose parts are all of a request's time.
#[test]
fn the_time_of_attempts_that_failed_is_recorded() {
    let settings = Settings { access_records: true, ..Settings::default() };
    let mut config = simple_config();
    config.clusters[0].servers.push(Server::new(ip(9002)));
    let mut rig = rig_of(settings, config);
    rig.kernel.server.connecting = true;
    let client = rig.connect();
    rig.feed(client, GET);
    let first = server(&rig);
    pass(&mut rig, Duration::from_secs(1));
    rig.establish(first);
    pass(&mut rig, Duration::from_secs(1));
    rig.finish(first);
    let second = server(&rig);
    assert_ne!(first, second);
    pass(&mut rig, Duration::from_secs(1));
    rig.establish(second);
    pass(&mut rig, Duration::from_secs(2));
    rig.feed(second, OK);
    let record = rig.records()[0];
    let parts = [record.head, record.queue, record.connect, record.wait, record.transfer];
    assert_eq!(record.start.after(parts.iter().sum()), rig.now, "{parts:?}");
    assert_eq!(record.connect, Duration::from_secs(3), "{parts:?}");
    assert_eq!(rig.proxy.check_invariants(), Ok(()));
}

// ACC-10, found by seed 1007: readiness that came to nothing let the idle connection seem busy when
// a socket came, and nobody looked again.
#[test]
fn an_idle_connection_whose_readiness_came_to_nothing_makes_room() {
    let settings =
        Settings { max_connections: 1, accept_queue_evict_idle: true, ..Settings::default() };
    let mut rig = rig_of(settings, simple_config());
    let idle = rig.connect();
    rig.feed(idle, GET);
    let back = server(&rig);
    rig.feed(back, OK);
    assert!(written(&rig, idle).ends_with("ok"));
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], 40_000));
    rig.kernel.backlog.push_back(address);
    rig.proxy.ready(rig.kernel.listeners[0], READABLE);
    rig.nudge(idle, READABLE);
    assert!(!rig.kernel.is_open(idle));
    assert_eq!((rig.proxy.gauges().queued, rig.proxy.counters().evicted), (0, 1));
}

// RUN-1, ROUTE-1: who came by an address that a reload gave to nobody, or by a listener that went
// and came back, had no listener, and a route that is bound to it answered 404. Seed 67024.
#[test]
fn who_came_by_a_listener_before_it_moved_is_routed_as_by_it() {
    let mut config = simple_config();
    config.routes[0].listener = Some(config.listeners[0].name.clone());
    let mut moved = config.clone();
    moved.listeners[0].binds = vec![ip(8099)];
    moved.listeners[0].max_body = Some(10);
    let mut gone = config.clone();
    gone.listeners.clear();
    gone.routes.clear();
    let mut back_again = config.clone();
    back_again.listeners[0].max_body = Some(10);
    for reloads in [vec![moved], vec![gone, back_again]] {
        let mut rig = rig_of(Settings::default(), config.clone());
        let [client, large] = [rig.connect(), rig.connect()];
        for reload in reloads {
            rig.proxy.apply(reload).expect("a valid configuration");
            rig.turn();
        }
        rig.feed(client, GET);
        let back = server(&rig);
        rig.feed(back, OK);
        assert!(written(&rig, client).ends_with("ok"), "{}", written(&rig, client));
        // REQ-3: nor are the limits those of before.
        rig.feed(large, b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n");
        assert!(written(&rig, large).starts_with("HTTP/1.1 413 "), "{}", written(&rig, large));
        assert_eq!(rig.proxy.check_invariants(), Ok(()));
    }
}

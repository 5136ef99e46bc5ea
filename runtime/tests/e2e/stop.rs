//! Graceful stop (RUN-2).

use crate::backend::{Backend, Next};
use crate::client::{Client, End};
use crate::proxy::{Setup, listening, wait_until};
use rustix::process::Signal;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

fn slow(span: Duration) -> Backend {
    Backend::start(move |exchange| {
        sleep(span);
        exchange.ok("done")
    })
}

// RUN-2: what was begun is answered with `Connection: close`, what is idle is closed, exit 0.
#[test]
fn begun_requests_are_answered_and_idle_connections_closed() {
    let backend = slow(Duration::from_millis(600));
    let mut proxy = Setup::to(&[backend.port]).start();
    let mut idle = Client::connect(proxy.port);
    idle.get("/");
    idle.response().expect("an answer");
    let mut busy = Client::connect(proxy.port);
    busy.get("/");
    wait_until("the request arrives", || backend.requests() == 2);
    proxy.signal(Signal::TERM);
    idle.expect_closed();
    let refused = || Client::try_connect(proxy.port).is_err();
    wait_until("newcomers are refused", refused);
    let response = busy.response().expect("an answer");
    assert_eq!((response.status, response.closes()), (200, true));
    busy.expect_closed();
    assert_eq!(proxy.wait().code(), Some(0));
}

// RUN-2 under load: every request that was sent on a connection it could use is answered.
#[test]
fn a_stop_under_load_loses_no_request() {
    let backend = slow(Duration::from_millis(5));
    let mut setup = Setup::to(&[backend.port]);
    setup.workers = 2;
    let mut proxy = setup.start();
    let count = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..16)
        .map(|_| {
            let (count, port) = (Arc::clone(&count), proxy.port);
            thread::spawn(move || {
                let mut client = Client::connect(port);
                let mut answered = 0;
                loop {
                    let sent = client.try_send(crate::client::get("/").as_bytes());
                    match client.response() {
                        Ok(response) => {
                            assert!(sent.is_ok() && response.status == 200);
                            answered += 1;
                            count.fetch_add(1, Ordering::SeqCst);
                            if response.closes() {
                                client.expect_closed();
                                return answered;
                            }
                        }
                        // The connection was idle when it was closed; the request met its end.
                        Err(cut) => {
                            assert!(cut.bytes == 0 && cut.end != End::Open, "{cut:?}");
                            return answered;
                        }
                    }
                }
            })
        })
        .collect();
    wait_until("load", || count.load(Ordering::SeqCst) > 500);
    proxy.signal(Signal::TERM);
    let mut answered = 0;
    for client in clients {
        answered += client.join().expect("a client without a complaint");
    }
    assert_eq!(proxy.wait().code(), Some(0));
    assert_eq!(proxy.lines(answered).len(), answered);
}

// RUN-2: max_connections = 1 and fifty waiting: all are served.
#[test]
fn the_accept_queue_is_served_before_the_end() {
    let backend = slow(Duration::from_millis(20));
    let mut proxy = Setup::to(&[backend.port]).max_connections(1).start();
    let mut clients: Vec<Client> = (0..51).map(|_| Client::connect(proxy.port)).collect();
    for client in &mut clients {
        client.get("/");
    }
    proxy.signal(Signal::TERM);
    for client in &mut clients {
        let response = client.response().expect("nobody who waits is lost");
        assert_eq!(response.status, 200);
    }
    assert_eq!(proxy.wait().code(), Some(0));
    assert_eq!(backend.requests(), 51);
}

// RUN-2: a TERM that comes as soon as somebody can connect stops gracefully: the handlers are there
// before the port is.
#[test]
fn signals_are_handled_before_the_port_opens() {
    for _ in 0..20 {
        let mut proxy = Setup::to(&[1]).spawn();
        while listening(proxy.port) == 0 {
            assert!(proxy.runs(), "{}", proxy.stderr());
        }
        let caught = proxy.status_line("SigCgt");
        let mask = caught.split_ascii_whitespace().last().expect("a mask");
        let mask = u64::from_str_radix(mask, 16).expect("a mask");
        let is_caught = |signal: Signal| mask >> (signal.as_raw() - 1) & 1 == 1;
        for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1, Signal::QUIT] {
            assert!(is_caught(signal), "{signal:?}: {caught}");
        }
        proxy.signal(Signal::TERM);
        assert_eq!(proxy.wait().code(), Some(0));
    }
}

// RUN-2, ACC-4: who waits in silence does not hold the end up for ever.
#[test]
fn silent_waiters_do_not_hold_the_end_up() {
    let backend = slow(Duration::ZERO);
    let mut proxy = Setup::to(&[backend.port])
        .max_connections(1)
        .top("accept_queue = { max_wait = \"1s\" }")
        .timeouts("request_head = \"1s\"")
        .start();
    let mut clients: Vec<Client> = (0..5).map(|_| Client::connect(proxy.port)).collect();
    sleep(Duration::from_millis(100));
    let start = Instant::now();
    proxy.signal(Signal::TERM);
    for client in &mut clients {
        client.expect_closed();
    }
    assert_eq!(proxy.wait().code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5));
}

// RUN-2: the deadline cuts what is left; still 0, and the number is logged.
#[test]
fn the_drain_deadline_cuts_and_counts() {
    let backend = Backend::start(|exchange| {
        exchange.until_closed();
        Ok(Next::Close)
    });
    let mut proxy = Setup::to(&[backend.port]).timeouts("drain = \"700ms\"").start();
    let mut busy = Client::connect(proxy.port);
    busy.get("/");
    wait_until("the request arrives", || backend.requests() == 1);
    // The deadline counts from the stop, not from the worker's last turn before it.
    sleep(Duration::from_millis(400));
    let start = Instant::now();
    proxy.signal(Signal::TERM);
    assert_eq!(proxy.wait().code(), Some(0));
    let taken = start.elapsed();
    assert!(taken >= Duration::from_millis(700), "early: {taken:?}");
    assert!(taken < Duration::from_secs(3), "late: {taken:?}");
    assert!(proxy.stderr().contains('1'), "the number of cut sessions: {}", proxy.stderr());
    let (_, end) = busy.wire.rest();
    assert_ne!(end, End::Open);
}

// RUN-2: a second signal stops at once, with 1.
#[test]
fn a_second_signal_stops_at_once() {
    let backend = Backend::start(|exchange| {
        exchange.until_closed();
        Ok(Next::Close)
    });
    let mut proxy = Setup::to(&[backend.port]).start();
    let mut busy = Client::connect(proxy.port);
    busy.get("/");
    wait_until("the request arrives", || backend.requests() == 1);
    proxy.signal(Signal::TERM);
    wait_until("the listener is closed", || crate::proxy::listening(proxy.port) == 0);
    assert!(proxy.runs(), "it waits for the request");
    let start = Instant::now();
    proxy.signal(Signal::INT);
    assert_eq!(proxy.wait().code(), Some(1));
    assert!(start.elapsed() < Duration::from_secs(2));
}

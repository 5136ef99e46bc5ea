//! Timers of SES-3 as clients and servers see them.

use crate::backend::{Backend, Next};
use crate::client::{Client, raw_once};
use crate::proxy::{Proxy, Setup};
use std::thread::sleep;
use std::time::{Duration, Instant};

fn ended_by(proxy: &Proxy, timer: &str, phase: &str, status: u64) {
    let record = proxy.records(1).remove(0);
    assert_eq!(record.ending(), ("timeout".into(), phase.into()));
    assert_eq!((record.text("timer").as_str(), record.status()), (timer, status));
}

/// Fails unless `since` lies about `span` back: never early, late only as a busy machine is.
fn about(since: Instant, span: Duration) {
    let taken = since.elapsed();
    assert!(taken >= span, "early: {taken:?} instead of {span:?}");
    assert!(taken < span + Duration::from_millis(1500), "late: {taken:?} instead of {span:?}");
}

// SES-3 backend_response
#[test]
fn a_silent_server_gives_504() {
    let backend = Backend::start(|exchange| {
        exchange.until_closed();
        Ok(Next::Close)
    });
    let proxy = Setup::to(&[backend.port]).timeouts("backend_response = \"700ms\"").start();
    let start = Instant::now();
    let mut client = Client::connect(proxy.port);
    client.get("/");
    let response = client.response().expect("an answer");
    about(start, Duration::from_millis(700));
    assert_eq!(response.status, 504);
    ended_by(&proxy, "backend_response", "response head", 504);
    assert_eq!(backend.requests(), 1, "a 504 is not sent again");
}

// SES-3: `backend_response` is not extended by trickled bytes or 1xx.
#[test]
fn a_trickled_response_head_gives_504() {
    for trickle in ["X", "HTTP/1.1 102 Processing\r\n\r\n"] {
        let backend = Backend::start(move |exchange| {
            if trickle == "X" {
                exchange.raw("HTTP/1.1 200 OK\r\nX-Slow: ")?;
            }
            for _ in 0..12 {
                exchange.raw(trickle)?;
                sleep(Duration::from_millis(150));
            }
            Ok(Next::Close)
        });
        let proxy = Setup::to(&[backend.port]).timeouts("backend_response = \"700ms\"").start();
        let start = Instant::now();
        let mut client = Client::connect(proxy.port);
        client.get("/");
        let response = client.response().expect("an answer");
        about(start, Duration::from_millis(700));
        assert_eq!(response.status, 504);
    }
}

// SES-3 request_head
#[test]
fn half_a_head_gives_408() {
    let proxy = answers().timeouts("request_head = \"600ms\"").start();
    let start = Instant::now();
    let mut client = Client::connect(proxy.port);
    client.send("GET / HTTP/1.1\r\nHost: app.exam");
    let response = client.response().expect("an answer");
    about(start, Duration::from_millis(600));
    assert_eq!(response.status, 408);
    assert!(response.closes());
    client.expect_closed();
    ended_by(&proxy, "request_head", "request head", 408);
}

// SES-3: trickled bytes do not extend the deadline of a head.
#[test]
fn a_trickled_head_gives_408() {
    let proxy = answers().timeouts("request_head = \"1s\"").start();
    let start = Instant::now();
    let mut client = Client::connect(proxy.port);
    client.patience(Duration::from_millis(100));
    let mut answer = Vec::new();
    for byte in b"GET / HTTP/1.1\r\nHost: app.example\r\nX-A: bbbbbbbbbbbbbbbbb\r\n\r\n" {
        // The answer may come in between; the proxy discards what is sent behind it.
        if client.try_send(&[*byte]).is_err() {
            break;
        }
        let (bytes, end) = client.wire.rest();
        answer.extend_from_slice(&bytes);
        if end != crate::client::End::Open || !bytes.is_empty() {
            break;
        }
    }
    about(start, Duration::from_secs(1));
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{}", String::from_utf8_lossy(&answer));
}

// SES-3: no byte at all is a silent close, also when the keep-alive wait ends.
#[test]
fn silence_is_closed_in_silence() {
    let proxy = answers().timeouts("request_head = \"500ms\"\nkeep_alive = \"700ms\"").start();
    let start = Instant::now();
    let mut client = Client::connect(proxy.port);
    client.expect_closed();
    about(start, Duration::from_millis(500));

    let mut client = Client::connect(proxy.port);
    client.get("/");
    assert_eq!(client.response().expect("an answer").status, 200);
    let start = Instant::now();
    client.expect_closed();
    about(start, Duration::from_millis(650));
    // Neither silence was a request.
    proxy.records(1);
}

// SES-3 client_idle
#[test]
fn a_stalled_upload_gives_408() {
    let backend = Backend::start(|exchange| {
        let whole = exchange.body(&mut |_| {}).is_ok();
        assert!(!whole, "half a body was passed off as whole");
        Ok(Next::Close)
    });
    let proxy = Setup::to(&[backend.port]).timeouts("client_idle = \"600ms\"").start();
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let mut client = Client::connect(proxy.port);
        client.send(format!(
            "POST / HTTP/1.1\r\nHost: app.example\r\n{framing}\r\n\r\n5\r\n01234\r\n"
        ));
        let start = Instant::now();
        assert_eq!(client.response().expect("an answer").status, 408);
        about(start, Duration::from_millis(550));
    }
    for record in proxy.records(2) {
        assert_eq!(record.ending(), ("timeout".into(), "request body".into()));
        assert_eq!(record.text("timer"), "client_idle");
    }
}

// SES-3 backend_idle: inside a response there is no answer to give any more.
#[test]
fn a_server_that_stalls_inside_its_body_is_cut() {
    let backend = Backend::start(|exchange| {
        exchange.raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")?;
        exchange.until_closed();
        Ok(Next::Close)
    });
    let proxy = Setup::to(&[backend.port]).timeouts("backend_idle = \"600ms\"").start();
    let start = Instant::now();
    let cut = raw_once(proxy.port, crate::client::get("/")).expect_err("cut");
    about(start, Duration::from_millis(600));
    assert_ne!(cut.end, crate::client::End::Open);
    ended_by(&proxy, "backend_idle", "response body", 200);
}

/// Answers every request by itself.
fn answers() -> Setup {
    Setup::new("[[route]]\nanswer = { status = 200 }\n")
}

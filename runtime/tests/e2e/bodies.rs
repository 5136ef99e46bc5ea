//! Large bodies, slow readers and messages cut short.

use crate::backend::{Backend, Next, write_pattern};
use crate::client::{Check, Client, End, get, raw_once};
use crate::proxy::{Proxy, Setup};
use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

const BIG: u64 = 100 << 20;

/// Serves the pattern: `/length/SIZE`, `/chunked/SIZE`, `/upload`.
fn origin() -> Backend {
    Backend::start(|exchange| {
        let target = exchange.target.clone();
        let mut parts = target.trim_start_matches('/').split('/');
        match (parts.next(), parts.next()) {
            (Some("upload"), None) => exchange.check_pattern(),
            (Some(how), Some(size)) => {
                exchange.send_pattern(size.parse().expect("a size"), how == "chunked")
            }
            _ => exchange.ok("what?"),
        }
    })
}

fn download(proxy: &Proxy, target: &str) {
    let mut client = Client::connect(proxy.port);
    let mut check = Check::default();
    client.get(target);
    let response = client.response_to("GET", &mut |piece| check.feed(piece)).expect("whole");
    assert_eq!((response.status, check.offset, check.wrong), (200, BIG, None));
    // The connection is clean behind it (RES-5).
    client.get("/length/8");
    assert_eq!(client.response().expect("the next one").body.len(), 8);
}

fn upload(proxy: &Proxy, framing: &str, chunked: bool) {
    let mut client = Client::connect(proxy.port);
    client.send(format!("POST /upload HTTP/1.1\r\nHost: app.example\r\n{framing}\r\n\r\n"));
    write_pattern(&mut client.wire.stream, BIG, chunked).expect("the proxy reads");
    assert_eq!(client.response().expect("an answer").text(), format!("{BIG} good bytes"));
    client.get("/length/8");
    assert_eq!(client.response().expect("the next one").body.len(), 8);
}

// RES-3, REQ-9
#[test]
fn a_hundred_mebibytes_come_down_whole() {
    let origin = origin();
    let proxy = Setup::to(&[origin.port]).start();
    download(&proxy, &format!("/length/{BIG}"));
    download(&proxy, &format!("/chunked/{BIG}"));
}

// REQ-9
#[test]
fn a_hundred_mebibytes_go_up_whole() {
    let origin = origin();
    let proxy = Setup::to(&[origin.port]).start();
    upload(&proxy, &format!("Content-Length: {BIG}"), false);
    upload(&proxy, "Transfer-Encoding: chunked", true);
}

// RES-2: neither framing passes a cut body off as whole, and the log says who cut it.
#[test]
fn a_response_cut_short_is_never_shown_as_complete() {
    let backend = Backend::start(|exchange| {
        exchange.raw(match exchange.target.as_str() {
            "/length" => "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
            "/chunked" => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nonly this\r\n",
            _ => "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nonly this",
        })?;
        // Let the head and the piece be forwarded first, so that the cut is inside the response.
        sleep(Duration::from_millis(200));
        Ok(Next::Close)
    });
    let proxy = Setup::to(&[backend.port]).start();
    for target in ["/length", "/chunked", "/inside-a-chunk"] {
        let mut client = Client::connect(proxy.port);
        client.get(target);
        let mut body = Vec::new();
        let cut = client.response_to("GET", &mut |piece| body.extend_from_slice(piece));
        let cut = cut.expect_err("the last chunk or byte is missing");
        assert_ne!(cut.end, End::Open, "{target}: the client waits for ever");
        assert!(b"only this".starts_with(&body), "{target}: invented bytes");
    }
    for record in proxy.records(3) {
        assert_eq!(record.status(), 200);
        assert_eq!(record.ending(), ("backend".into(), "response body".into()));
    }
}

// RES-4: a body that ends by close is chunked for 1.1, and stays so for 1.0.
#[test]
fn a_body_that_ends_by_close_is_reframed() {
    let backend = Backend::start(|exchange| {
        exchange.raw("HTTP/1.1 200 OK\r\n\r\n")?;
        exchange.raw("as long as it lasts")?;
        Ok(Next::Close)
    });
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    for _ in 0..2 {
        client.get("/");
        let response = client.response().expect("whole");
        assert_eq!(response.field("Transfer-Encoding"), Some("chunked"));
        assert_eq!(response.text(), "as long as it lasts");
    }
    let old = raw_once(proxy.port, "GET / HTTP/1.0\r\nHost: app.example\r\n\r\n").expect("whole");
    assert_eq!(old.field("Transfer-Encoding"), None);
    assert_eq!(old.text(), "as long as it lasts");
}

// RES-4
#[test]
fn a_chunked_body_is_dechunked_for_an_old_client() {
    let origin = origin();
    let proxy = Setup::to(&[origin.port]).start();
    let request = "GET /chunked/300000 HTTP/1.0\r\nHost: app.example\r\n\r\n";
    let response = raw_once(proxy.port, request).expect("whole");
    assert_eq!(response.field("Transfer-Encoding"), None);
    let mut check = Check::default();
    check.feed(&response.body);
    assert_eq!((check.offset, check.wrong), (300_000, None));
}

// SES-3: `client_idle` runs only without progress, `backend_idle` not while the client is slow.
#[test]
fn a_slow_reader_of_a_big_body_is_not_cut() {
    const SIZE: u64 = 24 << 20;
    let origin = origin();
    let proxy = Setup::to(&[origin.port])
        .timeouts("client_idle = \"3s\"\nbackend_idle = \"2s\"\nbackend_response = \"2s\"")
        .start();
    let mut client = Client::connect(proxy.port);
    client.get(&format!("/length/{SIZE}"));
    let (start, mut check, mut due) = (Instant::now(), Check::default(), 1);
    let response = client.response_to("GET", &mut |piece| {
        check.feed(piece);
        // 1.2 MiB a second: about 20 seconds, in steps that empty the socket again and again.
        if check.offset >= due * (1 << 20) * 6 / 5 {
            due += 1;
            sleep(Duration::from_secs(1));
        }
    });
    let response = response.expect("not cut");
    assert_eq!((response.status, check.offset, check.wrong), (200, SIZE, None));
    assert!(start.elapsed() >= Duration::from_secs(15), "it was not slow");
}

// SES-3: a reader that stops altogether is cut by `client_idle`, which the log names.
#[test]
fn a_reader_that_stops_is_cut() {
    let origin = origin();
    let proxy = Setup::to(&[origin.port]).timeouts("client_idle = \"1s\"").start();
    let mut client = Client::connect(proxy.port);
    client.get(&format!("/length/{BIG}"));
    let record = proxy.records(1).remove(0);
    assert_eq!(record.ending(), ("timeout".into(), "response body".into()));
    assert_eq!(record.text("timer"), "client_idle");
    let mut check = Check::default();
    let cut = client.response_to("GET", &mut |piece| check.feed(piece));
    assert!(cut.is_err() && check.offset < BIG && check.wrong.is_none());
}

// REQ-9, RES-8: an early answer reaches a client that is still sending, by a clean end.
#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let backend = Backend::start(|exchange| {
        exchange.raw("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")?;
        // Reads on, as a well-behaved server does until the proxy closes.
        exchange.until_closed();
        Ok(Next::Close)
    });
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    client.send("POST /early HTTP/1.1\r\nHost: app.example\r\nContent-Length: 131072\r\n\r\n");
    client.send(vec![b'x'; 65536]);
    sleep(Duration::from_millis(300));
    // The proxy discards this (RES-8); a reset would destroy the answer that is on its way.
    client.send(vec![b'x'; 32768]);
    let response = client.response().expect("the answer survives");
    assert_eq!((response.status, response.text().as_str()), (403, "no"));
    assert!(response.closes());
    client.expect_closed();
}

// REQ-7: the client waits for 100 and gets it, once, before the answer.
#[test]
fn expect_100_continue_passes() {
    let backend = Backend::start(|exchange| {
        assert_eq!(exchange.field("Expect"), Some("100-continue"));
        exchange.raw("HTTP/1.1 100 Continue\r\n\r\n")?;
        exchange.check_pattern()
    });
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    client.send(
        "PUT / HTTP/1.1\r\nHost: app.example\r\nContent-Length: 4096\r\n\
         Expect: 100-continue\r\n\r\n",
    );
    let interim = client.wire.until(b"\r\n\r\n").expect("the 100");
    assert!(interim.starts_with(b"HTTP/1.1 100 "));
    let mut body = Vec::new();
    write_pattern(&mut body, 4096, false).expect("memory");
    client.send(body);
    let response = client.response().expect("the answer");
    assert_eq!((response.text().as_str(), response.interim.len()), ("4096 good bytes", 0));
}

// REQ-7
#[test]
fn interim_responses_pass_to_new_clients_only() {
    let backend = Backend::start(|exchange| {
        exchange.raw("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")?;
        exchange.ok("final")
    });
    let proxy = Setup::to(&[backend.port]).start();
    let new = raw_once(proxy.port, get("/")).expect("whole");
    assert_eq!((new.interim.as_slice(), new.text().as_str()), (&[103][..], "final"));
    let old = raw_once(proxy.port, "GET / HTTP/1.0\r\nHost: app.example\r\n\r\n").expect("whole");
    assert_eq!((old.interim.len(), old.text().as_str()), (0, "final"));
}

// REQ-3
#[test]
fn a_body_over_the_limit_is_refused() {
    let origin = origin();
    let proxy = Setup::to(&[origin.port]).listener("max_body = \"64KiB\"").start();
    let mut client = Client::connect(proxy.port);
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n");
    assert_eq!(client.response().expect("an answer").status, 413);
    let mut client = Client::connect(proxy.port);
    client.send("POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    let _ = write!(client.wire.stream, "20000\r\n{}\r\n0\r\n\r\n", "x".repeat(0x2_0000));
    assert_eq!(client.response().expect("an answer").status, 413);
}

//! Persistence, pipelining, messages without a body, and how connections end.

use crate::backend::{Backend, Next};
use crate::client::{Client, End, get, raw_once};
use crate::proxy::{Dir, PATIENCE, Setup, wait_until};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

// RES-5, BACK-6: a hundred requests on one connection take one backend connection.
#[test]
fn a_connection_is_kept_on_both_sides() {
    let backend = Backend::echo();
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    for number in 0..100 {
        client.get(&format!("/{number}"));
        assert_eq!(client.response().expect("an answer").text(), format!("/{number}"));
    }
    assert_eq!((backend.accepted(), backend.requests()), (1, 100));
}

// REQ-8: in order, whatever the segments.
#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = Backend::start(|exchange| {
        let mut body = String::new();
        let mut take = |piece: &[u8]| body.push_str(std::str::from_utf8(piece).expect("text"));
        exchange.body(&mut take).expect("whole");
        let target = exchange.target.clone();
        exchange.ok(&format!("{target} {body}"))
    });
    let proxy = Setup::to(&[backend.port]).start();
    let mut stream = String::new();
    for number in 0..20 {
        if number % 3 == 0 {
            stream.push_str(&format!(
                "POST /{number} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
            ));
        } else {
            stream.push_str(&get(&format!("/{number}")));
        }
    }
    // All at once, in halves, and in pieces of seven bytes.
    for size in [stream.len(), stream.len() / 2, 7] {
        let mut client = Client::connect(proxy.port);
        for piece in stream.as_bytes().chunks(size) {
            client.send(piece);
        }
        for number in 0..20 {
            let body = if number % 3 == 0 { "body" } else { "" };
            assert_eq!(
                client.response().expect("an answer").text(),
                format!("/{number} {body}"),
                "in pieces of {size}"
            );
        }
    }
}

// REQ-1: one empty line before a request is skipped, bytes may come one by one.
#[test]
fn a_head_may_come_byte_by_byte() {
    let backend = Backend::echo();
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    for byte in format!("\r\n{}", get("/bytewise")).into_bytes() {
        client.send([byte]);
    }
    assert_eq!(client.response().expect("an answer").text(), "/bytewise");
}

// RES-1: HEAD, 204 and 304 have no body and do not disturb what follows.
#[test]
fn responses_without_a_body() {
    let backend = Backend::start(|exchange| {
        exchange.raw(match (exchange.method.as_str(), exchange.target.as_str()) {
            ("HEAD", _) => "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n",
            (_, "/304") => "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\nETag: \"x\"\r\n\r\n",
            (_, "/204") => "HTTP/1.1 204 No Content\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        })?;
        Ok(Next::Keep)
    });
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    client.send("HEAD /big HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.response_to("HEAD", &mut |_| panic!("a body to HEAD")).expect("an answer");
    assert_eq!((head.status, head.field("Content-Length")), (200, Some("12345")));
    for status in [304, 204] {
        client.get(&format!("/{status}"));
        let response = client.response().expect("an answer");
        assert_eq!((response.status, response.body.len()), (status, 0));
        assert_eq!(response.field("Transfer-Encoding"), None);
    }
    client.get("/empty");
    assert_eq!(client.response().expect("an answer").status, 200);
    assert_eq!(backend.accepted(), 1, "the backend connection stays clean");
}

// RES-7: never a body to HEAD.
#[test]
fn a_default_answer_to_head_has_no_body() {
    let proxy =
        Setup::new("[cluster.none]\nservers = []\n[[route]]\nhost = \"x\"\nto = \"none\"\n")
            .start();
    let mut client = Client::connect(proxy.port);
    client.send("HEAD / HTTP/1.1\r\nHost: nowhere\r\n\r\n");
    let head = client.response_to("HEAD", &mut |_| panic!("a body to HEAD")).expect("an answer");
    assert_eq!(head.status, 404);
    assert_ne!(head.field("Content-Length"), Some("0"), "as a GET would have it");
    client.get("/");
    let whole = client.response().expect("the connection is kept");
    assert_eq!(whole.field("Content-Length"), Some(whole.body.len().to_string().as_str()));
}

// REQ-10
#[test]
fn an_old_client_keeps_its_connection_only_when_it_asks() {
    let backend = Backend::echo();
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    client.send("GET /old HTTP/1.0\r\n\r\n");
    let response = client.response().expect("an answer");
    assert_eq!(response.text(), "/old");
    client.expect_closed();

    let mut client = Client::connect(proxy.port);
    for _ in 0..3 {
        client.send("GET /old HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
        let response = client.response().expect("an answer");
        let echoed = response.field("Connection").map(str::to_ascii_lowercase);
        assert_eq!(echoed.as_deref(), Some("keep-alive"));
    }
}

// REQ-10, RES-5
#[test]
fn close_is_obeyed_after_the_whole_response() {
    let backend = Backend::start(|exchange| exchange.send_pattern(500_000, true));
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let response = client.response().expect("an answer");
    assert!(response.closes());
    assert_eq!(response.body.len(), 500_000);
    client.expect_closed();
}

// RES-6: a FIN behind a complete request changes nothing.
#[test]
fn a_client_that_finishes_writing_is_answered() {
    let backend = Backend::start(|exchange| {
        sleep(Duration::from_millis(300));
        exchange.send_pattern(300_000, false)
    });
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    client.get("/");
    client.finish();
    assert_eq!(client.response().expect("the answer").body.len(), 300_000);
    client.expect_closed();
}

// RES-6: with `abort_on_close` the same FIN aborts, at the backend too.
#[test]
fn abort_on_close_aborts() {
    let backend = Backend::start(|exchange| {
        let (bytes, end) = exchange.until_closed();
        assert!(bytes.is_empty() && end != End::Open);
        Ok(Next::Close)
    });
    let proxy = Setup::to(&[backend.port]).listener("abort_on_close = true").start();
    let mut client = Client::connect(proxy.port);
    client.get("/");
    wait_until("the request arrives", || backend.requests() == 1);
    client.finish();
    let (bytes, end) = client.wire.rest();
    assert!(bytes.is_empty() && end != End::Open);
    assert_eq!(proxy.records(1)[0].text("ended_by"), "client");
}

// RES-6: a FIN inside a request ends the session and the backend's unfinished connection.
#[test]
fn a_client_that_leaves_inside_its_body_takes_the_backend_along() {
    let backend = Backend::start(|exchange| {
        let end = exchange.body(&mut |_| {}).expect_err("half a body is not a whole one");
        assert_ne!(end, End::Open);
        Ok(Next::Close)
    });
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhalf");
    wait_until("the request arrives", || backend.requests() == 1);
    client.finish();
    let (bytes, end) = client.wire.rest();
    assert!(bytes.is_empty() && end != End::Open);
    let record = proxy.records(1).remove(0);
    assert_eq!(record.ending(), ("client".into(), "request body".into()));
}

// BACK-7: bytes that come unasked close the backend connection and reach nobody.
#[test]
fn unasked_bytes_reach_nobody() {
    let backend = Backend::start(|exchange| {
        let target = exchange.target.clone();
        exchange.ok(&target)?;
        if target == "/first" {
            exchange.raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")?;
        }
        Ok(Next::Keep)
    });
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    client.get("/first");
    assert_eq!(client.response().expect("an answer").text(), "/first");
    sleep(Duration::from_millis(200));
    client.get("/second");
    assert_eq!(client.response().expect("an answer").text(), "/second");
    assert_eq!(backend.accepted(), 2, "the poisoned connection is not reused");
}

// RES-1
#[test]
fn a_bad_response_head_gives_502() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 1\n\nx",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
    ] {
        let backend = Backend::start(move |exchange| {
            exchange.raw(head)?;
            exchange.until_closed();
            Ok(Next::Close)
        });
        let proxy = Setup::to(&[backend.port]).start();
        // A POST is sent once only, so the script sees one request.
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(raw_once(proxy.port, post).expect("an answer").status, 502, "{head:?}");
        assert_eq!(proxy.records(1)[0].ending(), ("backend".into(), "response head".into()));
    }
}

// LOOP-4
#[test]
fn a_unix_listener_serves() {
    let dir = Dir::new();
    let socket = dir.path("web.sock");
    let backend = Backend::echo();
    let proxy = Setup::new(format!(
        "[listener.local]\nbind = \"unix:{}\"\n{}",
        socket.display(),
        crate::proxy::app(&[backend.port])
    ))
    .start();
    wait_until("the socket is there", || socket.exists());
    let mut stream = UnixStream::connect(&socket).expect("the listener");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = "GET /unix HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer and its end");
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("/unix"), "{answer}");
    proxy.records(1);
}

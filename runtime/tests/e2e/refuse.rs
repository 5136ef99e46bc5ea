//! What two servers could read in two ways is refused, and nothing of it reaches a backend.

use crate::backend::{Backend, Next};
use crate::client::{Client, End};
use crate::proxy::Setup;

const HOST: &str = "Host: a.example\r\n";

/// Requests, and the status that refuses each. `{H}` stands for the Host field.
const REFUSED: &[(&str, u16)] = &[
    // REQ-2: framing.
    ("POST / HTTP/1.1\r\n{H}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n{H}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
    ("POST / HTTP/1.1\r\n{H}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    ("POST / HTTP/1.1\r\n{H}Content-Length: 5, 5\r\n\r\nhello", 400),
    ("POST / HTTP/1.1\r\n{H}Content-Length: +5\r\n\r\nhello", 400),
    ("POST / HTTP/1.1\r\n{H}Content-Length: -1\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n{H}Content-Length: 0x5\r\n\r\nhello", 400),
    ("POST / HTTP/1.1\r\n{H}Content-Length: 5 5\r\n\r\nhello", 400),
    ("POST / HTTP/1.1\r\n{H}Content-Length:\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n{H}Content-Length: 99999999999999999999\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.0\r\n{H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    // REQ-2: lines.
    ("GET / HTTP/1.1\n{H}\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a.example\n\r\n", 400),
    ("GET / HTTP/1.1\r\n{H}X: a\rb\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n{H}X: a\0b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n{H}X: a\r\n folded\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n{H}X : a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n X: a\r\n{H}\r\n", 400),
    ("GET / HTTP/1.1\r\n{H}no colon\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n{H}: no name\r\n\r\n", 400),
    ("GET  / HTTP/1.1\r\n{H}\r\n", 400),
    ("GET /a b HTTP/1.1\r\n{H}\r\n", 400),
    ("\r\n\r\nGET / HTTP/1.1\r\n{H}\r\n", 400),
    // REQ-2: Host.
    ("GET / HTTP/1.1\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\n{H}{H}\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    // REQ-3: versions.
    ("GET / HTTP/2.0\r\n{H}\r\n", 505),
    ("GET / HTTP/0.9\r\n{H}\r\n", 505),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400),
    ("hello\r\n\r\n", 400),
];

// REQ-2, REQ-3
#[test]
fn ambiguous_requests_are_refused_and_reach_no_backend() {
    let backend = Backend::echo();
    let proxy = Setup::to(&[backend.port]).start();
    for (request, status) in REFUSED {
        let mut client = Client::connect(proxy.port);
        client.send(request.replace("{H}", HOST));
        // What would follow in the reader's mind must not become a request.
        let _ = client.try_send(b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let response = client.response().unwrap_or_else(|cut| panic!("{request:?}: {cut:?}"));
        assert_eq!(response.status, *status, "{request:?}");
        assert!(response.closes(), "{request:?} keeps the connection");
        client.expect_closed();
    }
    assert_eq!(backend.requests(), 0, "something reached the backend");
}

// REQ-2: malformed chunks are seen when the head was forwarded already; no whole body must arrive.
#[test]
fn malformed_chunks_never_complete_a_body() {
    let backend = Backend::start(|exchange| {
        let end = exchange.body(&mut |_| {}).expect_err("a malformed body was made whole");
        assert_ne!(end, End::Open);
        Ok(Next::Close)
    });
    let proxy = Setup::to(&[backend.port]).start();
    let bodies = [
        "\r\n0\r\n\r\n",
        "g\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "11111111111111111\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
    ];
    for body in bodies {
        let mut client = Client::connect(proxy.port);
        client.send(format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n{body}"));
        let response = client.response().unwrap_or_else(|cut| panic!("{body:?}: {cut:?}"));
        assert_eq!(response.status, 400, "{body:?}");
        client.expect_closed();
    }
}

// REQ-5: extensions and trailers are dropped, the data arrives.
#[test]
fn chunk_extensions_and_trailers_are_dropped() {
    let backend = Backend::start(|exchange| {
        // The harness's reader refuses both.
        let mut body = Vec::new();
        exchange.body(&mut |piece| body.extend_from_slice(piece)).expect("whole");
        let text = String::from_utf8(body).expect("text");
        exchange.ok(&text)
    });
    let proxy = Setup::to(&[backend.port]).start();
    let mut client = Client::connect(proxy.port);
    client.send(format!(
        "POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n\
         5;name=value\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n"
    ));
    assert_eq!(client.response().expect("an answer").text(), "hello");
    client.get("/next");
    assert_eq!(client.response().expect("the connection is kept").status, 200);
}

// REQ-3
#[test]
fn limits_of_heads() {
    let backend = Backend::echo();
    let proxy = Setup::to(&[backend.port]).start();
    let fields = |count: usize| (0..count).map(|n| format!("X-{n}: v\r\n")).collect::<String>();
    let cases = [
        (format!("GET / HTTP/1.1\r\n{HOST}{}\r\n", fields(99)), 200),
        (format!("GET / HTTP/1.1\r\n{HOST}{}\r\n", fields(100)), 431),
        (format!("GET / HTTP/1.1\r\n{HOST}X: {}\r\n\r\n", "v".repeat(15 * 1024)), 200),
        (format!("GET / HTTP/1.1\r\n{HOST}X: {}\r\n\r\n", "v".repeat(17 * 1024)), 431),
        (format!("GET /{} HTTP/1.1\r\n{HOST}\r\n", "p".repeat(8191)), 200),
        (format!("GET /{} HTTP/1.1\r\n{HOST}\r\n", "p".repeat(8192)), 414),
    ];
    for (request, status) in cases {
        let mut client = Client::connect(proxy.port);
        client.send(&request);
        let response = client.response();
        let response = response.unwrap_or_else(|cut| panic!("{status} expected: {cut:?}"));
        assert_eq!(response.status, status, "{} bytes", request.len());
    }
}

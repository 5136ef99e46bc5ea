//! Responses: RES-1, RES-4, REQ-5, REQ-7, REQ-10, BACK-8.

use super::*;

const PLAIN: Returning<'_> = Returning {
    client_minor: 1,
    keep_alive: true,
    body: BodyOut::None,
    set_cookie: None,
    remove: &[],
};

fn framing(head: &str, asked: Asked) -> (Framing, Option<u64>, bool) {
    with_response(head.as_bytes(), asked, |response| {
        (response.framing, response.length, response.persistent)
    })
}

fn give_back(head: &str, returning: &Returning<'_>) -> String {
    let mut out = b"before".to_vec();
    with_response(head.as_bytes(), GET, |response| {
        write_response(&mut out, response, returning);
    });
    let out = String::from_utf8(out).unwrap();
    let out = out.strip_prefix("before").unwrap().to_owned();
    assert_eq!(response_verdict(out.as_bytes(), HEAD), Ok(()), "{out}");
    out
}

#[test]
fn framings() {
    // RES-1, RES-4, REQ-10
    let until_close = Framing::UntilClose;
    for (head, body, length, persistent) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Framing::Length(5), Some(5), true),
        ("HTTP/1.1 205 R\r\nContent-Length: 0\r\n\r\n", Framing::Length(0), Some(0), true),
        ("HTTP/1.7 200 OK\r\nContent-Length: 5\r\n\r\n", Framing::Length(5), Some(5), true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n", Framing::Chunked, None, true),
        ("HTTP/1.1 200\r\nConnection: close\r\n\r\n", until_close, None, false),
        ("HTTP/1.0 200\r\n\r\n", until_close, None, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", Framing::Length(5), Some(5), false),
        (
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n",
            Framing::Length(5),
            Some(5),
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n",
            Framing::Length(5),
            Some(5),
            false,
        ),
        ("HTTP/1.1 204 N\r\nContent-Length: 5\r\n\r\n", Framing::None, None, true),
        ("HTTP/1.1 204 N\r\n\r\n", Framing::None, None, true),
        ("HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n", Framing::None, Some(5), true),
        ("HTTP/1.1 304 N\r\nTransfer-Encoding: chunked\r\n\r\n", Framing::None, None, true),
        ("HTTP/1.1 100 C\r\nContent-Length: 5\r\n\r\n", Framing::None, None, true),
        ("HTTP/1.1 103 H\r\nLink: x\r\n\r\n", Framing::None, None, true),
    ] {
        assert_eq!(framing(head, GET), (body, length, persistent), "{head:?}");
        assert_eq!(framing(head, HEAD), (Framing::None, length, persistent), "{head:?}");
    }
    // What only the close can end costs the connection; a HEAD does not.
    let endless = "HTTP/1.1 200 OK\r\n\r\n";
    assert_eq!(framing(endless, GET), (until_close, None, false));
    assert_eq!(framing(endless, HEAD), (Framing::None, None, true));
}

#[test]
fn strictness() {
    // RES-1, REQ-7
    use Refusal::*;
    for (head, refusal) in [
        ("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", UnaskedUpgrade),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            LengthAndCoding,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", LengthRepeated),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n", LengthMalformed),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", LengthMalformed),
        ("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n", LengthMalformed),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", CodingInOldVersion),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", CodingNotFinal),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", CodingNotFinal),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", CodingUnknown),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n", CodingUnknown),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n", CodingMalformed),
        ("HTTP/1.1 200 OK\r\nConnection: content-length\r\n\r\n", ConnectionOption),
    ] {
        for asked in [GET, HEAD] {
            assert_eq!(response_verdict(head.as_bytes(), asked), Err(refusal), "{head:?}");
        }
    }
}

#[test]
fn whole_head() {
    // REQ-5, REQ-10
    let head = "HTTP/1.0 200 All right\r\nServer: x\r\nConnection: Mine, keep-alive\r\n\
                Keep-Alive: 5\r\nmine: 1\r\nDate: now\r\nContent-Length: 05\r\nUpgrade: h2c\r\n\
                Trailer: T\r\nVia: 1.1 x\r\n\r\n";
    let expected = "HTTP/1.1 200 All right\r\nServer: x\r\nDate: now\r\nVia: 1.1 x\r\n\
                    Via: 1.0 tidegate\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(give_back(head, &Returning { body: BodyOut::Length(5), ..PLAIN }), expected);
}

#[test]
fn bodies_and_connections() {
    // RES-4, REQ-10
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    for (client_minor, keep_alive, body, lines) in [
        (1, true, BodyOut::Chunked, "Transfer-Encoding: chunked\r\n"),
        (1, false, BodyOut::Chunked, "Transfer-Encoding: chunked\r\nConnection: close\r\n"),
        (1, true, BodyOut::Length(7), "Content-Length: 7\r\n"),
        (9, true, BodyOut::Length(0), "Content-Length: 0\r\n"),
        (0, true, BodyOut::Length(7), "Content-Length: 7\r\nConnection: keep-alive\r\n"),
        (0, false, BodyOut::UntilClose, "Connection: close\r\n"),
        (1, true, BodyOut::None, ""),
    ] {
        let out = give_back(head, &Returning { client_minor, keep_alive, body, ..PLAIN });
        assert_eq!(out, format!("HTTP/1.1 200 OK\r\nVia: 1.1 tidegate\r\n{lines}\r\n"));
    }
    // A length that informs is kept: HEAD and 304.
    let out = give_back("HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n", &PLAIN);
    assert_eq!(out, "HTTP/1.1 304 \r\nVia: 1.1 tidegate\r\nContent-Length: 9\r\n\r\n");
    let out = give_back("HTTP/1.1 204\r\nContent-Length: 9\r\n\r\n", &PLAIN);
    assert_eq!(out, "HTTP/1.1 204 \r\nVia: 1.1 tidegate\r\n\r\n");
}

#[test]
fn interim_responses() {
    // REQ-7
    let returning =
        Returning { keep_alive: false, body: BodyOut::Length(1), set_cookie: Some("a=b"), ..PLAIN };
    let head = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nConnection: close\r\n\r\n";
    let out = give_back(head, &returning);
    assert_eq!(out, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nVia: 1.1 tidegate\r\n\r\n");
    with_response(head.as_bytes(), GET, |response| assert!(response.is_interim()));
    let last = b"HTTP/1.1 200 OK\r\n\r\n";
    with_response(last, GET, |response| assert!(!response.is_interim()));
}

#[test]
fn cookies_and_removals() {
    // BACK-8, ROUTE-1
    let remove: [Box<str>; 2] = ["server".into(), "X-Powered-By".into()];
    let returning = Returning { set_cookie: Some("tg_app=1; Path=/"), remove: &remove, ..PLAIN };
    let head = "HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: a=b\r\nx-powered-by: y\r\nZ: 1\r\n\r\n";
    let out = give_back(head, &returning);
    assert_eq!(values(&out, "set-cookie"), ["a=b", "tg_app=1; Path=/"]);
    assert!(values(&out, "server").is_empty() && values(&out, "x-powered-by").is_empty());
    assert_eq!(values(&out, "z"), ["1"]);
}

#[test]
fn reasons_are_kept_as_sent() {
    let head = b"HTTP/1.1 200 \xc3\xa4 \r\n\r\n";
    with_response(head, GET, |response| assert_eq!(response.reason, b"\xc3\xa4 "));
    with_response(b"HTTP/1.9 404\r\nA: b\r\n\r\n", GET, |response| {
        assert_eq!((response.status, response.reason, response.minor), (404, &b""[..], 9));
        assert_eq!(response.fields.len(), 1);
    });
}

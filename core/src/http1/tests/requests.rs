//! What a request's head means: REQ-1, REQ-2, REQ-4, REQ-5, REQ-7, REQ-10, RES-7.

use super::*;

/// The verdict on a POST of HTTP/1.1 with these lines.
fn verdict(lines: &str) -> Result<(), Refusal> {
    request_verdict(format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").as_bytes())
}

fn framing(lines: &str) -> Framing {
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    with_request(head.as_bytes(), |request| request.framing)
}

#[test]
fn framings() {
    // REQ-2
    assert_eq!(framing(""), Framing::None);
    assert_eq!(framing("Content-Length: 0\r\n"), Framing::Length(0));
    assert_eq!(framing("content-length:\t 0042 \r\n"), Framing::Length(42));
    assert_eq!(
        framing("Content-Length: 9223372036854775807\r\n"),
        Framing::Length(i64::MAX as u64)
    );
    assert_eq!(framing("Transfer-Encoding: chunked\r\n"), Framing::Chunked);
    assert_eq!(framing("transfer-encoding:CHUNKED\t\r\n"), Framing::Chunked);
}

#[test]
fn smuggling_by_framing() {
    // REQ-2
    use Refusal::*;
    for (lines, refusal) in [
        ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", LengthAndCoding),
        ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", LengthAndCoding),
        ("Transfer-Encoding: foo\r\nContent-Length: 5\r\n", LengthAndCoding),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", LengthRepeated),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", LengthRepeated),
        ("Content-Length: 5, 5\r\n", LengthMalformed),
        ("Content-Length: \r\n", LengthMalformed),
        ("Content-Length: +5\r\n", LengthMalformed),
        ("Content-Length: -5\r\n", LengthMalformed),
        ("Content-Length: 0x5\r\n", LengthMalformed),
        ("Content-Length: 5 0\r\n", LengthMalformed),
        ("Content-Length: 5;\r\n", LengthMalformed),
        ("Content-Length: \u{b2}\r\n", LengthMalformed),
        ("Content-Length: 9223372036854775808\r\n", LengthMalformed),
        ("Content-Length: 18446744073709551621\r\n", LengthMalformed),
        ("Content-Length : 5\r\n", SpaceBeforeColon),
        ("Transfer-Encoding : chunked\r\n", SpaceBeforeColon),
        ("Transfer-Encoding: \r\n", CodingMalformed),
        ("Transfer-Encoding: ,chunked\r\n", CodingMalformed),
        ("Transfer-Encoding: chunked,\r\n", CodingMalformed),
        ("Transfer-Encoding: \"chunked\"\r\n", CodingMalformed),
        ("Transfer-Encoding: chunked;q=1\r\n", CodingMalformed),
        ("Transfer-Encoding: chun ked\r\n", CodingMalformed),
        ("Transfer-Encoding: chunked\u{a0}\r\n", CodingMalformed),
        ("Transfer-Encoding: \x0bchunked\r\n", Control),
        ("Transfer-Encoding:\r\n chunked\r\n", ObsFold),
        ("Transfer-Encoding: chunked, chunked\r\n", CodingNotFinal),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CodingNotFinal),
        ("Transfer-Encoding: chunked, gzip\r\n", CodingNotFinal),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n", CodingNotFinal),
        ("Transfer-Encoding: gzip\r\n", CodingNotFinal),
        ("Transfer-Encoding: identity\r\n", CodingUnknown),
        ("Transfer-Encoding: xchunked\r\n", CodingUnknown),
        ("Transfer-Encoding: foo, chunked\r\n", CodingUnknown),
        ("Transfer-Encoding: gzip, chunked\r\n", CodingUnknown),
        ("X: y\nTransfer-Encoding: chunked\r\n", BareLf),
        ("X: y\rTransfer-Encoding: chunked\r\n", BareCr),
        ("Host: a\r\n", HostRepeated),
        ("hOST: b\r\n", HostRepeated),
    ] {
        assert_eq!(verdict(lines), Err(refusal), "{lines:?}");
        let status = if refusal == CodingUnknown { 501 } else { 400 };
        assert_eq!(refusal.status(), status, "{lines:?}");
    }
    let old = b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(request_verdict(old), Err(CodingInOldVersion));
    assert_eq!(request_verdict(b"GET / HTTP/1.1\r\n\r\n"), Err(HostMissing));
    assert_eq!(request_verdict(b"GET / HTTP/1.7\r\n\r\n"), Err(HostMissing));
    assert_eq!(request_verdict(b"GET http://a/ HTTP/1.1\r\n\r\n"), Err(HostMissing));
}

#[test]
fn targets() {
    // REQ-4
    for (line, path_and_query, path, authority) in [
        ("GET /a/b?c=/d?e HTTP/1.1", "/a/b?c=/d?e", "/a/b", "h:1"),
        ("GET /? HTTP/1.1", "/?", "/", "h:1"),
        ("GET //x HTTP/1.1", "//x", "//x", "h:1"),
        ("OPTIONS * HTTP/1.1", "*", "*", "h:1"),
        ("GET http://Other:2/p?q HTTP/1.1", "/p?q", "/p", "Other:2"),
        ("GET HTTPS://other HTTP/1.1", "/", "/", "other"),
        ("GET http://other?q=/ HTTP/1.1", "?q=/", "/", "other"),
        ("OPTIONS http://other HTTP/1.1", "*", "*", "other"),
        ("OPTIONS http://other/ HTTP/1.1", "/", "/", "other"),
        ("GET http://[::1]:9/ HTTP/1.1", "/", "/", "[::1]:9"),
    ] {
        with_request(format!("{line}\r\nHost: h:1\r\n\r\n").as_bytes(), |request| {
            assert_eq!(show(request.path_and_query), path_and_query);
            assert_eq!(show(request.path()), path);
            assert_eq!(show(request.authority), authority);
            assert_eq!(line, format!("{} {} HTTP/1.1", show(request.method), show(request.target)));
        });
    }
    for (line, refusal) in [
        ("GET * HTTP/1.1", Refusal::TargetForm),
        ("GET a HTTP/1.1", Refusal::TargetForm),
        ("GET ?a HTTP/1.1", Refusal::TargetForm),
        ("GET h:80 HTTP/1.1", Refusal::TargetForm),
        ("GET ftp://h/ HTTP/1.1", Refusal::TargetForm),
        ("GET http:/h/ HTTP/1.1", Refusal::TargetForm),
        ("OPTIONS ** HTTP/1.1", Refusal::TargetForm),
        ("GET http:///x HTTP/1.1", Refusal::HostInvalid),
        ("CONNECT h:80 HTTP/1.1", Refusal::Connect),
        ("CONNECT / HTTP/1.1", Refusal::Connect),
    ] {
        let head = format!("{line}\r\nHost: h\r\n\r\n");
        assert_eq!(request_verdict(head.as_bytes()), Err(refusal), "{line}");
    }
    assert_eq!(Refusal::Connect.status(), 501);
}

#[test]
fn minor_versions() {
    // REQ-1: 1.2 to 1.9 count as 1.1.
    for minor in 0..=9 {
        let head = format!(
            "POST /x HTTP/1.{minor}\r\nHost: a\r\nX-Y: z \r\nConnection: keep-alive, gone\r\n\
             Gone: 1\r\nContent-Length: 3\r\n\r\n"
        );
        with_request(head.as_bytes(), |request| {
            assert_eq!(request.minor, minor);
            assert_eq!((request.method, request.target), (&b"POST"[..], &b"/x"[..]));
            assert_eq!(request.framing, Framing::Length(3));
            assert!(request.persistent);
            assert_eq!(request.fields.len(), 5);
            assert_eq!((request.fields[1].name, request.fields[1].value), ("X-Y", &b"z"[..]));
        });
    }
}

#[test]
fn persistence() {
    // REQ-10
    for (minor, lines, persistent) in [
        (1, "", true),
        (1, "Connection: close\r\n", false),
        (1, "Connection: CLOSE , x\r\n", false),
        (1, "Connection: x\r\nConnection: y,close\r\n", false),
        (1, "Connection: closed\r\n", true),
        (1, "Connection: keep-alive, close\r\n", false),
        (9, "", true),
        (0, "", false),
        (0, "Connection: Keep-Alive\r\n", true),
        (0, "Connection: keep-alive, close\r\n", false),
        (0, "Proxy-Connection: keep-alive\r\n", false),
        (0, "Keep-Alive: 5\r\n", false),
    ] {
        let head = format!("GET / HTTP/1.{minor}\r\nHost: a\r\n{lines}\r\n");
        let found = with_request(head.as_bytes(), |request| request.persistent);
        assert_eq!(found, persistent, "1.{minor} {lines:?}");
    }
}

#[test]
fn connection_must_not_name_what_must_stay() {
    // REQ-5
    for name in ["Host", "content-length", "TRANSFER-ENCODING", "authorization", "Cookie"] {
        let refused = Err(Refusal::ConnectionOption);
        assert_eq!(verdict(&format!("Connection: {name}\r\n")), refused);
        assert_eq!(verdict(&format!("Connection: close, ,{name} \r\n")), refused);
        assert_eq!(verdict(&format!("Connection: x\r\nConnection:\t{name}\r\n")), refused);
    }
    // Each option is looked for among all fields, so their number has a bound.
    let many = |count: usize| format!("Connection: {}\r\n", vec!["a"; count].join(","));
    assert_eq!(verdict(&many(CONNECTION_OPTIONS_MAX)), Ok(()));
    assert_eq!(verdict(&many(CONNECTION_OPTIONS_MAX + 1)), Err(Refusal::ConnectionOption));
    let two = format!("{}{}", many(CONNECTION_OPTIONS_MAX), many(1));
    assert_eq!(verdict(&two), Err(Refusal::ConnectionOption));
}

#[test]
fn expectations() {
    // REQ-7
    for (minor, lines, expects) in [
        (1, "Expect: 100-continue\r\n", true),
        (1, "expect: 100-Continue\r\n", true),
        (1, "Expect: 200-ok\r\n", false),
        (1, "Connection: expect\r\nExpect: 100-continue\r\n", false),
        (1, "Expect: 100-continue\r\nConnection: expect\r\n", false),
        (0, "Expect: 100-continue\r\n", false),
    ] {
        let head = format!("PUT / HTTP/1.{minor}\r\nHost: a\r\n{lines}Content-Length: 1\r\n\r\n");
        let found = with_request(head.as_bytes(), |request| request.expects_continue);
        assert_eq!(found, expects, "1.{minor} {lines:?}");
    }
}

#[test]
fn tastes() {
    // RES-7
    for (accept, json) in [
        ("*/*", false),
        ("application/json", true),
        ("Application/JSON; charset=utf-8", true),
        ("application/problem+json", true),
        ("application/json, text/plain, */*", true),
        ("text/html, application/json", false),
        ("text/html;q=0.9, application/json", true),
        ("text/html, application/json;q=0.999", false),
        ("text/html;q=0.5, application/json; q=0.501", true),
        ("application/json;q=0", false),
        ("application/json;q=0.0, text/html;q=0", false),
        ("application/json;q=x", false),
        ("application/json, text/*", true),
        ("application/json;q=0.2, */*;q=0.8", false),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,*/*;q=0.8", false),
        (",;,j;", false),
    ] {
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nAccept: {accept}\r\n\r\n");
        let found = with_request(head.as_bytes(), |request| request.accepts_json);
        assert_eq!(found, json, "{accept}");
    }
}

#[test]
fn cookies_are_found() {
    // BACK-8
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nCookie: x=tg=1; tg_app2=no; xtg=2;tg_app=yes=\r\n\
                 cookie: tg_app=late; y=\r\n\r\n";
    with_request(head, |request| {
        assert_eq!(request.cookie(b"tg_app"), Some(&b"yes="[..]));
        assert_eq!(request.cookie(b"y"), Some(&b""[..]));
        assert_eq!(request.cookie(b"tg"), None);
        assert_eq!(request.cookie(b"TG_APP"), None);
    });
}

#[test]
fn methods() {
    // BACK-3
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"] {
        assert!(is_idempotent(method.as_bytes()));
    }
    for method in ["POST", "PATCH", "get", "CONNECT", "PROPFIND", ""] {
        assert!(!is_idempotent(method.as_bytes()));
    }
}

#[test]
fn more_fields_than_there_is_room_for() {
    // REQ-3: whatever the configured limit, the space for fields bounds them.
    let limits = Limits { fields_max: 1000, ..Limits::default() };
    for minor in [1, 2] {
        let head = |count: usize| {
            let fields = "a:b\r\n".repeat(count - 1);
            format!("GET / HTTP/1.{minor}\r\nHost: a\r\n{fields}\r\n").into_bytes()
        };
        let most = head(FIELDS_MAX);
        assert!(parse_request(&most, &mut field_space(), &limits).is_ok());
        let more = head(FIELDS_MAX + 1);
        let verdict = parse_request(&more, &mut field_space(), &limits).map(drop);
        assert_eq!(verdict, Err(Refusal::TooManyFields));
    }
}

#[test]
fn bytes_that_no_scanner_saw_do_not_panic() {
    let limits = Limits::default();
    let head = b"GET http://a/ HTTP/1.2\r\nHost: a\r\nConnection: x\r\n\r\n";
    for start in 0..head.len() {
        for end in start..=head.len() {
            let _ = parse_request(&head[start..end], &mut field_space(), &limits);
            let _ = parse_response(&head[start..end], &mut field_space(), &limits, GET);
        }
    }
}

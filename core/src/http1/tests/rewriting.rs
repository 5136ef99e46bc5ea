//! The head that a backend gets: REQ-4, REQ-5, REQ-6, REQ-7, REQ-10, BACK-8.

use super::*;
use std::net::IpAddr;

const ID: u128 = 0x0123_4567_89ab_cdef_0011_2233_4455_6677;

fn forwarding() -> Forwarding<'static> {
    Forwarding {
        client: Some(IpAddr::from([192, 0, 2, 7])),
        trusted: false,
        scheme: Scheme::Http,
        port: 8080,
        request_id: ID,
        add_forwarded: false,
        set: &[],
        strip_cookie: None,
    }
}

fn trusting() -> Forwarding<'static> {
    Forwarding { trusted: true, ..forwarding() }
}

/// The head written for `head`, which must itself pass as a request.
fn rewrite(head: &str, forwarding: &Forwarding<'_>) -> String {
    let mut out = b"before".to_vec();
    with_request(head.as_bytes(), |request| write_request(&mut out, request, forwarding));
    let out = String::from_utf8(out).unwrap();
    let out = out.strip_prefix("before").unwrap().to_owned();
    assert_eq!(request_verdict(out.as_bytes()), Ok(()), "{out}");
    out
}

fn get(lines: &str, forwarding: &Forwarding<'_>) -> String {
    rewrite(&format!("GET /p HTTP/1.1\r\nHost: ex\r\n{lines}\r\n"), forwarding)
}

#[test]
fn whole_head() {
    // REQ-6
    let head = "POST /p?q HTTP/1.1\r\nAccept:  */*\r\nhost: Ex:8080\r\nConnection: close\r\n\
                User-Agent: x\r\nX-Y:\tz \r\nContent-Length: 05\r\nLast: 1\r\n\r\n";
    let expected = "POST /p?q HTTP/1.1\r\nHost: Ex:8080\r\nAccept:  */*\r\nUser-Agent: x\r\n\
                    X-Y:\tz \r\nLast: 1\r\n\
                    X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n\
                    X-Forwarded-Port: 8080\r\nX-Forwarded-Host: Ex:8080\r\n\
                    X-Request-Id: 0123456789abcdef0011223344556677\r\n\
                    Via: 1.1 tidegate\r\nContent-Length: 5\r\n\r\n";
    assert_eq!(rewrite(head, &forwarding()), expected);
}

#[test]
fn request_lines() {
    // REQ-4, REQ-10
    for (line, written, host) in [
        ("GET http://Other:2?q HTTP/1.1", "GET /?q HTTP/1.1", "Other:2"),
        ("GET http://other HTTP/1.1", "GET / HTTP/1.1", "other"),
        ("OPTIONS http://other HTTP/1.1", "OPTIONS * HTTP/1.1", "other"),
        ("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1", "h"),
        ("GET /%7e/../x HTTP/1.0", "GET /%7e/../x HTTP/1.1", "h"),
        ("GET / HTTP/1.9", "GET / HTTP/1.1", "h"),
    ] {
        let out = rewrite(&format!("{line}\r\nHost: h\r\n\r\n"), &forwarding());
        assert_eq!(out.split("\r\n").next(), Some(written));
        assert_eq!(values(&out, "host"), [host]);
        assert_eq!(values(&out, "x-forwarded-host"), [host]);
    }
}

#[test]
fn old_requests_without_host() {
    // REQ-2: the backend is told that there is none (RFC 9112 3.2).
    let mut out = Vec::new();
    let head = b"GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n";
    with_request(head, |request| write_request(&mut out, request, &forwarding()));
    let out = String::from_utf8(out).unwrap();
    assert_eq!(values(&out, "host"), [""]);
    assert!(values(&out, "x-forwarded-host").is_empty());
    assert_eq!(values(&out, "via"), ["1.0 tidegate"]);
    // REQ-7
    assert!(values(&out, "expect").is_empty());
}

#[test]
fn framing_is_written_anew() {
    // REQ-2, REQ-5
    let out = get("transfer-encoding:  Chunked\r\nTrailer: X\r\nTE: trailers\r\n", &forwarding());
    assert_eq!(values(&out, "transfer-encoding"), ["chunked"]);
    assert!(values(&out, "trailer").is_empty() && values(&out, "te").is_empty());
    let out = get("Content-Length: 000\r\n", &forwarding());
    assert_eq!(values(&out, "content-length"), ["0"]);
    let out = get("", &forwarding());
    assert!(values(&out, "content-length").is_empty());
    assert!(values(&out, "transfer-encoding").is_empty());
}

#[test]
fn hop_by_hop_fields_end_here() {
    // REQ-5
    let out = get(
        "A: 1\r\nConnection: close, x-mine ,,B\r\nKeep-Alive: 5\r\nX-Mine: 2\r\nB: 3\r\nC: 4\r\n\
         Proxy-Connection: close\r\nTE: gzip\r\nTrailer: Z\r\nUpgrade: h2c\r\nx-mine: 5\r\n\
         connection: d, upgrade\r\nD: 6\r\nE: 7\r\n",
        &forwarding(),
    );
    let kept: Vec<&str> = out.split("\r\n").skip(2).take(3).collect();
    assert_eq!(kept, ["A: 1", "C: 4", "E: 7"]);
    for name in ["Connection", "Keep-Alive", "X-Mine", "B", "TE", "Upgrade", "Trailer", "D"] {
        assert!(values(&out, name).is_empty(), "{name}");
    }
    assert!(values(&out, "Proxy-Connection").is_empty());
    // What Connection names goes before ours are added.
    let out = get(
        "Connection: X-Forwarded-For, X-Request-Id, Via\r\nX-Forwarded-For: 1.2.3.4\r\n\
         X-Request-Id: hers\r\nVia: 1.1 x\r\n",
        &trusting(),
    );
    assert_eq!(values(&out, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(values(&out, "x-request-id"), ["0123456789abcdef0011223344556677"]);
    assert_eq!(values(&out, "via"), ["1.1 tidegate"]);
}

#[test]
fn underscores_do_not_pass_for_hyphens() {
    // REQ-2, REQ-6: servers behind may read X_Forwarded_For as X-Forwarded-For.
    let lines = "X_Forwarded_For: 6.6.6.6\r\nX-Forwarded_Proto: https\r\nX_REQUEST_ID: x\r\n\
                 Content_Length: 9\r\nTransfer_Encoding: chunked\r\nMy_Own: 1\r\n";
    for forwarding in [forwarding(), trusting()] {
        let out = get(lines, &forwarding);
        assert_eq!(values(&out, "My_Own"), ["1"]);
        assert_eq!(out.matches('_').count(), 1, "{out}");
        assert!(!out.contains("6.6.6.6") && !out.contains("https"));
    }
}

const CLAIMS: &str = "X-Forwarded-For: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7 , 8.8.8.8\r\n\
                      X-Forwarded-For:\r\nX-Forwarded-Proto: http\r\nX-FORWARDED-PROTO: https\r\n\
                      X-Forwarded-Port: 443\r\nX-Forwarded-Host: public\r\n\
                      X-Request-Id: abc/1:2=3@x\r\nForwarded: for=6.6.6.6\r\nVia: 1.1 x\r\n";

#[test]
fn claims_of_a_stranger_are_replaced() {
    // REQ-6
    let out = get(CLAIMS, &forwarding());
    assert_eq!(values(&out, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(values(&out, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(&out, "x-forwarded-port"), ["8080"]);
    assert_eq!(values(&out, "x-forwarded-host"), ["ex"]);
    assert_eq!(values(&out, "x-request-id"), ["0123456789abcdef0011223344556677"]);
    assert!(values(&out, "forwarded").is_empty());
    assert_eq!(values(&out, "via"), ["1.1 x", "1.1 tidegate"]);
}

#[test]
fn claims_of_a_trusted_proxy_are_kept() {
    // REQ-6
    let out = get(CLAIMS, &trusting());
    assert_eq!(values(&out, "x-forwarded-for"), ["6.6.6.6, 7.7.7.7 , 8.8.8.8, 192.0.2.7"]);
    assert_eq!(values(&out, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&out, "x-forwarded-port"), ["443"]);
    assert_eq!(values(&out, "x-forwarded-host"), ["public"]);
    assert_eq!(values(&out, "x-request-id"), ["abc/1:2=3@x"]);
    assert_eq!(values(&out, "forwarded"), ["for=6.6.6.6"]);
    assert_eq!(values(&out, "via"), ["1.1 x", "1.1 tidegate"]);
    let out = get("", &trusting());
    assert_eq!(values(&out, "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(values(&out, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(&out, "x-forwarded-port"), ["8080"]);
    assert_eq!(values(&out, "x-forwarded-host"), ["ex"]);
}

#[test]
fn unix_clients() {
    // REQ-6
    let unix = Forwarding { client: None, port: 0, ..trusting() };
    let out = get("", &unix);
    assert!(values(&out, "x-forwarded-for").is_empty());
    assert!(values(&out, "x-forwarded-port").is_empty());
    let out = get(CLAIMS, &unix);
    assert_eq!(values(&out, "x-forwarded-for"), ["6.6.6.6, 7.7.7.7 , 8.8.8.8"]);
    let out = get(CLAIMS, &Forwarding { trusted: false, ..unix });
    assert!(values(&out, "x-forwarded-for").is_empty());
}

#[test]
fn forwarded() {
    // REQ-6, RFC 7239
    let with = Forwarding { add_forwarded: true, ..forwarding() };
    let element = "for=192.0.2.7;host=\"ex\";proto=http";
    assert_eq!(values(&get(CLAIMS, &with), "forwarded"), [element]);
    let trusting = Forwarding { trusted: true, ..with };
    assert_eq!(values(&get(CLAIMS, &trusting), "forwarded"), ["for=6.6.6.6", element]);
    let v6 =
        Forwarding { client: Some("2001:db8::1".parse().unwrap()), scheme: Scheme::Https, ..with };
    let out = get("", &v6);
    assert_eq!(values(&out, "forwarded"), ["for=\"[2001:db8::1]\";host=\"ex\";proto=https"]);
    assert_eq!(values(&out, "x-forwarded-for"), ["2001:db8::1"]);
    assert_eq!(values(&out, "x-forwarded-proto"), ["https"]);
    let mapped = Forwarding { client: Some("::ffff:192.0.2.7".parse().unwrap()), ..with };
    assert_eq!(values(&get("", &mapped), "forwarded"), [element]);
    let unix = Forwarding { client: None, ..with };
    assert_eq!(values(&get("", &unix), "forwarded"), ["for=unknown;host=\"ex\";proto=http"]);
}

#[test]
fn tls_clients() {
    // REQ-6: a stranger cannot deny that it came by TLS; a trusted proxy knows better.
    let tls = Forwarding { scheme: Scheme::Https, port: 8443, ..forwarding() };
    let claims = "X-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n";
    for (forwarding, lines, proto, port) in [
        (tls, "", "https", "8443"),
        (tls, claims, "https", "8443"),
        (Forwarding { trusted: true, ..tls }, "", "https", "8443"),
        (Forwarding { trusted: true, ..tls }, claims, "http", "80"),
    ] {
        let out = get(lines, &forwarding);
        assert_eq!(values(&out, "x-forwarded-proto"), [proto], "{lines}");
        assert_eq!(values(&out, "x-forwarded-port"), [port], "{lines}");
    }
}

#[test]
fn request_ids() {
    // REQ-6
    let sent = |id: &str| {
        let out = get(&format!("X-Request-Id: {id}\r\n"), &trusting());
        let [sent] = values(&out, "x-request-id")[..] else { panic!("{out}") };
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: {id}\r\n\r\n");
        with_request(head.as_bytes(), |request| {
            let trusted = trusted_request_id(request, true);
            assert_eq!(trusted.is_some(), sent == id, "{id}");
            assert_eq!(trusted_request_id(request, false), None);
        });
        sent == id
    };
    assert!(sent("a") && sent(&"a".repeat(128)) && sent("8f14e45f-ceea-467f-ab1e-000000000001"));
    assert!(!sent(&"a".repeat(129)) && !sent("a b") && !sent("a\u{e4}") && !sent("\"a\""));
    assert_eq!(parse_request_id(b"0123456789abcdef0011223344556677"), Some(ID));
    assert_eq!(parse_request_id(b"01234567-89AB-cdef-0011-223344556677"), Some(ID));
    for wrong in ["", "0123456789abcdef001122334455667", "0123456789abcdef00112233445566778", "+1"]
    {
        assert_eq!(parse_request_id(wrong.as_bytes()), None, "{wrong}");
    }
    let mut out = Vec::new();
    write_request_id(&mut out, ID);
    assert_eq!(parse_request_id(&out), Some(ID));
}

#[test]
fn routes_set_fields() {
    // ROUTE-1
    let set: Vec<(Box<str>, Box<str>)> = [
        ("X-Env", "prod"),
        ("host", "inner"),
        ("X-Forwarded-Proto", "https"),
        ("X-Request-Id", "fixed"),
        ("Cookie", "only=this"),
        // Reserved ones would undo the framing.
        ("Content-Length", "7"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Upgrade", "x"),
    ]
    .map(|(name, value)| (name.into(), value.into()))
    .into();
    let with = Forwarding { set: &set, strip_cookie: Some(b"tg"), ..trusting() };
    let lines = "x-env: dev\r\nX-ENV: dev\r\nCookie: a=b; tg=1\r\nX-Forwarded-Proto: http\r\n\
                 Content-Length: 3\r\n";
    let out = get(lines, &with);
    assert_eq!(values(&out, "x-env"), ["prod"]);
    assert_eq!(values(&out, "host"), ["inner"]);
    assert_eq!(values(&out, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&out, "x-request-id"), ["fixed"]);
    assert_eq!(values(&out, "x-forwarded-host"), ["ex"]);
    assert_eq!(values(&out, "cookie"), ["only=this"]);
    assert_eq!(values(&out, "content-length"), ["3"]);
    for name in ["Transfer-Encoding", "Connection", "Upgrade"] {
        assert!(values(&out, name).is_empty(), "{name}");
    }
}

#[test]
fn sticky_cookie_is_not_sent_on() {
    // BACK-8
    let with = Forwarding { strip_cookie: Some(b"tg_app"), ..forwarding() };
    for (lines, left) in [
        ("Cookie: tg_app=1\r\n", vec![]),
        ("Cookie: tg_app=1;\r\n", vec![]),
        ("Cookie: a=1; tg_app=1; b=2\r\n", vec!["a=1; b=2"]),
        ("Cookie: tg_app=1;b=2;c=3 ;\r\n", vec!["b=2;c=3 "]),
        ("Cookie: tg_app=1; tg_app = 2\r\n", vec![]),
        ("cookie: tg_app=1; a=1\r\nCookie: b=2\r\n", vec!["b=2", "a=1"]),
        ("Cookie: tg_app2=1; xtg_app=2\r\n", vec!["tg_app2=1; xtg_app=2"]),
        ("Cookie: a=tg_app=1\r\n", vec!["a=tg_app=1"]),
    ] {
        let out = get(lines, &with);
        let found: Vec<&str> = values(&out, "cookie").iter().map(|it| it.trim_end()).collect();
        let left: Vec<&str> = left.iter().map(|it: &&str| it.trim_end()).collect();
        assert_eq!(found, left, "{lines:?}");
    }
    let out = get("Cookie: tg_app=1\r\n", &forwarding());
    assert_eq!(values(&out, "cookie"), ["tg_app=1"]);
}

#[test]
fn a_head_grows_by_a_bounded_amount() {
    // REQ-3: the vector with room for the largest head never grows.
    let host = format!("{}:65535", "a".repeat(HOST_BYTES_MAX));
    let client = "1111:2222:3333:4444:5555:6666:7777:8888".parse().unwrap();
    let heads = [
        format!("GET / HTTP/1.1\r\nHost:{host}\r\nContent-Length:{}\r\n\r\n", i64::MAX),
        format!("GET http://{host}?q HTTP/1.1\r\nHost:a\r\nTransfer-Encoding:chunked\r\n\r\n"),
        format!(
            "GET / HTTP/1.1\r\nHost:{host}\r\n{}Cookie:{}tg=\r\n\r\n",
            "X-Forwarded-For:1\r\n".repeat(90),
            "a;".repeat(2000)
        ),
        format!("GET / HTTP/1.1\r\nHost:a\r\n{}\r\n", "Cookie:tg=;a\r\n".repeat(99)),
        format!(
            "GET http://{host}?q HTTP/1.1\r\nHost:a\r\nConnection:upgrade\r\n\
             Upgrade:websocket\r\nContent-Length:0\r\n\r\n"
        ),
    ];
    for head in heads {
        let with = Forwarding {
            client: Some(client),
            add_forwarded: true,
            scheme: Scheme::Https,
            port: 65535,
            strip_cookie: Some(b"tg"),
            ..trusting()
        };
        let mut out = Vec::new();
        let mut space = field_space();
        let request = parse_request(head.as_bytes(), &mut space, &Limits::default()).unwrap();
        write_request(&mut out, &request, &with);
        assert!(out.len() <= head.len() + ADDED_BYTES_MAX, "{} {}", out.len(), head.len());
    }
}

#[test]
fn reserved_names() {
    for name in
        ["connection", "TE", "Content-Length", "transfer_encoding", "Upgrade", "HTTP2-Settings"]
    {
        assert!(is_reserved(name.as_bytes()), "{name}");
    }
    for name in ["Host", "Cookie", "X-Env", ""] {
        assert!(!is_reserved(name.as_bytes()), "{name}");
    }
    assert!(is_field_name(b"X-a") && !is_field_name(b"") && !is_field_name(b"a b"));
    assert!(is_field_value(b"a\tb\xff") && is_field_value(b"") && !is_field_value(b"a\r\nb"));
}

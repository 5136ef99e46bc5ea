//! WebSocket upgrades: TUN-3, REQ-5, REQ-7, RES-1.

use super::*;
use std::net::IpAddr;

const WEBSOCKET: Asked = Asked { head_only: false, upgrade: true };

const FORWARDING: Forwarding<'_> = Forwarding {
    client: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7))),
    trusted: false,
    scheme: Scheme::Http,
    port: 8080,
    request_id: 1,
    add_forwarded: false,
    set: &[],
    strip_cookie: None,
};

/// A handshake with these lines in place of Connection and Upgrade.
fn handshake(start: &str, lines: &str) -> String {
    format!("{start}\r\nHost: ex\r\n{lines}Sec-WebSocket-Version: 13\r\n\r\n")
}

/// Whether the request upgrades, and the head that the backend gets.
fn pass_on(head: &str) -> (bool, String) {
    with_request(head.as_bytes(), |request| {
        let mut out = Vec::new();
        write_request(&mut out, request, &FORWARDING);
        (request.upgrade, String::from_utf8(out).unwrap())
    })
}

#[test]
fn requests_that_upgrade() {
    // TUN-3, REQ-5: in whatever words, one form is sent on.
    let get = "GET /chat HTTP/1.1";
    for (start, lines) in [
        (get, "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
        (get, "connection: keep-alive, UPGRADE\r\nupgrade: WebSocket\r\n"),
        (get, "Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade:websocket \r\n"),
        (get, "Connection: upgrade\r\nUpgrade: h2c, ,websocket\r\n"),
        (get, "Connection: upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n"),
        (get, "Connection: upgrade, close\r\nUpgrade: websocket\r\nContent-Length: 0\r\n"),
        ("GET http://ex/chat HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n"),
        ("GET /chat HTTP/1.2", "Connection: upgrade\r\nUpgrade: websocket\r\n"),
    ] {
        let (upgrade, out) = pass_on(&handshake(start, lines));
        assert!(upgrade, "{start} {lines}");
        assert!(out.starts_with("GET /chat HTTP/1.1\r\n"), "{out}");
        assert_eq!(values(&out, "connection"), ["upgrade"], "{lines}");
        assert_eq!(values(&out, "upgrade"), ["websocket"], "{lines}");
        assert_eq!(values(&out, "sec-websocket-version"), ["13"]);
        // The next proxy must see the same request.
        assert!(with_request(out.as_bytes(), |request| request.upgrade), "{out}");
    }
}

#[test]
fn requests_that_do_not_upgrade() {
    // REQ-5: Connection and Upgrade end here, as ever; the request itself is served.
    let get = "GET / HTTP/1.1";
    let both = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    let length = format!("{both}Content-Length: 1\r\n");
    let chunked = format!("{both}Transfer-Encoding: chunked\r\n");
    for (start, lines) in [
        ("GET / HTTP/1.0", both),
        ("POST / HTTP/1.1", both),
        ("HEAD / HTTP/1.1", both),
        ("get / HTTP/1.1", both),
        (get, &length),
        (get, &chunked),
        (get, "Upgrade: websocket\r\n"),
        (get, "Upgrade: websocket\r\nConnection: upgrades, keep-alive\r\n"),
        (get, "Connection: upgrade\r\n"),
        (get, "Connection: upgrade, websocket\r\n"),
        (get, "Connection: upgrade\r\nUpgrade:\r\n"),
        (get, "Connection: upgrade\r\nUpgrade: TLS/1.3, h2c\r\n"),
        (get, "Connection: upgrade\r\nUpgrade: websocket2, websocket/13\r\n"),
        (get, "Connection: upgrade\r\nUpgrade: \"websocket\"\r\n"),
        (get, "Connection: upgrade\r\nX-Upgrade: websocket\r\n"),
    ] {
        let (upgrade, out) = pass_on(&handshake(start, lines));
        assert!(!upgrade, "{start} {lines}");
        for name in ["connection", "upgrade"] {
            assert!(values(&out, name).is_empty(), "{name} {lines}");
        }
        assert_eq!(values(&out, "sec-websocket-version"), ["13"]);
    }
}

#[test]
fn http_2_settings_end_here() {
    // REQ-5: a backend that reads them would speak HTTP/2 behind our back.
    for connection in ["upgrade, http2-settings", "upgrade, HTTP2-Settings", "upgrade", "close"] {
        for protocols in ["h2c", "h2c, websocket"] {
            for name in ["HTTP2-Settings", "http2-settings", "HTTP2_Settings"] {
                let lines = format!(
                    "Connection: {connection}\r\nUpgrade: {protocols}\r\n{name}: AAMAAABk\r\n"
                );
                let (_, out) = pass_on(&handshake("GET / HTTP/1.1", &lines));
                assert!(!out.contains("AAMAAABk") && !out.contains("h2c"), "{out}");
            }
        }
    }
}

#[test]
fn whole_request() {
    // TUN-3, REQ-5, REQ-6
    let head = "GET /chat HTTP/1.1\r\nHost: ex\r\nUpgrade: websocket\r\nOrigin: http://ex\r\n\
                Connection: keep-alive, Upgrade, Mine\r\nMine: 1\r\nKeep-Alive: 5\r\n\
                Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                Sec-WebSocket-Protocol: chat, superchat\r\n\
                Sec-WebSocket-Extensions: permessage-deflate\r\n\
                Sec-WebSocket-Version: 13\r\n\r\n";
    let expected = "GET /chat HTTP/1.1\r\nHost: ex\r\nOrigin: http://ex\r\n\
                    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                    Sec-WebSocket-Protocol: chat, superchat\r\n\
                    Sec-WebSocket-Extensions: permessage-deflate\r\n\
                    Sec-WebSocket-Version: 13\r\n\
                    X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\n\
                    X-Forwarded-Port: 8080\r\nX-Forwarded-Host: ex\r\n\
                    X-Request-Id: 00000000000000000000000000000001\r\n\
                    Via: 1.1 tidegate\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    assert_eq!(pass_on(head), (true, expected.to_owned()));
}

#[test]
fn routes_do_not_set_what_upgrades() {
    // ROUTE-1, REQ-5
    let set: Vec<(Box<str>, Box<str>)> =
        ["Connection", "Upgrade", "HTTP2-Settings"].map(|name| (name.into(), "x".into())).into();
    let with = Forwarding { set: &set, ..FORWARDING };
    let head = handshake("GET / HTTP/1.1", "Connection: upgrade\r\nUpgrade: websocket\r\n");
    with_request(head.as_bytes(), |request| {
        let mut out = Vec::new();
        write_request(&mut out, request, &with);
        let out = String::from_utf8(out).unwrap();
        assert_eq!(values(&out, "connection"), ["upgrade"]);
        assert_eq!(values(&out, "upgrade"), ["websocket"]);
        assert!(values(&out, "http2-settings").is_empty());
    });
}

#[test]
fn responses_that_upgrade() {
    // TUN-3, RES-1: what follows is the tunnel's, whatever the head says of a body.
    for (minor, lines) in [
        (1, "Upgrade: websocket\r\nConnection: Upgrade\r\n"),
        (1, "connection: keep-alive\r\nconnection: upgrade\r\nupgrade:\tWebSocket,\r\n"),
        (1, "Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 5\r\n"),
        (1, "Upgrade: websocket\r\nConnection: upgrade\r\nTransfer-Encoding: chunked\r\n"),
        (2, "Upgrade: websocket\r\nConnection: upgrade\r\n"),
    ] {
        let head = format!("HTTP/1.{minor} 101 S\r\n{lines}\r\n");
        with_response(head.as_bytes(), WEBSOCKET, |response| {
            assert!(response.upgraded && !response.is_interim() && !response.persistent);
            assert_eq!((response.framing, response.length), (Framing::None, None), "{lines}");
        });
        // REQ-7: the same 101 to one who did not ask.
        for asked in [GET, HEAD] {
            let verdict = response_verdict(head.as_bytes(), asked);
            assert_eq!(verdict, Err(Refusal::UnaskedUpgrade), "{lines}");
        }
    }
}

#[test]
fn responses_that_switch_to_something_else() {
    // REQ-7, RES-1
    for (minor, lines) in [
        (1, ""),
        (1, "Upgrade: websocket\r\n"),
        (1, "Connection: upgrade\r\n"),
        (1, "Upgrade: websocket\r\nConnection: keep-alive\r\n"),
        (1, "Upgrade: h2c\r\nConnection: upgrade\r\n"),
        (1, "Upgrade: websocket, h2c\r\nConnection: upgrade\r\n"),
        (1, "Upgrade: websocket\r\nUpgrade: h2c\r\nConnection: upgrade\r\n"),
        (1, "Upgrade: websocket/13\r\nConnection: upgrade\r\n"),
        (0, "Upgrade: websocket\r\nConnection: upgrade\r\n"),
    ] {
        let head = format!("HTTP/1.{minor} 101 S\r\n{lines}\r\n");
        let verdict = response_verdict(head.as_bytes(), WEBSOCKET);
        assert_eq!(verdict, Err(Refusal::UnaskedUpgrade), "1.{minor} {lines}");
    }
}

#[test]
fn other_responses_to_an_upgrade() {
    // TUN-3: only the 101 makes a tunnel; with these the connection goes on speaking HTTP.
    let lines = "Upgrade: websocket\r\nConnection: upgrade\r\nContent-Length: 5\r\n";
    for (status, framing) in [
        (100, Framing::None),
        (103, Framing::None),
        (200, Framing::Length(5)),
        (426, Framing::Length(5)),
    ] {
        let head = format!("HTTP/1.1 {status} S\r\n{lines}\r\n");
        with_response(head.as_bytes(), WEBSOCKET, |response| {
            assert!(!response.upgraded && response.persistent);
            assert_eq!((response.framing, response.is_interim()), (framing, status < 200));
            let out = give_back(response);
            assert!(out.starts_with(&format!("HTTP/1.1 {status} S\r\n")));
            assert!(values(&out, "upgrade").is_empty(), "{out}");
            assert!(!values(&out, "connection").contains(&"upgrade"), "{out}");
        });
    }
}

/// The head that the client gets, of a session that is mistaken on the connection and the body.
fn give_back(response: &Response<'_, '_>) -> String {
    let remove: [Box<str>; 2] = ["server".into(), "upgrade".into()];
    let returning = Returning {
        client_minor: 1,
        keep_alive: false,
        body: BodyOut::Chunked,
        set_cookie: Some("tg_app=1"),
        remove: &remove,
    };
    let mut out = Vec::new();
    write_response(&mut out, response, &returning);
    String::from_utf8(out).unwrap()
}

#[test]
fn whole_response() {
    // TUN-3, REQ-5, BACK-8
    let head = "HTTP/1.1 101 Web Socket Protocol Handshake\r\nServer: x\r\nUpgrade: WebSocket\r\n\
                Connection: Upgrade, Mine, keep-alive\r\nMine: 1\r\nKeep-Alive: timeout=5\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                Sec-WebSocket-Protocol: chat\r\nContent-Length: 0\r\nDate: now\r\n\r\n";
    let expected = "HTTP/1.1 101 Switching Protocols\r\n\
                    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
                    Sec-WebSocket-Protocol: chat\r\nDate: now\r\nVia: 1.1 tidegate\r\n\
                    Set-Cookie: tg_app=1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let out = with_response(head.as_bytes(), WEBSOCKET, give_back);
    assert_eq!(out, expected);
    assert_eq!(response_verdict(out.as_bytes(), WEBSOCKET), Ok(()));
}

//! Hosts: REQ-2, REQ-4, ROUTE-3.

use super::*;

#[test]
fn canonical() {
    // ROUTE-3
    let mut buf = [0; 256];
    for (authority, host) in [
        ("example.com", "example.com"),
        ("EXAMPLE.com:8080", "example.com"),
        ("Example.Com.", "example.com"),
        ("example.com.:80", "example.com"),
        ("example.com:", "example.com"),
        ("[2001:DB8::1]:443", "[2001:db8::1]"),
        ("[::1]", "[::1]"),
        ("", ""),
    ] {
        assert_eq!(canonical_host(authority.as_bytes(), &mut buf), host.as_bytes());
    }
    assert_eq!(canonical_host(&[b'A'; 999], &mut buf), [b'a'; 256]);
}

#[test]
fn validity() {
    // REQ-2
    let long = "a".repeat(HOST_BYTES_MAX);
    let longest = format!("{long}:65535");
    assert_eq!(longest.len(), AUTHORITY_BYTES_MAX);
    let valid = [
        "a",
        "a.b:80",
        "a:",
        "a_b",
        "127.0.0.1:65535",
        "[::1]",
        "[::1]:80",
        "x%2Dy",
        "a.",
        &longest,
    ];
    for host in valid {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(request_verdict(head.as_bytes()), Ok(()), "{host}");
        let head = format!("GET http://{host}/ HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(request_verdict(head.as_bytes()), Ok(()), "{host}");
    }
    let too_long = format!("{long}a");
    let invalid = [
        "",
        ":80",
        "a b",
        "a,b",
        "a@b",
        "u:p@b",
        "a/b",
        "a:b",
        "a:65536",
        "a:000080",
        "a:80:80",
        "[::1",
        "::1",
        "[::g]",
        "[::1]x",
        "[::1%25eth0]",
        "[v1.x]",
        "a%2",
        "a%zz",
        "\"a\"",
        "a\\b",
        "\u{e4}",
        "a?",
        &too_long,
    ];
    for host in invalid {
        let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        assert_eq!(request_verdict(head.as_bytes()), Err(Refusal::HostInvalid), "{host}");
        // Repeated or not, HTTP/1.0 must make sense as well.
        let head = format!("GET / HTTP/1.0\r\nHost: {host}\r\n\r\n");
        assert_eq!(request_verdict(head.as_bytes()), Err(Refusal::HostInvalid), "{host}");
    }
    for authority in ["", ":80", "a,b", "u@b", "u:p@b", "a:b", "[::1", &too_long] {
        let head = format!("GET http://{authority}/ HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(request_verdict(head.as_bytes()), Err(Refusal::HostInvalid), "{authority}");
    }
}

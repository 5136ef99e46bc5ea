//! The proxy's own answers: RES-7, REQ-10, ROUTE-1.

use super::*;
use crate::config::{AnswerBody, Redirect};

const NOON: i64 = 784_111_777_000;

fn write(answer: &Answer<'_>) -> (String, String) {
    let mut out = b"before".to_vec();
    write_answer(&mut out, answer);
    let out = String::from_utf8(out).unwrap();
    let out = out.strip_prefix("before").unwrap();
    let (head, body) = out.split_once("\r\n\r\n").unwrap();
    let head = format!("{head}\r\n\r\n");
    assert_eq!(response_verdict(head.as_bytes(), GET), Ok(()), "{head}");
    (head, body.to_owned())
}

#[test]
fn default_answers() {
    // RES-7
    for status in [400, 401, 404, 408, 413, 414, 421, 429, 431, 500, 501, 502, 503, 504, 505] {
        assert_ne!(reason(status), "");
        for json in [false, true] {
            for request_id in [None, Some(0xab)] {
                let answer = Answer { json, request_id, ..Answer::new(status, NOON) };
                let (head, body) = write(&answer);
                let line = format!("HTTP/1.1 {status} {}\r\n", reason(status));
                assert!(head.starts_with(&line), "{head}");
                assert_eq!(values(&head, "content-length"), [body.len().to_string()]);
                assert_eq!(values(&head, "date"), ["Sun, 06 Nov 1994 08:49:37 GMT"]);
                assert_eq!(values(&head, "connection"), ["close"]);
                assert_eq!(values(&head, "cache-control"), ["no-store"]);
                let id = "000000000000000000000000000000ab";
                assert_eq!(values(&head, "x-request-id").contains(&id), request_id.is_some());
                assert_eq!(body.contains(id), request_id.is_some());
                let of_head = write(&Answer { head_only: true, ..answer });
                assert_eq!(of_head, (head, String::new()));
            }
        }
    }
}

#[test]
fn default_bodies() {
    // RES-7
    let answer = Answer { request_id: Some(1), ..Answer::new(503, NOON) };
    let (head, body) = write(&answer);
    assert_eq!(values(&head, "content-type"), ["text/html; charset=utf-8"]);
    assert_eq!(
        body,
        "<!doctype html>\n<title>503 Service Unavailable</title>\n\
         <p>503 Service Unavailable</p>\n<p>Request 00000000000000000000000000000001</p>\n"
    );
    let (head, body) = write(&Answer { json: true, ..answer });
    assert_eq!(values(&head, "content-type"), ["application/json"]);
    assert_eq!(
        body,
        "{\"status\":503,\"error\":\"Service Unavailable\",\
         \"request_id\":\"00000000000000000000000000000001\"}\n"
    );
    let (_, body) = write(&Answer { json: true, ..Answer::new(404, NOON) });
    assert_eq!(body, "{\"status\":404,\"error\":\"Not Found\"}\n");
    let (_, body) = write(&Answer::new(404, NOON));
    assert_eq!(body, "<!doctype html>\n<title>404 Not Found</title>\n<p>404 Not Found</p>\n");
}

#[test]
fn misdirected_and_too_many() {
    // RES-7, ACC-9
    for (status, phrase) in [(421, "Misdirected Request"), (429, "Too Many Requests")] {
        for retry_after in [None, Some(0), Some(u32::MAX)] {
            let answer = Answer { retry_after, json: true, ..Answer::new(status, NOON) };
            let (head, body) = write(&answer);
            assert!(head.starts_with(&format!("HTTP/1.1 {status} {phrase}\r\n")), "{head}");
            assert_eq!(body, format!("{{\"status\":{status},\"error\":\"{phrase}\"}}\n"));
            let (of_html, body) = write(&Answer { json: false, ..answer });
            assert!(body.contains(&format!("<p>{status} {phrase}</p>")), "{body}");
            let written: Vec<String> = retry_after.iter().map(u32::to_string).collect();
            assert_eq!(values(&head, "retry-after"), written);
            assert_eq!(values(&of_html, "retry-after"), written);
        }
    }
}

#[test]
fn replaced_and_decorated() {
    // RES-7, REQ-10, ACC-9
    let replacement =
        AnswerBody { content_type: "text/plain".into(), bytes: b"gone fishing".as_slice().into() };
    let answer = Answer {
        replacement: Some(&replacement),
        retry_after: Some(5),
        keep_alive: true,
        json: true,
        ..Answer::new(429, NOON)
    };
    let (head, body) = write(&answer);
    assert_eq!(body, "gone fishing");
    assert_eq!(values(&head, "content-type"), ["text/plain"]);
    assert_eq!(values(&head, "content-length"), ["12"]);
    assert_eq!(values(&head, "retry-after"), ["5"]);
    assert!(values(&head, "connection").is_empty());
    let (head, _) = write(&Answer { client_minor: 0, ..answer });
    assert_eq!(values(&head, "connection"), ["keep-alive"]);
    let (head, _) = write(&Answer { client_minor: 0, keep_alive: false, ..answer });
    assert_eq!(values(&head, "connection"), ["close"]);
    for status in [204, 304] {
        let (head, body) = write(&Answer { status, ..answer });
        assert_eq!(body, "");
        assert!(values(&head, "content-length").is_empty());
        assert!(values(&head, "content-type").is_empty());
    }
    let (head, body) = write(&Answer { replacement: None, ..Answer::new(299, NOON) });
    assert!(head.starts_with("HTTP/1.1 299 \r\n") && body.contains("<title>299 </title>"));
    assert!(values(&head, "cache-control").is_empty());
}

#[test]
fn dates() {
    // RFC 9110 5.6.7
    let date = |unix_millis| {
        let (head, _) = write(&Answer::new(400, unix_millis));
        values(&head, "date")[0].to_owned()
    };
    for (unix_millis, text) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (999, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (951_782_400_000, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800_000, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_078_012_799_000, "Sat, 28 Feb 2004 23:59:59 GMT"),
        (1_709_164_800_000, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (1_735_689_599_000, "Tue, 31 Dec 2024 23:59:59 GMT"),
        (1_735_689_600_000, "Wed, 01 Jan 2025 00:00:00 GMT"),
        (4_107_542_400_000, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (4_107_456_000_000, "Sun, 28 Feb 2100 00:00:00 GMT"),
        (253_402_300_799_999, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (-62_167_219_200_000, "Sat, 01 Jan 0000 00:00:00 GMT"),
    ] {
        assert_eq!(date(unix_millis), text);
    }
    assert!(date(i64::MAX).contains(" Dec 9999 ") && date(i64::MIN).contains(" Jan 0000 "));
}

#[test]
fn each_day_follows_the_last() {
    // RFC 9110 5.6.7: 800 years of days against a calendar that counts.
    let (mut year, mut month, mut day) = (1970, 0, 1);
    let names =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    for number in 0..292_194 {
        let mut out = Vec::new();
        crate::http1::date::write_date(&mut out, number * 86_400_000);
        let expected = format!(", {day:02} {} {year:04} 00:00:00 GMT", names[month]);
        assert!(out.ends_with(expected.as_bytes()), "{} {expected}", show(&out));
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let lengths = [31, 28 + i32::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        day += 1;
        if day > lengths[month] {
            (day, month) = (1, month + 1);
        }
        if month == 12 {
            (month, year) = (0, year + 1);
        }
    }
}

#[test]
fn redirects() {
    // ROUTE-1
    let redirect = |scheme: Option<&str>, host: Option<&str>, path: Option<&str>| Redirect {
        status: 301,
        scheme: scheme.map(Into::into),
        host: host.map(Into::into),
        path: path.map(Into::into),
    };
    for (to, authority, path, location) in [
        (redirect(Some("https"), None, None), "Ex:8080", "/p?q", "https://Ex/p?q"),
        (redirect(Some("https"), None, None), "[::1]:80", "/", "https://[::1]/"),
        (redirect(Some("http"), None, Some("/x")), "ex:8080", "/p?q", "http://ex:8080/x"),
        (redirect(None, Some("other:1"), None), "ex:8080", "/p", "http://other:1/p"),
        (redirect(Some("https"), Some("o:1"), Some("/y?z")), "ex", "/p", "https://o:1/y?z"),
        (redirect(None, None, None), "ex", "?q", "http://ex/?q"),
        (redirect(None, None, None), "ex", "*", "http://ex/"),
        (redirect(None, None, None), "ex", "//evil/", "http://ex//evil/"),
        (redirect(Some("https"), None, None), "", "/p", "/p"),
        (redirect(Some("https"), None, None), "", "//evil/", "/.//evil/"),
    ] {
        let mut out = Vec::new();
        write_location(&mut out, &to, Scheme::Http, authority.as_bytes(), path.as_bytes());
        assert_eq!(show(&out), location);
        let answer = Answer { location: Some(&out), ..Answer::new(to.status, NOON) };
        let (head, _) = write(&answer);
        assert_eq!(values(&head, "location"), [location]);
        assert!(values(&head, "cache-control").is_empty());
    }
}

#[test]
fn redirects_of_tls_clients() {
    // ROUTE-1: what the redirect leaves open stays as the client came, by TLS.
    let redirect = |scheme: Option<&str>, host: Option<&str>| Redirect {
        status: 308,
        scheme: scheme.map(Into::into),
        host: host.map(Into::into),
        path: None,
    };
    for (to, authority, path, location) in [
        (redirect(None, None), "Ex:8443", "/p?q", "https://Ex:8443/p?q"),
        (redirect(Some("https"), None), "Ex:8443", "/p?q", "https://Ex:8443/p?q"),
        (redirect(Some("http"), None), "Ex:8443", "/p?q", "http://Ex/p?q"),
        (redirect(Some("http"), None), "[::1]:443", "/", "http://[::1]/"),
        (redirect(None, Some("other:1")), "ex", "/p", "https://other:1/p"),
        (redirect(None, None), "", "/p", "/p"),
    ] {
        let mut out = Vec::new();
        write_location(&mut out, &to, Scheme::Https, authority.as_bytes(), path.as_bytes());
        assert_eq!(show(&out), location);
    }
}

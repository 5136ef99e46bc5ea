//! The proxy's own answers and redirects (RES-7, ROUTE-1).

use super::date::write_date;
use super::host::split_port;
use super::rewrite::Scheme;
use super::write;
use crate::config::{AnswerBody, Redirect};

/// An answer of the proxy itself.
#[derive(Copy, Clone, Debug)]
pub struct Answer<'a> {
    /// 200 to 999.
    pub status: u16,
    /// The request's id; shown in a field, and in the default body.
    pub request_id: Option<u128>,
    /// Whether the default body is JSON.
    pub json: bool,
    /// Whether the request was HEAD: everything but the body.
    pub head_only: bool,
    /// Whether the client's connection stays open.
    pub keep_alive: bool,
    /// The minor version of the request; 1 when none was understood.
    pub client_minor: u8,
    /// A configured body in place of the default one.
    pub replacement: Option<&'a AnswerBody>,
    /// Seconds after which a client may try again.
    pub retry_after: Option<u32>,
    /// Where a redirect leads; made by [`write_location`].
    pub location: Option<&'a [u8]>,
    /// The wall clock, for Date.
    pub unix_millis: i64,
}

impl Answer<'_> {
    /// A plain answer in HTML that closes the connection.
    pub fn new(status: u16, unix_millis: i64) -> Self {
        Answer {
            status,
            request_id: None,
            json: false,
            head_only: false,
            keep_alive: false,
            client_minor: 1,
            replacement: None,
            retry_after: None,
            location: None,
            unix_millis,
        }
    }
}

/// Appends a whole answer, body included.
pub fn write_answer(out: &mut Vec<u8>, answer: &Answer<'_>) {
    let mut status = itoa::Buffer::new();
    let status = status.format(answer.status).as_bytes();
    let reason = reason(answer.status).as_bytes();
    for part in [b"HTTP/1.1 ", status, b" ", reason, b"\r\nDate: "] {
        out.extend_from_slice(part);
    }
    write_date(out, answer.unix_millis);
    out.extend_from_slice(b"\r\n");
    let id = answer.request_id.map(write::hex_digits);
    if let Some(id) = &id {
        write::field(out, "X-Request-Id", id);
    }
    if let Some(seconds) = answer.retry_after {
        write::number_field(out, "Retry-After", seconds.into());
    }
    if let Some(location) = answer.location {
        write::field(out, "Location", location);
    }
    if answer.status >= 400 {
        out.extend_from_slice(b"Cache-Control: no-store\r\n");
    }
    let id = id.as_ref().map(|id| id.as_slice());
    let (json, html) = (json_body(status, reason, id), html_body(status, reason, id));
    let (content_type, body): (_, &[&[u8]]) = match answer.replacement {
        Some(body) => (body.content_type.as_bytes(), &[&body.bytes]),
        None if answer.json => (b"application/json".as_slice(), &json),
        None => (b"text/html; charset=utf-8".as_slice(), &html),
    };
    let has_body = !matches!(answer.status, 100..=199 | 204 | 304);
    if has_body {
        write::field(out, "Content-Type", content_type);
        let length = body.iter().map(|part| part.len() as u64).sum();
        write::number_field(out, "Content-Length", length);
    }
    write::connection(out, answer.keep_alive, answer.client_minor);
    out.extend_from_slice(b"\r\n");
    if has_body && !answer.head_only {
        for part in body {
            out.extend_from_slice(part);
        }
    }
}

/// The parts of a default body in JSON. No reason phrase needs escaping.
fn json_body<'a>(status: &'a [u8], reason: &'a [u8], id: Option<&'a [u8]>) -> [&'a [u8]; 7] {
    let head: &[u8] = br#"{"status":"#;
    let middle: &[u8] = br#","error":""#;
    match id {
        Some(id) => [head, status, middle, reason, br#"","request_id":""#, id, b"\"}\n"],
        None => [head, status, middle, reason, b"", b"", b"\"}\n"],
    }
}

/// The parts of a default body in HTML. No reason phrase needs escaping.
fn html_body<'a>(status: &'a [u8], reason: &'a [u8], id: Option<&'a [u8]>) -> [&'a [u8]; 12] {
    let head: &[u8] = b"<!doctype html>\n<title>";
    let middle: &[u8] = b"</title>\n<p>";
    let (before, after): (&[u8], &[u8]) =
        if id.is_some() { (b"<p>Request ", b"</p>\n") } else { (b"", b"") };
    let id = id.unwrap_or_default();
    [head, status, b" ", reason, middle, status, b" ", reason, b"</p>\n", before, id, after]
}

/// Appends the URL that a redirect leads to: the request's own with parts replaced (ROUTE-1).
///
/// A port goes with the scheme that it belonged to. A request without authority is led to a path
/// on the same host. The path of a scanned request holds no byte that could end the field.
pub fn write_location(
    out: &mut Vec<u8>,
    redirect: &Redirect,
    scheme: Scheme,
    authority: &[u8],
    path_and_query: &[u8],
) {
    let to = redirect.scheme.as_deref().unwrap_or(scheme.as_str());
    let host = match redirect.host.as_deref() {
        Some(host) => host.as_bytes(),
        None if to == scheme.as_str() => authority,
        None => split_port(authority).0,
    };
    let path = match redirect.path.as_deref() {
        Some(path) => path.as_bytes(),
        None if path_and_query == b"*" => b"/",
        None => path_and_query,
    };
    if !host.is_empty() {
        out.extend_from_slice(to.as_bytes());
        out.extend_from_slice(b"://");
        out.extend_from_slice(host);
    } else if path.starts_with(b"//") {
        // Alone, `//name/` would lead to another host.
        out.extend_from_slice(b"/.");
    }
    write::path_and_query(out, path);
}

/// The reason phrase of a status (RFC 9110 15); empty for one that has none.
pub fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        203 => "Non-Authoritative Information",
        204 => "No Content",
        205 => "Reset Content",
        206 => "Partial Content",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Range Not Satisfiable",
        417 => "Expectation Failed",
        418 => "I'm a Teapot",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        425 => "Too Early",
        426 => "Upgrade Required",
        428 => "Precondition Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        511 => "Network Authentication Required",
        _ => "",
    }
}

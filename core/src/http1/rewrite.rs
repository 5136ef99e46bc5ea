//! The request head that is sent to a backend (REQ-5, REQ-6, REQ-7, REQ-10, BACK-8,
//! TUN-3).

use super::bytes::{is_token, trim};
use super::fields::{Known, is_reserved, recognise};
use super::request::{Framing, Request};
use super::write;
use httparse::Header;
use std::net::IpAddr;

/// Bytes that [`write_request`] adds to a head at most, configured fields apart: a vector with
/// room for the largest head and these never grows.
pub const ADDED_BYTES_MAX: usize = 1536;

/// Bytes of a request id of a trusted proxy at most.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// How the client reached the proxy.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// By TLS.
    Https,
}

impl Scheme {
    /// The scheme as URLs spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// What the proxy knows and a request's head does not say.
#[derive(Copy, Clone, Debug)]
pub struct Forwarding<'a> {
    /// The client's address; absent on Unix sockets.
    pub client: Option<IpAddr>,
    /// Whether the client is one of `trusted_proxies`, so that its X- fields are believed.
    pub trusted: bool,
    /// How the client reached the proxy.
    pub scheme: Scheme,
    /// The port that it reached; 0 on Unix sockets.
    pub port: u16,
    /// The id of this request, unless a trusted proxy gave it one.
    pub request_id: u128,
    /// Whether `Forwarded` is added (RFC 7239).
    pub add_forwarded: bool,
    /// Fields that the route sets, replacing those of the same name. [Reserved](is_reserved) ones
    /// are ignored; names and values must be [`super::is_field_name`], [`super::is_field_value`].
    pub set: &'a [(Box<str>, Box<str>)],
    /// The sticky cookie's name: the backend does not see it, other cookies stay (BACK-8).
    pub strip_cookie: Option<&'a [u8]>,
}

impl Forwarding<'_> {
    fn sets(&self, name: &[u8]) -> bool {
        self.set.iter().any(|(set, _)| set.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// Appends the head that is sent to a backend, always as HTTP/1.1, and without Connection but for
/// an [upgrade](Request::upgrade), of which WebSocket is then the only protocol on offer.
///
/// Copies of the X- fields are believed, kept or extended only when `trusted`; so is
/// `Forwarded`, which otherwise a client could use to the same end.
pub fn write_request(out: &mut Vec<u8>, request: &Request<'_, '_>, forwarding: &Forwarding<'_>) {
    out.extend_from_slice(request.method);
    out.push(b' ');
    write::path_and_query(out, request.path_and_query);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    if forwarding.set.is_empty() || !forwarding.sets(b"host") {
        write::field(out, "Host", request.authority);
    }
    write::kept_lines(out, request.head, &request.fields, |index, field| {
        !request.dropped.contains(index)
            && (!request.special.contains(index) || is_kept(field, forwarding))
            && (forwarding.set.is_empty() || !forwarding.sets(field.name.as_bytes()))
    });
    if let Some(name) = forwarding.strip_cookie {
        write_cookies(out, request, forwarding, name);
    }
    for (name, value) in forwarding.set {
        if !is_reserved(name.as_bytes()) {
            write::field(out, name, value.as_bytes());
        }
    }
    write_client(out, request, forwarding);
    write::via(out, request.minor);
    match request.framing {
        Framing::Length(length) => write::number_field(out, "Content-Length", length),
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::None | Framing::UntilClose => {}
    }
    if request.upgrade {
        write::upgrade(out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Whether a special field's line is sent on as it came.
fn is_kept(field: &Header<'_>, forwarding: &Forwarding<'_>) -> bool {
    match recognise(field.name.as_bytes()).map(|found| found.known) {
        Some(Known::Cookie) => {
            !forwarding.strip_cookie.is_some_and(|name| pairs(field).any(|it| is_named(it, name)))
        }
        Some(Known::Forwarded) => forwarding.trusted,
        _ => false,
    }
}

fn pairs<'a>(field: &Header<'a>) -> impl Iterator<Item = &'a [u8]> {
    field.value.split(|&byte| byte == b';').map(trim).filter(|pair| !pair.is_empty())
}

fn is_named(pair: &[u8], name: &[u8]) -> bool {
    pair.strip_prefix(name).is_some_and(|rest| trim(rest).first() == Some(&b'='))
}

/// Writes what is left of the Cookie fields that hold the cookie `name`.
fn write_cookies(
    out: &mut Vec<u8>,
    request: &Request<'_, '_>,
    forwarding: &Forwarding<'_>,
    name: &[u8],
) {
    for field in special(request, Known::Cookie) {
        let replaced = forwarding.sets(field.name.as_bytes());
        if replaced || !pairs(field).any(|pair| is_named(pair, name)) {
            continue;
        }
        // What stays keeps its own separators, so that a line never grows.
        let begin = out.len();
        out.extend_from_slice(b"Cookie: ");
        let mut is_empty = true;
        for pair in field.value.split(|&byte| byte == b';') {
            let trimmed = trim(pair);
            if trimmed.is_empty() || is_named(trimmed, name) {
                continue;
            }
            if is_empty {
                out.extend_from_slice(trimmed);
            } else {
                out.push(b';');
                out.extend_from_slice(pair);
            }
            is_empty = false;
        }
        if is_empty {
            out.truncate(begin);
        } else {
            out.extend_from_slice(b"\r\n");
        }
    }
}

/// The special fields of one kind that Connection does not name.
fn special<'r, 'a>(
    request: &'r Request<'a, '_>,
    known: Known,
) -> impl DoubleEndedIterator<Item = &'r Header<'a>> {
    request.fields.iter().enumerate().filter_map(move |(index, field)| {
        let is_special = request.special.contains(index) && !request.dropped.contains(index);
        let found = if is_special { recognise(field.name.as_bytes()) } else { None };
        found.is_some_and(|found| found.known == known).then_some(field)
    })
}

/// The last value of a field that a trusted proxy sent. The last, since a proxy that only adds
/// its own puts it behind what its client sent.
fn believed<'a>(
    request: &Request<'a, '_>,
    forwarding: &Forwarding<'_>,
    known: Known,
) -> Option<&'a [u8]> {
    if !forwarding.trusted || request.special.is_empty() {
        return None;
    }
    special(request, known).map(|it| trim(it.value)).rfind(|it| !it.is_empty())
}

/// Writes the fields that tell the backend about the client (REQ-6).
fn write_client(out: &mut Vec<u8>, request: &Request<'_, '_>, forwarding: &Forwarding<'_>) {
    let writes = |name: &str| forwarding.set.is_empty() || !forwarding.sets(name.as_bytes());
    if writes("X-Forwarded-For") {
        write_forwarded_for(out, request, forwarding);
    }
    if writes("X-Forwarded-Proto") {
        let proto = believed(request, forwarding, Known::ForwardedProto);
        let own = forwarding.scheme.as_str().as_bytes();
        write::field(out, "X-Forwarded-Proto", proto.unwrap_or(own));
    }
    if writes("X-Forwarded-Port") {
        match believed(request, forwarding, Known::ForwardedPort) {
            Some(port) => write::field(out, "X-Forwarded-Port", port),
            None if forwarding.port == 0 => {}
            None => write::number_field(out, "X-Forwarded-Port", forwarding.port.into()),
        }
    }
    if writes("X-Forwarded-Host") {
        let host = believed(request, forwarding, Known::ForwardedHost);
        let host = host.unwrap_or(request.authority);
        if !host.is_empty() {
            write::field(out, "X-Forwarded-Host", host);
        }
    }
    if writes("X-Request-Id") {
        match trusted_request_id(request, forwarding.trusted) {
            Some(id) => write::field(out, "X-Request-Id", id),
            None => {
                write::field(out, "X-Request-Id", &write::hex_digits(forwarding.request_id));
            }
        }
    }
    if forwarding.add_forwarded && writes("Forwarded") {
        write_forwarded(out, request, forwarding);
    }
}

fn write_forwarded_for(out: &mut Vec<u8>, request: &Request<'_, '_>, forwarding: &Forwarding<'_>) {
    let begin = out.len();
    let name = b"X-Forwarded-For: ";
    out.extend_from_slice(name);
    if forwarding.trusted && !request.special.is_empty() {
        for field in special(request, Known::ForwardedFor) {
            let value = trim(field.value);
            if !value.is_empty() {
                out.extend_from_slice(value);
                out.extend_from_slice(b", ");
            }
        }
    }
    match forwarding.client {
        Some(client) => write::address(out, client),
        None if out.len() == begin + name.len() => return out.truncate(begin),
        None => out.truncate(out.len() - 2),
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes our element of `Forwarded`; a line of its own appends to the list (RFC 7239 4).
fn write_forwarded(out: &mut Vec<u8>, request: &Request<'_, '_>, forwarding: &Forwarding<'_>) {
    out.extend_from_slice(b"Forwarded: for=");
    match forwarding.client.map(|client| client.to_canonical()) {
        None => out.extend_from_slice(b"unknown"),
        Some(client @ IpAddr::V4(_)) => write::address(out, client),
        Some(client @ IpAddr::V6(_)) => {
            out.extend_from_slice(b"\"[");
            write::address(out, client);
            out.extend_from_slice(b"]\"");
        }
    }
    if !request.authority.is_empty() {
        // No authority that passed holds a quote or a backslash.
        out.extend_from_slice(b";host=\"");
        out.extend_from_slice(request.authority);
        out.push(b'"');
    }
    out.extend_from_slice(b";proto=");
    out.extend_from_slice(forwarding.scheme.as_str().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The request id of a trusted proxy, which is sent on as it came: up to 128 token characters
/// and `/ : = @`. `None` when the client is not trusted, or sent none that is valid.
pub fn trusted_request_id<'a>(request: &Request<'a, '_>, trusted: bool) -> Option<&'a [u8]> {
    if !trusted || request.special.is_empty() {
        return None;
    }
    let is_valid = |byte: &u8| is_token(*byte) || matches!(byte, b'/' | b':' | b'=' | b'@');
    special(request, Known::RequestId)
        .map(|field| trim(field.value))
        .rfind(|id| !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.iter().all(is_valid))
}

/// The number that a request id stands for, if it is one of 32 hexadecimal digits, with hyphens
/// anywhere between them as UUIDs have.
pub fn parse_request_id(id: &[u8]) -> Option<u128> {
    let mut number: u128 = 0;
    let mut digits = 0;
    for &byte in id.iter().filter(|&&byte| byte != b'-') {
        let digit = char::from(byte).to_digit(16)?;
        digits += 1;
        number = number << 4 | u128::from(digit);
    }
    (digits == 32).then_some(number)
}

/// Appends a request id as [`write_request`] spells it: 32 hexadecimal digits.
pub fn write_request_id(out: &mut Vec<u8>, request_id: u128) {
    write::hex(out, request_id);
}

//! Requests that must be refused, and what may answer them (REQ-2 to REQ-5).

use super::extras::FIXED;
use crate::body::{BodyKey, Direction};
use crate::oracle::ledger::Flaw;
use tidegate_core::config::Limits;

/// One way to get a request wrong: `{id}` and `{host}` stand for the request's own, and [`BODY`]
/// for a byte of the body that it should have.
pub(super) struct Flawed {
    /// What may answer it.
    pub(super) flaw: Flaw,
    /// What is sent.
    pub(super) text: &'static str,
}

const fn flaw(name: &'static str, statuses: &'static [u16], text: &'static str) -> Flawed {
    let lead = lead(text.as_bytes());
    Flawed { flaw: Flaw { name, statuses, in_body: false, location: None, lead }, text }
}

/// Bytes of the empty lines that `text` begins with.
const fn lead(text: &[u8]) -> u64 {
    let mut at = 0;
    while at < text.len() && matches!(text[at], b'\r' | b'\n') {
        at += 1;
    }
    at as u64
}

const fn body_flaw(name: &'static str, text: &'static str) -> Flawed {
    Flawed { flaw: Flaw { name, statuses: &[400], in_body: true, location: None, lead: 0 }, text }
}

/// What is redirected to `location`.
const fn moved(
    name: &'static str,
    statuses: &'static [u16],
    location: &'static str,
    text: &'static str,
) -> Flawed {
    let Flawed { flaw, text } = flaw(name, statuses, text);
    Flawed { flaw: Flaw { location: Some(location), ..flaw }, text }
}

/// A request in chunks, with a sound head, and what comes behind that.
macro_rules! chunked {
    ($body:literal) => {
        concat!(
            "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n",
            $body
        )
    };
}

/// Where a sound byte of the body stands.
const BODY: &str = "{body}";

impl Flawed {
    /// Bytes of sound body before what is wrong.
    pub(super) fn body(&self) -> u64 {
        self.text.matches(BODY).count() as u64
    }
}

/// Sound by itself, and in the clear where TLS is expected.
pub(super) const BARE: Flawed =
    flaw("no TLS", &[400], "{method} /r/{id} HTTP/1.1\r\nHost: {host}\r\n\r\n");

/// The corpus.
pub(super) const FLAWS: &[Flawed] = &[
    flaw(
        "both framings",
        &[400],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    flaw(
        "both framings, the other way",
        &[400],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\
         Content-Length: 40\r\n\r\n0\r\n\r\nGET /r/0 HTTP/1.1\r\nHost: h0.sim\r\n\r\n",
    ),
    flaw(
        "two lengths",
        &[400],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
    ),
    flaw(
        "the same length twice",
        &[400],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    ),
    flaw(
        "a list of lengths",
        &[400],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4, 4\r\n\r\nabcd",
    ),
    flaw(
        "a length with a sign",
        &[400],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nContent-Length: +4\r\n\r\nabcd",
    ),
    flaw(
        "an empty length",
        &[400],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nContent-Length:\r\n\r\n",
    ),
    flaw(
        "a length beyond 64 bits",
        &[400],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ),
    flaw(
        "a coding that does not end in chunked",
        &[400, 501],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    ),
    flaw(
        "an unknown coding",
        &[400, 501],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    flaw(
        "chunked twice",
        &[400, 501],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\
         Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    flaw(
        "chunks in 1.0",
        &[400],
        "POST /r/{id} HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    flaw("a bare LF", &[400], "GET /r/{id} HTTP/1.1\r\nHost: {host}\nX: y\r\n\r\n"),
    flaw("a bare CR", &[400], "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\nX: a\rb\r\n\r\n"),
    flaw("a NUL", &[400], "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\nX: a\0b\r\n\r\n"),
    flaw("a folded line", &[400], "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\nX: a\r\n b\r\n\r\n"),
    flaw(
        "a blank before a colon",
        &[400],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nContent-Length : 4\r\n\r\nabcd",
    ),
    flaw(
        "two Hosts, of a HEAD",
        &[400],
        "HEAD /r/{id} HTTP/1.1\r\nHost: {host}\r\nHost: b\r\n\r\n",
    ),
    flaw(
        "two Hosts, of a HEAD behind an empty line",
        &[400],
        "\r\nHEAD /r/{id} HTTP/1.1\r\nHost: {host}\r\nHost: b\r\n\r\n",
    ),
    flaw(
        "a bad name, of a HEAD",
        &[400],
        "HEAD /r/{id} HTTP/1.1\r\nHost: {host}\r\na(b): y\r\n\r\n",
    ),
    flaw("no Host", &[400], "GET /r/{id} HTTP/1.1\r\nX: y\r\n\r\n"),
    flaw("two Hosts", &[400], "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\nHost: h1.sim\r\n\r\n"),
    flaw("a bad Host", &[400], "GET /r/{id} HTTP/1.1\r\nHost: a b\r\n\r\n"),
    flaw("a port that is none", &[400], "GET /r/{id} HTTP/1.1\r\nHost: {host}:8x\r\n\r\n"),
    flaw("a port too high", &[400], "GET /r/{id} HTTP/1.1\r\nHost: {host}:65536\r\n\r\n"),
    flaw("half an escape in Host", &[400], "GET /r/{id} HTTP/1.1\r\nHost: a%4x.b\r\n\r\n"),
    flaw("CONNECT", &[501], "CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n"),
    flaw("HTTP/2.0", &[505], "GET /r/{id} HTTP/2.0\r\nHost: {host}\r\n\r\n"),
    flaw("HTTP/0.9", &[400], "GET /r/{id}\r\n\r\n"),
    flaw("TLS", &[400], "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{7f}"),
    flaw("two empty lines first", &[400], "\r\n\r\nGET /r/{id} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    flaw(
        "Connection names Content-Length",
        &[400],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 4\r\n\
         Connection: content-length\r\n\r\nabcd",
    ),
    flaw(
        "Connection names Host",
        &[400],
        "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\nConnection: close, host\r\n\r\n",
    ),
    flaw("a blank in the target", &[400], "GET /r/{id} x HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    flaw("a byte in the target", &[400], "GET /r/{id}\u{7f} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    flaw("a target of no form", &[400], "GET r/{id} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    flaw("a target far too long", &[414], "GET /r/{id}/{2000} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    flaw("a target too long", &[414], "GET /r/{id}/{target} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    flaw(
        "a head too long",
        &[431],
        "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\nX-Long: {head}\r\n\r\n",
    ),
    flaw("a field too many", &[431], "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\n{60 fields}\r\n"),
    flaw(
        "a head far too long",
        &[431],
        "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\nX-Long: {2000}{2000}{2000}{2000}{2000}{2000}\
         {2000}{2000}{2000}\r\n\r\n",
    ),
    flaw("fields far too many", &[431], "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n"),
    flaw("a field without a name", &[400], "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\n: y\r\n\r\n"),
    flaw("a bad field name", &[400], "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\na(b): y\r\n\r\n"),
    flaw(
        "an empty coding",
        &[400],
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked;\r\n\r\n0\r\n\r\n",
    ),
    body_flaw("a chunk size that is none", chunked!("xyz\r\n")),
    body_flaw("an empty chunk size", chunked!("\r\n\r\n")),
    body_flaw("a chunk size ended by LF", chunked!("0\n\r\n")),
    body_flaw("a negative chunk size", chunked!("-1\r\n\r\n")),
    body_flaw("a chunk size beyond 64 bits", chunked!("10000000000000000\r\nx")),
    body_flaw("a chunk that does not end", chunked!("1\r\n{body}yz")),
    body_flaw("a bad chunk extension", chunked!("1;\0\r\nx")),
    body_flaw("a chunk line far too long", chunked!("1;{2000}{2000}{2000}\r\nx")),
    body_flaw("a chunk line too long", chunked!("1;{255}\r\nx")),
    body_flaw("trailers too long", chunked!("0\r\nX: {4090}\r\n\r\n")),
    body_flaw("trailers far too many", chunked!("0\r\n{trailers}\r\n")),
    body_flaw(
        "a chunk size that wraps to one",
        chunked!("10000000000000001\r\n{body}\r\n0\r\n\r\n"),
    ),
    body_flaw("a chunk size that wraps to none", chunked!("10000000000000000\r\n\r\n")),
    body_flaw("an extension ended by LF", chunked!("1;a=b\n{body}\r\n0\r\n\r\n")),
    body_flaw("a control byte in quotes", chunked!("1;a=\"\u{1}\"\r\nx")),
    body_flaw(
        "trailers far too long",
        chunked!("0\r\nX: {2000}{2000}{2000}{2000}{2000}{2000}{2000}{2000}{2000}\r\n\r\n"),
    ),
    body_flaw("a bad trailer", chunked!("0\r\n: x\r\n\r\n")),
    body_flaw("a blank in a chunk size", chunked!("1 x\r\n")),
    body_flaw("an extension without end", chunked!("1;a=\"b\\\"c\r\n")),
    body_flaw("a blank before a trailer's colon", chunked!("0\r\nx : y\r\n\r\n")),
    body_flaw("a trailer ended by LF", chunked!("0\r\nx: y\n\r\n")),
    body_flaw("a control byte in a trailer", chunked!("0\r\nx: \u{1}\r\n\r\n")),
    body_flaw("a folded trailer", chunked!("0\r\n x\r\n\r\n")),
    // What the proxy answers by itself: no fault of the client's.
    moved(
        "a redirect",
        &[301, 421],
        "https://moved.sim{port}/moved/{id}",
        "GET /moved/{id} HTTP/1.1\r\nHost: moved.sim:8080\r\nAccept: application/json\r\n\r\n",
    ),
    moved(
        "a redirect to a host",
        &[302, 421],
        "{scheme}://h0.sim/found",
        "GET /found HTTP/1.1\r\nHost: moved.sim\r\n\r\n",
    ),
    moved(
        "a redirect to a path",
        &[308, 421],
        "{scheme}://moved.sim/there?now",
        "HEAD /r/{id} HTTP/1.1\r\nHost: moved.sim\r\n\r\n",
    ),
    moved(
        "a redirect by an expression",
        &[307, 404, 421],
        "{scheme}://a.wild.sim/",
        "GET /re/{id} HTTP/1.1\r\nHost: a.wild.sim\r\n\r\n",
    ),
    moved(
        "a redirect by a longer name",
        &[308, 404, 421],
        "{scheme}://a.deep.wild.sim/",
        "GET /a/../re//%7e{id} HTTP/1.1\r\nHost: a.deep.wild.sim\r\n\r\n",
    ),
    flaw(
        "a path that no expression takes",
        &[404, 421],
        "GET /nothing/{id} HTTP/1.1\r\nHost: a.wild.sim\r\nAccept: text/html;q=0.5, */*;q=0.1, \
         application/json;q=0.9\r\n\r\n",
    ),
    flaw(Flaw::FIXED, FIXED, "GET /fixed?{id} HTTP/1.1\r\nHost: any.sim\r\n\r\n"),
    flaw(
        "a fixed answer with a body",
        &[418, 421],
        "GET /tea/%2e%2e/tea/{id} HTTP/1.1\r\nHost: any.sim\r\nAccept: application/json, */*\r\n\r\n",
    ),
    flaw("a decoy", &[404, 410, 421], "GET /decoy/1 HTTP/1.1\r\nHost: [::1]:80\r\n\r\n"),
    flaw("a decoy's path", &[404, 410, 421], "GET /decoy/2/abc HTTP/1.1\r\nHost: any.sim.\r\n\r\n"),
    flaw(
        "a path below a decoy",
        &[404, 410, 421],
        "POST /decoy/0/{id} HTTP/1.1\r\nHost: any.sim\r\nContent-Length: 0\r\n\r\n",
    ),
    flaw(
        "no Host in 1.0",
        &[404, 421],
        "GET /r/{id} HTTP/1.0\r\nAccept: application/*\r\nConnection: keep-alive\r\n\r\n",
    ),
    flaw(
        "a later minor version",
        &[418, 421],
        "GET /tea HTTP/1.7\r\nHost: any.sim\r\nAuthorization: Basic eDp5\r\nTrailer: x\r\n\
         HTTP2-Settings: AAMAAABk\r\n\r\n",
    ),
    moved(
        "a path of two slashes",
        &[308, 421],
        "{scheme}://moved.sim/there?now",
        "GET //moved/{id} HTTP/1.0\r\nHost: moved.sim\r\n\r\n",
    ),
    flaw("a server's options", &[404, 421], "OPTIONS * HTTP/1.1\r\nHost: any.sim\r\n\r\n"),
];

/// The bytes of a flawed request to `host`, where heads must keep `limits`.
pub(super) fn request(text: &str, id: u32, host: &str, limits: &Limits) -> Vec<u8> {
    let key = BodyKey::new(id, Direction::Up);
    let mut parts = text.split(BODY);
    let mut bytes = written(parts.next().unwrap_or(""), id, host, limits);
    for (offset, part) in (0..).zip(parts) {
        bytes.extend_from_slice(key.at(offset, 1));
        bytes.extend(written(part, id, host, limits));
    }
    bytes
}

/// The bytes of a text of the corpus. `{target}` and `{head}` stand for as much as makes them one
/// byte too long.
pub(super) fn written(text: &str, id: u32, host: &str, limits: &Limits) -> Vec<u8> {
    let mut text = text.replace("{id}", &id.to_string()).replace("{host}", host);
    for bytes in [255, 2000, 4090] {
        text = text.replace(&format!("{{{bytes}}}"), &"a".repeat(bytes));
    }
    if let Some((before, _)) = text.split_once("{target}") {
        let begin = before.len() - before.find('/').unwrap_or(0);
        text = text.replace("{target}", &"a".repeat(limits.target_bytes + 1 - begin));
    }
    if let Some((before, behind)) = text.split_once("{head}") {
        let rest = before.len() + behind.len();
        text = text.replace("{head}", &"a".repeat(limits.head_bytes + 1 - rest));
    }
    text = text.replace("{trailers}", &"x: y\r\n".repeat(700));
    text = text.replace("{60 fields}", &"X-More: 1\r\n".repeat(60));
    text.replace("{fields}", &"X-More: 1\r\n".repeat(100)).into_bytes()
}

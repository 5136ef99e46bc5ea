//! Requests that must be refused, and what may answer them (REQ-2 to REQ-5).

use crate::oracle::ledger::Flaw;

/// One way to get a request wrong: `{id}` and `{host}` stand for the request's own.
pub(super) struct Flawed {
    /// What may answer it.
    pub(super) flaw: Flaw,
    /// What is sent.
    pub(super) text: &'static str,
}

const fn flaw(name: &'static str, statuses: &'static [u16], text: &'static str) -> Flawed {
    Flawed { flaw: Flaw { name, statuses, in_body: false }, text }
}

const fn body_flaw(name: &'static str, text: &'static str) -> Flawed {
    Flawed { flaw: Flaw { name, statuses: &[400], in_body: true }, text }
}

/// Sound by itself, and in the clear where TLS is expected.
pub(super) const BARE: Flawed =
    flaw("no TLS", &[400], "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\n\r\n");

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
    flaw("no Host", &[400], "GET /r/{id} HTTP/1.1\r\nX: y\r\n\r\n"),
    flaw("two Hosts", &[400], "GET /r/{id} HTTP/1.1\r\nHost: {host}\r\nHost: h1.sim\r\n\r\n"),
    flaw("a bad Host", &[400], "GET /r/{id} HTTP/1.1\r\nHost: a b\r\n\r\n"),
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
    body_flaw(
        "a chunk size that is none",
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ),
    body_flaw(
        "an empty chunk size",
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n",
    ),
    body_flaw(
        "a chunk size ended by LF",
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\n\r\n",
    ),
    body_flaw(
        "a negative chunk size",
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    ),
    body_flaw(
        "a chunk size beyond 64 bits",
        "POST /r/{id} HTTP/1.1\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n\
         10000000000000000\r\nx",
    ),
];

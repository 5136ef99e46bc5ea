//! Attempts at request smuggling, and legal oddities that look like some.

/// Every attempt in a head: the status that it gets, and the bytes.
pub(crate) fn heads() -> Vec<(u16, Vec<u8>)> {
    let posts = POSTS.iter().map(|(status, fields, body)| (*status, post(fields, body)));
    let gets = GETS.iter().map(|(status, rest)| (*status, [GET, rest].concat()));
    let whole = HEADS.iter().map(|(status, bytes)| (*status, bytes.to_vec()));
    posts.chain(gets).chain(whole).collect()
}

/// Every attempt in a body.
pub(crate) fn bodies() -> Vec<Vec<u8>> {
    BODIES.iter().map(|body| post(b"Transfer-Encoding: chunked", body)).collect()
}

/// What legal requests are sent on as.
pub(crate) struct Legal {
    /// The bytes.
    pub(crate) bytes: &'static [u8],
    /// The request line that the server sees.
    pub(crate) start: &'static str,
    /// The Host that it sees.
    pub(crate) host: &'static str,
    /// What it must not see, in lower case.
    pub(crate) gone: &'static str,
}

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\n";
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n";

fn post(fields: &[u8], body: &[u8]) -> Vec<u8> {
    [POST, fields, b"\r\n\r\n", body].concat()
}

/// Fields behind [`POST`], and a body.
const POSTS: &[(u16, &[u8], &[u8])] = &[
    // Both Content-Length and Transfer-Encoding: CL.TE and TE.CL.
    (400, b"Content-Length: 13\r\nTransfer-Encoding: chunked", b"0\r\n\r\nSMUGGLED"),
    (400, b"Transfer-Encoding: chunked\r\nContent-Length: 3", b"8\r\nSMUGGLED\r\n0\r\n\r\n"),
    (400, b"Content-Length: 0\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
    (400, b"Content-Length: 4\r\nTransfer-Encoding: identity", b"abcd"),
    (400, b"content-length: 4\r\ntransfer-encoding: CHUNKED", b"0\r\n\r\n"),
    // Repeated Content-Length.
    (400, b"Content-Length: 5\r\nContent-Length: 6", b"hello"),
    (400, b"Content-Length: 5\r\nContent-Length: 5", b"hello"),
    (400, b"Content-Length: 5, 5", b"hello"),
    (400, b"Content-Length: 0, 5", b"hello"),
    (400, b"Content-Length: 5\r\nX: y\r\ncontent-length: 0", b"hello"),
    // Malformed Content-Length.
    (400, b"Content-Length: +5", b"hello"),
    (400, b"Content-Length: -5", b"hello"),
    (400, b"Content-Length: 0x5", b"hello"),
    (400, b"Content-Length: 5 6", b"hello"),
    (400, b"Content-Length: 5;x", b"hello"),
    (400, b"Content-Length: ", b"hello"),
    (400, b"Content-Length: 5e0", b"hello"),
    (400, b"Content-Length: \"5\"", b"hello"),
    (400, b"Content-Length: 18446744073709551621", b"hello"),
    (400, b"Content-Length: 9223372036854775808", b"hello"),
    (400, b"Content-Length: \xb25", b"hello"),
    // Transfer-Encoding that two servers read in two ways.
    (400, b"Transfer-Encoding : chunked", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding\t: chunked", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: chunked, chunked", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: chunked, identity", b"0\r\n\r\n"),
    (501, b"Transfer-Encoding: identity, chunked", b"0\r\n\r\n"),
    (501, b"Transfer-Encoding: identity", b"0\r\n\r\n"),
    (501, b"Transfer-Encoding: xchunked", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: gzip", b"0\r\n\r\n"),
    (501, b"Transfer-Encoding: gzip, chunked", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: ", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: chunked,", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: ,chunked", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: \"chunked\"", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: chunked;x=y", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: \x0bchunked", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding: \xa0chunked", b"0\r\n\r\n"),
    (400, b"Transfer-Encoding:\r\n chunked", b"0\r\n\r\n"),
    (400, b"Content-Length: 5\r\nConnection: Content-Length", b"hello"),
    (400, b"Transfer-Encoding: chunked\r\nConnection: transfer-encoding", b"0\r\n\r\n"),
];

/// What stands behind [`GET`].
const GETS: &[(u16, &[u8])] = &[
    // Line ends, folds and control bytes.
    (400, b"X: y\r\n Transfer-Encoding: chunked\r\n\r\n"),
    (400, b"X: y\r\n\tz\r\n\r\n"),
    (400, b"X: y\n\r\n\r\n"),
    (400, b"X: y\rZ: w\r\n\r\n"),
    (400, b"X: y\r\n\rGET / HTTP/1.1\r\n\r\n"),
    (400, b"\nGET / HTTP/1.1\r\n\r\n"),
    (400, b"X: y\r\r\n\r\n"),
    (400, b"X\0: y\r\n\r\n"),
    (400, b"X: y\x7f\r\n\r\n"),
    (400, b"X: \x08y\r\n\r\n"),
    // Names.
    (400, b": y\r\n\r\n"),
    (400, b"X\r\n\r\n"),
    (400, b"Content Length: 5\r\n\r\n"),
    (400, b"X[]: y\r\n\r\n"),
    (400, b"\xefX: y\r\n\r\n"),
    (400, b"Host: b\r\n\r\n"),
    (400, b"host: a\r\n\r\n"),
    // Connection that names what must stay.
    (400, b"Connection: Host\r\n\r\n"),
    (400, b"Connection: close, host\r\n\r\n"),
    (400, b"Authorization: x\r\nConnection: authorization\r\n\r\n"),
    (400, b"Cookie: x=y\r\nConnection: keep-alive,COOKIE\r\n\r\n"),
];

/// Whole heads.
const HEADS: &[(u16, &[u8])] = &[
    (400, b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
    // Line ends, folds and control bytes.
    (400, b"GET / HTTP/1.1\r\n Host: a\r\n\r\n"),
    (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n"),
    (400, b"GET / HTTP/1.1\rHost: a\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n"),
    (400, b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n"),
    // Names.
    (400, b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"),
    // Host.
    (400, b"GET / HTTP/1.1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost:\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: user@a\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"),
    (400, b"GET / HTTP/1.1\r\nHost: \xe9\r\n\r\n"),
    (400, b"GET http://user@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    (400, b"GET http://a/ HTTP/1.1\r\n\r\n"),
    // Connection that names what must stay.
    // Request lines.
    (400, b"GET /\r\n"),
    (400, b"GET / \r\nHost: a\r\n\r\n"),
    (505, b"GET / HTTP/0.9\r\nHost: a\r\n\r\n"),
    (505, b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
    (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (400, b"GET / http/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
    (400, b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
    (400, b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET / x HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET x HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"G(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b" GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    (501, b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
    (400, b"HEAD / HTTP/1.1\r\n\r\n"),
];

/// Chunked bodies: 400.
const BODIES: &[&[u8]] = &[
    b"\r\n\r\n",
    b"-1\r\nx\r\n0\r\n\r\n",
    b"+1\r\nx\r\n0\r\n\r\n",
    b"0x1\r\nx\r\n0\r\n\r\n",
    b" 1\r\nx\r\n0\r\n\r\n",
    b"1 \r\nx\r\n0\r\n\r\n",
    b"1g\r\nx\r\n0\r\n\r\n",
    b"1_0\r\nx\r\n0\r\n\r\n",
    b"10000000000000001\r\nx\r\n0\r\n\r\n",
    b"00000000000000001\r\nx\r\n0\r\n\r\n",
    b"1\nx\r\n0\r\n\r\n",
    b"1\rx\r\n0\r\n\r\n",
    b"1\rXx\r\n0\r\n\r\n",
    b"1;a\rXx\r\n0\r\n\r\n",
    b"0\rX\r\n",
    b"0\r\nT: x\rX\r\n",
    b"1\r\nx\rX0\r\n\r\n",
    b"1;a\nx\r\n0\r\n\r\n",
    b"1;\0\r\nx\r\n0\r\n\r\n",
    b"1;a=\"\r\nx\r\n0\r\n\r\n",
    b"1\r\nxx\r\n0\r\n\r\n",
    b"1\r\nx\n0\r\n\r\n",
    b"1\r\nx\r0\r\n\r\n",
    b"1\r\nx0\r\n\r\n",
    b"0\r\n T: folded\r\n\r\n",
    b"0\r\nT : x\r\n\r\n",
    b"0\r\nT: x\n\r\n\r\n",
    b"0\r\n\n",
    b"0\r\nGET / HTTP/1.1\r\n\r\n",
    b"0\r\n\rX",
];

/// Legal oddities.
pub(crate) const LEGAL: &[Legal] = &[
    Legal {
        bytes: b"GET http://b.example/x HTTP/1.1\r\nHost: a\r\n\r\n",
        start: "GET /x HTTP/1.1",
        host: "b.example",
        gone: "host: a",
    },
    Legal {
        bytes: b"GET HTTP://b?y HTTP/1.1\r\nHost: a\r\n\r\n",
        start: "GET /?y HTTP/1.1",
        host: "b",
        gone: "http://",
    },
    Legal {
        bytes: b"OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n",
        start: "OPTIONS * HTTP/1.1",
        host: "b",
        gone: "host: a",
    },
    Legal {
        bytes: b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        start: "GET / HTTP/1.1",
        host: "a",
        gone: "\n\n",
    },
    Legal {
        bytes: b"GET / HTTP/1.9\r\nHost: a\r\n\r\n",
        start: "GET / HTTP/1.1",
        host: "a",
        gone: "1.9\r\nhost",
    },
    Legal {
        bytes: b"GET / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n",
        start: "GET / HTTP/1.1",
        host: "a",
        gone: "chunked",
    },
    Legal {
        bytes: b"GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n",
        start: "GET / HTTP/1.1",
        host: "a",
        gone: "length",
    },
    Legal {
        bytes: b"GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\n\r\n",
        start: "GET / HTTP/1.1",
        host: "a",
        gone: "6.6.6.6",
    },
    Legal {
        bytes: b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n",
        start: "GET / HTTP/1.1",
        host: "a",
        gone: "6.6.6.6",
    },
    Legal {
        bytes: b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Secret\r\nX-Secret: y\r\n\r\n",
        start: "GET / HTTP/1.1",
        host: "a",
        gone: "secret",
    },
    Legal {
        bytes: b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For\r\n\r\n",
        start: "GET / HTTP/1.1",
        host: "a",
        gone: "connection",
    },
    Legal {
        bytes: b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Y\r\nY: h2c\r\n\r\n",
        start: "GET / HTTP/1.1",
        host: "a",
        gone: "h2c",
    },
    Legal {
        bytes: b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nProxy-Connection: x\r\n\r\n",
        start: "GET / HTTP/1.1",
        host: "a",
        gone: "trailers",
    },
    Legal {
        bytes: b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
            1;ext\r\nh\r\n0\r\n\r\n",
        start: "PUT / HTTP/1.1",
        host: "a",
        gone: "ext",
    },
    Legal {
        bytes: b"GET / HTTP/1.0\r\n\r\n",
        start: "GET / HTTP/1.1",
        host: "",
        gone: "1.0\r\nhost",
    },
];

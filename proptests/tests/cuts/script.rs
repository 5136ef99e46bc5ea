//! The exchanges that a run plays: what clients ask, and what servers answer.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// How a body is framed, and the sizes of its chunks or its one size.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    None,
    Length(usize),
    Chunked(Vec<usize>),
    UntilClose(usize),
}

impl Body {
    pub(crate) fn len(&self) -> usize {
        match self {
            Body::None => 0,
            Body::Length(len) | Body::UntilClose(len) => *len,
            Body::Chunked(sizes) => sizes.iter().sum(),
        }
    }

    fn fields(&self) -> String {
        match self {
            Body::None | Body::UntilClose(_) => String::new(),
            Body::Length(len) => format!("Content-Length: {len}\r\n"),
            Body::Chunked(_) => "Transfer-Encoding: chunked\r\n".into(),
        }
    }

    /// The body as it is sent: `payload` in this framing, with extensions and a trailer.
    fn framed(&self, payload: &[u8]) -> Vec<u8> {
        let Body::Chunked(sizes) = self else { return payload.to_vec() };
        let (mut out, mut rest) = (Vec::new(), payload);
        for size in sizes {
            let (chunk, tail) = rest.split_at(*size);
            out.extend_from_slice(format!("{size:X};a=\"b\"\r\n").as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
            rest = tail;
        }
        out.extend_from_slice(b"0\r\nX-Trailer: t\r\n\r\n");
        out
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: &'static str,
    pub(crate) minor: u8,
    /// `close`, `keep-alive` or nothing.
    pub(crate) connection: &'static str,
    pub(crate) body: Body,
    pub(crate) expects: bool,
    pub(crate) empty_line: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) interims: Vec<u16>,
    pub(crate) status: u16,
    pub(crate) minor: u8,
    pub(crate) closes: bool,
    pub(crate) body: Body,
}

/// One pipelined exchange.
pub(crate) type Exchange = (Request, Response);

impl Request {
    pub(crate) fn bytes(&self, number: usize) -> Vec<u8> {
        let Request { method, minor, connection, .. } = self;
        let line = if self.empty_line { "\r\n" } else { "" };
        let host = if *minor > 0 { "Host: Www.Example.com:80\r\n" } else { "" };
        let expect = if self.expects { "Expect: 100-continue\r\n" } else { "" };
        let connection = match *connection {
            "" => String::new(),
            option => format!("Connection: {option}\r\n"),
        };
        let fields = self.body.fields();
        let fields = format!("{host}X-A: b\r\n{expect}{connection}{fields}");
        let head = format!("{line}{method} /{number}?q HTTP/1.{minor}\r\n{fields}\r\n");
        [head.as_bytes(), &self.body.framed(&payload(number, self.body.len()))].concat()
    }

    /// Whether the client's connection ends with this exchange (REQ-10, RES-4).
    pub(crate) fn ends(&self, response: &Response) -> bool {
        let unsized_body = matches!(response.body, Body::Chunked(_) | Body::UntilClose(_));
        self.connection == "close"
            || self.minor == 0 && self.connection != "keep-alive"
            || self.minor == 0 && unsized_body && response.has_body(self.method)
    }
}

impl Response {
    pub(crate) fn has_body(&self, method: &str) -> bool {
        method != "HEAD" && self.status != 204 && self.status != 304
    }

    pub(crate) fn bytes(&self, method: &str, number: usize) -> Vec<u8> {
        let Response { status, minor, .. } = self;
        let interim = |status: &u16| format!("HTTP/1.1 {status} Hint\r\nLink: <{number}>\r\n\r\n");
        let interims: String = self.interims.iter().map(interim).collect();
        let connection = match (self.closes, minor) {
            (true, 1) => "Connection: close\r\n",
            (false, 0) => "Connection: keep-alive\r\n",
            _ => "",
        };
        let fields = if *status == 204 { String::new() } else { self.body.fields() };
        let head = format!(
            "{interims}HTTP/1.{minor} {status} Fine\r\nX-N: {number}\r\n{connection}{fields}\r\n"
        );
        let mut bytes = head.into_bytes();
        if self.has_body(method) {
            bytes.extend_from_slice(&self.body.framed(&payload(number + 100, self.body.len())));
        }
        bytes
    }

    /// Whether the server closes behind it.
    pub(crate) fn closes(&self, method: &str) -> bool {
        self.closes || matches!(self.body, Body::UntilClose(_)) && self.has_body(method)
    }
}

/// A body that tells its message and each of its places.
pub(crate) fn payload(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (number * 31 + at * 7 + at / 251) as u8).collect()
}

pub(crate) fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![Just(0_usize), 1..50_usize, 1..6000_usize]
}

pub(crate) fn exchange() -> impl Strategy<Value = Exchange> {
    let chunks = || vec(prop_oneof![1..40_usize, 1..3000_usize], 0..5).prop_map(Body::Chunked);
    let methods = select(vec!["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"]);
    let connection = select(vec!["", "", "", "keep-alive", "keep-alive", "close"]);
    let body =
        prop_oneof![2 => Just(Body::None), 2 => sizes().prop_map(Body::Length), 2 => chunks()];
    let minor = || prop_oneof![1 => Just(0_u8), 4 => Just(1_u8)];
    let flag = || prop::bool::weighted(0.2);
    let request = (methods, minor(), connection, body, flag(), flag()).prop_map(
        |(method, minor, connection, body, expects, empty_line)| {
            // A 1.0 request cannot be chunked; nobody waits for 100 without a body.
            let minor = if matches!(body, Body::Chunked(_)) { 1 } else { minor };
            let expects = expects && minor > 0 && body.len() > 0;
            Request { method, minor, connection, body, expects, empty_line }
        },
    );
    let back = prop_oneof![
        3 => sizes().prop_map(Body::Length),
        3 => chunks(),
        1 => sizes().prop_map(Body::UntilClose),
    ];
    let statuses = select(vec![200_u16, 200, 201, 204, 304, 404, 500]);
    let interims = vec(select(vec![100_u16, 102, 103]), 0..3);
    let response = (interims, statuses, minor(), flag(), back).prop_map(
        |(interims, status, minor, closes, body)| {
            let minor = if matches!(body, Body::Chunked(_)) { 1 } else { minor };
            Response { interims, status, minor, closes, body }
        },
    );
    (request, response)
}

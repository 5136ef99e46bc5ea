//! What a recording holds of bytes: all that parsers look at, and nothing of anybody's secrets.

use super::*;
use crate::config::{FixedAnswer, Target};
use crate::flight::mask::{Prelude, mask_head, prelude};
use crate::http1::{ChunkDecoder, HeadScanner};
use crate::proxy_protocol::{self, Parsed};
use crate::tls::hello;

const SECRET: &str = "hunter2";

fn holds(bytes: &[u8], what: &str) -> bool {
    bytes.windows(what.len()).any(|window| window == what.as_bytes())
}

// Of each case what is told, as it is written out: the start of the line, then the rest.
#[test]
fn heads_keep_what_parsers_look_at_and_nothing_else() {
    let cases: [(&str, &str); 16] = [
        ("GET /a/b?token=s3 HTTP/1.1\r\n", "GET /a/b?xxxxxxxx HTTP/1.1\r\n"),
        ("G / HTTP/1.1\r\nHost: a.example\r\n", "G / HTTP/1.1\r\nHost: a.example\r\n"),
        ("G / HTTP/1.1\r\nAuthorization: B k\r\n", "G / HTTP/1.1\r\nAuthorization: x x\r\n"),
        ("G / HTTP/1.1\r\nCookie: a=1; b=22\r\n", "G / HTTP/1.1\r\nCookie: a=x; b=xx\r\n"),
        ("G / HTTP/1.1\r\ncontent-length: 12\r\n", "G / HTTP/1.1\r\ncontent-length: 12\r\n"),
        // A line cut short, one without a colon, and a continued one.
        ("G / HTTP/1.1\r\nAuthorization: Be", "G / HTTP/1.1\r\nAuthorization: xx"),
        ("G / HTTP/1.1\r\nsecret\r\n secret\r\n", "G / HTTP/1.1\r\nxxxxxx\r\n xxxxxx\r\n"),
        // A CR alone ends a line, too.
        ("G / HTTP/1.1\r\nHost: a\rPass: s\r\n", "G / HTTP/1.1\r\nHost: a\rPass: x\r\n"),
        // What lies behind a head.
        ("G / HTTP/1.1\r\n\r\nhost: secret", "G / HTTP/1.1\r\n\r\nxxxxx xxxxxx"),
        // Bodies in the place of a start line, and start lines that are not whole.
        ("password", "xxxxxxxx"),
        ("password=", "xxxxxxxx="),
        ("my secret\r", "xx xxxxxx\r"),
        ("GET /a?b c", "xxx xxxx c"),
        // Whether an answer has a body is decided by it.
        ("HEAD /a?b", "HEAD xxxx"),
        // A fragment is refused, wherever it stands.
        ("GET /a?b#", "xxx xxxx#"),
        ("\r\nGET /?s HTTP/1.1\r\n", "\r\nGET /?x HTTP/1.1\r\n"),
    ];
    for (head, masked) in cases {
        let mut bytes = head.as_bytes().to_vec();
        mask_head(&mut bytes, false);
        assert_eq!(String::from_utf8_lossy(&bytes), masked, "{head:?}");
    }
    let mut status = b"HTTP/1.1 200 All Good\r\n".to_vec();
    mask_head(&mut status, true);
    assert_eq!(String::from_utf8_lossy(&status), "HTTP/1.1 200 xxx xxxx\r\n");
}

/// Heads that pass and heads that are refused, each somewhere else.
const HEADS: &[&str] = &[
    "GET /a?hunter2 HTTP/1.1\r\nHost: a\r\nAuthorization: hunter2\r\n\r\nhunter2",
    "GET /a?hunter2#hunter2 HTTP/1.1\r\n\r\n",
    "GET /a?hunter2\u{e9}hunter2 HTTP/1.1\r\n\r\n",
    "GET /a?b hunter2 HTTP/1.1\r\n\r\n",
    "GET /a HTTP/1.1\rAuthorization: hunter2\r\n\r\n",
    "GET /a HTTP/1.1\r\nHost: a\rAuthorization: hunter2\r\n\r\n",
    "GET /a HTTP/1.1\nAuthorization: hunter2\n\n",
    "GET /a HTTP/1.1\r\nHost: a\r\n hunter2\r\n\r\n",
    "GET /a HTTP/1.1\r\nna(me: hunter2\r\n\r\n",
    "GET /a HTTP/1.1\r\nname : hunter2\r\n\r\n",
    "GET /a HTTP/1.1\r\nX: hunter2\u{1}hunter2\r\n\r\n",
    "GET /a HTTP/2.0\r\nX: hunter2\r\n\r\n",
    "GET hunter2\r\n\r\n",
    "hunter2=hunter2&hunter2",
    "hunter2 hunter2\r\n",
    "\r\n\r\nhunter2\r\n\r\n",
    "\u{16}\u{3}hunter2",
];
const RESPONSES: &[&str] = &[
    "HTTP/1.1 200 hunter2\r\nSet-Cookie: hunter2\r\n\r\nhunter2",
    "HTTP/1.1 20x hunter2\r\n\r\n",
    "HTTP/1.1 200\r\nX hunter2\r\n\r\n",
    "HTTP/3 200 hunter2\r\n\r\n",
    "hunter2\r\n\r\n",
];

// However much of a head is here, its scanner comes to the same end over what is told of it.
#[test]
fn scanners_find_the_same_in_what_is_told() {
    let limits = crate::config::Limits::default();
    let both =
        [(HEADS, HeadScanner::request as fn() -> HeadScanner), (RESPONSES, HeadScanner::response)];
    for (heads, scanner) in both {
        let is_response = scanner().has_begun() || std::ptr::eq(heads, RESPONSES);
        for head in heads.iter().map(|head| head.as_bytes()) {
            for len in 1..=head.len() {
                let mut first = scanner();
                let found = first.scan(&head[..len], &limits);
                let mut told = match found {
                    crate::http1::Scan::Complete { end, .. } => head[..end].to_vec(),
                    _ => head[..first.looked_at(&head[..len])].to_vec(),
                };
                mask_head(&mut told, is_response);
                let shown = String::from_utf8_lossy(&told).into_owned();
                assert!(!holds(&told, SECRET), "{shown:?}");
                told.resize(len, FILLER);
                assert_eq!(scanner().scan(&told, &limits), found, "{shown:?}");
            }
        }
    }
}

const BODIES: &[&str] = &[
    "5;hunter2=hunter2\r\nhunt!\r\n0\r\nhunter2: hunter2\r\nB: hunter2\r\n\r\nGET /hunter2",
    "5 ; a=\"hunter2\\\"hunter2\" ;b\r\nhunt!\r\n00\r\n\r\n",
    "5;a=\"hunter2\r\nhunter2",
    "5\r\nhunt!hunter2",
    "0\r\nhunter2 : hunter2\r\n\r\n",
    "0\r\na: hunter2\u{1}hunter2\r\n\r\n",
    "0\r\n hunter2\r\n\r\n",
    "xhunter2",
];

// However a chunked body is cut, its decoder finds the same in what is shown of it.
#[test]
fn framing_keeps_what_the_decoder_looks_at_and_nothing_else() {
    for body in BODIES.iter().map(|body| body.as_bytes()) {
        for cut in 0..=body.len() {
            let (mut walker, mut goes_on) = (ChunkDecoder::new(), true);
            let mut told = vec![FILLER; body.len()];
            for (from, piece) in [(0, &body[..cut]), (cut, &body[cut..])] {
                if goes_on {
                    goes_on = walker.walk(piece, FILLER, |at, bytes| {
                        told[from + at..from + at + bytes.len()].copy_from_slice(bytes);
                    });
                }
            }
            assert!(!holds(&told, SECRET), "{:?}", String::from_utf8_lossy(&told));
            let decode = |bytes: &[u8]| {
                let mut decoder = ChunkDecoder::new();
                let mut piece = |bytes: &[u8]| decoder.decode(&mut bytes.to_vec());
                piece(&bytes[..cut]).and_then(|first| Ok((first, piece(&bytes[cut..])?)))
            };
            assert_eq!(decode(&told), decode(body), "{:?}", String::from_utf8_lossy(&told));
        }
    }
}

/// A header of version 2 with this command, family and block.
fn binary(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend_from_slice(&[command, family]);
    header.extend_from_slice(&(block.len() as u16).to_be_bytes());
    header.extend_from_slice(block);
    header
}

/// The same with TLVs behind IPv4 addresses, the last one a checksum that is wrong by `off`.
fn checked(off: u32) -> Vec<u8> {
    let block = [&[1; 12], &b"\xe0\0\x07hunter2\x04\0\x01h\x03\0\x04"[..], &[0; 4]].concat();
    let mut header = binary(0x21, 0x11, &block);
    let sum = crate::proxy_protocol::crc32c::crc32c([&header[..]]) ^ off;
    let at = header.len() - 4;
    header[at..].copy_from_slice(&sum.to_be_bytes());
    header
}

fn proxy_headers() -> Vec<Vec<u8>> {
    vec![
        b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET /hunter2".to_vec(),
        b"PROXY UNKNOWN hunter2 hunter2\r\nhunter2".to_vec(),
        b"PROXY UNKNOWN hunter2\rhunter2\r\n".to_vec(),
        b"PROXY TCP4 hunter2".to_vec(),
        b"POST /hunter2 HTTP/1.1\r\nAuthorization: hunter2\r\n\r\nhunter2".to_vec(),
        b"GET /hunter2 HTTP/1.1\r\nAuthorization: hunter2\r\n\r\nhunter2".to_vec(),
        [checked(0), b"hunter2".to_vec()].concat(),
        checked(1),
        binary(0x20, 0x00, b"hunter2hunter2"),
        binary(0x21, 0x31, &b"hunter2".repeat(40)),
        binary(0x21, 0x12, b"hunter2hunter2"),
        binary(0x21, 0x11, b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x01\0\xffhunter2"),
        binary(0x21, 0x99, b"hunter2hunter2"),
    ]
}

/// What a parser says, save the values of TLVs.
fn gist(found: Parsed) -> Parsed {
    match found {
        Parsed::Complete { len, mut header } => {
            header.tlvs = vec![0; header.tlvs.len()].into();
            Parsed::Complete { len, header }
        }
        other => other,
    }
}

// PP-1: however much of a header is here, its parser comes to the same end over what is told.
#[test]
fn proxy_headers_keep_what_the_parser_looks_at_and_nothing_else() {
    for header in proxy_headers() {
        for len in 1..=header.len() {
            let mut told = prelude(Prelude::Proxy, &header[..len]);
            assert!(!holds(&told, SECRET), "{:?}", String::from_utf8_lossy(&told));
            told.resize(len, FILLER);
            let (now, then) = (proxy_protocol::parse(&told), proxy_protocol::parse(&header[..len]));
            assert_eq!(gist(now), gist(then), "{:?}", String::from_utf8_lossy(&told));
        }
    }
}

fn hellos() -> Vec<Vec<u8>> {
    let (name, other) = (named(b"a.example"), named(b"hunter2"));
    let all: [&[(u16, &[u8])]; 5] = [
        &[(10, b"hunter2"), (0, &name), (43, b"hunter2"), (0, &other)],
        &[(10, b"hunter2")],
        &[],
        &[(0, b"\0\x03\0\0\0"), (9, b"hunter2")],
        &[(10, b"hunter2"), (0, &name[..5])],
    ];
    let mut hellos: Vec<Vec<u8>> = Vec::new();
    for size in [1, 3, 50, 1000] {
        hellos.extend(all.iter().map(|it| [&hello(it, size)[..], b"hunter2hunter2"].concat()));
    }
    hellos.push(b"GET /hunter2 HTTP/1.1\r\nAuthorization: hunter2\r\n\r\n".to_vec());
    hellos.push([&[22, 3, 1, 0, 20, 2], &b"hunter2hunter2"[..]].concat());
    hellos
}

// TLS-5: the same of ClientHellos; and what was told of one stays true when more of it comes.
#[test]
fn hellos_keep_what_the_parser_looks_at_and_nothing_else() {
    let (mut one, mut other) = (Vec::new(), Vec::new());
    for hello in hellos() {
        let whole = prelude(Prelude::Hello, &hello);
        for len in 1..=hello.len() {
            let mut told = prelude(Prelude::Hello, &hello[..len]);
            assert!(!holds(&told, SECRET), "{:?}", String::from_utf8_lossy(&told));
            assert!(whole.starts_with(&told), "{len} of {whole:?}");
            told.resize(len, FILLER);
            let found = hello::read(&told, &mut one);
            assert_eq!(found, hello::read(&hello[..len], &mut other), "{len} of {hello:?}");
        }
    }
}

/// A ClientHello with these extensions, in records of `size` bytes at most.
fn hello(extensions: &[(u16, &[u8])], size: usize) -> Vec<u8> {
    let mut all = Vec::new();
    for (kind, content) in extensions {
        all.extend_from_slice(&kind.to_be_bytes());
        all.extend_from_slice(&(content.len() as u16).to_be_bytes());
        all.extend_from_slice(content);
    }
    let random = [&[3, 3], &b"hunter2".repeat(5)[..32], &[7], b"hunter2"].concat();
    let body = [&random[..], &[0, 2, 0x13, 1, 1, 0], &(all.len() as u16).to_be_bytes(), &all];
    let body = body.concat();
    let message = [&[1, 0], &(body.len() as u16).to_be_bytes()[..], &body].concat();
    let record =
        |content: &[u8]| [&[22, 3, 1], &(content.len() as u16).to_be_bytes()[..], content].concat();
    message.chunks(size).flat_map(record).collect()
}

fn named(name: &[u8]) -> Vec<u8> {
    let length = |more: usize| ((name.len() + more) as u16).to_be_bytes();
    [&length(3)[..], &[0], &length(0), name].concat()
}

/// What is written of one session that is sent `pieces`, each a read of its own.
fn written(pieces: &[&'static [u8]], expect_proxy: bool) -> Vec<u8> {
    let mut config = config();
    config.listeners[0].expect_proxy = expect_proxy;
    config.routes[0].to = Target::Answer(FixedAnswer { status: 200, body: None });
    driven::recorded(&config, 1 << 20, pieces)
}

// Whatever way a secret goes through a session, a file has none of its bytes.
#[test]
fn secrets_are_in_no_file() {
    let sent: [(&[&'static [u8]], bool); 6] = [
        (
            &[
                b"POST /?hunter2 HTTP/1.1\r\nHost: a\r\nAuthorization: hunter2\r\n",
                b"Transfer-Encoding: chunked\r\n\r\n7;a=hunter2\r\nhunter2\r\n",
                b"7;a=\"hunter2\"\r\nhunter2\r\n0\r\nX: hunter2\r\n\r\n",
                b"GET / HTTP/1.1\r\nHost: a\rAuthorization: hunter2\r\n\r\nhunter2",
            ],
            false,
        ),
        (
            &[b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\nhunter2hunter2=hunter2"],
            false,
        ),
        (&[b"hunter2=hunter2"], false),
        (&[b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nhunter2"], false),
        (&[b"GET /hunter2 HTTP/1.1\r\nAuthorization: hunter2\r\n\r\nhunter2"], true),
        (&[b"PROXY UNKNOWN hunter2\r\nGET /?hunter2 HTTP/1.1\r\nHost: a\r\n\r\n"], true),
    ];
    for (pieces, expect_proxy) in sent {
        let file = written(pieces, expect_proxy);
        assert!(Case::read(&file).is_ok_and(|case| case.chains.len() == 1), "it is whole");
        assert!(!holds(&file, SECRET), "{:?}", String::from_utf8_lossy(pieces[0]));
    }
}

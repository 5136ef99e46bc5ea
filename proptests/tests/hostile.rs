//! Hostile bytes from clients and from servers: no panic, bounded memory, no byte sent on that a
//! naive reader could not read, and a good request afterwards is served (RUN-5, REQ-2, RES-1).

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use std::time::Duration;
use support::{Bytes, rig_of, run_of, simple_config};
use tidegate_core::config::Settings;
use tidegate_core::id::SocketId;
use tidegate_core::input::SocketError;
use tidegate_proptests::memory::Rig;
use tidegate_proptests::naive;

/// Strings in one case: they share a proxy, so that what one leaves behind meets the next.
const BATCH: std::ops::Range<usize> = 1..400;

const BYTES: &[u8] = b"\0\t\n\r \"#%&*+,-./0:;<=>?@AGTaf\\[]_{}~\x7f\x80\xff";

const REQUESTS: &[&[u8]] = &[
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /a/../b?c=d HTTP/1.1\r\nHost: a.b:80\r\nCookie: a=b; c=d\r\nConnection: close\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhiGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"\"\r\nabc\r\n0\r\n\r\n",
    b"PUT http://b.c/d HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
    b"OPTIONS * HTTP/1.0\r\nConnection: keep-alive\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
];

const RESPONSES: &[&[u8]] = &[
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nSet-Cookie: a=b\r\nConnection: close\r\n\r\nuntil the end",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: \"x\"\r\n\r\n",
];

/// Pieces of heads and bodies, good ones and bad ones.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b"GET",
    b"POST",
    b"CONNECT",
    b" / ",
    b" http://u@h/ ",
    b" * ",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/1.9",
    b"HTTP/2.0",
    b"HTTP/0.9",
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 101 Up",
    b"HTTP/1.1 100 Go",
    b"HTTP/1.1 204 ",
    b"Host: a",
    b"Host:",
    b"Host : a",
    b"Content-Length: 3",
    b"Content-Length: +3",
    b"Content-Length: 0",
    b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding:x",
    b"transfer-encoding: gzip, chunked",
    b"Connection: close",
    b"Connection: Host",
    b"Expect: 100-continue",
    b" folded",
    b"X: \x80\xff",
    b"X:\0",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"0;a=b\r\n",
    b"ffffffffffffffff\r\n",
    b"-1\r\n",
    b"0x1\r\n",
    b"Trailer: v\r\n",
    b"abc",
    b"Cookie: a=b",
    b"Upgrade: websocket",
    b"Via: 1.1 x",
    b"X-Forwarded-For: 1.1.1.1",
];

#[derive(Clone, Debug)]
enum Mutation {
    Replace(Index, u8),
    Insert(Index, u8),
    Delete(Index, usize),
    Repeat(Index, usize),
    Cut(Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let byte = || prop_oneof![3 => select(BYTES), 1 => any::<u8>()];
    prop_oneof![
        3 => (any::<Index>(), byte()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        3 => (any::<Index>(), byte()).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        2 => (any::<Index>(), 1..9_usize).prop_map(|(at, n)| Mutation::Delete(at, n)),
        1 => (any::<Index>(), 1..60_usize).prop_map(|(at, n)| Mutation::Repeat(at, n)),
        1 => any::<Index>().prop_map(Mutation::Cut),
    ]
}

fn mutate(mut bytes: Vec<u8>, mutations: &[Mutation]) -> Vec<u8> {
    for mutation in mutations {
        if bytes.is_empty() {
            break;
        }
        let len = bytes.len();
        match mutation {
            Mutation::Replace(at, byte) => bytes[at.index(len)] = *byte,
            Mutation::Insert(at, byte) => bytes.insert(at.index(len), *byte),
            Mutation::Delete(at, n) => {
                let at = at.index(len);
                bytes.drain(at..len.min(at + n));
            }
            Mutation::Repeat(at, n) => {
                let at = at.index(len);
                let again = bytes[at..len.min(at + n)].to_vec();
                bytes.splice(at..at, again);
            }
            Mutation::Cut(at) => bytes.truncate(at.index(len)),
        }
    }
    bytes
}

/// Random bytes, mutated messages, and piles of pieces.
fn hostile(valid: &'static [&'static [u8]]) -> impl Strategy<Value = Bytes> {
    let bytes = prop_oneof![
        1 => vec(any::<u8>(), 0..200),
        4 => (select(valid), vec(mutation(), 1..6)).prop_map(|(it, by)| mutate(it.to_vec(), &by)),
        3 => vec(select(PIECES), 1..14).prop_map(|pieces| pieces.concat()),
        2 => (select(valid), vec(select(PIECES), 1..5))
            .prop_map(|(it, more)| [it, &more.concat()].concat()),
    ];
    bytes.prop_map(Bytes)
}

/// How a peer behaves around its bytes.
#[derive(Copy, Clone, Debug)]
struct Manner {
    /// Bytes of each piece that arrives.
    piece: usize,
    end: End,
}

#[derive(Copy, Clone, Debug)]
enum End {
    Stay,
    Finish,
    Reset,
}

fn manner() -> impl Strategy<Value = Manner> {
    let piece = prop_oneof![3 => Just(usize::MAX), 1 => Just(1), 1 => 2..40_usize];
    let end = prop_oneof![Just(End::Stay), Just(End::Finish), Just(End::Reset)];
    (piece, end).prop_map(|(piece, end)| Manner { piece, end })
}

/// Sends `bytes` to `id` as long as the proxy holds it, and ends.
fn send(rig: &mut Rig, id: SocketId, bytes: &[u8], manner: Manner) {
    for piece in bytes.chunks(manner.piece.min(bytes.len().max(1))) {
        if rig.kernel.is_open(id) {
            rig.feed(id, piece);
        }
    }
    if rig.kernel.is_open(id) {
        match manner.end {
            End::Stay => {}
            End::Finish => rig.finish(id),
            End::Reset => rig.fail(id, SocketError::Reset),
        }
    }
}

/// The server's sockets that are open, newest last.
fn servers(rig: &Rig) -> Vec<SocketId> {
    let ids = rig.kernel.connected.iter().map(|(id, _)| *id);
    ids.filter(|&id| rig.kernel.is_open(id)).collect()
}

/// A few small buffers, so that hostile bytes meet every bound.
fn small() -> Settings {
    let (buffer_bytes, buffers_max) = (2048, 8);
    Settings { buffer_bytes, buffers_max, max_connections: 4, ..Settings::default() }
}

fn small_rig() -> Rig {
    let mut config = simple_config();
    config.limits.head_bytes = 2048;
    config.limits.target_bytes = 1024;
    rig_of(small(), config)
}

/// What holds whatever peers do.
fn check(rig: &mut Rig) -> Result<(), TestCaseError> {
    prop_assert_eq!(rig.proxy.check_invariants(), Ok(()));
    let (counters, gauges) = (*rig.proxy.counters(), rig.proxy.gauges());
    prop_assert_eq!((counters.zombies, counters.broken), (0, 0));
    prop_assert!(gauges.buffers_lent <= small().buffers_max, "{:?}", gauges);
    rig.kernel.closed.clear();
    rig.kernel.accepted.clear();
    let servers = servers(rig);
    rig.kernel.connected.retain(|(id, _)| servers.contains(id));
    rig.events.clear();
    Ok(())
}

/// All timers run out, nothing is left, and a good request is served.
fn recover(rig: &mut Rig) -> Result<(), TestCaseError> {
    rig.advance_to(rig.now.after(Duration::from_secs(300)));
    let gauges = rig.proxy.gauges();
    prop_assert_eq!((gauges.sessions, gauges.backend_connections), (0, 0), "{:?}", gauges);
    prop_assert_eq!((gauges.buffers_lent, gauges.buffers_promised), (0, 0));
    let client = rig.connect();
    rig.feed(client, REQUESTS[0]);
    let server = *servers(rig).last().expect("a connection to the server");
    rig.feed(server, RESPONSES[0]);
    let answers = naive::responses(rig.written(client), &[], false);
    prop_assert_eq!(answers.len(), 1);
    prop_assert_eq!((answers[0].status(), &answers[0].body[..]), (200, &b"hello"[..]));
    check(rig)
}

/// What went to a server is a run of requests, the last of which may be cut.
fn readable_requests(mut bytes: &[u8]) {
    while let Some(request) = naive::request(bytes) {
        bytes = &bytes[request.len..];
    }
    assert!(bytes.len() < 4096, "an endless head: {:?}", String::from_utf8_lossy(bytes));
}

proptest! {
    #![proptest_config(run_of(1000))]

    // RUN-5, REQ-1, REQ-2, SES-5
    #[test]
    fn hostile_clients_do_no_harm(batch in vec((hostile(REQUESTS), manner()), BATCH)) {
        let mut rig = small_rig();
        for (bytes, manner) in batch {
            let client = rig.connect();
            send(&mut rig, client, &bytes.0, manner);
            for server in servers(&rig) {
                readable_requests(rig.written(server));
                if rig.kernel.is_open(server) && !rig.kernel.wire(server).from_proxy.is_empty() {
                    rig.kernel.wire(server).from_proxy.clear();
                    rig.feed(server, RESPONSES[0]);
                }
            }
            naive::responses(rig.written(client), &[], false);
            if rig.kernel.is_open(client) {
                rig.fail(client, SocketError::Reset);
            }
            prop_assert!(!rig.kernel.is_open(client));
            check(&mut rig)?;
        }
        recover(&mut rig)?;
    }

    // RUN-5, RES-1, RES-2, REQ-7
    #[test]
    fn hostile_servers_do_no_harm(
        batch in vec((0..REQUESTS.len(), hostile(RESPONSES), manner()), BATCH),
    ) {
        let mut rig = small_rig();
        for (request, bytes, manner) in batch {
            let client = rig.connect();
            rig.feed(client, REQUESTS[request]);
            for server in servers(&rig) {
                send(&mut rig, server, &bytes.0, manner);
            }
            let closed = !rig.kernel.is_open(client);
            naive::responses(rig.written(client), &[], closed);
            if rig.kernel.is_open(client) {
                rig.fail(client, SocketError::Reset);
            }
            check(&mut rig)?;
        }
        recover(&mut rig)?;
    }
}

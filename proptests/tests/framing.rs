//! Framing: chunks come apart as they were put together, lengths and codings are decided as a naive
//! reference decides them, and attempts at smuggling reach no server (REQ-2, REQ-5, RES-1).

mod support;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use support::{rig_of, run_of, simple_config};
use tidegate_core::config::{Limits, Settings};
use tidegate_core::http1::{
    Asked, BodyReader, CHUNK_END, CHUNK_HEADER_MAX, Framing, HeadScanner, LAST_CHUNK, Scan,
    chunk_header, field_space, parse_request, parse_response,
};
use tidegate_core::id::SocketId;
use tidegate_proptests::memory::Rig;
use tidegate_proptests::naive::{self, Message};

#[path = "framing/smuggling.rs"]
mod smuggling;

/// The bytes of a chunked body as the product writes it.
fn encode(chunks: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in chunks {
        let mut header = [0; CHUNK_HEADER_MAX];
        let len = chunk_header(chunk.len(), &mut header);
        out.extend_from_slice(&header[..len]);
        if !chunk.is_empty() {
            out.extend_from_slice(chunk);
            out.extend_from_slice(CHUNK_END);
        }
    }
    out.extend_from_slice(LAST_CHUNK);
    out
}

/// Decodes `bytes` in pieces of these lengths, over and over; the rest of the last piece is what
/// comes behind the body. `Err` if it is refused.
fn decode(bytes: &[u8], pieces: &[usize]) -> Result<(Vec<u8>, usize, bool), ()> {
    let mut reader = BodyReader::new(Framing::Chunked);
    let (mut payload, mut at, mut turn) = (Vec::new(), 0, 0);
    while at < bytes.len() && !reader.is_done() {
        let len = pieces[turn % pieces.len()].clamp(1, bytes.len() - at);
        let mut piece = bytes[at..at + len].to_vec();
        let decoded = reader.take(&mut piece).map_err(drop)?;
        assert!(decoded.consumed == len || decoded.done);
        assert_eq!(decoded.done, reader.is_done());
        payload.extend_from_slice(&piece[decoded.payload]);
        at += decoded.consumed;
        turn += 1;
    }
    Ok((payload, at, reader.is_done()))
}

fn payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(prop_oneof![vec(any::<u8>(), 1..40), vec(any::<u8>(), 250..700)], 0..6)
}

fn pieces() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![3 => 1..6_usize, 1 => 1..2000_usize], 1..8)
}

/// A chunk's size line and trailers as RFC 9112 allows them, but we never write them.
fn dressed_size() -> impl Strategy<Value = (String, bool, usize)> {
    let extensions =
        ["", "", ";a", ";a=b", ";a=\"b;c\\\"d\"", " ; a = b ", "\t;x;y=z", ";a=\"\u{e9}\"", ";"];
    (select(extensions.to_vec()).prop_map(String::from), any::<bool>(), 0..9_usize)
}

proptest! {
    #![proptest_config(run_of(8000))]

    // REQ-2, REQ-5: what the product encodes, a naive reader and the product decode.
    #[test]
    fn chunks_come_back_whole(
        chunks in payloads(),
        cuts in pieces(),
        behind in vec(any::<u8>(), 0..9),
    ) {
        let encoded = encode(&chunks);
        let payload = chunks.concat();
        let (naive, used, whole) = naive::dechunk(&encoded);
        prop_assert_eq!((&naive, used, whole), (&payload, encoded.len(), true));
        let with_more = [&encoded[..], &behind].concat();
        let decoded = decode(&with_more, &cuts).expect("valid chunks");
        // REQ-8: a body ends where it ends.
        prop_assert_eq!(decoded, (payload, encoded.len(), true));
    }

    // REQ-5: extensions, leading zeros, case and trailers are dropped, wherever reads are cut.
    #[test]
    fn dressed_chunks_come_back_bare(
        chunks in vec((vec(any::<u8>(), 1..60), dressed_size()), 0..6),
        trailers in vec(select(vec!["A: b\r\n", "Content-Length: 5\r\n", "X:\r\n"]), 0..4),
        cuts in pieces(),
    ) {
        let mut bytes = Vec::new();
        for (payload, (extension, upper, zeros)) in &chunks {
            let digits = format!("{}{:x}", "0".repeat(*zeros), payload.len());
            let digits = if *upper { digits.to_uppercase() } else { digits };
            bytes.extend_from_slice(format!("{digits}{extension}\r\n").as_bytes());
            bytes.extend_from_slice(payload);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("000;x\r\n{}\r\n", trailers.concat()).as_bytes());
        let payload: Vec<u8> = chunks.iter().flat_map(|(payload, _)| payload.clone()).collect();
        prop_assert_eq!(decode(&bytes, &cuts), Ok((payload, bytes.len(), true)));
    }

    // REQ-1, REQ-2: of any bytes, whether and where they are refused does not depend on the cuts.
    #[test]
    fn cuts_do_not_change_what_is_refused(
        parts in vec(select(CHUNK_PARTS.to_vec()), 1..9),
        cuts in pieces(),
    ) {
        let bytes = parts.concat();
        let decoded = decode(&bytes, &cuts);
        prop_assert_eq!(&decoded, &decode(&bytes, &[usize::MAX]));
        // REQ-2: and what is taken for a whole body is one to a naive reader, and to no other.
        let whole = decoded.ok().filter(|it| it.2).map(|(payload, used, _)| (payload, used));
        prop_assert_eq!(whole, whole_body(&bytes), "{}", bytes.escape_ascii());
    }

    // REQ-2, REQ-10: framing and persistence of requests, against a naive reference.
    #[test]
    fn requests_are_framed_as_the_reference_says(minor in 0..=9_u8, fields in framing_fields()) {
        let fields = fields.iter().map(|(name, value)| format!("{name}:{value}\r\n"));
        let lines = fields.collect::<String>();
        let head = format!("POST / HTTP/1.{minor}\r\nHost: a\r\n{lines}\r\n");
        let limits = Limits::default();
        let scan = HeadScanner::request().scan(head.as_bytes(), &limits);
        prop_assert_eq!(scan, Scan::Complete { start: 0, end: head.len() });
        let mut space = field_space();
        let parsed = parse_request(head.as_bytes(), &mut space, &limits);
        let parsed = parsed.map(|it| (it.framing, it.persistent)).map_err(|it| it.status());
        prop_assert_eq!(parsed, reference(&lines, minor), "{}", head);
    }

    // RES-1: and of responses.
    #[test]
    fn responses_are_framed_as_the_reference_says(
        minor in 0..=1_u8,
        status in select(vec![100_u16, 103, 200, 204, 206, 304, 404, 500]),
        to_head: bool,
        fields in framing_fields(),
    ) {
        let fields = fields.iter().map(|(name, value)| format!("{name}:{value}\r\n"));
        let lines = fields.collect::<String>();
        let head = format!("HTTP/1.{minor} {status} X\r\n{lines}\r\n");
        let limits = Limits::default();
        let mut space = field_space();
        let asked = Asked { head_only: to_head, upgrade: false };
        let parsed = parse_response(head.as_bytes(), &mut space, &limits, asked);
        let parsed = parsed.map(|it| it.framing).map_err(drop);
        let bare = to_head || status < 200 || status == 204 || status == 304;
        let expected = reference(&lines, minor).map_err(drop).map(|(framing, _)| match framing {
            _ if bare => Framing::None,
            Framing::None => Framing::UntilClose,
            framing => framing,
        });
        prop_assert_eq!(parsed, expected, "{}", head);
    }
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The line at the front of `bytes`, without its CR LF, and what is behind it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let line = bytes[..end].strip_suffix(b"\r")?;
    line.iter().all(|&byte| is_text(byte)).then_some((line, &bytes[end + 1..]))
}

/// A chunk's size, if its line is well-formed.
fn size_of(line: &[u8]) -> Option<usize> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let text = std::str::from_utf8(&line[..digits]).ok()?;
    let mut rest = &line[digits..];
    while let [b' ' | b'\t', more @ ..] = rest {
        rest = more;
    }
    let bare = digits == line.len();
    if digits > 16 || line.len() > 256 || !bare && rest.first() != Some(&b';') {
        return None;
    }
    let (mut quoted, mut escaped) = (false, false);
    for &byte in rest {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted || is_token(byte) || b";= \t".contains(&byte) => {}
            _ => return None,
        }
    }
    if quoted { None } else { usize::from_str_radix(text, 16).ok() }
}

/// The payload of the chunked body that `bytes` begins with, and its length (RFC 9112 7.1).
fn whole_body(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut payload, mut rest) = (Vec::new(), bytes);
    loop {
        let (size, behind) = line(rest)?;
        let size = size_of(size)?;
        if size == 0 {
            rest = behind;
            break;
        }
        payload.extend_from_slice(behind.get(..size)?);
        rest = behind[size..].strip_prefix(b"\r\n")?;
    }
    loop {
        let (field, behind) = line(rest)?;
        rest = behind;
        if field.is_empty() {
            return Some((payload, bytes.len() - rest.len()));
        }
        let colon = field.iter().position(|&byte| byte == b':')?;
        if colon == 0 || !field[..colon].iter().all(|&byte| is_token(byte)) {
            return None;
        }
    }
}

const CHUNK_PARTS: &[&[u8]] = &[
    b"0",
    b"1",
    b"3",
    b"a",
    b"F",
    b"\r\n",
    b"\r\n",
    b"\r\n",
    b"\r",
    b"\n",
    b"abc\r\n",
    b"x",
    b";",
    b";a=b",
    b"\"",
    b"\\",
    b" ",
    b"\t",
    b"0\r\n\r\n",
    b"T: v\r\n",
    b":",
    b"ffffffffffffffff",
    b"\0",
    b"\x80",
    b"3\r\nabc\r\n",
    b"g",
    b"-1",
    b"+",
];

fn framing_fields() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    let lengths = [
        "5",
        " 5",
        "\t5 ",
        "0",
        "007",
        "",
        "+5",
        "-5",
        "5, 5",
        "5 5",
        "0x5",
        "5;",
        "1e1",
        "9223372036854775807",
        "9223372036854775808",
        "99999999999999999999999999",
    ];
    let codings = [
        "chunked",
        " chunked",
        "CHUNKED\t",
        "chunked, chunked",
        "gzip, chunked",
        "chunked, gzip",
        "identity",
        "chunked, identity",
        "gzip",
        "",
        ",chunked",
        "chunked,",
        "chunked;q=1",
        "\"chunked\"",
        "x-new, chunked",
        "xchunked",
        "chun ked",
    ];
    let options = ["close", "keep-alive", "Close, x", "x", ""];
    let length = select(lengths.to_vec()).prop_map(|value| ("Content-Length", value));
    let small = select(lengths.to_vec()).prop_map(|value| ("content-LENGTH", value));
    let coding = select(codings.to_vec()).prop_map(|value| ("Transfer-Encoding", value));
    let connection = select(options.to_vec()).prop_map(|value| ("Connection", value));
    let other = Just(("X-Content-Length", "7"));
    vec(prop_oneof![3 => length, 1 => small, 3 => coding, 2 => connection, 1 => other], 0..4)
}

/// RFC 9112 6.3 with REQ-2's strictness, said a second time: framing and persistence, or a status.
fn reference(lines: &str, minor: u8) -> Result<(Framing, bool), u16> {
    let (mut lengths, mut codings, mut options) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines.lines() {
        let (name, value) = line.split_once(':').expect("a field");
        let value = value.trim_matches([' ', '\t']).to_ascii_lowercase();
        match &*name.to_ascii_lowercase() {
            "content-length" => lengths.push(value),
            "transfer-encoding" => codings.push(value),
            "connection" => options.push(value),
            _ => {}
        }
    }
    let options = options.join(",");
    let has = |wanted: &str| options.split(',').any(|option| option.trim() == wanted);
    let persistent = !has("close") && (minor > 0 || has("keep-alive"));
    let digits = |it: &String| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_digit());
    if lengths.len() > 1 || !lengths.iter().all(digits) {
        return Err(400);
    }
    let length = lengths.first().map(|it| it.parse::<i64>().map_err(|_| 400_u16)).transpose()?;
    if codings.is_empty() {
        return Ok((length.map_or(Framing::None, |it| Framing::Length(it as u64)), persistent));
    }
    let all = codings.join(",");
    let all: Vec<&str> = all.split(',').map(str::trim).collect();
    let mark = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_token = |it: &&str| !it.is_empty() && it.bytes().all(mark);
    if !all.iter().all(is_token) || length.is_some() || minor == 0 {
        return Err(400);
    }
    let known = ["chunked", "gzip", "deflate", "compress", "x-gzip", "x-compress"];
    match &all[..] {
        ["chunked"] => Ok((Framing::Chunked, persistent)),
        [before @ .., _] if before.contains(&"chunked") => Err(400),
        all if !all.iter().all(|it| known.contains(it)) => Err(501),
        [.., "chunked"] => Err(501),
        _ => Err(400),
    }
}

/// What became of a client's bytes: the answers that it got, and what reached the server.
struct Fate {
    answers: Vec<Message>,
    is_closed: bool,
    connections: usize,
    server: Vec<u8>,
}

/// Sends `bytes` in pieces of `piece` bytes; servers never answer.
fn fate_of(bytes: &[u8], piece: usize) -> Fate {
    let mut rig: Rig = rig_of(Settings::default(), simple_config());
    let client: SocketId = rig.connect();
    for piece in bytes.chunks(piece) {
        if rig.kernel.is_open(client) {
            rig.feed(client, piece);
        }
    }
    let to_head = bytes.starts_with(b"HEAD ");
    let connected = rig.kernel.connected.clone();
    let server = connected.iter().flat_map(|(id, _)| rig.written(*id).to_vec()).collect();
    let wire = rig.kernel.peek(client).expect("it is kept");
    Fate {
        answers: naive::responses(&wire.from_proxy, &[to_head], true),
        is_closed: wire.shut || wire.closed.is_some(),
        connections: connected.len(),
        server,
    }
}

// REQ-2, REQ-5: each attempt gets its status and a close, in whatever pieces it comes. An attempt
// in the head costs no server a byte; one in the body leaves the server with an unfinished request.
#[test]
fn smuggling_gets_nowhere() {
    let heads = smuggling::heads().into_iter().map(|(status, bytes)| (status, bytes, true));
    let bodies = smuggling::bodies().into_iter().map(|bytes| (400, bytes, false));
    let mut failures = Vec::new();
    for (status, bytes, in_head) in heads.chain(bodies) {
        for piece in [usize::MAX, 1, 2, 7, 40] {
            let fate = fate_of(&bytes, piece.min(bytes.len()));
            let statuses: Vec<u16> = fate.answers.iter().map(Message::status).collect();
            let request = naive::request(&fate.server);
            let reached = match in_head || piece == usize::MAX {
                true => fate.connections > 0,
                false => request.is_some_and(|request| request.is_whole),
            };
            if statuses != [status] || !fate.is_closed || reached {
                failures.push(format!(
                    "{} in pieces of {piece}: {statuses:?} for {status}, closed: {}, reached: {:?}",
                    bytes.escape_ascii(),
                    fate.is_closed,
                    String::from_utf8_lossy(&fate.server),
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

// REQ-2: the corpus is large, and no attempt stands in it twice.
#[test]
fn the_corpus_is_large() {
    let heads = smuggling::heads().into_iter().map(|(_, bytes)| bytes);
    let all: Vec<_> = heads.chain(smuggling::bodies()).collect();
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert!(all.len() >= 60 && different.len() == all.len(), "{}", all.len());
}

const BODIES: &[&str] = &["hello", "5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\nGET /x HTTP/1.1\r\n", ""];

// REQ-4, REQ-5, REQ-6: oddities that are legal pass, and what could mislead a server is gone.
#[test]
fn legal_oddities_pass_unambiguously() {
    for smuggling::Legal { bytes, start, host, gone } in smuggling::LEGAL {
        let fate = fate_of(bytes, bytes.len());
        let request = naive::request(&fate.server);
        let request = request.unwrap_or_else(|| panic!("not sent: {}", bytes.escape_ascii()));
        assert_eq!(&request.start, start, "{}", bytes.escape_ascii());
        assert_eq!(request.values("host"), [*host], "{}", bytes.escape_ascii());
        let text = String::from_utf8_lossy(&fate.server).to_ascii_lowercase();
        assert!(!text.contains(gone), "{gone:?} in {text}");
        assert!(request.is_whole && request.len == fate.server.len(), "{}", bytes.escape_ascii());
    }
}

proptest! {
    #![proptest_config(run_of(8000))]

    // REQ-2: whatever mix of framing fields a client sends, a server sees one framing or nothing,
    // and as many requests as the reference does.
    #[test]
    fn a_server_never_sees_two_framings(
        fields in framing_fields(),
        body in select(BODIES.to_vec()),
        piece in prop_oneof![Just(1_usize), Just(10_000), 2..60_usize],
        close in option::of(Just("Connection: close\r\n")),
    ) {
        let fields = fields.iter().map(|(name, value)| format!("{name}:{value}\r\n"));
        let lines = fields.collect::<String>() + close.unwrap_or_default();
        let bytes = format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}");
        let fate = fate_of(bytes.as_bytes(), piece);
        match reference(&lines, 1) {
            Err(status) => {
                prop_assert_eq!(fate.connections, 0);
                let got: Vec<u16> = fate.answers.iter().map(Message::status).collect();
                prop_assert_eq!(got, [status]);
            }
            Ok((framing, _)) => {
                // The reader panics on two framings.
                let request = naive::request(&fate.server);
                if let Some(request) = request {
                    prop_assert_eq!(request.is_chunked, framing == Framing::Chunked);
                    prop_assert_eq!(request.len, fate.server.len());
                }
            }
        }
    }
}

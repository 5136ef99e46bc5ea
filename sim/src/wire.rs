//! The fields that requests and responses carry end to end, as functions of their numbers, and
//! those that must not pass the proxy.

use crate::choice::mix;
use crate::oracle::ledger::{Ask, Edge};
use std::io::Write as _;

/// A name that nobody serves and no certificate has: a wildcard stands for one label, not two.
pub const UNKNOWN_HOST: u16 = 900;

/// The hosts that requests name: those that certificates are for, exactly or by a wildcard.
pub fn host_name(host: u16) -> String {
    match host {
        0 => "a.example".into(),
        1 => "b.example".into(),
        UNKNOWN_HOST => "unknown.h2.wild.example".into(),
        _ => format!("h{host}.wild.example"),
    }
}

/// What routes for hosts by a wildcard name: `*.` and one of these.
pub const WILDCARDS: [&str; 2] = ["example", "wild.example"];

/// Which of [`WILDCARDS`] stands for `host`, if any: for one label alone.
pub fn wildcard_of(host: u16) -> Option<usize> {
    match host {
        0 | 1 => Some(0),
        UNKNOWN_HOST => None,
        _ => Some(1),
    }
}

/// The Cookie field of a request, with or without the sticky cookie that names a server in
/// `cluster`. One beside it has a name that begins with that one's.
pub fn cookies(cluster: u16, sticky: Option<u16>) -> String {
    let name = cookie_name(cluster);
    match sticky {
        Some(server) => format!("a=1; {name}x=2; {}; b=3", sticky_cookie(cluster, server)),
        None => format!("a=1; {name}x=2; b=3"),
    }
}

/// The sticky cookie that names `server` in `cluster`.
pub fn sticky_cookie(cluster: u16, server: u16) -> String {
    format!("{}={}", cookie_name(cluster), server_id(server))
}

/// The name of the sticky cookies of `cluster`.
pub fn cookie_name(cluster: u16) -> String {
    format!("tg_c{cluster}")
}

/// What the configuration calls `server`.
pub fn server_id(server: u16) -> String {
    format!("s{server}")
}

/// The host and port that redirects lead to.
pub const MOVED_HOST: &str = "moved.example:8443";
/// The path that redirects lead to.
pub const MOVED_PATH: &str = "/moved?to=1";
/// The body of fixed answers that have one, its length and its type.
pub const FIXED_BODY: &[u8] = b"fixed";
/// See [`FIXED_BODY`].
pub const FIXED_BODY_LENGTH: &str = "5";
/// See [`FIXED_BODY`].
pub const FIXED_TYPE: &str = "text/x-fixed";
/// An end-to-end field that some edits replace.
pub const REPLACED_FIELD: &str = "x-e-dup";
/// An end-to-end field of responses that some edits remove.
pub const REMOVED_FIELD: &str = "x-s-dup";

/// The longest target that listeners of this world let pass.
pub const TARGET_BYTES_MAX: usize = 1024;
/// The most fields of a head that they let pass.
pub const FIELDS_MAX: usize = 60;

/// What edit number `edit` sets `X-Edit` and [`REPLACED_FIELD`] to. The odd ones remove
/// [`REMOVED_FIELD`] from responses.
pub fn edits(edit: u8) -> (Option<String>, Option<String>) {
    let marked = (edit > 0).then(|| format!("edit {edit}"));
    (marked, (edit % 4 >= 2).then(|| format!("replaced by {edit}")))
}

/// Whether edit number `edit` removes [`REMOVED_FIELD`].
pub fn removes(edit: u8) -> bool {
    edit % 2 == 1
}

/// The authority, in lower case, and the path and query that a sound request asks for.
pub fn target(ask: &Ask) -> (String, String) {
    let (id, host) = (ask.id, host_name(ask.host));
    match ask.key % 7 {
        3 if ask.minor == 1 => (host, format!("/r/{id}/x?q={id}")),
        5 => (format!("{host}:8080"), format!("/r/{id}/%7euser/../y")),
        6 => (host, format!("/r/{id}/%2E%2e/{id}")),
        _ if ask.edge() == Some(Edge::Target) => {
            let begin = format!("/r/{id}/");
            let rest = "a".repeat(TARGET_BYTES_MAX - begin.len());
            (host, begin + &rest)
        }
        _ => (host, format!("/r/{id}")),
    }
}

/// What a client says of those before it: the fields that only a trusted proxy may send.
pub fn forwarded(id: u32) -> [(&'static str, String); 4] {
    [
        ("X-Forwarded-For", format!("198.51.100.{}, 10.1.1.1", id % 250)),
        ("X-Forwarded-Proto", "ftp".to_string()),
        ("X-Forwarded-Host", format!("client-{id}.example")),
        ("X-Request-Id", request_id(id)),
    ]
}

/// The id that a client gives request `id`: a number in either form, or a word.
fn request_id(id: u32) -> String {
    let number = format!("{:016x}{id:016x}", mix(id.into()));
    match id % 3 {
        0 => format!("client-{id}"),
        1 => number,
        _ => [&number[..8], &number[8..12], &number[12..16], &number[16..20], &number[20..]]
            .join("-"),
    }
}

/// What stands before the words of a trusted proxy, such as its client's: the last word counts.
pub const FORWARDED_FIRST: [(&str, &str); 3] = [
    ("X-Forwarded-Proto", "gopher"),
    ("X-Forwarded-Host", "liar.example"),
    ("X-Forwarded-Port", "70"),
];

/// What some say besides: in the words of RFC 7239, and through which port those before them came.
pub fn forwarded_besides(id: u32) -> [(&'static str, String); 2] {
    [
        ("Forwarded", format!("for=198.51.100.{};proto=ftp", id % 250)),
        ("X-Forwarded-Port", "21".to_string()),
    ]
}

/// The end-to-end fields of request `id`, in order.
pub fn request_fields(id: u32, mut each: impl FnMut(&str, &[u8])) {
    fields(mix(u64::from(id) + 0x5151), "x-e-", &mut each);
}

/// The end-to-end fields of response `serial` to request `id`, in order.
pub fn response_fields(id: u32, serial: u32, mut each: impl FnMut(&str, &[u8])) {
    fields(mix(u64::from(id) << 24 ^ u64::from(serial) ^ 0xabab_0000), "x-s-", &mut each);
}

fn fields(seed: u64, prefix: &str, each: &mut impl FnMut(&str, &[u8])) {
    let names = ["a", "b", "c", "dup", "dup", "Long-Name"];
    let mut name = [0; 24];
    let mut value = [0; 40];
    for n in 0..seed % 4 {
        let word = mix(seed ^ n);
        let name = put(&mut name, format_args!("{prefix}{}", names[(word % 6) as usize]));
        let value = put(&mut value, format_args!("v{:x}, \"{n} {}\"", word >> 40, word % 7));
        each(std::str::from_utf8(name).unwrap_or_default(), value);
    }
}

fn put<'a>(into: &'a mut [u8], text: std::fmt::Arguments<'_>) -> &'a [u8] {
    let room = into.len();
    let mut rest = &mut *into;
    let _ = rest.write_fmt(text);
    let left = rest.len();
    &into[..room - left]
}

/// Hop-by-hop fields and one that Connection names, all of which must stay behind (REQ-5).
pub const HOPS: &str = "X-Hop: must not pass\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\n\
    Proxy-Connection: keep-alive\r\nx-hop: nor this\r\n";
/// What Connection lists besides `close` and `keep-alive` when [`HOPS`] are present.
pub const HOP_TOKENS: &str = "x-hop, te";

/// The value of Sec-WebSocket-Key.
pub const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// Names that the far end must never see.
pub const FORBIDDEN: &[&str] =
    &["x-hop", "keep-alive", "te", "proxy-connection", "trailer", "upgrade"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_follow_from_numbers() {
        let collect = |id| {
            let mut all = Vec::new();
            request_fields(id, |name, value| all.push((name.to_string(), value.to_vec())));
            all
        };
        assert_eq!(collect(7), collect(7));
        let many: usize = (0..100).map(|id| collect(id).len()).sum();
        assert!((100..200).contains(&many), "{many}");
        assert!((0..100).flat_map(collect).all(|(n, v)| n.starts_with("x-e-") && v.len() > 4));
    }
}

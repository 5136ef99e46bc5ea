//! Carries requests through the core and ends, so that its instructions can be counted:
//! `requests COUNT [RING BYTES]`, with a flight recorder where a ring is given. What one request
//! costs is the difference of two counts; `benches/compare --instructions` takes it.

use tidegate_benches::Requests;

/// As `wrk` sends it.
const REQUEST: &[u8] = b"GET /1k HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
/// As nginx answers.
const HEAD: &str = "HTTP/1.1 200 OK\r\nServer: nginx/1.26.3\r\n\
    Date: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: application/octet-stream\r\n\
    Content-Length: 1024\r\nLast-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
    Connection: keep-alive\r\nETag: \"6956d3f0-400\"\r\nAccept-Ranges: bytes\r\n\r\n";

fn main() -> Result<(), String> {
    let usage = "usage: requests COUNT [RING BYTES]";
    let numbers: Result<Vec<usize>, _> = std::env::args().skip(1).map(|it| it.parse()).collect();
    let numbers = numbers.map_err(|error| format!("{usage}: {error}"))?;
    let (count, ring) = match numbers[..] {
        [count] => (count, None),
        [count, ring] => (count, Some(ring)),
        _ => return Err(usage.into()),
    };
    let mut requests = Requests::new(ring, REQUEST, HEAD, 1024);
    (0..count).for_each(|_| requests.serve());
    Ok(())
}

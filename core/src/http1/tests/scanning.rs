//! Heads as they arrive: REQ-1, REQ-2, REQ-3.

use super::*;

#[test]
fn well_formed_requests_pass() {
    // REQ-1
    let heads: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /?q=%41|{} HTTP/1.0\r\n\r\n",
        b"M-SEARCH /x HTTP/1.9\r\nhost:a\r\nX:\t \xffy\x80 \t\r\nEmpty:\r\n\r\n",
    ];
    for head in heads {
        assert_eq!(request_verdict(head), Ok(()), "{:?}", String::from_utf8_lossy(head));
    }
}

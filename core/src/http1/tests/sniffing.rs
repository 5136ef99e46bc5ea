//! HTTP in the clear on a TLS port: TLS-2.

use super::*;

#[test]
fn requests_in_the_clear_are_told_from_tls() {
    // TLS-2
    for clear in ["GET / HTTP/1.1\r\n", "G", "OPTIONS * HTTP/1.1\r\n", "PRI * HTTP/2.0\r\n", "Z"] {
        assert!(plaintext_on_tls(clear.as_bytes()), "{clear}");
    }
    assert!(!plaintext_on_tls(b""));
    // Every type of a TLS record, and an SSL 2.0 hello.
    for first in [0x14, 0x15, 0x16, 0x17, 0x80, 0xff] {
        assert!(!plaintext_on_tls(&[first, 3, 1, 2, 0, 1]), "{first:#x}");
    }
    let letters = (0..=u8::MAX).filter(|&byte| plaintext_on_tls(&[byte]));
    assert!(letters.eq(b'A'..=b'Z'));
}

#[test]
fn the_cut_does_not_matter() {
    // TLS-2
    for bytes in [&b"POST /x HTTP/1.1\r\n"[..], b"\x16\x03\x01GET "] {
        let whole = plaintext_on_tls(bytes);
        assert!((1..bytes.len()).all(|end| plaintext_on_tls(&bytes[..end]) == whole));
    }
}

//! Telling HTTP in the clear from TLS (TLS-2).

/// Whether the first bytes that came on a TLS port are a request in the clear, whose client is to
/// be told so by a 400 in the clear instead of by an alert that it cannot read (TLS-2).
///
/// The first byte decides, so the answer holds however the bytes are cut: every method in use
/// begins with an upper-case letter, every TLS record with its type, 20 to 23 (RFC 8446 5.1), and
/// an SSL 2.0 hello with a byte of 128 or more. What is neither is left to TLS to refuse. Of no
/// bytes nothing is known yet, and the answer is no. A PROXY header is to be taken off first, as
/// version 1 begins with a letter too.
pub fn plaintext_on_tls(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(u8::is_ascii_uppercase)
}

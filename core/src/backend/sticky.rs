//! Sticky sessions (BACK-8): a cookie that names one server of a cluster.
//!
//! Values are computed when a configuration is applied, and compared byte by byte afterwards.

use crate::config::Server;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;

/// Bytes of the MAC that a cookie shows, in twice as many hexadecimal digits.
const MAC_BYTES: usize = 16;

/// The cookie value that names `server` in `cluster`: its id, else an HMAC-SHA256 of the cluster's
/// name and the server's address under `secret`. All workers and proxies with the same secret
/// agree on it, and no address shows. `None` for a server without either, which
/// [`crate::config::validate()`] refuses in a sticky cluster.
pub fn cookie_value(server: &Server, cluster: &str, secret: Option<&[u8]>) -> Option<Box<str>> {
    if let Some(id) = &server.id {
        return Some(encode(id));
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret?).ok()?;
    mac.update(cluster.as_bytes());
    // No name holds a NUL: two different pairs never run together to the same bytes.
    mac.update(&[0]);
    mac.update(server.addr.to_string().as_bytes());
    let mut value = String::with_capacity(2 * MAC_BYTES);
    for byte in &mac.finalize().into_bytes()[..MAC_BYTES] {
        let _ = write!(value, "{byte:02x}");
    }
    Some(value.into())
}

/// Any id as a cookie value (RFC 6265 4.1.1): what is not safe in every cookie is
/// percent-encoded, the percent sign included.
fn encode(id: &str) -> Box<str> {
    let mut value = String::with_capacity(id.len());
    for &byte in id.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            value.push(char::from(byte));
        } else {
            let _ = write!(value, "%{byte:02X}");
        }
    }
    value.into()
}

/// The value of the Set-Cookie field that makes a session stick (BACK-8).
pub fn set_cookie(name: &str, value: &str, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}")
}

#[cfg(test)]
mod tests;

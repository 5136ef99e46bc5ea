//! Values that TOML has no type for: spans of time, sizes, addresses and networks.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tidegate_core::config::Network;
use tidegate_core::input::Address;

/// The longest span of time that a key takes.
pub(crate) const DURATION_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// Bytes of a Unix socket's path at most: what `sockaddr_un` holds beside its final NUL.
const UNIX_PATH_BYTES_MAX: usize = 107;

const DURATION_UNITS: &[(&str, u64)] =
    &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
const SIZE_UNITS: &[(&str, u64)] = &[
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1000),
    ("B", 1),
];

/// Number and unit of `text`, multiplied. `None`: no such form, or too large.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// A span like `10s`, `500ms`, `1m`, `1h` or `7d`; above zero and at most [`DURATION_MAX`].
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let span = Duration::from_millis(with_unit(text, DURATION_UNITS)?);
    (span > Duration::ZERO && span <= DURATION_MAX).then_some(span)
}

/// The span as [`duration`] reads it, in the largest unit that is exact.
pub(crate) fn show_duration(span: Duration) -> String {
    show(u64::try_from(span.as_millis()).unwrap_or(u64::MAX), DURATION_UNITS)
}

/// A size like `16KiB`, `10MB` or `512B`, in bytes.
pub(crate) fn size(text: &str) -> Option<u64> {
    with_unit(text, SIZE_UNITS)
}

/// The size as [`size`] reads it, in the largest binary unit that is exact.
pub(crate) fn show_size(bytes: u64) -> String {
    let binary = [SIZE_UNITS[0], SIZE_UNITS[2], SIZE_UNITS[4], SIZE_UNITS[6]];
    show(bytes, &binary)
}

fn show(amount: u64, units: &[(&str, u64)]) -> String {
    let exact = units.iter().find(|(_, factor)| amount > 0 && amount.is_multiple_of(*factor));
    let (name, factor) = exact.or(units.last()).copied().unwrap_or(("", 1));
    format!("{}{name}", amount / factor)
}

/// A network like `10.0.0.0/8`, or one address; bits behind the prefix must be zero.
pub(crate) fn network(text: &str) -> Result<Network, String> {
    let (addr, prefix) = match text.split_once('/') {
        Some((addr, prefix)) => (addr, Some(prefix)),
        None => (text, None),
    };
    let addr: IpAddr = addr.parse().map_err(|_| "not an IP address".to_owned())?;
    let bits: u8 = if addr.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(text) => match text.parse::<u8>() {
            Ok(prefix) if prefix <= bits => prefix,
            _ => return Err(format!("the prefix is a number from 0 to {bits}")),
        },
    };
    let base = network_base(addr, prefix);
    if base != addr {
        return Err(format!("did you mean \"{base}/{prefix}\"?"));
    }
    Ok(Network { addr, prefix })
}

fn network_base(addr: IpAddr, prefix: u8) -> IpAddr {
    match addr {
        IpAddr::V4(addr) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((u32::from(addr) & mask).into())
        }
        IpAddr::V6(addr) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((u128::from(addr) & mask).into())
        }
    }
}

/// What an address is written as, before a name is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// An address as it is.
    Ready(Address),
    /// A host name and a port.
    Name(String, u16),
}

/// `IP:PORT`, `[IPv6]:PORT`, `NAME:PORT` or `unix:/path`; the error is a hint.
pub(crate) fn address(text: &str) -> Result<Written, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path).map(Written::Ready);
    }
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return match addr.port() {
            0 => Err("the port is a number from 1 to 65535".to_owned()),
            _ => Ok(Written::Ready(Address::Ip(addr))),
        };
    }
    if text.contains("://") || text.contains('/') {
        return Err("write HOST:PORT, without scheme and path".to_owned());
    }
    if let Ok(addr) = text.parse::<IpAddr>() {
        return Err(format!("add a port: \"{}\"", SocketAddr::new(addr, 8080)));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("add a port: \"{text}:8080\""));
    };
    let port = match port.parse::<u16>() {
        Ok(port) if port > 0 => port,
        _ => return Err("the port is a number from 1 to 65535".to_owned()),
    };
    if host.is_empty() {
        return Err(format!("add an address: \"0.0.0.0:{port}\" or \"127.0.0.1:{port}\""));
    }
    let numeric = host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if numeric || !host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        return Err(format!("\"{host}\" is neither an IP address nor a host name"));
    }
    Ok(Written::Name(host.to_owned(), port))
}

fn unix(path: &str) -> Result<Address, String> {
    if !path.starts_with('/') {
        return Err("a Unix socket's path starts with \"/\"".to_owned());
    }
    if path.len() > UNIX_PATH_BYTES_MAX || path.contains('\0') {
        return Err(format!("a Unix socket's path has at most {UNIX_PATH_BYTES_MAX} bytes"));
    }
    Ok(Address::Unix(path.into()))
}

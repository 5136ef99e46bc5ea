//! Spans of time, sizes, addresses, networks.

use super::super::value::{Written, address, duration, network, show_duration, show_size, size};
use std::time::Duration;
use tidegate_core::input::Address;

#[test]
fn durations_are_read_and_shown() {
    let good = [
        ("1ms", 1),
        ("500ms", 500),
        ("10s", 10_000),
        ("1m", 60_000),
        ("90m", 5_400_000),
        ("1h", 3_600_000),
        ("366d", 366 * 86_400_000),
    ];
    for (text, millis) in good {
        assert_eq!(duration(text), Some(Duration::from_millis(millis)), "{text}");
        assert_eq!(show_duration(Duration::from_millis(millis)), text);
    }
    assert_eq!(duration("10 s"), Some(Duration::from_secs(10)));
    assert_eq!(show_duration(Duration::from_secs(60)), "1m");
    for text in ["", "10", "s", "0s", "-1s", "1.5s", "1m30s", "10S", "367d", "99999999999999d"] {
        assert_eq!(duration(text), None, "{text}");
    }
}

#[test]
fn sizes_are_read_and_shown() {
    let good =
        [("1B", 1), ("1000B", 1000), ("16KiB", 16384), ("10MiB", 10 << 20), ("1GiB", 1 << 30)];
    for (text, bytes) in good {
        assert_eq!(size(text), Some(bytes), "{text}");
        assert_eq!(show_size(bytes), text);
    }
    assert_eq!(size("64KB"), Some(64_000));
    assert_eq!(size("2MB"), Some(2_000_000));
    assert_eq!(show_size(64_000), "64000B");
    for text in ["", "16", "16K", "16kib", "KiB", "1.5KiB", "99999999999GiB"] {
        assert_eq!(size(text), None, "{text}");
    }
}

#[test]
fn addresses_are_told_from_names() {
    let ip = |text: &str| Written::Ready(Address::Ip(text.parse().unwrap()));
    assert_eq!(address("127.0.0.1:80"), Ok(ip("127.0.0.1:80")));
    assert_eq!(address("[::1]:80"), Ok(ip("[::1]:80")));
    assert_eq!(address("app-1.example:8080"), Ok(Written::Name("app-1.example".into(), 8080)));
    assert_eq!(address("unix:/run/a"), Ok(Written::Ready(Address::Unix("/run/a".into()))));
    let bad = [
        ("127.0.0.1", "add a port"),
        ("::1", "add a port: \"[::1]:8080\""),
        ("app", "add a port"),
        (":80", "add an address"),
        ("http://app:80", "without scheme"),
        ("app:80/x", "without scheme"),
        ("app:0", "the port"),
        ("127.0.0.1:0", "the port"),
        ("app:65536", "the port"),
        ("300.1.1.1:80", "neither an IP address"),
        ("a b:80", "neither an IP address"),
        ("unix:run/a", "starts with"),
    ];
    for (text, hint) in bad {
        let error = address(text).expect_err(text);
        assert!(error.contains(hint), "{text}: {error}");
    }
    assert!(address(&format!("unix:/{}", "a".repeat(106))).is_ok());
    assert!(address(&format!("unix:/{}", "a".repeat(107))).is_err());
}

#[test]
fn networks_have_no_bits_behind_their_prefix() {
    assert_eq!(network("10.0.0.0/8").map(|network| network.prefix), Ok(8));
    assert_eq!(network("::1").map(|network| network.prefix), Ok(128));
    assert_eq!(network("0.0.0.0/0").map(|network| network.prefix), Ok(0));
    assert_eq!(network("10.1.2.3/8"), Err("did you mean \"10.0.0.0/8\"?".into()));
    assert_eq!(network("fe80::1/10"), Err("did you mean \"fe80::/10\"?".into()));
    for text in ["", "10", "10.0.0.0/33", "10.0.0.0/x", "::/129", "example.com"] {
        assert!(network(text).is_err(), "{text}");
    }
}

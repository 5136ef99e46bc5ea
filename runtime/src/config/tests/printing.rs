//! The effective configuration.

use super::super::{Loaded, demo_config, print};
use super::{SITE, load};

/// A file with everything but defaults.
pub(super) const EVERYTHING: &str = r#"
workers = 2
max_connections = 77
zombie_check_interval = "90s"
max_session_age = "36h"
trusted_proxies = ["10.0.0.0/8", "::1"]
sticky_secret = "file:key"
forwarded = true
accept_queue = { capacity = 7, max_wait = "1500ms", evict_idle = true }
buffers = { size = "20000B", count = 99 }
limits = { head = "8KiB", fields = 50, target = "4KiB" }
timeouts = { linger = "1s", drain = "2m", tunnel_idle = "5m" }
log = { access = "a.log", format = "text", level = "warn" }
[listener."web.1"]
bind = ["0.0.0.0:80", "unix:/run/tg"]
max_body = "10MiB"
abort_on_close = true
backlog = 16
timeouts = { keep_alive = "5s" }
answers = { 503 = "503.html" }
tls = [
  { cert = "site.pem", key = "site.key" },
  { cert = "both.pem", key = "both.pem", min_version = "1.3", client_ca = "ca.pem" },
]
proxy_protocol = "expect"
proxy_protocol_from = ["10.0.0.0/8"]
max_connections_per_ip = 3
[listener.one]
bind = "127.0.0.1:1"
tls = { cert = "site.pem", key = "site.key" }
[listener.tcp]
bind = "127.0.0.1:2"
protocol = "tcp"
to = "app"
sni = { "b.example" = "app", "*.a.example" = "secure" }
[cluster.secure]
servers = ["two.test:443", "10.0.0.9:443", { addr = "one.test:443", max_connections = 9 }]
tls = true
proxy_protocol = "v1"
[cluster.named]
servers = ["two.test:443", "unix:/run/x"]
tls = { sni = "server.example", ca = "ca.pem", cert = "client.pem", key = "client.key" }
proxy_protocol = "v2"
queue = { capacity = 9 }
[cluster.app]
servers = ["two.test:80", { addr = "[::1]:81", id = "x", weight = 2, backup = true }]
balance = "power-of-two"
sticky = true
reuse = "session"
idle_per_server = 1
fall = 4
backoff = { min = "1s", max = "3s" }
timeouts = { backend_idle = "7s" }
answers = { 503 = "503.html" }
[[route]]
listener = "web.1"
host = "*.example.com"
path = "/api/"
methods = ["GET"]
to = "app"
set_request_headers = { X-Env = "a \"b\" \\", X-Zone = "ü" }
remove_response_headers = ["Server"]
[[route]]
path_exact = "/x"
redirect = { status = 308, scheme = "https", host = "h:1", path = "/y" }
[[route]]
path_regex = '/\d+'
answer = { status = 410, file = "404.json" }
[[route]]
host = "a.example"
answer = { status = 404 }
"#;

#[track_caller]
fn round_trip(text: &str) {
    // Lines differ.
    let load = |text: &str| {
        let mut loaded = Loaded { warnings: Vec::new(), ..load(text) };
        loaded.origins.route_lines.clear();
        loaded
    };
    let loaded = load(text);
    let printed = print(&loaded);
    let again = load(&printed);
    assert_eq!(loaded, again, "{printed}");
    assert_eq!(print(&again), printed);
}

#[test]
fn what_is_printed_loads_to_the_same() {
    round_trip(SITE);
    round_trip(EVERYTHING);
    round_trip(&EVERYTHING.replace("power-of-two", "source"));
    round_trip(&demo_config([9001, 9002, 9003]));
    round_trip(&SITE.replace("to = \"app\"", "host = \"*\"\nto = \"app\""));
}

#[test]
fn every_default_is_printed() {
    let printed = print(&load(SITE));
    insta::assert_snapshot!("every_default", printed);
}

#[test]
fn a_secret_is_never_printed() {
    let loaded = load(EVERYTHING);
    assert!(loaded.config.sticky_secret.is_some());
    let printed = print(&loaded);
    assert!(printed.contains("sticky_secret = \"file:/etc/tg/key\""));
    assert!(!printed.contains("a secret of"));
}

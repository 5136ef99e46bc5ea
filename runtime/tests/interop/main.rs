//! The real binary between programs that nobody here wrote: `run`, beside this file, starts them
//! and judges what they say. Each test is a group of its checks, which cite the rules they prove.
//!
//! A check whose program is not installed is skipped, and says so; with `CI=true` it fails.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the tests live in the real world: programs, the environment and files"
)]

use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Groups run one after the other: each has a dozen programs of its own.
static TURN: Mutex<()> = Mutex::new(());

fn group(name: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/run");
    let command = Command::new("python3")
        .args([script, "--tidegate", env!("CARGO_BIN_EXE_tidegate"), name])
        .stdin(Stdio::null())
        .output();
    let output = match command {
        Ok(output) => output,
        Err(error) if std::env::var("CI").as_deref() != Ok("true") => {
            eprintln!("skipped: python3: {error} (runtime/tests/install-peers.sh)");
            return;
        }
        Err(error) => panic!("python3 must be installed in CI: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    eprintln!("{said}");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("| pass   |") || said.contains("| skip   |"), "no check ran");
}

// TLS-1 to TLS-3, ROUTE-5: openssl, curl and python's ssl as clients.
#[test]
fn tls() {
    group("tls");
}

// TLS-1: tickets across workers, reloads and listeners.
#[test]
fn resumption() {
    group("resumption");
}

// TLS-3, TLS-4, BACK-2: nginx as a server.
#[test]
fn tls_servers() {
    group("tls_servers");
}

// TUN-3: python's websockets and Node's ws.
#[test]
fn websocket() {
    group("websocket");
}

// PP-1: HAProxy and nginx on both sides.
#[test]
fn proxy_protocol() {
    group("proxy_protocol");
}

// TUN-1, TUN-2, TLS-5: socat, curl and nginx.
#[test]
fn tcp() {
    group("tcp");
}

// TUN-1: redis and PostgreSQL with their own clients.
#[test]
fn databases() {
    group("databases");
}

// BACK-9, ACC-9.
#[test]
fn limits() {
    group("limits");
}

// TLS-1, TLS-3, RUN-1, RUN-2, REQ-8, ACC-7: wrk and python's ssl.
#[test]
fn tls_life() {
    group("tls_life");
}

#![expect(clippy::disallowed_types, reason = "the peers of these tests are plain std sockets")]

use super::*;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use tidegate_core::config::Listener;

fn config(binds: &[&str]) -> Config {
    let listener = |bind: &&str| {
        let at = match bind.strip_prefix("unix:") {
            Some(path) => Address::Unix(path.into()),
            None => Address::Ip(bind.parse().expect("an address")),
        };
        Listener::new("web", vec![at])
    };
    Config { listeners: binds.iter().map(listener).collect(), ..Config::default() }
}

fn errors(outcome: Result<Vec<Vec<Bound>>, Vec<ListenError>>) -> Vec<String> {
    let errors = outcome.map(|_| ()).expect_err("refused");
    errors.iter().map(ToString::to_string).collect()
}

fn scratch(name: &str) -> PathBuf {
    let path = std::env::temp_dir();
    let path = path.join(format!("tidegate-listen-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

// RUN-4, RUN-6: one socket a worker, all on the port that the first one drew.
#[test]
fn workers_share_a_port() {
    let bound = bind_all(&config(&["127.0.0.1:0"]), &[], 3).expect("bound");
    let ports: Vec<_> = bound.iter().map(|of| of[0].local.expect("TCP").port()).collect();
    assert!(ports[0] != 0 && ports == [ports[0]; 3], "{ports:?}");
    // Drop all but the last: the connection can only go there, and it is listening.
    let last = bound.into_iter().next_back().expect("three workers");
    TcpStream::connect(last[0].local.expect("TCP")).expect("connected");
}

// RUN-6: also when the other process would share its port.
#[test]
fn a_port_of_another_process_is_never_shared() {
    for share in [false, true] {
        let other = bind_tcp(&"127.0.0.1:0".parse().expect("an address"), share, false);
        let other = other.expect("bound");
        net::listen(&other, 8).expect("listening");
        let addr = SocketAddr::try_from(net::getsockname(&other).expect("bound")).expect("IP");
        for workers in [1, 2] {
            let errors = errors(bind_all(&config(&[&addr.to_string()]), &[], workers));
            assert_eq!(errors.len(), 1);
            assert!(errors[0].contains("the address is in use"), "{errors:?}");
        }
    }
}

// RUN-1: nobody is served by half of a configuration; every error is told at once.
#[test]
fn one_bad_address_binds_none() {
    let other = TcpListener::bind("127.0.0.1:0").expect("bound").into();
    let other: OwnedFd = other;
    let taken = SocketAddr::try_from(net::getsockname(&other).expect("bound")).expect("IP");
    let free = TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("bound");
    let path = scratch("half");
    let unix = format!("unix:{}", path.display());
    let all = config(&[&free.to_string(), &unix, &taken.to_string(), "203.0.113.1:9"]);
    let errors = errors(bind_all(&all, &[], 2));
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[1].contains("cannot bind 203.0.113.1:9: "), "{errors:?}");
    assert!(!path.exists());
    TcpListener::bind(free).expect("still free");
}

// RUN-1: what is already listened on is left alone.
#[test]
fn held_addresses_are_not_bound_again() {
    let other = TcpListener::bind("127.0.0.1:0").expect("bound");
    let taken = other.local_addr().expect("bound").to_string();
    let config = config(&[&taken, "127.0.0.1:0"]);
    let bound = bind_all(&config, &[(Address::Ip(taken.parse().expect("IP")), 1)], 1);
    let bound = bound.expect("bound").remove(0);
    assert_eq!(bound.len(), 1);
    assert_ne!(bound[0].local.expect("TCP").to_string(), taken);
}

#[test]
fn both_wildcards_of_a_port_can_be_bound() {
    let probe = TcpListener::bind("[::]:0");
    let Ok(probe) = probe else { return };
    let port = probe.local_addr().expect("bound").port();
    drop(probe);
    let (v4, v6) = (format!("0.0.0.0:{port}"), format!("[::]:{port}"));
    let bound = bind_all(&config(&[&v6, &v4]), &[], 2).expect("bound");
    assert_eq!(bound[0].len(), 2);
    drop(bound);
    // Alone, the IPv6 wildcard takes both.
    let _bound = bind_all(&config(&[&v6]), &[], 1).expect("bound");
    TcpStream::connect(("127.0.0.1", port)).expect("connected");
}

// RUN-7
#[test]
fn the_backlog_is_the_configured_one() {
    let mut config = config(&["127.0.0.1:0"]);
    config.listeners[0].backlog = 1;
    let bound = bind_all(&config, &[], 1).expect("bound").remove(0);
    let to = bound[0].local.expect("TCP");
    let wait = std::time::Duration::from_millis(300);
    let connected: Vec<_> =
        (0..4).map_while(|_| TcpStream::connect_timeout(&to, wait).ok()).collect();
    // Linux lets one more in than asked for.
    assert_eq!(connected.len(), 2);
}

#[test]
fn a_stale_unix_socket_is_replaced_and_removed_at_the_end() {
    let path = scratch("stale");
    drop(UnixListener::bind(&path).expect("bound"));
    assert!(path.exists());
    let config = config(&[&format!("unix:{}", path.display())]);
    let bound = bind_all(&config, &[], 2).expect("bound");
    // RUN-4: it belongs to the first worker.
    assert_eq!((bound[0].len(), bound[1].len()), (1, 0));
    UnixStream::connect(&path).expect("connected");
    // A second process finds it answered.
    let errors = errors(bind_all(&config, &[], 1));
    assert!(errors[0].contains("a server answers there"), "{errors:?}");
    UnixStream::connect(&path).expect("still there");
    drop(bound);
    assert!(!path.exists());
}

#[test]
fn a_file_that_is_no_socket_is_never_removed() {
    let path = scratch("file");
    std::fs::write(&path, "precious").expect("written");
    let errors = errors(bind_all(&config(&[&format!("unix:{}", path.display())]), &[], 1));
    assert!(errors[0].contains("taken by something else"), "{errors:?}");
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "precious");
    std::fs::remove_file(&path).expect("removed");
}

#[test]
fn the_socket_of_a_successor_is_not_removed() {
    let path = scratch("successor");
    let config = config(&[&format!("unix:{}", path.display())]);
    let old = bind_all(&config, &[], 1).expect("bound");
    std::fs::remove_file(&path).expect("removed");
    let _successor = UnixListener::bind(&path).expect("bound");
    drop(old);
    UnixStream::connect(&path).expect("the successor's");
    std::fs::remove_file(&path).expect("removed");
}

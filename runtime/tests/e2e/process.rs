//! The process: its workers, its listening sockets, its signals, its randomness.

use crate::backend::Backend;
use crate::client::{Wire, get, get_once};
use crate::proxy::{Dir, Proxy, Setup, listening, wait_until};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use std::fs;
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

fn answers() -> Setup {
    Setup::new("[[route]]\nanswer = { status = 200 }\n")
}

fn workers(proxy: &Proxy) -> usize {
    proxy.threads().iter().filter(|name| name.starts_with("worker-")).count()
}

// RUN-4: one thread and one listening socket a worker.
#[test]
fn each_worker_has_a_thread_and_a_listening_socket() {
    let mut setup = answers();
    setup.workers = 3;
    let proxy = setup.start();
    // A thread names itself, once it runs.
    wait_until("every worker has its name", || workers(&proxy) >= 3);
    assert_eq!((workers(&proxy), listening(proxy.port)), (3, 3));
}

// RUN-4
#[test]
fn auto_is_one_worker_for_each_cpu() {
    let mut setup = answers();
    setup.workers = 0;
    let proxy = setup.start();
    let cpus = std::thread::available_parallelism().expect("counted").get();
    wait_until("all workers listen", || listening(proxy.port) >= cpus);
    wait_until("every worker has its name", || workers(&proxy) >= cpus);
    assert_eq!((workers(&proxy), listening(proxy.port)), (cpus, cpus));
}

/// How many sockets listen on the Unix address `path`.
fn listening_at(path: &Path) -> usize {
    let table = fs::read_to_string("/proc/net/unix").expect("/proc/net/unix");
    let path = path.to_str().expect("text");
    // The flag of a listening socket (`__SO_ACCEPTCON`).
    let listens = |line: &&str| line.ends_with(path) && line.contains(" 00010000 ");
    table.lines().filter(listens).count()
}

// RUN-4, ACC-11: three connections make two for the first worker and one for the second; a Unix
// listener has the first one's two.
#[test]
fn a_unix_listener_belongs_to_the_first_worker() {
    let dir = Dir::new();
    let path = dir.path("socket");
    let listener = format!("[listener.local]\nbind = \"unix:{}\"\n", path.display());
    let rest = format!("{listener}[[route]]\nanswer = {{ status = 200 }}\n");
    let mut setup = Setup::new(rest).max_connections(3);
    setup.workers = 2;
    let proxy = setup.start();
    assert_eq!(listening_at(&path), 1);
    let mut served = Vec::new();
    for _ in 0..3 {
        let mut stream = UnixStream::connect(&path).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
        std::io::Write::write_all(&mut stream, get("/").as_bytes()).expect("sent");
        let mut wire = Wire::over(stream);
        let head = wire.until(b"\r\n\r\n");
        served.push((head.is_ok(), wire));
    }
    let counts: Vec<bool> = served.iter().map(|(is_served, _)| *is_served).collect();
    assert_eq!(counts, [true, true, false]);
    // The place that was left is the other worker's: whoever comes by TCP may still have it.
    drop(served);
    assert!(get_once(proxy.port, "/").is_ok());
}

// RUN-7: a signal that a write to a closed pipe sends does not end the process.
#[test]
fn sigpipe_is_ignored() {
    let mut proxy = answers().start();
    let ignored = u64::from_str_radix(&proxy.status_line("SigIgn"), 16).expect("a mask");
    let bit = 1 << (Signal::PIPE.as_raw() - 1);
    assert_ne!(ignored & bit, 0, "SigIgn: {ignored:x}");
    proxy.signal(Signal::PIPE);
    assert_eq!(get_once(proxy.port, "/").expect("it lives").status, 200);
    assert!(proxy.runs());
}

/// Connections of the loopback that can be held open at once; the limit is raised as it can be.
fn raise_descriptors() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("below the maximum");
    maximum.unwrap_or(u64::MAX)
}

// RUN-7: 4096 connections wait in the kernel while the process does nothing, or as many as the
// kernel allows.
#[test]
fn the_backlog_holds_4096() {
    let allowed = fs::read_to_string("/proc/sys/net/core/somaxconn").expect("Linux");
    let backlog = allowed.trim().parse::<usize>().expect("a number").min(4096);
    assert!(raise_descriptors() > backlog as u64 + 1000, "too few descriptors for this test");
    let proxy = answers().start();
    proxy.signal(Signal::STOP);
    wait_until("it is stopped", || proxy.status_line("State").starts_with('T'));
    let to = SocketAddr::from(([127, 0, 0, 1], proxy.port));
    let waiting: Vec<_> = (0..backlog + 100)
        .map(|_| {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None);
            let socket = socket.expect("a socket");
            // It blocks, and on the loopback it is done at once if there is room.
            let _ = connect(&socket, &to);
            socket
        })
        .collect();
    let stands = |socket: &&_| rustix::net::getpeername(socket).is_ok();
    // Linux lets one more in than asked for.
    assert_eq!(waiting.iter().filter(stands).count(), backlog + 1);
    drop(waiting);
    proxy.signal(Signal::CONT);
    assert_eq!(get_once(proxy.port, "/").expect("it goes on").status, 200);
}

// RUN-11: the same configuration and the same requests, and yet other request ids.
#[test]
fn no_two_runs_draw_the_same_numbers() {
    let backend = Backend::start(|exchange| {
        let id = exchange.field("X-Request-Id").expect("a request id").to_string();
        exchange.ok(&id)
    });
    let ids: Vec<String> = (0..3)
        .map(|_| {
            let proxy = Setup::to(&[backend.port]).start();
            get_once(proxy.port, "/").expect("an answer").text()
        })
        .collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
}

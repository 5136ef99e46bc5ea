#![expect(clippy::disallowed_types, reason = "the clients of these tests are plain std sockets")]

mod flight;

use super::*;
use crate::config::{LogConfig, Sink};
use crate::serve::Recorder;
use crate::serve::demo;
use crate::serve::listen::bind_all;
use crate::serve::log::{Names, Running};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use tidegate_core::config::{Cluster, Compiled, Config, Listener, Route, Server};
use tidegate_core::flight::wire::Stored;
use tidegate_core::input::Address;

const PATIENCE: Duration = Duration::from_secs(5);

fn any_port() -> Address {
    Address::Ip("127.0.0.1:0".parse().expect("an address"))
}

/// A listener named `name` before the demo's origins on `ports`.
fn config(name: &str, at: Address, ports: &[u16]) -> Config {
    let servers = ports
        .iter()
        .map(|port| Server::new(Address::Ip(SocketAddr::from(([127, 0, 0, 1], *port)))));
    Config {
        listeners: vec![Listener::new(name, vec![at])],
        clusters: vec![Cluster::new("demo", servers.collect())],
        routes: vec![Route::to_cluster("demo")],
        ..Config::default()
    }
}

fn change(config: &Config, held: &[Wanted]) -> (Change, Option<SocketAddr>) {
    let bound = bind_all(config, held, 1).expect("bound").remove(0);
    let local = bound.first().and_then(|bound| bound.local);
    let compiled = Compiled::new(config.clone(), &Settings::default()).expect("valid");
    let flown = Some(Stored::bytes_of(config).into());
    let shared = Shared { compiled, names: Arc::new(Names::of(config)), flown };
    (Change { shared, bound }, local)
}

/// One worker on a thread of its own, with its log in a file.
struct Rig {
    handle: Handle,
    reports: Receiver<Message>,
    thread: JoinHandle<()>,
    log: PathBuf,
    flights: PathBuf,
    running: Running,
    addr: SocketAddr,
}

/// What a worker starts with, its log in a file at `path`, and its recordings in a directory.
fn start(name: &str, config: &Config) -> (Start, Running, PathBuf, SocketAddr) {
    let path = std::env::temp_dir();
    let path = path.join(format!("tidegate-worker-{}-{name}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let options = LogConfig { access: Sink::File(path.clone()), ..LogConfig::default() };
    let (log, running, mut records) = Log::start(options, 1).expect("a log");
    let (change, local) = change(config, &[]);
    let settings = Settings { max_connections: 16, buffers_max: 32, ..Settings::default() };
    let (index, origin, records) = (0, Origin::now(), records.remove(0));
    let recorder = Recorder { bytes: Some(1 << 20), dir: path.with_extension("flights") };
    let flights = Flights::new(recorder, index, log.clone());
    let start = Start { index, settings, change, origin, log, records, flights };
    (start, running, path, local.expect("TCP"))
}

fn rig<F: Turn + Send + 'static>(name: &str, config: &Config, turn: F) -> Rig {
    let (start, running, log, addr) = start(name, config);
    let (sender, reports) = channel();
    let (worker, handle) = Worker::new(start, sender, turn).expect("a worker");
    let thread = std::thread::Builder::new().spawn(move || worker.run()).expect("a thread");
    let flights = log.with_extension("flights");
    Rig { handle, reports, thread, log, flights, running, addr }
}

impl Rig {
    fn report(&self) -> Report {
        match self.reports.recv_timeout(PATIENCE) {
            Ok(Message::Worker(0, report)) => report,
            _ => panic!("no report"),
        }
    }

    /// Stops the worker and returns its access log.
    fn end(self) -> Vec<serde_json::Value> {
        assert!(self.handle.tell(Control::Stop));
        assert_eq!(self.report(), Report::Stopped { cut: 0 });
        self.thread.join().expect("no panic");
        self.running.finish(PATIENCE);
        let text = std::fs::read_to_string(&self.log).expect("a log");
        std::fs::remove_file(&self.log).expect("removed");
        if self.flights.exists() {
            std::fs::remove_dir_all(&self.flights).expect("removed");
        }
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// The answer to `GET path`, on a connection that stays open.
fn get(stream: &mut TcpStream, path: &str) -> String {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n").expect("sent");
    let mut answer = String::new();
    let mut space = [0; 4096];
    while !answer.ends_with("\n") || answer.ends_with("\r\n") {
        let n = stream.read(&mut space).expect("an answer");
        assert_ne!(n, 0, "{answer}");
        answer.push_str(std::str::from_utf8(&space[..n]).expect("UTF-8"));
    }
    answer
}

#[test]
fn requests_are_served_and_logged() {
    let ports = demo::start().expect("origins");
    let rig = rig("serve", &config("web", any_port(), &ports[..1]), drive::turn);
    let mut client = connect(rig.addr);
    for path in ["/one", "/two"] {
        let answer = get(&mut client, path);
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("hello from server 1\n"), "{answer}");
    }
    let from = client.local_addr().expect("an address").to_string();
    drop(client);
    let records = rig.end();
    assert_eq!(records.len(), 2, "{records:?}");
    for (record, (path, reused)) in records.iter().zip([("/one", false), ("/two", true)]) {
        let expected = [
            ("client", from.as_str()),
            ("listener", "web"),
            ("route", "*"),
            ("cluster", "demo"),
            ("server", &format!("127.0.0.1:{}", ports[0])),
            ("method", "GET"),
            ("host", "a.example"),
            ("path", path),
            ("ended_by", "nobody"),
            ("phase", "complete"),
        ];
        for (key, value) in expected {
            assert_eq!(record[key], value, "{key}");
        }
        assert_eq!((&record["status"], &record["reused"]), (&200.into(), &reused.into()));
    }
}

// RUN-9: connections are closed and counted, and a new proxy goes on with the same listeners.
#[test]
fn a_panic_costs_the_connections_and_nothing_else() {
    let ports = demo::start().expect("origins");
    let fuse = Arc::new(AtomicBool::new(false));
    let lit = Arc::clone(&fuse);
    let turn = move |proxy: &mut Proxy, kernel: &mut MioKernel, now: Time| {
        assert!(!lit.swap(false, Ordering::SeqCst), "a planted panic");
        drive::turn(proxy, kernel, now)
    };
    let rig = rig("panic", &config("web", any_port(), &ports), turn);
    let mut client = connect(rig.addr);
    get(&mut client, "/");
    fuse.store(true, Ordering::SeqCst);
    client.write_all(b"GET /unanswered HTTP/1.1\r\n").expect("sent");
    // The client's connection and an idle one to an origin.
    assert_eq!(rig.report(), Report::Panicked { connections: 2 });
    let error = client.read(&mut [0; 1]).expect_err("a reset");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let mut client = connect(rig.addr);
    assert!(get(&mut client, "/again").contains("hello from server"));
    drop(client);
    let paths: Vec<_> = rig.end().iter().map(|record| record["path"].to_string()).collect();
    assert_eq!(paths, ["\"/\"", "\"/again\""]);
}

// RUN-9: a proxy that panics at once is reported each time.
#[test]
fn a_worker_that_always_panics_says_so_each_time() {
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let turn = move |proxy: &mut Proxy, kernel: &mut MioKernel, now: Time| {
        let left = drive::turn(proxy, kernel, now);
        assert!(counted.fetch_add(1, Ordering::SeqCst) >= 3, "a planted panic");
        left
    };
    let rig = rig("panics", &config("web", any_port(), &[1]), turn);
    for _ in 0..3 {
        assert_eq!(rig.report(), Report::Panicked { connections: 0 });
    }
    drop(connect(rig.addr));
    rig.end();
}

// RUN-1: names in the log are those of the version that a request saw; listeners come and go.
#[test]
fn a_configuration_is_replaced_while_traffic_flows() {
    let ports = demo::start().expect("origins");
    let first = config("web", any_port(), &ports[..1]);
    let rig = rig("apply", &first, drive::turn);
    let mut old = connect(rig.addr);
    get(&mut old, "/old");

    // The same address under another name.
    let second = config("renamed", any_port(), &ports[1..2]);
    let (to_second, none) = change(&second, &wanted(&first));
    assert_eq!(none, None);
    assert!(rig.handle.tell(Control::Apply(Box::new(to_second))));
    assert_eq!(rig.report(), Report::Applied);
    // The listener of that name is gone, and what is idle on it is closed.
    assert_eq!(old.read(&mut [0; 1]).expect("a clean end"), 0);
    let mut new = connect(rig.addr);
    assert!(get(&mut new, "/new").ends_with("hello from server 2\n"));

    // Another address.
    let elsewhere = Address::Ip("127.0.0.2:0".parse().expect("an address"));
    let third = config("elsewhere", elsewhere, &ports[2..]);
    let (to_third, addr) = change(&third, &wanted(&second));
    assert!(rig.handle.tell(Control::Apply(Box::new(to_third))));
    assert_eq!(rig.report(), Report::Applied);
    let mut third = connect(addr.expect("TCP"));
    assert!(get(&mut third, "/third").ends_with("hello from server 3\n"));
    assert!(TcpStream::connect(rig.addr).is_err());
    drop((new, third));
    let seen: Vec<_> = rig
        .end()
        .iter()
        .map(|record| (record["path"].to_string(), record["listener"].to_string()))
        .collect();
    let of = |path: &str| seen.iter().find(|(of, _)| of == path).expect(path).1.as_str();
    assert_eq!(of("\"/old\""), "\"web\"");
    assert_eq!(of("\"/new\""), "\"renamed\"");
    assert_eq!(of("\"/third\""), "\"elsewhere\"");
}

// RUN-1, RUN-9: a panic in the turn of a change leaves the change in force, as elsewhere.
#[test]
fn a_panic_does_not_undo_a_change() {
    let ports = demo::start().expect("origins");
    let fuse = Arc::new(AtomicBool::new(false));
    let lit = Arc::clone(&fuse);
    let turn = move |proxy: &mut Proxy, kernel: &mut MioKernel, now: Time| {
        assert!(!lit.swap(false, Ordering::SeqCst), "a planted panic");
        drive::turn(proxy, kernel, now)
    };
    let first = config("web", any_port(), &ports[..1]);
    let rig = rig("change", &first, turn);
    get(&mut connect(rig.addr), "/");
    let elsewhere = Address::Ip("127.0.0.2:0".parse().expect("an address"));
    let second = config("elsewhere", elsewhere, &ports[1..2]);
    let (to_second, addr) = change(&second, &wanted(&first));
    fuse.store(true, Ordering::SeqCst);
    assert!(rig.handle.tell(Control::Apply(Box::new(to_second))));
    let reports = [rig.report(), rig.report()];
    assert!(reports.contains(&Report::Applied), "{reports:?}");
    assert!(get(&mut connect(addr.expect("TCP")), "/").ends_with("server 2\n"));
    assert!(TcpStream::connect(rig.addr).is_err());
    rig.end();
}

#[test]
fn waits_are_rounded_up() {
    assert_eq!(whole_millis(Duration::ZERO), Duration::ZERO);
    assert_eq!(whole_millis(Duration::from_nanos(1)), Duration::from_millis(1));
    assert_eq!(whole_millis(Duration::from_millis(7)), Duration::from_millis(7));
}

use super::*;
use crate::config::{LogConfig, Sink, from_str};
use crate::serve::log::Running;
use crate::serve::worker::{Start, Worker};
use crate::tls::Memory;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use tidegate_core::config::{Config, Listener};
use tidegate_core::drive;
use tidegate_core::input::Address;

const ROUTE: &str = "[cluster.a]\nservers = [\"127.0.0.1:1\"]\n[[route]]\nto = \"a\"\n";

fn text(bind: &str) -> String {
    format!("workers = 1\n[log]\naccess = \"off\"\n[listener.web]\nbind = \"{bind}\"\n{ROUTE}")
}

/// What the supervisor takes for bound already; no test binds it.
const IN_FORCE: &str = "127.0.0.1:9";

/// An address where nobody listens.
fn free() -> String {
    let listener = bind_all(&config_at("127.0.0.1:0"), &[], 1).expect("bound");
    listener[0][0].local.expect("TCP").to_string()
}

fn config_at(addr: &str) -> Config {
    let at = Address::Ip(addr.parse().expect("an address"));
    Config { listeners: vec![Listener::new("test", vec![at])], ..Config::default() }
}

/// A supervisor of one worker, which is not running: tests see what it is told, and answer.
struct Rig {
    supervisor: Supervisor,
    worker: Box<dyn FnMut() -> Option<Control>>,
    text: Arc<Mutex<String>>,
    _running: Running,
}

fn rig() -> Rig {
    let source = Arc::new(Mutex::new(text(IN_FORCE)));
    let read = Arc::clone(&source);
    let memory = Memory::default();
    let reader: Reader = Arc::new(move || {
        let loaded = from_str("test", &read.lock().expect("unpoisoned"), &memory);
        loaded.map_err(Refusal::Mistakes).and_then(|it| Prepared::new(it, false))
    });
    let in_force = reader().expect("valid");
    let options = LogConfig { access: Sink::Off, ..LogConfig::default() };
    let (log, running, mut records) = Log::start(options, 1).expect("a log");
    let (sender, inbox) = channel();
    let change = Change { shared: in_force.shared.clone(), bound: Vec::new() };
    let settings = in_force.settings.clone();
    let (origin, records) = (Origin::now(), records.remove(0));
    let recorder = crate::serve::Recorder { bytes: None, ..Default::default() };
    let flights = crate::serve::flight::Flights::new(recorder, 0, log.clone());
    let start = Start { index: 0, settings, change, origin, log: log.clone(), records, flights };
    let (worker, handle) =
        Worker::new(start, sender.clone(), drive::turn::<super::super::kernel::MioKernel>)
            .expect("a worker");
    let workers = vec![handle];
    let state = State::default();
    let supervisor = Supervisor { reader, in_force, workers, inbox, sender, log, origin, state };
    Rig {
        supervisor,
        worker: Box::new(move || worker.next_control()),
        text: source,
        _running: running,
    }
}

impl Rig {
    fn write(&self, text: String) {
        *self.text.lock().expect("unpoisoned") = text;
    }

    /// What the reading thread found.
    fn read(&mut self) {
        match self.supervisor.inbox.recv_timeout(Duration::from_secs(5)) {
            Ok(Message::Read(outcome)) => self.supervisor.read(outcome),
            _ => panic!("nothing was read"),
        }
    }

    fn told_to_apply(&mut self) -> bool {
        matches!((self.worker)(), Some(Control::Apply(_)))
    }
}

// RUN-9
#[test]
fn three_panics_within_a_minute_end_the_process() {
    let Rig { supervisor, .. } = rig();
    for _ in 0..3 {
        let panicked = Message::Worker(0, Report::Panicked { connections: 1 });
        supervisor.sender.send(panicked).expect("heard");
    }
    assert_eq!(supervisor.run(), 70);
}

// RUN-9
#[test]
fn panics_are_counted_over_a_minute() {
    let Rig { mut supervisor, .. } = rig();
    let mut panicked =
        |seconds: u64| supervisor.panicked(Time::ZERO.after(Duration::from_secs(seconds)), 0, 0);
    assert_eq!([panicked(0), panicked(30), panicked(61)], [None; 3]);
    assert_eq!(panicked(90), Some(70));
    assert_eq!(supervisor.heard(0, Report::Failed("no poll".into())), Some(70));
}

// RUN-2
#[test]
fn the_first_signal_stops_gracefully_and_the_second_at_once() {
    let Rig { mut supervisor, mut worker, .. } = rig();
    assert_eq!(supervisor.stop(), None);
    assert!(matches!(worker(), Some(Control::Stop)));
    assert_eq!(supervisor.heard(0, Report::Stopped { cut: 3 }), Some(0));

    let Rig { supervisor, worker: _worker, .. } = rig();
    supervisor.sender.send(Message::Signal(Signal::Stop)).expect("heard");
    supervisor.sender.send(Message::Signal(Signal::Stop)).expect("heard");
    assert_eq!(supervisor.run(), 1);
}

// RUN-1: whole or not at all.
#[test]
fn a_bad_file_changes_nothing() {
    let mut rig = rig();
    let before = Arc::clone(&rig.supervisor.in_force.shared.names);
    let held = bind_all(&config_at("127.0.0.1:0"), &[], 1).expect("bound");
    let taken = held[0][0].local.expect("TCP").to_string();
    let bad = [
        text(IN_FORCE).replace("to = \"a\"", "to = \"b\""),
        text(&taken),
        text(IN_FORCE).replace("workers = 1", "workers = 1\nmax_connections = 5"),
        text(IN_FORCE).replace("off", "stderr"),
    ];
    for text in bad {
        rig.write(text);
        rig.supervisor.reload();
        rig.read();
        assert!((rig.worker)().is_none());
        assert!(Arc::ptr_eq(&rig.supervisor.in_force.shared.names, &before));
        assert!(matches!(rig.supervisor.state.reload, Reload::Idle));
    }
}

// ACC-11: a limit of a server may fall below the workers that run, each of which keeps one.
#[test]
fn a_server_limit_changes_while_running() {
    let mut rig = rig();
    let server = "{ addr = \"127.0.0.1:1\", max_connections = 1 }";
    let limited = |workers: usize| {
        let workers = format!("workers = {workers}");
        text(IN_FORCE).replace("workers = 1", &workers).replace("\"127.0.0.1:1\"", server)
    };
    rig.write(limited(1));
    rig.supervisor.reload();
    rig.read();
    assert!(rig.told_to_apply());
    assert_eq!(rig.supervisor.heard(0, Report::Applied), None);
    // As if two had been started.
    rig.supervisor.in_force.workers_of_process = 2;
    rig.write(limited(2));
    rig.supervisor.reload();
    rig.read();
    assert!(rig.told_to_apply());
}

// RUN-1: requests to reload that come during one are one more, not lost and not many.
#[test]
fn reloads_follow_one_another() {
    let mut rig = rig();
    let addr = free();
    rig.write(text(&addr));
    rig.supervisor.reload();
    rig.supervisor.reload();
    rig.supervisor.reload();
    for _ in 0..2 {
        rig.read();
        assert!(rig.told_to_apply());
        assert!((rig.worker)().is_none());
        assert_eq!(rig.supervisor.heard(0, Report::Applied), None);
    }
    let bind = &rig.supervisor.in_force.shared.compiled.config().listeners[0].binds[0];
    assert_eq!(bind.to_string(), addr);
    // The worker of this test still holds what it started with, nobody the second one: that is
    // dropped here, and not there (RUN-5).
    assert_eq!(rig.supervisor.state.retired.len(), 2);
    rig.supervisor.sender.send(Message::Signal(Signal::ReopenLogs)).expect("heard");
    assert!(rig.supervisor.next_message().is_ok());
    assert_eq!(rig.supervisor.state.retired.len(), 1);
    assert!(matches!(rig.supervisor.state.reload, Reload::Idle));
}

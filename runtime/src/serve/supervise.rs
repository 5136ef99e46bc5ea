//! The main thread while the workers serve: signals, reloads, stops and panics.

use super::clock::Origin;
use super::kernel::Wanted;
use super::listen::{bind_all, wanted};
use super::log::{Log, Names, Topic};
use super::signals::Signal;
use super::worker::{Change, Control, Handle, Report};
use crate::config::{Level, Loaded};
use crate::diagnostic::{Diagnostic, Severity, render};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;
use tidegate_core::time::Time;

/// This many panics within [`PANIC_WINDOW`] end the process (RUN-9).
const PANICS_MAX: usize = 3;
const PANIC_WINDOW: Duration = Duration::from_secs(60);

/// Exit codes of `serve`.
pub(crate) const EXIT_AT_ONCE: u8 = 1;
/// `EX_SOFTWARE`: a fault of ours.
pub(crate) const EXIT_PANICS: u8 = 70;

/// What the main thread waits for.
pub(crate) enum Message {
    /// An operator's signal.
    Signal(Signal),
    /// What a worker has to say.
    Worker(usize, Report),
    /// A reload has read its configuration.
    Loaded(Result<Box<Loaded>, Vec<Diagnostic>>),
}

/// Reads the configuration again. May block: it runs on a thread of its own.
pub(crate) type Reader = Arc<dyn Fn() -> Result<Loaded, Vec<Diagnostic>> + Send + Sync>;

enum Reload {
    Idle,
    /// Being read and its names resolved.
    Reading,
    /// Handed to the workers. Each index stands for an answer that is missing.
    Applying {
        missing: Vec<usize>,
        loaded: Box<Loaded>,
    },
}

/// What the main thread knows.
pub(crate) struct Supervisor {
    pub(crate) reader: Reader,
    pub(crate) in_force: Loaded,
    pub(crate) workers: Vec<Handle>,
    pub(crate) inbox: Receiver<Message>,
    pub(crate) sender: Sender<Message>,
    pub(crate) log: Log,
    pub(crate) origin: Origin,
    pub(crate) state: State,
}

/// The part of a [`Supervisor`] that changes as it goes.
pub(crate) struct State {
    reload: Reload,
    reload_again: bool,
    stopping: bool,
    stopped: usize,
    cut: usize,
    panics: VecDeque<Time>,
}

impl Default for State {
    fn default() -> State {
        State {
            reload: Reload::Idle,
            reload_again: false,
            stopping: false,
            stopped: 0,
            cut: 0,
            panics: VecDeque::new(),
        }
    }
}

impl Supervisor {
    /// Serves until it is time to exit, with the code to exit with.
    pub(crate) fn run(mut self) -> u8 {
        loop {
            // `self.sender` lives, so there will be a next message.
            let Ok(message) = self.inbox.recv() else { return EXIT_PANICS };
            let ended = match message {
                Message::Signal(Signal::Stop) => self.stop(),
                Message::Signal(Signal::Reload) => {
                    self.reload();
                    None
                }
                Message::Signal(Signal::ReopenLogs) => {
                    self.log.reopen();
                    None
                }
                Message::Loaded(outcome) => {
                    self.loaded(outcome);
                    None
                }
                Message::Worker(worker, report) => self.heard(worker, report),
            };
            if let Some(code) = ended {
                return code;
            }
        }
    }

    fn stop(&mut self) -> Option<u8> {
        if self.state.stopping {
            self.log.say(Level::Warn, Topic::Stop, "stopped at once by a second signal");
            return Some(EXIT_AT_ONCE);
        }
        self.state.stopping = true;
        self.log.say(Level::Info, Topic::Stop, "stopping; a second signal stops at once");
        for (index, worker) in self.workers.iter().enumerate() {
            if !worker.tell(Control::Stop) {
                let text = format_args!("worker {index} does not listen; stopped at once");
                self.log.say(Level::Error, Topic::Stop, text);
                return Some(EXIT_AT_ONCE);
            }
        }
        None
    }

    fn heard(&mut self, worker: usize, report: Report) -> Option<u8> {
        match report {
            Report::Applied(outcome) => {
                self.applied(worker, outcome);
                None
            }
            Report::Stopped { cut } => self.stopped(cut),
            Report::Panicked { connections } => {
                let now = self.origin.time();
                self.panicked(now, worker, connections)
            }
            Report::Failed(why) => {
                let text = format_args!("worker {worker} cannot go on: {why}");
                self.log.say(Level::Error, Topic::Panic, text);
                Some(EXIT_PANICS)
            }
        }
    }

    fn stopped(&mut self, cut: usize) -> Option<u8> {
        self.state.stopped += 1;
        self.state.cut += cut;
        if self.state.stopped < self.workers.len() {
            return None;
        }
        match self.state.cut {
            0 => self.log.say(Level::Info, Topic::Stop, "stopped; every session had ended"),
            cut => {
                let text = format_args!("stopped; the drain deadline cut {cut} sessions");
                self.log.say(Level::Warn, Topic::Stop, text);
            }
        }
        Some(0)
    }

    fn panicked(&mut self, now: Time, worker: usize, connections: usize) -> Option<u8> {
        let panics = &mut self.state.panics;
        while panics.front().is_some_and(|&at| now.since(at) > PANIC_WINDOW) {
            panics.pop_front();
        }
        panics.push_back(now);
        let text = format_args!(
            "worker {worker} panicked, which is a bug of ours; {connections} connections were \
             closed and it goes on"
        );
        self.log.say(Level::Error, Topic::Panic, text);
        if panics.len() >= PANICS_MAX {
            let text = format_args!("{PANICS_MAX} panics within {PANIC_WINDOW:?}: giving up");
            self.log.say(Level::Error, Topic::Panic, text);
            return Some(EXIT_PANICS);
        }
        None
    }

    fn reload(&mut self) {
        if self.state.stopping {
            self.log.say(Level::Warn, Topic::Reload, "not reloaded: stopping");
            return;
        }
        if !matches!(self.state.reload, Reload::Idle) {
            self.state.reload_again = true;
            return;
        }
        let (reader, sender) = (Arc::clone(&self.reader), self.sender.clone());
        let thread = std::thread::Builder::new().name("reload".into()).spawn(move || {
            // Fails only while the process is ending.
            let _ = sender.send(Message::Loaded(reader().map(Box::new)));
        });
        match thread {
            Ok(_) => self.state.reload = Reload::Reading,
            Err(error) => self.refuse(format_args!("no thread to read it: {error}")),
        }
    }

    fn refuse(&self, why: impl std::fmt::Display) {
        let text = format_args!("not reloaded, nothing has changed: {why}");
        self.log.say(Level::Error, Topic::Reload, text);
    }

    fn loaded(&mut self, outcome: Result<Box<Loaded>, Vec<Diagnostic>>) {
        self.state.reload = Reload::Idle;
        if self.state.stopping {
            return;
        }
        match outcome {
            Err(diagnostics) => self.refuse(explain(&diagnostics)),
            Ok(loaded) => self.hand_over(loaded),
        }
        if matches!(self.state.reload, Reload::Idle) {
            self.next_reload();
        }
    }

    fn hand_over(&mut self, loaded: Box<Loaded>) {
        if !loaded.warnings.is_empty() {
            self.log.say(Level::Warn, Topic::Reload, explain(&loaded.warnings));
        }
        let fixed = fixed_differences(&self.in_force, &loaded);
        if !fixed.is_empty() {
            return self.refuse(format_args!(
                "{} cannot change while running; restart to change them, or put the old values \
                 back",
                fixed.join(", ")
            ));
        }
        let held: Vec<Wanted> = wanted(&self.in_force.config);
        let bound = match bind_all(&loaded.config, &held, self.workers.len()) {
            Ok(bound) => bound,
            Err(errors) => {
                let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
                return self.refuse(errors.join("\n"));
            }
        };
        let (config, names) = (Arc::new(loaded.config.clone()), Names::of(&loaded.config));
        let names = Arc::new(names);
        let mut missing = Vec::with_capacity(self.workers.len());
        for (index, (worker, bound)) in self.workers.iter().zip(bound).enumerate() {
            let change = Change { config: Arc::clone(&config), names: Arc::clone(&names), bound };
            if worker.tell(Control::Apply(Box::new(change))) {
                missing.push(index);
            } else {
                let text = format_args!("worker {index} does not listen: it keeps the old one");
                self.log.say(Level::Error, Topic::Reload, text);
            }
        }
        self.state.reload = Reload::Applying { missing, loaded };
    }

    fn applied(&mut self, worker: usize, outcome: Result<(), String>) {
        let Reload::Applying { missing, .. } = &mut self.state.reload else { return };
        missing.retain(|&index| index != worker);
        let complete = missing.is_empty();
        if let Err(why) = outcome {
            let text = format_args!("worker {worker} refused what validation accepted: {why}");
            self.log.say(Level::Error, Topic::Reload, text);
        }
        if !complete {
            return;
        }
        let reload = std::mem::replace(&mut self.state.reload, Reload::Idle);
        if let Reload::Applying { loaded, .. } = reload {
            let text = format_args!(
                "reloaded: {} listeners, {} clusters, {} routes",
                loaded.config.listeners.len(),
                loaded.config.clusters.len(),
                loaded.config.routes.len()
            );
            self.log.say(Level::Info, Topic::Reload, text);
            self.in_force = *loaded;
        }
        self.next_reload();
    }

    /// A reload that was asked for during another one.
    fn next_reload(&mut self) {
        if std::mem::take(&mut self.state.reload_again) {
            self.reload();
        }
    }
}

/// The keys that differ and that only a restart changes.
fn fixed_differences(old: &Loaded, new: &Loaded) -> Vec<&'static str> {
    let (a, b) = (&old.settings, &new.settings);
    let queue = |of: &tidegate_core::config::Settings| {
        (of.accept_queue_capacity, of.accept_queue_max_wait, of.accept_queue_evict_idle)
    };
    let keys = [
        ("workers", old.workers != new.workers),
        ("max_connections", a.max_connections != b.max_connections),
        ("accept_queue", queue(a) != queue(b)),
        ("buffers", (a.buffer_bytes, a.buffers_max) != (b.buffer_bytes, b.buffers_max)),
        ("zombie_check_interval", a.zombie_check_interval != b.zombie_check_interval),
        ("max_session_age", a.max_session_age != b.max_session_age),
        ("[log]", old.log != new.log),
    ];
    keys.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key).collect()
}

/// Every diagnostic as `check` shows it, and the command that tells more of the first error.
pub(crate) fn explain(diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push('\n');
        text.push_str(&render(diagnostic, false));
    }
    if let Some(first) = diagnostics.iter().find(|of| of.severity == Severity::Error) {
        text.push_str("next: ");
        text.push_str(&first.next());
    }
    text
}

#[cfg(test)]
mod tests;

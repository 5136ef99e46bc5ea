//! The main thread while the workers serve: signals, reloads, stops and panics.

use super::clock::Origin;
use super::kernel::Wanted;
use super::listen::{self, bind_all, wanted};
use super::log::{Log, Topic};
use super::prepare::{Prepared, Shared};
use super::refusal::Refusal;
use super::signals::Signal;
use super::worker::{Change, Control, Handle, Report};
use crate::config::Level;
use crate::diagnostic::{Diagnostic, render};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
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
    Read(Result<Box<Prepared>, Refusal>),
}

/// Reads the configuration again. May block: it runs on a thread of its own.
pub(crate) type Reader = Arc<dyn Fn() -> Result<Prepared, Refusal> + Send + Sync>;

/// How often old configurations are looked at, whether they can be dropped.
const RETIRED_CHECK: Duration = Duration::from_secs(1);

enum Reload {
    Idle,
    /// Being read and its names resolved.
    Reading,
    /// Handed to the workers. Each index stands for an answer that is missing.
    Applying {
        missing: Vec<usize>,
        prepared: Box<Prepared>,
    },
}

/// What the main thread knows.
pub(crate) struct Supervisor {
    pub(crate) reader: Reader,
    pub(crate) in_force: Prepared,
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
    /// No longer in force, but perhaps in use by sessions of a worker. They are dropped here, so
    /// that no worker stands still for it (RUN-5).
    retired: Vec<Shared>,
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
            retired: Vec::new(),
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
            let message = match self.next_message() {
                Ok(message) => message,
                Err(RecvTimeoutError::Timeout) => continue,
                // `self.sender` lives, so that this does not happen.
                Err(RecvTimeoutError::Disconnected) => return EXIT_PANICS,
            };
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
                Message::Signal(Signal::Record) => {
                    self.record();
                    None
                }
                Message::Read(outcome) => {
                    self.read(outcome);
                    None
                }
                Message::Worker(worker, report) => self.heard(worker, report),
            };
            if let Some(code) = ended {
                return code;
            }
        }
    }

    fn next_message(&mut self) -> Result<Message, RecvTimeoutError> {
        self.state.retired.retain(|shared| !shared.is_last());
        if self.state.retired.is_empty() {
            return self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected);
        }
        self.inbox.recv_timeout(RETIRED_CHECK)
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

    /// Every worker writes its flight recording.
    fn record(&self) {
        for (index, worker) in self.workers.iter().enumerate() {
            if !worker.ask_recording() {
                let text = format_args!("worker {index} does not listen: it writes no recording");
                self.log.say(Level::Error, Topic::Flight, text);
            }
        }
    }

    fn heard(&mut self, worker: usize, report: Report) -> Option<u8> {
        match report {
            Report::Applied => {
                self.applied(worker);
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
            let _ = sender.send(Message::Read(reader().map(Box::new)));
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

    fn read(&mut self, outcome: Result<Box<Prepared>, Refusal>) {
        self.state.reload = Reload::Idle;
        if self.state.stopping {
            return;
        }
        match outcome {
            Err(refusal) => self.refuse(format_args!("\n{}", refusal.text(false).trim_end())),
            Ok(prepared) => self.hand_over(prepared),
        }
        if matches!(self.state.reload, Reload::Idle) {
            self.next_reload();
        }
    }

    fn hand_over(&mut self, prepared: Box<Prepared>) {
        if !prepared.warnings.is_empty() {
            self.log.say(Level::Warn, Topic::Reload, warnings(&prepared.warnings));
        }
        let fixed = fixed_differences(&self.in_force, &prepared);
        if !fixed.is_empty() {
            return self.refuse(format_args!(
                "{} cannot change while running; restart to change them, or put the old values \
                 back",
                fixed.join(", ")
            ));
        }
        if prepared.workers < self.workers.len() {
            let text = format_args!(
                "a server's max_connections is lower than the {} workers that run, each of which \
                 keeps one connection to it at least: restart to start only {}",
                self.workers.len(),
                prepared.workers
            );
            self.log.say(Level::Warn, Topic::Reload, text);
        }
        let held: Vec<Wanted> = wanted(self.in_force.shared.compiled.config());
        let bound = match bind_all(prepared.shared.compiled.config(), &held, self.workers.len()) {
            Ok(bound) => bound,
            Err(errors) => {
                let text = listen::refusal(&errors).text(false);
                return self.refuse(format_args!("\n{}", text.trim_end()));
            }
        };
        let mut missing = Vec::with_capacity(self.workers.len());
        for (index, (worker, bound)) in self.workers.iter().zip(bound).enumerate() {
            let change = Change { shared: prepared.shared.clone(), bound };
            if worker.tell(Control::Apply(Box::new(change))) {
                missing.push(index);
            } else {
                let text = format_args!("worker {index} does not listen: it keeps the old one");
                self.log.say(Level::Error, Topic::Reload, text);
            }
        }
        self.state.reload = Reload::Applying { missing, prepared };
    }

    fn applied(&mut self, worker: usize) {
        let Reload::Applying { missing, .. } = &mut self.state.reload else { return };
        missing.retain(|&index| index != worker);
        if !missing.is_empty() {
            return;
        }
        let reload = std::mem::replace(&mut self.state.reload, Reload::Idle);
        if let Reload::Applying { prepared, .. } = reload {
            let config = prepared.shared.compiled.config();
            let text = format_args!(
                "reloaded: {} listeners, {} clusters, {} routes",
                config.listeners.len(),
                config.clusters.len(),
                config.routes.len()
            );
            self.log.say(Level::Info, Topic::Reload, text);
            let old = std::mem::replace(&mut self.in_force, *prepared);
            self.state.retired.push(old.shared);
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
fn fixed_differences(old: &Prepared, new: &Prepared) -> Vec<&'static str> {
    let (a, b) = (&old.settings, &new.settings);
    let queue = |of: &tidegate_core::config::Settings| {
        (of.accept_queue_capacity, of.accept_queue_max_wait, of.accept_queue_evict_idle)
    };
    let keys = [
        ("workers", old.workers_of_process != new.workers_of_process),
        ("max_connections", a.max_connections != b.max_connections),
        ("accept_queue", queue(a) != queue(b)),
        ("buffers", (a.buffer_bytes, a.buffers_max) != (b.buffer_bytes, b.buffers_max)),
        ("zombie_check_interval", a.zombie_check_interval != b.zombie_check_interval),
        ("max_session_age", a.max_session_age != b.max_session_age),
        ("[log]", old.log != new.log),
    ];
    keys.iter().filter(|(_, differs)| *differs).map(|(key, _)| *key).collect()
}

/// Warnings as `check` shows them.
pub(crate) fn warnings(diagnostics: &[Diagnostic]) -> String {
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push('\n');
        text.push_str(render(diagnostic, false).trim_end());
    }
    text
}

#[cfg(test)]
mod tests;

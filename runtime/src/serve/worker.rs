//! One worker: one thread, one poll, one [`Proxy`] (RUN-4).

mod tell;

use super::clock::{Clock, Origin};
use super::flight::{Cause, Flights};
use super::kernel::{MioKernel, Wanted};
use super::listen::{Bound, wanted};
use super::log::{Encoder, Log, RingWriter, Topic, Versions};
use super::prepare::Shared;
use super::supervise::Message;
use crate::config::Level;
use mio::{Events, Poll, Token, Waker};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::time::Duration;
use tidegate_core::config::Settings;
use tidegate_core::event::Event;
use tidegate_core::flight::Recording;
use tidegate_core::id::SocketId;
use tidegate_core::input::{Readiness, SocketError};
use tidegate_core::time::Time;
use tidegate_core::{Proxy, drive};

/// Events fetched at once.
const EVENTS_MAX: usize = 1024;
/// Messages that may wait for a worker; the supervisor sends one and waits for its answer.
const CONTROL_MAX: usize = 4;
/// How soon records that could not be handed over are offered again.
const LOG_RETRY: Duration = Duration::from_millis(20);
/// Turns in a row, each of [`drive::STEPS_MAX`] steps, that what the kernel has already told of can
/// keep a worker busy with: a receive buffer of 6 MiB full of the shortest requests, each of which
/// takes some six steps, is half of it.
const SILENT_TURNS_MAX: u32 = 1024;
/// No socket has this token: its index would be the last of all.
const WAKER: Token = Token(usize::MAX);

/// What the supervisor tells a worker.
pub(crate) enum Control {
    /// Apply a configuration that was compiled and bound before.
    Apply(Box<Change>),
    /// Stop gracefully (RUN-2).
    Stop,
}

/// A configuration on its way to a worker.
pub(crate) struct Change {
    pub(crate) shared: Shared,
    /// The worker's own sockets for the addresses that are new.
    pub(crate) bound: Vec<Bound>,
}

/// What a worker tells the supervisor.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Report {
    /// An `Apply` was carried out.
    Applied,
    /// The graceful stop is complete; the drain deadline cut this many sessions.
    Stopped { cut: usize },
    /// A turn panicked; this many connections were closed (RUN-9).
    Panicked { connections: usize },
    /// The worker cannot go on.
    Failed(String),
}

/// The supervisor's end of a worker.
pub(crate) struct Handle {
    control: SyncSender<Control>,
    /// A flight recording is asked for: however often, it is one.
    record: Arc<AtomicBool>,
    waker: Waker,
}

impl Handle {
    /// Sends `control`; false if the worker is gone or does not listen.
    pub(crate) fn tell(&self, control: Control) -> bool {
        self.control.try_send(control).is_ok() && self.waker.wake().is_ok()
    }

    /// Asks for the flight recording; false if the worker cannot be woken.
    pub(crate) fn ask_recording(&self) -> bool {
        self.record.store(true, Ordering::Release);
        self.waker.wake().is_ok()
    }
}

/// What a worker starts with.
pub(crate) struct Start {
    pub(crate) index: usize,
    pub(crate) settings: Settings,
    pub(crate) change: Change,
    pub(crate) origin: Origin,
    pub(crate) log: Log,
    pub(crate) records: RingWriter,
    pub(crate) flights: Flights,
}

/// What one turn does with the proxy. Production passes [`drive::turn`]; a test, a turn that
/// panics.
pub(crate) trait Turn: FnMut(&mut Proxy, &mut MioKernel, Time) -> bool {}
impl<F: FnMut(&mut Proxy, &mut MioKernel, Time) -> bool> Turn for F {}

/// A worker, before and while it runs.
pub(crate) struct Worker<F> {
    index: usize,
    settings: Settings,
    shared: Shared,
    poll: Poll,
    kernel: MioKernel,
    clock: Clock,
    control: Receiver<Control>,
    /// See [`Handle`].
    record: Arc<AtomicBool>,
    reports: Sender<Message>,
    log: Log,
    encoder: Encoder,
    records: RingWriter,
    flights: Flights,
    /// Turns in a row that had work left and heard nothing from the kernel.
    silent_turns: u32,
    versions: Versions,
    version: u64,
    stopping: bool,
    /// Connections closed because the accept queue was full, or because they waited too long.
    shed: (u64, u64),
    /// The supervisor waits for the answer to an `Apply`.
    applying: bool,
    /// Look for messages whether or not the waker says so: a panic loses its event.
    look: bool,
    turn: F,
}

/// Why a turn ended the loop.
enum Ended {
    Stopped { cut: usize },
    Panicked,
    Failed(String),
}

/// Starts a worker's thread with the production turn.
pub(crate) fn spawn(start: Start, reports: Sender<Message>) -> std::io::Result<Handle> {
    let (worker, handle) = Worker::new(start, reports, drive::turn::<MioKernel>)?;
    let name = format!("worker-{}", worker.index);
    std::thread::Builder::new().name(name).spawn(move || worker.run())?;
    Ok(handle)
}

impl<F: Turn> Worker<F> {
    pub(crate) fn new(
        start: Start,
        reports: Sender<Message>,
        turn: F,
    ) -> std::io::Result<(Worker<F>, Handle)> {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), WAKER)?;
        let (sender, control) = sync_channel(CONTROL_MAX);
        let record = Arc::new(AtomicBool::new(false));
        let mut kernel = MioKernel::new(poll.registry().try_clone()?);
        let Change { shared, bound } = start.change;
        kernel.prepare(bound, wanted(shared.compiled.config()));
        let worker = Worker {
            index: start.index,
            settings: start.settings,
            shared,
            poll,
            kernel,
            clock: Clock::new(start.origin),
            control,
            record: Arc::clone(&record),
            reports,
            encoder: Encoder::new(start.log.format()),
            log: start.log,
            records: start.records,
            flights: start.flights,
            silent_turns: 0,
            versions: Versions::default(),
            version: 0,
            stopping: false,
            shed: (0, 0),
            applying: false,
            look: true,
            turn,
        };
        Ok((worker, Handle { control: sender, record, waker }))
    }

    /// Serves until a graceful stop is complete, or nothing can be served any more.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            let (ended, recording) = match self.new_proxy() {
                Ok(mut proxy) => {
                    let ended = self.serve(&mut proxy, &mut events);
                    let recording = matches!(ended, Ended::Panicked).then(|| self.rescue(&proxy));
                    // What broke the proxy may break its end, too.
                    let _ = catch_unwind(AssertUnwindSafe(move || drop(proxy)));
                    (ended, recording.flatten())
                }
                Err(ended) => (ended, None),
            };
            let connections = self.kernel.restart();
            if let Some(recording) = recording {
                // No client waits for this any more; the supervisor hears of the panic after it,
                // since the process may end then.
                let write = || self.flights.write(recording, Cause::Panic, true);
                if catch_unwind(AssertUnwindSafe(write)).is_err() {
                    let text = format_args!("worker {}: its recording panicked, too", self.index);
                    self.log.say(Level::Error, Topic::Flight, text);
                }
            }
            let report = match ended {
                Ended::Panicked => Report::Panicked { connections },
                Ended::Stopped { cut } => Report::Stopped { cut },
                Ended::Failed(why) => Report::Failed(why),
            };
            let goes_on = matches!(report, Report::Panicked { .. });
            if !goes_on {
                // Before the report: the process ends soon after it.
                self.records.finish();
                self.flights.finish();
                let _ = self.reports.send(Message::Worker(self.index, report));
                return;
            }
            self.report(report);
        }
    }

    fn report(&self, report: Report) {
        // Fails only while the process is ending.
        let _ = self.reports.send(Message::Worker(self.index, report));
    }

    /// A proxy with the configuration in force and a seed from the operating system (RUN-11).
    fn new_proxy(&mut self) -> Result<Proxy, Ended> {
        let mut seed = [0; 32];
        let drawn = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty());
        if drawn != Ok(seed.len()) {
            return Err(Ended::Failed("the operating system gave no random seed".into()));
        }
        let (settings, compiled) = (self.settings.clone(), self.shared.compiled.clone());
        let (stopping, ring_bytes) = (self.stopping, self.flights.ring_bytes());
        let made = catch_unwind(AssertUnwindSafe(move || {
            let mut proxy = Proxy::with_compiled(settings, seed, compiled);
            if let Some(bytes) = ring_bytes {
                proxy.record(bytes);
            }
            if stopping {
                proxy.stop();
            }
            proxy
        }));
        self.versions = Versions::default();
        self.flights.forget();
        self.version = 0;
        self.add_version();
        self.look = true;
        let Ok(proxy) = made else { return Err(Ended::Panicked) };
        if std::mem::take(&mut self.applying) {
            self.report(Report::Applied);
        }
        Ok(proxy)
    }

    /// The core counts its configurations from 1; so do the names.
    fn add_version(&mut self) {
        self.version += 1;
        self.versions.push(self.version, Arc::clone(&self.shared.names));
        if let Some(flown) = &self.shared.flown {
            self.flights.version(self.version, Arc::clone(flown));
        }
    }

    fn serve(&mut self, proxy: &mut Proxy, events: &mut Events) -> Ended {
        // The first turn opens the listeners: nothing is awaited before it.
        let mut wait = Duration::ZERO;
        loop {
            if let Err(error) = self.poll.poll(events, Some(wait))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                return Ended::Failed(format!("the poll failed: {error}"));
            }
            match catch_unwind(AssertUnwindSafe(|| self.one_turn(proxy, events))) {
                Ok(Ok(next)) => wait = next,
                Ok(Err(ended)) => return ended,
                Err(_) => return Ended::Panicked,
            }
        }
    }

    /// Hands events to the proxy and lets it work. Returns how long to wait for the next ones.
    fn one_turn(&mut self, proxy: &mut Proxy, events: &Events) -> Result<Duration, Ended> {
        let now = self.clock.read();
        proxy.advance(now);
        proxy.set_wall_clock(self.clock.unix_millis(now));
        for event in events {
            if event.token() == WAKER {
                self.look = true;
                continue;
            }
            let readiness = Readiness {
                readable: event.is_readable(),
                writable: event.is_writable(),
                read_closed: event.is_read_closed(),
                error: event.is_error(),
            };
            proxy.ready(SocketId::from_bits(event.token().0 as u64), readiness);
        }
        if std::mem::take(&mut self.look) {
            self.obey(proxy);
        }
        let mut work_left = (self.turn)(proxy, &mut self.kernel, now);
        self.kernel.drop_unclaimed();
        self.kernel.register_fresh(|id| {
            proxy.failed(id, SocketError::Resources, false);
            work_left = true;
        });
        let mut stopped = None;
        while let Some(event) = proxy.poll_event() {
            if let Event::Stopped { cut } = event {
                stopped = Some(cut);
            }
            self.heed(proxy, &event);
        }
        if self.has_run_away(work_left && events.is_empty()) {
            self.record(proxy, Cause::Runaway);
        }
        self.tell_shed(proxy);
        if let Some(cut) = stopped {
            return Err(Ended::Stopped { cut });
        }
        let flushed = self.records.flush();
        if work_left {
            return Ok(Duration::ZERO);
        }
        let (due, _) = proxy.next_deadline();
        let wait = whole_millis(due.since(now));
        Ok(if flushed { wait } else { wait.min(LOG_RETRY) })
    }

    /// Tells of what happened, and writes the recording of a fault of ours: one, however many
    /// sessions a turn finds.
    fn heed(&mut self, proxy: &Proxy, event: &Event) {
        self.tell(event);
        if matches!(event, Event::Zombie { .. } | Event::Broken { .. }) {
            self.record(proxy, Cause::Zombie);
        }
    }

    /// Counts turns that had work left though the kernel told nothing; whether that goes on for
    /// longer than any input can explain. Told once, until the kernel is heard of again.
    fn has_run_away(&mut self, is_silent: bool) -> bool {
        self.silent_turns = if is_silent { self.silent_turns.saturating_add(1) } else { 0 };
        let has = self.silent_turns == SILENT_TURNS_MAX;
        if has {
            let text = format_args!(
                "worker {}: the loop has gone on for {SILENT_TURNS_MAX} turns without a word from \
                 the kernel; this is a bug of ours",
                self.index
            );
            self.log.say(Level::Error, Topic::Flight, text);
        }
        has
    }

    /// Writes what the proxy recorded, if that is wanted now.
    fn record(&mut self, proxy: &Proxy, cause: Cause) {
        if self.flights.wants(cause, proxy.now())
            && let Some(recording) = proxy.recording()
        {
            self.flights.write(recording, cause, false);
        }
    }

    /// What a proxy that panicked had recorded: what broke it may break this, too.
    fn rescue(&mut self, proxy: &Proxy) -> Option<Recording> {
        let wants = self.flights.wants(Cause::Panic, proxy.now());
        let copy = || wants.then(|| proxy.recording()).flatten();
        catch_unwind(AssertUnwindSafe(copy)).ok().flatten()
    }

    /// Carries out what the supervisor said.
    fn obey(&mut self, proxy: &mut Proxy) {
        if self.record.swap(false, Ordering::Acquire) {
            self.record(proxy, Cause::Asked);
        }
        while let Ok(control) = self.control.try_recv() {
            match control {
                Control::Stop => {
                    self.stopping = true;
                    let none: Vec<Wanted> = Vec::new();
                    self.kernel.prepare(Vec::new(), none);
                    proxy.stop();
                }
                Control::Apply(change) => self.apply(proxy, *change),
            }
        }
    }

    fn apply(&mut self, proxy: &mut Proxy, change: Change) {
        let Change { shared, bound } = change;
        // Everything is in its place before the proxy hears of it: should it panic, the next one
        // begins with the new configuration, as the other workers do.
        self.kernel.prepare(bound, wanted(shared.compiled.config()));
        self.shared = shared;
        self.applying = true;
        proxy.install(self.shared.compiled.clone());
        self.applying = false;
        self.add_version();
        self.report(Report::Applied);
    }
}

#[cfg(test)]
impl<F: Turn> Worker<F> {
    /// What the supervisor said, for tests that play the worker.
    pub(crate) fn next_control(&self) -> Option<Control> {
        self.control.try_recv().ok()
    }
}

/// `span` in whole milliseconds, rounded up: a poll that returned too early would spin.
fn whole_millis(span: Duration) -> Duration {
    let millis = span.as_nanos().div_ceil(1_000_000);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;

//! The server: workers around the core, and what surrounds them.
//!
//! | module | what it does |
//! |---|---|
//! | `worker` | one thread, one poll, one `Proxy`: the loop |
//! | `kernel` | its system calls |
//! | `prepare`, `refusal` | a configuration made ready for workers, or why it is not served |
//! | `supervise` | the main thread: signals, reloads, stops, panics |
//! | `listen` | binds every address, or none |
//! | `log` | access records and diagnostics, written by one thread |
//! | `flight` | recordings of what crossed the boundary, written to files |
//! | `limits`, `signals`, `clock` | what their names say |
//! | `demo` | the demo's built-in origins |

mod clock;
mod demo;
mod flight;
mod kernel;
mod limits;
mod listen;
mod log;
mod prepare;
mod refusal;
mod signals;
mod supervise;
mod worker;

pub use flight::Recorder;
pub use refusal::Refusal;

use crate::config::{Level, Loaded, Source, demo_config, divide, from_str, load};
use crate::diagnostic::Diagnostic;
use crate::tls::Memory;
use clock::Origin;
use flight::Flights;
use log::{Log, RingWriter, Topic};
use prepare::Prepared;
use std::io::Write;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use supervise::{Message, Reader, State, Supervisor, warnings};
use worker::{Change, Handle, Start};

/// How long the end waits for a log that cannot be written.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// Serves what `source` says, recorded by `recorder`, until a signal ends it, and returns the
/// code to exit with: 0 after a
/// graceful stop, 1 when a second signal stopped it at once, 70 when workers panicked three times
/// in a minute (RUN-2, RUN-9).
///
/// # Errors
///
/// Why it could not begin: nothing was served.
pub fn run(source: Source, recorder: &Recorder) -> Result<u8, Refusal> {
    let (reader, hello) = reader(source, recorder.bytes.is_some())?;
    let in_force = reader()?;
    let files = limits::raise_open_files(in_force.settings.max_connections)
        .map_err(|error| Refusal::machine(&error, error.next()))?;
    // Before anybody can connect: a TERM that meets no handler would cut off who waits (RUN-2).
    let (sender, inbox) = channel();
    signals::listen(sender.clone()).map_err(|error| {
        let why = format_args!("signals cannot be listened to: {error}");
        Refusal::machine(why, "ulimit -n")
    })?;
    let bound = listen::bind_all(in_force.shared.compiled.config(), &[], in_force.workers)
        .map_err(|errors| listen::refusal(&errors))?;
    let (log, running, records) = Log::start(in_force.log.clone(), in_force.workers)?;
    if !in_force.warnings.is_empty() {
        log.say(Level::Warn, Topic::Start, warnings(&in_force.warnings));
    }
    report_panics(log.clone());
    announce(&log, &bound, files);
    let origin = Origin::now();
    let workers = start_workers(&in_force, bound, records, &log, origin, recorder, &sender)?;
    if let Some(hello) = hello {
        let _ = std::io::stdout().write_all(hello.as_bytes());
    }
    let state = State::default();
    let supervisor = Supervisor { reader, in_force, workers, inbox, sender, log, origin, state };
    let code = supervisor.run();
    running.finish(LOG_PATIENCE);
    Ok(code)
}

/// How the configuration is read, now and at each reload; for the demo, after its origins were
/// started, and with what to try.
fn reader(source: Source, records: bool) -> Result<(Reader, Option<String>), Refusal> {
    let prepare = move |loaded: Result<Loaded, Vec<Diagnostic>>| {
        loaded.map_err(Refusal::Mistakes).and_then(|it| Prepared::new(it, records))
    };
    // It outlives every version: what a reload leaves as it is stays the very same.
    let memory = Memory::default();
    Ok(match source {
        Source::File(path) => (Arc::new(move || prepare(load(&path, &memory))), None),
        Source::Text { name, text } => {
            (Arc::new(move || prepare(from_str(&name, &text, &memory))), None)
        }
        Source::Demo => {
            let ports = demo::start().map_err(|error| {
                let why = format_args!("the demo's origins cannot be started: {error}");
                Refusal::machine(why, "ip addr show lo")
            })?;
            let text = demo_config(ports);
            (Arc::new(move || prepare(from_str("demo", &text, &memory))), Some(demo::HELLO.into()))
        }
    })
}

fn announce(log: &Log, bound: &[Vec<listen::Bound>], files: u64) {
    for socket in bound.iter().take(1).flatten() {
        match socket.local {
            Some(local) => log.say(Level::Info, Topic::Start, format_args!("listening on {local}")),
            None => log.say(Level::Info, Topic::Start, format_args!("listening on {}", socket.at)),
        }
    }
    let text = format_args!("{} workers, {files} files may be open", bound.len());
    log.say(Level::Debug, Topic::Start, text);
}

fn start_workers(
    in_force: &Prepared,
    bound: Vec<Vec<listen::Bound>>,
    records: Vec<RingWriter>,
    log: &Log,
    origin: Origin,
    recorder: &Recorder,
    sender: &Sender<Message>,
) -> Result<Vec<Handle>, Refusal> {
    let mut workers = Vec::with_capacity(in_force.workers);
    for (index, (bound, records)) in bound.into_iter().zip(records).enumerate() {
        let change = Change { shared: in_force.shared.clone(), bound };
        let settings = divide(&in_force.settings, in_force.workers, index);
        let flights = Flights::new(recorder.clone(), index, log.clone());
        let log = log.clone();
        let start = Start { index, settings, change, origin, log, records, flights };
        workers.push(worker::spawn(start, sender.clone()).map_err(Refusal::thread)?);
    }
    Ok(workers)
}

/// Panics of workers go to the log, where they happened; those of other threads to standard
/// error as usual.
fn report_panics(log: Log) {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        match thread.name() {
            Some(name) if name.starts_with("worker-") => {
                log.say(Level::Error, Topic::Panic, format_args!("{name}: {panic}"));
            }
            _ => usual(panic),
        }
    }));
}

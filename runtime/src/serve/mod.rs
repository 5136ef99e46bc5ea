//! The server: workers around the core, and what surrounds them.
//!
//! | module | what it does |
//! |---|---|
//! | `worker` | one thread, one poll, one `Proxy`: the loop |
//! | `kernel` | its system calls |
//! | `supervise` | the main thread: signals, reloads, stops, panics |
//! | `listen` | binds every address, or none |
//! | `log` | access records and diagnostics, written by one thread |
//! | `limits`, `signals`, `clock` | what their names say |
//! | `demo` | the demo's built-in origins |

mod clock;
mod demo;
mod kernel;
mod limits;
mod listen;
mod log;
mod signals;
mod supervise;
mod worker;

use crate::config::{Level, Loaded, Source, demo_config, divide, from_str, load};
use crate::diagnostic::Diagnostic;
use clock::Origin;
use log::{Log, Names, RingWriter, Topic};
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use supervise::{Message, Reader, State, Supervisor, explain};
use worker::{Change, Handle, Start};

/// How long the end waits for a log that cannot be written.
const LOG_PATIENCE: Duration = Duration::from_secs(2);

/// Serves what `source` says until a signal ends it.
///
/// Exit codes: 0 after a graceful stop, 1 when it could not start or a second signal stopped it
/// at once, 70 when workers panicked three times in a minute (RUN-2, RUN-9).
pub fn run(source: Source) -> ExitCode {
    match try_run(source) {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            // Where even standard error fails, nobody is left to be told.
            let _ = writeln!(std::io::stderr(), "error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(source: Source) -> Result<u8, String> {
    let (reader, hello) = reader(source)?;
    let refused = |diagnostics: Vec<Diagnostic>| {
        format!("the configuration is refused\n{}", explain(&diagnostics))
    };
    let in_force = reader().map_err(refused)?;
    let files = limits::raise_open_files(in_force.settings.max_connections);
    let files = files.map_err(|error| error.to_string())?;
    let bound = listen::bind_all(&in_force.config, &[], in_force.workers).map_err(|errors| {
        errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\nerror: ")
    })?;
    let (log, running, records) = Log::start(in_force.log.clone(), in_force.workers)?;
    if !in_force.warnings.is_empty() {
        log.say(Level::Warn, Topic::Start, explain(&in_force.warnings));
    }
    report_panics(log.clone());
    let (sender, inbox) = channel();
    let no_signals = |error| format!("signals cannot be listened to: {error}");
    signals::listen(sender.clone()).map_err(no_signals)?;
    announce(&log, &bound, files);
    let origin = Origin::now();
    let workers = start_workers(&in_force, bound, records, &log, origin, &sender)?;
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
fn reader(source: Source) -> Result<(Reader, Option<String>), String> {
    Ok(match source {
        Source::File(path) => (Arc::new(move || load(&path)), None),
        Source::Text { name, text } => (Arc::new(move || from_str(&name, &text)), None),
        Source::Demo => {
            let ports = demo::start()
                .map_err(|error| format!("the demo's origins cannot be started: {error}"))?;
            let text = demo_config(ports);
            (Arc::new(move || from_str("demo", &text)), Some(demo::HELLO.into()))
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
    in_force: &Loaded,
    bound: Vec<Vec<listen::Bound>>,
    records: Vec<RingWriter>,
    log: &Log,
    origin: Origin,
    sender: &Sender<Message>,
) -> Result<Vec<Handle>, String> {
    let config = Arc::new(in_force.config.clone());
    let names = Arc::new(Names::of(&config));
    let mut workers = Vec::with_capacity(in_force.workers);
    for (index, (bound, records)) in bound.into_iter().zip(records).enumerate() {
        let change = Change { config: Arc::clone(&config), names: Arc::clone(&names), bound };
        let settings = divide(&in_force.settings, in_force.workers, index);
        let start = Start { index, settings, change, origin, log: log.clone(), records };
        let worker = worker::spawn(start, sender.clone());
        let failed = |error| format!("worker {index} cannot be started: {error}");
        workers.push(worker.map_err(failed)?);
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

//! Where flight recordings go: files, written when an operator asks, or when something is wrong.

use super::log::{Log, Topic};
use crate::config::Level;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::flight::{RING_BYTES, Recording};
use tidegate_core::time::Time;

/// Configurations that a worker keeps for its recordings, the newest ones.
const VERSIONS_MAX: usize = 8;
/// Recordings that nobody asked for: one of a worker within this time at most, so that a fault that
/// repeats does not fill the disk.
const UNASKED_PAUSE: Duration = Duration::from_secs(600);

/// Whether and where flights are recorded.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// Bytes of each worker's ring; none when nothing is recorded.
    pub bytes: Option<usize>,
    /// Where recordings are written; it is created when it is missing.
    pub dir: PathBuf,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder { bytes: Some(RING_BYTES), dir: PathBuf::from(".") }
    }
}

/// Why a recording is written.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// SIGQUIT.
    Asked,
    /// A turn panicked (RUN-9).
    Panic,
    /// The zombie checker ended a session, or one was found broken (SES-4, RUN-5).
    Zombie,
    /// The loop went on and on without a word from the kernel (LOOP-5).
    Runaway,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Cause::Asked => "SIGQUIT",
            Cause::Panic => "a panic",
            Cause::Zombie => "a zombie",
            Cause::Runaway => "a runaway loop",
        }
    }
}

/// One worker's recordings.
pub(crate) struct Flights {
    recorder: Recorder,
    worker: usize,
    log: Log,
    /// Serial numbers and bytes of the newest configurations.
    versions: Vec<(u64, Arc<[u8]>)>,
    written: u32,
    unasked: Option<Time>,
}

impl Flights {
    pub(crate) fn new(recorder: Recorder, worker: usize, log: Log) -> Flights {
        Flights { recorder, worker, log, versions: Vec::new(), written: 0, unasked: None }
    }

    /// Bytes of the ring that a proxy is to record into.
    pub(crate) fn ring_bytes(&self) -> Option<usize> {
        self.recorder.bytes
    }

    /// A proxy is made anew: its configurations count from 1.
    pub(crate) fn forget(&mut self) {
        self.versions.clear();
    }

    /// A configuration came into force.
    pub(crate) fn version(&mut self, serial: u64, bytes: Arc<[u8]>) {
        self.versions.push((serial, bytes));
        let surplus = self.versions.len().saturating_sub(VERSIONS_MAX);
        self.versions.drain(..surplus);
    }

    /// Writes `recording` to a file, on a thread of its own unless `waits`: masking and writing
    /// 16 MiB takes longer than a worker may stand still.
    pub(crate) fn write(&mut self, recording: Recording, cause: Cause, now: Time, waits: bool) {
        if cause == Cause::Zombie || cause == Cause::Runaway {
            if self.unasked.is_some_and(|last| now.since(last) < UNASKED_PAUSE) {
                return;
            }
            self.unasked = Some(now);
        }
        self.written += 1;
        let process = std::process::id();
        let name = format!("tidegate-{process}-w{}-{}.rec", self.worker, self.written);
        let path = self.recorder.dir.join(name);
        let about = format!(
            "tidegate {}\nprocess {process}, worker {}\nwritten because of {}\n",
            env!("CARGO_PKG_VERSION"),
            self.worker,
            cause.name()
        );
        let (versions, log, worker) = (self.versions.clone(), self.log.clone(), self.worker);
        let work = move || {
            let configs: Vec<(u64, &[u8])> = versions.iter().map(|it| (it.0, &*it.1)).collect();
            let result = store(&path, &recording.write(&about, &configs));
            tell(&log, worker, cause, &path, result);
        };
        if waits {
            return work();
        }
        let thread = std::thread::Builder::new().name("flight".into()).spawn(work);
        if let Err(error) = thread {
            let text = format_args!("worker {worker}: no thread to write a recording: {error}");
            self.log.say(Level::Error, Topic::Flight, text);
        }
    }
}

/// The file appears whole, under its own name, readable by its owner alone.
fn store(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let partial = path.with_extension("rec.part");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(bytes)?;
    drop(file);
    fs::rename(&partial, path)
}

fn tell(log: &Log, worker: usize, cause: Cause, path: &Path, result: io::Result<()>) {
    let (cause, path) = (cause.name(), path.display());
    match result {
        Ok(()) => {
            let text = format_args!(
                "worker {worker}: flight recording written because of {cause}; read it with \
                 `tidegate-sim lift {path}`"
            );
            log.say(Level::Info, Topic::Flight, text);
        }
        Err(error) => {
            let text = format_args!(
                "worker {worker}: no flight recording could be written to {path}: {error}"
            );
            log.say(Level::Error, Topic::Flight, text);
        }
    }
}

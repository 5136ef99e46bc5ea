//! Where flight recordings go: files, written when an operator asks, or when something is wrong.

use super::log::{Log, Topic};
use crate::config::Level;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tidegate_core::flight::Recording;
use tidegate_core::time::Time;

/// Configurations that a worker keeps for its recordings, the newest ones.
const VERSIONS_MAX: usize = 8;
/// Recordings that nobody asked for: for each cause one of a worker within this time at most, and
/// no more than these while it lives, so that a fault that repeats does not fill the disk. A panic
/// does not wait.
const UNASKED_PAUSE: Duration = Duration::from_secs(600);
const UNASKED_MAX: u32 = 8;

/// Bytes of a worker's ring, where nothing else is asked for: some 100,000 small requests.
const RING_BYTES: usize = 16 << 20;

/// Whether and where flights are recorded. By default they are, in memory, and files are written
/// into the current directory; there are none while nothing asks for one and nothing goes wrong.
#[derive(Clone, Debug)]
pub struct Recorder {
    /// Bytes of each worker's ring; none when nothing is recorded. Memory is used as it fills.
    pub bytes: Option<usize>,
    /// Where recordings are written; it is created when it is missing.
    pub dir: PathBuf,
}

impl Default for Recorder {
    fn default() -> Recorder {
        Recorder { bytes: Some(RING_BYTES), dir: PathBuf::from(".") }
    }
}

impl Recorder {
    /// Creates the directory and a file in it, which it removes: whether recordings could be
    /// written, asked before serving begins where somebody has named the directory.
    ///
    /// # Errors
    /// What the operating system said.
    pub fn probe(&self) -> io::Result<()> {
        let name = format!("tidegate-{}-probe", std::process::id());
        fs::remove_file(store(&self.dir, &name, b"")?)
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
    /// For each cause when a recording was last begun for it, and how many were.
    begun: [(Option<Time>, u32); 4],
    /// The thread that writes one.
    writer: Option<JoinHandle<()>>,
}

impl Flights {
    pub(crate) fn new(recorder: Recorder, worker: usize, log: Log) -> Flights {
        Flights {
            recorder,
            worker,
            log,
            versions: Vec::new(),
            written: 0,
            begun: [(None, 0); 4],
            writer: None,
        }
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

    /// Whether a recording is to be written for `cause` now; asked before the ring is copied. An
    /// operator who asked is told why not.
    pub(crate) fn wants(&mut self, cause: Cause, now: Time) -> bool {
        let is_busy = self.writer.as_ref().is_some_and(|writer| !writer.is_finished());
        let (last, count) = self.begun[cause as usize];
        let wants = match cause {
            _ if self.recorder.bytes.is_none() => {
                self.refuse(cause, self.worker == 0, "it was started with --record off");
                false
            }
            Cause::Asked if is_busy => {
                self.refuse(cause, true, "the last one is still being written");
                false
            }
            Cause::Asked => true,
            Cause::Panic => count < UNASKED_MAX,
            Cause::Zombie | Cause::Runaway => {
                let is_soon = last.is_some_and(|last| now.since(last) < UNASKED_PAUSE);
                !is_busy && !is_soon && count < UNASKED_MAX
            }
        };
        if wants {
            self.begun[cause as usize] = (Some(now), count.saturating_add(1));
        }
        wants
    }

    /// Says why no recording is written, if somebody asked for it; what concerns all workers, one
    /// of them says (`speaks`).
    fn refuse(&self, cause: Cause, speaks: bool, why: &str) {
        if cause == Cause::Asked && speaks {
            let text = format_args!("worker {}: no flight recording: {why}", self.worker);
            self.log.say(Level::Warn, Topic::Flight, text);
        }
    }

    /// Writes `recording` to a file, on a thread of its own unless `waits`: masking and writing
    /// 16 MiB takes longer than a worker may stand still. Ask [`Flights::wants`] first.
    pub(crate) fn write(&mut self, recording: Recording, cause: Cause, waits: bool) {
        self.finish();
        self.written += 1;
        let process = std::process::id();
        let name = format!("tidegate-{process}-w{}-{}", self.worker, self.written);
        let about = format!(
            "tidegate {}\nprocess {process}, worker {}\nwritten because of {}\n",
            env!("CARGO_PKG_VERSION"),
            self.worker,
            cause.name()
        );
        let (versions, log, worker) = (self.versions.clone(), self.log.clone(), self.worker);
        let dir = self.recorder.dir.clone();
        let work = move || {
            let configs: Vec<(u64, &[u8])> = versions.iter().map(|it| (it.0, &*it.1)).collect();
            let result = store(&dir, &name, &recording.write(&about, &configs));
            tell(&log, worker, cause, &dir, result);
        };
        if waits {
            return work();
        }
        match std::thread::Builder::new().name("flight".into()).spawn(work) {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => {
                let text = format_args!("worker {worker}: no thread to write a recording: {error}");
                self.log.say(Level::Error, Topic::Flight, text);
            }
        }
    }

    /// Waits until the recording that is being written is a file: the process may end next.
    pub(crate) fn finish(&mut self) {
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            let text = format_args!("worker {}: writing a recording panicked", self.worker);
            self.log.say(Level::Error, Topic::Flight, text);
        }
    }
}

/// The file appears whole, readable by its owner alone, under a name that nobody can foresee:
/// where others may write, too, no file or link of theirs is followed or overwritten.
fn store(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<PathBuf> {
    fs::create_dir_all(dir)?;
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    let path = dir.join(format!("{name}-{:016x}.rec", u64::from_le_bytes(random)));
    let partial = path.with_extension("rec.part");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial)?;
    let stored = file.write_all(bytes).and_then(|()| fs::rename(&partial, &path));
    if stored.is_err() {
        // It says what went wrong, not that the rest could not be removed.
        let _ = fs::remove_file(&partial);
    }
    stored.map(|()| path)
}

fn tell(log: &Log, worker: usize, cause: Cause, dir: &Path, result: io::Result<PathBuf>) {
    let cause = cause.name();
    match result {
        Ok(path) => {
            let path = path.display();
            let text = format_args!(
                "worker {worker}: flight recording written because of {cause}; read it with \
                 `tidegate-sim lift {path}`"
            );
            log.say(Level::Info, Topic::Flight, text);
        }
        Err(error) => {
            let dir = dir.display();
            let text = format_args!(
                "worker {worker}: no flight recording could be written to {dir}: {error}"
            );
            log.say(Level::Error, Topic::Flight, text);
        }
    }
}

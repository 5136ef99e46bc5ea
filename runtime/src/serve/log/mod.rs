//! The access log and the diagnostics log, both written by one thread off the request path.
//!
//! Workers hand access records over through [`ring`]s and lose, and count, what does not fit.
//! Diagnostics are rare, so they go through a bounded queue under a lock.

mod diagnostics;
mod encode;
mod line;
mod names;
mod ring;
mod sink;
#[cfg(test)]
mod tests;
mod thread;

pub(crate) use diagnostics::Topic;
pub(crate) use encode::Encoder;
pub(crate) use names::{Names, Versions};
pub(crate) use ring::{RING_BYTES, RingWriter};

use crate::config::{Level, LogConfig, LogFormat};
use crate::serve::refusal::Refusal;
use diagnostics::Diagnostics;
use ring::Waker;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// A handle to the logs; clones share them.
#[derive(Clone)]
pub(crate) struct Log {
    shared: Arc<Shared>,
}

struct Shared {
    options: LogConfig,
    diagnostics: Diagnostics,
    waker: Arc<Waker>,
    reopen: AtomicBool,
    finish: AtomicBool,
}

/// The log thread's end: tells when everything is written.
pub(crate) struct Running {
    log: Log,
    done: Receiver<()>,
}

impl Log {
    /// Opens the access log and starts the log thread. Returns a writer for each worker, or why
    /// the log cannot be opened.
    pub(crate) fn start(
        options: LogConfig,
        workers: usize,
    ) -> Result<(Log, Running, Vec<RingWriter>), Refusal> {
        let sink = sink::Sink::open(&options.access);
        let sink = sink.map_err(|error| Refusal::machine(&error, error.next()))?;
        let waker = Arc::new(Waker::default());
        let shared = Shared {
            diagnostics: Diagnostics::new(options.level, options.format),
            options,
            waker: Arc::clone(&waker),
            reopen: AtomicBool::new(false),
            finish: AtomicBool::new(false),
        };
        let log = Log { shared: Arc::new(shared) };
        let (writers, rings) =
            (0..workers).map(|_| ring::ring(RING_BYTES, Arc::clone(&waker))).unzip();
        let done = thread::start(log.clone(), sink, rings).map_err(Refusal::thread)?;
        Ok((log.clone(), Running { log, done }, writers))
    }

    /// Writes a diagnostic line, unless its level is too low or there were too many of its topic.
    pub(crate) fn say(&self, level: Level, topic: Topic, what: impl std::fmt::Display) {
        if self.shared.diagnostics.say(level, topic, what) {
            self.shared.waker.wake();
        }
    }

    /// Reopens the access log's file, for one that was moved away (RUN-8).
    pub(crate) fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::SeqCst);
        self.shared.waker.wake();
    }

    pub(crate) fn format(&self) -> LogFormat {
        self.shared.options.format
    }
}

impl Running {
    /// Has everything written that was handed over, for at most `patience`.
    pub(crate) fn finish(self, patience: Duration) {
        self.log.shared.finish.store(true, Ordering::SeqCst);
        self.log.shared.waker.wake();
        // If standard output is stuck, the process ends all the same.
        let _ = self.done.recv_timeout(patience);
    }
}

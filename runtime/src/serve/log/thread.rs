//! The log thread: the only one that writes logs.

use super::ring::Ring;
use super::sink::{OpenError, Sink, write_all};
use super::{Log, Topic};
use crate::config::Level;
use crate::serve::clock::Origin;
use rustix::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;
use tidegate_core::time::Time;

/// How often rings are emptied while records flow: large writes, and no wake-up from workers.
const TICK: Duration = Duration::from_millis(20);
/// Ticks without work after which the thread sleeps until it is woken.
const IDLE_TICKS: u32 = 50;
/// How often lost records are reported.
const LOST_REPORT: Duration = Duration::from_secs(10);

/// Starts the thread. The receiver hears when it has written everything and ended.
pub(super) fn start(log: Log, sink: Sink, rings: Vec<Arc<Ring>>) -> std::io::Result<Receiver<()>> {
    let (done, heard) = channel();
    let buffer = Vec::with_capacity(super::RING_BYTES);
    let clock = Origin::now();
    let mut writer =
        Writer { log: log.clone(), sink, rings, buffer, clock, lost: 0, report: Time::ZERO };
    let thread = std::thread::Builder::new().name("log".into()).spawn(move || {
        writer.run();
        let _ = done.send(());
    })?;
    log.shared.waker.set_thread(thread.thread().clone());
    Ok(heard)
}

struct Writer {
    log: Log,
    sink: Sink,
    rings: Vec<Arc<Ring>>,
    buffer: Vec<u8>,
    clock: Origin,
    lost: u64,
    report: Time,
}

impl Writer {
    fn run(&mut self) {
        let shared = Arc::clone(&self.log.shared);
        let mut idle = 0;
        loop {
            let finishing = shared.finish.load(Ordering::SeqCst);
            let worked = self.work();
            if finishing {
                self.report_lost(true);
                self.work();
                return;
            }
            idle = if worked { 0 } else { idle + 1 };
            if idle < IDLE_TICKS {
                std::thread::park_timeout(TICK);
                continue;
            }
            shared.waker.set_asleep(true);
            if self.work() {
                idle = 0;
            } else {
                std::thread::park();
            }
            shared.waker.set_asleep(false);
        }
    }

    /// Writes what there is; whether there was anything.
    fn work(&mut self) -> bool {
        let mut worked = false;
        if self.log.shared.reopen.swap(false, Ordering::SeqCst) {
            let reopened = self.sink.reopen();
            self.complain(reopened);
            worked = true;
        }
        for at in 0..self.rings.len() {
            self.rings[at].take(&mut self.buffer);
            if self.buffer.is_empty() {
                continue;
            }
            worked = true;
            let followed = self.sink.follow_rotation();
            self.complain(followed);
            self.sink.write(&self.buffer);
            self.buffer.clear();
        }
        if worked {
            self.report_lost(false);
        }
        let (lines, left_out) = self.log.shared.diagnostics.take();
        let stderr = std::io::stderr();
        for line in &lines {
            write_all(stderr.as_fd(), line);
        }
        if left_out > 0 {
            let text = format_args!("{left_out} diagnostics found no room in their queue");
            self.log.say(Level::Warn, Topic::Log, text);
        }
        worked || !lines.is_empty()
    }

    fn complain(&self, outcome: Result<(), OpenError>) {
        if let Err(error) = outcome {
            let next = error.next();
            let text =
                format_args!("{error}; its records still go to the old file; look with `{next}`");
            self.log.say(Level::Error, Topic::Log, text);
        }
    }

    fn report_lost(&mut self, now_or_never: bool) {
        let lost = self.sink.lost() + self.rings.iter().map(|ring| ring.lost()).sum::<u64>();
        let now = self.clock.time();
        if lost > self.lost && (now >= self.report || now_or_never) {
            let more = lost - self.lost;
            let text = format_args!("{more} access records were lost, {lost} since the start");
            self.log.say(Level::Warn, Topic::Log, text);
            (self.lost, self.report) = (lost, now.after(LOST_REPORT));
        }
    }
}

//! The way of access records out of a worker: bounded, without allocation, never blocking.
//!
//! A worker writes into a buffer of its own. At the end of a turn it tries to hand it over by
//! swapping it with the shared one, whose content the log thread takes by another swap. Neither
//! side holds the lock for more than that, or a copy of at most [`RING_BYTES`]; the worker only
//! tries to lock it. When both buffers are full, records are lost and counted.

use super::line::Line;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, TryLockError};
use std::thread::Thread;

/// Bytes of each of the buffers; there are two a worker, and one of the log thread. Enough for the
/// records of one turn, so that a burst of pipelined requests cannot hide the last of them: a turn
/// has 4,096 steps at most, and a request takes two. Memory that is never filled is never touched.
pub(crate) const RING_BYTES: usize = 2 * 1024 * 1024;

/// How a worker wakes the log thread.
#[derive(Default)]
pub(super) struct Waker {
    thread: OnceLock<Thread>,
    asleep: AtomicBool,
}

impl Waker {
    pub(super) fn set_thread(&self, thread: Thread) {
        let _ = self.thread.set(thread);
    }

    /// Says that the log thread is about to sleep until it is woken: it looks for work once more
    /// after this, so that nothing handed over before is overlooked.
    pub(super) fn set_asleep(&self, asleep: bool) {
        self.asleep.store(asleep, Ordering::SeqCst);
    }

    pub(super) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Costs a system call only when the log thread sleeps.
    fn wake_if_asleep(&self) {
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.wake();
        }
    }
}

/// The buffer between one worker and the log thread.
pub(super) struct Ring {
    shared: Mutex<Vec<u8>>,
    lost: AtomicU64,
    waker: Arc<Waker>,
}

impl Ring {
    /// Swaps what was handed over with `empty`, which has the ring's capacity.
    pub(super) fn take(&self, empty: &mut Vec<u8>) {
        debug_assert!(empty.is_empty());
        // Nothing panics while it is held; and bytes are bytes.
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut *shared, empty);
    }

    /// Records lost since the start because the ring was full.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

/// A worker's end of its ring.
pub(crate) struct RingWriter {
    front: Vec<u8>,
    ring: Arc<Ring>,
}

/// Both ends of a new ring of `bytes`; the log thread's end takes `bytes` as buffer too.
pub(super) fn ring(bytes: usize, waker: Arc<Waker>) -> (RingWriter, Arc<Ring>) {
    let shared = Mutex::new(Vec::with_capacity(bytes));
    let ring = Arc::new(Ring { shared, lost: AtomicU64::new(0), waker });
    (RingWriter { front: Vec::with_capacity(bytes), ring: Arc::clone(&ring) }, ring)
}

impl RingWriter {
    /// Appends what `encode` writes, whole or not at all; a record that does not fit is counted
    /// as lost.
    pub(crate) fn record(&mut self, encode: impl FnOnce(&mut Line<'_>)) {
        let start = self.front.len();
        let mut line = Line::new(&mut self.front);
        encode(&mut line);
        if line.is_full() {
            self.front.truncate(start);
            self.ring.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands over what was recorded, if the log thread lets it: whether nothing is left here. If
    /// something is, call again soon.
    pub(crate) fn flush(&mut self) -> bool {
        if self.front.is_empty() {
            return true;
        }
        let mut shared = match self.ring.shared.try_lock() {
            Ok(shared) => shared,
            Err(TryLockError::Poisoned(shared)) => shared.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if shared.is_empty() {
            std::mem::swap(&mut *shared, &mut self.front);
        } else if shared.capacity() - shared.len() >= self.front.len() {
            shared.extend_from_slice(&self.front);
            self.front.clear();
        }
        let half_full = shared.len() > shared.capacity() / 2;
        drop(shared);
        if half_full || !self.front.is_empty() {
            self.ring.waker.wake();
        } else {
            self.ring.waker.wake_if_asleep();
        }
        self.front.is_empty()
    }

    /// Hands over everything, waiting for the lock and growing the buffer: for a worker's end.
    pub(crate) fn finish(mut self) {
        let mut shared = self.ring.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.append(&mut self.front);
        drop(shared);
        self.ring.waker.wake();
    }
}

#[cfg(test)]
mod tests;

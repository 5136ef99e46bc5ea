//! The one place of the server that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tidegate_core::time::Time;

/// How often the wall clock is read; between two readings it follows the monotonic one.
const RESYNC: Duration = Duration::from_secs(1);

/// The process's start: the zero of every worker's [`Time`].
#[derive(Copy, Clone)]
pub(crate) struct Origin(Instant);

impl Origin {
    #[expect(clippy::disallowed_methods, reason = "the runtime owns the clock")]
    pub(crate) fn now() -> Origin {
        Origin(Instant::now())
    }

    /// Monotonic time since the start.
    pub(crate) fn time(self) -> Time {
        Time(Origin::now().0.duration_since(self.0).as_nanos() as u64)
    }
}

/// A worker's clock: monotonic time, and the wall clock derived from it.
pub(crate) struct Clock {
    origin: Origin,
    /// Nanoseconds from the Unix epoch to the origin.
    wall: i64,
    resync: Time,
}

impl Clock {
    pub(crate) fn new(origin: Origin) -> Clock {
        let mut clock = Clock { origin, wall: 0, resync: Time::ZERO };
        clock.read();
        clock
    }

    /// Reads the monotonic clock, and once a second the wall clock. Once a turn.
    pub(crate) fn read(&mut self) -> Time {
        let now = self.origin.time();
        if now >= self.resync {
            self.wall = unix_nanos().saturating_sub(now.0 as i64);
            self.resync = now.after(RESYNC);
        }
        now
    }

    /// The wall clock at `time`, in milliseconds since the Unix epoch.
    pub(crate) fn unix_millis(&self, time: Time) -> i64 {
        self.wall.saturating_add(time.0 as i64).div_euclid(1_000_000)
    }
}

/// The wall clock, in nanoseconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "the runtime owns the clock")]
pub(crate) fn unix_nanos() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => since.as_nanos() as i64,
        Err(before) => -(before.duration().as_nanos() as i64),
    }
}

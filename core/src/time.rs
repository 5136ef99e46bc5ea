//! Time as an argument: nanoseconds since the worker's start, never read from a clock here.

use std::time::Duration;

/// The granularity of every deadline (SES-3): deadlines are rounded up to it.
pub const TICK: Duration = Duration::from_millis(10);

/// A point in monotonic time, in nanoseconds since the driver started.
///
/// Drivers read their clock once a turn and pass the value with every input. The core never
/// reads a clock. A value that goes back is clamped to the largest one seen, and counted.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(pub u64);

impl Time {
    /// The driver's start.
    pub const ZERO: Time = Time(0);
    /// A deadline that never comes.
    pub const NEVER: Time = Time(u64::MAX);

    /// This time plus `span`; saturates at [`Time::NEVER`].
    #[must_use]
    pub fn after(self, span: Duration) -> Time {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(nanos))
    }

    /// The deadline `span` from now, rounded up to [`TICK`] (SES-3).
    #[must_use]
    pub fn deadline(self, span: Duration) -> Time {
        let due = self.after(span);
        let tick = TICK.as_nanos() as u64;
        match due.0.checked_next_multiple_of(tick) {
            Some(rounded) => Time(rounded),
            None => Time::NEVER,
        }
    }

    /// The span since `earlier`, zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

//! The time of day that certificates and tickets see.

use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use std::time::Duration;

/// A clock that stands still, so that neither the age of a ticket nor the validity of a
/// certificate depends on how fast a run is.
#[derive(Copy, Clone, Debug)]
pub struct Clock(UnixTime);

impl Clock {
    /// Where the wall clock of a simulated run begins: 2023-11-14. Every certificate that is meant
    /// to be valid is, by months.
    pub const START_SECS: u64 = 1_700_000_000;

    /// A clock at `secs` seconds after 1970.
    pub const fn at(secs: u64) -> Clock {
        Clock(UnixTime::since_unix_epoch(Duration::from_secs(secs)))
    }

    /// What it shows.
    pub fn now(self) -> UnixTime {
        self.0
    }
}

impl Default for Clock {
    /// At [`Clock::START_SECS`].
    fn default() -> Clock {
        Clock::at(Clock::START_SECS)
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(self.0)
    }
}

//! A session's table of timers: at most one runs for each of three concerns, the earliest of
//! them stands in the worker's heap.

use crate::event::Timer;
use crate::time::Time;

/// What the proxy waits for on each side, and until when.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) struct Timers {
    front_due: Time,
    back_due: Time,
    /// `drain`: set by a graceful stop.
    pub(crate) drain_due: Time,
    front: Option<Timer>,
    back: Option<Timer>,
}

impl Timers {
    pub(crate) const NONE: Timers = Timers {
        front_due: Time::NEVER,
        back_due: Time::NEVER,
        drain_due: Time::NEVER,
        front: None,
        back: None,
    };

    /// The timer that runs for the client's side.
    pub(crate) fn front(&self) -> Option<Timer> {
        self.front
    }

    /// The timer that runs for the server's side.
    pub(crate) fn back(&self) -> Option<Timer> {
        self.back
    }

    pub(crate) fn set_front(&mut self, timer: Timer, due: Time) {
        (self.front, self.front_due) = (Some(timer), due);
    }

    pub(crate) fn set_back(&mut self, timer: Timer, due: Time) {
        (self.back, self.back_due) = (Some(timer), due);
    }

    pub(crate) fn clear_front(&mut self) {
        (self.front, self.front_due) = (None, Time::NEVER);
    }

    pub(crate) fn clear_back(&mut self) {
        (self.back, self.back_due) = (None, Time::NEVER);
    }

    /// The earliest deadline.
    pub(crate) fn earliest(&self) -> Time {
        self.front_due.min(self.back_due).min(self.drain_due)
    }

    /// The timer with the earliest deadline; of two, the server's, then the client's.
    pub(crate) fn next(&self) -> Option<Timer> {
        let earliest = self.earliest();
        if earliest == Time::NEVER {
            None
        } else if self.back_due == earliest {
            self.back
        } else if self.front_due == earliest {
            self.front
        } else {
            Some(Timer::Drain)
        }
    }
}

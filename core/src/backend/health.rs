//! Passive health of one server, as one worker sees it (BACK-4).
//!
//! A server is *up*, or *down* until its back-off has ended and one request, the *probe*, has
//! succeeded. What a request tells counts only if it began in the state that still holds: when a
//! busy server dies, the many requests that it takes along mark it down once and do not lengthen
//! its back-off, and an answer that was begun before it died does not bring it up. A request
//! that fail-open sends to a server while it is down does bring it up when it succeeds, but only
//! the probe's failure doubles the back-off.

use crate::rng::Draw;
use crate::time::{TICK, Time};
use std::time::Duration;

/// One server's passive health.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Health {
    state: State,
    /// How often the server went down or came up: tells which attempts began before.
    epoch: u32,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum State {
    Up {
        /// Failures in a row.
        failures: u32,
    },
    Down {
        /// When the back-off ends.
        until: Time,
        /// How often the back-off has doubled.
        doublings: u32,
        /// Whether the probe is under way.
        probing: bool,
    },
}

impl Default for State {
    fn default() -> State {
        State::Up { failures: 0 }
    }
}

/// One request's stay at a server, from its choice to its verdict. Report its end exactly once,
/// by [`Health::succeeded`], [`Health::failed`] or [`Health::abandoned`].
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Attempt {
    epoch: u32,
    probe: bool,
}

impl Attempt {
    /// Whether this request is the one that probes a server whose back-off has ended.
    pub fn is_probe(self) -> bool {
        self.probe
    }
}

impl Health {
    /// A server that is up.
    pub fn new() -> Health {
        Health::default()
    }

    /// Whether a request may go there at `now`: the server is up, or its back-off has ended and
    /// no probe is under way. Whether to go there all the same when no server is usable (fail
    /// open) is the caller's decision.
    pub fn usable(&self, now: Time) -> bool {
        match self.state {
            State::Up { .. } => true,
            State::Down { until, probing, .. } => !probing && until <= now,
        }
    }

    /// When its back-off ends, if it is down and no probe is under way.
    pub fn back_off_until(&self) -> Option<Time> {
        match self.state {
            State::Down { until, probing: false, .. } => Some(until),
            _ => None,
        }
    }

    /// Begins an attempt at `now`. If the server is down and its back-off has ended, this request
    /// is the probe, and the server is not usable for others before its verdict.
    pub fn begin(&mut self, now: Time) -> Attempt {
        let probe = match &mut self.state {
            State::Down { until, probing, .. } if !*probing && *until <= now => {
                *probing = true;
                true
            }
            _ => false,
        };
        Attempt { epoch: self.epoch, probe }
    }

    /// The server answered. Returns whether it came up by that.
    pub fn succeeded(&mut self, attempt: Attempt) -> bool {
        if attempt.epoch != self.epoch {
            return false;
        }
        let came_up = self.is_down();
        if came_up {
            self.epoch = self.epoch.wrapping_add(1);
        }
        self.state = State::Up { failures: 0 };
        came_up
    }

    /// The attempt failed at `now`. `fall` failures in a row mark the server down for a back-off
    /// that is drawn uniformly from one tick to `min`, doubled for each failed probe in a row, and
    /// at most `max` (full jitter). Returns the back-off if one begins.
    pub fn failed(
        &mut self,
        attempt: Attempt,
        now: Time,
        fall: u32,
        (min, max): (Duration, Duration),
        rng: &mut impl Draw,
    ) -> Option<Duration> {
        if attempt.epoch != self.epoch {
            return None;
        }
        let doublings = match &mut self.state {
            State::Up { failures } => {
                *failures = failures.saturating_add(1);
                if *failures < fall {
                    return None;
                }
                self.epoch = self.epoch.wrapping_add(1);
                0
            }
            State::Down { .. } if !attempt.probe => return None,
            State::Down { doublings, .. } => doublings.saturating_add(1),
        };
        let span = backoff(doublings, min, max, rng);
        self.state = State::Down { until: now.after(span), doublings, probing: false };
        Some(span)
    }

    /// The attempt ended without a verdict on the server, for example because the client left. If
    /// it was the probe, the next request is.
    pub fn abandoned(&mut self, attempt: Attempt) {
        if attempt.epoch != self.epoch || !attempt.probe {
            return;
        }
        if let State::Down { probing, .. } = &mut self.state {
            *probing = false;
        }
    }

    /// Whether a probe is under way.
    pub fn is_probed(&self) -> bool {
        matches!(self.state, State::Down { probing: true, .. })
    }

    /// Whether `attempt` is the probe that is under way.
    pub fn is_probed_by(&self, attempt: Attempt) -> bool {
        self.is_probed() && attempt.probe && attempt.epoch == self.epoch
    }

    /// Whether the server is marked down, its back-off ended or not.
    pub fn is_down(&self) -> bool {
        matches!(self.state, State::Down { .. })
    }

    /// When the back-off of a server that is down ends; [`Time::ZERO`] for one that is up.
    pub fn down_until(&self) -> Time {
        match self.state {
            State::Up { .. } => Time::ZERO,
            State::Down { until, .. } => until,
        }
    }
}

/// A back-off after `doublings` failed probes: whole ticks, so that it is never zero.
fn backoff(doublings: u32, min: Duration, max: Duration, rng: &mut impl Draw) -> Duration {
    let factor = 1u32.checked_shl(doublings).unwrap_or(u32::MAX);
    let longest = min.saturating_mul(factor).min(max);
    let ticks = u64::try_from(longest.as_nanos() / TICK.as_nanos()).unwrap_or(u64::MAX);
    let drawn = rng.below(ticks.max(1)).saturating_add(1);
    Duration::from_nanos(drawn.saturating_mul(TICK.as_nanos() as u64))
}

#[cfg(test)]
mod tests;

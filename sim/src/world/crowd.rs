//! Who comes at the last moment before a stop in the middle of chaos.

use super::World;
use super::client::Role;
use crate::cx::{Ev, MS, US};
use crate::site;

/// The last clients before such a stop are on their way.
#[derive(Copy, Clone)]
pub(super) struct Crowd {
    stop_at: u64,
    /// For so long before the stop, in nanoseconds, the proxy's loop is busy with something else:
    /// whoever comes meanwhile is in a backlog when it stops.
    busy: u64,
}

impl Crowd {
    /// When a loop that would wake at `at` does, if something wakes it `now`.
    pub(super) fn wakes(self, now: u64, at: u64) -> u64 {
        let is_busy = at <= self.stop_at && now + self.busy >= self.stop_at;
        if is_busy { self.stop_at + 1 } else { at }
    }
}

impl World {
    /// Some come at the last moment, so that the stop meets a queue, or a backlog.
    pub(super) fn gather(&mut self) {
        let is_at_once = self.cx.choices.coin(site!("crowd/at once"), 0);
        let within = if is_at_once { 200 * US } else { 10 * MS };
        for _ in 0..self.cx.choices.choose(site!("phase/last"), 0, 9) {
            self.add_client(Role::Chaos, 1, within);
        }
        let after = match is_at_once {
            true => MS + self.cx.choices.log_between(site!("crowd/stop"), 0, 20 * US, 20 * MS),
            false => 12 * MS,
        };
        let busy = if is_at_once { self.scenario.slow_turn_delay } else { 0 };
        self.crowd = Some(Crowd { stop_at: self.cx.now + after, busy });
        self.cx.after(after, 0, Ev::Phase);
    }
}

//! What is special about one connection of a client.

use super::World;
use super::client::Role;
use crate::cx::{MS, SEC, US};
use crate::site;
use crate::swarm::Fault;
use std::fmt;
use std::time::Duration;

/// What is special about one connection.
#[derive(Copy, Clone, Default)]
pub(super) struct Manner {
    pub(super) requests: u64,
    pub(super) depth: u64,
    pub(super) drips: Option<u64>,
    pub(super) half_closes: bool,
    pub(super) abort_written: Option<u64>,
    pub(super) abort_read: Option<u64>,
    pub(super) resets: bool,
    /// Most bytes at a time, and the pause behind them.
    pub(super) slow_read: Option<(usize, u64)>,
    /// Behind so many bytes it reads nothing for so long.
    pub(super) rests: Option<(u64, u64)>,
    pub(super) hoards: u64,
    pub(super) is_silent: bool,
    pub(super) stalls_at: Option<u64>,
    pub(super) patience: u64,
}

/// A pause of so many nanoseconds, for people.
pub(super) fn pause(nanos: u64) -> String {
    format!("{:.1?}", Duration::from_nanos(nanos))
}

/// What is special about it, in words.
impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} requests at most", self.requests)?;
        if self.depth > 1 {
            write!(f, ", {} at a time", self.depth)?;
        }
        let how = if self.resets { "resets" } else { "leaves" };
        let words = [
            self.drips.map(|delay| format!("heads in pieces, {} apart", pause(delay))),
            self.half_closes.then(|| "half-closes".into()),
            self.abort_written.map(|at| format!("{how} behind {at} bytes written")),
            self.abort_read.map(|at| format!("{how} behind {at} bytes read")),
            self.slow_read.map(|(most, delay)| {
                format!("reads {most} bytes at a time, {} apart", pause(delay))
            }),
            self.rests
                .map(|(at, long)| format!("reads nothing for {} behind {at} bytes", pause(long))),
            self.is_silent.then(|| "says nothing".into()),
            (self.hoards > 0).then(|| format!("keeps it for {}", pause(self.hoards))),
            self.stalls_at.map(|at| format!("stalls at byte {at} of a body")),
        ];
        words.into_iter().flatten().try_for_each(|words| write!(f, ", {words}"))?;
        write!(f, ", gives up after {}", pause(self.patience))
    }
}

impl World {
    /// Draws how the next connection of client `c` behaves.
    pub(super) fn draw_manner(&mut self, c: u32, role: Role) -> Manner {
        let slot = self.clients[c as usize].slot;
        let is_last = self.crowd.is_some();
        let (rates, scenario, cx) = (self.rates(), &self.scenario, &mut self.cx);
        let requests = cx.choices.between(site!("client/requests"), slot, 1, scenario.requests_max);
        let depth = cx.choices.between(site!("client/depth"), slot, 1, scenario.depth_max);
        let mut manner = Manner { requests, depth, patience: 90 * SEC, ..Manner::default() };
        if role == Role::Healed {
            manner.depth = 1;
            return manner;
        }
        if cx.strikes(Fault::SlowHead, &rates, slot) {
            let delay = cx.choices.log_between(site!("client/drip"), slot, 100 * US, 300 * MS);
            manner.drips = Some(delay);
        }
        manner.half_closes = cx.strikes(Fault::HalfClose, &rates, slot);
        // A session that begins behind a stop and lasts shows whether the stop's time is its own.
        manner.is_silent = cx.strikes(Fault::Silent, &rates, slot)
            || (is_last && cx.choices.coin(site!("crowd/silent"), slot));
        if manner.is_silent || cx.strikes(Fault::Hoard, &rates, slot) {
            manner.hoards = cx.choices.log_between(site!("client/hoard"), slot, 10 * MS, 80 * SEC);
        }
        if cx.strikes(Fault::Abort, &rates, slot) {
            let at = cx.choices.log_between(site!("client/abort at"), slot, 1, 4096);
            if cx.choices.coin(site!("client/abort which"), slot) {
                manner.abort_written = Some(at);
            } else {
                manner.abort_read = Some(at);
            }
            manner.resets = cx.choices.coin(site!("client/abort how"), slot);
        }
        if cx.strikes(Fault::SlowRead, &rates, slot) {
            let piece = cx.choices.log_between(site!("client/read piece"), slot, 64, 16_384);
            let delay = cx.choices.log_between(site!("client/read delay"), slot, MS, 800 * MS);
            manner.slow_read = Some((piece as usize, delay));
            if cx.choices.coin(site!("client/rests"), slot) {
                let at = cx.choices.log_between(site!("client/rest at"), slot, 1, 8192);
                let pause = cx.choices.log_between(site!("client/rest"), slot, 10 * MS, 8 * SEC);
                manner.rests = Some((at, pause));
            }
        }
        if cx.strikes(Fault::SlowBody, &rates, slot) {
            manner.stalls_at =
                Some(cx.choices.log_between(site!("client/stall at"), slot, 1, 8192));
        }
        if self.part.is_calm {
            manner.patience = super::pairs::CALM;
        } else if !scenario.is_faultless {
            manner.patience =
                cx.choices.log_between(site!("client/patience"), slot, 3 * SEC, 90 * SEC);
        }
        manner
    }
}

//! A peer of a tunnel: what it says, how fast, and how it ends.

use super::World;
use super::manner::pause;
use super::protocols::TunnelRates;
use crate::cx::{Cx, MS, SEC, US};
use crate::kernel::Ep;
use crate::mark;
use crate::site;
use crate::story::clock;
use crate::stream::Stream;
use crate::swarm::Fault;
use std::fmt;
use tidegate_core::input::SocketError;

/// When a peer begins to speak.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Start {
    /// At once.
    Now,
    /// A while after the connection stands.
    At(u64),
    /// Once it has heard something, or that nothing will come.
    WhenSpokenTo,
}

/// What a peer does when it has said everything.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum End {
    /// Finishes writing, and listens on.
    Shut,
    /// Finishes writing once the other one has.
    AfterPeer,
    /// Closes, whatever still comes.
    Close,
    /// Stays.
    Stall,
    /// Resets.
    Reset,
}

/// One peer.
#[derive(Clone)]
pub(super) struct Talker {
    stream: Stream,
    /// Where the stream begins in what it writes, and what it hears in what it reads.
    base: u64,
    heard_from: u64,
    total: u64,
    start: Start,
    end: End,
    /// Bytes that it may be ahead of what it has heard: it answers, as an echo does.
    echoes: Option<u64>,
    drips: Option<(usize, u64)>,
    slow_read: Option<(usize, u64)>,
    not_before_write: u64,
    not_before_read: u64,
    pub(super) has_shut: bool,
    saw_end: bool,
    wakes_at: u64,
}

/// What a peer wants next.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// To be woken by its socket, or after a while.
    Waits(Option<u64>),
    /// To close in order.
    Closes,
    /// To reset.
    Resets,
    /// Nothing: the connection is broken.
    Lost,
}

/// What it does, in words.
impl fmt::Display for Talker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.total)?;
        match self.start {
            Start::Now => write!(f, " at once")?,
            Start::At(at) => write!(f, " from {} on", clock(at))?,
            Start::WhenSpokenTo => write!(f, " when spoken to")?,
        }
        let words = [
            self.echoes.map(|ahead| format!("at most {ahead} ahead of what it hears")),
            self.drips.map(|(most, delay)| format!("{most} at a time, {} apart", pause(delay))),
            self.slow_read.map(|(most, delay)| {
                format!("reads {most} bytes at a time, {} apart", pause(delay))
            }),
        ];
        words.into_iter().flatten().try_for_each(|words| write!(f, ", {words}"))?;
        let end = match self.end {
            End::Shut => "finishes writing",
            End::AfterPeer => "finishes writing when the other one has",
            End::Close => "closes",
            End::Stall => "stays",
            End::Reset => "resets",
        };
        write!(f, ", then {end}")
    }
}

impl Talker {
    /// A peer that speaks `stream` from `base` on in what it writes.
    pub(super) fn draw(
        cx: &mut Cx,
        rates: &TunnelRates,
        entity: u64,
        stream: Stream,
        (base, heard_from): (u64, u64),
    ) -> Talker {
        let choices = &mut cx.choices;
        let is_client = entity >> 40 == 0;
        let total = match choices.choose(site!("talk/kind"), entity, 8) {
            0 if rates.is_rough => 0,
            0..=3 => choices.between(site!("talk/small"), entity, 8, 400),
            4..=6 => choices.log_between(site!("talk/medium"), entity, 64, 8192.min(rates.most)),
            _ => choices.log_between(site!("talk/large"), entity, 1024, rates.most),
        };
        let start = match choices.oddity(site!("talk/start"), entity, 6) {
            0 if rates.is_rough || !is_client => Start::WhenSpokenTo,
            1 => Start::At(cx.now + choices.log_between(site!("talk/wait"), entity, 10 * US, SEC)),
            _ => Start::Now,
        };
        let ends = match choices.choose(site!("talk/end"), entity, 6) {
            0..=2 => End::Shut,
            3 if !is_client || rates.is_rough => End::AfterPeer,
            _ => End::Shut,
        };
        let faults = [
            (Fault::TunnelClose, End::Close),
            (Fault::TunnelStall, End::Stall),
            (Fault::TunnelReset, End::Reset),
        ];
        let fault = faults.into_iter().find(|&(fault, _)| cx.strikes(fault, &rates.rates, entity));
        let choices = &mut cx.choices;
        let echoes = choices.choose(site!("talk/echoes"), entity, 4) == 3 && !is_client;
        let echoes = echoes.then(|| choices.log_between(site!("talk/ahead"), entity, 8, 4096));
        let mut talker = Talker {
            stream,
            base,
            heard_from,
            total,
            start,
            end: fault.map_or(ends, |(_, end)| end),
            echoes,
            drips: None,
            slow_read: None,
            not_before_write: 0,
            not_before_read: 0,
            has_shut: false,
            saw_end: false,
            wakes_at: 0,
        };
        if cx.strikes(Fault::TunnelSlow, &rates.rates, entity) {
            let choices = &mut cx.choices;
            let piece = choices.log_between(site!("talk/drip"), entity, 1, 2000) as usize;
            talker.drips =
                Some((piece, choices.log_between(site!("talk/drip delay"), entity, MS, 400 * MS)));
            talker.total = talker.total.min(40 * piece as u64).max(8);
        }
        if cx.strikes(Fault::TunnelSlow, &rates.rates, entity) {
            let choices = &mut cx.choices;
            let piece = choices.log_between(site!("talk/piece"), entity, 64, 16_384) as usize;
            talker.slow_read =
                Some((piece, choices.log_between(site!("talk/read delay"), entity, MS, 800 * MS)));
        }
        talker
    }

    /// It has finished writing already, behind `written` bytes in all.
    pub(super) fn shut_at(mut self, written: u64) -> Talker {
        self.has_shut = true;
        self.total = written - self.base;
        self
    }

    /// Says at least what has been written of its stream.
    pub(super) fn says_at_least(mut self, bytes: u64) -> Talker {
        self.total = self.total.max(bytes);
        self
    }

    /// Says so much of its stream, and stops.
    pub(super) fn says_exactly(mut self, bytes: u64) -> Talker {
        self.total = bytes;
        self
    }

    /// Whether to set a timer for `at`: one that is set already will do.
    pub(super) fn needs_timer(&mut self, now: u64, at: u64) -> bool {
        let is_set = self.wakes_at > now && self.wakes_at <= at;
        if !is_set {
            self.wakes_at = at;
        }
        !is_set
    }

    fn may_start(&self, now: u64, heard: u64) -> bool {
        match self.start {
            Start::Now => true,
            Start::At(at) => now >= at,
            Start::WhenSpokenTo => heard > 0 || self.saw_end,
        }
    }
}

fn sooner(one: Option<u64>, other: u64) -> Option<u64> {
    Some(one.map_or(other, |one| one.min(other)))
}

impl World {
    /// Lets a peer read, speak and decide how to go on.
    pub(super) fn talk(&mut self, ep: Ep, talker: &mut Talker) -> Next {
        let mut wake = None;
        if !self.talker_reads(ep, talker, &mut wake) {
            self.cx.mark(mark!("tunnel: a peer sees a reset"));
            return Next::Lost;
        }
        loop {
            let said = self.net.content_written(ep) - talker.base;
            let is_all = said >= talker.total;
            if is_all || talker.has_shut {
                return self.talker_ends(ep, talker, wake);
            }
            let now = self.cx.now;
            let heard = self.net.content_read(ep).saturating_sub(talker.heard_from);
            if !talker.may_start(now, heard) {
                if let Start::At(at) = talker.start {
                    wake = sooner(wake, at - now);
                }
                return Next::Waits(wake);
            }
            if now < talker.not_before_write {
                return Next::Waits(sooner(wake, talker.not_before_write - now));
            }
            let mut most = talker.total - said;
            if let Some(ahead) = talker.echoes.filter(|_| !talker.saw_end) {
                most = most.min((heard + ahead).saturating_sub(said));
            }
            if let Some((piece, delay)) = talker.drips {
                most = most.min(piece as u64);
                talker.not_before_write = now + delay;
            }
            if most == 0 {
                return Next::Waits(wake);
            }
            let bytes = talker.stream.at(said, most.min(1 << 16) as usize);
            match self.layers.send(&mut self.cx, &mut self.net, ep, bytes) {
                Ok(_) => {}
                Err(SocketError::WouldBlock) => return Next::Waits(wake),
                Err(_) => return Next::Lost,
            }
        }
    }

    /// Reads; false when the connection is broken.
    fn talker_reads(&mut self, ep: Ep, talker: &mut Talker, wake: &mut Option<u64>) -> bool {
        let mut room = usize::MAX;
        if let Some((piece, delay)) = talker.slow_read {
            let now = self.cx.now;
            if now < talker.not_before_read {
                *wake = sooner(*wake, talker.not_before_read - now);
                return true;
            }
            if self.net.ep(ep).unread() > 0 {
                talker.not_before_read = now + delay;
                *wake = sooner(*wake, delay);
                room = piece;
            }
        }
        match self.layers.skip(&mut self.cx, &mut self.net, ep, room) {
            _ if self.layers.has_failed(&self.net, ep) => false,
            Ok(0) => {
                talker.saw_end = true;
                true
            }
            Ok(_) | Err(SocketError::WouldBlock) => true,
            Err(_) => false,
        }
    }

    /// Everything was said.
    fn talker_ends(&mut self, ep: Ep, talker: &mut Talker, wake: Option<u64>) -> Next {
        let is_closed = self.is_closed();
        match talker.end {
            End::Reset => return Next::Resets,
            End::Close => return Next::Closes,
            End::Stall if !(is_closed && talker.saw_end) => return Next::Waits(wake),
            End::AfterPeer if !talker.saw_end => return Next::Waits(wake),
            End::Shut | End::AfterPeer | End::Stall => {}
        }
        if !talker.has_shut {
            talker.has_shut = true;
            self.cx.mark(if talker.saw_end {
                mark!("tunnel: a peer half-closes after the other")
            } else {
                mark!("tunnel: a peer half-closes first")
            });
            self.layers.shutdown(&mut self.cx, &mut self.net, ep);
        }
        // Whoever has heard everything, and was the second to end, goes.
        if talker.saw_end && self.net.ep(ep).unread() == 0 {
            return Next::Closes;
        }
        Next::Waits(wake)
    }
}

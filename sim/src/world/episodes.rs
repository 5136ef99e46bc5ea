//! Faults that have a start and an end.

use super::World;
use super::scenario::Scenario;
use crate::choice::Rate;
use crate::cx::{Cx, Ev, MS, SEC, US};
use crate::gate::SERVER_LINKS;
use crate::site;
use crate::story::Who;
use crate::tell;

/// What an episode does while it lasts.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// Nothing moves on this link.
    Clog(u32),
    /// Everything takes longer by so many nanoseconds.
    Latency(u64),
    /// SYNs to this address vanish.
    BlackHole(u16),
    /// This address cannot be reached.
    Unreachable(u16),
    /// This server is down; with `true` its connections are reset as it falls.
    Down(u32, bool),
    /// The proxy may have so many sockets open at most.
    Descriptors(usize),
    /// Accepts fail this often.
    AcceptAborts(Rate),
    /// Writes are short this often.
    ShortWrites(Rate),
    /// Resets overtake data this often.
    Overtake(Rate),
}

/// One fault and its time.
#[derive(Copy, Clone, Debug)]
pub(super) struct Episode {
    /// What happens.
    pub(super) what: What,
    /// From when.
    pub(super) start: u64,
    /// Until when.
    pub(super) end: u64,
}

/// Draws the episodes of a seed whose chaos begins at `from`.
pub(super) fn draw(cx: &mut Cx, scenario: &Scenario, addresses: &[u16]) -> Vec<Episode> {
    let on = scenario.families;
    let families = [
        on.clog,
        on.latency,
        on.black_hole,
        on.unreachable,
        on.flap,
        on.descriptors,
        on.accept_aborts,
        on.short_writes,
        on.overtake,
    ];
    let mut episodes = Vec::new();
    for (family, _) in (0..9_u64).zip(families).filter(|(_, is_on)| *is_on) {
        let count = cx.choices.between(site!("episode/count"), family, 1, 4);
        for _ in 0..count {
            let choices = &mut cx.choices;
            let start = cx.now + choices.choose(site!("episode/start"), family, scenario.chaos);
            let long = choices.log_between(site!("episode/length"), family, MS, 3 * SEC);
            let what = draw_one(cx, scenario, addresses, family);
            episodes.push(Episode { what, start, end: start + long });
        }
    }
    episodes
}

fn draw_one(cx: &mut Cx, scenario: &Scenario, addresses: &[u16], family: u64) -> What {
    let choices = &mut cx.choices;
    let server = choices.choose(site!("episode/server"), family, addresses.len() as u64) as usize;
    let rate = Rate(choices.log_between(site!("episode/rate"), family, 2048, 60_000) as u32);
    match family {
        0 => {
            let client = choices.choose(site!("episode/client"), family, scenario.clients as u64);
            let is_server = choices.coin(site!("episode/which"), family);
            What::Clog(if is_server { SERVER_LINKS + server as u32 } else { client as u32 })
        }
        1 => What::Latency(choices.log_between(site!("episode/latency"), family, 100 * US, SEC)),
        2 => What::BlackHole(addresses[server]),
        3 => What::Unreachable(addresses[server]),
        4 => What::Down(server as u32, choices.coin(site!("episode/kills"), family)),
        5 => What::Descriptors(choices.choose(site!("episode/descriptors"), family, 12) as usize),
        6 => What::AcceptAborts(rate),
        7 => What::ShortWrites(rate),
        _ => What::Overtake(rate),
    }
}

impl World {
    /// Schedules all episodes.
    pub(super) fn schedule_episodes(&mut self) {
        for (n, episode) in self.episodes.iter().enumerate() {
            let n = n as u32;
            if self.cx.choices.omits(site!("episode"), n.into()) {
                continue;
            }
            self.cx.heap.push(episode.start, u64::from(n), Ev::Episode(n, true));
            self.cx.heap.push(episode.end, u64::from(n), Ev::Episode(n, false));
        }
    }

    /// Episode `n` begins, or ends.
    pub(super) fn episode(&mut self, n: u32, begins: bool) {
        if begins && self.is_healing() {
            return;
        }
        let what = self.episodes[n as usize].what;
        let verb = if begins { "begins" } else { "ends" };
        tell!(self.cx, Who::Episode(n), "{verb}: {what:?}");
        self.fired.episodes += u64::from(begins);
        let faults = &mut self.net.faults;
        match (what, begins) {
            (What::Clog(link), true) => self.net.clog(link),
            (What::Clog(link), false) => self.net.unclog(&mut self.cx, link),
            (What::Latency(extra), _) => faults.extra_latency = if begins { extra } else { 0 },
            (What::BlackHole(address), true) => faults.black_holes.push(address),
            (What::BlackHole(address), false) => remove(&mut faults.black_holes, address),
            (What::Unreachable(address), true) => faults.unreachable.push(address),
            (What::Unreachable(address), false) => remove(&mut faults.unreachable, address),
            (What::Down(server, kills), true) => self.server_down(server, kills),
            (What::Down(server, _), false) => self.server_up(server),
            (What::Descriptors(max), _) => faults.descriptors_max = begins.then_some(max),
            (What::AcceptAborts(rate), _) => {
                faults.accept_aborts = if begins { rate } else { Rate::NEVER };
            }
            (What::ShortWrites(rate), _) => {
                faults.short_writes = if begins { rate } else { Rate::NEVER };
            }
            (What::Overtake(rate), _) => {
                faults.resets_overtake = if begins { rate } else { Rate::NEVER };
            }
        }
    }

    /// Ends whatever is still going on; some servers stay down for good.
    pub(super) fn end_episodes(&mut self) {
        let clogged = self.net.faults.clogged.clone();
        for link in clogged {
            self.net.unclog(&mut self.cx, link);
        }
        self.net.faults = crate::kernel::Faults::default();
        for server in 0..self.servers.len() as u32 {
            if self.servers[server as usize].is_gone_for_good {
                self.server_down(server, true);
            } else {
                self.server_up(server);
            }
        }
    }
}

fn remove(all: &mut Vec<u16>, address: u16) {
    if let Some(at) = all.iter().position(|&known| known == address) {
        all.swap_remove(at);
    }
}

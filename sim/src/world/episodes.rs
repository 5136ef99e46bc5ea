//! Faults that have a start and an end.

use super::World;
use super::scenario::Scenario;
use crate::choice::Rate;
use crate::cx::{Cx, Ev, MS, SEC, US};
use crate::gate::SERVER_LINKS;
use crate::site;
use crate::story::Who;
use crate::swarm::Fault;
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
    /// A signal interrupts accepts this often.
    AcceptInterrupts(Rate),
    /// Resets overtake data this often.
    Overtake(Rate),
    /// The wall clock is off by so many milliseconds.
    ClockJump(i64),
}

/// One fault and its time.
#[derive(Copy, Clone, Debug)]
pub(super) struct Episode {
    /// Its family.
    pub(super) fault: Fault,
    /// What happens.
    pub(super) what: What,
    /// From when.
    pub(super) start: u64,
    /// Until when.
    pub(super) end: u64,
}

/// The families that come as episodes.
const FAMILIES: [Fault; 12] = [
    Fault::Clog,
    Fault::Latency,
    Fault::BlackHole,
    Fault::Unreachable,
    Fault::Flap,
    Fault::Descriptors,
    Fault::AcceptAborts,
    Fault::ShortWrites,
    Fault::Overtake,
    Fault::AcceptInterrupts,
    Fault::ClockJump,
    Fault::Swizzle,
];

/// Draws the episodes of a seed.
pub(super) fn draw(cx: &mut Cx, scenario: &Scenario, addresses: &[u16]) -> Vec<Episode> {
    let mut episodes = Vec::new();
    let begins = cx.now + scenario.warm_up;
    for (family, fault) in (0_u64..).zip(FAMILIES) {
        if !scenario.swarm.has(fault) {
            continue;
        }
        let count = cx.choices.between(site!("episode/count"), family, 1, 4);
        for _ in 0..count {
            let choices = &mut cx.choices;
            let start = begins + choices.choose(site!("episode/start"), family, scenario.chaos);
            let long = choices.log_between(site!("episode/length"), family, MS, 3 * SEC);
            let end = start + long;
            if fault == Fault::Swizzle {
                swizzle(cx, scenario, addresses.len() as u64, (start, end), &mut episodes);
                continue;
            }
            let what = draw_one(cx, scenario, addresses, (family, fault));
            episodes.push(Episode { fault, what, start, end });
        }
    }
    episodes
}

/// Several links stop, one after another, and go on in another order.
fn swizzle(
    cx: &mut Cx,
    scenario: &Scenario,
    servers: u64,
    (start, end): (u64, u64),
    episodes: &mut Vec<Episode>,
) {
    let clients = scenario.clients as u64;
    let mut links: Vec<u32> = (0..clients as u32).collect();
    links.extend((0..servers as u32).map(|server| SERVER_LINKS + server));
    let count = cx.choices.between(site!("swizzle/links"), 0, 2, (links.len() as u64).clamp(2, 8));
    let step = (end - start) / (2 * count);
    for n in 0..count.min(links.len() as u64) {
        let at = cx.choose(site!("swizzle/link"), 0, links.len() as u64) as usize;
        let what = What::Clog(links.swap_remove(at));
        let goes_on = end + cx.choose(site!("swizzle/order"), 0, count * step.max(1));
        episodes.push(Episode {
            fault: Fault::Swizzle,
            what,
            start: start + n * step,
            end: goes_on,
        });
    }
}

fn draw_one(
    cx: &mut Cx,
    scenario: &Scenario,
    addresses: &[u16],
    (family, fault): (u64, Fault),
) -> What {
    let choices = &mut cx.choices;
    let server = choices.choose(site!("episode/server"), family, addresses.len() as u64) as usize;
    let rate = Rate(choices.log_between(site!("episode/rate"), family, 2048, 60_000) as u32);
    match fault {
        Fault::Clog | Fault::Swizzle => {
            let client = choices.choose(site!("episode/client"), family, scenario.clients as u64);
            let is_server = choices.coin(site!("episode/which"), family);
            What::Clog(if is_server { SERVER_LINKS + server as u32 } else { client as u32 })
        }
        Fault::Latency => {
            What::Latency(choices.log_between(site!("episode/latency"), family, 100 * US, SEC))
        }
        Fault::BlackHole => What::BlackHole(addresses[server]),
        Fault::Unreachable => What::Unreachable(addresses[server]),
        Fault::Flap => What::Down(server as u32, choices.coin(site!("episode/kills"), family)),
        Fault::Descriptors => {
            What::Descriptors(choices.choose(site!("episode/descriptors"), family, 12) as usize)
        }
        Fault::AcceptAborts => What::AcceptAborts(rate),
        Fault::AcceptInterrupts => What::AcceptInterrupts(rate),
        Fault::ShortWrites => What::ShortWrites(rate),
        Fault::ClockJump => {
            let far = choices.log_between(site!("episode/jump"), family, 1, 400 * 86_400_000);
            let is_back = choices.coin(site!("episode/jumps back"), family);
            What::ClockJump(if is_back { -(far as i64) } else { far as i64 })
        }
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
        if begins && self.is_closed() {
            return;
        }
        let Episode { fault, what, .. } = self.episodes[n as usize];
        if begins && !is_seen_elsewhere(fault) {
            self.cx.fired(fault);
        }
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
            (What::AcceptInterrupts(rate), _) => {
                faults.accept_interrupts = if begins { rate } else { Rate::NEVER };
            }
            (What::ClockJump(by), _) => self.set_wall_offset(if begins { by } else { 0 }),
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
        self.set_wall_offset(0);
        for server in 0..self.servers.len() as u32 {
            if self.servers[server as usize].is_gone_for_good {
                self.cx.fired(Fault::Gone);
                self.server_down(server, true);
            } else {
                self.server_up(server);
            }
        }
    }
}

/// Whether the kernel says when it strikes: that an episode begins does not mean that it does.
fn is_seen_elsewhere(fault: Fault) -> bool {
    matches!(
        fault,
        Fault::BlackHole
            | Fault::Unreachable
            | Fault::Descriptors
            | Fault::AcceptAborts
            | Fault::AcceptInterrupts
            | Fault::ShortWrites
            | Fault::Overtake
    )
}

fn remove(all: &mut Vec<u16>, address: u16) {
    if let Some(at) = all.iter().position(|&known| known == address) {
        all.swap_remove(at);
    }
}

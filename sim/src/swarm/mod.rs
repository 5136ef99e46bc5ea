//! The swarm: every fault and every operation that a world can have, in one place.
//!
//! Each seed switches each of them on or off by a coin. How its coins are weighted is drawn first,
//! so that some seeds have a fault or two and others nearly all of them; one seed in twenty has no
//! fault at all. Rates are log-uniform. All of that comes from a stream of its own: what a seed
//! draws elsewhere does not depend on it.
//!
//! Whoever lets a fault strike, or carries out an operation, says so by [`Cx::strikes`],
//! [`Cx::fired`], [`Cx::does`] or [`Cx::applied`]: a family that never fires shows in the table of
//! marks.

mod families;
mod only;

pub use families::{Actor, Fault, Kind, Operation};
pub use only::only;

use crate::choice::{Choices, Rate, Site};
use crate::cx::Cx;
use crate::marks::Group;
use crate::site;
use tidegate_core::buggify::Point;

/// What the controller may be asked to do.
pub fn of_controller() -> impl Iterator<Item = Operation> {
    Operation::ALL.iter().copied().filter(|it| it.actor() == Actor::Controller)
}

/// How often each fault strikes at an occasion; one that the seed leaves out draws nothing.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Rates([Rate; Fault::ALL.len()]);

impl Rates {
    /// Nothing strikes.
    pub const NONE: Rates = Rates([Rate::NEVER; Fault::ALL.len()]);

    /// The rate of one fault.
    pub const fn of(&self, fault: Fault) -> Rate {
        self.0[fault as usize]
    }
}

/// What one seed uses.
#[derive(Clone, PartialEq, Eq)]
pub struct Swarm {
    /// Nothing goes wrong.
    pub is_faultless: bool,
    faults: u64,
    operations: u64,
    /// How often faults strike while they may.
    pub rates: Rates,
    /// How often the core takes its rare ways, in 65,536ths, and what decides.
    pub buggify: (u64, [u32; Point::ALL.len()]),
}

/// Of a hundred coins so many fall on *on*; one of these for each seed.
const DENSITIES: [u32; 4] = [8, 30, 50, 80];

impl Swarm {
    /// Draws what a seed uses, from `choices` that nobody else draws from.
    pub fn draw(choices: &mut Choices, is_calm: bool) -> Swarm {
        let is_faultless = choices.chance(site!("swarm/faultless"), 0, Rate::percent(5)) || is_calm;
        let density = choices.pick(site!("swarm/density"), 0, &DENSITIES);
        let buggify = draw_buggify(choices);
        let mut swarm =
            Swarm { is_faultless, faults: 0, operations: 0, rates: Rates::NONE, buggify };
        for &fault in Fault::ALL {
            let percent = match fault.kind() {
                Kind::Rate(_) => density,
                // Of these a few are enough to starve a seed.
                Kind::Episode | Kind::World => density * 2 / 3,
            };
            let is_on = is_on(choices, fault.site(), u64::from(percent));
            if !is_on || is_faultless {
                continue;
            }
            swarm.faults |= 1 << fault as u64;
            if let Kind::Rate(most) = fault.kind() {
                let most = u64::from(Rate::percent(most).0);
                let rate = choices.log_between(fault.site(), 1, 256, most);
                swarm.rates.0[fault as usize] = Rate(rate as u32);
            }
        }
        let is_controlled = is_on(choices, site!("swarm/controlled"), 35);
        let density = u64::from(choices.pick(site!("swarm/operations"), 0, &DENSITIES));
        for &operation in Operation::ALL {
            let is_on = is_on(choices, operation.site(), density.max(30));
            let is_possible = match operation.actor() {
                Actor::Client | Actor::Server => true,
                Actor::Controller => is_controlled && !is_faultless,
            };
            if is_on && is_possible {
                swarm.operations |= 1 << operation as u64;
            }
        }
        swarm
    }

    /// Whether the seed uses `fault`.
    pub fn has(&self, fault: Fault) -> bool {
        self.faults >> fault as u64 & 1 == 1
    }

    /// Whether the seed uses `operation`.
    pub fn uses(&self, operation: Operation) -> bool {
        self.operations >> operation as u64 & 1 == 1
    }

    /// What the controller does in this seed.
    pub fn controls(&self) -> Vec<Operation> {
        of_controller().filter(|&it| self.uses(it)).collect()
    }
}

impl std::fmt::Debug for Swarm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let faults = Fault::ALL.iter().filter(|it| self.has(**it)).map(|it| it.name());
        let uses = Operation::ALL.iter().filter(|it| self.uses(**it)).map(|it| it.name());
        f.debug_struct("Swarm")
            .field("is_faultless", &self.is_faultless)
            .field("faults", &faults.collect::<Vec<_>>().join(" "))
            .field("operations", &uses.collect::<Vec<_>>().join(" "))
            .field("buggify", &self.buggify.1)
            .finish()
    }
}

/// A coin that falls on *on* so many times in a hundred; the highest draws are on.
fn is_on(choices: &mut Choices, site: Site, percent: u64) -> bool {
    choices.choose(site, 0, 100) + percent >= 100
}

/// Most seeds leave the core alone; the others take some of its rare ways, each at a rate of its
/// own. None of them is a fault.
fn draw_buggify(choices: &mut Choices) -> (u64, [u32; Point::ALL.len()]) {
    let seed = choices.choose(site!("swarm/buggify seed"), 0, u64::MAX);
    let is_on = choices.chance(site!("swarm/buggify"), 0, Rate::percent(25));
    let mut rates = [0; Point::ALL.len()];
    for (n, rate) in (0..).zip(&mut rates) {
        if is_on && choices.coin(site!("swarm/buggify point"), n) {
            *rate = choices.log_between(site!("swarm/buggify rate"), n, 64, 32_768) as u32;
        }
    }
    (seed, rates)
}

impl Cx {
    /// Whether `fault` strikes now, at the rate that `rates` gives it; marked if so.
    #[inline]
    pub fn strikes(&mut self, fault: Fault, rates: &Rates, entity: u64) -> bool {
        let rate = rates.of(fault);
        if rate == Rate::NEVER || !self.choices.chance(fault.site(), entity.wrapping_add(2), rate) {
            return false;
        }
        self.fired(fault);
        true
    }

    /// `fault` has struck.
    #[inline]
    pub fn fired(&mut self, fault: Fault) {
        self.mark(Group::Fault.at(fault as usize));
    }

    /// Whether `operation`, which the seed may use, is done now: so many percent of the time.
    #[inline]
    pub fn does(&mut self, operation: Operation, swarm: &Swarm, entity: u64, percent: u32) -> bool {
        if !swarm.uses(operation)
            || !self.choices.chance(
                operation.site(),
                entity.wrapping_add(2),
                Rate::percent(percent),
            )
        {
            return false;
        }
        self.applied(operation);
        true
    }

    /// `operation` was done.
    #[inline]
    pub fn applied(&mut self, operation: Operation) {
        self.mark(Group::Operation.at(operation as usize));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64) -> Swarm {
        Swarm::draw(&mut Choices::from_seed(seed), false)
    }

    #[test]
    fn there_are_enough_of_both_and_each_has_a_name_of_its_own() {
        const { assert!(Fault::ALL.len() >= 24 && Fault::ALL.len() <= 64) };
        const { assert!(Operation::ALL.len() >= 20 && Operation::ALL.len() <= 64) };
        let faults = Fault::ALL.iter().map(|it| it.name());
        let mut names: Vec<_> = faults.chain(Operation::ALL.iter().map(|it| it.name())).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn coins_fall_on_both_sides_and_one_seed_in_twenty_has_no_fault() {
        let all: Vec<Swarm> = (0..4000).map(draw).collect();
        let faultless = all.iter().filter(|swarm| swarm.is_faultless).count();
        assert!((140..260).contains(&faultless), "{faultless}");
        let is_pure = |swarm: &&Swarm| swarm.faults == 0 && swarm.rates == Rates::NONE;
        assert!(all.iter().filter(|swarm| swarm.is_faultless).all(|swarm| is_pure(&swarm)));
        for &fault in Fault::ALL {
            let count = all.iter().filter(|swarm| swarm.has(fault)).count();
            assert!((600..2200).contains(&count), "{}: {count}", fault.name());
        }
        for &operation in Operation::ALL {
            let count = all.iter().filter(|swarm| swarm.uses(operation)).count();
            assert!((400..2600).contains(&count), "{}: {count}", operation.name());
        }
        // Log-uniform: half of them lie below the geometric mean.
        let rates = all.iter().map(|swarm| swarm.rates.of(Fault::Reset).0).filter(|&rate| rate > 0);
        let rates: Vec<u32> = rates.collect();
        let low = rates.iter().filter(|&&rate| rate < 2243).count() * 100 / rates.len();
        assert!((40..60).contains(&low), "{low} %");
    }
}

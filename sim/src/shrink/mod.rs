//! Shrinking: the smallest case that breaks the same invariant.
//!
//! A case is a seed and [`Change`]s to its draws. Because draws are keyed, a change at one site
//! leaves all others alone: a client can be left out, and the rest goes on as before. So shrinking
//! is adding changes that keep the violation (same group, same rule) and make the run smaller:
//! structure first (families and episodes off, clients, connections, requests and operations left
//! out, faults not fired), then values (draws towards 0, which always means "nothing special").
//! Each list of changes is tried in chunks first, half of it at a time, then a quarter, and so on.
//!
//! This file knows no clock and no thread: whoever calls it makes the runs, several at a time if he
//! likes, and says when time is up. Which candidate is taken does not depend on how many are tried
//! at a time.

mod moves;
#[cfg(test)]
mod tests;

use crate::choice::{Change, Draw, OMITTED, What};
use crate::world::{Actions, Outcome, is_fault};
use std::collections::BTreeMap;

/// Events by which a candidate may be later than the best case so far.
const SLACK_EVENTS: u64 = 400;

/// What must be the same: group, rule, and for a panic its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signature {
    group: String,
    rule: String,
    place: String,
}

impl Signature {
    /// What `outcome` broke, if anything.
    pub fn of(outcome: &Outcome) -> Option<Signature> {
        let breach = &outcome.violation.as_ref()?.breach;
        let place = match breach.group {
            // A panic says where it was, in parentheses.
            "panic" => breach.message.rsplit_once('(').map_or("", |(_, place)| place),
            _ => "",
        };
        let (group, rule) = (breach.group.to_string(), breach.rule.to_string());
        Some(Signature { group, rule, place: place.to_string() })
    }
}

/// A set of changes, each draw in one of them at most.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct State(BTreeMap<(String, What), u64>);

impl State {
    /// The state of `changes`.
    pub fn new(changes: &[Change]) -> State {
        changes.iter().fold(State::default(), |state, change| state.with([change]))
    }

    /// This and `changes` too. A wide change takes the place of narrower ones.
    #[must_use]
    pub fn with<'a>(&self, changes: impl IntoIterator<Item = &'a Change>) -> State {
        let mut all = self.0.clone();
        for Change { site, what, value } in changes {
            match what {
                What::All => all.retain(|(s, w), _| s != site || matches!(w, What::Omit(_))),
                What::Entity(entity) => all
                    .retain(|(s, w), _| s != site || !matches!(w, What::One(e, _) if e == entity)),
                What::One(..) | What::Omit(_) => {}
            }
            all.insert((site.clone(), what.clone()), *value);
        }
        State(all)
    }

    /// As they stand in a case.
    pub fn changes(&self) -> Vec<Change> {
        let all = self.0.iter();
        all.map(|((site, what), value)| Change::new(site, what.clone(), *value)).collect()
    }
}

/// A run that broke what it should.
pub struct Found {
    /// What was changed.
    pub state: State,
    /// What was done to the proxy.
    pub actions: Actions,
    /// Events up to the violation.
    pub events: u64,
    /// The trace hash.
    pub hash: u64,
    draws: Vec<Draw>,
    omittable: Vec<(&'static str, u64)>,
}

impl Found {
    /// `outcome` of `state`, whose draws were recorded.
    pub fn new(state: State, outcome: Outcome) -> Found {
        Found {
            state,
            actions: outcome.actions,
            events: outcome.events,
            hash: outcome.hash,
            draws: outcome.draws,
            omittable: outcome.omittable,
        }
    }

    /// The smaller, the better: actions, then what is drawn other than 0, by its bits, then events.
    fn weight(&self) -> (u64, u64, u64) {
        let bits = |draw: &Draw| u64::from(u64::BITS - draw.value.leading_zeros());
        (self.actions.total(), self.draws.iter().map(bits).sum(), self.events)
    }
}

/// Makes runs for the shrinker.
pub trait Runner {
    /// Runs each of `states` up to event `until`, with its draws recorded; for each, the run if it
    /// broke what it should.
    fn run(&mut self, states: Vec<State>, until: u64) -> Vec<Option<Found>>;
    /// How many states to run at a time.
    fn width(&self) -> usize;
    /// Whether there is time for more.
    fn goes_on(&self) -> bool;
}

/// Shrinks by the runs of a [`Runner`].
pub struct Shrinker<'a, R: Runner> {
    runner: &'a mut R,
    best: Found,
    attempts: u64,
    attempts_max: u64,
}

impl<'a, R: Runner> Shrinker<'a, R> {
    /// Begins with `first`, and makes `attempts_max` attempts at most.
    pub fn new(runner: &'a mut R, first: Found, attempts_max: u64) -> Shrinker<'a, R> {
        Shrinker { runner, best: first, attempts: 0, attempts_max }
    }

    /// Shrinks until nothing helps or time is up: the smallest case, and attempts made.
    pub fn shrink(mut self) -> (Found, u64) {
        loop {
            let before = self.best.weight();
            self.structure();
            self.values();
            if self.best.weight() >= before || !self.goes_on() {
                break;
            }
        }
        self.tidy();
        (self.best, self.attempts)
    }

    fn goes_on(&self) -> bool {
        self.attempts < self.attempts_max && self.runner.goes_on()
    }

    fn structure(&mut self) {
        self.each(moves::whole(&self.best.draws));
        for site in OMITTED {
            let omittable = self.best.omittable.iter().filter(|(name, _)| *name == site);
            let all = omittable.map(|(name, entity)| vec![Change::omitting(name, *entity)]);
            self.each(all.collect());
        }
        let fired = self.best.draws.iter().filter(|draw| is_fault(draw));
        self.each(fired.map(|draw| vec![moves::zero(draw)]).collect());
        self.each(moves::families(&self.best.draws));
    }

    fn values(&mut self) {
        self.each(moves::sites(&self.best.draws));
        self.each(moves::entities(&self.best.draws));
        self.each(moves::singles(&self.best.draws));
        // What cannot be 0 may be less.
        for shift in [8, 3, 1] {
            self.each(moves::smaller(&self.best.draws, shift));
        }
    }

    /// Tries to make all `moves`, half of them at a time, and so on down to one; keeps what helps.
    fn each(&mut self, moves: Vec<Vec<Change>>) {
        let mut left = moves;
        let mut size = left.len();
        while size > 0 && self.goes_on() {
            let chunks: Vec<Vec<Vec<Change>>> = left.chunks(size).map(<[_]>::to_vec).collect();
            left = self.pass(chunks);
            size = if size == 1 { 0 } else { size.min(left.len()).div_ceil(2) };
        }
    }

    /// Tries each chunk once; the moves of those that did not help.
    fn pass(&mut self, chunks: Vec<Vec<Vec<Change>>>) -> Vec<Vec<Change>> {
        let mut useless = Vec::new();
        let mut next = 0;
        while next < chunks.len() {
            if !self.goes_on() {
                return Vec::new();
            }
            // More at a time than one by one would be tried are too many.
            let left = (self.attempts_max - self.attempts).min(self.runner.width() as u64);
            let batch = &chunks[next..(next + left as usize).min(chunks.len())];
            let states =
                batch.iter().map(|chunk| self.best.state.with(chunk.iter().flatten())).collect();
            let found = self.runner.run(states, self.best.events + SLACK_EVENTS);
            let mut taken = batch.len();
            for (n, found) in found.into_iter().enumerate() {
                self.attempts += 1;
                match found.filter(|found| found.weight() < self.best.weight()) {
                    Some(found) => {
                        self.best = found;
                        // What was tried at the same time was tried on another case.
                        taken = n + 1;
                        break;
                    }
                    None => useless.extend(batch[n].iter().cloned()),
                }
            }
            next += taken;
        }
        useless
    }

    /// Drops changes without which the run is the same.
    fn tidy(&mut self) {
        let mut size = self.best.state.0.len();
        while size > 0 {
            let all = self.best.state.changes();
            for chunk in all.chunks(size) {
                if !self.goes_on() {
                    return;
                }
                let mut state = self.best.state.clone();
                for change in chunk {
                    state.0.remove(&(change.site.clone(), change.what.clone()));
                }
                self.attempts += 1;
                let found = self.runner.run(vec![state], self.best.events + SLACK_EVENTS);
                let same = found.into_iter().flatten().find(|found| found.hash == self.best.hash);
                if let Some(same) = same {
                    self.best = same;
                }
            }
            size /= 2;
        }
    }
}

use super::*;
use crate::choice::{Choices, Rate, Source};
use crate::oracle::{Breach, Violation};
use crate::site;
use crate::world::{Options, run};

/// A toy world: forty clients, of whom number 7 breaks it, if it draws more than 100.
struct Toy {
    width: usize,
    runs: usize,
}

fn toy(state: &State) -> Option<Found> {
    let changes = state.changes();
    let mut choices = Choices::new(1, Source::Changed(changes.iter().collect()));
    choices.record();
    let mut actions = Actions::default();
    let mut is_broken = false;
    for client in 0..40 {
        if choices.omits(site!("client"), client) {
            continue;
        }
        actions.connections += 1;
        actions.faults += u64::from(choices.chance(site!("toy/fault"), client, Rate::percent(50)));
        let value = choices.choose(site!("toy/value"), client, 1 << 20);
        is_broken |= client == 7 && value > 100;
    }
    is_broken.then(|| Found {
        state: state.clone(),
        actions,
        events: actions.total(),
        hash: mix_all(&choices.take_record()),
        draws: Vec::new(),
        omittable: choices.take_omittable(),
    })
}

fn mix_all(draws: &[Draw]) -> u64 {
    draws.iter().fold(0, |hash, draw| crate::choice::mix(hash ^ draw.value ^ draw.entity << 32))
}

impl Runner for Toy {
    fn run(&mut self, states: Vec<State>, _: u64) -> Vec<Option<Found>> {
        self.runs += states.len();
        states
            .iter()
            .map(|state| {
                let mut found = toy(state)?;
                let mut choices =
                    Choices::new(1, Source::Changed(state.changes().iter().collect()));
                choices.record();
                for client in 0..40 {
                    if !choices.omits(site!("client"), client) {
                        choices.chance(site!("toy/fault"), client, Rate::percent(50));
                        choices.choose(site!("toy/value"), client, 1 << 20);
                    }
                }
                found.draws = choices.take_record();
                Some(found)
            })
            .collect()
    }

    fn width(&self) -> usize {
        self.width
    }

    fn goes_on(&self) -> bool {
        true
    }
}

fn shrunk(width: usize) -> (Found, u64) {
    shrunk_by(width, 10_000)
}

fn shrunk_by(width: usize, attempts_max: u64) -> (Found, u64) {
    let mut runner = Toy { width, runs: 0 };
    let first = runner.run(vec![State::default()], 0).remove(0).expect("the seed breaks it");
    assert!(first.actions.total() > 40);
    Shrinker::new(&mut runner, first, attempts_max).shrink()
}

// One client, no fault, and a value near the least that breaks it are left.
#[test]
fn what_does_not_matter_is_left_out() {
    let (found, attempts) = shrunk(1);
    assert_eq!((found.actions.connections, found.actions.faults), (1, 0));
    let value = found.draws.iter().find(|draw| draw.site == "toy/value").expect("a draw").value;
    assert!((101..=201).contains(&value), "{value}");
    assert!(attempts < 200, "{attempts}");
    assert!(toy(&State::new(&found.state.changes())).is_some(), "it replays");
}

// How many candidates are tried at a time changes nothing of what comes out.
#[test]
fn width_changes_nothing() {
    let (one, many) = (shrunk(1), shrunk(5));
    assert_eq!(one.0.state, many.0.state);
    assert_eq!(one.1, many.1);
}

// Whoever allows so many attempts gets no more of them, dropping what does not matter included, and
// the same case however many are tried at a time.
#[test]
fn attempts_are_limited() {
    for attempts_max in [0, 1, 2, 7, 40] {
        let (one, many) = (shrunk_by(1, attempts_max), shrunk_by(5, attempts_max));
        assert_eq!((one.1, many.1), (attempts_max, attempts_max));
        assert_eq!(one.0.state, many.0.state);
    }
}

#[test]
fn a_wide_change_takes_the_place_of_narrow_ones() {
    let state = State::new(&[
        Change::new("a", What::One(1, 0), 5),
        Change::new("a", What::Entity(2), 6),
        Change::omitting("a", 3),
        Change::new("b", What::One(1, 0), 7),
    ]);
    let wide = state.with([&Change::new("a", What::All, 0)]);
    assert_eq!(wide.changes().len(), 3);
}

#[test]
fn only_the_same_breach_counts() {
    let of = |group, message: &str| {
        let mut outcome = run(1, Options { until: Some(3), ..Options::default() });
        let breach = Breach { group, rule: "RUN-5", message: message.into() };
        outcome.violation = Some(Violation { breach, event: 0, at: 0 });
        Signature::of(&outcome).expect("broken")
    };
    assert_eq!(of("bytes", "one (x)"), of("bytes", "two (y)"));
    assert_ne!(of("bytes", "one"), of("panic", "one"));
    assert_ne!(of("panic", "left: 3 (a.rs:1:2)"), of("panic", "left: 3 (b.rs:1:2)"));
    assert_eq!(of("panic", "left: 3 (a.rs:1:2)"), of("panic", "left: 4 (a.rs:1:2)"));
}

//! Whole runs: the same seed is the same run, and a short sweep is clean.

use tidegate_sim::choice::{Change, Source};
use tidegate_sim::world::{Options, run};

fn plain() -> Options {
    Options::default()
}

#[test]
fn the_same_seed_gives_the_same_run_twice() {
    for seed in 1000..1024 {
        let one = run(seed, plain());
        let two = run(seed, plain());
        assert_eq!(one.hash, two.hash, "seed {seed}");
        assert_eq!(one.checkpoints, two.checkpoints, "seed {seed}");
        assert_eq!(one.events, two.events, "seed {seed}");
    }
    assert_ne!(run(1, plain()).hash, run(2, plain()).hash);
}

// Changes take the place of what the seed says: a run that keeps all draws is the same run, and one
// that keeps them all but one draws just that one otherwise, and goes another way.
#[test]
fn a_kept_draw_is_drawn_again_and_a_changed_one_shows() {
    let with = |changes: &[Change]| {
        let source = Source::Changed(changes.iter().collect());
        run(7, Options { source, records: true, ..plain() })
    };
    let recorded = run(7, Options { records: true, ..plain() });
    assert!(recorded.draws.len() > 100);
    assert_eq!(recorded.hash, run(7, plain()).hash, "recording changes nothing");
    let changes: Vec<Change> = recorded.draws.iter().map(Change::keeping).collect();
    let again = with(&changes);
    assert_eq!((again.hash, &again.draws), (recorded.hash, &recorded.draws));
    // Not every draw comes to matter; the first from the middle on that does.
    let middle = recorded.draws.len() / 2;
    let choices = (middle..recorded.draws.len()).filter(|&at| recorded.draws[at].n > 1);
    let shows = |at: usize| {
        let mut changes = changes.clone();
        changes[at].value = (changes[at].value + 1) % recorded.draws[at].n;
        let changed = with(&changes);
        (changed.hash != recorded.hash).then_some((at, changes[at].value, changed))
    };
    let (at, value, changed) = choices.take(100).find_map(shows).expect("a choice that matters");
    let old = recorded.draws[at];
    assert_eq!(changed.draws[..at], recorded.draws[..at]);
    let new = changed.draws[at];
    assert_eq!((new.site, new.entity, new.count), (old.site, old.entity, old.count));
    assert_eq!(new.value, value);
}

#[test]
fn a_run_can_be_stopped_at_an_event() {
    let whole = run(3, Options { keeps_each: true, ..plain() });
    let part = run(3, Options { until: Some(100), keeps_each: true, ..plain() });
    assert_eq!(part.each[..100], whole.each[..100]);
    assert!(part.events < whole.events);
}

#[test]
fn a_short_sweep_is_clean_and_not_empty() {
    let mut completed = Vec::new();
    let mut healed = 0;
    for seed in 0..200 {
        let outcome = run(seed, plain());
        assert_eq!(outcome.violation, None, "tidegate-sim replay {seed}");
        completed.push(outcome.completed);
        healed += usize::from(outcome.healed > 0);
    }
    completed.sort_unstable();
    assert!(completed[100] >= 20, "the median seed completes {}", completed[100]);
    assert!(healed >= 160, "{healed} of 200 seeds complete a request after healing");
}

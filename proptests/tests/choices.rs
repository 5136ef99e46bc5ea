//! Whole simulated worlds out of bytes: the third source of choices. What proptest shrinks here is
//! the bytes, and where they end every choice is 0, which is "nothing special".

mod support;

use proptest::prelude::*;
use tidegate_sim::choice::Source;
use tidegate_sim::cli::{Case, Origin};
use tidegate_sim::oracle::{Breach, Violation};
use tidegate_sim::world::{Options, Outcome, run};

fn world(bytes: &[u8]) -> Outcome {
    run(0, Options { source: Source::Bytes(bytes.to_vec()), ..Options::default() })
}

proptest! {
    #![proptest_config(support::run_of(24))]

    // Every rule of the oracle, over worlds that no seed would draw.
    #[test]
    fn worlds_made_of_bytes_are_clean(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let outcome = world(&bytes);
        if let Some(case) = Case::of(&outcome, Origin::Bytes(bytes), &[]) {
            prop_assert!(false, "a case to replay:\n{case}");
        }
    }

    // What bytes say is said by nothing else: a run of bytes is the same twice, and as a case.
    #[test]
    fn a_case_of_bytes_replays(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut outcome = world(&bytes);
        let breach = Breach { group: "bytes", rule: "RES-2", message: "said so".into() };
        outcome.violation = Some(Violation { breach, event: 1, at: 1 });
        let case = Case::of(&outcome, Origin::Bytes(bytes), &[]).expect("a case");
        let read = Case::parse(&case.to_string()).map_err(TestCaseError::fail)?;
        prop_assert_eq!(run(read.origin.seed(), read.options()).hash, outcome.hash);
    }
}

// No bytes at all: one client, one server, no fault, and everything is served.
#[test]
fn the_simplest_world_is_the_one_without_bytes() {
    let outcome = world(&[]);
    assert_eq!(outcome.violation, None);
    assert!(outcome.requests > 0 && outcome.completed == outcome.requests);
    let actions = outcome.actions;
    assert_eq!((actions.episodes, actions.operations), (0, 0));
}

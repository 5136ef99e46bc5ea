//! The two providers are oracles for each other: all that differs between them is the content of
//! what is protected.

use super::super::{Provider, Templates};
use super::{Script, run_of};
use std::sync::Arc;

#[test]
fn flights_are_equally_long_under_both_providers() {
    let [fast, real] =
        [Provider::Fast, Provider::Real].map(|provider| Arc::new(Templates::new(provider)));
    for script in Script::all() {
        for seed in 0..4 {
            let [fast, real] =
                [&fast, &real].map(|templates| script.play(&run_of(templates), seed));
            let lengths = |flights: &[Vec<u8>]| flights.iter().map(Vec::len).collect::<Vec<_>>();
            assert_eq!(lengths(&fast), lengths(&real), "{script:?}");
            assert_ne!(fast, real);
            if !script.resumed {
                // The first hello holds nothing that either has computed.
                assert_eq!(fast[0], real[0], "{script:?}");
            }
        }
    }
}

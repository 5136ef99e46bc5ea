//! Worlds of the simulator, recorded and played back.

use super::*;
use crate::world::{Options, run};

/// Bytes enough for every session of a world.
const AMPLE: usize = 16 * 1024 * 1024;

fn recorded(seed: u64, bytes: usize) -> Case {
    let outcome = run(seed, Options { flight: Some(bytes), ..Options::default() });
    assert!(outcome.violation.is_none(), "seed {seed}: {:?}", outcome.violation);
    Case::read(&outcome.flight.expect("it was recorded")).expect("it can be read")
}

#[test]
fn debug_one() {
    let Ok(text) = std::env::var("FLIGHT") else { return };
    let (seed, serial) = text.split_once('/').unwrap();
    let (seed, serial): (u64, u64) = (seed.parse().unwrap(), serial.parse().unwrap());
    let case = recorded(seed, AMPLE);
    for chain in &case.chains {
        if chain.start.as_ref().is_some_and(|s| s.serial == serial) {
            chain.lines().for_each(|line| println!("{line}"));
            let stand = stand_ins();
            println!("{:?}", Player::new(&case, &stand).unwrap().play(chain));
        }
    }
}

// Every session that is not marked comes out as it was.
#[test]
fn recorded_worlds_replay_with_equal_hashes() {
    let (mut equal, mut requests, mut failed) = (0, 0, Vec::new());
    let mut flaws: BTreeMap<Flaw, usize> = BTreeMap::new();
    for seed in 0..60 {
        let case = recorded(seed, AMPLE);
        let play = |player: &Player<'_>, chain: &Chain| Ok(player.play(chain)?.steps);
        let results = replay_all(&case, play).expect("its configurations are good");
        equal += results.equal;
        requests += results.requests;
        failed.extend(results.different.into_iter().map(|(serial, what)| (seed, serial, what)));
        for (flaw, n) in contents(&case).flaws {
            *flaws.entry(flaw).or_default() += n;
        }
    }
    let shown: Vec<String> =
        failed.iter().take(12).map(|(seed, n, what)| format!("{seed}/{n}: {what}")).collect();
    println!("{equal} equal, {requests} requests, {} differ, {flaws:?}", failed.len());
    assert!(failed.is_empty(), "{equal} equal, {} differ\n{}", failed.len(), shown.join("\n"));
    assert!(equal > 900 && requests > 1200, "{equal} sessions, {requests} requests");
}

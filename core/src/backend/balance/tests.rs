use super::*;
use crate::rng::Child;

/// Those that do not look at the client.
const POLICIES: [Balance; 4] =
    [Balance::RoundRobin, Balance::Random, Balance::LeastConnections, Balance::PowerOfTwo];

fn servers(weights: &[u32]) -> Vec<ServerLoad> {
    let load = |&weight| ServerLoad { weight, eligible: true, ..ServerLoad::default() };
    weights.iter().map(load).collect()
}

fn counts(policy: Balance, servers: &mut [ServerLoad], n: usize) -> Vec<i64> {
    let mut rng = Child::new(99);
    let mut counts = vec![0; servers.len()];
    for _ in 0..n {
        counts[choose(policy, None, servers, &mut rng).unwrap()] += 1;
    }
    counts
}

// BACK-1: round-robin is smooth: the heavy server's turns are spread out.
#[test]
fn round_robin_spreads_turns_by_weight() {
    let mut servers = servers(&[5, 1, 1]);
    let mut rng = Child::new(1);
    let order: Vec<_> = (0..7)
        .map(|_| choose(Balance::RoundRobin, None, &mut servers, &mut rng).unwrap())
        .collect();
    assert_eq!(order, [0, 0, 1, 0, 2, 0, 0]);
    assert!(servers.iter().all(|server| server.current == 0));
}

// BACK-1: over any window, equal servers differ by at most one.
#[test]
fn round_robin_keeps_equal_servers_within_one() {
    let mut servers = servers(&[3; 7]);
    let mut rng = Child::new(1);
    let mut counts = [0i64; 7];
    for _ in 0..500 {
        counts[choose(Balance::RoundRobin, None, &mut servers, &mut rng).unwrap()] += 1;
        let (min, max) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(max - min <= 1, "{counts:?}");
    }
}

// BACK-1: servers come and go (retries, back-off), and those that stay keep their shares.
#[test]
fn round_robin_stays_fair_while_eligibility_changes() {
    let mut servers = servers(&[2, 1, 1]);
    let mut rng = Child::new(1);
    for round in 0..1000 {
        servers[round % 3].eligible = false;
        let chosen = choose(Balance::RoundRobin, None, &mut servers, &mut rng).unwrap();
        assert_ne!(chosen, round % 3);
        servers[round % 3].eligible = true;
        assert!(servers.iter().all(|server| server.current.abs() <= 8), "{servers:?}");
    }
    assert_eq!(counts(Balance::RoundRobin, &mut servers, 4000), [2000, 1000, 1000]);
}

// BACK-1: weights count in all policies.
#[test]
fn weights_count_in_every_policy() {
    for policy in POLICIES {
        let counts = counts(policy, &mut servers(&[6, 3, 1]), 10_000);
        assert!(counts[0] > counts[1] + 1000, "{policy:?} {counts:?}");
        assert!(counts[1] > counts[2] + 1000, "{policy:?} {counts:?}");
        if policy != Balance::PowerOfTwo {
            assert!((counts[0] - 6000).abs() < 200, "{policy:?} {counts:?}");
            assert!((counts[2] - 1000).abs() < 200, "{policy:?} {counts:?}");
        }
    }
}

// BACK-1: least-connections compares load for weight; ties take turns.
#[test]
fn least_connections_fills_servers_by_weight() {
    let mut servers = servers(&[4, 2, 1]);
    let mut rng = Child::new(1);
    for _ in 0..70 {
        let chosen = choose(Balance::LeastConnections, None, &mut servers, &mut rng).unwrap();
        servers[chosen].active += 1;
    }
    let active: Vec<_> = servers.iter().map(|server| server.active).collect();
    assert_eq!(active, [40, 20, 10]);
    servers[1].active = 19;
    assert_eq!(choose(Balance::LeastConnections, None, &mut servers, &mut rng), Some(1));
}

// BACK-1: power-of-two never takes the worst of the eligible, and needs no second one.
#[test]
fn power_of_two_takes_the_better_of_two_different_servers() {
    let mut three = servers(&[1, 1, 1]);
    (three[0].active, three[1].active, three[2].active) = (5, 9, 1);
    let counts = counts(Balance::PowerOfTwo, &mut three, 3000);
    assert_eq!(counts[1], 0);
    assert!((counts[2] - 2000).abs() < 150, "{counts:?}");
    let mut one = servers(&[7]);
    assert_eq!(choose(Balance::PowerOfTwo, None, &mut one, &mut Child::new(3)), Some(0));
}

#[test]
fn only_eligible_servers_are_chosen() {
    for policy in POLICIES.into_iter().chain([Balance::Source]) {
        let mut rng = Child::new(5);
        assert_eq!(choose(policy, None, &mut [], &mut rng), None);
        let mut none = servers(&[1, 2]);
        none.iter_mut().for_each(|server| server.eligible = false);
        assert_eq!(choose(policy, None, &mut none, &mut rng), None);
        assert_eq!(choose(policy, None, &mut servers(&[0, 0]), &mut rng), None);
        let mut some = servers(&[9, 1, 9, 0]);
        (some[0].eligible, some[2].eligible) = (false, false);
        some[1].active = u32::MAX;
        for _ in 0..50 {
            assert_eq!(choose(policy, None, &mut some, &mut rng), Some(1), "{policy:?}");
        }
    }
}

//! Balancing: fair to weights, and never to a server that may not be chosen (BACK-1, BACK-2).

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::net::{IpAddr, SocketAddr};
use support::{ip, rig_of, run_of, simple_config};
use tidegate_core::backend::balance::{ServerLoad, by_source, choose, server_key};
use tidegate_core::config::{Balance, Server, Settings};
use tidegate_core::rng::Child;
use tidegate_proptests::memory::{READABLE, Rig};
use tidegate_proptests::naive;

const POLICIES: [Balance; 5] = [
    Balance::RoundRobin,
    Balance::Random,
    Balance::LeastConnections,
    Balance::PowerOfTwo,
    Balance::Source,
];

fn weight() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 1..6_u32, 1 => 1..257_u32]
}

fn load() -> impl Strategy<Value = ServerLoad> {
    let weight = prop_oneof![1 => Just(0_u32), 8 => weight()];
    let active = prop_oneof![4 => 0..6_u32, 1 => any::<u32>()];
    let open = prop::bool::weighted(0.8);
    (weight, active, open, any::<u64>()).prop_map(|(weight, active, eligible, key)| ServerLoad {
        weight,
        active,
        current: 0,
        key,
        eligible,
    })
}

/// Whether `a` carries less than `b` for its weight.
fn is_lighter(a: &ServerLoad, b: &ServerLoad) -> bool {
    u128::from(a.active) * u128::from(b.weight) < u128::from(b.active) * u128::from(a.weight)
}

/// Turns at the servers with `weights`, one after the other, and what has come of them.
fn turns(weights: &[u32], n: usize) -> Vec<usize> {
    let load = |&weight| ServerLoad { weight, eligible: true, ..ServerLoad::default() };
    let mut servers: Vec<_> = weights.iter().map(load).collect();
    let mut rng = Child::new(1);
    let turn = |_| choose(Balance::RoundRobin, None, &mut servers, &mut rng).expect("a server");
    (0..n).map(turn).collect()
}

proptest! {
    #![proptest_config(run_of(1000))]

    // BACK-1: after any number of turns no server is a whole turn ahead of its share, and none two
    // behind. (A light one among heavy ones may fall a little more than one behind: that is the
    // price of spreading turns out.)
    #[test]
    fn round_robin_is_fair_to_weights(weights in vec(weight(), 1..7), n in 1..600_usize) {
        let total: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
        let mut counts = vec![0_i64; weights.len()];
        for (turn, chosen) in turns(&weights, n).into_iter().enumerate() {
            counts[chosen] += 1;
            for (count, &weight) in counts.iter().zip(&weights) {
                let ahead = count * total - (turn as i64 + 1) * i64::from(weight);
                prop_assert!(ahead < total, "{:?} after {}", counts, turn + 1);
                prop_assert!(-ahead < 2 * total, "{:?} after {}", counts, turn + 1);
            }
        }
    }

    // BACK-1: after a whole round each server has had exactly its share.
    #[test]
    fn round_robin_comes_full_circle(weights in vec(weight(), 1..7)) {
        let total: u32 = weights.iter().sum();
        let mut counts = vec![0_u32; weights.len()];
        turns(&weights, total as usize).into_iter().for_each(|chosen| counts[chosen] += 1);
        prop_assert_eq!(counts, weights);
    }

    // BACK-1: among equal servers, any run of turns gives each as many as any other, within one.
    #[test]
    fn equal_servers_are_within_one(
        weight in weight(),
        servers in 1..12_usize,
        from in 0..200_usize,
        len in 1..200_usize,
    ) {
        let turns = turns(&vec![weight; servers], from + len);
        let mut counts = vec![0; servers];
        turns[from..].iter().for_each(|&chosen| counts[chosen] += 1);
        let (least, most) = (counts.iter().min(), counts.iter().max());
        prop_assert!(most.unwrap() - least.unwrap() <= 1, "{:?}", counts);
    }

    // BACK-1: whatever the policy, only an eligible server with a weight, and one if there is any.
    #[test]
    fn only_eligible_servers_are_chosen(
        mut servers in vec(load(), 0..9),
        client in prop::option::of(any::<IpAddr>()),
        seed: u128,
    ) {
        let may = |server: &ServerLoad| server.eligible && server.weight > 0;
        let before: Vec<_> = servers.iter().filter(|it| may(it)).copied().collect();
        for policy in POLICIES {
            let mut rng = Child::new(seed);
            for _ in 0..20 {
                let Some(chosen) = choose(policy, client, &mut servers, &mut rng) else {
                    prop_assert!(before.is_empty());
                    continue;
                };
                let chosen = servers[chosen];
                prop_assert!(may(&chosen));
                let lighter = before.iter().filter(|it| is_lighter(it, &chosen)).count();
                let heavier = before.iter().filter(|it| is_lighter(&chosen, it)).count();
                match policy {
                    Balance::LeastConnections => prop_assert_eq!(lighter, 0),
                    // Not the heaviest, where no other is as heavy.
                    Balance::PowerOfTwo if before.len() > 1 => {
                        prop_assert!(heavier > 0 || lighter < before.len() - 1);
                    }
                    _ => {}
                }
            }
        }
    }

    // BACK-1: drawn by weight: each server's count is within six standard deviations.
    #[test]
    fn random_follows_weights(weights in vec(weight(), 1..6), seed: u128) {
        const N: u32 = 3000;
        let load = |&weight| ServerLoad { weight, eligible: true, ..ServerLoad::default() };
        let mut servers: Vec<_> = weights.iter().map(load).collect();
        let (mut rng, mut counts) = (Child::new(seed), vec![0_u32; weights.len()]);
        for _ in 0..N {
            counts[choose(Balance::Random, None, &mut servers, &mut rng).unwrap()] += 1;
        }
        let total: u32 = weights.iter().sum();
        for (&count, &weight) in counts.iter().zip(&weights) {
            let share = f64::from(weight) / f64::from(total);
            let mean = share * f64::from(N);
            let deviation = (mean * (1.0 - share)).sqrt();
            prop_assert!((f64::from(count) - mean).abs() <= 6.0 * deviation + 1.0, "{:?}", counts);
        }
    }
}

/// Weight, backup, drained.
fn server() -> impl Strategy<Value = (u32, bool, bool)> {
    (1..5_u32, prop::bool::weighted(0.3), prop::bool::weighted(0.3))
}

proptest! {
    #![proptest_config(run_of(300))]

    // BACK-1, BACK-2: through the proxy: drained servers get nothing, backups only where no other
    // is left, and round-robin is fair; without a usable server 503 at once.
    #[test]
    fn requests_go_where_they_may(
        servers in vec(server(), 0..6),
        policy in select(POLICIES.to_vec()),
        requests in 1..40_usize,
    ) {
        let mut config = simple_config();
        let numbered = servers.iter().zip(9001..);
        let all = numbered.map(|(&(weight, backup, drained), port)| {
            Server { weight, backup, drained, ..Server::new(ip(port)) }
        });
        (config.clusters[0].servers, config.clusters[0].balance) = (all.collect(), policy);
        let mut rig = rig_of(Settings::default(), config);
        let mut counts = vec![0_i64; servers.len()];
        for _ in 0..requests {
            let client = rig.connect();
            let before = rig.kernel.calls;
            rig.feed(client, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            prop_assert!(rig.kernel.calls > before);
            let connected = rig.kernel.connected.clone();
            let asked = connected.iter().find(|(id, _)| {
                rig.kernel.is_open(*id) && !rig.written(*id).is_empty()
            });
            if let Some((id, to)) = asked {
                counts[(0..servers.len()).find(|it| *to == ip(9001 + *it as u16)).unwrap()] += 1;
                rig.kernel.wire(*id).from_proxy.clear();
                rig.feed(*id, b"HTTP/1.1 204 No\r\n\r\n");
            }
            let answers = naive::responses(rig.written(client), &[], true);
            prop_assert_eq!(answers[0].status(), if asked.is_some() { 204 } else { 503 });
        }
        let usable = |backup: bool| {
            let all = servers.iter().enumerate();
            let of = all.filter(move |(_, it)| !it.2 && it.1 == backup).map(|(at, _)| at);
            of.collect::<Vec<_>>()
        };
        let among = if usable(false).is_empty() { usable(true) } else { usable(false) };
        let elsewhere = (0..servers.len()).filter(|at| !among.contains(at));
        prop_assert_eq!(elsewhere.map(|at| counts[at]).sum::<i64>(), 0, "{:?}", counts);
        let expected = if among.is_empty() { 0 } else { requests as i64 };
        prop_assert_eq!(counts.iter().sum::<i64>(), expected);
        if policy == Balance::RoundRobin {
            let total: i64 = among.iter().map(|&at| i64::from(servers[at].0)).sum();
            for &at in &among {
                let ahead = counts[at] * total - requests as i64 * i64::from(servers[at].0);
                prop_assert!(ahead < total && -ahead < 2 * total, "{:?}", counts);
            }
        }
    }
}

/// The server's index that gets the request of a client at `peer`.
fn asked_for(rig: &mut Rig, peer: IpAddr) -> Option<usize> {
    rig.kernel.backlog.push_back(SocketAddr::new(peer, 4711));
    rig.nudge(rig.kernel.listeners[0], READABLE);
    let client = *rig.kernel.accepted.last()?;
    rig.feed(client, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let connected = rig.kernel.connected.clone();
    let (id, to) = connected.iter().rfind(|(id, _)| rig.kernel.is_open(*id))?;
    rig.feed(*id, b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n");
    (9001..9009).position(|port| *to == ip(port))
}

proptest! {
    #![proptest_config(run_of(300))]

    // BACK-1: through the proxy a client's server follows from its address, and from the ids or
    // addresses of the servers in the configuration of the day, not from what was before.
    #[test]
    fn each_client_has_its_server(
        servers in vec((weight(), prop::bool::ANY, prop::bool::ANY), 1..8),
        clients in vec(any::<IpAddr>(), 1..9),
    ) {
        let config = |renamed: bool| {
            let mut config = simple_config();
            let server = |(port, &(weight, before, after)): (u16, &(u32, bool, bool))| {
                let id = if renamed { after } else { before };
                let id = id.then(|| format!("s{}", port + u16::from(renamed)).into());
                Server { weight, id, ..Server::new(ip(port)) }
            };
            config.clusters[0].servers = (9001..).zip(&servers).map(server).collect();
            config.clusters[0].balance = Balance::Source;
            config
        };
        let mut rig = rig_of(Settings::default(), config(false));
        for renamed in [false, true] {
            let config = config(renamed);
            let load = |server: &Server| ServerLoad {
                weight: server.weight,
                key: server_key(server),
                eligible: true,
                ..ServerLoad::default()
            };
            let loads: Vec<_> = config.clusters[0].servers.iter().map(load).collect();
            rig.proxy.apply(config).expect("a valid configuration");
            rig.turn();
            for &client in clients.iter().chain(&clients) {
                prop_assert_eq!(asked_for(&mut rig, client), by_source(Some(client), &loads));
            }
        }
    }
}

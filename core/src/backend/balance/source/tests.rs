//! BACK-1, `source`.

use super::*;
use crate::input::Address;
use std::net::{Ipv4Addr, Ipv6Addr};

const CLIENTS: u32 = 20_000;

/// Neighbours in one network, which must not share a server for that.
fn client(number: u32) -> Option<IpAddr> {
    Some(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number)))
}

fn server(port: u16) -> Server {
    Server::new(Address::Ip(([10, 0, 0, 1], port).into()))
}

/// Servers at different ports, with these weights.
fn servers(weights: &[u32]) -> Vec<ServerLoad> {
    let numbered = weights.iter().zip(9001..);
    let load = |(&weight, port)| ServerLoad {
        weight,
        key: server_key(&server(port)),
        eligible: true,
        ..ServerLoad::default()
    };
    numbered.map(load).collect()
}

fn choices(servers: &[ServerLoad]) -> Vec<usize> {
    (0..CLIENTS).map(|number| by_source(client(number), servers).unwrap()).collect()
}

fn counts(servers: &[ServerLoad]) -> Vec<u32> {
    let mut counts = vec![0; servers.len()];
    choices(servers).into_iter().for_each(|chosen| counts[chosen] += 1);
    counts
}

/// Within five standard deviations of a share of all clients.
#[track_caller]
fn near(count: u32, share: f64) {
    let mean = share * f64::from(CLIENTS);
    let deviation = (mean * (1.0 - share)).sqrt();
    assert!((f64::from(count) - mean).abs() < 5.0 * deviation + 1.0, "{count}, not {mean}");
}

// BACK-1: a server that is lost gives its own clients away, about 1/n of all, to all others; one
// that comes takes as many, from all others. Nobody else moves.
#[test]
fn servers_come_and_go_with_their_own_clients() {
    for weights in [&[1; 2][..], &[7; 5], &[1; 16], &[4, 1, 2, 256, 3]] {
        let all = servers(weights);
        let before = choices(&all);
        let total: u32 = weights.iter().sum();
        for lost in 0..all.len() {
            let share = f64::from(weights[lost]) / f64::from(total);
            let mut fewer = all.clone();
            fewer.remove(lost);
            let mut drained = all.clone();
            drained[lost].eligible = false;
            let mut moved = vec![0; all.len()];
            for (number, &chosen) in before.iter().enumerate() {
                let now = by_source(client(number as u32), &fewer).unwrap();
                let now = now + usize::from(now >= lost);
                // The same servers in other words: neither place nor number counts.
                assert_eq!(by_source(client(number as u32), &drained), Some(now));
                if chosen == lost {
                    moved[now] += 1;
                } else {
                    assert_eq!(now, chosen, "client {number} has moved");
                }
            }
            near(moved.iter().sum(), share);
            for (at, &count) in moved.iter().enumerate().filter(|(at, _)| *at != lost) {
                near(count, share * f64::from(weights[at]) / f64::from(total - weights[lost]));
            }
        }
    }
}

// BACK-1: weights count.
#[test]
fn clients_follow_weights() {
    for weights in [&[1; 10][..], &[6, 3, 1], &[1, 2], &[256, 1], &[255, 256], &[5, 5, 1, 1]] {
        let total: u32 = weights.iter().sum();
        for (count, &weight) in counts(&servers(weights)).into_iter().zip(weights) {
            near(count, f64::from(weight) / f64::from(total));
        }
    }
}

// BACK-1: a server whose weight rises only gains clients: its score alone has changed.
#[test]
fn a_new_weight_moves_clients_one_way() {
    let before = choices(&servers(&[2, 3, 4]));
    for (now, before) in choices(&servers(&[2, 5, 4])).into_iter().zip(before) {
        assert!(now == before || now == 1);
    }
}

// BACK-1: the order of servers, their load and their turns do not matter.
#[test]
fn only_key_and_weight_count() {
    let mut all = servers(&[1, 2, 2, 9]);
    let before = choices(&all);
    all.reverse();
    for (at, load) in all.iter_mut().enumerate() {
        (load.active, load.current) = (1000 * at as u32, -7);
    }
    let mirrored = choices(&all).into_iter().map(|chosen| 3 - chosen);
    assert!(mirrored.eq(before));
}

#[test]
fn mapped_clients_are_ipv4_clients() {
    let all = servers(&[1; 64]);
    for number in 0..1000 {
        let v4 = Ipv4Addr::from(number * 65537);
        let mapped = Some(IpAddr::V6(v4.to_ipv6_mapped()));
        assert_eq!(by_source(mapped, &all), by_source(Some(IpAddr::V4(v4)), &all));
    }
    // IPv6 clients of one network are told apart.
    let v6 = |number: u128| Some(IpAddr::V6(Ipv6Addr::from(0x2001_0db8 << 96 | number)));
    let mut seen: Vec<_> = (0..2000).map(|number| by_source(v6(number), &all)).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 64);
    assert!(by_source(None, &all).is_some());
}

// BACK-1: workers, machines and versions agree: whoever changes these numbers moves every client
// of every user. They were computed by another program too.
#[test]
fn golden_values() {
    let named = Server { id: Some("b2".into()), ..server(9001) };
    let moved = Server { addr: Address::Unix("/run/b".into()), ..named.clone() };
    let unix = Server::new(Address::Unix("/run/b".into()));
    let v6 = Server::new(Address::Ip("[::1]:80".parse().unwrap()));
    assert_eq!(server_key(&named), server_key(&moved), "an id is enough");
    let keys = [&server(9001), &server(9002), &named, &unix, &v6].map(server_key);
    let expected = [
        0x9d3a_2dc6_edb8_cfd0,
        0x9d33_c438_a517_2bef,
        0x244a_e2fe_48f1_71d3,
        0x9686_d0f9_61eb_8163,
        0x3ae9_6481_7f02_a4d0,
    ];
    assert_eq!(keys, expected);
    let clients = ["10.0.0.1", "255.255.255.255", "::", "2001:db8::1"];
    let keys = clients.map(|text| client_key(Some(text.parse().unwrap())));
    let expected = [
        0x5c21_0f4d_d945_fc02,
        0xfb6a_0dd3_1183_46d4,
        0xcc91_33b0_9951_6f16,
        0x7491_cb80_3f49_0837,
    ];
    assert_eq!(keys, expected);
    assert_eq!(client_key(None), 0xff81_1d68_b51b_f487);
    let all = servers(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let chosen: Vec<_> = choices(&all).into_iter().take(24).collect();
    assert_eq!(chosen, [3, 5, 1, 3, 5, 5, 3, 7, 6, 3, 3, 7, 7, 6, 7, 4, 2, 6, 3, 7, 6, 0, 2, 4]);
    let equal: Vec<_> = choices(&servers(&[1; 8])).into_iter().take(24).collect();
    assert_eq!(equal, [3, 5, 1, 3, 5, 5, 3, 2, 6, 3, 3, 3, 2, 5, 7, 4, 2, 0, 3, 7, 1, 0, 2, 4]);
}

#[test]
fn logarithms() {
    let one = 1_u64 << FRACTION_BITS;
    assert_eq!(minus_log2(u64::MAX), 0);
    assert_eq!(minus_log2(0), 64 * one);
    for zeros in 0..64_u32 {
        assert_eq!(minus_log2((u64::MAX >> zeros) / 2), u64::from(zeros + 1) * one);
    }
    let mut last = minus_log2(0);
    let mut draw = 1_u64;
    while let Some(next) = draw.checked_add(draw / 97 + 1) {
        let score = minus_log2(draw);
        let exact = 64.0 - (draw as f64 + 1.0).log2();
        let found = score as f64 / one as f64;
        assert!((found - exact).abs() < 1e-12, "{draw}: {found}, not {exact}");
        assert!(score <= last, "{draw}");
        (last, draw) = (score, next);
    }
}

// The glance at a score changes no choice.
#[test]
fn scores_are_never_below_what_a_glance_tells() {
    let near_one = (0..5000_u64).map(|step| u64::MAX - step * step * step);
    let powers = (0..64).flat_map(|bit| [1 << bit, (1 << bit) - 1, (1 << bit) + 1]);
    for draw in near_one.chain(powers).chain((0..5000).map(mix)) {
        let mut ticket = Ticket::new(draw, 1);
        assert!(ticket.score_min() <= ticket.score(), "{draw}");
    }
}

// The winner is the one that a plain comparison of all pairs finds.
#[test]
fn the_best_beats_all_others() {
    let all = servers(&[3, 1, 256, 3, 17, 256, 2, 1]);
    for number in 0..2000 {
        let client_key = client_key(client(number));
        let score = |load: &ServerLoad| {
            let draw = mix(client_key ^ load.key);
            (u128::from(minus_log2(draw)), u128::from(load.weight), draw)
        };
        let chosen = by_source(client(number), &all).unwrap();
        let (mine, weight, draw) = score(&all[chosen]);
        for other in all.iter().map(score) {
            let (left, right) = (mine * other.1, other.0 * weight);
            assert!(left < right || left == right && draw >= other.2, "client {number}");
        }
    }
}

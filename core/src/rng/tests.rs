use super::*;

fn draws(source: &mut impl Draw, n: usize) -> Vec<u64> {
    (0..n).map(|_| source.next_u64()).collect()
}

const PURPOSES: [Purpose; 4] =
    [Purpose::Sessions, Purpose::RequestIds, Purpose::Balance, Purpose::Backoff];

#[test]
fn the_same_seed_gives_the_same_streams_whatever_else_was_drawn() {
    let seeds = Seeds::new([7; 32]);
    let mut sessions = seeds.stream(Purpose::Sessions);
    let alone = draws(&mut sessions, 100);
    let mut sessions = seeds.stream(Purpose::Sessions);
    let mut others = PURPOSES.map(|purpose| seeds.stream(purpose));
    let mut mixed = Vec::new();
    for _ in 0..100 {
        others.iter_mut().for_each(|other| _ = other.next_u64());
        mixed.push(sessions.next_u64());
    }
    assert_eq!(alone, mixed);
}

#[test]
fn purposes_and_seeds_share_no_draw() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in [[7; 32], [8; 32]] {
        for purpose in PURPOSES {
            seen.extend(draws(&mut Seeds::new(seed).stream(purpose), 1000));
        }
    }
    assert_eq!(seen.len(), 8000);
}

// The reference: stream 0 of the all-zero key is the published ChaCha8 key stream.
#[test]
fn a_stream_is_chacha8() {
    let first = Seeds::new([0; 32]).stream(Purpose::Sessions).next_u64();
    assert_eq!(first.to_le_bytes(), [0x3e, 0x00, 0xef, 0x2f, 0x89, 0x5f, 0x40, 0xd6]);
}

// The reference: xoroshiro128++ 1.0 from the state (1, 2).
#[test]
fn a_child_is_xoroshiro128_plus_plus() {
    let mut child = Child { state: [1, 2] };
    assert_eq!(draws(&mut child, 3), [393_217, 669_327_710_093_319, 1_732_421_326_133_921_491]);
    assert_eq!(size_of::<Child>(), 16);
}

#[test]
fn seeds_close_together_give_unrelated_children() {
    let firsts = (0..1000).map(|seed| Child::new(seed).below(100));
    let mean = firsts.sum::<u64>() as f64 / 1000.0;
    assert!((mean - 49.5).abs() < 4.0, "{mean}");
    // The one seed whose scrambled halves are both zero.
    let zero = u64::MAX.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    assert_eq!(scramble(zero), 0);
    let mut child = Child::new(u128::from(zero) << 64 | u128::from(zero));
    assert_ne!(draws(&mut child, 4), [0; 4]);
}

#[test]
fn below_is_uniform_and_in_range() {
    let mut stream = Seeds::new([1; 32]).stream(Purpose::Balance);
    let mut child = Child::new(42);
    for n in [1, 2, 3, 7, 10] {
        let mut counts = vec![0i64; n];
        for _ in 0..10_000 * n {
            counts[stream.below(n as u64) as usize] += 1;
            counts[child.below(n as u64) as usize] += 1;
        }
        for count in counts {
            assert!((count - 20_000).abs() < 800, "{n}: {count}");
        }
    }
    assert_eq!(stream.below(0), 0);
    // Without rejection, every third value of three quarters of 2^64 would be drawn twice as often
    // as the others.
    let thirds = (0..30_000).filter(|_| child.below(3 << 62).is_multiple_of(3)).count() as i64;
    assert!((thirds - 10_000).abs() < 500, "{thirds}");
}

use super::*;
use crate::rng::Child;

const FALL: u32 = 3;
const SPANS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

struct World {
    health: Health,
    rng: Child,
    now: Time,
}

impl World {
    fn new() -> World {
        World { health: Health::new(), rng: Child::new(7), now: Time(5_000) }
    }

    fn begin(&mut self) -> Attempt {
        self.health.begin(self.now)
    }

    fn fail(&mut self, attempt: Attempt) -> Option<Duration> {
        self.health.failed(attempt, self.now, FALL, SPANS, &mut self.rng)
    }

    /// Marks the server down.
    fn fall(&mut self) -> Duration {
        let attempts: Vec<_> = (0..FALL).map(|_| self.begin()).collect();
        attempts.into_iter().fold(None, |_, attempt| self.fail(attempt)).expect("down")
    }

    fn usable(&self) -> bool {
        self.health.usable(self.now)
    }
}

// BACK-4: `fall` failures in a row, not fewer, and a success in between starts over.
#[test]
fn fall_failures_in_a_row_mark_it_down() {
    let mut world = World::new();
    for _ in 0..5 {
        for _ in 0..FALL - 1 {
            let attempt = world.begin();
            assert_eq!(world.fail(attempt), None);
            assert!(world.usable());
        }
        let attempt = world.begin();
        assert!(!world.health.succeeded(attempt));
    }
    let span = world.fall();
    assert!(world.health.is_down() && !world.usable());
    assert_eq!(world.health.down_until(), world.now.after(span));
}

// BACK-4: when the back-off ends, one request probes while the others stay away.
#[test]
fn one_request_probes_when_the_backoff_ends() {
    let mut world = World::new();
    world.fall();
    world.now = Time(world.health.down_until().0 - 1);
    assert!(!world.usable());
    assert!(!world.begin().is_probe());
    world.now = world.health.down_until();
    assert!(world.usable());
    let probe = world.begin();
    assert!(probe.is_probe() && !world.usable());
    assert!(!world.begin().is_probe());
    assert!(world.health.succeeded(probe));
    assert!(world.usable() && !world.health.is_down());
    assert_eq!(world.health.down_until(), Time::ZERO);
}

// BACK-4: exponential back-off, doubling from 1 s to 60 s; success resets it.
#[test]
fn failed_probes_double_the_backoff_up_to_its_limit() {
    let mut longest = [Duration::ZERO; 9];
    for seed in 0..2000 {
        let mut world = World { rng: Child::new(seed), ..World::new() };
        for (n, longest) in longest.iter_mut().enumerate() {
            let span = if n == 0 {
                world.fall()
            } else {
                let probe = world.begin();
                world.fail(probe).expect("still down")
            };
            assert!(span >= TICK);
            *longest = span.max(*longest);
            world.now = world.health.down_until();
        }
        let probe = world.begin();
        assert!(world.health.succeeded(probe));
        assert!(world.fall() <= SPANS.0);
    }
    // Full jitter: over many draws the longest comes near to, and never over, the nominal span.
    for (longest, nominal) in longest.into_iter().zip([1, 2, 4, 8, 16, 32, 60, 60, 60]) {
        let nominal = Duration::from_secs(nominal);
        assert!(longest <= nominal && longest >= nominal.mul_f64(0.95), "{longest:?} {nominal:?}");
    }
}

// BACK-4: requests that were under way when it went down neither lengthen its back-off nor
// bring it up, nor do they count once it is up again.
#[test]
fn attempts_from_before_a_change_of_state_are_no_evidence() {
    let mut world = World::new();
    let (late_success, late_failure) = (world.begin(), world.begin());
    let leftovers: Vec<_> = (0..5).map(|_| world.begin()).collect();
    world.fall();
    let until = world.health.down_until();
    assert!(!world.health.succeeded(late_success));
    assert_eq!(world.fail(late_failure), None);
    assert_eq!((world.health.is_down(), world.health.down_until()), (true, until));
    world.now = until;
    let probe = world.begin();
    assert!(world.health.succeeded(probe));
    for leftover in leftovers {
        assert_eq!(world.fail(leftover), None);
    }
    assert!(world.usable());
}

// BACK-4: fail-open requests may bring a server up; their failures do not double the back-off.
#[test]
fn fail_open_requests_bring_it_up_but_do_not_keep_it_down() {
    let mut world = World::new();
    world.fall();
    let until = world.health.down_until();
    let (first, second) = (world.begin(), world.begin());
    assert_eq!(world.fail(first), None);
    assert_eq!(world.health.down_until(), until);
    assert!(world.health.succeeded(second));
    assert!(world.usable());
}

#[test]
fn an_abandoned_probe_gives_its_slot_back() {
    let mut world = World::new();
    world.fall();
    world.now = world.health.down_until();
    let probe = world.begin();
    let other = world.begin();
    world.health.abandoned(other);
    assert!(!world.usable());
    world.health.abandoned(probe);
    assert!(world.usable() && world.begin().is_probe());
}

#[test]
fn extreme_spans_neither_panic_nor_vanish() {
    let mut world = World::new();
    for spans in [(Duration::MAX, Duration::MAX), (Duration::ZERO, Duration::ZERO)] {
        world.fall();
        for _ in 0..70 {
            world.now = world.health.down_until();
            let attempt = world.begin();
            let span = world.health.failed(attempt, world.now, 1, spans, &mut world.rng);
            assert!(span.is_none_or(|span| span >= TICK));
        }
        world = World::new();
    }
}

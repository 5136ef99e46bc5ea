//! Points at which a simulation may take the rarer of two ways that are both right: a read into a
//! few bytes of space, a turn that ends early, a pool that gives nothing.
//!
//! They reach states that real loads reach once in a billion requests. Without the Cargo feature
//! `sim`, which no production build has, `Buggify` is nothing, and each point is a constant
//! `false` that the compiler drops. With it a driver lends a seed and rates
//! (`Proxy::buggify`); what a point decides is a function of them and of how often it
//! was asked, so it depends on nothing else that is random, nor on debug assertions.

/// The places.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Point {
    /// A read is lent a few bytes of space.
    ShortRead,
    /// A write is offered a few bytes.
    ShortWrite,
    /// The budget of a turn is used up.
    EarlyYield,
    /// The budget of a listener's accepts is one.
    AcceptOne,
    /// There is no buffer beyond the promised ones.
    NoExtraBuffer,
    /// A session that wants to begin stands in line for its buffers.
    NoPromise,
    /// No idle connection is there to be used again.
    NoIdleConnection,
    /// Records carry one piece of a session's output.
    SmallRecord,
}

#[cfg(feature = "sim")]
crate::names::names! {
    /// The name that marks spell. No binary without the feature holds `tidegate-buggify`.
    Point {
        ShortRead => "tidegate-buggify: short read",
        ShortWrite => "tidegate-buggify: short write",
        EarlyYield => "tidegate-buggify: early yield",
        AcceptOne => "tidegate-buggify: accept one",
        NoExtraBuffer => "tidegate-buggify: no extra buffer",
        NoPromise => "tidegate-buggify: no promise",
        NoIdleConnection => "tidegate-buggify: no idle connection",
        SmallRecord => "tidegate-buggify: small record",
    }
}

#[cfg(feature = "sim")]
pub use points::Buggify;
#[cfg(feature = "sim")]
mod points {
    use super::Point;

    /// How many points there are.
    const COUNT: usize = Point::ALL.len();

    /// What the points decide.
    #[derive(Clone, Debug, Default)]
    pub struct Buggify {
        seed: u64,
        /// By point: how often it takes the rare way, in 65,536ths.
        rates: [u32; COUNT],
        asked: [u64; COUNT],
        taken: [u64; COUNT],
    }

    impl Buggify {
        /// Decisions that follow from `seed`; each of `rates` is in 65,536ths, 0 for never.
        pub fn new(seed: u64, rates: [u32; COUNT]) -> Buggify {
            Buggify { seed, rates, ..Buggify::default() }
        }

        /// Whether `point` takes the rare way now.
        #[inline]
        pub(crate) fn point(&mut self, point: Point) -> bool {
            let rate = self.rates[point as usize];
            rate > 0 && self.draw(point) % 65_536 < u64::from(rate)
        }

        /// A length from 1 to 8, for a point that has just taken the rare way.
        pub(crate) fn few(&mut self, point: Point) -> usize {
            1 + (self.taken[point as usize] % 8) as usize
        }

        fn draw(&mut self, point: Point) -> u64 {
            let n = point as usize;
            self.asked[n] += 1;
            let mut x = self.seed ^ self.asked[n].wrapping_mul(0x9e37_79b9_7f4a_7c15);
            x ^= (n as u64 + 1) << 56;
            x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            x ^= x >> 31;
            self.taken[n] += u64::from(x % 65_536 < u64::from(self.rates[n]));
            x
        }

        /// Takes no rare way any more: what follows must work as it does for everybody.
        pub fn rest(&mut self) {
            self.rates = [0; COUNT];
        }

        /// How often `point` took the rare way.
        pub fn taken(&self, point: Point) -> u64 {
            self.taken[point as usize]
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_point_decides_by_seed_rate_and_count_alone() {
            let mut rates = [0; COUNT];
            rates[Point::ShortRead as usize] = 16_384;
            let decide = |seed| {
                let mut all = Buggify::new(seed, rates);
                let decided: Vec<bool> = (0..1000).map(|_| all.point(Point::ShortRead)).collect();
                let count = decided.iter().filter(|&&is_rare| is_rare).count();
                assert_eq!(all.taken(Point::ShortRead), count as u64);
                assert!((180..320).contains(&count), "{count}");
                assert!((0..100).all(|_| !all.point(Point::EarlyYield)), "its rate is 0");
                decided
            };
            assert_eq!(decide(1), decide(1));
            assert_ne!(decide(1), decide(2));
        }
    }
}

#[cfg(not(feature = "sim"))]
pub(crate) use nothing::Buggify;
#[cfg(not(feature = "sim"))]
mod nothing {
    use super::Point;

    /// Nothing: no point takes the rare way.
    #[derive(Debug, Default)]
    pub(crate) struct Buggify {}

    impl Buggify {
        /// Never.
        #[inline(always)]
        pub(crate) const fn point(&self, _: Point) -> bool {
            false
        }

        /// Of no use where nothing is rare.
        #[inline(always)]
        pub(crate) const fn few(&self, _: Point) -> usize {
            1
        }
    }
}

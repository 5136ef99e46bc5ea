//! Keyed choices: every draw is a function of (seed, site, entity, counter).
//!
//! The counter belongs to its (site, entity) pair, so removing one client from a scenario does
//! not change what happens to the others. Two sources stand behind one interface: the seed alone,
//! or recorded values that take precedence over it.

use std::collections::BTreeMap;

/// Names one place in the code that draws; made by [`crate::site!`].
#[derive(Copy, Clone, Debug)]
pub struct Site {
    /// Hash of the name.
    pub key: u64,
    /// The name, for recordings and traces.
    pub name: &'static str,
}

impl Site {
    /// The site called `name`.
    pub const fn new(name: &'static str) -> Site {
        let bytes = name.as_bytes();
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut i = 0;
        while i < bytes.len() {
            hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            i += 1;
        }
        Site { key: mix(hash), name }
    }
}

/// A [`Site`] whose hash is computed at compile time.
#[macro_export]
macro_rules! site {
    ($name:literal) => {
        const { $crate::choice::Site::new($name) }
    };
}

/// A bijective mixer of 64 bits; every output bit depends on every input bit.
#[inline]
pub const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// How often something happens, in 65,536ths.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub struct Rate(pub u32);

impl Rate {
    /// Never; draws nothing.
    pub const NEVER: Rate = Rate(0);

    /// `percent` of the time.
    pub const fn percent(percent: u32) -> Rate {
        Rate(percent * 65_536 / 100)
    }
}

/// One draw, as recorded: site and entity (mixed), counter, value.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Draw {
    /// Site and entity, mixed.
    pub key: u64,
    /// How many draws this site and entity had made before.
    pub count: u32,
    /// What was drawn.
    pub value: u64,
}

impl Draw {
    /// The first draw of `entity` at `site`, made to be `value`.
    pub fn forced(site: Site, entity: u64, value: u64) -> Draw {
        Draw { key: key_of(site, entity), count: 0, value }
    }
}

/// Names a site's entity; never [`EMPTY`].
#[inline]
fn key_of(site: Site, entity: u64) -> u64 {
    mix(site.key ^ entity.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1
}

const EMPTY: u64 = 0;

/// The source of every choice in one run.
pub struct Choices {
    seed: u64,
    /// Open addressing: (key, counter), a power of two long, at most half full.
    table: Vec<(u64, u32)>,
    used: usize,
    recorded: Option<BTreeMap<(u64, u32), u64>>,
    recording: Option<Vec<Draw>>,
}

impl Choices {
    /// Choices that follow from `seed` alone.
    pub fn from_seed(seed: u64) -> Choices {
        Choices {
            seed: mix(seed ^ 0x7469_6465_6761_7465),
            table: vec![(EMPTY, 0); 1024],
            used: 0,
            recorded: None,
            recording: None,
        }
    }

    /// Choices that follow `draws` where they cover a draw, and `seed` elsewhere.
    pub fn from_record(seed: u64, draws: &[Draw]) -> Choices {
        let recorded = draws.iter().map(|d| ((d.key, d.count), d.value)).collect();
        Choices { recorded: Some(recorded), ..Choices::from_seed(seed) }
    }

    /// Begins to record every draw.
    pub fn record(&mut self) {
        self.recording = Some(Vec::new());
    }

    /// What was recorded since [`Choices::record`].
    pub fn take_record(&mut self) -> Vec<Draw> {
        self.recording.take().unwrap_or_default()
    }

    /// A number below `n` (which must not be 0), for `entity` at `site`.
    #[inline]
    pub fn choose(&mut self, site: Site, entity: u64, n: u64) -> u64 {
        debug_assert!(n > 0, "a choice among nothing at {}", site.name);
        let key = key_of(site, entity);
        let count = self.bump(key);
        let word = mix(self.seed ^ key.wrapping_add(u64::from(count).wrapping_mul(0xd1b5_4a32)));
        let drawn = ((u128::from(word) * u128::from(n)) >> 64) as u64;
        if self.recorded.is_none() && self.recording.is_none() {
            return drawn;
        }
        self.choose_slowly(key, count, drawn, n)
    }

    #[cold]
    fn choose_slowly(&mut self, key: u64, count: u32, drawn: u64, n: u64) -> u64 {
        let recorded = self.recorded.as_ref().and_then(|all| all.get(&(key, count)));
        let value = recorded.map_or(drawn, |value| value % n);
        if let Some(all) = &mut self.recording {
            all.push(Draw { key, count, value });
        }
        value
    }

    #[inline]
    fn bump(&mut self, key: u64) -> u32 {
        let mask = self.table.len() - 1;
        let mut at = (key >> 17) as usize & mask;
        loop {
            let slot = &mut self.table[at];
            if slot.0 == key {
                slot.1 += 1;
                return slot.1 - 1;
            }
            if slot.0 == EMPTY {
                *slot = (key, 1);
                self.used += 1;
                if self.used * 2 > self.table.len() {
                    self.grow();
                }
                return 0;
            }
            at = (at + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.table);
        self.table = vec![(EMPTY, 0); old.len() * 4];
        let mask = self.table.len() - 1;
        for (key, count) in old.into_iter().filter(|slot| slot.0 != EMPTY) {
            let mut at = (key >> 17) as usize & mask;
            while self.table[at].0 != EMPTY {
                at = (at + 1) & mask;
            }
            self.table[at] = (key, count);
        }
    }

    /// Whether something of this rate happens now. A rate of [`Rate::NEVER`] draws nothing.
    #[inline]
    pub fn chance(&mut self, site: Site, entity: u64, rate: Rate) -> bool {
        rate.0 > 0 && self.choose(site, entity, 65_536) < u64::from(rate.0)
    }

    /// A fair coin.
    pub fn coin(&mut self, site: Site, entity: u64) -> bool {
        self.choose(site, entity, 2) == 1
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, site: Site, entity: u64, low: u64, high: u64) -> u64 {
        low + self.choose(site, entity, high - low + 1)
    }

    /// A number from `low` (at least 1) to `high`, each power of two as likely as another.
    pub fn log_between(&mut self, site: Site, entity: u64, low: u64, high: u64) -> u64 {
        let octaves = u64::from(low.leading_zeros() - high.leading_zeros());
        let word = self.choose(site, entity, (octaves + 1) << 32);
        let base = low << (word >> 32);
        let value = base + ((u128::from(word & 0xffff_ffff) * u128::from(base)) >> 32) as u64;
        value.min(high)
    }

    /// One of `options`.
    pub fn pick<T: Copy>(&mut self, site: Site, entity: u64, options: &[T]) -> T {
        options[self.choose(site, entity, options.len() as u64) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_seed_site_entity_and_counter_alone() {
        let mut all = Choices::from_seed(7);
        let mut one = Choices::from_seed(7);
        let with: Vec<u64> = (0..100)
            .map(|_| {
                all.choose(site!("a"), 2, 1000);
                all.choose(site!("b"), 1, 1000);
                all.choose(site!("a"), 1, 1000)
            })
            .collect();
        let without: Vec<u64> = (0..100).map(|_| one.choose(site!("a"), 1, 1000)).collect();
        assert_eq!(with, without);
        let mut other = Choices::from_seed(8);
        let differs: Vec<u64> = (0..100).map(|_| other.choose(site!("a"), 1, 1000)).collect();
        assert_ne!(with, differs);
    }

    #[test]
    fn a_recording_replays_and_can_be_changed() {
        let mut first = Choices::from_seed(3);
        first.record();
        let drawn: Vec<u64> = (0..50).map(|e| first.choose(site!("x"), e % 5, 100)).collect();
        let mut record = first.take_record();
        let mut again = Choices::from_record(999, &record);
        let replayed: Vec<u64> = (0..50).map(|e| again.choose(site!("x"), e % 5, 100)).collect();
        assert_eq!(drawn, replayed);
        record[7].value = (record[7].value + 1) % 100;
        let mut changed = Choices::from_record(3, &record);
        let moved: Vec<u64> = (0..50).map(|e| changed.choose(site!("x"), e % 5, 100)).collect();
        let differing = drawn.iter().zip(&moved).filter(|(a, b)| a != b).count();
        assert_eq!(differing, 1);
    }

    #[test]
    fn ranges_hold_and_many_keys_are_kept_apart() {
        let mut choices = Choices::from_seed(1);
        let mut low = u64::MAX;
        let mut high = 0;
        for entity in 0..5000 {
            let value = choices.log_between(site!("log"), entity, 2, 5000);
            low = low.min(value);
            high = high.max(value);
            assert!((3..=9).contains(&choices.between(site!("range"), entity, 3, 9)));
        }
        assert!((2..4).contains(&low) && (4000..=5000).contains(&high), "{low} {high}");
        assert_eq!(choices.used, 10_000);
        let hits =
            (0..10_000).filter(|&e| choices.chance(site!("rate"), e, Rate::percent(25))).count();
        assert!((2300..2700).contains(&hits), "{hits}");
        assert!(!choices.chance(site!("never"), 0, Rate::NEVER));
    }
}

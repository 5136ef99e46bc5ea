//! Keyed choices: every draw is a function of (seed, site, entity, counter).
//!
//! The counter belongs to its (site, entity) pair, so removing one client from a scenario does
//! not change what happens to the others. Three sources stand behind one interface: the seed
//! alone, the seed with [`Changes`] to single draws (a case that was written down or shrunk), and
//! bytes (proptest, a fuzzer). In all of them 0 means "nothing special": the first option, the
//! smallest size, no fault.

mod changes;
mod names;
#[cfg(test)]
mod tests;

pub use changes::{Change, Changes, What};
pub use names::{OMITTED, sites};

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
        Site { key: key_of(name), name }
    }
}

/// The key of the site called `name`.
pub const fn key_of(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < bytes.len() {
        hash = (hash ^ bytes[i] as u64).wrapping_mul(0x0000_0100_0000_01b3);
        i += 1;
    }
    mix(hash)
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

/// One draw, as recorded.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Draw {
    /// Name of the site.
    pub site: &'static str,
    /// The entity.
    pub entity: u64,
    /// How many draws this site and entity had made before.
    pub count: u32,
    /// It was drawn from the numbers below this.
    pub n: u64,
    /// What was drawn.
    pub value: u64,
    /// Of a draw by rate: whether it said yes.
    pub hit: Option<bool>,
}

/// Where the draws of a run come from.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Source {
    /// The seed alone.
    #[default]
    Seed,
    /// The seed, save for these changes.
    Changed(Changes),
    /// These bytes; when they are used up, every draw is 0.
    Bytes(Vec<u8>),
}

const EMPTY: u64 = 0;

/// The source of every choice in one run.
pub struct Choices {
    seed: u64,
    /// Open addressing: (key, counter), a power of two long, at most half full.
    table: Vec<(u64, u32)>,
    used: usize,
    /// Whether draws follow from the seed alone, and nobody keeps them.
    is_plain: bool,
    source: Source,
    /// Bytes used up.
    taken: usize,
    recording: Option<Vec<Draw>>,
    omittable: Vec<(&'static str, u64)>,
}

impl Choices {
    /// Choices that follow from `seed` alone.
    pub fn from_seed(seed: u64) -> Choices {
        Choices::new(seed, Source::Seed)
    }

    /// Choices out of `source`.
    pub fn new(seed: u64, source: Source) -> Choices {
        Choices {
            seed: mix(seed ^ 0x7469_6465_6761_7465),
            table: vec![(EMPTY, 0); 1024],
            used: 0,
            is_plain: source == Source::Seed,
            source,
            taken: 0,
            recording: None,
            omittable: Vec::new(),
        }
    }

    /// Begins to record every draw.
    pub fn record(&mut self) {
        self.recording = Some(Vec::new());
        self.is_plain = false;
    }

    /// What was recorded since [`Choices::record`].
    pub fn take_record(&mut self) -> Vec<Draw> {
        self.recording.take().unwrap_or_default()
    }

    /// Whether a case leaves out number `entity` of what `site` names. A seed leaves out nothing:
    /// only shrinking does. Draws nothing.
    #[inline]
    pub fn omits(&mut self, site: Site, entity: u64) -> bool {
        if self.is_plain {
            return false;
        }
        let is_omitted = match &self.source {
            Source::Changed(changes) => changes.omits(site.key, entity),
            Source::Seed | Source::Bytes(_) => false,
        };
        if self.recording.is_some() && !is_omitted {
            self.omittable.push((site.name, entity));
        }
        is_omitted
    }

    /// What [`Choices::omits`] was asked of since [`Choices::record`], and did not leave out.
    pub fn take_omittable(&mut self) -> Vec<(&'static str, u64)> {
        std::mem::take(&mut self.omittable)
    }

    /// A number below `n` (which must not be 0), for `entity` at `site`.
    #[inline]
    pub fn choose(&mut self, site: Site, entity: u64, n: u64) -> u64 {
        debug_assert!(n > 0, "a choice among nothing at {}", site.name);
        let key = mix(site.key ^ entity.wrapping_mul(0x9e37_79b9_7f4a_7c15)) | 1;
        let count = self.bump(key);
        let word = mix(self.seed ^ key.wrapping_add(u64::from(count).wrapping_mul(0xd1b5_4a32)));
        let drawn = ((u128::from(word) * u128::from(n)) >> 64) as u64;
        if self.is_plain { drawn } else { self.choose_slowly(site, (entity, count), drawn, n) }
    }

    #[cold]
    fn choose_slowly(&mut self, site: Site, at: (u64, u32), drawn: u64, n: u64) -> u64 {
        let (entity, count) = at;
        let value = match &self.source {
            Source::Seed => drawn,
            Source::Changed(changes) => {
                changes.find(site.key, entity, count).map_or(drawn, |value| value.min(n - 1))
            }
            Source::Bytes(bytes) => {
                let width = (u64::BITS - (n - 1).leading_zeros()).div_ceil(8) as usize;
                let left = &bytes[self.taken..];
                let part = &left[..width.min(left.len())];
                self.taken += part.len();
                part.iter().rev().fold(0, |value, &byte| value << 8 | u64::from(byte)) % n
            }
        };
        if let Some(all) = &mut self.recording {
            all.push(Draw { site: site.name, entity, count, n, value, hit: None });
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
        if rate.0 == 0 {
            return false;
        }
        // The highest draws say yes, so that 0 says no.
        let hit = self.choose(site, entity, 65_536) + u64::from(rate.0) >= 65_536;
        if !self.is_plain
            && let Some(draw) = self.recording.as_mut().and_then(|all| all.last_mut())
        {
            draw.hit = Some(hit);
        }
        hit
    }

    /// A fair coin.
    pub fn coin(&mut self, site: Site, entity: u64) -> bool {
        self.choose(site, entity, 2) == 1
    }

    /// A number below `n`, for a `match` whose first arms are what is rare: a draw of 0 gives the
    /// last, which is what is usual.
    pub fn oddity(&mut self, site: Site, entity: u64, n: u64) -> u64 {
        n - 1 - self.choose(site, entity, n)
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

    /// One of `options`; the first is what is usual.
    pub fn pick<T: Copy>(&mut self, site: Site, entity: u64, options: &[T]) -> T {
        options[self.choose(site, entity, options.len() as u64) as usize]
    }
}

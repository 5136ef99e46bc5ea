//! `sometimes` marks: counts that rare states were reached, so that a silent oracle means
//! something.

use crate::choice::Site;
use std::collections::BTreeMap;

/// How often each named state was reached in one run.
#[derive(Default)]
pub struct Marks {
    /// Open addressing: (site, count), a power of two long, at most half full.
    table: Vec<Option<(Site, u64)>>,
    used: usize,
}

impl Marks {
    /// Counts one visit of the state called `site.name`.
    pub fn hit(&mut self, site: Site) {
        if self.used * 2 >= self.table.len() {
            self.grow();
        }
        self.add(site, 1);
    }

    fn add(&mut self, site: Site, count: u64) {
        let mask = self.table.len() - 1;
        let mut at = site.key as usize & mask;
        loop {
            match &mut self.table[at] {
                Some((known, total)) if known.key == site.key => {
                    *total += count;
                    return;
                }
                Some(_) => at = (at + 1) & mask,
                empty => {
                    *empty = Some((site, count));
                    self.used += 1;
                    return;
                }
            }
        }
    }

    fn grow(&mut self) {
        let len = (self.table.len() * 2).max(256);
        let old = std::mem::replace(&mut self.table, vec![None; len]);
        self.used = 0;
        for (site, count) in old.into_iter().flatten() {
            self.add(site, count);
        }
    }

    /// Adds one run: for each mark, the number of seeds that reached it and of visits.
    pub fn merge_into(&self, totals: &mut BTreeMap<&'static str, (u64, u64)>) {
        for (site, count) in self.table.iter().flatten() {
            let total = totals.entry(site.name).or_default();
            total.0 += 1;
            total.1 += count;
        }
    }

    /// How often the state called `name` was reached.
    pub fn count(&self, name: &'static str) -> u64 {
        let key = Site::new(name).key;
        let found = self.table.iter().flatten().find(|(site, _)| site.key == key);
        found.map_or(0, |&(_, count)| count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site;

    #[test]
    fn visits_and_seeds_are_counted_apart() {
        let mut totals = BTreeMap::new();
        for _ in 0..3 {
            let mut marks = Marks::default();
            marks.hit(site!("rare"));
            marks.hit(site!("rare"));
            assert_eq!(marks.count("rare"), 2);
            assert_eq!(marks.count("never"), 0);
            marks.merge_into(&mut totals);
        }
        assert_eq!(totals["rare"], (3, 6));
    }
}

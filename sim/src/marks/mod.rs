//! `sometimes` marks: counts that rare states were reached, so that a silent oracle means
//! something.
//!
//! A mark is a place in one fixed list: those that are hit by name ([`crate::mark!`]), and one for
//! each member of the enums that [`Group`] lists, the core's own above all. What share of the
//! seeds must reach each stands in `quotas.txt`, see [`quotas`].

mod group;
mod named;
pub mod quotas;
mod strike;

pub use group::Group;
pub use strike::{Blow, Stand};

use named::NAMED;

/// One entry of the catalogue.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Mark(u16);

/// How many marks there are.
pub const COUNT: usize = Group::start_of(Group::ALL.len());

/// The [`Mark`] of this name, found at compile time.
#[macro_export]
macro_rules! mark {
    ($name:literal) => {
        const { $crate::marks::Mark::named($name) }
    };
}

impl Mark {
    /// The mark that is hit by `name`.
    ///
    /// # Panics
    /// If there is none; in a constant that is an error of compilation.
    pub const fn named(name: &str) -> Mark {
        let mut index = 0;
        while index < NAMED.len() {
            if is_same(NAMED[index], name) {
                return Mark(index as u16);
            }
            index += 1;
        }
        panic!("no mark of this name in sim/src/marks/named.rs")
    }

    /// Every mark, in the order of the catalogue.
    pub fn all() -> impl Iterator<Item = Mark> {
        (0..COUNT as u16).map(Mark)
    }

    /// Its place in the catalogue.
    pub fn index(self) -> usize {
        self.0.into()
    }

    /// Its name, unique.
    pub fn name(self) -> String {
        let index = self.index();
        if index < NAMED.len() {
            return NAMED[index].into();
        }
        let group = Group::ALL.iter().rev().find(|group| group.start() <= index);
        let group = *group.expect("groups begin behind the named marks");
        format!("{}: {}", group.name(), group.member(index - group.start()))
    }
}

const fn is_same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// How often each mark was reached in one run.
pub struct Marks {
    visits: Box<[u32; COUNT]>,
}

impl Default for Marks {
    fn default() -> Self {
        Marks { visits: Box::new([0; COUNT]) }
    }
}

impl Marks {
    /// Counts one visit.
    #[inline]
    pub fn hit(&mut self, mark: Mark) {
        self.visits[mark.index()] += 1;
    }

    /// Counts what another counter of a whole group has.
    pub fn add(&mut self, group: Group, counts: &[u32]) {
        let all = &mut self.visits[group.start()..group.start() + group.len()];
        for (visits, count) in all.iter_mut().zip(counts) {
            *visits += count;
        }
    }

    /// How often each mark was reached, in the order of the catalogue.
    pub fn visits(&self) -> &[u32; COUNT] {
        &self.visits
    }

    /// How often `mark` was reached.
    pub fn count(&self, mark: Mark) -> u64 {
        self.visits[mark.index()].into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_mark_has_a_name_of_its_own() {
        let names: BTreeSet<String> = Mark::all().map(Mark::name).collect();
        assert_eq!(names.len(), COUNT);
        const { assert!(COUNT >= 150) };
        assert_eq!(mark!("status: 404").name(), "status: 404");
    }

    #[test]
    fn visits_are_counted_by_mark() {
        let mut marks = Marks::default();
        marks.hit(mark!("status: 404"));
        marks.hit(mark!("status: 404"));
        marks.add(Group::TlsFailure, &[0, 3]);
        assert_eq!(marks.count(mark!("status: 404")), 2);
        assert_eq!(marks.count(mark!("status: 408")), 0);
        assert_eq!(marks.count(Group::TlsFailure.at(1)), 3);
        assert_eq!(Group::TlsFailure.at(1).name(), "tls failure: incompatible");
    }
}

//! The one event heap, ordered by (virtual nanosecond, seeded tie, sequence).

use crate::choice::mix;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

struct Entry<E> {
    at: u64,
    tie: u32,
    sequence: u32,
    event: E,
}

impl<E> Entry<E> {
    fn key(&self) -> (u64, u32, u32) {
        (self.at, self.tie, self.sequence)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl<E> Eq for Entry<E> {}
impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Entry<E> {
    // Reversed: the standard heap pops the greatest, the simulation wants the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// Events to come. Ties in time are broken by the seed and the entity, then by age.
pub struct Heap<E> {
    entries: BinaryHeap<Entry<E>>,
    seed: u64,
    sequence: u32,
    /// What pushed each entry, by sequence, if that is kept.
    causes: Option<Vec<u32>>,
    /// What pushes now.
    pushing: u32,
}

impl<E> Heap<E> {
    /// An empty heap whose ties follow from `seed`.
    pub fn new(seed: u64) -> Heap<E> {
        Heap {
            entries: BinaryHeap::with_capacity(256),
            seed: mix(!seed),
            sequence: 0,
            causes: None,
            pushing: 0,
        }
    }

    /// Adds an event at `at` nanoseconds; `entity` keys its tie.
    pub fn push(&mut self, at: u64, entity: u64, event: E) {
        let tie = (mix(self.seed ^ at ^ entity.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 32) as u32;
        let sequence = self.sequence;
        self.sequence += 1;
        if let Some(causes) = &mut self.causes {
            causes.push(self.pushing);
        }
        self.entries.push(Entry { at, tie, sequence, event });
    }

    /// The earliest event and its time.
    pub fn pop(&mut self) -> Option<(u64, E)> {
        self.pop_with_cause().map(|(at, event, _)| (at, event))
    }

    /// The earliest event, its time, and what pushed it if that is kept.
    #[inline]
    pub fn pop_with_cause(&mut self) -> Option<(u64, E, Option<u32>)> {
        let entry = self.entries.pop()?;
        let causes = self.causes.as_ref();
        let cause = causes.and_then(|causes| causes.get(entry.sequence as usize)).copied();
        Some((entry.at, entry.event, cause))
    }

    /// Keeps what pushes each event; nothing may have been pushed yet.
    pub fn keep_causes(&mut self) {
        debug_assert_eq!(self.sequence, 0);
        self.causes = Some(Vec::new());
    }

    /// Whatever is pushed from now on is pushed by `cause`.
    #[inline]
    pub fn pushing(&mut self, cause: u32) {
        self.pushing = cause;
    }

    /// How many events wait.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no event waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(seed: u64) -> Vec<u32> {
        let mut heap = Heap::new(seed);
        for i in 0..20 {
            heap.push(5, u64::from(i), i);
        }
        heap.push(9, 0, 100);
        heap.push(1, 0, 200);
        std::iter::from_fn(|| heap.pop().map(|(_, event)| event)).collect()
    }

    #[test]
    fn time_first_then_the_seeds_tie() {
        let one = order(1);
        assert_eq!((one[0], one[21]), (200, 100));
        assert_eq!(one, order(1));
        assert_ne!(one, order(2));
        let mut sorted = one[1..21].to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn one_entitys_events_of_one_time_keep_their_order() {
        let mut heap = Heap::new(3);
        for i in 0..10 {
            heap.push(5, 77, i);
        }
        let popped: Vec<i32> = std::iter::from_fn(|| heap.pop().map(|(_, e)| e)).collect();
        assert_eq!(popped, (0..10).collect::<Vec<_>>());
    }
}

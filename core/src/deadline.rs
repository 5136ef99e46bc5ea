//! Deadlines in one indexed heap. Moving a deadline later costs one store: the heap's key may be
//! older than the deadline and is settled when it reaches the top.

use crate::time::Time;

const NOWHERE: u32 = u32::MAX;
const ARITY: usize = 4;

/// Names one entry for its whole life.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct DeadlineId(u32);

#[derive(Debug)]
struct Entry<T> {
    owner: Option<T>,
    deadline: Time,
    position: u32,
}

/// A set of owners, each with at most one deadline.
#[derive(Debug)]
pub struct Deadlines<T> {
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    /// (key, entry), a 4-ary heap by key; a key is never later than its entry's deadline.
    heap: Vec<(Time, u32)>,
}

impl<T: Copy> Deadlines<T> {
    /// An empty set with room for `capacity` owners before it allocates again.
    pub fn with_capacity(capacity: usize) -> Deadlines<T> {
        Deadlines {
            entries: Vec::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
            heap: Vec::with_capacity(capacity),
        }
    }

    /// How many owners have an entry.
    pub fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Whether no owner has an entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// An entry for `owner`, without a deadline.
    pub fn insert(&mut self, owner: T) -> DeadlineId {
        let entry = Entry { owner: Some(owner), deadline: Time::NEVER, position: NOWHERE };
        match self.free.pop() {
            Some(index) => {
                self.entries[index as usize] = entry;
                DeadlineId(index)
            }
            None => {
                self.entries.push(entry);
                DeadlineId(self.entries.len() as u32 - 1)
            }
        }
    }

    /// Releases the entry.
    pub fn remove(&mut self, id: DeadlineId) {
        let entry = &mut self.entries[id.0 as usize];
        assert!(entry.owner.take().is_some(), "an entry is released once");
        let position = entry.position;
        if position != NOWHERE {
            self.unheap(position as usize);
        }
        self.free.push(id.0);
    }

    /// The entry's deadline, [`Time::NEVER`] if none.
    pub fn get(&self, id: DeadlineId) -> Time {
        self.entries[id.0 as usize].deadline
    }

    /// Sets or, with [`Time::NEVER`], clears the entry's deadline.
    #[inline]
    pub fn set(&mut self, id: DeadlineId, deadline: Time) {
        let entry = &mut self.entries[id.0 as usize];
        entry.deadline = deadline;
        let position = entry.position as usize;
        if entry.position == NOWHERE {
            if deadline < Time::NEVER {
                self.heap.push((deadline, id.0));
                self.sift_up(self.heap.len() - 1);
            }
        } else if deadline < self.heap[position].0 {
            self.heap[position].0 = deadline;
            self.sift_up(position);
        }
    }

    /// The earliest deadline and its owner.
    pub fn earliest(&mut self) -> Option<(Time, T)> {
        while let Some(&(key, index)) = self.heap.first() {
            let deadline = self.entries[index as usize].deadline;
            if deadline == Time::NEVER {
                self.unheap(0);
            } else if key < deadline {
                self.heap[0].0 = deadline;
                self.sift_down(0);
            } else {
                let owner = self.entries[index as usize].owner.expect("a heaped entry is live");
                return Some((deadline, owner));
            }
        }
        None
    }

    /// All owners with their deadlines, in no particular but a deterministic order.
    pub fn iter(&self) -> impl Iterator<Item = (T, Time)> {
        self.entries.iter().filter_map(|e| e.owner.map(|owner| (owner, e.deadline)))
    }

    /// Whether no entry stands above an earlier one, every entry knows its place, and no key is
    /// later than its deadline: what fires in its time rests on that.
    pub(crate) fn is_sound(&self) -> bool {
        let is_heaped = |entry: &Entry<T>| entry.owner.is_none() || entry.position != NOWHERE;
        let mut dues = self.entries.iter().filter(|entry| entry.deadline < Time::NEVER);
        dues.all(is_heaped)
            && self.heap.iter().enumerate().all(|(position, &(key, index))| {
                let entry = &self.entries[index as usize];
                let is_placed = entry.position as usize == position && entry.owner.is_some();
                let above = position.checked_sub(1).map(|below| self.heap[below / ARITY].0);
                is_placed && key <= entry.deadline && above.is_none_or(|above| above <= key)
            })
    }

    fn unheap(&mut self, position: usize) {
        let (_, gone) = self.heap.swap_remove(position);
        self.entries[gone as usize].position = NOWHERE;
        if position < self.heap.len() {
            self.entries[self.heap[position].1 as usize].position = position as u32;
            self.sift_up(position);
            self.sift_down(position);
        }
    }

    fn place(&mut self, position: usize, item: (Time, u32)) {
        self.heap[position] = item;
        self.entries[item.1 as usize].position = position as u32;
    }

    fn sift_up(&mut self, mut position: usize) {
        let item = self.heap[position];
        while position > 0 {
            let parent = (position - 1) / ARITY;
            if self.heap[parent].0 <= item.0 {
                break;
            }
            self.place(position, self.heap[parent]);
            position = parent;
        }
        self.place(position, item);
    }

    fn sift_down(&mut self, mut position: usize) {
        let item = self.heap[position];
        loop {
            let first = position * ARITY + 1;
            let last = (first + ARITY).min(self.heap.len());
            let Some(least) = (first..last).min_by_key(|&child| self.heap[child].0) else { break };
            if self.heap[least].0 >= item.0 {
                break;
            }
            self.place(position, self.heap[least]);
            position = least;
        }
        self.place(position, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // SES-3: the earliest true deadline comes first, however often deadlines were moved.
    #[test]
    fn agrees_with_a_naive_model() {
        let mut deadlines = Deadlines::with_capacity(8);
        let mut model: Vec<(DeadlineId, u32, Time)> = Vec::new();
        let mut state = 7u64;
        let mut draw = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
            (state >> 33) % n
        };
        for step in 0..20_000u32 {
            match draw(4) {
                0 => model.push((deadlines.insert(step), step, Time::NEVER)),
                1 if !model.is_empty() => {
                    let at = draw(model.len() as u64) as usize;
                    deadlines.remove(model.swap_remove(at).0);
                }
                _ if !model.is_empty() => {
                    let at = draw(model.len() as u64) as usize;
                    let to = if draw(5) == 0 { Time::NEVER } else { Time(draw(1_000)) };
                    model[at].2 = to;
                    deadlines.set(model[at].0, to);
                }
                _ => {}
            }
            let least = model.iter().map(|m| m.2).min().filter(|&t| t < Time::NEVER);
            assert_eq!(deadlines.earliest().map(|(time, _)| time), least);
            assert_eq!(deadlines.len(), model.len());
            assert!(deadlines.is_sound());
            if model.len() > 64 {
                let (id, ..) = model.swap_remove(0);
                deadlines.remove(id);
            }
        }
    }
}

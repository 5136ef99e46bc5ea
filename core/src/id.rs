//! Generational ids, and the slab that mints them (LOOP-1).
//!
//! An id is an index and a generation. A slot's generation grows each time it is freed, so an id
//! that outlived its tenant is recognised, counted by the caller and ignored.

use std::marker::PhantomData;

/// An id of a `T`: slot index and generation.
pub struct Id<T> {
    index: u32,
    generation: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// The id as one integer, as a driver registers it with its poll.
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The id that [`Id::to_bits`] made `bits` of. Any value is safe: an unknown one is stale.
    pub fn from_bits(bits: u64) -> Id<T> {
        Id { index: bits as u32, generation: (bits >> 32) as u32, of: PhantomData }
    }

    /// The slot's index: dense and reused, so drivers index their own tables by it.
    pub fn index(self) -> usize {
        self.index as usize
    }

    /// How often the slot had been freed when this id was minted.
    pub fn generation(self) -> u32 {
        self.generation
    }
}

impl<T> Copy for Id<T> {}
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.to_bits() == other.to_bits()
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.to_bits().cmp(&other.to_bits())
    }
}
impl<T> std::hash::Hash for Id<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.to_bits().hash(state);
    }
}
impl<T> std::fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// Tags the ids of sockets; listeners are sockets too (LOOP-3).
pub enum SocketTag {}
/// Names one socket for its whole life: a listener, a client's connection or a backend's.
pub type SocketId = Id<SocketTag>;

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// A slab of `T` under generational ids tagged `K`. Slots are reused newest first.
pub struct Slots<T, K = T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    of: PhantomData<fn() -> K>,
}

impl<T, K> Slots<T, K> {
    /// An empty slab with room for `capacity` values before it allocates again.
    pub fn with_capacity(capacity: usize) -> Self {
        Slots {
            slots: Vec::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
            of: PhantomData,
        }
    }

    /// How many values live here.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether no value lives here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id that the next [`Slots::insert`] will return.
    pub fn next_id(&self) -> Id<K> {
        match self.free.last() {
            Some(&index) => {
                let generation = self.slots[index as usize].generation;
                Id { index, generation, of: PhantomData }
            }
            None => Id { index: self.slots.len() as u32, generation: 0, of: PhantomData },
        }
    }

    /// Stores `value` and mints its id.
    pub fn insert(&mut self, value: T) -> Id<K> {
        let id = self.next_id();
        match self.free.pop() {
            Some(index) => self.slots[index as usize].value = Some(value),
            None => self.slots.push(Slot { generation: 0, value: Some(value) }),
        }
        id
    }

    /// The value under `id`, or `None` for a stale id.
    #[inline]
    pub fn get(&self, id: Id<K>) -> Option<&T> {
        let slot = self.slots.get(id.index as usize)?;
        if slot.generation == id.generation { slot.value.as_ref() } else { None }
    }

    /// The value under `id`, or `None` for a stale id.
    #[inline]
    pub fn get_mut(&mut self, id: Id<K>) -> Option<&mut T> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation == id.generation { slot.value.as_mut() } else { None }
    }

    /// Takes the value out and frees the slot; `None` for a stale id.
    pub fn remove(&mut self, id: Id<K>) -> Option<T> {
        let slot = self.slots.get_mut(id.index as usize)?;
        if slot.generation != id.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(value)
    }

    /// All values with their ids, in index order.
    pub fn iter(&self) -> impl Iterator<Item = (Id<K>, &T)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| {
            let id = Id { index: index as u32, generation: slot.generation, of: PhantomData };
            slot.value.as_ref().map(|value| (id, value))
        })
    }

    /// The id and value at `index`, if that slot is taken. For bounded sweeps over the slab.
    pub fn at(&self, index: usize) -> Option<(Id<K>, &T)> {
        let slot = self.slots.get(index)?;
        let id = Id { index: index as u32, generation: slot.generation, of: PhantomData };
        slot.value.as_ref().map(|value| (id, value))
    }

    /// One more than the highest index ever used.
    pub fn high_water(&self) -> usize {
        self.slots.len()
    }
}

impl<T, K> std::ops::Index<Id<K>> for Slots<T, K> {
    type Output = T;
    /// Panics on a stale id: for ids whose owner vouches for them.
    #[inline]
    fn index(&self, id: Id<K>) -> &T {
        self.get(id).expect("a live id")
    }
}

impl<T, K> std::ops::IndexMut<Id<K>> for Slots<T, K> {
    #[inline]
    fn index_mut(&mut self, id: Id<K>) -> &mut T {
        self.get_mut(id).expect("a live id")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // LOOP-1: a late id for a freed slot never reaches the slot's next tenant.
    #[test]
    fn a_stale_id_never_reaches_the_next_tenant() {
        let mut slots: Slots<&str> = Slots::with_capacity(1);
        let first = slots.insert("first");
        assert_eq!(slots.remove(first), Some("first"));
        assert_eq!(slots.next_id().index(), first.index());
        let second = slots.insert("second");
        assert_eq!(second.index(), first.index());
        assert_eq!(slots.get(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get(second), Some(&"second"));
        assert_eq!(Id::<&str>::from_bits(second.to_bits()), second);
        assert_eq!(slots.len(), 1);
    }
}

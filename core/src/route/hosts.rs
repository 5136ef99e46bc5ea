//! A table from host names to records in the router's arena.
//!
//! Slots hold a part of the hash and an offset, so that a lookup that finds nothing almost never
//! leaves the table, and one that finds something reads one record. The hash is our own and the
//! same in every run. That a client could choose colliding names does no harm: names in the table
//! are the configuration's alone, and a probe ends at the first empty slot.

/// Bytes of the length in front of a name.
const LEN_BYTES: usize = 4;

/// A table of records; filled by [`Hosts::push`], then built once.
#[derive(Default)]
pub(super) struct Hosts {
    /// Where the records begin.
    records: Vec<u32>,
    /// A power of two of slots, or none. At most half of them are taken.
    slots: Vec<Slot>,
}

#[derive(Copy, Clone, Default)]
struct Slot {
    /// The hash's upper half.
    tag: u32,
    /// Offset of the record, plus one; 0 for an empty slot.
    at: u32,
}

/// Begins a record: the name and its length. The host's rules follow.
pub(super) fn write_name(arena: &mut Vec<u8>, name: &[u8]) {
    let len = u32::try_from(name.len()).expect("a name of less than 4 GiB");
    arena.extend_from_slice(&len.to_le_bytes());
    arena.extend_from_slice(name);
}

/// Where the rules of the record at `at` begin.
pub(super) fn skip_name(arena: &[u8], at: u32) -> usize {
    at as usize + LEN_BYTES + name(arena, at).len()
}

fn name(arena: &[u8], at: u32) -> &[u8] {
    let (len, rest) = arena[at as usize..].split_first_chunk().expect("a record");
    &rest[..u32::from_le_bytes(*len) as usize]
}

impl Hosts {
    /// How many names the table holds.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Adds the record at `at`; its name must be new.
    pub(super) fn push(&mut self, at: u32) {
        self.records.push(at);
    }

    /// Makes every record that was pushed findable.
    pub(super) fn build(&mut self, arena: &[u8]) {
        if self.records.is_empty() {
            return;
        }
        self.slots = vec![Slot::default(); (2 * self.records.len()).next_power_of_two()];
        for &at in &self.records {
            let hash = hash(name(arena, at));
            let mut index = self.start(hash);
            while self.slots[index].at != 0 {
                index = (index + 1) & (self.slots.len() - 1);
            }
            self.slots[index] = Slot { tag: (hash >> 32) as u32, at: at + 1 };
        }
    }

    /// Where the rules of the host called `wanted` begin in the arena.
    pub(super) fn find(&self, arena: &[u8], wanted: &[u8]) -> Option<usize> {
        if self.slots.is_empty() {
            return None;
        }
        let hash = hash(wanted);
        let mut index = self.start(hash);
        loop {
            let slot = self.slots[index];
            let at = slot.at.checked_sub(1)?;
            if slot.tag == (hash >> 32) as u32 && name(arena, at) == wanted {
                return Some(at as usize + LEN_BYTES + wanted.len());
            }
            index = (index + 1) & (self.slots.len() - 1);
        }
    }

    fn start(&self, hash: u64) -> usize {
        hash as usize & (self.slots.len() - 1)
    }
}

/// Hashes eight bytes at a time: each word is mixed in by a widening multiplication whose halves
/// are folded together.
fn hash(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    const OTHER: u64 = 0xd6e8_feb8_6659_fd93;
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(ODD);
        (product >> 64) as u64 ^ product as u64
    };
    let mut state = OTHER;
    let mut rest = bytes;
    while let Some((word, tail)) = rest.split_first_chunk() {
        state = fold(state, u64::from_le_bytes(*word));
        rest = tail;
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    fold(fold(state, u64::from_le_bytes(last)), bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[String]) -> (Hosts, Vec<u8>) {
        let (mut hosts, mut arena) = (Hosts::default(), Vec::new());
        for name in names {
            hosts.push(arena.len() as u32);
            write_name(&mut arena, name.as_bytes());
        }
        hosts.build(&arena);
        (hosts, arena)
    }

    // ROUTE-4: every name is found, no other is, and probes stay short.
    #[test]
    fn every_name_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 1000, 20_000] {
            let names: Vec<String> = (0..count).map(|n| format!("host-{n}.example")).collect();
            let (hosts, arena) = table(&names);
            for (n, name) in names.iter().enumerate() {
                let at = hosts.find(&arena, name.as_bytes()).expect("found");
                assert_eq!(at, skip_name(&arena, hosts.records[n]));
                assert_eq!(hosts.find(&arena, &name.as_bytes()[1..]), None);
            }
            assert_eq!(hosts.find(&arena, b""), None);
            let longest = hosts.slots.split(|slot| slot.at == 0).map(<[Slot]>::len).max();
            assert!(longest.unwrap_or(0) < 40, "{longest:?} of {count}");
        }
    }

    #[test]
    fn names_that_differ_in_length_or_one_byte_hash_apart() {
        let zeros = [0; 40];
        let mut seen = std::collections::BTreeSet::new();
        for len in 0..=40 {
            assert!(seen.insert(hash(&zeros[..len])));
            for at in 0..len {
                let mut one = zeros;
                one[at] = 1;
                assert!(seen.insert(hash(&one[..len])));
            }
        }
    }
}

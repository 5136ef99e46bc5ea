//! A table from host names to their rules.
//!
//! One array of offsets by hash, about one for each name, leads into one arena where the records
//! of a bucket lie side by side: each a name and the rules of that host. So a lookup touches one
//! offset and, most often, one or two neighbouring cache lines of the arena, however many names
//! there are. What makes a large table slow is less the number of its lines that a lookup touches
//! than its size, since most of it lies in no near cache: hence no empty slots and no padding.
//!
//! The hash is our own and the same in every run. That a client could choose colliding names does
//! no harm: only the configuration puts names here.

use super::bytes::{Reader, put_len};

/// A table that can be looked up.
#[derive(Clone, Default)]
pub(super) struct Hosts {
    /// Where the records of each bucket begin, and where the last ones end. Empty without names.
    starts: Vec<u32>,
    /// For each name: a byte of its hash, the lengths of the name and of its rules, and both.
    records: Vec<u8>,
    names: usize,
}

impl Hosts {
    /// The table of `names`, all different, with their rules.
    pub(super) fn new(names: &[(&[u8], Vec<u8>)]) -> Hosts {
        let mut hosts = Hosts { names: names.len(), ..Hosts::default() };
        if names.is_empty() {
            return hosts;
        }
        let bucket = |name| bucket(hash(name), names.len());
        let mut sorted: Vec<_> = names.iter().collect();
        sorted.sort_by_key(|(name, _)| bucket(name));
        for (name, rules) in sorted {
            let start = u32::try_from(hosts.records.len()).expect("routes of less than 4 GiB");
            hosts.starts.resize(hosts.starts.len().max(bucket(name) + 1), start);
            hosts.records.push(tag(hash(name)));
            put_len(&mut hosts.records, name.len());
            put_len(&mut hosts.records, rules.len());
            hosts.records.extend_from_slice(name);
            hosts.records.extend_from_slice(rules);
        }
        let end = u32::try_from(hosts.records.len()).expect("routes of less than 4 GiB");
        hosts.starts.resize(names.len() + 1, end);
        hosts
    }

    /// How many names the table holds.
    pub(super) fn len(&self) -> usize {
        self.names
    }

    /// The rules of the host called `wanted`.
    #[inline]
    pub(super) fn find(&self, wanted: &[u8]) -> Option<&[u8]> {
        if self.names == 0 {
            return None;
        }
        let hash = hash(wanted);
        let bucket = bucket(hash, self.names);
        let records = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
        let mut reader = Reader(&self.records[records]);
        while !reader.0.is_empty() {
            let tagged = reader.u8() == tag(hash);
            let (name, rules) = (reader.len(), reader.len());
            let (name, rules) = (reader.bytes(name), reader.bytes(rules));
            if tagged && name == wanted {
                return Some(rules);
            }
        }
        None
    }
}

/// The place of a hash among `buckets`: its upper half, scaled down.
fn bucket(hash: u64, buckets: usize) -> usize {
    ((u128::from(hash >> 32) * buckets as u128) >> 32) as usize
}

/// The byte of a hash that a record shows; the bucket does not depend on it.
fn tag(hash: u64) -> u8 {
    hash as u8
}

/// Hashes eight bytes at a time: each word is mixed in by a widening multiplication whose halves
/// are folded together.
fn hash(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    const START: u64 = 0xd6e8_feb8_6659_fd93;
    let fold = |state: u64, word: u64| {
        let product = u128::from(state ^ word) * u128::from(ODD);
        (product >> 64) as u64 ^ product as u64
    };
    let mut state = START;
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

    // ROUTE-4: every name is found, no other is, and buckets stay small.
    #[test]
    fn every_name_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 100, 20_000] {
            let long = "x".repeat(200);
            let name = |n: usize| match n % 3 {
                0 => format!("{long}.{n}.example"),
                _ => format!("host-{n}.example"),
            };
            let names: Vec<String> = (0..count).map(name).collect();
            let rules = |n: usize| vec![n as u8; n % 200];
            let numbered = names.iter().enumerate();
            let all: Vec<_> = numbered.map(|(n, name)| (name.as_bytes(), rules(n))).collect();
            let hosts = Hosts::new(&all);
            for n in 0..count {
                assert_eq!(hosts.find(name(n).as_bytes()), Some(&rules(n)[..]));
                assert_eq!(hosts.find(&name(n).as_bytes()[1..]), None);
                assert_eq!(hosts.find(name(n + count).as_bytes()), None);
            }
            assert_eq!(hosts.find(b""), None);
            assert_eq!(hosts.len(), count);
            let mut sizes = vec![0; count];
            names.iter().for_each(|name| sizes[bucket(hash(name.as_bytes()), count)] += 1);
            assert!(sizes.iter().all(|&size| size < 12), "{count}");
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

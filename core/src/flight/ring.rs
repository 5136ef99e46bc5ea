//! The ring: entries in segments of a fixed size, the oldest segment overwritten whole.
//!
//! A ring that gives way entry by entry would have to read what it overwrites, in the hottest
//! path there is. Whole segments cost nothing to drop, each begins with its own absolute time, so
//! that a recording can be read from any of them on, and no more than one of 64 is lost too early.

use super::entry::{Entry, OVERHEAD, Tag, WORD, Word};
use crate::time::Time;

/// Segments of a ring.
const SEGMENTS: usize = 64;
/// Bytes of a segment at least: a head of the largest buffer fits.
const SEGMENT_BYTES_MIN: usize = 1024;

/// Where the payload of an entry was put.
#[derive(Copy, Clone, Default, Debug)]
pub(super) struct Place {
    /// How many segments had been begun before its own.
    begun: u64,
    at: usize,
    len: usize,
}

/// A bounded memory of entries.
#[derive(Clone)]
pub(super) struct Ring {
    bytes: Box<[u8]>,
    segment_bytes: usize,
    /// For each segment its first time, and how much of it was filled when the next one was begun.
    heads: Vec<(Time, usize)>,
    /// The segment being filled.
    current: usize,
    /// How many segments were begun before it.
    begun: u64,
    /// Where the next entry goes, and where the segment ends.
    at: usize,
    end: usize,
    now: Time,
}

impl Ring {
    /// A ring of about `bytes`, all of it taken now, and touched as it fills.
    pub(super) fn new(bytes: usize) -> Ring {
        let segment_bytes = (bytes / SEGMENTS).max(SEGMENT_BYTES_MIN);
        let count = (bytes / segment_bytes).max(2);
        Ring {
            bytes: vec![0; count * segment_bytes].into_boxed_slice(),
            segment_bytes,
            heads: vec![(Time::ZERO, 0); count],
            current: 0,
            begun: 0,
            at: 0,
            end: segment_bytes,
            now: Time::ZERO,
        }
    }

    /// Appends `entry`, which happened at `now`. False if it is larger than the ring can keep:
    /// nothing is written then.
    pub(super) fn push(&mut self, now: Time, entry: &Entry<'_>) -> bool {
        self.turn(now);
        match entry.word() {
            Some(word) => self.append(word, entry.bytes),
            None => self.append_long(entry),
        }
    }

    /// The same for an entry that is one word.
    #[inline(always)]
    pub(super) fn push_word(&mut self, now: Time, word: Word) {
        self.turn(now);
        self.append_word(word);
    }

    /// What follows happened at `now`.
    #[inline(always)]
    fn turn(&mut self, now: Time) {
        if now == self.now {
            return;
        }
        let passed = now.0.saturating_sub(self.now.0);
        match Word::of_worker(Tag::Turn as u8, passed) {
            Some(word) => self.append_word(word),
            None => self.turn_far(passed),
        }
        self.now = now;
    }

    #[inline(always)]
    fn append_word(&mut self, word: Word) {
        if self.at + WORD > self.end {
            self.next_segment(WORD);
        }
        self.bytes[self.at..self.at + WORD].copy_from_slice(&word.bits.to_le_bytes());
        self.at += word.len;
    }

    #[inline]
    fn append(&mut self, word: Word, payload: &[u8]) -> bool {
        let room = WORD + payload.len();
        if self.at + room > self.end && !self.next_segment(room) {
            return false;
        }
        let (first, rest) = self.bytes[self.at..self.at + room].split_at_mut(WORD);
        first.copy_from_slice(&word.bits.to_le_bytes());
        rest.copy_from_slice(payload);
        self.at += word.len + payload.len();
        true
    }

    #[cold]
    fn turn_far(&mut self, passed: u64) {
        self.append_long(&Entry::new(Tag::Turn, 0).with(passed));
    }

    #[cold]
    fn append_long(&mut self, entry: &Entry<'_>) -> bool {
        let room = entry.bytes.len() + OVERHEAD;
        if self.at + room > self.end && !self.next_segment(room) {
            return false;
        }
        self.at += entry.write(&mut self.bytes[self.at..self.at + room]);
        true
    }

    #[cold]
    fn next_segment(&mut self, room: usize) -> bool {
        if room > self.segment_bytes {
            return false;
        }
        self.heads[self.current].1 = self.used();
        self.current = (self.current + 1) % self.heads.len();
        self.begun += 1;
        self.heads[self.current] = (self.now, 0);
        self.at = self.current * self.segment_bytes;
        self.end = self.at + self.segment_bytes;
        true
    }

    /// Where the payload of the entry that was just put, `len` bytes, lies.
    #[inline]
    pub(super) fn last_place(&self, len: usize) -> Place {
        Place { begun: self.begun, at: self.at - len, len }
    }

    /// Whether `bytes` lie at `place`, and no segment was begun over them.
    #[inline]
    pub(super) fn holds(&self, place: Place, bytes: &[u8]) -> bool {
        place.len == bytes.len()
            && self.begun - place.begun < self.heads.len() as u64
            && self.bytes[place.at..place.at + place.len] == *bytes
    }

    /// Bytes of the current segment that are filled.
    fn used(&self) -> usize {
        self.at - self.current * self.segment_bytes
    }

    /// The segments that hold something, the oldest first, each with its first time.
    pub(super) fn segments(&self) -> impl Iterator<Item = (Time, &[u8])> {
        let count = self.heads.len();
        (1..=count).filter_map(move |back| {
            let index = (self.current + back) % count;
            let (time, filled) = self.heads[index];
            let used = if index == self.current { self.used() } else { filled };
            let start = index * self.segment_bytes;
            (used > 0).then(|| (time, &self.bytes[start..start + used]))
        })
    }
}

//! The flight recorder: what crossed the boundary lately, kept in a ring, to be played back.
//!
//! Everything a session does follows from its inputs, in order, and from what it decided together
//! with others. Both are written as entries of a few bytes into a ring of the worker's (`Tag`):
//! steps (reads, writes, readiness, timers) *before* they are carried out, decisions (`Verdict`)
//! where they fall. What the parsers look at is kept as it came: heads, the framing of chunked
//! bodies, PROXY headers. Of bodies and tunnels only the lengths are. Of TLS it is told what each
//! call of it came to (`tls`): the parsers' bytes are plaintext, and no secret is kept.
//!
//! A rolling hash over what the session gave out (sizes, times, parsed fields, effects, its
//! deadlines) stands in the ring at the end of each request and of the session. [`Player`]
//! hands the
//! steps of one session to a fresh proxy, *forces* its decisions, and compares the hashes.
//!
//! A step is replayed by the method that `drive` calls for it, not by `drive` itself: in which
//! order the sockets of a worker get their turn depends on all its sessions. That each step was
//! owed
//! is checked.
//!
//! Pure memory: no clock, no file. Values that no parser looks at are masked when the recording is
//! written out (`mask`), so that recording costs a copy and no thought.

mod case;
mod entry;
mod hooks;
mod image;
mod mask;
mod replay;
mod ring;
mod script;
mod start;
mod tls;
pub mod wire;

pub use case::{Case, Chain, Damage, Flaw, Reading};
pub(crate) use entry::{BACK, Cause, Entry, FLAG, Step, Tag, Verdict};
pub use image::Recording;
pub use replay::{Difference, Played, Player, StandIns};
pub use start::Start;

use crate::time::Time;
use entry::{OVERHEAD, Word};
use ring::{Place, Ring};

/// Version of the file format.
pub const FORMAT: u16 = 5;
/// Keeps a time that is zero from making zero of a product.
const KEY: u64 = 0x9e37_79b9_7f4a_7c15;
/// Stands in recordings where a byte stood that no parser looks at, and in replays where none is
/// known.
const FILLER: u8 = b'x';
/// Buffers that are left in a pool that nobody would call short: more than one session can take.
pub(crate) const AMPLE: usize = 2 * crate::buffer::CHAIN_MAX + 2 * crate::buffer::PROMISE;

/// What is remembered of a session while it lives.
#[derive(Copy, Clone, Default, Debug)]
pub(crate) struct Track {
    /// Rolls over everything that it gave out.
    pub(crate) hash: u64,
    /// Bytes read from the client, and from servers.
    read: [u64; 2],
    /// Up to which of them the recording tells what they were.
    told: [u64; 2],
    /// The last head that was told of each.
    heads: [Place; 2],
    lives: bool,
    /// Decisions that were left out since its last entry, content aside.
    omitted: u8,
}

impl Track {
    #[inline]
    pub(crate) fn mix(&mut self, value: u64) {
        self.hash = fold(self.hash ^ value, KEY);
    }
}

/// Both halves of the product: every bit of both numbers counts in every bit of it.
#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// Many numbers in one, for [`Track::mix`]: the pairs are multiplied independently of each other,
/// which takes a processor less time than one after the other.
#[inline]
fn fold_pairs<const N: usize>(pairs: &[[u64; 2]; N]) -> u64 {
    let mut keys = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];
    let mut sum = 0u64;
    for [a, b] in pairs {
        sum = sum.wrapping_add(fold(a ^ keys[0], b ^ keys[1]));
        keys = keys.map(|key: u64| key.rotate_left(11).wrapping_mul(0x8ebc_6af0_9c88_c6e3));
    }
    sum
}

/// The recorder of a proxy, or what plays a recording back in its place.
pub(crate) struct Flight {
    tracks: Vec<Track>,
    /// Space was lent to this slot (for a read from its server, if so), and nothing written since.
    lent: Option<Loan>,
    /// The start of a session while it is put together.
    scratch: Vec<u8>,
    mode: Mode,
}

/// Space that was lent for a read.
#[derive(Copy, Clone)]
pub(crate) struct Loan {
    slot: u32,
    /// From the server.
    back: bool,
}

enum Mode {
    Record(Ring),
    Replay(script::Script),
}

impl Flight {
    pub(crate) fn recorder(bytes: usize) -> Flight {
        Flight::in_mode(Mode::Record(Ring::new(bytes)))
    }

    fn in_mode(mode: Mode) -> Flight {
        Flight { tracks: Vec::new(), lent: None, scratch: Vec::new(), mode }
    }

    #[inline]
    fn track(&mut self, slot: u32) -> &mut Track {
        let index = slot as usize;
        if index >= self.tracks.len() {
            self.grow(index);
        }
        &mut self.tracks[index]
    }

    #[cold]
    fn grow(&mut self, index: usize) {
        self.tracks.resize(index + 1, Track::default());
    }

    /// Writes `entry`; when it is too large, that it is missing, and gives false.
    fn put(&mut self, now: Time, entry: &Entry<'_>) -> bool {
        let Mode::Record(ring) = &mut self.mode else { return false };
        if let Some(loan) = self.lent.take() {
            loan.write(ring, now, entry.head(), entry.slot);
        }
        if !entry.tag.is_content()
            && let Some(track) = self.tracks.get_mut(entry.slot as usize)
        {
            track.omitted = 0;
        }
        let kept = ring.push(now, entry);
        if !kept {
            let torn = Entry::new(Tag::Torn, entry.slot).with(Flaw::TooLarge as u64);
            let told = ring.push(now, &torn);
            debug_assert!(told, "an entry of {OVERHEAD} bytes fits");
        }
        kept
    }

    /// A step of the session in `slot`, whose earliest deadline is `due`. Here and in what it
    /// calls, a function that is not inlined costs as much as what it does.
    #[inline(always)]
    pub(crate) fn step(&mut self, now: Time, due: Time, slot: u32, step: Step) {
        let Step { head, a, b } = step;
        let track = self.track(slot);
        let what = u64::from(head) << 56 ^ a ^ b << 28;
        track.hash = fold(track.hash ^ what, now.0 ^ due.0.rotate_left(32) ^ KEY);
        if head & !BACK == Tag::Read as u8 {
            track.read[usize::from(head & BACK != 0)] += a;
        }
        track.omitted = 0;
        self.write(now, slot, step);
    }

    /// Writes an entry that has one number.
    #[inline(always)]
    fn write(&mut self, now: Time, slot: u32, step: Step) {
        let Mode::Record(ring) = &mut self.mode else { return };
        if let Some(loan) = self.lent.take() {
            loan.write(ring, now, step.head, slot);
        }
        match Word::new(step.head, slot, step.a) {
            Some(word) => ring.push_word(now, word),
            None => push_long(ring, now, slot, step),
        }
    }

    /// Whether it was told what the unread input of a side begins with.
    fn has_told(&self, slot: u32, back: bool, pending: usize) -> bool {
        let side = usize::from(back);
        let track = self.tracks.get(slot as usize).copied().unwrap_or_default();
        track.told[side] > track.read[side].saturating_sub(pending as u64)
    }

    /// Tells what `bytes` were: the unread input of a side begins with them, and `pending` bytes of
    /// that side are unread in all.
    #[inline(always)]
    pub(crate) fn tell(&mut self, now: Time, entry: Entry<'_>, pending: usize) {
        let side = usize::from(entry.is_back());
        let track = self.track(entry.slot);
        let at = track.read[side].saturating_sub(pending as u64);
        let known = track.told[side].saturating_sub(at).min(entry.bytes.len() as u64);
        let bytes = &entry.bytes[known as usize..];
        if bytes.is_empty() {
            return;
        }
        let skipped = at + known - track.told[side];
        track.told[side] = at + known + bytes.len() as u64;
        let last = track.heads[side];
        let entry = Entry { a: skipped, bytes, ..entry };
        let Mode::Record(ring) = &mut self.mode else { return };
        if entry.tag != Tag::Head {
            self.put(now, &entry);
        } else if self.lent.is_none() && ring.holds(last, bytes) {
            // Clients ask and servers answer with much the same heads: one that is the last one
            // again is compared with it, and not written.
            let again = Tag::Again as u8 | entry.flags;
            match Word::new(again, entry.slot, skipped) {
                Some(word) => ring.push_word(now, word),
                None => push_long(ring, now, entry.slot, Step { head: again, a: skipped, b: 0 }),
            }
        } else if self.put(now, &entry)
            && let Mode::Record(ring) = &self.mode
        {
            let place = ring.last_place(bytes.len());
            self.track(entry.slot).heads[side] = place;
        }
    }
}

impl Loan {
    /// The session's next entry tells of the read itself, or the loan is told of first.
    #[inline]
    fn write(self, ring: &mut Ring, now: Time, head: u8, slot: u32) {
        let back = if self.back { BACK } else { 0 };
        if slot != self.slot || head & !FLAG != Tag::Read as u8 | back {
            self.write_alone(ring, now);
        }
    }

    #[cold]
    fn write_alone(self, ring: &mut Ring, now: Time) {
        ring.push(now, &Entry::new(Tag::Lent, self.slot).flagged(BACK, self.back));
    }
}

#[cold]
fn push_long(ring: &mut Ring, now: Time, slot: u32, step: Step) {
    let kept = ring.push(now, &step.entry(slot));
    debug_assert!(kept, "an entry of {OVERHEAD} bytes fits");
}

#[cfg(test)]
mod tests;

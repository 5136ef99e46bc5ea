//! The flight recorder: what crossed the boundary lately, kept in a ring, to be played back.
//!
//! Everything a session does follows from its inputs, in order, and from what it decided together
//! with others. Both are written as entries of a few bytes into a ring of the worker's (`Tag`):
//! steps (reads, writes, readiness, timers) *before* they are carried out, decisions (`Verdict`)
//! where they fall. What the parsers look at is kept as it came: heads, the framing of chunked
//! bodies, PROXY headers. Of bodies and tunnels only the lengths are.
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
mod start;
pub mod wire;

pub use case::{Case, Chain, Damage, Flaw, Reading};
pub(crate) use entry::{BACK, Cause, Entry, FLAG, Tag, Verdict};
pub use image::Recording;
pub use replay::{Difference, Played, Player, StandIns};
pub use start::Start;

use crate::time::Time;
use entry::OVERHEAD;
use ring::Ring;

/// Version of the file format.
pub const FORMAT: u16 = 2;
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
    lives: bool,
    /// Decisions that were left out since its last entry, content aside.
    omitted: u8,
}

impl Track {
    #[inline]
    pub(crate) fn mix(&mut self, value: u64) {
        self.hash = (self.hash.rotate_left(23) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// The recorder of a proxy, or what plays a recording back in its place.
pub(crate) struct Flight {
    tracks: Vec<Track>,
    /// Space was lent to this slot (for a read from its server, if so), and nothing written since.
    lent: Option<(u32, bool)>,
    /// The start of a session while it is put together.
    scratch: Vec<u8>,
    mode: Mode,
}

enum Mode {
    Record(Ring),
    Replay(replay::Script),
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

    /// Writes `entry`; when it is too large, that it is missing.
    #[inline]
    fn put(&mut self, now: Time, entry: &Entry<'_>) {
        let Mode::Record(ring) = &mut self.mode else { return };
        if let Some((slot, back)) = self.lent.take()
            && (entry.tag != Tag::Read || entry.slot != slot || entry.is_back() != back)
        {
            ring.push(now, &Entry::new(Tag::Lent, slot).flagged(BACK, back));
        }
        if !entry.tag.is_content()
            && let Some(track) = self.tracks.get_mut(entry.slot as usize)
        {
            track.omitted = 0;
        }
        if !ring.push(now, entry) {
            let torn = Entry::new(Tag::Torn, entry.slot).with(Flaw::TooLarge as u64);
            let kept = ring.push(now, &torn);
            debug_assert!(kept, "an entry of {OVERHEAD} bytes fits");
        }
    }

    /// A step of the session in `slot`, whose earliest deadline is `due`.
    #[inline]
    pub(crate) fn step(&mut self, now: Time, due: Time, entry: &Entry<'_>) {
        let track = self.track(entry.slot);
        track.mix(u64::from(entry.tag as u8 | entry.flags) << 56 ^ entry.a ^ entry.b << 28);
        track.mix(now.0 ^ due.0.rotate_left(32));
        if entry.tag == Tag::Read {
            track.read[usize::from(entry.is_back())] += entry.a;
        }
        self.put(now, entry);
    }

    /// Whether it was told what the unread input of a side begins with.
    fn has_told(&self, slot: u32, back: bool, pending: usize) -> bool {
        let side = usize::from(back);
        let track = self.tracks.get(slot as usize).copied().unwrap_or_default();
        track.told[side] > track.read[side].saturating_sub(pending as u64)
    }

    /// Tells what `bytes` were: the unread input of a side begins with them, and `pending` bytes of
    /// that side are unread in all.
    pub(crate) fn tell(&mut self, now: Time, entry: Entry<'_>, pending: usize) {
        let side = usize::from(entry.is_back());
        let track = self.track(entry.slot);
        let at = track.read[side].saturating_sub(pending as u64);
        let known = track.told[side].saturating_sub(at).min(entry.bytes.len() as u64);
        let bytes = &entry.bytes[known as usize..];
        if bytes.is_empty() {
            return;
        }
        track.told[side] = at + known + bytes.len() as u64;
        self.put(now, &Entry { a: at + known, bytes, ..entry });
    }
}

#[cfg(test)]
mod tests;

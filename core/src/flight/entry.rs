//! What the recorder writes: tagged entries of a few bytes, decoded without trust.

use crate::names::names;
use crate::tls::Told;

/// What an entry tells. Its number is part of the file format: add new ones at the end, and raise
/// [`FORMAT`](super::FORMAT) when one changes its meaning.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Tag {
    /// The worker's time moved on by `a` nanoseconds.
    Turn,
    /// A graceful stop began.
    Stopped,
    /// The configuration with serial number `a` came into force.
    Installed,
    /// A session began; `bytes` is a [`Start`](super::Start).
    Accepted,
    /// An event told of a socket; bits of `a`: readable, writable, read closed, error.
    Ready,
    /// Space for a read is lent. It is left out where the session's next entry is that read.
    Lent,
    /// A read gave `a` bytes, 0 at the end of the stream; space was lent for it before. With
    /// [`FLAG`] they are TLS's.
    Read,
    /// A read was owed, and the session could take nothing.
    NoRoom,
    /// A read, or with [`FLAG`] a write, would block.
    Blocked,
    /// The socket failed with error `a`; [`FLAG`]: while writing.
    Failed,
    /// A write took `a` bytes; [`FLAG`]: not all that it was offered.
    Sent,
    /// Timer `a` fired.
    Fired,
    /// The session goes on with a request that is here already.
    Resumed,
    /// The session's turn for buffers has come.
    Granted,
    /// The session's turn for a server has come.
    Woken,
    /// The worker ended the session for a reason of its own, [`Cause`] `a`.
    Ended,
    /// The pool is short while the next entry is carried out: `a` buffers are left, and with
    /// [`FLAG`] others wait.
    Scarce,
    /// A decision that the session does not take by itself came out as `b`; `a` is
    /// [`Verdict::number`]. One that comes out as usual is left out.
    Decided,
    /// What `bytes` of a side's stream were: a head. `a` bytes lie between the last ones that were
    /// told of that side and these.
    Head,
    /// The same, of a chunked body's framing.
    Framing,
    /// The same, of a PROXY header or a ClientHello.
    Prelude,
    /// The access record is written; `a` is the low half of the rolling hash.
    Logged,
    /// The session ended; `a` is its rolling hash.
    Closed,
    /// The session lived when the recording was written out; `a` is its rolling hash.
    Alive,
    /// Something of the session was too large to be kept, or cannot be played back: reason `a`.
    Torn,
    /// A head that is, byte by byte, the last one of that side of the session; `a` as of
    /// [`Tag::Head`]. Whatever overwrites that one has overwritten the start of the session, too.
    Again,
    /// Before the next entry's write TLS was offered `a` bytes more than it took. It is left out
    /// where it took all.
    Sealed,
    /// The session goes on with plaintext that TLS holds, or with its end.
    Delivered,
}

names! {
    /// The name that lists of entries use.
    pub(crate) Tag {
        Turn => "turn",
        Stopped => "stopped",
        Installed => "installed",
        Accepted => "accepted",
        Ready => "ready",
        Lent => "lent",
        Read => "read",
        NoRoom => "no room",
        Blocked => "blocked",
        Failed => "failed",
        Sent => "sent",
        Fired => "fired",
        Resumed => "resumed",
        Granted => "granted",
        Woken => "woken",
        Ended => "ended",
        Scarce => "scarce",
        Decided => "decided",
        Head => "head",
        Framing => "framing",
        Prelude => "prelude",
        Logged => "logged",
        Closed => "closed",
        Alive => "alive",
        Torn => "torn",
        Again => "head again",
        Sealed => "sealed",
        Delivered => "delivered",
    }
}

/// The entry concerns the server's side.
pub(crate) const BACK: u8 = 0x20;
/// See the tags that name it.
pub(crate) const FLAG: u8 = 0x40;
const TAG_BITS: u8 = 0x1f;
/// The entry has eight bytes before its payload, not four.
const WIDE: u8 = 0x80;
/// In place of a tag: the entry is written in full behind this byte.
const LONG: u8 = TAG_BITS;
const _: () = assert!(Tag::ALL.len() <= LONG as usize, "no tag means a long entry");

/// Bytes of an entry beside its payload, at most: those of a long one.
pub(super) const OVERHEAD: usize = 1 + 1 + 4 + 8 + 8 + 4;
/// Bytes that a [`Word`] is stored with, whatever its length.
pub(super) const WORD: usize = 8;

/// Nearly every entry, its payload aside: the tag with its flags in the lowest byte, then the slot
/// and the number, in 12 bits each, or in 24 and 32. Entries of the worker have a number alone.
/// Those with a payload have their number and its length, 16 bits each, in place of the number.
#[derive(Copy, Clone)]
pub(super) struct Word {
    /// The bytes, the lowest first.
    pub(super) bits: u64,
    /// How many of them count: four or eight.
    pub(super) len: usize,
}

impl Word {
    /// An entry that names a slot, without a payload. `None`: a number is too large for it.
    #[inline]
    pub(super) fn new(head: u8, slot: u32, number: u64) -> Option<Word> {
        let (head, slot) = (u64::from(head), u64::from(slot));
        if slot | number < 1 << 12 {
            return Some(Word { bits: head | slot << 8 | number << 20, len: 4 });
        }
        let fits = slot < 1 << 24 && number < 1 << 32;
        let bits = head | u64::from(WIDE) | slot << 8 | number << 32;
        fits.then_some(Word { bits, len: 8 })
    }

    /// An entry of the worker's.
    #[inline]
    pub(super) fn of_worker(head: u8, number: u64) -> Option<Word> {
        if number < 1 << 24 {
            return Some(Word { bits: u64::from(head) | number << 8, len: 4 });
        }
        let bits = u64::from(head | WIDE) | number << 8;
        (number < 1 << 56).then_some(Word { bits, len: 8 })
    }

    /// An entry before a payload of `len` bytes.
    #[inline]
    pub(super) fn before(head: u8, slot: u32, number: u64, len: usize) -> Option<Word> {
        let fits = slot < 1 << 24 && number < 1 << 16 && len < 1 << 16;
        let number = number << 32 | (len as u64) << 48;
        let bits = u64::from(head | WIDE) | u64::from(slot) << 8 | number;
        fits.then_some(Word { bits, len: 8 })
    }
}

impl Tag {
    fn of(number: u8) -> Option<Tag> {
        Tag::ALL.get(usize::from(number)).copied()
    }

    /// Whether it concerns one session, whose slot is named.
    #[inline]
    pub(crate) fn has_slot(self) -> bool {
        !matches!(self, Tag::Turn | Tag::Stopped | Tag::Installed)
    }

    /// Whether it carries a payload.
    #[inline]
    pub(crate) fn has_bytes(self) -> bool {
        matches!(self, Tag::Accepted | Tag::Head | Tag::Framing | Tag::Prelude)
    }

    /// Whether it tells what bytes of a stream were.
    #[inline]
    pub(crate) fn is_content(self) -> bool {
        matches!(self, Tag::Head | Tag::Framing | Tag::Prelude | Tag::Again)
    }
}

/// The decisions that a session does not take by itself: it shares them with others, or TLS does.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Verdict {
    /// Whether the pool had the session's buffers: 0 or 1.
    Buffers,
    /// Whether the client's address may have one more session: 0 or 1.
    Address,
    /// The server: 0 none, 1 all are full, 2 + its index in the cluster.
    Server,
    /// The idle connection: 0 none, 1 one that takes bytes, 2 one that is full; with TLS 2 more,
    /// and 4 more if that has bytes to send.
    Idle,
    /// Whether the line for a server had no room: 0 or 1.
    LineFull,
    /// Whether the server that was held back is still free: 0 or 1.
    StillFree,
    /// The server that the sticky cookie names: 0 none, 1 + its index.
    Sticky,
    /// Buffers that the response's first read is given.
    Window,
    /// Whether the connection was kept for others: 0 or 1.
    Kept,
    /// Whether a TLS client's first bytes are HTTP in the clear: 0 no, 1 yes, 2 for HEAD.
    Cleartext,
    /// What came of bytes for TLS: a [`Told`](crate::tls::Told).
    Opened,
    /// What came of reading plaintext: another one.
    Plain,
    /// Whether the certificate that the client was shown is good for its request: 0 or 1.
    Covers,
}

names! {
    /// The name that lists of entries use.
    pub(crate) Verdict {
        Buffers => "buffers",
        Address => "address",
        Server => "server",
        Idle => "idle connection",
        LineFull => "full line",
        StillFree => "server still free",
        Sticky => "sticky server",
        Window => "read window",
        Kept => "connection kept",
        Cleartext => "cleartext",
        Opened => "records opened",
        Plain => "plaintext read",
        Covers => "certificate covers",
    }
}

/// Bits of a decision's number that name its [`Verdict`].
const VERDICT_BITS: u32 = 4;
const _: () = assert!(Verdict::ALL.len() <= 1 << VERDICT_BITS, "each has a number");
/// Bits of that number: the count of those that were left out has eight.
const NUMBER_BITS: u32 = VERDICT_BITS + 8;

impl Verdict {
    /// What it nearly always comes out as: then nothing is written.
    #[inline]
    pub(super) fn usual(self) -> u64 {
        match self {
            Verdict::Server => 2,
            Verdict::LineFull | Verdict::Sticky | Verdict::Cleartext => 0,
            Verdict::Opened | Verdict::Plain => Told::EXPECTED,
            Verdict::Buffers
            | Verdict::Address
            | Verdict::Idle
            | Verdict::StillFree
            | Verdict::Window
            | Verdict::Kept
            | Verdict::Covers => 1,
        }
    }

    /// How an entry names it: with how many decisions of the session were left out since its last
    /// entry that is not content.
    pub(super) fn number(self, omitted: u8) -> u64 {
        self as u64 | u64::from(omitted) << VERDICT_BITS
    }

    /// The verdict of an entry, and how many were left out before it.
    pub(super) fn of(number: u64) -> Option<(Verdict, u64)> {
        let index = number & ((1 << VERDICT_BITS) - 1);
        let what = Verdict::ALL.get(index as usize)?;
        Some((*what, number >> VERDICT_BITS))
    }
}

/// Why the worker ended a session that did nothing to deserve it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Cause {
    /// It was idle, and another one needed its place (ACC-10).
    Evicted,
    /// It was too old, or a zombie (SES-4).
    Swept,
}

/// A step that a session is about to take, as small as it can be handed over.
#[derive(Copy, Clone)]
pub(crate) struct Step {
    /// The tag, with [`BACK`] and [`FLAG`].
    pub(super) head: u8,
    /// The number that is written.
    pub(super) a: u64,
    /// A number that is hashed alone.
    pub(super) b: u64,
}

impl Step {
    /// A step with a first number.
    #[inline]
    pub(crate) fn new(tag: Tag, a: u64) -> Step {
        Step { head: tag as u8, a, b: 0 }
    }

    /// The same with `flag` set if `on`.
    #[inline]
    pub(crate) fn flagged(self, flag: u8, on: bool) -> Step {
        Step { head: self.head | if on { flag } else { 0 }, ..self }
    }

    /// The entry that tells of it.
    pub(super) fn entry<'a>(self, slot: u32) -> Entry<'a> {
        let tag = Tag::of(self.head & TAG_BITS).expect("made of a tag");
        let flags = self.head & (BACK | FLAG);
        Entry { flags, ..Entry::new(tag, slot).with(self.a) }
    }
}

/// One entry, its payload borrowed from the recording.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry<'a> {
    /// What it tells.
    pub(crate) tag: Tag,
    /// [`BACK`] and [`FLAG`].
    pub(crate) flags: u8,
    /// The session's slot, 0 for entries of the worker.
    pub(crate) slot: u32,
    /// First number.
    pub(crate) a: u64,
    /// Second number.
    pub(crate) b: u64,
    /// Payload.
    pub(crate) bytes: &'a [u8],
}

impl<'a> Entry<'a> {
    /// An entry without numbers.
    pub(crate) fn new(tag: Tag, slot: u32) -> Entry<'a> {
        Entry { tag, flags: 0, slot, a: 0, b: 0, bytes: &[] }
    }

    /// The same with a first number.
    pub(crate) fn with(self, a: u64) -> Entry<'a> {
        Entry { a, ..self }
    }

    /// The same with `flag` set if `on`.
    pub(crate) fn flagged(self, flag: u8, on: bool) -> Entry<'a> {
        if on { Entry { flags: self.flags | flag, ..self } } else { self }
    }

    /// Its tag with its flags, as they are written.
    #[inline]
    pub(super) fn head(&self) -> u8 {
        self.tag as u8 | self.flags
    }

    /// Whether it concerns the server's side.
    pub(crate) fn is_back(&self) -> bool {
        self.flags & BACK != 0
    }

    /// The entry in one word, if it fits.
    #[inline]
    pub(super) fn word(&self) -> Option<Word> {
        let head = self.head();
        match self.tag {
            tag if !tag.has_slot() => Word::of_worker(head, self.a),
            tag if tag.has_bytes() => Word::before(head, self.slot, self.a, self.bytes.len()),
            Tag::Decided if self.a >= 1 << NUMBER_BITS || self.b >= 1 << (32 - NUMBER_BITS) => None,
            Tag::Decided => Word::new(head, self.slot, self.a | self.b << NUMBER_BITS),
            _ => Word::new(head, self.slot, self.a),
        }
    }

    /// Writes the entry to the front of `into`, which has room for it and [`OVERHEAD`]. Returns
    /// its length.
    pub(super) fn write(&self, into: &mut [u8]) -> usize {
        let at = match self.word() {
            Some(word) => {
                into[..WORD].copy_from_slice(&word.bits.to_le_bytes());
                word.len
            }
            None => self.write_long(into),
        };
        into[at..at + self.bytes.len()].copy_from_slice(self.bytes);
        at + self.bytes.len()
    }

    /// Writes all but the payload in full.
    #[cold]
    fn write_long(&self, into: &mut [u8]) -> usize {
        let len = u32::try_from(self.bytes.len()).expect("no ring has a larger segment");
        into[..2].copy_from_slice(&[LONG, self.head()]);
        into[2..6].copy_from_slice(&self.slot.to_le_bytes());
        into[6..14].copy_from_slice(&self.a.to_le_bytes());
        into[14..22].copy_from_slice(&self.b.to_le_bytes());
        into[22..26].copy_from_slice(&len.to_le_bytes());
        OVERHEAD
    }

    /// Reads the entry at the front of `from`, and how long it is; its payload is its end. `None`:
    /// there is none, or it is damaged.
    pub(crate) fn read(from: &'a [u8]) -> Option<(Entry<'a>, usize)> {
        let (&first, _) = from.split_first()?;
        if first & TAG_BITS == LONG {
            return Entry::read_long(from);
        }
        let tag = Tag::of(first & TAG_BITS)?;
        let flags = first & (BACK | FLAG);
        let is_wide = first & WIDE != 0;
        let (word, len) = match is_wide {
            true => (u64::from_le_bytes(*from.first_chunk()?), 8),
            false => (u64::from(u32::from_le_bytes(*from.first_chunk()?)), 4),
        };
        if !tag.has_slot() {
            return Some((Entry { flags, ..Entry::new(tag, 0).with(word >> 8) }, len));
        }
        let (slot, number) = match is_wide {
            true => (word >> 8 & 0xff_ffff, word >> 32),
            false => (word >> 8 & 0xfff, word >> 20),
        };
        let entry = Entry { flags, ..Entry::new(tag, slot as u32) };
        if tag.has_bytes() {
            let (a, end) = (number & 0xffff, len + (number >> 16) as usize);
            let bytes = from.get(len..end)?;
            return is_wide.then_some((Entry { bytes, ..entry.with(a) }, end));
        }
        if tag == Tag::Decided {
            let (a, b) = (number & ((1 << NUMBER_BITS) - 1), number >> NUMBER_BITS);
            return Some((Entry { b, ..entry.with(a) }, len));
        }
        Some((entry.with(number), len))
    }

    /// Reads what [`Entry::write_long`] wrote, and the payload behind it.
    fn read_long(from: &'a [u8]) -> Option<(Entry<'a>, usize)> {
        let (_, rest) = from.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (slot, rest) = rest.split_first_chunk()?;
        let (a, rest) = rest.split_first_chunk()?;
        let (b, rest) = rest.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let tag = Tag::of(first & TAG_BITS)?;
        let bytes = rest.get(..u32::from_le_bytes(*len) as usize)?;
        let entry = Entry {
            tag,
            flags: first & (BACK | FLAG),
            slot: u32::from_le_bytes(*slot),
            a: u64::from_le_bytes(*a),
            b: u64::from_le_bytes(*b),
            bytes,
        };
        let is_sound = tag.has_bytes() || bytes.is_empty();
        is_sound.then_some((entry, OVERHEAD + bytes.len()))
    }
}

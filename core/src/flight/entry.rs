//! What the recorder writes: tagged entries of a few bytes, decoded without trust.

use crate::names::names;

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
    /// A read gave `a` bytes, 0 at the end of the stream; space was lent for it before.
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
    /// A decision that the session shares with others came out as `b`; `a` is
    /// [`Verdict::number`]. One that comes out as usual is left out.
    Decided,
    /// What `bytes` at offset `a` of a side's stream were: a head.
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
    }
}

/// The entry concerns the server's side.
pub(crate) const BACK: u8 = 0x20;
/// See the tags that name it.
pub(crate) const FLAG: u8 = 0x40;
const TAG_BITS: u8 = 0x1f;

/// Bytes of an entry beside its payload, at most.
pub(super) const OVERHEAD: usize = 1 + 5 + 10 + 10 + 5;

impl Tag {
    fn of(number: u8) -> Option<Tag> {
        Tag::ALL.get(usize::from(number)).copied()
    }

    /// Whether it concerns one session, whose slot is named.
    #[inline]
    pub(crate) fn has_slot(self) -> bool {
        !matches!(self, Tag::Turn | Tag::Stopped | Tag::Installed)
    }

    #[inline]
    fn has_a(self) -> bool {
        !matches!(
            self,
            Tag::Stopped
                | Tag::Accepted
                | Tag::Lent
                | Tag::NoRoom
                | Tag::Blocked
                | Tag::Resumed
                | Tag::Granted
                | Tag::Woken
        )
    }

    #[inline]
    fn has_b(self) -> bool {
        self == Tag::Decided
    }

    /// Whether it carries a payload.
    #[inline]
    pub(crate) fn has_bytes(self) -> bool {
        matches!(self, Tag::Accepted) || self.is_content()
    }

    /// Whether it tells what bytes of a stream were.
    #[inline]
    pub(crate) fn is_content(self) -> bool {
        matches!(self, Tag::Head | Tag::Framing | Tag::Prelude)
    }
}

/// The decisions that sessions share.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Verdict {
    /// Whether the pool had the session's buffers: 0 or 1.
    Buffers,
    /// Whether the client's address may have one more session: 0 or 1.
    Address,
    /// The server: 0 none, 1 all are full, 2 + its index in the cluster.
    Server,
    /// The idle connection: 0 none, 1 one that takes bytes, 2 one that is full.
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
    }
}

/// Bits of a decision's number that name its [`Verdict`].
const VERDICT_BITS: u32 = 4;
const _: () = assert!(Verdict::ALL.len() <= 1 << VERDICT_BITS, "each has a number");

impl Verdict {
    /// What it nearly always comes out as: then nothing is written.
    #[inline]
    pub(super) fn usual(self) -> u64 {
        match self {
            Verdict::Server => 2,
            Verdict::LineFull | Verdict::Sticky => 0,
            Verdict::Buffers
            | Verdict::Address
            | Verdict::Idle
            | Verdict::StillFree
            | Verdict::Window
            | Verdict::Kept => 1,
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

    /// Whether it concerns the server's side.
    pub(crate) fn is_back(&self) -> bool {
        self.flags & BACK != 0
    }

    /// Writes the entry to the front of `into`, which has room for it and [`OVERHEAD`]. Returns
    /// its length.
    #[inline]
    pub(super) fn write(&self, into: &mut [u8]) -> usize {
        if self.slot < 1 << 14 && self.a < 1 << 28 && self.b < 1 << 7 && !self.tag.has_bytes() {
            return self.write_word(into);
        }
        self.write_long(into)
    }

    /// The entry in one word: what nearly all of them fit into.
    #[inline]
    fn write_word(&self, into: &mut [u8]) -> usize {
        let (mut word, mut len) = (u64::from(self.tag as u8 | self.flags), 1);
        let mut push = |wanted: bool, value: u64| {
            if wanted {
                let (bits, bytes) = packed(value);
                word |= bits << (8 * len);
                len += bytes;
            }
        };
        push(self.tag.has_slot(), u64::from(self.slot));
        push(self.tag.has_a(), self.a);
        push(self.tag.has_b(), self.b);
        into[..8].copy_from_slice(&word.to_le_bytes());
        len as usize
    }

    fn write_long(&self, into: &mut [u8]) -> usize {
        into[0] = self.tag as u8 | self.flags;
        let mut at = 1;
        if self.tag.has_slot() {
            at += put_number(&mut into[at..], u64::from(self.slot));
        }
        if self.tag.has_a() || self.tag.is_content() {
            at += put_number(&mut into[at..], self.a);
        }
        if self.tag.has_b() {
            at += put_number(&mut into[at..], self.b);
        }
        if self.tag.has_bytes() {
            at += put_number(&mut into[at..], self.bytes.len() as u64);
            into[at..at + self.bytes.len()].copy_from_slice(self.bytes);
            at += self.bytes.len();
        }
        at
    }

    /// Reads the entry at the front of `from`, and where its payload lies in there. `None`: there
    /// is none, or it is damaged.
    pub(crate) fn read(from: &'a [u8]) -> Option<(Entry<'a>, usize)> {
        let (&first, _) = from.split_first()?;
        let tag = Tag::of(first & TAG_BITS)?;
        let mut at = 1;
        let mut number = |wanted: bool| {
            if !wanted {
                return Some(0);
            }
            let (value, len) = get_number(from.get(at..)?)?;
            at += len;
            Some(value)
        };
        let slot = u32::try_from(number(tag.has_slot())?).ok()?;
        let a = number(tag.has_a() || tag.is_content())?;
        let b = number(tag.has_b())?;
        let len = usize::try_from(number(tag.has_bytes())?).ok()?;
        let end = at.checked_add(len)?;
        let bytes = from.get(at..end)?;
        Some((Entry { tag, flags: first & !TAG_BITS, slot, a, b, bytes }, end))
    }
}

/// `value`, below 2^28, as [`put_number`] writes it, and how many bytes that are.
#[inline]
fn packed(value: u64) -> (u64, u32) {
    let bytes =
        1 + u32::from(value >= 1 << 7) + u32::from(value >= 1 << 14) + u32::from(value >= 1 << 21);
    let groups = value & 0x7f
        | (value & 0x7f << 7) << 1
        | (value & 0x7f << 14) << 2
        | (value & 0x7f << 21) << 3;
    let goes_on = 0x80_8080 & ((1 << (8 * (bytes - 1))) - 1);
    (groups | goes_on, bytes)
}

/// Writes `value` in groups of seven bits, the lowest first. Returns its length, 10 at most.
#[inline]
fn put_number(into: &mut [u8], mut value: u64) -> usize {
    let mut at = 0;
    while value >= 0x80 {
        into[at] = value as u8 | 0x80;
        value >>= 7;
        at += 1;
    }
    into[at] = value as u8;
    at + 1
}

/// Reads what [`put_number`] wrote, and its length.
fn get_number(from: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (at, byte) in from.iter().take(10).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if at == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

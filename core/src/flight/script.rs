//! What a replay has from its recording: the outcomes of decisions, the milestones with their
//! hashes, and what bytes were.

use super::FILLER;
use super::entry::{Tag, Verdict};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The entries of a chain that are not content, and how far they were used up.
pub(super) struct Script {
    entries: Vec<(Tag, u64, u64)>,
    pub(super) next: usize,
    /// Decisions that came out as usual since the last entry that was used up.
    usual: u64,
    pub(super) wrong: Option<String>,
    /// What is known of the bytes of the client's side, and of the server's.
    pub(super) content: [Content; 2],
}

impl Script {
    /// The script of a session whose first entry, its start, is used up.
    pub(super) fn new(entries: Vec<(Tag, u64, u64)>, content: [Content; 2]) -> Script {
        Script { entries, next: 1, usual: 0, wrong: None, content }
    }

    /// Fills the first `n` bytes of `space` with what comes next on a side of the session.
    pub(super) fn fill(&mut self, back: bool, space: &mut [&mut [u8]], n: usize) {
        self.content[usize::from(back)].fill(space, n);
    }

    /// The recorded outcome of a decision that is asked for now.
    #[cold]
    pub(super) fn forced(&mut self, what: Verdict) -> Option<u64> {
        let Some(&(tag, a, value)) = self.entries.get(self.next) else {
            let what = what.name();
            self.differs(format!("the replay decides on \"{what}\"; the recording is over"));
            // Anything will do: what follows counts no more.
            return Some(0);
        };
        match Verdict::of(a).filter(|_| tag == Tag::Decided) {
            Some((kind, omitted)) if omitted == self.usual => {
                if kind != what {
                    let (what, recorded) = (what.name(), name_of(tag, a));
                    let text = format!("the replay decides on \"{what}\"; recorded is {recorded}");
                    self.differs(text);
                }
                self.used_up();
                Some(value)
            }
            _ => {
                self.usual += 1;
                Some(what.usual())
            }
        }
    }

    /// The next entry was used up.
    pub(super) fn used_up(&mut self) {
        self.next += 1;
        self.usual = 0;
    }

    /// A milestone was reached with this hash.
    #[cold]
    pub(super) fn reached(&mut self, tag: Tag, hash: u64) {
        match self.entries.get(self.next) {
            Some(&(kind, recorded, _)) if kind == tag => {
                if recorded != hash {
                    let tag = tag.name();
                    self.differs(format!("\"{tag}\": hash {hash:016x}, recorded {recorded:016x}"));
                }
                self.used_up();
            }
            Some(&(kind, a, _)) => {
                let recorded = name_of(kind, a);
                let tag = tag.name();
                self.differs(format!("the replay has \"{tag}\"; recorded is {recorded}"));
            }
            None => {
                let tag = tag.name();
                self.differs(format!("the replay has \"{tag}\"; the recording is over"));
            }
        }
    }

    fn differs(&mut self, what: String) {
        self.wrong.get_or_insert(what);
    }
}

pub(super) fn name_of(tag: Tag, a: u64) -> String {
    match (tag, Verdict::of(a)) {
        (Tag::Decided, Some((what, _))) => format!("the decision on \"{}\"", what.name()),
        _ => format!("\"{} {a}\"", tag.name()),
    }
}

/// What the bytes of one side of a session were, as far as that is known.
#[derive(Default)]
pub(super) struct Content {
    known: BTreeMap<u64, Arc<[u8]>>,
    at: u64,
}

impl Content {
    /// From byte `at` on they were these.
    pub(super) fn know(&mut self, at: u64, bytes: &Arc<[u8]>) {
        self.known.insert(at, Arc::clone(bytes));
    }

    /// Fills the first `n` bytes of `space` with the next ones.
    pub(super) fn fill(&mut self, space: &mut [&mut [u8]], n: usize) {
        let mut left = n;
        for slice in space {
            let take = left.min(slice.len());
            self.next(&mut slice[..take]);
            left -= take;
        }
    }

    /// Fills `into` with the next bytes.
    fn next(&mut self, into: &mut [u8]) {
        into.fill(FILLER);
        let (from, to) = (self.at, self.at + into.len() as u64);
        let before = self.known.range(..from).next_back();
        for (&start, bytes) in before.into_iter().chain(self.known.range(from..to)) {
            let (first, last) = (start.max(from), (start + bytes.len() as u64).min(to));
            if first < last {
                let piece = &bytes[(first - start) as usize..(last - start) as usize];
                into[(first - from) as usize..(last - from) as usize].copy_from_slice(piece);
            }
        }
        self.at = to;
    }
}

//! From a recording to the chains of its sessions, and back to a file with some of them.

use super::entry::{BACK, Entry, FLAG, Tag, Verdict};
use super::image::{Block, MAGIC, Writer};
use super::start::Start;
use super::wire::{Stored, Wire};
use super::{FORMAT, OVERHEAD};
use crate::config::Settings;
use crate::names::names;
use crate::proxy_protocol::crc32c::crc32c;
use crate::time::Time;
use crate::tls::Told;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a file is no recording that can be read.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Damage {
    /// It does not begin as a recording does.
    NotARecording,
    /// It is of this other format.
    Format(u16),
    /// It ends within the block that begins at this byte.
    CutShort(usize),
    /// The checksum of the block that begins at this byte is not its own, or its kind is unknown.
    Corrupt(usize),
    /// A block of this kind is missing: settings, or the end.
    Missing(&'static str),
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Damage::NotARecording => write!(f, "it is no flight recording"),
            Damage::Format(format) => {
                write!(f, "it is of format {format}; this program reads format {FORMAT}")
            }
            Damage::CutShort(at) => write!(f, "it is cut short in the block at byte {at}"),
            Damage::Corrupt(at) => write!(f, "the block at byte {at} is damaged"),
            Damage::Missing(what) => write!(f, "it is cut short: {what} is missing"),
        }
    }
}

/// Why a session cannot be played back.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Flaw {
    /// Its start was overwritten.
    StartOverwritten,
    /// A head of it was larger than the recorder keeps.
    TooLarge,
    /// Its configuration was not kept.
    ConfigForgotten,
    /// TLS could not even be begun with the settings that it had, and those are not kept.
    Tls,
    /// Its entries make no sense.
    Malformed,
    /// More reloads fell into its time than are copied into sessions.
    Crowded,
}

names! {
    /// In words.
    Flaw {
        StartOverwritten => "its start was overwritten",
        TooLarge => "a head was larger than the recorder keeps",
        ConfigForgotten => "its configuration was not kept",
        Tls => "no TLS could be made of its settings",
        Malformed => "its entries are malformed",
        Crowded => "more reloads fell into its time than are played back",
    }
}

/// One session's entries, in order, and those of the worker between them.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The session's slot.
    pub slot: u32,
    /// What it began with; absent if that was overwritten.
    pub start: Option<Start>,
    /// Its entries with their times.
    pub(super) entries: Vec<(Time, Raw)>,
    /// Whether its end is in the recording, rather than the recording's.
    pub is_ended: bool,
    /// Why it cannot be played back, if it cannot.
    pub flaw: Option<Flaw>,
    /// Requests whose records are in it.
    pub requests: usize,
}

/// An entry that owns its payload.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    pub(super) tag: Tag,
    pub(super) flags: u8,
    pub(super) a: u64,
    pub(super) b: u64,
    pub(super) bytes: Arc<[u8]>,
}

impl Raw {
    fn of(entry: &Entry<'_>) -> Raw {
        let Entry { tag, flags, a, b, bytes, .. } = *entry;
        Raw { tag, flags, a, b, bytes: bytes.into() }
    }

    pub(super) fn entry(&self, slot: u32) -> Entry<'_> {
        let Raw { tag, flags, a, b, bytes } = self;
        Entry { tag: *tag, flags: *flags, slot, a: *a, b: *b, bytes }
    }
}

/// What sessions are played back under.
#[derive(Clone, Debug)]
pub struct Case {
    /// Lines for people.
    pub about: String,
    /// The worker's settings.
    pub settings: Settings,
    /// Configurations by serial number.
    pub configs: BTreeMap<u64, Stored>,
    /// Sessions, in the order in which they are met.
    pub chains: Vec<Chain>,
}

/// The outcome of reading a file.
pub type Reading = Result<Case, Damage>;

impl Case {
    /// Reads a recording, or a case made of one. Nothing in it is trusted.
    ///
    /// # Errors
    /// How the file is damaged.
    pub fn read(file: &[u8]) -> Reading {
        let body = file.strip_prefix(MAGIC).ok_or(Damage::NotARecording)?;
        let (format, _) = body.split_first_chunk().ok_or(Damage::CutShort(MAGIC.len()))?;
        let format = u16::from_le_bytes(*format);
        if format != FORMAT {
            return Err(Damage::Format(format));
        }
        let mut found = Found::default();
        let mut at = MAGIC.len() + 2;
        while !found.is_complete {
            let (kind, content, end) = block(file, at)?;
            found.take(kind, content).ok_or(Damage::Corrupt(at))?;
            at = end;
        }
        found.finish()
    }

    /// A file with the chains of which `wanted` is true, to be read by [`Case::read`].
    pub fn write(&self, wanted: impl Fn(&Chain) -> bool) -> Vec<u8> {
        let mut file = Writer::new();
        file.block(Block::About, &[self.about.as_bytes()]);
        let mut bytes = Vec::new();
        self.settings.put(&mut bytes);
        file.block(Block::Settings, &[&bytes]);
        for (serial, stored) in &self.configs {
            let mut bytes = Vec::new();
            stored.put(&mut bytes);
            file.block(Block::Config, &[&serial.to_le_bytes(), &bytes]);
        }
        for chain in self.chains.iter().filter(|chain| wanted(chain)) {
            let first = chain.entries.first().map_or(Time::ZERO, |(time, _)| *time);
            file.block(Block::Segment, &[&first.0.to_le_bytes(), &chain.encode(first)]);
        }
        file.finish()
    }
}

impl Chain {
    /// Its entries that are not content, for people: the numbers are those of a
    /// [`Difference`](super::Difference).
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let entries = self.entries.iter().filter(|(_, raw)| !raw.tag.is_content());
        entries.enumerate().map(|(n, (time, raw))| {
            let side = if raw.flags & BACK != 0 { "server" } else { "client" };
            let flag = if raw.flags & FLAG != 0 { " (flag)" } else { "" };
            let what = match (raw.tag, Verdict::of(raw.a)) {
                (Tag::Decided, Some((what @ (Verdict::Opened | Verdict::Plain), _))) => {
                    format!("{}: {}", what.name(), Told::words(raw.b))
                }
                (Tag::Decided, Some((what, _))) => format!("{}: {}", what.name(), raw.b),
                (Tag::Accepted, _) => format!("{:?}", Start::read(&raw.bytes)),
                (tag, _) => format!("{} {} {side}{flag}", tag.name(), raw.a),
            };
            format!("{n:6} {:>16} ns  {what}", time.0)
        })
    }

    fn encode(&self, mut now: Time) -> Vec<u8> {
        let mut out = Vec::new();
        let mut push = |entry: Entry<'_>| {
            let start = out.len();
            out.resize(start + OVERHEAD + entry.bytes.len(), 0);
            let len = entry.write(&mut out[start..]);
            out.truncate(start + len);
        };
        let mut heads: [&[u8]; 2] = [&[]; 2];
        for (time, raw) in &self.entries {
            if *time != now {
                push(Entry::new(Tag::Turn, 0).with(time.0.saturating_sub(now.0)));
                now = *time;
            }
            let mut entry = raw.entry(self.slot);
            let last = &mut heads[usize::from(entry.is_back())];
            if entry.tag == Tag::Head && std::mem::replace(last, &raw.bytes) == entry.bytes {
                entry = Entry { tag: Tag::Again, bytes: &[], ..entry };
            }
            push(entry);
        }
        out
    }
}

/// The block at `at`: its kind, its content, and where the next one begins.
fn block(file: &[u8], at: usize) -> Result<(Block, &[u8], usize), Damage> {
    let rest = file.get(at..).filter(|rest| !rest.is_empty()).ok_or(Damage::Missing("the end"))?;
    let short = Damage::CutShort(at);
    let (&kind, rest) = rest.split_first().ok_or(short)?;
    let (len, rest) = rest.split_first_chunk().ok_or(short)?;
    let (sum, rest) = rest.split_first_chunk().ok_or(short)?;
    let content = rest.get(..u32::from_le_bytes(*len) as usize).ok_or(short)?;
    if crc32c([content]) != u32::from_le_bytes(*sum) {
        return Err(Damage::Corrupt(at));
    }
    let kind = Block::of(kind).ok_or(Damage::Corrupt(at))?;
    Ok((kind, content, at + 1 + 4 + 4 + content.len()))
}

/// Entries of the worker that are copied into chains, in all: what sessions see of reloads. A
/// recording of 16 MiB can hold a million reloads over a million open sessions, if it is forged.
const HEARD_MAX: usize = 1 << 22;

/// What was read so far.
#[derive(Default)]
struct Found {
    about: String,
    settings: Option<Settings>,
    configs: BTreeMap<u64, Stored>,
    chains: Vec<Chain>,
    /// The chain of each slot that has one open.
    open: BTreeMap<u32, Open>,
    /// The worker's own entries.
    told: Vec<(Time, Raw)>,
    /// How many copies of those are in chains, [`HEARD_MAX`] at most.
    heard: usize,
    is_complete: bool,
}

/// A session whose end was not read yet.
#[derive(Clone, Copy)]
struct Open {
    /// Its chain.
    chain: usize,
    /// How many of the worker's entries came before it, or are in it.
    heard: usize,
}

impl Found {
    fn take(&mut self, kind: Block, mut content: &[u8]) -> Option<()> {
        match kind {
            Block::About => self.about = String::from_utf8_lossy(content).into_owned(),
            Block::Settings => self.settings = Some(Settings::get(&mut content)?),
            Block::Config => {
                let serial = u64::get(&mut content)?;
                self.configs.insert(serial, Stored::get(&mut content)?);
            }
            Block::Segment => {
                let from = Time(u64::get(&mut content)?);
                self.take_entries(from, content)?;
            }
            Block::End => self.is_complete = true,
        }
        Some(())
    }

    fn take_entries(&mut self, mut now: Time, mut bytes: &[u8]) -> Option<()> {
        while !bytes.is_empty() {
            let (entry, len) = Entry::read(bytes)?;
            bytes = &bytes[len..];
            match entry.tag {
                Tag::Turn => now = Time(now.0.checked_add(entry.a)?),
                tag if !tag.has_slot() => self.told.push((now, Raw::of(&entry))),
                _ => self.take_entry(now, &entry),
            }
        }
        Some(())
    }

    /// Brings what the worker told since into the open chain of `slot`, which is about to go on.
    fn hear(&mut self, slot: u32) {
        let Some(open) = self.open.get_mut(&slot) else { return };
        let (chain, news) = (&mut self.chains[open.chain], &self.told[open.heard..]);
        open.heard = self.told.len();
        if news.len() > HEARD_MAX - self.heard {
            chain.flaw = chain.flaw.or(Some(Flaw::Crowded));
            return;
        }
        self.heard += news.len();
        chain.entries.extend_from_slice(news);
    }

    fn take_entry(&mut self, now: Time, entry: &Entry<'_>) {
        self.hear(entry.slot);
        if entry.tag == Tag::Accepted {
            self.open.remove(&entry.slot);
        }
        let (chains, heard) = (&mut self.chains, self.told.len());
        let open = *self.open.entry(entry.slot).or_insert_with(|| {
            chains.push(Chain::begin(entry));
            Open { chain: chains.len() - 1, heard }
        });
        let chain = &mut chains[open.chain];
        if entry.tag == Tag::Again {
            return chain.repeat_head(now, entry);
        }
        if entry.tag == Tag::Read && !chain.has_lent(entry.is_back()) {
            let lent = Entry::new(Tag::Lent, entry.slot).flagged(BACK, entry.is_back());
            chain.entries.push((now, Raw::of(&lent)));
        }
        chain.entries.push((now, Raw::of(entry)));
        match entry.tag {
            Tag::Logged => chain.requests += 1,
            Tag::Torn => {
                let reason = Flaw::ALL.get(entry.a as usize).copied();
                chain.flaw = chain.flaw.or(reason.or(Some(Flaw::Malformed)));
            }
            Tag::Decided if Verdict::of(entry.a).is_none() => {
                chain.flaw = chain.flaw.or(Some(Flaw::Malformed));
            }
            Tag::Closed | Tag::Alive => {
                chain.is_ended = entry.tag == Tag::Closed;
                self.open.remove(&entry.slot);
            }
            _ => {}
        }
    }

    fn finish(mut self) -> Reading {
        for slot in self.open.keys().copied().collect::<Vec<_>>() {
            self.hear(slot);
        }
        let settings = self.settings.ok_or(Damage::Missing("the settings"))?;
        for chain in &mut self.chains {
            chain.judge(&self.configs);
        }
        let Found { about, configs, chains, .. } = self;
        Ok(Case { about, settings, configs, chains })
    }
}

impl Chain {
    fn begin(first: &Entry<'_>) -> Chain {
        let mut chain = Chain {
            slot: first.slot,
            start: None,
            entries: Vec::new(),
            is_ended: false,
            flaw: None,
            requests: 0,
        };
        if first.tag == Tag::Accepted {
            chain.start = Start::read(first.bytes);
            chain.flaw = chain.start.is_none().then_some(Flaw::Malformed);
        } else {
            chain.flaw = Some(Flaw::StartOverwritten);
        }
        chain
    }

    /// Whether its last step lent space for that side: nothing but decisions, and what the worker
    /// tells, can come between that and the read.
    fn has_lent(&self, back: bool) -> bool {
        let passed = |tag: Tag| {
            tag.is_content()
                || matches!(tag, Tag::Decided | Tag::Scarce | Tag::Installed | Tag::Stopped)
        };
        let last = self.entries.iter().rev().map(|(_, raw)| raw).find(|raw| !passed(raw.tag));
        last.is_some_and(|raw| raw.tag == Tag::Lent && (raw.flags & BACK != 0) == back)
    }

    /// The last head of the entry's side comes again.
    fn repeat_head(&mut self, now: Time, entry: &Entry<'_>) {
        if self.flaw.is_some() {
            // Nobody plays it back; and a file full of such entries is not searched for each.
            return;
        }
        let is_it = |raw: &Raw| raw.tag == Tag::Head && raw.flags == entry.flags;
        let last = self.entries.iter().rev().map(|(_, raw)| raw).find(|raw| is_it(raw));
        match last.map(|raw| Raw { a: entry.a, ..raw.clone() }) {
            Some(raw) => self.entries.push((now, raw)),
            None => self.flaw = self.flaw.or(Some(Flaw::Malformed)),
        }
    }

    /// Finds out whether it can be played back.
    fn judge(&mut self, configs: &BTreeMap<u64, Stored>) {
        let Some(start) = &self.start else { return };
        let mut needed = vec![start.opened, start.current];
        let installed = self.entries.iter().filter(|(_, raw)| raw.tag == Tag::Installed);
        needed.extend(installed.map(|(_, raw)| raw.a));
        if self.flaw.is_none() && !needed.iter().all(|serial| configs.contains_key(serial)) {
            self.flaw = Some(Flaw::ConfigForgotten);
        }
        let ends = self.entries.last().map(|(_, raw)| raw.tag);
        if self.flaw.is_none() && !matches!(ends, Some(Tag::Closed | Tag::Alive)) {
            self.flaw = Some(Flaw::Malformed);
        }
    }
}

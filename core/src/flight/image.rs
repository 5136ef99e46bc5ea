//! A recording as it is written out: a file of checked blocks.
//!
//! ```text
//! "TGFLIGHT" · format (2 bytes) · blocks
//! block: kind (1) · length (4) · CRC32C of the content (4) · content      numbers: little end
//! first
//! ```

use super::entry::{Entry, Tag};
use super::ring::Ring;
use super::wire::Wire;
use super::{FORMAT, mask};
use crate::config::Settings;
use crate::proxy_protocol::crc32c::crc32c;

/// The first bytes of every recording and every case.
pub(super) const MAGIC: &[u8; 8] = b"TGFLIGHT";

/// Kinds of blocks. Numbers are part of the format.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Block {
    /// Lines of text for people: version, worker, cause.
    About = 1,
    /// The worker's settings.
    Settings = 2,
    /// Serial number of a configuration, and its bytes.
    Config = 3,
    /// The time at which a stretch of the ring begins, and its entries.
    Segment = 4,
    /// Nothing follows; a recording without it was cut short.
    End = 5,
}

impl Block {
    pub(super) fn of(number: u8) -> Option<Block> {
        [Block::About, Block::Settings, Block::Config, Block::Segment, Block::End]
            .into_iter()
            .find(|&kind| kind as u8 == number)
    }
}

/// A copy of a worker's ring, and what lives.
pub struct Recording {
    pub(super) ring: Ring,
    pub(super) alive: Vec<(u32, u64)>,
    pub(super) settings: Settings,
}

impl Recording {
    /// The file: `about` for people, `configs` as [`Stored::bytes_of`](super::wire::Stored) made
    /// them, each with its serial number; the ring, its values masked. Reads every byte of the
    /// ring: some ten milliseconds for 16 MiB, so not on a thread that serves.
    pub fn write(&self, about: &str, configs: &[(u64, &[u8])]) -> Vec<u8> {
        let mut file = Writer::new();
        file.block(Block::About, &[about.as_bytes()]);
        let mut settings = Vec::new();
        self.settings.put(&mut settings);
        file.block(Block::Settings, &[&settings]);
        for (serial, bytes) in configs {
            file.block(Block::Config, &[&serial.to_le_bytes(), bytes]);
        }
        let mut last = 0;
        for (time, entries) in self.ring.segments() {
            let mut entries = entries.to_vec();
            mask::mask_entries(&mut entries);
            file.block(Block::Segment, &[&time.0.to_le_bytes(), &entries]);
            last = time.0;
        }
        let mut alive = vec![0; self.alive.len() * super::entry::OVERHEAD];
        let mut len = 0;
        for &(slot, hash) in &self.alive {
            len += Entry::new(Tag::Alive, slot).with(hash).write(&mut alive[len..]);
        }
        file.block(Block::Segment, &[&last.to_le_bytes(), &alive[..len]]);
        file.finish()
    }
}

/// Puts blocks together.
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Writer {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        Writer { bytes }
    }

    pub(super) fn block<const N: usize>(&mut self, kind: Block, parts: &[&[u8]; N]) {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        self.bytes.push(kind as u8);
        self.bytes.extend_from_slice(&(len as u32).to_le_bytes());
        self.bytes.extend_from_slice(&crc32c(*parts).to_le_bytes());
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.block(Block::End, &[]);
        self.bytes
    }
}

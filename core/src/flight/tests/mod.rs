//! The ring, the masking, and files that are damaged.

mod driven;
mod masking;

use super::entry::OVERHEAD;
use super::image::{Block, MAGIC, Writer};
use super::ring::Ring;
use super::wire::{Stored, Wire};
use super::*;
use crate::config::{Cluster, Config, Listener, Route, Server, Settings};
use crate::input::Address;

fn entries(bytes: &[u8]) -> Vec<Entry<'_>> {
    let (mut all, mut at) = (Vec::new(), 0);
    while let Some((entry, len)) = Entry::read(&bytes[at..]) {
        all.push(entry);
        at += len;
    }
    assert_eq!(at, bytes.len(), "nothing is left over");
    all
}

// Whatever was overwritten, what is left is whole entries, the newest without a gap, with their
// times.
#[test]
fn a_ring_gives_way_from_its_oldest_entries_on() {
    let mut ring = Ring::new(4096);
    let last = 5000_u64;
    for n in 1..=last {
        let bytes = vec![7; (n % 300) as usize];
        let entry = Entry { bytes: &bytes, ..Entry::new(Tag::Head, 3).with(n) };
        assert!(ring.push(Time(n * 10), &entry));
    }
    let mut seen = Vec::new();
    for (start, bytes) in ring.segments() {
        let mut now = start.0;
        for entry in entries(bytes) {
            match entry.tag {
                Tag::Turn => now += entry.a,
                _ => {
                    assert_eq!((entry.tag, entry.slot, now), (Tag::Head, 3, entry.a * 10));
                    assert_eq!(entry.bytes.len() as u64, entry.a % 300);
                    seen.push(entry.a);
                }
            }
        }
    }
    assert_eq!(seen.last(), Some(&last));
    assert!(seen.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seen:?}");
}

// What was put somewhere is known as long as its segment is there, and no longer, though the bytes
// may lie there still.
#[test]
fn a_place_is_known_until_its_segment_is_begun_anew() {
    let (mut ring, payload) = (Ring::new(4096), [7; 40]);
    let head = Entry { bytes: &payload, ..Entry::new(Tag::Head, 1) };
    assert!(ring.push(Time::ZERO, &head));
    let place = ring.last_place(payload.len());
    let mut seen = [0; 2];
    for _ in 0..10_000 / 4 {
        let is_there = ring.segments().any(|(_, bytes)| entries(bytes).contains(&head));
        assert_eq!(ring.holds(place, &payload), is_there);
        assert!(!ring.holds(place, &payload[1..]) && !ring.holds(place, &[8; 40]));
        seen[usize::from(is_there)] += 1;
        assert!(ring.push(Time::ZERO, &Entry::new(Tag::Resumed, 1)));
    }
    assert!(seen.iter().all(|&count| count > 500), "{seen:?}");
}

// An entry that is larger than a segment is refused, and the next one is kept.
#[test]
fn an_entry_too_large_is_left_out() {
    let mut ring = Ring::new(4096);
    let large = vec![0; 4096];
    assert!(!ring.push(Time(1), &Entry { bytes: &large, ..Entry::new(Tag::Head, 1) }));
    assert!(ring.push(Time(2), &Entry::new(Tag::Resumed, 1)));
    let tags: Vec<Tag> =
        ring.segments().flat_map(|(_, bytes)| entries(bytes)).map(|entry| entry.tag).collect();
    assert_eq!(tags, [Tag::Turn, Tag::Turn, Tag::Resumed]);
}

// Every number comes back, the largest ones too, within the overhead that is reckoned with.
#[test]
fn entries_come_back() {
    for a in [0, 127, 128, u64::from(u32::MAX), u64::MAX] {
        let entry =
            Entry { b: a, ..Entry::new(Tag::Decided, u32::MAX).with(a) }.flagged(BACK, true);
        let mut space = [0; OVERHEAD];
        let len = entry.write(&mut space);
        assert_eq!(Entry::read(&space[..len]), Some((entry, len)));
        for short in 0..len {
            assert_eq!(Entry::read(&space[..short]), None, "{short} of {len} bytes");
        }
    }
}

fn config() -> Config {
    let at = |port: u16| Address::Ip(([127, 0, 0, 1], port).into());
    let mut route = Route::to_cluster("app");
    route.set_request_headers = vec![("X-Key".into(), "hidden".into())];
    Config {
        listeners: vec![Listener::new("web", vec![at(80)])],
        clusters: vec![Cluster::new("app", vec![Server::new(at(81))])],
        routes: vec![route],
        sticky_secret: Some(b"hidden".to_vec()),
        ..Config::default()
    }
}

// A configuration comes back, save what is the operator's secret: that is filler as long.
#[test]
fn configurations_come_back_without_secrets() {
    let bytes = Stored::bytes_of(&config());
    assert!(!bytes.windows(6).any(|window| window == b"hidden"));
    let mut expected = config();
    expected.routes[0].set_request_headers[0].1 = "xxxxxx".into();
    expected.sticky_secret = Some(b"xxxxxx".to_vec());
    assert_eq!(Stored::get(&mut &bytes[..]).map(|stored| stored.config), Some(expected));
}

fn file() -> Vec<u8> {
    let mut flight = Flight::recorder(4096);
    for n in 0..50 {
        flight.step(Time(n), Time::NEVER, 1, Step::new(Tag::Read, n));
    }
    let Mode::Record(ring) = flight.mode else { unreachable!("it records") };
    let recording = Recording { ring, alive: vec![(1, 7)], settings: Settings::default() };
    recording.write("about", &[(1, &Stored::bytes_of(&config()))])
}

// Cut anywhere, or with any bit turned, a file gives an error and no panic.
#[test]
fn damaged_files_are_refused() {
    let good = file();
    let case = Case::read(&good).expect("it is whole");
    assert_eq!(case.chains[0].flaw, Some(Flaw::StartOverwritten));
    for len in 0..good.len() {
        assert!(Case::read(&good[..len]).is_err(), "cut to {len} bytes");
    }
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        assert!(Case::read(&bad).is_err(), "byte {at} is wrong");
    }
}

// What is whole and yet makes no sense, as no recorder writes it, is refused or is a flaw.
#[test]
fn nonsense_is_refused() {
    let mut settings = Vec::new();
    Settings::default().put(&mut settings);
    for noise in 0..=u8::MAX {
        let mut writer = Writer::new();
        writer.block(Block::Settings, &[&settings]);
        writer.block(Block::Segment, &[&[0; 8], &[noise; 23]]);
        if let Ok(case) = Case::read(&writer.finish()) {
            assert!(case.chains.iter().all(|chain| chain.flaw.is_some()), "noise {noise}");
        }
    }
    assert_eq!(Case::read(b"hello").err(), Some(Damage::NotARecording));
    let other = [&MAGIC[..], &[9, 0]].concat();
    assert_eq!(Case::read(&other).err(), Some(Damage::Format(9)));
}

// What the worker tells is in every session that was open then, and only so often in all: a file of
// some kilobytes can name a thousand sessions and ten thousand reloads.
#[test]
fn reloads_are_copied_into_sessions_within_a_bound() {
    let mut settings = Vec::new();
    Settings::default().put(&mut settings);
    let read = |sessions: u32, reloads: u64| {
        let mut bytes = vec![0; 8];
        let mut push = |entry: Entry<'_>| {
            let mut space = [0; OVERHEAD];
            let len = entry.write(&mut space);
            bytes.extend_from_slice(&space[..len]);
        };
        (0..sessions).for_each(|slot| push(Entry::new(Tag::Resumed, slot)));
        (0..reloads).for_each(|n| push(Entry::new(Tag::Installed, 0).with(n)));
        (0..sessions).for_each(|slot| push(Entry::new(Tag::Alive, slot)));
        let mut writer = Writer::new();
        writer.block(Block::Settings, &[&settings]);
        writer.block(Block::Segment, &[&bytes]);
        let case = Case::read(&writer.finish()).expect("it is whole");
        let lines = |chain: &case::Chain| chain.lines().count();
        case.chains.iter().map(lines).collect::<Vec<_>>()
    };
    assert_eq!(read(3, 40), [42; 3]);
    let copied: usize = read(1000, 10_000).iter().map(|lines| lines - 2).sum();
    assert_eq!(copied, 4_190_000, "those of 419 sessions");
}

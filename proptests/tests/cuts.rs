//! The way bytes are cut into reads and writes changes nothing: not what the server gets, not what
//! the client gets, not what the access records tell (REQ-1, REQ-7, REQ-8, RES-3, RES-4, RES-5).

#[path = "cuts/script.rs"]
mod script;
mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use script::{Exchange, exchange, payload};
use std::collections::BTreeMap;
use std::time::Duration;
use support::{rig_of, run_of, simple_config};
use tidegate_core::config::Settings;
use tidegate_core::event::{AccessRecord, Ending, Phase};
use tidegate_core::id::SocketId;
use tidegate_core::input::Readiness;
use tidegate_proptests::memory::{Rig, Wire};
use tidegate_proptests::naive::{self, Message};

/// How bytes come and go. Lists are gone through over and over.
#[derive(Clone, Debug)]
struct Schedule {
    /// Bytes of the client's and the servers' pieces.
    client: Vec<usize>,
    server: Vec<usize>,
    /// Bytes that a peer makes room for when it is full.
    rooms: Vec<usize>,
    /// What the kernel splits reads and writes into.
    read_max: usize,
    write_max: usize,
    /// Readiness that the kernel tells of every socket after each round, due or not.
    spurious: Vec<(bool, bool)>,
    /// Whether servers act before clients, and the newest before the oldest.
    backwards: bool,
    /// Between two rounds.
    pause_us: u64,
    buffer_bytes: usize,
    buffers_max: usize,
}

impl Schedule {
    /// Everything at once.
    fn plain() -> Schedule {
        Schedule {
            client: vec![usize::MAX],
            server: vec![usize::MAX],
            rooms: vec![usize::MAX],
            read_max: usize::MAX,
            write_max: usize::MAX,
            spurious: vec![(false, false)],
            backwards: false,
            pause_us: 0,
            buffer_bytes: 16 * 1024,
            buffers_max: 1000,
        }
    }
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let pieces = || vec(prop_oneof![1..5_usize, 1..80_usize, 1..5000_usize], 1..9);
    let most = || prop_oneof![Just(usize::MAX), 1..30_usize, 1..3000_usize];
    let rooms = prop_oneof![Just(vec![usize::MAX]), pieces()];
    let spurious = vec((any::<bool>(), any::<bool>()), 1..5);
    let buffers = (prop_oneof![Just(2048_usize), 2048..20_000_usize], 2..9_usize);
    let rest = (any::<bool>(), 0..300_u64);
    (pieces(), pieces(), rooms, most(), most(), spurious, rest, buffers).prop_map(
        |(client, server, rooms, read_max, write_max, spurious, rest, buffers)| Schedule {
            client,
            server,
            rooms,
            read_max,
            write_max,
            spurious,
            backwards: rest.0,
            pause_us: rest.1,
            buffer_bytes: buffers.0,
            buffers_max: buffers.1,
        },
    )
}

/// What an access record tells that bytes alone decide.
type Fact = (u32, String, String, String, u8, u16, Option<u64>, Option<u64>, u8, bool, Ending);

/// What became of a run.
#[derive(Debug, PartialEq)]
struct Outcome {
    client: Vec<Message>,
    is_closed: bool,
    servers: Vec<Message>,
    facts: Vec<Fact>,
}

/// A server's connection as the test plays it.
#[derive(Default)]
struct Server {
    /// Bytes of whole requests so far.
    read: usize,
    continued: bool,
    outbox: Vec<u8>,
    closes: bool,
    turn: usize,
}

struct World<'a> {
    exchanges: &'a [Exchange],
    schedule: &'a Schedule,
    rig: Rig,
    client: SocketId,
    pending: Vec<u8>,
    turn: usize,
    servers: BTreeMap<SocketId, Server>,
}

impl<'a> World<'a> {
    fn new(exchanges: &'a [Exchange], tail: &[u8], schedule: &'a Schedule) -> World<'a> {
        let (buffer_bytes, buffers_max) = (schedule.buffer_bytes, schedule.buffers_max);
        let mut config = simple_config();
        config.limits.head_bytes = 2048;
        config.limits.target_bytes = 2048;
        let settings = Settings { buffer_bytes, buffers_max, ..Settings::default() };
        let mut rig = rig_of(settings, config);
        let (read_max, write_max) = (schedule.read_max, schedule.write_max);
        let mut wire = Wire::default();
        (wire.read_max, wire.write_max, wire.room) = (read_max, write_max, schedule.rooms[0]);
        (rig.kernel.client, rig.kernel.server) = (wire.clone(), wire);
        let client = rig.connect();
        let numbered = exchanges.iter().enumerate();
        let mut pending: Vec<u8> =
            numbered.flat_map(|(number, (request, _))| request.bytes(number)).collect();
        pending.extend_from_slice(tail);
        let servers = BTreeMap::new();
        World { exchanges, schedule, rig, client, pending, turn: 0, servers }
    }

    /// Sends the next piece of the client's bytes. Returns whether there was one.
    fn client_sends(&mut self) -> bool {
        if self.pending.is_empty() || !self.rig.kernel.is_open(self.client) {
            return false;
        }
        let pieces = &self.schedule.client;
        let len = pieces[self.turn % pieces.len()].min(self.pending.len());
        self.turn += 1;
        let piece: Vec<u8> = self.pending.drain(..len).collect();
        self.rig.feed(self.client, &piece);
        true
    }

    /// Lets a server read what came, and send a piece of what it has to say.
    fn server_acts(&mut self, id: SocketId) -> bool {
        let server = self.servers.entry(id).or_default();
        let written = &self.rig.kernel.wire(id).from_proxy[server.read..];
        if let Some(request) = naive::request(written) {
            let number: usize =
                request.target()[1..].trim_end_matches("?q").parse().expect("a number");
            let (_, response) = &self.exchanges[number];
            if !request.values("expect").is_empty() && !server.continued {
                server.continued = true;
                server.outbox.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
            }
            if request.is_whole {
                let method = request.start.split(' ').next().expect("a method");
                server.outbox.extend_from_slice(&response.bytes(method, number));
                server.closes |= response.closes(method);
                server.read += request.len;
                server.continued = false;
            }
        }
        if !server.outbox.is_empty() {
            let pieces = &self.schedule.server;
            let len = pieces[server.turn % pieces.len()].min(server.outbox.len());
            server.turn += 1;
            let piece: Vec<u8> = server.outbox.drain(..len).collect();
            self.rig.feed(id, &piece);
            return true;
        }
        let ends = server.closes && !self.rig.kernel.wire(id).finished;
        if ends {
            self.rig.finish(id);
        }
        ends
    }

    /// Peers that are full read on, and the kernel tells what it likes.
    fn make_room(&mut self) -> bool {
        let (rooms, spurious) = (&self.schedule.rooms, &self.schedule.spurious);
        let room = rooms[self.turn % rooms.len()];
        let (readable, writable) = spurious[self.turn % spurious.len()];
        let mut progress = false;
        for id in self.rig.kernel.open_sockets().collect::<Vec<_>>() {
            if self.rig.kernel.is_open(id) && self.rig.kernel.wire(id).room == 0 {
                self.rig.make_room(id, room);
                progress = true;
            }
            self.rig.nudge(id, Readiness { readable, writable, ..Readiness::default() });
        }
        progress
    }

    fn run(mut self) -> Outcome {
        for round in 0.. {
            assert!(round < 200_000, "no end");
            let mut progress = false;
            if !self.schedule.backwards {
                progress |= self.client_sends();
            }
            let mut servers: Vec<_> = self.rig.kernel.connected.iter().map(|(id, _)| *id).collect();
            if self.schedule.backwards {
                servers.reverse();
            }
            for id in servers {
                progress |= self.rig.kernel.is_open(id) && self.server_acts(id);
            }
            if self.schedule.backwards {
                progress |= self.client_sends();
            }
            progress |= self.make_room();
            self.rig.now = self.rig.now.after(Duration::from_micros(self.schedule.pause_us));
            self.rig.turn();
            if !progress {
                break;
            }
        }
        self.outcome()
    }

    fn outcome(mut self) -> Outcome {
        assert_eq!(self.rig.proxy.check_invariants(), Ok(()));
        if self.rig.kernel.is_open(self.client) {
            let wire = self.rig.kernel.wire(self.client);
            assert_eq!(wire.unread(), 0, "everything is read");
        }
        let is_closed = self.rig.kernel.peek(self.client).is_some_and(|wire| {
            // A lingering connection is over for the client.
            wire.closed.is_some() || wire.shut
        });
        let to_head: Vec<bool> = self.exchanges.iter().map(|(it, _)| it.method == "HEAD").collect();
        let bytes = self.rig.written(self.client);
        let mut client = naive::responses(bytes, &to_head, is_closed);
        let sent: u64 = self.rig.records().iter().map(|record| record.sent).sum();
        assert_eq!(sent, bytes.len() as u64, "every byte sent stands in a record");
        let mut servers = Vec::new();
        for (id, _) in &self.rig.kernel.connected {
            let mut bytes = self.rig.written(*id);
            while let Some(message) = naive::request(bytes) {
                bytes = &bytes[message.len..];
                servers.push(message);
            }
            assert!(bytes.is_empty(), "half a head");
        }
        let chunked: Vec<bool> = client
            .iter()
            .filter(|message| message.status() >= 200)
            .map(|message| message.is_chunked)
            .collect();
        let records = self.rig.records().into_iter().zip(chunked);
        let facts = records.map(|(record, chunked)| fact(record, chunked)).collect();
        client.iter_mut().chain(&mut servers).for_each(|message| message.len = 0);
        self.rig.finish_if_open(self.client);
        Outcome { client, is_closed, servers, facts }
    }
}

/// Chunks are as long as the reads they came by, so their frame is no fact; and what was read of a
/// head when it was refused depends on the reads.
fn fact(record: &AccessRecord, chunked: bool) -> Fact {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        record.request,
        text(record.method.as_bytes()),
        text(record.host.as_bytes()),
        text(record.path.as_bytes()),
        record.minor,
        record.status,
        (record.ending.phase != Phase::RequestHead).then_some(record.received),
        (!chunked).then_some(record.sent),
        record.attempts,
        record.reused,
        record.ending,
    )
}

/// What the far ends must see, as the exchanges say.
fn check_against_script(
    exchanges: &[Exchange],
    tail: &[u8],
    outcome: &Outcome,
) -> Result<(), TestCaseError> {
    let ending = exchanges.iter().position(|(request, response)| request.ends(response));
    let served = ending.map_or(exchanges.len(), |last| last + 1);
    prop_assert_eq!(outcome.servers.len(), served, "REQ-8");
    let finals: Vec<_> = outcome.client.iter().filter(|it| it.status() >= 200).collect();
    let refused = usize::from(ending.is_none() && !tail.is_empty());
    prop_assert_eq!(finals.len(), served + refused);
    prop_assert_eq!(outcome.is_closed, ending.is_some() || refused > 0, "REQ-10");
    if refused > 0 {
        prop_assert_eq!(finals[served].status(), 400);
    }
    let mut received = 0;
    for (number, (request, response)) in exchanges[..served].iter().enumerate() {
        let (sent, got) = (&outcome.servers[number], finals[number]);
        prop_assert!(sent.is_whole && got.is_whole);
        prop_assert_eq!(&sent.body, &payload(number, request.body.len()), "REQ-8");
        prop_assert_eq!(got.status(), response.status, "RES-3");
        prop_assert_eq!(got.values("x-n"), [number.to_string()], "RES-3");
        if response.has_body(request.method) {
            prop_assert_eq!(&got.body, &payload(number + 100, response.body.len()), "RES-3");
        }
        received += request.bytes(number).len() as u64;
    }
    let told: u64 = outcome.facts[..served].iter().filter_map(|fact| fact.6).sum();
    prop_assert_eq!(told, received, "each byte of a request stands in its record");
    // REQ-7: interim responses reach 1.1 clients, all of them, in order, and no others.
    let interims = outcome.client.iter().map(Message::status).filter(|&status| status < 200);
    let expected = exchanges[..served].iter().filter(|(request, _)| request.minor > 0);
    let expected = expected.flat_map(|(request, response)| {
        let first = request.expects.then_some(100);
        first.into_iter().chain(response.interims.iter().copied())
    });
    prop_assert!(interims.eq(expected), "REQ-7");
    Ok(())
}

trait FinishIfOpen {
    fn finish_if_open(&mut self, id: SocketId);
}

impl FinishIfOpen for Rig {
    /// The client leaves, and nothing is left of it.
    fn finish_if_open(&mut self, id: SocketId) {
        if self.kernel.is_open(id) {
            self.finish(id);
        }
        self.advance_to(self.now.after(Duration::from_secs(60)));
        let gauges = self.proxy.gauges();
        assert_eq!((gauges.sessions, gauges.buffers_lent, gauges.buffers_promised), (0, 0, 0));
    }
}

const TAILS: &[&[u8]] = &[
    b"",
    b"",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nxyz",
];

proptest! {
    #![proptest_config(run_of(2000))]

    // REQ-1, REQ-7, REQ-8, RES-3, RES-4, RES-5, LOOP-5
    #[test]
    fn cuts_change_nothing(
        exchanges in vec(exchange(), 1..6),
        tail in select(TAILS.to_vec()),
        schedule in schedule(),
    ) {
        let plain = World::new(&exchanges, tail, &Schedule::plain()).run();
        check_against_script(&exchanges, tail, &plain)?;
        let cut = World::new(&exchanges, tail, &schedule).run();
        prop_assert_eq!(cut, plain);
    }
}

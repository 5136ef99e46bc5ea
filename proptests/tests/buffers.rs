//! Few and small buffers: sessions always finish, without any timer's help; bodies arrive whole
//! under any schedule of partial reads and writes; gauges return to zero (SES-5, REQ-9, REQ-3,
//! LOOP-2).

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use support::{rig_of, run_of, simple_config};
use tidegate_core::config::Settings;
use tidegate_core::id::SocketId;
use tidegate_proptests::memory::Rig;
use tidegate_proptests::naive;

/// One request and its response.
#[derive(Clone, Debug)]
struct Job {
    up: usize,
    up_chunk: Option<usize>,
    down: usize,
    down_chunk: Option<usize>,
    /// The server sends back what comes, while it comes.
    echoes: bool,
}

fn job() -> impl Strategy<Value = Job> {
    let size = || prop_oneof![Just(0_usize), 1..3000_usize, 1..30_000_usize];
    let chunk = || prop::option::of(1..9000_usize);
    (size(), chunk(), size(), chunk(), prop::bool::weighted(0.3)).prop_map(
        |(up, up_chunk, down, down_chunk, echoes)| Job { up, up_chunk, down, down_chunk, echoes },
    )
}

/// A body that tells whose it is, and each of its places.
fn payload(of: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (of * 37 + at * 5 + at / 251) as u8).collect()
}

fn framed(head: &str, body: &[u8], chunk: Option<usize>) -> Vec<u8> {
    let Some(chunk) = chunk else {
        let length = format!("Content-Length: {}\r\n\r\n", body.len());
        return [head.as_bytes(), length.as_bytes(), body].concat();
    };
    let mut out = format!("{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    body.chunks(chunk).for_each(|part| out.extend_from_slice(&chunked(part)));
    [&out[..], b"0\r\n\r\n"].concat()
}

fn chunked(part: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat()
}

/// A client, which sends its requests one after the other.
struct Client {
    jobs: Vec<Job>,
    at: usize,
    socket: Option<SocketId>,
    outbox: Vec<u8>,
    /// Where the present response begins.
    read: usize,
}

/// A server's connection.
#[derive(Default)]
struct Server {
    read: usize,
    outbox: Vec<u8>,
    begun: bool,
    echoed: usize,
}

/// One step: who acts, and on how many bytes.
type Step = (usize, usize);

struct World {
    rig: Rig,
    buffers_max: usize,
    clients: Vec<Client>,
    servers: BTreeMap<SocketId, Server>,
}

impl World {
    fn new(buffer_bytes: usize, buffers_max: usize, room: usize, jobs: Vec<Vec<Job>>) -> World {
        let mut config = simple_config();
        config.limits.head_bytes = 1024;
        config.limits.target_bytes = 1024;
        let settings = Settings { buffer_bytes, buffers_max, ..Settings::default() };
        let mut rig = rig_of(settings, config);
        (rig.kernel.client.room, rig.kernel.server.room) = (room, room);
        let client = |jobs| Client { jobs, at: 0, socket: None, outbox: Vec::new(), read: 0 };
        let clients = jobs.into_iter().map(client).collect();
        World { rig, buffers_max, clients, servers: BTreeMap::new() }
    }

    fn is_done(&self) -> bool {
        self.clients.iter().all(|client| client.at == client.jobs.len())
    }

    /// The client begins its next request, sends up to `n` bytes, or takes its response.
    fn client_acts(&mut self, number: usize, n: usize) {
        let client = &mut self.clients[number];
        let Some(job) = client.jobs.get(client.at) else { return };
        let Some(socket) = client.socket else {
            let of = number * 100 + client.at;
            let head = format!("POST /{of} HTTP/1.1\r\nHost: a\r\nX-Job: {}\r\n", client.at);
            client.outbox = framed(&head, &payload(of, job.up), job.up_chunk);
            client.socket = Some(self.rig.connect());
            client.read = 0;
            return;
        };
        let len = n.min(client.outbox.len());
        if len > 0 {
            assert!(self.rig.kernel.is_open(socket), "closed within a request");
            let piece: Vec<u8> = client.outbox.drain(..len).collect();
            self.rig.feed(socket, &piece);
        }
        self.take_response(number, socket);
    }

    /// Takes a whole response, and goes on to the next request on the same connection, if it is
    /// kept.
    fn take_response(&mut self, number: usize, socket: SocketId) {
        let client = &mut self.clients[number];
        let bytes = &self.rig.written(socket)[client.read..];
        let Some(response) = naive::response(bytes, false, false).filter(|it| it.is_whole) else {
            assert!(self.rig.kernel.is_open(socket), "a response is cut");
            return;
        };
        let (of, job) = (number * 100 + client.at, &client.jobs[client.at]);
        assert_eq!(response.status(), 200);
        let expected = if job.echoes { payload(of, job.up) } else { payload(of + 7, job.down) };
        assert_eq!(response.body, expected, "the body comes whole");
        assert!(client.outbox.is_empty());
        client.read += response.len;
        client.at += 1;
        client.socket = None;
        if let Some(job) = client.jobs.get(client.at)
            && response.values("connection").is_empty()
        {
            let of = number * 100 + client.at;
            let head = format!("POST /{of} HTTP/1.1\r\nHost: a\r\n");
            client.outbox = framed(&head, &payload(of, job.up), job.up_chunk);
            client.socket = Some(socket);
        }
    }

    /// The server reads what came, and sends up to `n` bytes.
    fn server_acts(&mut self, id: SocketId, n: usize) {
        let server = self.servers.entry(id).or_default();
        let bytes = &self.rig.kernel.wire(id).from_proxy[server.read..];
        if let Some(request) = naive::request(bytes) {
            let of: usize = request.target()[1..].parse().expect("a number");
            let job = &self.clients[of / 100].jobs[of % 100];
            if job.echoes {
                if !std::mem::replace(&mut server.begun, true) {
                    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                    server.outbox.extend_from_slice(head);
                }
                if request.body.len() > server.echoed {
                    server.outbox.extend_from_slice(&chunked(&request.body[server.echoed..]));
                    server.echoed = request.body.len();
                }
            }
            if request.is_whole {
                assert_eq!(request.body, payload(of, job.up), "the body comes whole");
                let rest = match job.echoes {
                    true => b"0\r\n\r\n".to_vec(),
                    false => {
                        let body = payload(of + 7, job.down);
                        framed("HTTP/1.1 200 OK\r\n", &body, job.down_chunk)
                    }
                };
                server.outbox.extend_from_slice(&rest);
                server.read += request.len;
                (server.begun, server.echoed) = (false, 0);
            }
        }
        let len = n.min(server.outbox.len());
        if len > 0 {
            let piece: Vec<u8> = server.outbox.drain(..len).collect();
            self.rig.feed(id, &piece);
        }
    }

    fn step(&mut self, (who, n): Step) {
        let open: Vec<_> = self.rig.kernel.open_sockets().collect();
        let connected = self.rig.kernel.connected.iter().map(|(id, _)| *id);
        let servers: Vec<_> = connected.filter(|id| open.contains(id)).collect();
        let pick = who / 3;
        match who % 3 {
            0 => self.client_acts(pick % self.clients.len(), n),
            1 if !servers.is_empty() => self.server_acts(servers[pick % servers.len()], n),
            _ if !open.is_empty() => self.rig.make_room(open[pick % open.len()], n),
            _ => {}
        }
        assert_eq!(self.rig.proxy.check_invariants(), Ok(()));
        let gauges = self.rig.proxy.gauges();
        assert!(gauges.buffers_lent <= self.buffers_max, "{gauges:?}");
    }

    /// Everyone acts in turn, until all is done: bounded, and no time passes.
    fn go_on(&mut self, n: usize) {
        let bytes: usize =
            self.clients.iter().flat_map(|it| &it.jobs).map(|it| it.up + it.down).sum();
        let rounds = 400 + 8 * bytes / n.min(500);
        for _ in 0..rounds {
            if self.is_done() {
                return;
            }
            let sockets = self.rig.kernel.open_sockets().count();
            for who in 0..3 * sockets.max(self.clients.len()) {
                self.step((who, n));
            }
        }
        let state = |client: &Client| {
            let wire = client.socket.and_then(|id| self.rig.kernel.peek(id));
            let wire = wire.map(|wire| (wire.unread(), wire.from_proxy.len(), wire.closed));
            format!(
                "{} of {:?}: to send {}, unread, written, closed: {wire:?}",
                client.at,
                client.jobs,
                client.outbox.len()
            )
        };
        let clients: Vec<_> = self.clients.iter().map(state).collect();
        panic!("stuck after {rounds} rounds: {:?}\n{clients:#?}", self.rig.proxy.gauges());
    }

    /// Idle connections hold nothing; without clients nothing is left.
    fn end(mut self) -> Result<(), TestCaseError> {
        let gauges = self.rig.proxy.gauges();
        let held = (gauges.buffers_lent, gauges.buffers_promised, gauges.requests_in_flight);
        prop_assert_eq!(held, (0, 0, 0), "SES-5: {:?}", gauges);
        for id in self.rig.kernel.accepted.clone() {
            if self.rig.kernel.is_open(id) {
                self.rig.finish(id);
            }
        }
        self.rig.advance_to(self.rig.now.after(Duration::from_secs(40)));
        let gauges = self.rig.proxy.gauges();
        prop_assert_eq!((gauges.sessions, gauges.backend_connections), (0, 0), "{:?}", gauges);
        prop_assert_eq!((gauges.deadlines, gauges.sockets), (0, 1), "{:?}", gauges);
        Ok(())
    }
}

proptest! {
    #![proptest_config(run_of(1200))]

    // SES-5, REQ-9, LOOP-5: no set of sessions waits for one another.
    #[test]
    fn sessions_always_finish(
        buffer_bytes in prop_oneof![Just(2048_usize), 2048..9000_usize],
        buffers_max in prop_oneof![2 => Just(2_usize), 3 => 2..12_usize],
        room in prop_oneof![Just(0_usize), 1..500_usize, Just(100_000)],
        jobs in vec(vec(job(), 1..4), 1..9),
        steps in vec((0..1000_usize, prop_oneof![1..9_usize, 1..900_usize, 1..9000_usize]), 0..300),
        rest in prop_oneof![50..2000_usize, Just(50_000)],
    ) {
        let mut world = World::new(buffer_bytes, buffers_max, room, jobs);
        for step in steps {
            world.step(step);
        }
        world.go_on(rest);
        world.end()?;
    }
}

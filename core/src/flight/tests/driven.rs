//! Sessions of a whole proxy, recorded and played back.

use super::*;
use crate::drive::{self, Kernel};
use crate::effect::Close;
use crate::event::Event;
use crate::id::SocketId;
use crate::input::{AcceptError, Readiness, SocketError};
use crate::proxy::Proxy;
use crate::proxy_protocol::Version;
use std::collections::VecDeque;
use std::net::SocketAddr;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A kernel with one client, whose bytes are read one piece at a time, and servers that answer
/// each request.
#[derive(Default)]
struct Net {
    client: Option<SocketId>,
    server: Option<SocketId>,
    /// What each of them is still to be read of.
    sent: [VecDeque<&'static [u8]>; 2],
    connects: usize,
}

impl Kernel for Net {
    fn accept(&mut self, _: SocketId, id: SocketId) -> Result<Option<SocketAddr>, AcceptError> {
        if self.client.is_some() {
            return Err(AcceptError::WouldBlock);
        }
        self.client = Some(id);
        Ok(Some(([127, 0, 0, 1], 9).into()))
    }

    fn recv(&mut self, id: SocketId, into: &mut [&mut [u8]]) -> Result<usize, SocketError> {
        let sent = &mut self.sent[usize::from(self.server == Some(id))];
        let piece = sent.pop_front().ok_or(SocketError::WouldBlock)?;
        let (taken, left) = piece.split_at(piece.len().min(into[0].len()));
        into[0][..taken.len()].copy_from_slice(taken);
        if !left.is_empty() {
            sent.push_front(left);
        }
        Ok(taken.len())
    }

    fn send(&mut self, id: SocketId, from: &[&[u8]]) -> Result<usize, SocketError> {
        let is_head = |slice: &&&[u8]| slice.ends_with(b"\r\n\r\n");
        if self.server == Some(id) && from.last().as_ref().is_some_and(is_head) {
            self.sent[1].push_back(ANSWER);
        }
        Ok(from.iter().map(|slice| slice.len()).sum())
    }

    fn connect(&mut self, id: SocketId, _: &Address) -> Result<(), SocketError> {
        self.server = Some(id);
        self.connects += 1;
        Ok(())
    }

    fn close(&mut self, id: SocketId, _: Close) {
        for socket in [&mut self.client, &mut self.server] {
            socket.take_if(|it| *it == id);
        }
    }

    fn local_addr(&mut self, _: SocketId) -> Option<SocketAddr> {
        None
    }

    fn shed(&mut self, _: SocketId) {}
    fn listen(&mut self, _: SocketId, _: &str, _: &Address) {}
    fn keep_alive(&mut self, _: SocketId) {}
    fn shutdown_write(&mut self, _: SocketId) {}
}

/// A proxy with a ring of `bytes` after one client has sent `pieces`, each a read of its own.
fn drive(config: &Config, bytes: usize, pieces: &[&'static [u8]]) -> (Proxy, Net) {
    let mut proxy = Proxy::new(Settings::default(), [1; 32], config.clone()).expect("valid");
    proxy.record(bytes);
    let mut net = Net::default();
    let mut pieces = pieces.iter().peekable();
    for turn in 1..30 {
        let now = Time(turn * 1_000_000);
        proxy.advance(now);
        if turn.is_multiple_of(3) {
            net.sent[0].extend(pieces.next());
        }
        for (socket, sent) in [net.client, net.server].into_iter().zip(&net.sent) {
            let readable = !sent.is_empty();
            if let Some(socket) = socket.filter(|_| readable) {
                proxy.ready(socket, Readiness { readable, ..Readiness::default() });
            }
        }
        while drive::turn(&mut proxy, &mut net, now) {}
        while proxy.poll_event().is_some() {}
    }
    assert!(pieces.peek().is_none() && net.sent[0].is_empty(), "all was read");
    (proxy, net)
}

/// The file of a session that was sent `pieces`.
pub(super) fn recorded(config: &Config, bytes: usize, pieces: &[&'static [u8]]) -> Vec<u8> {
    let (proxy, _) = drive(config, bytes, pieces);
    let recording = proxy.recording().expect("it records");
    recording.write("about", &[(1, &Stored::bytes_of(config))])
}

fn play(file: &[u8]) -> (Option<Flaw>, Result<Played, Difference>) {
    let case = Case::read(file).expect("it is whole");
    assert_eq!(case.chains.len(), 1);
    let player = Player::new(&case, &StandIns::default()).expect("valid");
    (case.chains[0].flaw, player.play(&case.chains[0]))
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

// PP-1: a connection that has said its PROXY header is used again, and without TLS: its session
// comes back.
#[test]
fn a_reused_connection_with_a_proxy_header_is_played_back() {
    let mut config = config();
    config.clusters[0].send_proxy = Some(Version::V2);
    let (proxy, net) = drive(&config, 1 << 20, &[GET, GET]);
    assert_eq!((net.connects, proxy.counters().reuses), (1, 1));
    let (flaw, played) = play(&recorded(&config, 1 << 20, &[GET, GET]));
    assert_eq!(flaw, None);
    assert!(played.is_ok(), "{played:?}");
}

/// What happens to a worker while a socket waits for a session.
#[derive(Copy, Clone, Debug)]
enum Happens {
    /// A configuration without the socket's listener.
    Goes,
    /// One with it, or with another one of its name and address.
    Comes,
    /// One that gives it another address.
    Moves,
    /// A graceful stop.
    Stops,
}

/// The file of a session that begins behind `all`, and is sent [`GET`], for which there is a route
/// as long as its listener's name is there.
fn recorded_behind(all: &[Happens]) -> Vec<u8> {
    let (mut with, mut without) = (config(), config());
    with.routes[0].listener = Some("web".into());
    let mut moved = with.clone();
    moved.listeners[0].binds = vec![Address::Unix("else".into())];
    without.listeners = vec![Listener::new("else", vec![Address::Unix("else".into())])];
    let settings = Settings { max_connections: 1, ..Settings::default() };
    let mut proxy = Proxy::new(settings, [1; 32], with.clone()).expect("valid");
    proxy.record(1 << 20);
    let mut configs = vec![with.clone()];
    let (mut net, mut now) = (Net::default(), Time::ZERO);
    let mut turn = |proxy: &mut Proxy, net: &mut Net| {
        now = Time(now.0 + 1_000_000);
        proxy.advance(now);
        while drive::turn(proxy, net, now) {}
        while proxy.poll_event().is_some() {}
    };
    let readable = Readiness { readable: true, ..Readiness::default() };
    // Who has begun a request does not make room at a stop.
    net.sent[0].push_back(b"GET");
    turn(&mut proxy, &mut net);
    let first = net.client.take().expect("one is there");
    let listener = proxy.listens.iter().find_map(|(_, it)| it.socket).expect("it listens");
    proxy.ready(listener, readable);
    turn(&mut proxy, &mut net);
    let second = net.client.expect("it waits");
    for happens in all {
        match happens {
            Happens::Stops => proxy.stop(),
            Happens::Goes => configs.push(without.clone()),
            Happens::Comes => configs.push(with.clone()),
            Happens::Moves => configs.push(moved.clone()),
        }
        if !matches!(happens, Happens::Stops) {
            proxy.apply(configs.last().expect("just put there").clone()).expect("valid");
        }
        turn(&mut proxy, &mut net);
    }
    for (client, piece) in [(first, &b""[..]), (second, GET)] {
        net.sent[0].push_back(piece);
        proxy.ready(client, readable);
        turn(&mut proxy, &mut net);
    }
    proxy.ready(net.server.expect("it was asked"), readable);
    turn(&mut proxy, &mut net);
    let stored: Vec<Vec<u8>> = configs.iter().map(Stored::bytes_of).collect();
    let stored: Vec<(u64, &[u8])> = (1..).zip(stored.iter().map(|it| &it[..])).collect();
    proxy.recording().expect("it records").write("about", &stored)
}

// SES-1, RUN-1, RUN-2: a session that begins when its listener's socket was given up is played back
// as one that came by that, and is of its listener by name, before a stop or behind it.
#[test]
fn a_session_of_a_listener_that_was_given_up_is_played_back() {
    use Happens::{Comes, Goes, Moves, Stops};
    let cases: [&[Happens]; 9] = [
        &[],
        &[Goes, Comes],
        &[Goes, Comes, Stops],
        &[Goes, Stops, Comes],
        &[Stops, Goes, Comes],
        &[Stops, Comes],
        &[Moves],
        &[Moves, Stops],
        &[Stops, Moves],
    ];
    for all in cases {
        let file = recorded_behind(all);
        let case = Case::read(&file).expect("it is whole");
        let is_second = |it: &&Chain| it.start.as_ref().is_some_and(|start| start.serial == 2);
        let chain = case.chains.iter().find(is_second).expect("the second one");
        assert_eq!((chain.flaw, chain.requests), (None, 1), "{all:?}");
        let start = chain.start.as_ref().expect("it has one");
        // In a stop all of them close.
        let has_gone = matches!(all, [Goes, Comes] | [Moves]);
        assert_eq!(start.is_listed, !has_gone, "{all:?}");
        let played = Player::new(&case, &StandIns::default()).expect("valid").play(chain);
        assert!(played.is_ok(), "{all:?}: {played:?}");
    }
}

// A head that no segment holds is told of as torn, and so is its session; what follows is kept.
#[test]
fn a_head_larger_than_the_ring_keeps_tears_its_session() {
    let large: Vec<u8> =
        [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &b"y".repeat(2048)[..], b"\r\n\r\n"].concat();
    let pieces = [large.leak(), GET];
    let (flaw, played) = play(&recorded(&config(), 1 << 16, &pieces));
    assert_eq!(flaw, Some(Flaw::TooLarge));
    assert!(played.is_err());
    let (flaw, played) = play(&recorded(&config(), 1 << 20, &pieces));
    assert_eq!(flaw, None);
    assert!(played.is_ok(), "{played:?}");
}

// A head that comes again is written once: three requests as the first one take less than a quarter
// of its bytes each, in the case made of the recording, too; and the session comes back.
#[test]
fn a_head_that_comes_again_is_written_once() {
    let sized = |pieces: &[&'static [u8]]| recorded(&config(), 1 << 20, pieces);
    let long: &[u8] =
        [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &b"y".repeat(500)[..], b"\r\n\r\n"].concat().leak();
    let (one, four) = (sized(&[long]), sized(&[long, long, long, long]));
    let case = Case::read(&four).expect("it is whole");
    let lifted = case.write(|_| true);
    for len in [four.len(), lifted.len()] {
        assert!(len - one.len() < 3 * long.len() / 4, "{} and {len}", one.len());
    }
    for (file, pieces) in [(&four, 4), (&lifted, 4), (&sized(&[long, GET, GET, long]), 4)] {
        let (flaw, played) = play(file);
        assert_eq!(flaw, None);
        assert!(played.is_ok(), "{played:?}");
        assert_eq!(Case::read(file).expect("whole").chains[0].requests, pieces);
    }
}

// SES-4: a session without a timer is found and told of, and the recording has it up to its end.
#[test]
fn a_zombie_is_in_the_recording() {
    let (mut proxy, mut net) = drive(&config(), 1 << 20, &[GET]);
    let (id, _) = proxy.sessions.iter().next().expect("its client stays");
    let session = proxy.sessions.get_mut(id).expect("it lives");
    session.timers.clear_front();
    let deadline = session.deadline;
    proxy.deadlines.set(deadline, Time::NEVER);
    let interval = Settings::default().zombie_check_interval;
    drive::turn(&mut proxy, &mut net, Time::ZERO.after(2 * interval));
    let found = |event: &Event| matches!(event, Event::Zombie { .. });
    assert_eq!(std::iter::from_fn(|| proxy.poll_event()).filter(found).count(), 1);
    let file =
        proxy.recording().expect("it records").write("about", &[(1, &Stored::bytes_of(&config()))]);
    let case = Case::read(&file).expect("it is whole");
    let lines: Vec<String> = case.chains[0].lines().collect();
    let ended = format!("{} {} client", Tag::Ended.name(), Cause::Swept as u64);
    assert!(lines.iter().any(|line| line.ends_with(&ended)), "{lines:?}");
    assert!(case.chains[0].is_ended && case.chains[0].flaw.is_none());
}

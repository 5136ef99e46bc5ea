#![expect(clippy::disallowed_types, reason = "the peers of these tests are plain std sockets")]

use super::*;
use crate::serve::listen::{bind_all, wanted};
use mio::{Events, Poll};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use tidegate_core::config::{Config, Listener};
use tidegate_core::id::{Slots, SocketTag};

const ERROR_WAIT: Duration = Duration::from_secs(5);

/// A kernel, its poll, and the core's part: minting ids.
struct Rig {
    poll: Poll,
    kernel: MioKernel,
    ids: Slots<(), SocketTag>,
}

fn rig() -> Rig {
    let poll = Poll::new().expect("a poll");
    let kernel = MioKernel::new(poll.registry().try_clone().expect("a registry"));
    Rig { poll, kernel, ids: Slots::with_capacity(8) }
}

fn config(binds: &[Address]) -> Config {
    let listener = Listener::new("web", binds.to_vec());
    Config { listeners: vec![listener], ..Config::default() }
}

fn any_port() -> Address {
    Address::Ip("127.0.0.1:0".parse().expect("an address"))
}

fn unix_path(name: &str) -> Address {
    let dir = std::env::temp_dir();
    let name = format!("tidegate-kernel-{}-{name}", std::process::id());
    Address::Unix(dir.join(name).to_str().expect("UTF-8").into())
}

impl Rig {
    fn id(&mut self) -> SocketId {
        self.ids.insert(())
    }

    /// Listens on `at`; the socket's id, and the address that was bound.
    fn listen(&mut self, at: &Address) -> (SocketId, Option<SocketAddr>) {
        let config = config(std::slice::from_ref(at));
        let bound = bind_all(&config, &[], 1).expect("bound").remove(0);
        let local = bound[0].local;
        self.kernel.prepare(bound, wanted(&config));
        let id = self.id();
        self.kernel.listen(id, "web", at);
        (id, local)
    }

    /// A connection that the kernel accepted, and its peer.
    fn pair(&mut self) -> (SocketId, TcpStream) {
        let (listener, local) = self.listen(&any_port());
        let peer = TcpStream::connect(local.expect("TCP")).expect("connected");
        peer.set_read_timeout(Some(ERROR_WAIT)).expect("set");
        let id = self.id();
        let from = self.kernel.accept(listener, id).expect("accepted");
        assert_eq!(from, peer.local_addr().ok());
        (id, peer)
    }

    /// Repeats `call` until it does not block any more.
    fn until<T>(
        &mut self,
        mut call: impl FnMut(&mut MioKernel) -> Result<T, SocketError>,
    ) -> Result<T, SocketError> {
        for _ in 0..5000 {
            match call(&mut self.kernel) {
                Err(SocketError::WouldBlock) => {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                done => return done,
            }
        }
        panic!("blocked for too long");
    }

    fn read(&mut self, id: SocketId) -> Result<Vec<u8>, SocketError> {
        let mut space = [0; 256];
        let n = self.until(|kernel| kernel.recv(id, &mut [&mut space]))?;
        Ok(space[..n].to_vec())
    }

    /// The next events, as (token, readable, writable).
    fn events(&mut self) -> Vec<(Token, bool, bool)> {
        let mut events = Events::with_capacity(16);
        self.poll.poll(&mut events, Some(Duration::from_millis(200))).expect("polled");
        let seen = events.iter();
        seen.map(|event| (event.token(), event.is_readable(), event.is_writable())).collect()
    }
}

#[test]
fn bytes_go_through_one_slice_and_through_many() {
    let mut rig = rig();
    let (id, mut peer) = rig.pair();
    assert_eq!(rig.kernel.recv(id, &mut [&mut [0; 4]]), Err(SocketError::WouldBlock));
    assert_eq!(rig.kernel.send(id, &[b"a"]), Ok(1));
    assert_eq!(rig.kernel.send(id, &[b"bc", b"", b"d"]), Ok(3));
    let many: Vec<&[u8]> = std::iter::repeat_n(&b"e"[..], SLICES_MAX + 6).collect();
    assert_eq!(rig.kernel.send(id, &many), Ok(SLICES_MAX));
    let mut seen = [0; 4 + SLICES_MAX];
    peer.read_exact(&mut seen).expect("all of it");
    assert_eq!(&seen[..6], b"abcdee");

    peer.write_all(b"123456789").expect("written");
    let (mut one, mut two, mut three) = ([0; 4], [0; 3], [0; 8]);
    let n = rig.until(|kernel| kernel.recv(id, &mut [&mut one, &mut two, &mut three]));
    assert_eq!(n, Ok(9));
    assert_eq!((&one, &two, &three[..2]), (b"1234", b"567", &b"89"[..]));
    peer.write_all(&[b'x'; 40]).expect("written");
    let mut bytes = [0; 40];
    let mut slices: Vec<&mut [u8]> = bytes.chunks_mut(1).collect();
    assert_eq!(rig.until(|kernel| kernel.recv(id, &mut slices)), Ok(40));
    assert_eq!(bytes, [b'x'; 40]);
}

// RUN-7: an accepted socket has TCP_NODELAY from its listener, one that connects of its own.
#[test]
fn nodelay_is_set_both_ways() {
    let mut rig = rig();
    let (accepted, _peer) = rig.pair();
    let there = TcpListener::bind("127.0.0.1:0").expect("bound");
    let connecting = rig.id();
    let to = Address::Ip(there.local_addr().expect("an address"));
    rig.kernel.connect(connecting, &to).expect("begun");
    for id in [accepted, connecting] {
        let fd = rig.kernel.fd(id).expect("open");
        assert_eq!(sockopt::tcp_nodelay(fd), Ok(true));
    }
    let (mut peer, _) = there.accept().expect("accepted");
    assert_eq!(rig.until(|kernel| kernel.send(connecting, &[b"hello"])), Ok(5));
    let mut seen = [0; 5];
    peer.read_exact(&mut seen).expect("all of it");
    assert_eq!(&seen, b"hello");
}

#[test]
fn a_port_without_listener_refuses() {
    let mut rig = rig();
    let gone = TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("an address");
    let id = rig.id();
    let outcome = match rig.kernel.connect(id, &Address::Ip(gone)) {
        Ok(()) => rig.until(|kernel| kernel.send(id, &[b"x"])).map(|_| ()),
        refused => refused,
    };
    assert_eq!(outcome, Err(SocketError::Refused));
    let nowhere = Address::Unix("/nonexistent/tidegate".into());
    assert_eq!(rig.kernel.connect(id, &nowhere), Err(SocketError::Refused));
}

// A send of nothing asks whether a connection stands: not while it is begun, and not after it has
// failed. A listener whose backlog is full lets clients wait.
#[test]
fn an_empty_send_asks_whether_a_connection_stands() {
    let mut rig = rig();
    let there = net::socket_with(AddressFamily::INET, SocketType::STREAM, FLAGS, None);
    let there = there.expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    net::bind(&there, &any).expect("bound");
    net::listen(&there, 0).expect("listening");
    let addr = net::getsockname(&there).and_then(SocketAddr::try_from).expect("an address");
    let ids: Vec<SocketId> = (0..8).map(|_| rig.id()).collect();
    for &id in &ids {
        rig.kernel.connect(id, &Address::Ip(addr)).expect("begun");
    }
    let stands = rig.until(|kernel| kernel.send(ids[0], &[]));
    assert_eq!(stands, Ok(0));
    assert_eq!(rig.kernel.send(ids[7], &[]), Err(SocketError::WouldBlock));
    assert_eq!(rig.kernel.send(ids[0], &[b"x"]), Ok(1));
    assert_eq!(rig.kernel.send(ids[0], &[]), Ok(0));
    drop(there);

    let gone = TcpListener::bind("127.0.0.1:0").expect("bound").local_addr().expect("an address");
    let id = rig.id();
    let outcome = match rig.kernel.connect(id, &Address::Ip(gone)) {
        Ok(()) => rig.until(|kernel| kernel.send(id, &[])).map(|_| ()),
        refused => refused,
    };
    assert_eq!(outcome, Err(SocketError::Refused));

    let at = unix_path("empty");
    let (listener, _) = rig.listen(&at);
    let client = rig.id();
    rig.kernel.connect(client, &at).expect("connected");
    assert_eq!(rig.kernel.send(client, &[]), Ok(0));
    rig.kernel.prepare(Vec::new(), Vec::new());
    rig.kernel.close(listener, Close::Normal);
}

// PP-1: what a PROXY header tells of the proxy's side. RUN-7: tunnels are kept alive.
#[test]
fn the_local_address_and_keep_alive_are_the_sockets_own() {
    let mut rig = rig();
    let (id, peer) = rig.pair();
    assert_eq!(rig.kernel.local_addr(id), peer.peer_addr().ok());
    assert_eq!(sockopt::socket_keepalive(rig.kernel.fd(id).expect("open")), Ok(false));
    rig.kernel.keep_alive(id);
    assert_eq!(sockopt::socket_keepalive(rig.kernel.fd(id).expect("open")), Ok(true));
    rig.kernel.close(id, Close::Normal);
    rig.kernel.keep_alive(id);
    assert_eq!(rig.kernel.local_addr(id), None);

    let at = unix_path("local");
    let (listener, _) = rig.listen(&at);
    let (client, server) = (rig.id(), rig.id());
    rig.kernel.connect(client, &at).expect("connected");
    rig.kernel.accept(listener, server).expect("accepted");
    assert_eq!(rig.kernel.local_addr(server), None);
    rig.kernel.prepare(Vec::new(), Vec::new());
    rig.kernel.close(listener, Close::Normal);
}

// LOOP-6: half-close is a fact of its own; the other direction stays open.
#[test]
fn half_close_goes_both_ways() {
    let mut rig = rig();
    let (id, mut peer) = rig.pair();
    peer.write_all(b"last").expect("written");
    peer.shutdown(std::net::Shutdown::Write).expect("shut down");
    assert_eq!(rig.read(id), Ok(b"last".to_vec()));
    assert_eq!(rig.read(id), Ok(Vec::new()));
    assert_eq!(rig.kernel.send(id, &[b"answer"]), Ok(6));
    rig.kernel.shutdown_write(id);
    let mut answer = String::new();
    peer.read_to_string(&mut answer).expect("to the end");
    assert_eq!(answer, "answer");
}

// What design.md, "The contract" 9 warns of, on the kernel at hand.
#[test]
fn a_failed_send_eats_the_error_of_a_reset() {
    let mut rig = rig();
    let (id, peer) = rig.pair();
    sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).expect("set");
    drop(peer);
    assert_eq!(
        rig.until(|kernel| kernel.send(id, &[b"x"]).and(Err::<(), _>(SocketError::WouldBlock))),
        Err(SocketError::Reset)
    );
    assert_eq!(rig.read(id), Ok(Vec::new()));

    let (id, peer) = rig.pair();
    sockopt::set_socket_linger(&peer, Some(Duration::ZERO)).expect("set");
    drop(peer);
    assert_eq!(rig.read(id), Err(SocketError::Reset));
}

#[test]
fn closing_is_a_fin_or_a_reset() {
    let mut rig = rig();
    let (id, mut peer) = rig.pair();
    rig.kernel.close(id, Close::Normal);
    assert_eq!(peer.read(&mut [0; 1]).expect("a clean end"), 0);
    let (id, mut peer) = rig.pair();
    rig.kernel.close(id, Close::Reset);
    let error = peer.read(&mut [0; 1]).expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

// LOOP-1
#[test]
fn a_stale_id_does_nothing_to_the_next_tenant() {
    let mut rig = rig();
    let (old, _old_peer) = rig.pair();
    rig.kernel.close(old, Close::Normal);
    rig.ids.remove(old);
    let (new, mut peer) = {
        let (listener, local) = {
            let config = config(&[any_port()]);
            let bound = bind_all(&config, &[], 1).expect("bound").remove(0);
            let local = bound[0].local.expect("TCP");
            rig.kernel.prepare(bound, wanted(&config));
            let id = SocketId::from_bits(99);
            rig.kernel.listen(id, "web", &any_port());
            (id, local)
        };
        let peer = TcpStream::connect(local).expect("connected");
        let new = rig.id();
        rig.kernel.accept(listener, new).expect("accepted");
        (new, peer)
    };
    assert_eq!(new.index(), old.index());
    rig.kernel.close(old, Close::Reset);
    rig.kernel.shutdown_write(old);
    assert_eq!(rig.kernel.send(old, &[b"x"]), Err(SocketError::Other));
    assert_eq!(rig.kernel.recv(old, &mut [&mut [0; 1]]), Err(SocketError::Other));
    assert_eq!(rig.kernel.send(new, &[b"y"]), Ok(1));
    let mut seen = [0; 1];
    peer.read_exact(&mut seen).expect("a byte");
    assert_eq!(&seen, b"y");
}

#[test]
fn only_sockets_that_are_still_open_are_registered() {
    let mut rig = rig();
    let (gone, _peer) = rig.pair();
    rig.kernel.close(gone, Close::Normal);
    let (open, mut peer) = rig.pair();
    assert!(rig.kernel.table.unregistered(open).is_some());
    // An edge that came before the registration is not lost.
    peer.write_all(b"x").expect("written");
    rig.kernel.register_fresh(|_| panic!("the kernel watches it"));
    assert!(rig.kernel.table.unregistered(open).is_none());
    assert!(rig.kernel.fresh.is_empty());
    let events: Vec<_> =
        rig.events().into_iter().filter(|&(seen, ..)| seen == token(open)).collect();
    assert_eq!(events, [(token(open), true, true)]);
    assert_eq!(rig.events(), []);
}

#[test]
fn unix_sockets_work_both_ways() {
    let mut rig = rig();
    let at = unix_path("both");
    let (listener, _) = rig.listen(&at);
    let (client, server) = (rig.id(), rig.id());
    rig.kernel.connect(client, &at).expect("connected");
    assert_eq!(rig.kernel.accept(listener, server), Ok(None));
    assert_eq!(rig.kernel.accept(listener, server), Err(AcceptError::WouldBlock));
    rig.kernel.send(client, &[b"hi"]).expect("sent");
    assert_eq!(rig.read(server), Ok(b"hi".to_vec()));
    let Address::Unix(path) = &at else { unreachable!() };
    assert!(std::path::Path::new(&**path).exists());
    rig.kernel.prepare(Vec::new(), Vec::new());
    rig.kernel.close(listener, Close::Normal);
    assert!(!std::path::Path::new(&**path).exists());
}

// RUN-4: the other workers have no socket for a Unix listener.
#[test]
fn a_listener_of_another_worker_is_never_ready() {
    let mut rig = rig();
    let (listener, connection) = (rig.id(), rig.id());
    rig.kernel.listen(listener, "web", &unix_path("elsewhere"));
    assert_eq!(rig.kernel.accept(listener, connection), Err(AcceptError::WouldBlock));
}

// RUN-9: after a panic connections are reset, and the backlog waits for the next proxy.
#[test]
fn a_restart_keeps_the_listening_sockets() {
    let mut rig = rig();
    let (listener, local) = rig.listen(&any_port());
    let mut served = TcpStream::connect(local.expect("TCP")).expect("connected");
    served.set_read_timeout(Some(ERROR_WAIT)).expect("set");
    let id = rig.id();
    rig.kernel.accept(listener, id).expect("accepted");
    let waiting = TcpStream::connect(local.expect("TCP")).expect("connected");
    assert_eq!(rig.kernel.restart(), 1);
    let error = served.read(&mut [0; 1]).expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(rig.kernel.recv(id, &mut [&mut [0; 1]]), Err(SocketError::Other));

    rig.ids = Slots::with_capacity(8);
    let (listener, id) = (rig.id(), rig.id());
    rig.kernel.listen(listener, "web", &any_port());
    assert_eq!(rig.events(), [(token(listener), true, false)]);
    assert_eq!(rig.kernel.accept(listener, id), Ok(waiting.local_addr().ok()));
}

// RUN-1: whichever of Listen and Close comes first.
#[test]
fn a_listener_gets_another_name_without_losing_its_backlog() {
    for close_first in [false, true] {
        let mut rig = rig();
        let (old, local) = rig.listen(&any_port());
        let waiting = TcpStream::connect(local.expect("TCP")).expect("connected");
        rig.kernel.prepare(Vec::new(), vec![(any_port(), 8)]);
        let (new, id) = (rig.id(), rig.id());
        if close_first {
            rig.kernel.close(old, Close::Normal);
        }
        rig.kernel.listen(new, "other", &any_port());
        rig.kernel.close(old, Close::Normal);
        assert_eq!(rig.kernel.drop_unclaimed(), 0);
        assert_eq!(rig.kernel.accept(old, id), Err(AcceptError::WouldBlock));
        assert_eq!(rig.kernel.accept(new, id), Ok(waiting.local_addr().ok()));
    }
}

#[test]
fn a_listener_that_nobody_wants_closes() {
    let mut rig = rig();
    let (listener, local) = rig.listen(&any_port());
    rig.kernel.prepare(Vec::new(), Vec::new());
    rig.kernel.close(listener, Close::Normal);
    assert_eq!(rig.kernel.drop_unclaimed(), 0);
    assert!(TcpStream::connect(local.expect("TCP")).is_err());
}

// ACC-8: in a process of its own, for it runs out of descriptors.
#[test]
fn shedding_closes_one_connection_cleanly() {
    let child = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "serve::kernel::tests::shed_without_descriptors", "--ignored"])
        .output()
        .expect("run");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

#[test]
#[ignore = "run by shedding_closes_one_connection_cleanly, in a process of its own"]
fn shed_without_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut rig = rig();
    let (listener, local) = rig.listen(&any_port());
    let mut clients: Vec<TcpStream> =
        (0..3).map(|_| TcpStream::connect(local.expect("TCP")).expect("connected")).collect();
    for client in &clients {
        client.set_read_timeout(Some(ERROR_WAIT)).expect("set");
    }
    let plenty = getrlimit(Resource::Nofile);
    let next = open_spare().expect("a descriptor").as_raw_fd() as u64;
    let mut few = getrlimit(Resource::Nofile);
    few.current = Some(next);
    setrlimit(Resource::Nofile, few).expect("lowered");
    let id = rig.id();
    for client in &mut clients[..2] {
        assert_eq!(rig.kernel.accept(listener, id), Err(AcceptError::Resources));
        rig.kernel.shed(listener);
        assert_eq!(client.read(&mut [0; 1]).expect("a clean end"), 0);
    }
    assert_eq!(rig.kernel.accept(listener, id), Err(AcceptError::Resources));
    let to = Address::Ip(local.expect("TCP"));
    assert_eq!(rig.kernel.connect(id, &to), Err(SocketError::Resources));
    setrlimit(Resource::Nofile, plenty).expect("raised");
    assert_eq!(rig.kernel.accept(listener, id), Ok(clients[2].local_addr().ok()));
}

// ACC-8, BACK-2
#[test]
fn errors_mean_what_the_core_needs_to_tell_apart() {
    use SocketError as S;
    let of_socket = [
        (Errno::AGAIN, S::WouldBlock),
        (Errno::CONNREFUSED, S::Refused),
        (Errno::CONNRESET, S::Reset),
        (Errno::PIPE, S::Reset),
        (Errno::NETUNREACH, S::Unreachable),
        (Errno::HOSTUNREACH, S::Unreachable),
        (Errno::ADDRNOTAVAIL, S::Unreachable),
        (Errno::TIMEDOUT, S::TimedOut),
        (Errno::MFILE, S::Resources),
        (Errno::NFILE, S::Resources),
        (Errno::NOBUFS, S::Resources),
        (Errno::NOMEM, S::Resources),
        (Errno::BADF, S::Other),
    ];
    for (errno, meaning) in of_socket {
        assert_eq!(errno::of_socket(errno), meaning, "{errno:?}");
    }
    assert_eq!(errno::of_connect(Errno::INPROGRESS, false), None);
    assert_eq!(errno::of_connect(Errno::INTR, false), None);
    assert_eq!(errno::of_connect(Errno::AGAIN, true), Some(S::Refused));
    assert_eq!(errno::of_connect(Errno::AGAIN, false), Some(S::Resources));
    assert_eq!(errno::of_connect(Errno::TIMEDOUT, false), Some(S::TimedOut));
    let of_accept = [
        (Errno::AGAIN, AcceptError::WouldBlock),
        (Errno::CONNABORTED, AcceptError::Connection),
        (Errno::PROTO, AcceptError::Connection),
        (Errno::NETDOWN, AcceptError::Connection),
        (Errno::MFILE, AcceptError::Resources),
        (Errno::NFILE, AcceptError::Resources),
        (Errno::NOBUFS, AcceptError::Resources),
        (Errno::NOMEM, AcceptError::Resources),
        (Errno::INVAL, AcceptError::Resources),
    ];
    for (errno, meaning) in of_accept {
        assert_eq!(errno::of_accept(errno), meaning, "{errno:?}");
    }
}

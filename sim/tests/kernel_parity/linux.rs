//! The kernel of this machine, over loopback, by the calls that the runtime makes.

use super::script::{ALL, Edges, SIDES, Side, Sockets, Who, add_edge};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType, sockopt,
};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tidegate_core::input::{AcceptError, Readiness, SocketError};

const FLAGS: SocketFlags = SocketFlags::NONBLOCK.union(SocketFlags::CLOEXEC);
const LISTENER: Token = Token(SIDES);
/// One wait for readiness.
const WAIT: Duration = Duration::from_millis(1);
/// So many waits in vain end a step whose edges are as expected.
const QUIET_WAITS: u32 = 1;
/// The same for pipes, through which bytes go on to flow.
const PIPE_QUIET_WAITS: u32 = 4;
/// The same after a FIN, whose ACK is an edge too, and waits for 40 ms.
const FIN_QUIET_WAITS: u32 = 60;
/// The last bytes into a window that is nearly closed wait for its probe, after 200 ms or
/// somewhat more.
const REST_WAITS: u32 = 300;
/// So many end any step: more only where soft interrupts are late on a busy machine.
const WAITS_MAX: u32 = 100;
/// A SYN is sent again after a second.
const RETRY_WAITS_MAX: u32 = 4000;
/// Linux doubles what is asked for. A segment on loopback is 64 KiB long, and less than a few of
/// them makes windows open by leaps.
const SEND_BUFFER: usize = 256 * 1024;
const RECV_BUFFER: usize = 4 * SEND_BUFFER;

/// Real sockets, and the poll that watches them.
pub(crate) struct Linux {
    poll: Poll,
    events: Events,
    is_fixed: bool,
    is_fin_sent: bool,
    listener: Option<OwnedFd>,
    address: SocketAddr,
    sockets: [Option<OwnedFd>; SIDES],
}

impl Linux {
    /// Nothing open. Each scenario has an address of its own, so that nobody else comes to listen
    /// where a script relies on nobody listening.
    pub(crate) fn new(scenario: usize) -> Linux {
        let [high, low] = (scenario as u16 + 1).to_be_bytes();
        Linux {
            poll: Poll::new().expect("epoll"),
            events: Events::with_capacity(64),
            is_fixed: false,
            is_fin_sent: false,
            listener: None,
            address: SocketAddr::new(Ipv4Addr::new(127, 77, high, low).into(), 0),
            sockets: Default::default(),
        }
    }

    fn socket(&self) -> OwnedFd {
        let fd = net::socket_with(AddressFamily::INET, SocketType::STREAM, FLAGS, None);
        let fd = fd.expect("a socket");
        sockopt::set_tcp_nodelay(&fd, true).expect("no delay");
        if self.is_fixed {
            sockopt::set_socket_send_buffer_size(&fd, SEND_BUFFER).expect("send buffer");
            sockopt::set_socket_recv_buffer_size(&fd, RECV_BUFFER).expect("receive buffer");
        }
        fd
    }

    fn watch(&self, fd: &OwnedFd, token: Token, interest: Interest) {
        let registry = self.poll.registry();
        registry.register(&mut SourceFd(&fd.as_raw_fd()), token, interest).expect("registered");
    }

    fn keep(&mut self, side: Side, fd: OwnedFd) {
        self.watch(&fd, Token(side as usize), Interest::READABLE | Interest::WRITABLE);
        self.sockets[side as usize] = Some(fd);
    }

    fn fd(&self, side: Side) -> &OwnedFd {
        self.sockets[side as usize].as_ref().expect("a script uses open sockets")
    }

    /// Waits once; whether there was anything.
    fn wait(&mut self, edges: &mut Edges) -> bool {
        if self.is_fixed {
            // A delayed ACK of bytes makes a step 40 ms longer, and changes nothing else.
            for fd in self.sockets.iter().flatten() {
                let _ = sockopt::set_tcp_quickack(fd, true);
            }
        }
        self.poll.poll(&mut self.events, Some(WAIT)).expect("epoll_wait");
        for event in &self.events {
            let told = Readiness {
                readable: event.is_readable(),
                writable: event.is_writable(),
                read_closed: event.is_read_closed(),
                error: event.is_error(),
            };
            let who = match event.token() {
                LISTENER => Who::Listener,
                Token(side) => Who::Socket(ALL[side]),
            };
            add_edge(edges, who, told);
        }
        !self.events.is_empty()
    }
}

impl Sockets for Linux {
    fn fix_sizes(&mut self) {
        self.is_fixed = true;
    }

    fn listen(&mut self, backlog: u32) {
        let fd = self.socket();
        sockopt::set_socket_reuseaddr(&fd, true).expect("reuse");
        net::bind(&fd, &self.address).expect("bound");
        net::listen(&fd, backlog as i32).expect("listening");
        let at = net::getsockname(&fd).expect("a name");
        self.address = SocketAddr::try_from(at).expect("an IP address");
        self.watch(&fd, LISTENER, Interest::READABLE);
        self.listener = Some(fd);
    }

    fn unlisten(&mut self) {
        self.listener = None;
    }

    fn connect(&mut self, side: Side) -> Result<(), SocketError> {
        let fd = self.socket();
        match net::connect(&fd, &self.address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(of_socket(errno)),
        }
        self.keep(side, fd);
        Ok(())
    }

    fn accept(&mut self, side: Side) -> Result<(), AcceptError> {
        let listener = self.listener.as_ref().expect("a listener");
        let fd = net::accept_with(listener, FLAGS).map_err(|errno| match errno {
            Errno::AGAIN => AcceptError::WouldBlock,
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => AcceptError::Resources,
            _ => AcceptError::Connection,
        })?;
        self.keep(side, fd);
        Ok(())
    }

    fn send(&mut self, side: Side, bytes: &[u8]) -> Result<usize, SocketError> {
        net::send(self.fd(side), bytes, SendFlags::NOSIGNAL).map_err(of_socket)
    }

    fn recv(&mut self, side: Side, into: &mut [u8]) -> Result<usize, SocketError> {
        net::recv(self.fd(side), into, RecvFlags::empty()).map(|(n, _)| n).map_err(of_socket)
    }

    fn shutdown(&mut self, side: Side) {
        self.is_fin_sent = true;
        // As in the runtime: a peer who was faster is no news.
        let _ = net::shutdown(self.fd(side), Shutdown::Write);
    }

    fn close(&mut self, side: Side, with_reset: bool) {
        let fd = self.sockets[side as usize].take().expect("a script closes what is open");
        if with_reset {
            sockopt::set_socket_linger(&fd, Some(Duration::ZERO)).expect("linger");
        }
    }

    fn settle(&mut self, edges: &mut Edges, is_enough: &mut dyn FnMut(&Edges) -> bool) {
        let quiet_waits = match (std::mem::take(&mut self.is_fin_sent), self.is_fixed) {
            (true, _) => FIN_QUIET_WAITS,
            (false, true) => PIPE_QUIET_WAITS,
            (false, false) => QUIET_WAITS,
        };
        let mut quiet = 0;
        for _ in 0..WAITS_MAX {
            quiet = if self.wait(edges) { 0 } else { quiet + 1 };
            if quiet >= quiet_waits && is_enough(edges) {
                return;
            }
        }
    }

    fn rest(&mut self, edges: &mut Edges) {
        let mut quiet = 0;
        while quiet < REST_WAITS {
            quiet = if self.wait(edges) { 0 } else { quiet + 1 };
        }
    }

    fn wait_for(&mut self, side: Side, edges: &mut Edges) {
        for _ in 0..RETRY_WAITS_MAX {
            if edges.contains_key(&Who::Socket(side)) {
                break;
            }
            self.wait(edges);
        }
        self.settle(edges, &mut |_| true);
    }
}

/// As the runtime reads them.
fn of_socket(errno: Errno) -> SocketError {
    match errno {
        Errno::AGAIN => SocketError::WouldBlock,
        Errno::CONNREFUSED => SocketError::Refused,
        Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED | Errno::NOTCONN => SocketError::Reset,
        Errno::TIMEDOUT => SocketError::TimedOut,
        other => panic!("no scenario should see {other}"),
    }
}

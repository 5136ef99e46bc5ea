//! The side that loads: a fixed number of connections in a closed loop, each with one exchange
//! under way. An exchange that ends its connection is given a new one at once.

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// The longest wait for an event; the deadline is looked at in between.
const TICK: Duration = Duration::from_millis(20);
const EVENTS: usize = 1024;

/// Where and how long.
pub(crate) struct Plan {
    pub(crate) port: u16,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
}

/// What was completed. Which fields a load fills depends on its kind.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Round trips, or connections of which all was checked.
    pub(crate) units: u64,
    /// Bytes that came back.
    pub(crate) bytes: u64,
    pub(crate) full: u64,
    pub(crate) resumed: u64,
}

/// A finished load; with an `error` it proves nothing.
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    pub(crate) time: Duration,
    pub(crate) error: Option<String>,
}

/// What a connection needs next.
pub(crate) enum Step {
    /// The next event.
    Wait,
    /// To go on, once the others had their turn.
    Yield,
    /// To be closed.
    Close,
}

/// What is done over one connection after another.
pub(crate) trait Exchange {
    /// A new connection is about to be used; nothing of the last one counts any more.
    fn open(&mut self) -> io::Result<()>;

    /// The connection can be read or written, or both. Events come by edges: it must be read
    /// until less came than fits, and written until all is sent or nothing is taken.
    fn ready(&mut self, stream: &mut TcpStream, tally: &mut Tally) -> io::Result<Step>;
}

struct Slot<E> {
    stream: TcpStream,
    connected: bool,
    /// Something was completed here: a slot that never got anywhere makes the load void.
    worked: bool,
    exchange: E,
}

impl<E: Exchange> Slot<E> {
    fn new(mut exchange: E, plan: &Plan, poll: &Poll, token: Token) -> io::Result<Self> {
        exchange.open()?;
        let stream = connect(plan, poll, token)?;
        Ok(Self { stream, connected: false, worked: false, exchange })
    }

    fn ready(&mut self, plan: &Plan, poll: &Poll, token: Token, all: &mut Tally) -> io::Result<()> {
        if !self.connected {
            if let Some(error) = self.stream.take_error()? {
                return Err(error);
            }
            self.connected = true;
        }
        let before = *all;
        let step = self.exchange.ready(&mut self.stream, all)?;
        self.worked |= *all != before;
        match step {
            Step::Wait => Ok(()),
            Step::Yield => rearm(&mut self.stream, poll, token),
            Step::Close => {
                self.exchange.open()?;
                self.stream = connect(plan, poll, token)?;
                self.connected = false;
                Ok(())
            }
        }
    }
}

fn connect(plan: &Plan, poll: &Poll, token: Token) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, plan.port)))?;
    stream.set_nodelay(true)?;
    poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
    Ok(stream)
}

/// Asks for another event at once where the edge may have been used up.
pub(crate) fn rearm(stream: &mut TcpStream, poll: &Poll, token: Token) -> io::Result<()> {
    poll.registry().reregister(stream, token, Interest::READABLE | Interest::WRITABLE)
}

#[expect(clippy::disallowed_methods, reason = "a load that lasts a given time needs a clock")]
fn now() -> Instant {
    Instant::now()
}

/// Runs `make(slot)`'s exchange over each connection until the plan's time is over or one fails.
pub(crate) fn run<E: Exchange>(plan: &Plan, make: impl Fn(usize) -> E) -> io::Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(EVENTS);
    let start = now();
    let mut slots = (0..plan.connections)
        .map(|slot| Slot::new(make(slot), plan, &poll, Token(slot)))
        .collect::<io::Result<Vec<_>>>()?;
    let mut tally = Tally::default();
    let mut error = None;
    while error.is_none() && start.elapsed() < plan.time {
        match poll.poll(&mut events, Some(TICK)) {
            Err(failure) if failure.kind() != io::ErrorKind::Interrupted => return Err(failure),
            _ => {}
        }
        for event in &events {
            let slot = &mut slots[event.token().0];
            if slot.connected || event.is_writable() || event.is_error() {
                let result = slot.ready(plan, &poll, event.token(), &mut tally);
                error = error.or(result.err().map(|failure| failure.to_string()));
            }
        }
    }
    let time = start.elapsed();
    let idle = slots.iter().filter(|slot| !slot.worked).count();
    if error.is_none() && idle > 0 {
        error = Some(format!("{idle} connections completed nothing"));
    }
    Ok(Outcome { tally, time, error })
}

/// Reads once: nothing when no byte is there now, 0 at the end.
pub(crate) fn read(stream: &mut TcpStream, into: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        match stream.read(into) {
            Ok(count) => return Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Writes what is taken of `bytes` from `sent` on, and says whether all is sent.
pub(crate) fn write(stream: &mut TcpStream, bytes: &[u8], sent: &mut usize) -> io::Result<bool> {
    while *sent < bytes.len() {
        match stream.write(&bytes[*sent..]) {
            Ok(count) => *sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

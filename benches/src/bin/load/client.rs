//! The side that loads: a fixed number of connections in a closed loop, each with one exchange
//! under way. An exchange that ends its connection is given a new one at once, until the time is
//! over; then those under way are completed, so that no work is paid for and not counted.

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// The longest wait for an event; the deadline is looked at in between.
const TICK: Duration = Duration::from_millis(20);
const EVENTS: usize = 1024;
/// How long exchanges may take to end once no new one is begun.
const DRAIN: Duration = Duration::from_secs(5);

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
    /// It ends its connection by itself.
    const ENDS: bool = false;

    /// A new connection is about to be used; nothing of the last one counts any more.
    fn open(&mut self) -> io::Result<()>;

    /// The connection can be read or written, or both. Events come by edges: it must be read
    /// until less came than fits, and written until all is sent or nothing is taken.
    fn ready(&mut self, stream: &mut TcpStream, tally: &mut Tally) -> io::Result<Step>;
}

struct Slot<E> {
    /// None once it is over.
    stream: Option<TcpStream>,
    connected: bool,
    /// Something was completed here: a slot that never got anywhere makes the load void.
    worked: bool,
    exchange: E,
}

impl<E: Exchange> Slot<E> {
    fn new(mut exchange: E, plan: &Plan, poll: &Poll, token: Token) -> io::Result<Self> {
        exchange.open()?;
        let stream = Some(connect(plan, poll, token)?);
        Ok(Self { stream, connected: false, worked: false, exchange })
    }

    /// Goes on at an event; true when its connection ended.
    fn ready(&mut self, poll: &Poll, token: Token, all: &mut Tally) -> io::Result<bool> {
        let Some(stream) = &mut self.stream else { return Ok(false) };
        if !self.connected {
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            self.connected = true;
        }
        let before = *all;
        let step = self.exchange.ready(stream, all)?;
        self.worked |= *all != before;
        match step {
            Step::Wait => Ok(false),
            Step::Yield => rearm(stream, poll, token).map(|()| false),
            Step::Close => Ok(true),
        }
    }

    fn reopen(&mut self, plan: &Plan, poll: &Poll, token: Token) -> io::Result<()> {
        self.exchange.open()?;
        self.stream = Some(connect(plan, poll, token)?);
        self.connected = false;
        Ok(())
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
    let mut error: Option<io::Error> = None;
    let mut open = if E::ENDS { slots.len() } else { 0 };
    let more = || start.elapsed() < plan.time;
    while error.is_none() && (more() || (open > 0 && start.elapsed() < plan.time + DRAIN)) {
        match poll.poll(&mut events, Some(TICK)) {
            Err(failure) if failure.kind() != io::ErrorKind::Interrupted => return Err(failure),
            _ => {}
        }
        for event in &events {
            let (token, slot) = (event.token(), &mut slots[event.token().0]);
            if !slot.connected && !event.is_writable() && !event.is_error() {
                continue;
            }
            let result = slot.ready(&poll, token, &mut tally).and_then(|ended| match ended {
                false => Ok(()),
                true if more() => slot.reopen(plan, &poll, token),
                true => {
                    slot.stream = None;
                    open = open.saturating_sub(1);
                    Ok(())
                }
            });
            error = error.or(result.err());
        }
    }
    let time = start.elapsed();
    let idle = slots.iter().filter(|slot| !slot.worked).count();
    let error = match error {
        Some(error) => Some(error.to_string()),
        None if idle > 0 => Some(format!("{idle} connections completed nothing")),
        None if open > 0 => Some(format!("{open} connections did not end in {DRAIN:?}")),
        None => None,
    };
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

//! The language of the scenarios, and their interpreter: one script, two kernels.
//!
//! A step does one thing to one socket and lets both kernels come to rest. What is seen is text:
//! the result of the call, then the readiness edges since the step before, by socket. `b:rw` reads
//! "an edge at b, which was then readable and writable"; `c` says that the peer has finished
//! writing, `e` that the socket is in error. Several edges of one socket within a step are one,
//! with all that they told, for that is what a poll after the step would make of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use tidegate_core::input::{AcceptError, Readiness, SocketError};

/// A socket by its role. `A`, `C`, `E` and `G` connect; `B`, `D`, `F` and `H` are accepted; a
/// connection is a pair of neighbours.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Side {
    A,
    B,
    C,
    D,
    E,
    F,
    G,
    H,
}

/// Every side, in order.
pub(crate) const ALL: [Side; 8] =
    [Side::A, Side::B, Side::C, Side::D, Side::E, Side::F, Side::G, Side::H];

/// How many sides there are.
pub(crate) const SIDES: usize = ALL.len();

impl Side {
    /// The far end of the same connection.
    fn peer(self) -> Side {
        use Side::{A, B, C, D, E, F, G, H};
        [B, A, D, C, F, E, H, G][self as usize]
    }
}

/// Whom an edge is of.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Who {
    Socket(Side),
    Listener,
}

/// The edges since the last step.
pub(crate) type Edges = BTreeMap<Who, Readiness>;

/// Adds an edge to those of the same step.
pub(crate) fn add_edge(edges: &mut Edges, who: Who, told: Readiness) {
    let sum = edges.entry(who).or_default();
    sum.readable |= told.readable;
    sum.writable |= told.writable;
    sum.read_closed |= told.read_closed;
    sum.error |= told.error;
}

/// One step of a scenario.
#[derive(Copy, Clone, Debug)]
pub(crate) enum Step {
    /// Listens, for this many connections and one to wait.
    Listen(u32),
    /// Closes the listener. Connecting goes on to aim at its address.
    Unlisten,
    Connect(Side),
    Accept(Side),
    /// Writes so many bytes.
    Send(Side, usize),
    /// Sends nothing, and so asks whether the connection stands.
    Probe(Side),
    /// Reads so many bytes at most.
    Recv(Side, usize),
    /// Reads until nothing is left, waiting for what follows: tells whether all arrived that the
    /// peer wrote, and what stands behind the last byte. Edges of the reader are not told, and of
    /// the writer only that it became writable: how many there are depends on sizes.
    Drain(Side),
    /// Writes until nothing more is taken and nothing moves. Edges as for `Drain`.
    Fill(Side),
    /// Reads bit by bit until the peer's writable edge, and tells how large a part of all that the
    /// peer had written that took.
    Trickle(Side),
    /// Reads this percentage of all that the peer wrote, in one go.
    Gulp(Side, usize),
    /// Writes this percentage of what filled the pipe of `A`, piece by piece, never blocked.
    Pour(Side, usize),
    Shutdown(Side),
    Close(Side),
    /// Closes with SO_LINGER 0.
    Reset(Side),
    /// Waits for an edge of this socket that only comes with a retransmission.
    Await(Side),
    /// Several steps before the kernel is asked for edges.
    Together(&'static [Step]),
}

/// A step, and what is to be seen. Where Linux may answer in two ways, ` | ` stands between them,
/// and all lines of a scenario go the same way.
pub(crate) type Line = (Step, &'static str);

/// How connections of a scenario are made.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Opening {
    /// The script does everything.
    Bare,
    /// `A` is connected to `B`, and the edges of that are gone.
    Pair,
    /// As `Pair`, with buffers of fixed sizes, to be filled.
    FixedPair,
}

/// A scenario: what it shows, and its steps.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Scenario {
    pub name: &'static str,
    pub opening: Opening,
    pub lines: &'static [Line],
    /// Why Linux may answer in two ways, where it may.
    pub two_ways: Option<&'static str>,
}

impl Scenario {
    /// Linux may answer in two ways, for this reason.
    pub(crate) const fn in_two_ways(self, why: &'static str) -> Scenario {
        Scenario { two_ways: Some(why), ..self }
    }

    /// Whether `seen` is, from the first line to the last, one of the ways that are allowed.
    pub(crate) fn allows(&self, seen: &[String]) -> bool {
        (0..2).any(|way| {
            let mut pairs = self.lines.iter().zip(seen);
            pairs.all(|((_, expected), seen)| *seen == nth_way(expected, way))
        })
    }
}

fn nth_way(expected: &'static str, way: usize) -> &'static str {
    let mut ways = expected.split(" | ");
    let first = ways.next().unwrap_or_default();
    if way == 0 { first } else { ways.next().unwrap_or(first) }
}

/// A scenario that opens its own connections.
pub(crate) const fn bare(name: &'static str, lines: &'static [Line]) -> Scenario {
    Scenario { name, opening: Opening::Bare, lines, two_ways: None }
}

/// A scenario on an established connection.
pub(crate) const fn pair(name: &'static str, lines: &'static [Line]) -> Scenario {
    Scenario { name, opening: Opening::Pair, lines, two_ways: None }
}

/// A scenario on an established connection with buffers of fixed sizes.
pub(crate) const fn pipe(name: &'static str, lines: &'static [Line]) -> Scenario {
    Scenario { name, opening: Opening::FixedPair, lines, two_ways: None }
}

/// A kernel: the calls that the proxy makes, with errors as the core knows them.
pub(crate) trait Sockets {
    /// Buffers have fixed sizes from now on, the receiver's four times the sender's.
    fn fix_sizes(&mut self);
    fn listen(&mut self, backlog: u32);
    fn unlisten(&mut self);
    fn connect(&mut self, side: Side) -> Result<(), SocketError>;
    fn accept(&mut self, side: Side) -> Result<(), AcceptError>;
    fn send(&mut self, side: Side, bytes: &[u8]) -> Result<usize, SocketError>;
    fn recv(&mut self, side: Side, into: &mut [u8]) -> Result<usize, SocketError>;
    fn shutdown(&mut self, side: Side);
    fn close(&mut self, side: Side, with_reset: bool);
    /// Lets everything under way arrive, and adds the edges. `is_enough` says whether those so far
    /// are what somebody waits for; without it a kernel may still be busy.
    fn settle(&mut self, edges: &mut Edges, is_enough: &mut dyn FnMut(&Edges) -> bool);
    /// As `settle`, but until a full pipe has come to rest.
    fn rest(&mut self, edges: &mut Edges);
    /// As `settle`, but goes on for some seconds until there is an edge of `side`.
    fn wait_for(&mut self, side: Side, edges: &mut Edges);
}

/// Byte number `at` of every stream.
fn byte(at: usize) -> u8 {
    (at * 7 + at / 251) as u8
}

/// Runs a scenario; what was seen, line by line.
pub(crate) fn run(scenario: &Scenario, kernel: &mut dyn Sockets) -> Vec<String> {
    let mut run = Run { kernel, written: [0; SIDES], read: [0; SIDES] };
    if scenario.opening == Opening::FixedPair {
        run.kernel.fix_sizes();
    }
    if scenario.opening != Opening::Bare {
        for &(step, expected) in OPENING {
            run.line(step, expected);
        }
    }
    scenario.lines.iter().map(|&(step, expected)| run.line(step, expected)).collect()
}

const OPENING: &[Line] = &[
    (Step::Listen(16), "ok"),
    (Step::Connect(Side::A), "ok a:w listener:r"),
    (Step::Accept(Side::B), "ok b:w"),
];

/// Whether `seen` is one of the ways that `expected` allows.
fn is_allowed(expected: &str, seen: &str) -> bool {
    expected.split(" | ").any(|one| one == seen)
}

struct Run<'a> {
    kernel: &'a mut dyn Sockets,
    written: [usize; SIDES],
    read: [usize; SIDES],
}

impl Run<'_> {
    fn line(&mut self, step: Step, expected: &str) -> String {
        let mut edges = Edges::new();
        let result = self.step(step, &mut edges);
        match step {
            Step::Await(side) => self.kernel.wait_for(side, &mut edges),
            _ => self
                .kernel
                .settle(&mut edges, &mut |edges| is_allowed(expected, &seen(step, &result, edges))),
        }
        seen(step, &result, &edges)
    }

    fn step(&mut self, step: Step, edges: &mut Edges) -> String {
        match step {
            Step::Listen(backlog) => self.kernel.listen(backlog),
            Step::Unlisten => self.kernel.unlisten(),
            Step::Connect(side) => return outcome(self.kernel.connect(side).map(|()| "ok")),
            Step::Accept(side) => {
                return match self.kernel.accept(side) {
                    Ok(()) => "ok".to_owned(),
                    Err(AcceptError::WouldBlock) => "would block".to_owned(),
                    Err(error) => format!("{error:?}"),
                };
            }
            Step::Send(side, n) => return outcome(self.send(side, n)),
            Step::Probe(side) => return outcome(self.kernel.send(side, &[]).map(|_| "ok")),
            Step::Recv(side, n) => return outcome(self.recv(side, n)),
            Step::Drain(side) => return self.drain(side, edges),
            Step::Fill(side) => return self.fill(side, edges),
            Step::Trickle(side) => return self.trickle(side, edges),
            Step::Gulp(side, percent) => {
                let n = self.written[side.peer() as usize] * percent / 100;
                return match self.recv(side, n) {
                    Ok(got) if got == n => "all".to_owned(),
                    Ok(_) => "some".to_owned(),
                    Err(error) => error,
                };
            }
            Step::Pour(side, percent) => return self.pour(side, percent, edges),
            Step::Shutdown(side) => self.kernel.shutdown(side),
            Step::Close(side) => self.kernel.close(side, false),
            Step::Reset(side) => self.kernel.close(side, true),
            Step::Await(_) => {}
            Step::Together(steps) => {
                let results: Vec<String> =
                    steps.iter().map(|&step| self.step(step, edges)).collect();
                return results.join(", ");
            }
        }
        "ok".to_owned()
    }

    fn send(&mut self, side: Side, n: usize) -> Result<usize, SocketError> {
        let from = self.written[side as usize];
        let bytes: Vec<u8> = (from..from + n).map(byte).collect();
        let taken = self.kernel.send(side, &bytes)?;
        self.written[side as usize] += taken;
        Ok(taken)
    }

    /// Reads and compares; what is read in two halves must not differ from what is read in one.
    fn recv(&mut self, side: Side, n: usize) -> Result<usize, String> {
        let mut buffer = vec![0; n];
        let got = self.kernel.recv(side, &mut buffer).map_err(|error| format!("{error:?}"))?;
        let from = self.read[side as usize];
        if !buffer[..got].iter().enumerate().all(|(at, &found)| found == byte(from + at)) {
            return Err(format!("bytes {from}.. are not those that were sent"));
        }
        self.read[side as usize] += got;
        Ok(got)
    }

    fn drain(&mut self, side: Side, edges: &mut Edges) -> String {
        let mut told = Edges::new();
        let ending = loop {
            match self.recv(side, 1 << 18) {
                Ok(0) => break "the end".to_owned(),
                Ok(_) => {}
                Err(error) if error == "WouldBlock" => {
                    let before = told.remove(&Who::Socket(side));
                    self.kernel.settle(&mut told, &mut |_| true);
                    if before.is_none() && !told.contains_key(&Who::Socket(side)) {
                        break "would block".to_owned();
                    }
                }
                Err(error) => break error,
            }
        };
        self.tell_others(side, told, edges);
        let part = match self.written[side.peer() as usize] - self.read[side as usize] {
            0 => "all",
            _ => "not all",
        };
        format!("{part}, {}", tidy(&ending))
    }

    fn fill(&mut self, side: Side, edges: &mut Edges) -> String {
        let mut told = Edges::new();
        let (mut is_moving, mut is_at_rest) = (false, false);
        let ending = loop {
            match self.send(side, 1 << 16) {
                Ok(_) => (is_moving, is_at_rest) = (true, false),
                Err(SocketError::WouldBlock) if is_moving => {
                    is_moving = false;
                    self.kernel.settle(&mut told, &mut |_| true);
                }
                Err(SocketError::WouldBlock) if !is_at_rest => {
                    is_at_rest = true;
                    self.kernel.rest(&mut told);
                }
                Err(error) => break outcome::<usize>(Err(error)),
            }
        };
        self.tell_others(side, told, edges);
        ending
    }

    fn pour(&mut self, side: Side, percent: usize, edges: &mut Edges) -> String {
        let piece = self.written[Side::A as usize] / 100;
        for _ in 0..percent {
            match self.send(side, piece) {
                Ok(n) if n == piece => self.kernel.settle(edges, &mut |_| true),
                _ => return "not all".to_owned(),
            }
        }
        self.kernel.rest(edges);
        "all".to_owned()
    }

    fn tell_others(&self, side: Side, told: Edges, edges: &mut Edges) {
        for (who, edge) in told {
            if who != Who::Socket(side) {
                add_edge(edges, who, edge);
            }
        }
    }

    fn trickle(&mut self, side: Side, edges: &mut Edges) -> String {
        let writer = Who::Socket(side.peer());
        let pipe = self.written[side.peer() as usize];
        let mut told = Edges::new();
        let mut drained = 0;
        while !told.get(&writer).is_some_and(|edge| edge.writable) {
            match self.recv(side, pipe / 96) {
                Ok(n) if n > 0 => drained += n,
                _ => return "never".to_owned(),
            }
            self.kernel.settle(&mut told, &mut |_| true);
        }
        self.tell_others(side, told, edges);
        match drained * 96 / pipe {
            ..8 => format!("early ({drained} of {pipe})"),
            8..32 => "about a sixth".to_owned(),
            _ => format!("late ({drained} of {pipe})"),
        }
    }
}

fn outcome<T: std::fmt::Display>(result: Result<T, impl std::fmt::Debug>) -> String {
    match result {
        Ok(value) => value.to_string(),
        Err(error) => tidy(format!("{error:?}").trim_matches('"')),
    }
}

fn tidy(error: &str) -> String {
    match error {
        "WouldBlock" => "would block".to_owned(),
        "Refused" | "Reset" | "Unreachable" | "TimedOut" => error.to_lowercase(),
        other => other.to_owned(),
    }
}

/// The text of one line. For the steps in bulk, edges of the one that acts are left out.
fn seen(step: Step, result: &str, edges: &Edges) -> String {
    let actor = match step {
        Step::Drain(side) | Step::Fill(side) | Step::Trickle(side) => Some(Who::Socket(side)),
        _ => None,
    };
    let mut text = result.to_owned();
    for (who, told) in edges.iter().filter(|(who, _)| Some(**who) != actor) {
        let _ = match who {
            Who::Socket(side) => write!(text, " {}:", format!("{side:?}").to_lowercase()),
            Who::Listener => write!(text, " listener:"),
        };
        let flags = [
            (told.readable, 'r'),
            (told.writable, 'w'),
            (told.read_closed, 'c'),
            (told.error, 'e'),
        ];
        text.extend(flags.iter().filter(|(is_on, _)| *is_on).map(|(_, letter)| letter));
    }
    text
}

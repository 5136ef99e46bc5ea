//! Facts and events in words: lines of the readable trace, and sentences of an explanation.

use super::plain::plain;
use super::{Call, Fact, Ledger, Who};
use crate::cx::{Ev, Flight};
use crate::kernel::Ep;
use crate::oracle::Side;
use std::fmt;
use tidegate_core::effect::Close;
use tidegate_core::input::Readiness;

/// A line of the readable trace.
impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fact::Wire { to, flight, .. } => write!(f, "wire: {flight:?} -> {to}"),
            Fact::Held(to, flight) => write!(f, "wire: {flight:?} -> {to} is held"),
            Fact::Ready(id, _, mask) => write!(f, "proxy: ready {id:?} {mask:?}"),
            Fact::Called(id, ep, call) => {
                write!(f, "proxy: ")?;
                match call {
                    Call::Accept(front, client) => {
                        write!(f, "accept {id:?} = client {client}'s connection {front}")?;
                    }
                    Call::Connect(back, server) => {
                        write!(f, "connect {id:?} to server {server} = connection {back}")?;
                    }
                    Call::Recv(result) => write!(f, "recv {id:?} = {result:?}")?,
                    Call::Send(offered, result) => {
                        write!(f, "send {id:?} {offered} bytes = {result:?}")?;
                    }
                    Call::Probe(result) => write!(f, "does {id:?} stand? {result:?}")?,
                    Call::Shutdown => write!(f, "shutdown {id:?}")?,
                    Call::Close(how) => write!(f, "close {id:?} {how:?}")?,
                    Call::KeepAlive => write!(f, "keep {id:?} alive")?,
                }
                write!(f, " [{ep}]")
            }
            Fact::Said(who, text) => match who {
                Who::World => write!(f, "{text}"),
                Who::Proxy => write!(f, "proxy: {text}"),
                Who::Client(c) | Who::Asks(c, _) => write!(f, "client {c}: {text}"),
                Who::Server(s) => write!(f, "server {s}: {text}"),
                Who::Back(b) | Who::Answers(b, _) => write!(f, "backend conn {b}: {text}"),
                Who::Episode(n) => write!(f, "episode {n}: {text}"),
                Who::Operator => write!(f, "control: {text}"),
            },
        }
    }
}

/// Virtual nanoseconds as seconds, to the microsecond.
pub fn clock(at: u64) -> String {
    format!("{}.{:06} s", at / 1_000_000_000, at / 1000 % 1_000_000)
}

/// The connection of `ep` in words, from the proxy's point of view.
fn conn(ledger: &Ledger, ep: Ep) -> String {
    match ledger.sides.get(ep as usize / 2) {
        Some(Side::Front(front)) => {
            let client = ledger.fronts.get(*front as usize).map_or(0, |front| front.peer);
            format!("connection {front} (client {client})")
        }
        Some(Side::Back(back)) => {
            let server = ledger.backs.get(*back as usize).map_or(0, |back| back.peer);
            format!("connection {back} to server {server}")
        }
        None => format!("socket {ep}"),
    }
}

/// Who sits at `ep`.
fn end(ledger: &Ledger, ep: Ep) -> String {
    match ledger.sides.get(ep as usize / 2) {
        Some(Side::Front(front)) if ep & 1 == 0 => {
            format!("client {}", ledger.fronts.get(*front as usize).map_or(0, |front| front.peer))
        }
        Some(Side::Back(back)) if ep & 1 == 1 => {
            format!("server {}", ledger.backs.get(*back as usize).map_or(0, |back| back.peer))
        }
        _ => "the proxy".into(),
    }
}

fn flight_words(flight: Flight) -> String {
    match flight {
        Flight::Syn => "a SYN".into(),
        Flight::SynAck => "a SYN+ACK".into(),
        Flight::Data(1) => "1 byte".into(),
        Flight::Data(n) => format!("{n} bytes"),
        Flight::Fin => "a FIN".into(),
        Flight::Rst => "a reset".into(),
        Flight::Refused => "a refusal".into(),
    }
}

/// `verb` as it goes with what flies.
fn plural(flight: Flight, verb: &str) -> String {
    if let Flight::Data(2..) = flight { verb.into() } else { format!("{verb}s") }
}

fn mask_words(mask: Readiness) -> String {
    let all = [
        (mask.readable, "readable"),
        (mask.writable, "writable"),
        (mask.read_closed, "finished by the peer"),
        (mask.error, "in error"),
    ];
    let on: Vec<&str> = all.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name).collect();
    on.join(", ")
}

fn outcome<T: fmt::Display, E: fmt::Debug>(result: Result<T, E>) -> String {
    match result {
        Ok(n) => n.to_string(),
        Err(error) => format!("{error:?}"),
    }
}

fn call_words(ledger: &Ledger, ep: Ep, call: Call) -> String {
    let on = conn(ledger, ep);
    match call {
        Call::Accept(..) => format!("the proxy accepts {on}"),
        Call::Connect(..) => format!("the proxy begins to connect {on}"),
        Call::Recv(Ok(0)) => format!("the proxy reads the end of {on}"),
        Call::Recv(Ok(n)) => format!("the proxy reads {n} bytes from {on}"),
        Call::Recv(Err(error)) => format!("the proxy reads {on}: {error:?}"),
        Call::Send(offered, Ok(n)) if n == offered => {
            format!("the proxy writes {n} bytes to {on}")
        }
        Call::Send(offered, Ok(n)) => {
            format!("the proxy writes {n} of {offered} bytes to {on}: no room for the rest")
        }
        Call::Send(offered, Err(error)) => {
            format!("the proxy would write {offered} bytes to {on}: {error:?}")
        }
        Call::Probe(result) => {
            format!("the proxy asks whether {on} stands: {}", outcome(result.map(|()| "it does")))
        }
        Call::Shutdown => format!("the proxy finishes writing to {on}"),
        Call::Close(Close::Normal) => format!("the proxy closes {on}"),
        Call::Close(Close::Reset) => format!("the proxy resets {on}"),
        Call::KeepAlive => format!("the proxy asks for keep-alive probes on {on}"),
    }
}

/// A fact as a sentence without its full stop.
pub fn fact_words(ledger: &Ledger, fact: &Fact) -> String {
    match fact {
        Fact::Wire { to, flight, .. } => {
            let (what, to_whom) = (flight_words(*flight), end(ledger, *to));
            let (from, verb) = (end(ledger, *to ^ 1), plural(*flight, "arrive"));
            format!("{what} from {from} {verb} at {to_whom} on {}", conn(ledger, *to))
        }
        Fact::Held(to, flight) => {
            let what = flight_words(*flight);
            let verb = plural(*flight, "wait");
            format!("{what} for {} {verb} before a clogged link", end(ledger, *to))
        }
        Fact::Ready(_, Some(ep), mask) => {
            format!("the proxy is told that {} is {}", conn(ledger, *ep), mask_words(*mask))
        }
        Fact::Ready(_, None, _) => "the proxy is told that a listener has connections".into(),
        Fact::Called(_, ep, call) => call_words(ledger, *ep, *call),
        Fact::Said(who, text) => said_words(ledger, *who, &plain(text)),
    }
}

fn said_words(ledger: &Ledger, who: Who, text: &str) -> String {
    match who {
        Who::World => text.to_string(),
        Who::Proxy => format!("the proxy: {text}"),
        Who::Client(c) | Who::Asks(c, _) => format!("client {c} {text}"),
        Who::Server(s) => format!("server {s} {text}"),
        Who::Back(b) | Who::Answers(b, _) => {
            let server = ledger.backs.get(b as usize).map_or(0, |back| back.peer);
            format!("server {server}, on connection {b}, {text}")
        }
        Who::Episode(n) => format!("fault {n} {text}"),
        Who::Operator => format!("the operator: {text}"),
    }
}

/// What was due in an event, in words.
pub fn event_words(ledger: &Ledger, ev: Ev) -> String {
    match ev {
        Ev::Flight(to, flight) => {
            let (what, from) = (flight_words(flight), end(ledger, to ^ 1));
            let verb = if let Flight::Data(2..) = flight { "reach" } else { "reaches" };
            format!("{what} from {from} {verb} {}, on {}", end(ledger, to), conn(ledger, to))
        }
        Ev::Turn => "the proxy wakes and takes a turn".into(),
        Ev::Client(c, _) => format!("client {c} acts"),
        Ev::BackConn(b, _) => format!("a server acts on its accepted connection {b}"),
        Ev::BackAccept(server) => format!("server {server} accepts late"),
        Ev::Episode(n, true) => format!("fault {n} begins"),
        Ev::Episode(n, false) => format!("fault {n} ends"),
        Ev::Control => "the operator changes the configuration".into(),
        Ev::Phase => "the next phase is due".into(),
    }
}

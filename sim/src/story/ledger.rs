//! What the oracle's ledger and the kernel knew at the end of a run, for those who tell of it.

use super::words::clock;
use crate::kernel::Net;
use crate::oracle::ledger::{Answer, Ask, Attempt, Plan, Row};
use crate::oracle::{Oracle, Side};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use tidegate_core::input::Address;

/// A connection.
#[derive(Clone, Debug)]
pub struct Conn {
    /// The client, or the server.
    pub peer: u32,
    /// Its active end.
    pub active: u32,
    /// Of a connection to a server: the client's connection whose tunnel it belongs to.
    pub tunnel: Option<u32>,
    /// Where its active end is.
    pub from: SocketAddr,
    /// Where its passive end is.
    pub to: SocketAddr,
    /// What there is to know of it, line by line.
    pub facts: Vec<String>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// The client's connection.
    pub front: u32,
    /// What was asked, in one line.
    pub ask: String,
    /// Connections to servers that it was sent on, and when, in virtual nanoseconds.
    pub sent: Vec<(u32, u64)>,
    /// When its answer was whole, in virtual nanoseconds.
    pub answered: Option<u64>,
    /// What became of it, line by line.
    pub facts: Vec<String>,
}

/// What was known at the end.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Which connection each pair of ends is, by half the number of an end.
    pub sides: Vec<Side>,
    /// Connections of clients.
    pub fronts: Vec<Conn>,
    /// Connections to servers.
    pub backs: Vec<Conn>,
    /// Requests.
    pub requests: Vec<Request>,
}

/// The proxy's own port on a connection to a server, which nobody but a capture asks for.
const BACK_PORTS: u32 = 20_000;

impl Ledger {
    /// What `oracle` and `net` know.
    pub(crate) fn of(oracle: &Oracle, net: &Net) -> Ledger {
        let ends = net.eps.len() as u32 / 2;
        let to = |ep: u32| match net.address(net.ep(ep).address) {
            Address::Ip(at) => *at,
            _ => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        };
        let fronts = oracle.fronts.iter().map(|front| Conn {
            peer: front.client,
            tunnel: None,
            active: front.ep & !1,
            from: front.address,
            to: to(front.ep),
            facts: front_facts(front),
        });
        let backs = (0_u32..).zip(&oracle.backs).map(|(n, back)| {
            let port = (BACK_PORTS + n % 40_000) as u16;
            Conn {
                peer: back.server.into(),
                tunnel: back.tunnel.map(|id| oracle.tunnels[id as usize].front),
                active: back.ep & !1,
                from: SocketAddr::new(Ipv4Addr::new(10, 0, 0, 1).into(), port),
                to: to(back.ep),
                facts: back_facts(back),
            }
        });
        Ledger {
            sides: (0..ends).map(|pair| oracle.side(pair * 2)).collect(),
            fronts: fronts.collect(),
            backs: backs.collect(),
            requests: oracle.rows.iter().map(|row| request(oracle, row)).collect(),
        }
    }
}

fn front_facts(front: &crate::oracle::ledger::Front) -> Vec<String> {
    let mut facts = Vec::new();
    match front.accepted_at {
        Some(at) => facts.push(format!("accepted at {}", clock(at))),
        None => facts.push("never accepted".into()),
    }
    facts.extend(front.served_at.map(|at| format!("first read from at {}", clock(at))));
    facts.extend(front.left_at.map(|at| format!("its client left at {}", clock(at))));
    let closed = front.closed.map(|(at, how)| format!("closed at {} ({how:?})", clock(at)));
    facts.extend(closed);
    if front.is_tcp {
        facts.push("bytes pass as they are".into());
    }
    facts
}

fn back_facts(back: &crate::oracle::ledger::Back) -> Vec<String> {
    let mut facts = vec![format!("begun at {}", clock(back.connect_at))];
    facts.push(format!("carried {} requests", back.seen.len()));
    let spoiled = back.spoiled;
    facts.extend(spoiled.map(|(at, why)| format!("no longer clean at {}: {why}", clock(at))));
    if back.has_failed {
        facts.push("failed before it carried a byte".into());
    }
    facts.extend(back.closed_at.map(|at| format!("closed at {}", clock(at))));
    facts
}

fn request(oracle: &Oracle, row: &Row) -> Request {
    let mut facts = Vec::new();
    let client = oracle.fronts[row.front as usize].client;
    facts.push(format!("asked by client {client} on connection {}", row.front));
    match (row.end, row.head_end) {
        (Some(_), _) => facts.push("the client wrote all of it".into()),
        (None, Some(_)) => facts.push("the client never wrote all of it".into()),
        (None, None) => facts.push("the client wrote nothing of it".into()),
    }
    facts.extend(row.head_read_at.map(|at| format!("the proxy had its head at {}", clock(at))));
    facts.extend(row.all_read_at.map(|at| format!("the proxy had all of it at {}", clock(at))));
    for (n, attempt) in row.attempts.iter().enumerate() {
        facts.push(attempt_words(oracle, row, n, attempt));
    }
    if row.interims > 0 {
        facts.push(format!("{} interim responses went to the client", row.interims));
    }
    match &row.answer {
        Some(answer) => facts.push(answer_words(answer)),
        None => facts.push("no answer went to the client".into()),
    }
    facts.extend(row.gave_up_at.map(|at| format!("the client cared until {}", clock(at))));
    facts.extend(row.record.map(|record| {
        let (status, tries) = (record.status, record.attempts);
        format!("recorded at {}: {status}, {tries} attempts, {:?}", clock(record.at), record.ending)
    }));
    if row.must_succeed {
        facts.push("nothing stood in its way: it had to succeed".into());
    }
    let sent = row.attempts.iter().map(|attempt| (attempt.back, attempt.at)).collect();
    let answered = row.answer.as_ref().filter(|answer| answer.end.is_some());
    let answered = answered.map(|answer| answer.ended_at);
    Request { front: row.front, ask: row.ask.to_string(), sent, answered, facts }
}

fn attempt_words(oracle: &Oracle, row: &Row, n: usize, attempt: &Attempt) -> String {
    let server = oracle.backs[attempt.back as usize].server;
    let kind = if attempt.is_reused { "a reused" } else { "a fresh" };
    let mut text = format!("emission {}: at {}, on connection ", n + 1, clock(attempt.at));
    text += &format!("{} ({kind} one) to server {server}", attempt.back);
    text += match attempt.end {
        Some(_) => ", whole",
        None => ", not all of it",
    };
    if let Some(plan) = attempt.plan.and_then(|plan| row.plans.get(plan as usize)) {
        text += &format!("; the server meant to answer {plan}");
    }
    text
}

fn answer_words(answer: &Answer) -> String {
    let whose = match answer.serial {
        Some(_) => "of the server's",
        None => "of the proxy's own",
    };
    let end = match answer.end {
        Some(_) => format!("whole at {}", clock(answer.ended_at)),
        None => "never whole".into(),
    };
    let (status, body) = (answer.status, answer.body);
    format!("answered {status} {whose} at {}, {body} bytes of body, {end}", clock(answer.at))
}

/// In one line, as `POST of 12 bytes to b.example, request 7, waits for 100`.
impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = crate::wire::host_name(self.host);
        write!(f, "{} of {} bytes to {host}, request {}", self.method.name(), self.body, self.id)?;
        let chunked = self.is_chunked.then_some("in chunks");
        let minor = (self.minor == 0).then_some("HTTP/1.0");
        let expects = self.expects.then_some("waits for 100");
        let closes = (!self.keeps).then_some("asks for the end");
        let hops = self.has_hops.then_some("with hop-by-hop fields");
        let upgrade = self.upgrade.then_some("asks for WebSocket");
        for word in [chunked, minor, expects, closes, hops, upgrade].into_iter().flatten() {
            write!(f, ", {word}")?;
        }
        if let Some((cluster, server)) = self.cookie {
            write!(f, ", with the cookie of cluster {cluster} for server {server}")?;
        }
        match self.flaw {
            Some(flaw) => write!(f, ", wrong: {}", flaw.name),
            None => Ok(()),
        }
    }
}

/// In one line, as `200 with 12 bytes, then closes`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {} bytes", self.status, self.body)?;
        if self.interims > 0 {
            write!(f, " behind {} interim responses", self.interims)?;
        }
        if self.until_close {
            write!(f, " until it closes")?;
        }
        match self.fault {
            crate::oracle::ledger::BackFault::None => Ok(()),
            fault => write!(f, ", but {fault:?}"),
        }
    }
}

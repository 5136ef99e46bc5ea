//! Group *metamorphic*: a world is run again with one thing changed that no client may notice, and
//! what the clients were shown is compared. No model is needed, and none is asked.
//!
//! - LOOP-5: the order in which a batch of readiness is told changes nothing that a client sees.
//! - REQ-1: the segments in which bytes arrive change nothing that a client sees.
//! - RUN-1: a configuration that is applied again, unchanged, changes nothing that a client sees.
//! - SES-3: the wall clock changes nothing but dates, however it jumps.

use super::ledger::Row;
use super::tunnels::Over;
use super::{Breach, Group, Oracle, Verdict, breach};
use crate::kernel::Net;
use crate::refhttp::Head;
use std::fmt::{self, Write as _};

const GROUP: Group = Group::Metamorphic;

/// What is changed in the second world of a pair.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Variant {
    /// Every stream is cut into other segments.
    Segments,
    /// Batches of readiness come in another order, and cut.
    Batches,
    /// The wall clock is elsewhere, and jumps.
    Clock,
    /// An equal copy of the configuration is applied again and again.
    Copy,
}

impl Variant {
    /// All of them.
    pub const ALL: [Variant; 4] =
        [Variant::Segments, Variant::Batches, Variant::Clock, Variant::Copy];

    /// As it is called on the command line and in cases.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Segments => "segments",
            Variant::Batches => "batches",
            Variant::Clock => "clock",
            Variant::Copy => "copy",
        }
    }

    /// The variant of this name.
    pub fn named(name: &str) -> Option<Variant> {
        Variant::ALL.into_iter().find(|variant| variant.name() == name)
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a client was shown of one request, or of one tunnel.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// The request's key: its client, and how many that began before. Ids depend on the order in
    /// which clients come to ask, keys do not.
    pub key: u64,
    /// The final status, 0 for none.
    pub status: u16,
    /// The final head, as [`shown`] tells it.
    pub head: String,
    /// Bytes of a server's body; what the proxy says by itself has its length in the head. Each
    /// run's own checkers hold them against what they must be.
    pub body: u64,
    /// Bytes that the client said through the tunnel that it became.
    pub tunnel: u64,
    /// Whether all of it arrived.
    pub is_whole: bool,
}

/// What the clients of a run were shown: by client, connection and place in that.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View(pub Vec<Vec<Vec<Seen>>>);

/// A final head as clients may compare it: without what tells one run from another, which is its
/// date and whatever follows from the number of the request, or from which server answered.
pub fn shown(head: &Head) -> String {
    let mut text = String::new();
    // A redirect repeats the path, in which the number stands, and its body does so again.
    let is_redirect = head.all("location").next().is_some();
    let is_digit = |c: char| c.is_ascii_digit();
    for (name, value) in head.fields() {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let is_own = matches!(name.as_str(), "date" | "x-request-id" | "x-sim");
        if is_own || name.starts_with("x-s-") || name == "x-fill" {
            continue;
        }
        let value = String::from_utf8_lossy(value);
        let value = match name.as_str() {
            "set-cookie" => "(a server)".to_string(),
            "location" => value.split(is_digit).collect(),
            "content-length" if is_redirect => "(its own)".to_string(),
            _ => value.into_owned(),
        };
        // Writing into a string cannot fail.
        let _ = write!(text, "{name}: {value}; ");
    }
    text
}

impl Oracle {
    /// What those clients were shown of whom `is_told` says that it must not differ.
    pub fn view(&self, net: &Net, is_told: impl Fn(u32) -> bool) -> View {
        let mut view = View::default();
        for front in &self.fronts {
            if !is_told(front.client) {
                continue;
            }
            let client = front.client as usize;
            if view.0.len() <= client {
                view.0.resize(client + 1, Vec::new());
            }
            let arrived = net.content_arrived(front.ep);
            let rows = front.rows.iter().map(|&row| &self.rows[row as usize]);
            let mut all: Vec<Seen> =
                rows.filter(|row| !row.is_void).map(|row| self.seen(row, arrived)).collect();
            if let Some(tunnel) = front.tunnel.filter(|_| front.is_tcp) {
                let (tunnel, is_whole) = self.passed_through(tunnel);
                let head = String::new();
                all.push(Seen { key: 0, status: 0, head, body: 0, tunnel, is_whole });
            }
            view.0[client].push(all);
        }
        view
    }

    fn seen(&self, row: &Row, arrived: u64) -> Seen {
        let answer = row.answer.as_ref();
        let is_whole = answer.is_some_and(|a| a.end.is_some_and(|end| end <= arrived));
        let (tunnel, is_passed) = row.tunnel.map_or((0, true), |id| self.passed_through(id));
        Seen {
            key: row.ask.key,
            status: answer.map_or(0, |answer| answer.status),
            head: row.shown.clone(),
            body: answer.filter(|answer| answer.serial.is_some()).map_or(0, |a| a.body),
            tunnel,
            is_whole: is_whole && is_passed,
        }
    }

    fn passed_through(&self, tunnel: u32) -> (u64, bool) {
        let tunnel = &self.tunnels[tunnel as usize];
        (tunnel.up.bytes, tunnel.over.is_some_and(|(_, over)| over == Over::Complete))
    }
}

/// The first difference between what two runs showed, in words.
fn difference(base: &View, other: &View) -> Option<String> {
    let clients = base.0.len().max(other.0.len());
    let none = Vec::new();
    for client in 0..clients {
        let [one, two] = [base, other].map(|view| view.0.get(client).unwrap_or(&none));
        for (n, (one, two)) in one.iter().zip(two).enumerate() {
            let place = format!("client {client}, connection {n}");
            if let Some((one, two)) = one.iter().zip(two).find(|(one, two)| one != two) {
                return Some(format!("{place}: {one:?} became {two:?}"));
            }
            if one.len() != two.len() {
                return Some(format!("{place}: {} requests became {}", one.len(), two.len()));
            }
        }
        if one.len() != two.len() {
            let (one, two) = (one.len(), two.len());
            return Some(format!("client {client}: {one} connections became {two}"));
        }
    }
    None
}

/// Judges what a world showed when it was run again with `variant`.
pub fn judge(variant: Variant, base: &View, other: &View) -> Verdict {
    match difference(base, other) {
        Some(what) => differs(variant, what),
        None => Ok(()),
    }
}

/// Judges the hashes of two runs between which nothing but the wall clock differed, which leaves
/// every length as it is.
pub fn same_course(base: u64, other: u64) -> Verdict {
    if base == other {
        return Ok(());
    }
    differs(Variant::Clock, format!("the course of events: {base:016x} became {other:016x}"))
}

fn differs(variant: Variant, what: String) -> Verdict {
    let message = format!("with other {variant}, a client sees another world: {what}");
    match variant {
        Variant::Segments => breach(GROUP, "REQ-1", message),
        Variant::Batches => breach(GROUP, "LOOP-5", message),
        Variant::Clock => breach(GROUP, "SES-3", message),
        Variant::Copy => breach(GROUP, "RUN-1", message),
    }
}

/// Whatever broke in a world that was run again broke with that variant.
pub fn with(variant: Variant, found: Breach) -> Breach {
    Breach { message: format!("{} (in the world with other {variant})", found.message), ..found }
}

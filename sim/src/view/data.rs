//! The timeline: a story as the data of one HTML page, which draws it by itself.

use crate::cx::{Ev, Flight};
use crate::kernel::Ep;
use crate::oracle::{Side, Violation};
use crate::rules;
use crate::story::{Call, Fact, START, Story, Who, chain, event_words, fact_words};
use crate::world::Outcome;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Marks that a page draws at most; a page with more says which it shows.
const MARKS_MAX: usize = 20_000;

/// How the world begins to say that everything is healed: whatever goes on then ends there.
const HEALS: [&str; 2] = ["phase Chaos ends, Heal ", "phase RoughStop ends, "];

const PAGE: &str = include_str!("timeline/page.html");
const STYLE: &str = include_str!("timeline/page.css");
/// One script, cut into the model, what is drawn, and what the page does.
const SCRIPT: &str = concat!(
    include_str!("timeline/model.js"),
    include_str!("timeline/draw.js"),
    include_str!("timeline/page.js"),
);

/// One page that shows `story`, which `title` names, without a network.
pub fn timeline(title: &str, story: &Story, outcome: &Outcome) -> String {
    let data = Drawing::of(story, outcome.violation.as_ref()).data(title, outcome);
    // Nothing in the data can end the element that it stands in.
    let data = data.to_string().replace('<', "\\u003c");
    let mut page = String::with_capacity(data.len() + 64 * 1024);
    let mut rest = PAGE;
    while let Some((before, behind)) = rest.split_once("{{") {
        page.push_str(before);
        let (name, behind) = behind.split_once("}}").unwrap_or((behind, ""));
        match name {
            "title" => escape(&mut page, title),
            "style" => page.push_str(STYLE),
            "script" => page.push_str(SCRIPT),
            _ => page.push_str(&data),
        }
        rest = behind;
    }
    page.push_str(rest);
    page
}

fn escape(page: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            letter => page.push(letter),
        }
    }
}

/// Where something is drawn; in this order from above. A client's sessions lie below it.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Lane {
    World,
    Operator,
    Proxy,
    /// A client, and with a connection of its, that in the proxy.
    Client(u32, Option<u32>),
    Server(u32),
}

impl Lane {
    fn names(self) -> (&'static str, String) {
        match self {
            Lane::World => ("world", "phases and faults".into()),
            Lane::Operator => ("operator", "operator".into()),
            Lane::Client(c, None) => ("client", format!("client {c}")),
            Lane::Client(_, Some(front)) => ("session", format!("session {front}")),
            Lane::Proxy => ("proxy", "proxy, event loop".into()),
            Lane::Server(s) => ("server", format!("server {s}")),
        }
    }
}

/// What of one event is drawn in one lane.
struct Mark {
    event: u32,
    lane: Lane,
    kind: &'static str,
    request: Option<u32>,
}

struct Arrow {
    from: Lane,
    to: Lane,
    event: u32,
    kind: &'static str,
    request: Option<u32>,
}

struct Drawing<'a> {
    story: &'a Story,
    violation: Option<&'a Violation>,
    /// By connection to a server: (when, which request) was sent on it.
    sent: BTreeMap<u32, Vec<(u64, u32)>>,
    /// By connection of a client: (when, which request) was asked.
    asked: BTreeMap<u32, Vec<(u64, u32)>>,
    marks: Vec<Mark>,
    arrows: Vec<Arrow>,
    bands: Vec<Value>,
    phases: Vec<Value>,
    chain: Vec<u32>,
}

impl<'a> Drawing<'a> {
    fn of(story: &'a Story, violation: Option<&'a Violation>) -> Drawing<'a> {
        let chain = violation.map(|broken| {
            let last = (broken.event as u32).min(story.events.len().saturating_sub(1) as u32);
            chain(story, last, &crate::story::about(story, broken))
        });
        let chain = chain.unwrap_or_default().iter().map(|step| step.event).collect();
        let mut drawing = Drawing {
            story,
            violation,
            sent: BTreeMap::new(),
            asked: BTreeMap::new(),
            marks: Vec::new(),
            arrows: Vec::new(),
            bands: Vec::new(),
            phases: Vec::new(),
            chain,
        };
        drawing.index();
        for n in 0..story.events.len() as u32 {
            drawing.event(n);
        }
        drawing.episodes();
        drawing
    }

    fn index(&mut self) {
        for (id, request) in (0_u32..).zip(&self.story.ledger.requests) {
            for &(back, at) in &request.sent {
                self.sent.entry(back).or_default().push((at, id));
            }
        }
        self.sent.values_mut().for_each(|all| all.sort_unstable());
        for (event, fact) in &self.story.facts {
            if let Fact::Said(Who::Asks(_, id), _) = fact
                && let Some(request) = self.story.ledger.requests.get(*id as usize)
            {
                let at = self.at(*event);
                self.asked.entry(request.front).or_default().push((at, *id));
            }
        }
    }

    fn at(&self, event: u32) -> u64 {
        self.story.events.get(event as usize).map_or(0, |event| event.at)
    }

    /// The request that a connection to a server carried at `at`, or was made for.
    fn request_on_back(&self, back: u32, at: u64) -> Option<u32> {
        let Some(all) = self.sent.get(&back) else { return self.only_open(at) };
        let n = all.partition_point(|&(sent, _)| sent <= at);
        Some(all[n.saturating_sub(1)].1)
    }

    /// The one request that was under way at `at`, if there was just one: whatever the proxy did
    /// then at a server was done for it.
    fn only_open(&self, at: u64) -> Option<u32> {
        let all = self.asked.values().flatten();
        let mut open = all.filter(|&&(asked, id)| {
            let request = &self.story.ledger.requests[id as usize];
            asked <= at && request.answered.is_none_or(|end| end >= at)
        });
        let &(_, id) = open.next()?;
        open.next().is_none().then_some(id)
    }

    /// The request that was under way on a client's connection at `at`.
    fn request_on_front(&self, front: u32, at: u64) -> Option<u32> {
        let all = self.asked.get(&front)?;
        let n = all.partition_point(|&(asked, _)| asked <= at);
        let of = |id: u32| self.story.ledger.requests.get(id as usize);
        // The oldest of those asked that was not answered whole by then.
        let open = all[..n].iter().find(|&&(_, id)| {
            of(id).is_some_and(|request| request.answered.is_none_or(|end| end >= at))
        });
        open.or_else(|| all[..n].last()).map(|&(_, id)| id)
    }

    /// Where the proxy's end of `ep` is drawn, where its peer's is, and for which request.
    fn lanes(&self, ep: Ep, at: u64) -> Option<(Lane, Lane, Option<u32>)> {
        let ledger = &self.story.ledger;
        match *ledger.sides.get(ep as usize / 2)? {
            Side::Front(front) => {
                let client = ledger.fronts.get(front as usize)?.peer;
                let request = self.request_on_front(front, at);
                Some((Lane::Client(client, Some(front)), Lane::Client(client, None), request))
            }
            Side::Back(back) => {
                let conn = ledger.backs.get(back as usize)?;
                let request = self.request_on_back(back, at);
                let front = request.map(|id| ledger.requests[id as usize].front);
                let front = front.or(conn.tunnel);
                let session = front.map(|n| Lane::Client(ledger.fronts[n as usize].peer, Some(n)));
                Some((session.unwrap_or(Lane::Proxy), Lane::Server(conn.peer), request))
            }
        }
    }

    fn is_proxys(&self, ep: Ep) -> bool {
        let is_front = matches!(self.story.ledger.sides.get(ep as usize / 2), Some(Side::Front(_)));
        (ep & 1 == 1) == is_front
    }

    fn place(&self, fact: &Fact, at: u64) -> Option<(Lane, &'static str, Option<u32>)> {
        match *fact {
            Fact::Wire { to, flight, .. } => {
                let (own, peer, request) = self.lanes(to, at)?;
                let lane = if self.is_proxys(to) { own } else { peer };
                Some((lane, flight_kind(flight), request))
            }
            Fact::Held(to, _) => {
                let (own, peer, request) = self.lanes(to, at)?;
                Some((if self.is_proxys(to) { own } else { peer }, "held", request))
            }
            Fact::Ready(_, Some(ep), _) => {
                let (own, _, request) = self.lanes(ep, at)?;
                Some((own, "ready", request))
            }
            Fact::Ready(_, None, _) => Some((Lane::Proxy, "ready", None)),
            Fact::Called(_, ep, call) => {
                let (own, _, request) = self.lanes(ep, at)?;
                Some((own, call_kind(call), request))
            }
            Fact::Said(who, _) => Some(match who {
                Who::World => (Lane::World, "phase", None),
                Who::Episode(_) => (Lane::World, "fault", None),
                Who::Proxy => (Lane::Proxy, "note", None),
                Who::Operator => (Lane::Operator, "operation", None),
                Who::Client(c) => (Lane::Client(c, None), "note", None),
                Who::Asks(c, id) => (Lane::Client(c, None), "ask", Some(id)),
                Who::Server(s) => (Lane::Server(s), "note", None),
                Who::Back(b) => {
                    (Lane::Server(self.story.ledger.backs.get(b as usize)?.peer), "note", None)
                }
                Who::Answers(b, id) => {
                    let server = self.story.ledger.backs.get(b as usize)?.peer;
                    (Lane::Server(server), "answer", Some(id))
                }
            }),
        }
    }

    fn event(&mut self, n: u32) {
        let event = self.story.events[n as usize];
        let mut by_lane: BTreeMap<Lane, (&'static str, Option<u32>)> = BTreeMap::new();
        if event.ev == Ev::Turn {
            by_lane.insert(Lane::Proxy, ("turn", None));
        }
        for (_, fact) in self.story.facts_of(n) {
            let Some((lane, kind, request)) = self.place(fact, event.at) else { continue };
            let known = by_lane.entry(lane).or_insert((kind, request));
            if weight(kind) > weight(known.0) {
                known.0 = kind;
            }
            known.1 = known.1.or(request);
            if let Fact::Wire { to, flight, .. } = *fact {
                self.arrow(n, to, flight);
            }
        }
        if by_lane.is_empty() {
            let lane = match event.ev {
                Ev::Client(c, _) => Lane::Client(c, None),
                Ev::Control => Lane::Operator,
                Ev::BackAccept(server) => Lane::Server(server),
                Ev::Turn => Lane::Proxy,
                Ev::BackConn(..) | Ev::Flight(..) | Ev::Episode(..) | Ev::Phase => Lane::World,
            };
            by_lane.insert(lane, ("note", None));
        }
        let new = by_lane.into_iter();
        self.marks.extend(new.map(|(lane, (kind, request))| Mark {
            event: n,
            lane,
            kind,
            request,
        }));
        if event.ev == Ev::Phase {
            let label = self.story.facts_of(n).iter().find_map(|(_, fact)| match fact {
                Fact::Said(Who::World, text) => Some(text.clone()),
                _ => None,
            });
            let label = label.unwrap_or_default();
            self.phases.push(json!([event.at / 1000, label]));
        }
    }

    fn arrow(&mut self, event: u32, to: Ep, flight: Flight) {
        let at = self.at(event);
        let Some((own, peer, request)) = self.lanes(to, at) else { return };
        let (from, to) = if self.is_proxys(to) { (peer, own) } else { (own, peer) };
        self.arrows.push(Arrow { from, to, event, kind: flight_kind(flight), request });
    }

    /// Bands of episodes, from where they begin to where they end, or everything is healed, or the
    /// run is over.
    fn episodes(&mut self) {
        let end = self.story.events.last().map_or(0, |event| event.at);
        let healed = self.story.facts.iter().find_map(|(event, fact)| match fact {
            Fact::Said(Who::World, text) if HEALS.iter().any(|heals| text.starts_with(heals)) => {
                Some(self.at(*event))
            }
            _ => None,
        });
        let end = healed.unwrap_or(end);
        let mut open: BTreeMap<u32, (u64, String)> = BTreeMap::new();
        let mut bands = Vec::new();
        for (event, fact) in &self.story.facts {
            let Fact::Said(Who::Episode(n), text) = fact else { continue };
            let at = self.at(*event);
            if let Some(what) = text.strip_prefix("begins: ") {
                open.insert(*n, (at, what.to_string()));
            } else if let Some((from, what)) = open.remove(n) {
                bands.push(json!([from / 1000, at.min(end) / 1000, what]));
            }
        }
        for (from, what) in open.into_values() {
            bands.push(json!([from / 1000, end / 1000, what]));
        }
        self.bands = bands;
    }

    /// Marks that are drawn: all, or the last ones before the violation and what led there.
    fn shown(&self) -> Vec<&Mark> {
        if self.marks.len() <= MARKS_MAX {
            return self.marks.iter().collect();
        }
        let end = self.violation.map_or(u32::MAX, |broken| broken.event as u32);
        let until = self.marks.partition_point(|mark| mark.event <= end);
        let from = until.saturating_sub(MARKS_MAX - self.chain.len() * 4);
        let led: BTreeSet<u32> = self.chain.iter().copied().collect();
        let old = self.marks[..from].iter().filter(|mark| led.contains(&mark.event));
        old.chain(&self.marks[from..until]).collect()
    }

    fn data(&self, title: &str, outcome: &Outcome) -> Value {
        let shown = self.shown();
        let ledger = &self.story.ledger;
        let mut lanes: BTreeSet<Lane> = shown.iter().map(|mark| mark.lane).collect();
        lanes.extend([Lane::World, Lane::Proxy]);
        let numbers: BTreeMap<Lane, usize> = lanes.iter().copied().zip(0..).collect();
        let kept: BTreeSet<u32> = shown.iter().map(|mark| mark.event).collect();
        let events: Vec<Value> = kept.iter().map(|&n| self.event_data(n, &numbers)).collect();
        let marks = shown
            .iter()
            .map(|mark| json!([mark.event, numbers[&mark.lane], mark.kind, mark.request]));
        let arrows = self.arrows.iter().filter(|arrow| kept.contains(&arrow.event));
        let arrows = arrows.filter_map(|arrow| {
            let (from, to) = (numbers.get(&arrow.from)?, numbers.get(&arrow.to)?);
            Some(json!([arrow.event, from, to, arrow.kind, arrow.request]))
        });
        let requests = ledger.requests.iter().map(
            |request| json!({"front": request.front, "ask": request.ask, "facts": request.facts}),
        );
        let lanes = lanes.iter().map(|lane| {
            let (kind, name) = lane.names();
            let facts = match lane {
                Lane::Client(_, Some(front)) => {
                    ledger.fronts.get(*front as usize).map(|front| &front.facts)
                }
                _ => None,
            };
            json!({"kind": kind, "name": name, "facts": facts})
        });
        let note = (shown.len() < self.marks.len()).then(|| {
            let (all, shown) = (self.marks.len(), shown.len());
            format!("{shown} of {all} marks are drawn: the last before the end that matters.")
        });
        json!({
            "title": title,
            "outcome": format!("{} events, {} of {} requests completed, hash {:016x}",
                outcome.events, outcome.completed, outcome.requests, outcome.hash),
            "broken": self.violation.map(broken_data),
            "lanes": lanes.collect::<Vec<_>>(),
            "events": events,
            "marks": marks.collect::<Vec<_>>(),
            "arrows": arrows.collect::<Vec<_>>(),
            "requests": requests.collect::<Vec<_>>(),
            "bands": self.bands,
            "phases": self.phases,
            "chain": self.chain,
            "note": note,
        })
    }

    /// An event, and each of its facts with the lane and the request that it belongs to: from words
    /// nobody can tell whose connection 3 is meant.
    fn event_data(&self, n: u32, numbers: &BTreeMap<Lane, usize>) -> Value {
        let event = self.story.events[n as usize];
        let ledger = &self.story.ledger;
        let fact_data = |fact: &Fact| {
            let place = self.place(fact, event.at);
            let lane = place.and_then(|(lane, ..)| numbers.get(&lane));
            let request = place.and_then(|(_, _, request)| request);
            json!([fact_words(ledger, fact), self.woken_by(n, fact), lane, request])
        };
        let facts = self.story.facts_of(n).iter().map(|(_, fact)| fact_data(fact));
        let facts: Vec<Value> = facts.collect();
        let cause = (event.cause != START).then_some(event.cause);
        // Nanoseconds would not fit into the numbers of a script for long.
        json!([n, event.at as f64 / 1000.0, event_words(ledger, event.ev), cause, facts])
    }

    /// The event because of which the proxy is told of readiness, for a fact that tells of that.
    fn woken_by(&self, n: u32, fact: &Fact) -> Option<u32> {
        match *fact {
            Fact::Ready(_, Some(ep), mask) => self.story.woke(ep, mask, n),
            _ => None,
        }
    }
}

fn broken_data(violation: &Violation) -> Value {
    let breach = &violation.breach;
    json!({
        "group": breach.group,
        "rule": breach.rule,
        "text": rules::text(breach.rule),
        "message": breach.message,
        "event": violation.event,
        "at": violation.at as f64 / 1000.0,
    })
}

fn flight_kind(flight: Flight) -> &'static str {
    match flight {
        Flight::Syn | Flight::SynAck => "syn",
        Flight::Data(_) => "data",
        Flight::Fin => "fin",
        Flight::Rst | Flight::Refused => "rst",
    }
}

fn call_kind(call: Call) -> &'static str {
    match call {
        Call::Accept(..) => "accept",
        Call::Connect(..) => "connect",
        Call::Recv(Ok(n)) if n > 0 => "recv",
        Call::Send(_, Ok(_)) => "send",
        Call::Recv(Ok(_)) | Call::Shutdown => "fin",
        Call::Close(_) => "close",
        Call::Recv(Err(_)) | Call::Send(_, Err(_)) | Call::Probe(_) | Call::KeepAlive => "call",
    }
}

/// Of several things in one place, the one of the greatest weight gives the mark its form.
fn weight(kind: &str) -> u8 {
    match kind {
        "fault" | "operation" | "close" => 9,
        "ask" | "answer" | "accept" | "connect" => 8,
        "rst" => 7,
        "send" => 6,
        "fin" => 5,
        "recv" => 4,
        "data" | "syn" => 3,
        "phase" | "held" => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests;

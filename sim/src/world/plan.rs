//! What a backend decides to answer, and how it looks on the wire.

use super::World;
use super::ask::{body_length, connection, field, fill};
use super::backend::After;
use super::flaws::written;
use super::producer::{Framing, Producer};
use crate::body::{BodyKey, Direction};
use crate::choice::Rate;
use crate::cx::{Cx, MS, SEC, US};
use crate::mark;
use crate::oracle::ledger::{Ask, BackFault, Edge, Method, Plan, SeenRequest};
use crate::oracle::matching::INTERIMS_MAX;
use crate::site;
use crate::story::Who;
use crate::swarm::{Fault, Operation, Rates, Swarm};
use crate::tell;
use crate::wire;
use std::io::Write as _;
use tidegate_core::config::Limits;

/// Heads that are not HTTP, or not in one way.
const BAD_HEADS: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
    "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nabcd",
    "HTTP/1.1 200 OK\r\nX: y\nZ: a\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX : y\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "ICY 200 OK\r\n\r\n",
    "hello there, this is no HTTP at all\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: {2000}{2000}{2000}{2000}{2000}{2000}{2000}{2000}{2000}\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: {head}\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{60 fields}\r\n",
    "HTTP/1.1 200 OK\r\n{fields}\r\n",
    "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\na(b): c\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nConnection: content-length\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n",
];
/// A 101 in order, but to those who did not ask for it.
const UNASKED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Draws the answer to `ask`.
///
/// To clients that read slowly, `is_slow`, it is mostly more than buffers hold.
fn draw_plan(
    cx: &mut Cx,
    swarm: &Swarm,
    rates: &Rates,
    ask: &Ask,
    (body_max, is_slow): (u64, bool),
) -> Plan {
    let e = ask.key;
    let all = [200, 200, 200, 200, 404, 500, 204, 304];
    let mut status = cx.choices.pick(site!("plan/status"), e, &all);
    if ask.upgrade {
        let answers = [101, 101, 101, 101, 101, 200, 403, 403];
        status = cx.choices.pick(site!("plan/upgrade"), e, &answers);
    }
    let has_none = matches!(status, 101 | 204 | 304);
    let faults = [
        (Fault::Truncate, BackFault::Truncates),
        (Fault::Reset, BackFault::Resets),
        (Fault::Vanish, BackFault::Vanishes),
        (Fault::Stall, BackFault::Stalls),
        (Fault::BadHead, BackFault::BadHead),
        (Fault::BadChunk, BackFault::BadChunk),
        (Fault::Storm, BackFault::InterimStorm),
        (Fault::Garbage, BackFault::Garbage),
    ];
    let fault = faults.into_iter().find(|&(fault, _)| cx.strikes(fault, rates, e));
    let fault = fault.map_or(BackFault::None, |(_, fault)| fault);
    // Behind a 101 nothing is garbage.
    let fault = match fault {
        BackFault::Garbage if status == 101 => BackFault::None,
        fault => fault,
    };
    let until_close = cx.does(Operation::UntilClose, swarm, e, 25);
    let interims = match fault {
        BackFault::InterimStorm => cx.choices.between(site!("plan/storm size"), e, 17, 40),
        _ if cx.does(Operation::Interim, swarm, e, 8) => {
            // As many as may be, now and then.
            let most = u64::from(INTERIMS_MAX);
            if e % 16 == 5 { most } else { cx.choices.between(site!("plan/interims"), e, 1, 3) }
        }
        _ => 0,
    };
    let mut body = if has_none { 0 } else { body_length(&mut cx.choices, e | 1 << 63, body_max) };
    if is_slow && !has_none && cx.choices.choose(site!("plan/fills"), e, 4) > 0 {
        body = cx.choices.log_between(site!("plan/filling"), e, body_max / 8, body_max);
    }
    let is_bodyless = ask.method == Method::Head || has_none;
    Plan {
        status,
        body,
        is_bodyless,
        interims: interims as u32,
        fault,
        is_early: false,
        is_by_close: false,
        is_unsaid: false,
        until_close: until_close && !is_bodyless,
        end: None,
    }
}

/// What a response looks like on the wire.
struct Form {
    is_chunked: bool,
    minor: u8,
    /// The minor version that it says: 1.2 to 1.9 count as 1.1 (REQ-1).
    said: u8,
    keeps: bool,
    has_hops: bool,
    length_of_304: u64,
}

impl Form {
    /// A server that does not wait for the request, `is_early`, mostly leaves behind its answer.
    fn draw(cx: &mut Cx, swarm: &Swarm, plan: &Plan, e: u64, is_early: bool) -> Form {
        let is_chunked =
            plan.body > 0 && !plan.until_close && cx.does(Operation::ChunkedResponse, swarm, e, 50);
        let minor = u8::from(!cx.does(Operation::OldResponse, swarm, e, 6));
        let is_last = cx.does(Operation::LastResponse, swarm, e, 9);
        let choices = &mut cx.choices;
        let leaves = is_early && choices.chance(site!("plan/leaves"), e, Rate::percent(60));
        let closes = is_last || leaves;
        let said = match minor == 1 && choices.chance(site!("plan/says later"), e, Rate::percent(3))
        {
            true => choices.between(site!("plan/later version"), e, 2, 9) as u8,
            false => minor,
        };
        Form {
            is_chunked: is_chunked && minor == 1 && !plan.until_close,
            minor: if plan.status == 101 { 1 } else { minor },
            said: if plan.status == 101 { 1 } else { said },
            keeps: plan.status == 101 || (!closes && minor == 1),
            has_hops: choices.chance(site!("plan/hops"), e, Rate::percent(15)),
            length_of_304: e % 3 * 500,
        }
    }

    /// Appends the head, as large as `limits` let it be if `edge` says so.
    fn write(
        &self,
        plan: &Plan,
        (id, serial): (u32, u32),
        (edge, limits): (Option<Edge>, &Limits),
        out: &mut Vec<u8>,
    ) {
        let mut head = Vec::with_capacity(256);
        self.write_fields(plan, (id, serial), &mut head);
        if plan.status != 101 {
            fill(&mut head, edge, limits);
        }
        out.extend_from_slice(&head);
        out.extend_from_slice(b"\r\n");
    }

    /// Appends all of the head but its empty line.
    fn write_fields(&self, plan: &Plan, (id, serial): (u32, u32), head: &mut Vec<u8>) {
        let (minor, status) = (self.minor, plan.status);
        // Writing into a vector cannot fail.
        let said = self.said;
        let _ = write!(head, "HTTP/1.{said} {status} Fine\r\nX-Sim: {id}.{serial}\r\n");
        wire::response_fields(id, serial, |name, value| field(head, name, value));
        if self.has_hops {
            head.extend_from_slice(b"X-Hop: must not pass\r\nKeep-Alive: timeout=9\r\n");
            head.extend_from_slice(b"x-hop: nor this\r\n");
            if status != 101 && id.is_multiple_of(2) {
                head.extend_from_slice(b"Upgrade: h2c\r\n");
            }
        }
        if status == 101 {
            let hops = if self.has_hops { ", x-hop" } else { "" };
            let _ = write!(head, "Connection: Upgrade{hops}\r\nUpgrade: websocket\r\n");
            return;
        }
        connection(head, self.has_hops, self.keeps, minor);
        if self.is_chunked && status != 204 {
            head.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        } else if !self.is_chunked && !plan.until_close && status != 204 {
            // Of a 304 it is the length that a 200 would have had.
            let length = if status == 304 { self.length_of_304 } else { plan.body };
            let _ = write!(head, "Content-Length: {length}\r\n");
        }
    }
}

fn interims(count: u32, head: &mut Vec<u8>) {
    for n in 0..count {
        head.extend_from_slice(match n % 2 {
            0 => b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".as_slice(),
            _ => b"HTTP/1.1 102 Processing\r\n\r\n",
        });
    }
}

impl World {
    /// The head of a request is here: decides what to answer, and when.
    pub(super) fn back_decide(&mut self, b: u32, seen: SeenRequest) -> (u32, u32) {
        let rates = self.rates();
        let body_max = self.scenario.body_max;
        let cx = &mut self.cx;
        let row = &mut self.oracle.rows[seen.row as usize];
        let (id, e) = (row.ask.id, row.ask.key);
        let is_slow = self.oracle.fronts[row.front as usize].is_slow;
        let body = (body_max, is_slow);
        let mut plan = draw_plan(cx, &self.scenario.swarm, &rates, &row.ask, body);
        // Who vanishes does so now and then before it has got the whole of a request.
        let vanishes = plan.fault == BackFault::Vanishes && e.is_multiple_of(2);
        let is_early = cx.strikes(Fault::Early, &rates, e) || vanishes;
        plan.is_early = is_early;
        let delay = if cx.strikes(Fault::SlowResponse, &rates, e) {
            cx.choices.log_between(site!("plan/delay"), e, 10 * MS, 5 * SEC)
        } else {
            cx.choices.log_between(site!("plan/quick"), e, 2 * US, 2 * MS)
        };
        let back = self.back_conns[b as usize].back;
        tell!(cx, Who::Answers(back, id), "will answer {plan} after {} us", delay / 1000);
        let answer_at = cx.now + delay;
        let serial = row.plans.len() as u32;
        row.plans.push(plan);
        row.attempts[seen.attempt].plan = Some(serial);
        self.back_conns[b as usize].decide((id, serial), is_early, answer_at);
        self.back_later(b, delay);
        (id, serial)
    }

    /// Begins to answer.
    pub(super) fn back_begin(&mut self, b: u32, id: u32, serial: u32) {
        let row = &self.oracle.rows[id as usize];
        let plan = row.plans[serial as usize].clone();
        let (e, row_upgrades) = (row.ask.key, row.ask.upgrade);
        let is_early = self.back_conns[b as usize].is_early;
        let form = Form::draw(&mut self.cx, &self.scenario.swarm, &plan, e, is_early);
        let told = u32::from(self.back_conns[b as usize].has_continued);
        let mut head = Vec::with_capacity(256);
        interims(plan.interims.saturating_sub(told), &mut head);
        let edge = match e % 37 {
            11 => Some(Edge::Head),
            22 => Some(Edge::Fields),
            _ => None,
        };
        form.write(&plan, (id, serial), (edge, &self.scenario.limits), &mut head);
        let (mut body, mut framing) = (plan.body, Framing::Plain);
        if form.is_chunked && !plan.is_bodyless {
            framing = Framing::Chunked(1 + e % 5000);
        }
        if plan.fault == BackFault::BadHead {
            head.clear();
            let mut bad = self.cx.choices.pick(site!("plan/which bad head"), e, BAD_HEADS);
            if !row_upgrades && e.is_multiple_of(7) {
                self.cx.mark(mark!("upgrade: a 101 nobody asked for"));
                bad = UNASKED;
            }
            head.extend_from_slice(&written(bad, id, "", &self.scenario.limits));
            framing = Framing::Plain;
        }
        if plan.is_bodyless || plan.fault == BackFault::BadHead {
            body = 0;
        }
        let back = self.back_conns[b as usize].back;
        let text = || String::from_utf8_lossy(&head).into_owned();
        tell!(self.cx, Who::Answers(back, id), "begins to answer: {:?}", text());
        let head_bytes = head.len() as u64;
        let key = BodyKey::new(id, Direction::Down(serial));
        let mut producer = Producer::new(head, key, body, framing);
        if form.is_chunked && form.has_hops {
            producer = producer.with_extras();
        }
        let has_bad_end = plan.fault == BackFault::BadChunk && framing != Framing::Plain;
        if has_bad_end {
            producer = producer.with_bad_end();
        }
        let ends = plan.until_close || !form.keeps;
        let (limit, after) = self.back_cut(e, &plan, head_bytes, body, ends);
        if let Some(limit) = limit {
            producer = producer.cut_at(limit);
        }
        let plan = &mut self.oracle.rows[id as usize].plans[serial as usize];
        plan.is_by_close = plan.until_close;
        plan.until_close = ends;
        // Without a length or chunks an early end cannot be told from the end.
        let is_void = match plan.fault {
            BackFault::Truncates => limit.is_none(),
            BackFault::BadChunk => !has_bad_end,
            _ => false,
        };
        if is_void {
            plan.fault = BackFault::None;
        }
        let is_cut = limit.is_some() || has_bad_end || plan.fault == BackFault::BadHead;
        self.back_conns[b as usize].begin(producer, after, is_cut);
    }

    /// Where a response is cut, and what comes after its last byte.
    fn back_cut(
        &mut self,
        e: u64,
        plan: &Plan,
        head: u64,
        body: u64,
        ends: bool,
    ) -> (Option<u64>, After) {
        let choices = &mut self.cx.choices;
        // Strictly before the end: a message of no bytes behind its head is cut inside the head.
        let low = if body > 0 { head } else { 1 };
        let high = (head + body).saturating_sub(1).max(low);
        let mut within =
            |low: u64, high: u64| Some(choices.between(site!("plan/cut"), e, low, high));
        let after = if ends { After::Close } else { After::Stay };
        match plan.fault {
            BackFault::Truncates if plan.until_close && body > 0 => (None, after),
            BackFault::Truncates => (within(low, high), After::Close),
            BackFault::Resets => (within(low, high), After::Reset),
            BackFault::Stalls => (within(0, high), After::Stall),
            BackFault::Vanishes => {
                let how = if e.is_multiple_of(2) { After::Close } else { After::Reset };
                // Most who die have not said a word.
                let is_silent = e & 6 != 0;
                (if is_silent { Some(0) } else { within(0, head - 1) }, how)
            }
            BackFault::BadHead | BackFault::BadChunk => (None, After::Stay),
            BackFault::Garbage if !ends => (None, After::Garbage),
            BackFault::None | BackFault::InterimStorm | BackFault::Garbage => (None, after),
        }
    }
}

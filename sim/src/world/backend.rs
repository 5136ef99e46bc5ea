//! Backends: each connection answers one request after another, and misbehaves as the seed says.

use super::World;
use super::ask::{body_length, connection, field};
use super::producer::{Framing, Producer};
use crate::body::{BodyKey, Direction};
use crate::choice::Rate;
use crate::cx::{Ev, MS, SEC, US};
use crate::kernel::{Acceptor, Ep, Owner};
use crate::oracle::Side;
use crate::oracle::ledger::{BackFault, Method, Plan, SeenRequest};
use crate::site;
use crate::trace;
use crate::wire;
use std::io::Write;
use tidegate_core::input::{Address, SocketError};

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
];
/// No response: one that came late could not be told from the answer to the next request.
const GARBAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nwrong";

/// One server.
pub(super) struct Server {
    /// Where it listens.
    pub(super) at: Address,
    /// Number of that address.
    pub(super) address: u16,
    /// Its listener, while it is up.
    pub(super) listener: Option<u32>,
    /// Stays down when everything is healed.
    pub(super) is_gone_for_good: bool,
}

/// What comes after the response.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum After {
    Stay,
    Close,
    Reset,
    Stall,
    Garbage,
}

/// One connection that a server accepted.
pub(super) struct BackConn {
    ep: Ep,
    back: u32,
    token: u32,
    next: usize,
    decided: Option<(u32, u32)>,
    answer_at: u64,
    is_early: bool,
    is_cut: bool,
    out: Option<Producer>,
    after: After,
    has_continued: bool,
    is_over: bool,
    is_stalled: bool,
    close_at: Option<u64>,
}

impl World {
    /// Starts `server` listening.
    pub(super) fn server_up(&mut self, server: u32) {
        let at = &mut self.servers[server as usize];
        if at.listener.is_none() {
            at.listener = Some(self.net.listen(Acceptor::Server(server), at.address, 64));
        }
    }

    /// Stops `server` listening; with `kills`, its connections are reset too.
    pub(super) fn server_down(&mut self, server: u32, kills: bool) {
        if let Some(listener) = self.servers[server as usize].listener.take() {
            self.net.close_listener(&mut self.cx, listener);
        }
        if !kills {
            return;
        }
        let address = self.servers[server as usize].address;
        for conn in &mut self.back_conns {
            if !conn.is_over && self.net.ep(conn.ep).address == address {
                conn.is_over = true;
                self.net.reset(&mut self.cx, conn.ep);
            }
        }
    }

    /// A connection waits at `server`: it accepts now, or a while later.
    pub(super) fn server_noticed(&mut self, server: u32) {
        let is_well = self.scenario.is_faultless || self.oracle.truth.healed_at.is_some();
        let late = if is_well { Rate::NEVER } else { Rate::percent(3) };
        if self.cx.chance(site!("server/accepts late"), server.into(), late) {
            let site = site!("server/accept delay");
            let delay = self.cx.choices.log_between(site, server.into(), 100 * US, 500 * MS);
            self.cx.mark(site!("server: accepts late"));
            self.cx.after(delay, server.into(), Ev::BackAccept(server));
        } else {
            self.server_accept(server);
        }
    }

    pub(super) fn server_accept(&mut self, server: u32) {
        let Some(listener) = self.servers[server as usize].listener else { return };
        loop {
            let number = self.back_conns.len() as u32;
            let Ok(ep) = self.net.accept(&mut self.cx, listener, Owner::Backend(number)) else {
                return;
            };
            let Side::Back(back) = self.oracle.side(ep) else { return };
            self.back_conns.push(BackConn {
                ep,
                back,
                token: 0,
                next: 0,
                decided: None,
                answer_at: 0,
                is_early: false,
                is_cut: false,
                out: None,
                after: After::Stay,
                has_continued: false,
                is_over: false,
                is_stalled: false,
                close_at: None,
            });
        }
    }

    /// A timer of backend connection `b` fired.
    pub(super) fn back_timer(&mut self, b: u32, token: u32) -> bool {
        let conn = &self.back_conns[b as usize];
        if conn.token != token || conn.is_over {
            return false;
        }
        self.back_act(b);
        true
    }

    fn back_later(&mut self, b: u32, delay: u64) {
        let token = self.back_conns[b as usize].token;
        self.cx.after(delay, 1 << 32 | u64::from(b), Ev::BackConn(b, token));
    }

    fn back_end(&mut self, b: u32, resets: bool) {
        let conn = &mut self.back_conns[b as usize];
        conn.is_over = true;
        let ep = conn.ep;
        trace!(self.cx, "backend conn {}: ends, resets: {resets}", conn.back);
        if resets {
            self.net.reset(&mut self.cx, ep);
        } else {
            self.net.close(&mut self.cx, ep);
        }
    }

    /// Something may have changed for backend connection `b`.
    pub(super) fn back_act(&mut self, b: u32) {
        let conn = &self.back_conns[b as usize];
        let (ep, back) = (conn.ep, conn.back);
        self.net.told(ep);
        if conn.is_over {
            return;
        }
        match self.net.skip(&mut self.cx, ep, usize::MAX) {
            Ok(0) => return self.back_end(b, false),
            Ok(_) | Err(SocketError::WouldBlock) => {}
            Err(_) => return self.back_end(b, false),
        }
        while !self.back_conns[b as usize].is_over {
            let next = self.back_conns[b as usize].next;
            let Some(&seen) = self.oracle.backs[back as usize].seen.get(next) else {
                return self.back_idle(b);
            };
            if !self.back_exchange(b, ep, seen) {
                return;
            }
        }
    }

    fn back_idle(&mut self, b: u32) {
        let conn = &mut self.back_conns[b as usize];
        match conn.close_at {
            Some(at) if self.cx.now >= at => {
                self.cx.mark(site!("backend: closes while idle"));
                self.back_end(b, false);
            }
            Some(_) => {}
            None if conn.next > 0 => {
                let rate = self.rates().close_idle;
                let never = self.cx.now + 1_000 * SEC;
                let mut at = never;
                if self.cx.chance(site!("backend/closes idle"), b.into(), rate) {
                    let site = site!("backend/idle");
                    let delay = self.cx.choices.log_between(site, b.into(), US, 500 * MS);
                    at = self.cx.now + delay;
                    self.back_later(b, delay);
                }
                self.back_conns[b as usize].close_at = Some(at);
            }
            None => {}
        }
    }

    /// Goes on with one exchange; true when it is over and the next may begin.
    fn back_exchange(&mut self, b: u32, ep: Ep, seen: SeenRequest) -> bool {
        let read = self.net.ep(ep).read;
        if self.back_conns[b as usize].is_stalled || read < seen.head_end {
            return false;
        }
        let is_whole = seen.end.is_some_and(|end| end <= read);
        let (id, serial) = match self.back_conns[b as usize].decided {
            Some(decided) => decided,
            None => self.back_decide(b, seen),
        };
        self.back_continue(b, ep, id, serial, is_whole);
        let conn = &self.back_conns[b as usize];
        if !is_whole && !conn.is_early {
            return false;
        }
        if conn.out.is_none() {
            if self.cx.now < conn.answer_at {
                return false;
            }
            self.back_begin(b, id, serial);
        }
        if !self.back_push(b, ep) {
            return false;
        }
        self.back_finish(b, ep, id, serial, is_whole)
    }

    fn back_decide(&mut self, b: u32, seen: SeenRequest) -> (u32, u32) {
        let rates = self.rates();
        let body_max = self.scenario.body_max;
        let row = &self.oracle.rows[seen.row as usize];
        let id = row.ask.id;
        let is_head = row.ask.method == Method::Head;
        let (cx, e) = (&mut self.cx, u64::from(id));
        let status =
            cx.choices.pick(site!("plan/status"), e, &[200, 200, 200, 200, 404, 500, 204, 304]);
        let is_bodyless = is_head || matches!(status, 204 | 304);
        let faults = [
            (site!("plan/truncates"), rates.truncate, BackFault::Truncates),
            (site!("plan/resets"), rates.reset, BackFault::Resets),
            (site!("plan/vanishes"), rates.vanish, BackFault::Vanishes),
            (site!("plan/stalls"), rates.stall, BackFault::Stalls),
            (site!("plan/bad head"), rates.bad_head, BackFault::BadHead),
            (site!("plan/storm"), rates.storm, BackFault::InterimStorm),
            (site!("plan/garbage"), rates.garbage, BackFault::Garbage),
        ];
        let mut fault = BackFault::None;
        for (site, rate, kind) in faults {
            if cx.chance(site, e, rate) {
                fault = kind;
                break;
            }
        }
        let until_close = cx.chance(site!("plan/until close"), e, Rate::percent(12));
        let interims = match fault {
            BackFault::InterimStorm => cx.choices.between(site!("plan/storm size"), e, 17, 40),
            _ if cx.chance(site!("plan/interim"), e, Rate::percent(6)) => {
                cx.choices.between(site!("plan/interims"), e, 1, 3)
            }
            _ => 0,
        };
        let body = if matches!(status, 204 | 304) {
            0
        } else {
            body_length(&mut cx.choices, e | 1 << 33, body_max)
        };
        let early = cx.chance(site!("plan/early"), e, rates.early);
        let delay = if cx.chance(site!("plan/slow"), e, rates.slow_response) {
            cx.choices.log_between(site!("plan/delay"), e, 10 * MS, 5 * SEC)
        } else {
            cx.choices.log_between(site!("plan/quick"), e, 2 * US, 2 * MS)
        };
        let now = cx.now;
        let plan = Plan {
            status,
            body,
            is_bodyless,
            interims: interims as u32,
            fault,
            until_close,
            head_written_at: None,
            end: None,
        };
        trace!(cx, "backend conn {b}: request {id}: {plan:?} after {}us", delay / 1000);
        let row = &mut self.oracle.rows[id as usize];
        let serial = row.plans.len() as u32;
        row.plans.push(plan);
        row.attempts[seen.attempt].plan = Some(serial);
        let conn = &mut self.back_conns[b as usize];
        conn.decided = Some((id, serial));
        conn.is_early = early;
        conn.answer_at = now + delay;
        conn.has_continued = false;
        conn.token += 1;
        conn.close_at = None;
        self.back_later(b, delay);
        (id, serial)
    }

    /// Answers `Expect: 100-continue`, mostly.
    fn back_continue(&mut self, b: u32, ep: Ep, id: u32, serial: u32, is_whole: bool) {
        let is_healed = self.oracle.truth.healed_at.is_some();
        let conn = &mut self.back_conns[b as usize];
        let row = &mut self.oracle.rows[id as usize];
        let plan = &mut row.plans[serial as usize];
        let is_due = row.ask.expects
            && !conn.has_continued
            && conn.out.is_none()
            && !is_whole
            && !conn.is_early
            && plan.fault != BackFault::InterimStorm
            && (is_healed || id % 4 != 0);
        if is_due {
            conn.has_continued = true;
            if self.net.send(&mut self.cx, ep, &[b"HTTP/1.1 100 Continue\r\n\r\n"]) == Ok(25) {
                plan.interims += 1;
            }
        }
    }

    fn back_begin(&mut self, b: u32, id: u32, serial: u32) {
        let row = &self.oracle.rows[id as usize];
        let plan = row.plans[serial as usize].clone();
        let e = u64::from(id);
        let key = BodyKey::new(id, Direction::Down(serial));
        let choices = &mut self.cx.choices;
        let is_chunked = plan.body > 0 && choices.coin(site!("plan/chunked"), e);
        let minor = u8::from(!choices.chance(site!("plan/1.0"), e, Rate::percent(5)));
        let is_chunked = is_chunked && minor == 1 && !plan.until_close;
        let keeps = !choices.chance(site!("plan/close"), e, Rate::percent(8)) && minor == 1;
        let has_hops = choices.chance(site!("plan/hops"), e, Rate::percent(15));
        let mut head = Vec::with_capacity(256);
        let planned =
            plan.interims - u32::from(self.back_conns[b as usize].has_continued).min(plan.interims);
        for n in 0..planned {
            head.extend_from_slice(match n % 2 {
                0 => b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".as_slice(),
                _ => b"HTTP/1.1 102 Processing\r\n\r\n",
            });
        }
        // Writing into a vector cannot fail.
        let _ = write!(head, "HTTP/1.{minor} {} Fine\r\nX-Sim: {id}.{serial}\r\n", plan.status);
        wire::response_fields(id, serial, |name, value| field(&mut head, name, value));
        if has_hops {
            head.extend_from_slice(b"X-Hop: must not pass\r\nKeep-Alive: timeout=9\r\n");
        }
        connection(&mut head, has_hops, keeps, minor);
        let has_length = !is_chunked && !plan.until_close && plan.status != 204;
        if is_chunked && plan.status != 204 {
            head.extend_from_slice(b"Transfer-Encoding: chunked\r\n");
        } else if has_length {
            let _ = write!(head, "Content-Length: {}\r\n", plan.body);
        }
        head.extend_from_slice(b"\r\n");
        let sent_body = if plan.is_bodyless { 0 } else { plan.body };
        let framing = match is_chunked && !plan.is_bodyless {
            true => Framing::Chunked(1 + e % 5000),
            false => Framing::Plain,
        };
        if plan.fault == BackFault::BadHead {
            let bad = BAD_HEADS
                [self.cx.choose(site!("plan/which bad head"), e, BAD_HEADS.len() as u64) as usize];
            head.clear();
            head.extend_from_slice(bad.as_bytes());
        }
        trace!(self.cx, "backend conn {b}: {:?}", String::from_utf8_lossy(&head));
        let head_bytes = head.len() as u64;
        let body = if plan.fault == BackFault::BadHead { 0 } else { sent_body };
        let framing = if plan.fault == BackFault::BadHead { Framing::Plain } else { framing };
        let mut producer = Producer::new(head, key, body, framing);
        if is_chunked && has_hops {
            producer = producer.with_extras();
        }
        let ends = plan.until_close || !keeps;
        let (limit, after) = self.back_cut(e, &plan, head_bytes, body, ends);
        if let Some(limit) = limit {
            producer = producer.cut_at(limit);
        }
        let plan = &mut self.oracle.rows[id as usize].plans[serial as usize];
        // Without a length or chunks an early end cannot be told from the end.
        if plan.fault == BackFault::Truncates && limit.is_none() {
            plan.fault = BackFault::None;
        }
        plan.until_close = !keeps || (plan.until_close && !plan.is_bodyless);
        let conn = &mut self.back_conns[b as usize];
        conn.is_cut = limit.is_some() || plan.fault == BackFault::BadHead;
        conn.out = Some(producer);
        conn.after = after;
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
                (within(0, head - 1), how)
            }
            BackFault::BadHead => (None, After::Stay),
            BackFault::Garbage if !ends => (None, After::Garbage),
            BackFault::None | BackFault::InterimStorm | BackFault::Garbage => (None, after),
        }
    }

    /// Writes what fits; true when the whole response, or what there is of it, was written.
    fn back_push(&mut self, b: u32, ep: Ep) -> bool {
        let conn = &mut self.back_conns[b as usize];
        let Some(out) = &mut conn.out else { return false };
        while let Some(bytes) = out.peek(usize::MAX) {
            match self.net.send(&mut self.cx, ep, &[bytes]) {
                Ok(n) => out.advance(n),
                Err(SocketError::WouldBlock) => return false,
                Err(_) => {
                    self.back_end(b, false);
                    return false;
                }
            }
        }
        true
    }

    /// The response was written: does what comes after it. True when the next exchange may begin.
    fn back_finish(&mut self, b: u32, ep: Ep, id: u32, serial: u32, is_whole: bool) -> bool {
        let written = self.net.ep(ep).written;
        let plan = &mut self.oracle.rows[id as usize].plans[serial as usize];
        let conn = &mut self.back_conns[b as usize];
        if !conn.is_cut {
            plan.end.get_or_insert(written);
        }
        match conn.after {
            After::Reset => {
                self.cx.mark(site!("backend: resets inside a response"));
                self.back_end(b, true);
                return false;
            }
            After::Close if is_whole || conn.is_early => {
                self.back_end(b, false);
                return false;
            }
            After::Stall => {
                self.cx.mark(site!("backend: stalls"));
                conn.is_stalled = true;
                return false;
            }
            After::Garbage => {
                conn.after = After::Stay;
                self.cx.mark(site!("backend: garbage behind a response"));
                self.oracle.backs[conn.back as usize].has_garbage = true;
                let _ = self.net.send(&mut self.cx, ep, &[GARBAGE]);
            }
            After::Close | After::Stay => {}
        }
        if !is_whole {
            self.cx.mark(site!("backend: early response"));
            return false;
        }
        let conn = &mut self.back_conns[b as usize];
        conn.next += 1;
        conn.decided = None;
        conn.out = None;
        conn.token += 1;
        conn.close_at = None;
        true
    }
}

//! Backends: each connection answers one request after another, and misbehaves as the seed says.

use super::World;
use super::producer::Producer;
use super::talker::Talker;
use crate::choice::mix;
use crate::cx::{Ev, MS, SEC, US};
use crate::kernel::{Acceptor, Ep, Owner};
use crate::layer::{Facts, Trouble};
use crate::mark;
use crate::oracle::Side;
use crate::oracle::ledger::{BackFault, SeenRequest};
use crate::oracle::matching::INTERIMS_MAX;
use crate::oracle::truth::Nature;
use crate::site;
use crate::story::Who;
use crate::swarm::Fault;
use crate::tell;
use tidegate_core::input::{Address, SocketError};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
/// What some say instead: the client waits on.
const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\n\r\n";
/// No response: one that came late could not be told from the answer to the next request.
const GARBAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nwrong";

/// How many of the latest connections to servers may race with a request.
const RACERS: usize = 32;

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
    /// What kind it is.
    pub(super) nature: Nature,
}

/// What comes after the response.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum After {
    Stay,
    Close,
    Reset,
    Stall,
    Garbage,
}

/// One connection that a server accepted.
pub(super) struct BackConn {
    pub(super) ep: Ep,
    pub(super) back: u32,
    token: u32,
    next: usize,
    decided: Option<(u32, u32)>,
    answer_at: u64,
    pub(super) is_early: bool,
    is_cut: bool,
    out: Option<Producer>,
    after: After,
    pub(super) has_continued: bool,
    is_over: bool,
    is_stalled: bool,
    /// What it is about to do, and when, while it has nothing to do.
    idle: Option<(u64, Idle)>,
    /// What it says through a tunnel, once it is one.
    pub(super) talker: Option<Talker>,
}

/// What a server does that nobody has asked for anything.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Idle {
    /// It closes.
    Closes,
    /// It says something, and closes a while later.
    Speaks,
}

impl BackConn {
    /// The answer to the current request is decided on.
    pub(super) fn decide(&mut self, what: (u32, u32), is_early: bool, answer_at: u64) {
        self.decided = Some(what);
        self.is_early = is_early;
        self.answer_at = answer_at;
        self.has_continued = false;
        self.token += 1;
        self.idle = None;
    }

    /// The answer begins.
    pub(super) fn begin(&mut self, out: Producer, after: After, is_cut: bool) {
        self.out = Some(out);
        self.after = after;
        self.is_cut = is_cut;
    }
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
        let rates = self.rates();
        if self.cx.strikes(Fault::LateAccept, &rates, server.into()) {
            let site = site!("server/accept delay");
            let delay = self.cx.choices.log_between(site, server.into(), 100 * US, 500 * MS);
            self.cx.mark(mark!("server: accepts late"));
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
                idle: None,
                talker: None,
            });
            self.dress_server(server, ep);
            if self.oracle.backs[back as usize].is_tcp {
                self.tcp_server_begins(number, back);
            }
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

    pub(super) fn back_later(&mut self, b: u32, delay: u64) {
        let token = self.back_conns[b as usize].token;
        self.cx.after(delay, 1 << 32 | u64::from(b), Ev::BackConn(b, token));
    }

    pub(super) fn back_end(&mut self, b: u32, resets: bool) {
        let conn = &mut self.back_conns[b as usize];
        conn.is_over = true;
        let ep = conn.ep;
        let how = if resets { "resets" } else { "closes" };
        tell!(self.cx, Who::Back(conn.back), "{how} its end");
        if resets {
            self.net.reset(&mut self.cx, ep);
        } else {
            self.layers.close(&mut self.cx, &mut self.net, ep, true);
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
        if conn.talker.is_some() {
            return self.back_talks(b, ep);
        }
        if self.back_crosses(b) {
            return self.back_end(b, false);
        }
        match self.layers.skip(&mut self.cx, &mut self.net, ep, usize::MAX) {
            _ if self.layers.has_failed(&self.net, ep) => return self.back_end(b, false),
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
        match conn.idle {
            Some((at, Idle::Speaks)) if self.cx.now >= at => {
                conn.idle = Some((at + 2 * MS, Idle::Closes));
                let (ep, back) = (conn.ep, conn.back);
                self.back_later(b, 2 * MS);
                // What is said behind an answer that has no other end belongs to that.
                let last = self.oracle.backs[back as usize].seen.last();
                let plan =
                    last.and_then(|it| self.oracle.rows[it.row as usize].plan_of(it.attempt));
                if plan.is_none_or(|plan| !plan.until_close) {
                    self.back_speaks(ep, back);
                }
            }
            Some((at, Idle::Closes)) if self.cx.now >= at => {
                self.cx.mark(mark!("backend: closes while idle"));
                self.back_end(b, false);
            }
            Some(_) => {}
            None if conn.next > 0 => {
                let rates = self.rates();
                let never = self.cx.now + 1_000 * SEC;
                let mut at = never;
                if self.cx.strikes(Fault::CloseIdle, &rates, b.into()) {
                    let site = site!("backend/idle");
                    let delay = self.cx.choices.log_between(site, b.into(), US, 500 * MS);
                    at = self.cx.now + delay;
                    self.back_later(b, delay);
                }
                self.back_conns[b as usize].idle = Some((at, Idle::Closes));
            }
            None => {}
        }
    }

    /// A request, `key`, begins on its way from `ep`: a server that has nothing to do may close, or
    /// say that it has waited for long enough, so that both reach the proxy at about the same time.
    pub(super) fn back_races(&mut self, ep: Ep, key: u64) {
        let rate = self.rates().of(Fault::CloseIdle);
        if !self.cx.choices.chance(site!("backend/races"), key, rate) {
            return;
        }
        let is_idle = |conn: &BackConn| !conn.is_over && conn.idle.is_some();
        let mut latest = self.back_conns.iter().enumerate().rev().take(RACERS);
        let Some((b, _)) = latest.find(|(_, conn)| is_idle(conn)) else { return };
        self.cx.fired(Fault::CloseIdle);
        // Most of them arrive when the request does, to be told of in the same turn.
        let delay = match self.cx.choose(site!("backend/aims"), key, 4) > 0 {
            true => {
                let (front, back) = (self.net.ep(ep), self.net.ep(self.back_conns[b].ep));
                let ahead = front.usual_latency().saturating_sub(back.usual_latency());
                ahead + self.cx.choose(site!("backend/aim"), key, 20 * US)
            }
            false => self.cx.choices.log_between(site!("backend/race"), key, US, MS),
        };
        let speaks = self.cx.choices.coin(site!("backend/speaks"), key);
        let what = if speaks { Idle::Speaks } else { Idle::Closes };
        self.back_conns[b].idle = Some((self.cx.now + delay, what));
        self.back_later(b as u32, delay);
    }

    /// Whether a server that has nothing to do had closed already when this request arrived: it is
    /// lost unread.
    fn back_crosses(&mut self, b: u32) -> bool {
        let rates = self.rates();
        let conn = &self.back_conns[b as usize];
        let is_idle = conn.idle.is_some() && self.net.ep(conn.ep).unread() > 0;
        let entity = 1 << 48 | (conn.next as u64) << 32 | u64::from(b);
        is_idle && self.cx.strikes(Fault::CloseIdle, &rates, entity)
    }

    /// Goes on with one exchange; true when it is over and the next may begin.
    fn back_exchange(&mut self, b: u32, ep: Ep, seen: SeenRequest) -> bool {
        let read = self.net.content_read(ep);
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

    /// Answers `Expect: 100-continue`, mostly; some say something else, and some nothing.
    fn back_continue(&mut self, b: u32, ep: Ep, id: u32, serial: u32, is_whole: bool) {
        let is_healed = self.oracle.truth.healed_at.is_some();
        let conn = &mut self.back_conns[b as usize];
        let row = &mut self.oracle.rows[id as usize];
        let plan = &mut row.plans[serial as usize];
        let manner = mix(row.ask.key) % 8;
        let is_due = row.ask.expects
            && !conn.has_continued
            && conn.out.is_none()
            && !is_whole
            && !conn.is_early
            && plan.fault != BackFault::InterimStorm
            && (is_healed || manner != 0);
        let says = if is_healed || manner > 1 { CONTINUE } else { HINTS };
        // A part of it could run together with the final response.
        if is_due && self.layers.space(&self.net, ep) >= says.len() {
            conn.has_continued = true;
            if self.back_say(ep, says) {
                // It is one of those that were to come, where these are as many as may be.
                let plan = &mut self.oracle.rows[id as usize].plans[serial as usize];
                plan.interims = (plan.interims + 1).min(INTERIMS_MAX);
            }
        }
    }

    /// Writes what fits; true when the whole response, or what there is of it, was written.
    fn back_push(&mut self, b: u32, ep: Ep) -> bool {
        let conn = &mut self.back_conns[b as usize];
        let Some(out) = &mut conn.out else { return false };
        while let Some(bytes) = out.peek(usize::MAX) {
            match self.layers.send(&mut self.cx, &mut self.net, ep, bytes) {
                Ok(n) => out.advance(n),
                Err(SocketError::WouldBlock) => return false,
                Err(_) => {
                    self.back_end(b, false);
                    return false;
                }
            }
        }
        self.layers.is_flushed(ep)
    }

    /// Says a few bytes for which there is room; whether all of them are out.
    fn back_say(&mut self, ep: Ep, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match self.layers.send(&mut self.cx, &mut self.net, ep, bytes) {
                Ok(n) => bytes = &bytes[n..],
                Err(_) => return false,
            }
        }
        true
    }

    /// Says what nobody asked for.
    fn back_speaks(&mut self, ep: Ep, back: u32) {
        // A part of it could run together with the next response.
        if self.layers.space(&self.net, ep) >= GARBAGE.len() {
            self.cx.mark(mark!("backend: garbage behind a response"));
            self.oracle.backs[back as usize].has_garbage = true;
            self.back_say(ep, GARBAGE);
        }
    }

    /// The response was written: does what comes after it. True when the next exchange may begin.
    fn back_finish(&mut self, b: u32, ep: Ep, id: u32, serial: u32, is_whole: bool) -> bool {
        let written = self.net.content_written(ep);
        let plan = &mut self.oracle.rows[id as usize].plans[serial as usize];
        let conn = &mut self.back_conns[b as usize];
        if !conn.is_cut {
            plan.end.get_or_insert(written);
        }
        if plan.status == 101 && plan.fault == BackFault::None {
            self.back_upgrades(b, id);
            return false;
        }
        match conn.after {
            After::Reset => {
                self.cx.mark(mark!("backend: resets inside a response"));
                self.back_end(b, true);
                return false;
            }
            After::Close if is_whole || conn.is_early => {
                // Of a damaged or cut stream the end is not said either.
                let facts = self.layers.facts(ep);
                let is_said =
                    |facts: Facts| facts.trouble != Trouble::Mute && facts.damaged.is_none();
                plan.is_unsaid = !facts.is_none_or(is_said);
                self.back_end(b, false);
                return false;
            }
            After::Stall => {
                self.cx.mark(mark!("backend: stalls"));
                conn.is_stalled = true;
                return false;
            }
            After::Garbage => {
                conn.after = After::Stay;
                let back = conn.back;
                self.back_speaks(ep, back);
            }
            After::Close | After::Stay => {}
        }
        if !is_whole {
            self.cx.mark(mark!("backend: early response"));
            return false;
        }
        let conn = &mut self.back_conns[b as usize];
        conn.next += 1;
        conn.decided = None;
        conn.out = None;
        conn.token += 1;
        conn.idle = None;
        true
    }
}

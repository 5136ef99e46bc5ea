//! Clients: each makes one connection after another, and misbehaves as the seed says.

use super::World;
use super::ask;
use super::dress::Dress;
use super::leave::Leaves;
use super::manner::Manner;
use super::producer::Producer;
use super::talker::Talker;
use crate::choice::mix;
use crate::cx::{Ev, MS, SEC, US};
use crate::kernel::{Ep, Owner};
use crate::mark;
use crate::site;
use crate::story::Who;
use crate::swarm::Operation;
use crate::tell;
use tidegate_core::input::SocketError;

/// What a client is there for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// Traffic, with faults.
    Chaos,
    /// Shows that everything works after healing.
    Healed,
    /// Traffic while the proxy stops.
    Drain,
}

/// One client.
pub(super) struct Client {
    /// What it is there for.
    pub(super) role: Role,
    /// Keys the draws of its connection, whatever became of others.
    pub(super) slot: u64,
    /// Its connection, if it has one.
    pub(super) ep: Option<Ep>,
    pub(super) front: u32,
    pub(super) token: u32,
    /// Connections still to be made.
    pub(super) left: u64,
    pub(super) manner: Manner,
    dress: Dress,
    only_host: Option<u16>,
    pub(super) begun: u64,
    pub(super) asked: u64,
    pub(super) out: Option<Producer>,
    pub(super) row: u32,
    awaits_100: bool,
    waits_100_until: u64,
    not_before_write: u64,
    pub(super) not_before_read: u64,
    pub(super) give_up_at: u64,
    pub(super) has_shut: bool,
    pub(super) done_at: Option<u64>,
    /// What it says through a tunnel, once it has one.
    pub(super) talker: Option<Talker>,
    /// The rest of its PROXY header.
    pub(super) header: Vec<u8>,
}

impl Client {
    /// A client that has not connected yet.
    pub(super) fn new(role: Role, connections: u64) -> Client {
        Client {
            role,
            slot: 0,
            ep: None,
            front: 0,
            token: 0,
            left: connections,
            manner: Manner::default(),
            dress: Dress::Plain,
            only_host: None,
            begun: 0,
            asked: 0,
            out: None,
            row: 0,
            awaits_100: false,
            waits_100_until: 0,
            not_before_write: 0,
            not_before_read: 0,
            give_up_at: 0,
            has_shut: false,
            done_at: None,
            talker: None,
            header: Vec::new(),
        }
    }

    /// Whether it has a connection, or is still to make one.
    pub(super) fn is_at_work(&self) -> bool {
        self.left > 0 || self.ep.is_some()
    }
}

impl World {
    /// A timer of client `c` fired.
    pub(super) fn client_timer(&mut self, c: u32, token: u32) -> bool {
        let client = &self.clients[c as usize];
        if client.token != token {
            return false;
        }
        match client.ep {
            Some(_) => self.client_act(c),
            None => self.client_connect(c),
        }
        true
    }

    pub(super) fn client_later(&mut self, c: u32, delay: u64) {
        let token = self.clients[c as usize].token;
        self.cx.after(delay, c.into(), Ev::Client(c, token));
    }

    fn client_connect(&mut self, c: u32) {
        let role = self.clients[c as usize].role;
        let left = self.clients[c as usize].left;
        if left == 0 {
            return self.client_done(c);
        }
        if self.cx.choices.omits(site!("connection"), u64::from(c) << 16 | left) {
            self.clients[c as usize].left -= 1;
            return self.client_later(c, US);
        }
        let open = self.open_listeners();
        if open.is_empty() {
            self.clients[c as usize].left = 0;
            return self.client_done(c);
        }
        self.clients[c as usize].slot = u64::from(c) | left << 32;
        let to = self.client_listener(c, &open);
        let manner = self.draw_manner(c, role);
        let wires = match manner.rests {
            Some(_) => self.scenario.front_wires.narrow(),
            None => self.scenario.front_wires,
        };
        let wire = wires.draw(&mut self.cx, c.into());
        let ep = self.net.connect(&mut self.cx, Owner::Client(c), to, c, &wire);
        let front = self.oracle.front_begun(c, ep);
        self.oracle.fronts[front as usize].is_slow = manner.slow_read.is_some();
        let client = &mut self.clients[c as usize];
        client.ep = Some(ep);
        client.front = front;
        client.left -= 1;
        client.manner = manner;
        client.begun = 0;
        client.out = None;
        client.awaits_100 = false;
        client.not_before_write = 0;
        client.not_before_read = 0;
        client.has_shut = false;
        client.done_at = None;
        client.talker = None;
        client.give_up_at = self.cx.now + manner.patience;
        tell!(self.cx, Who::Client(c), "begins connection {front}: {manner}");
        self.client_introduces(c, front, to);
        let (dress, only_host) = self.dress_client(c, ep, front);
        let client = &mut self.clients[c as usize];
        client.dress = dress;
        client.only_host = only_host;
        self.client_later(c, manner.patience);
    }

    /// Something may have changed for client `c`: reads, judges, writes.
    pub(super) fn client_act(&mut self, c: u32) {
        let Some(ep) = self.clients[c as usize].ep else { return };
        self.net.told(ep);
        if self.net.ep(ep).is_connecting() {
            if self.cx.now >= self.clients[c as usize].give_up_at {
                self.client_leave(c, Leaves::Aborts);
            }
            return;
        }
        if !self.client_announces(c, ep) {
            return;
        }
        if self.clients[c as usize].talker.is_some() {
            return self.client_talks(c, ep);
        }
        if !self.client_read(c, ep) {
            return;
        }
        if self.client_upgrades(c, ep) {
            return self.client_talks(c, ep);
        }
        if !self.client_write(c, ep) {
            return;
        }
        self.client_consider_end(c, ep);
    }

    /// Final responses that arrived whole, and whether the last one ends the connection.
    pub(super) fn client_answers(&self, c: u32, ep: Ep) -> (u64, bool) {
        let front = &self.oracle.fronts[self.clients[c as usize].front as usize];
        let read = self.net.content_read(ep);
        let whole =
            front.seen.iter().filter(|s| s.status >= 200 && s.end.is_some_and(|e| e <= read));
        let (mut count, mut closes) = (0, false);
        for seen in whole {
            count += 1;
            closes = !seen.keeps;
        }
        (count, closes)
    }

    /// Writes what may be written; false when the connection is over.
    fn client_write(&mut self, c: u32, ep: Ep) -> bool {
        loop {
            let client = &self.clients[c as usize];
            if client.manner.is_silent || client.has_shut || self.cx.now < client.not_before_write {
                return true;
            }
            if !self.layers.is_ready(&self.net, ep) {
                return true;
            }
            if client.out.is_none() {
                let (answered, closes) = self.client_answers(c, ep);
                let client = &self.clients[c as usize];
                // Nobody pipelines behind a request of HTTP/1.0.
                let is_last_old =
                    client.begun > 0 && self.oracle.rows[client.row as usize].ask.minor == 0;
                let depth = if is_last_old { 1 } else { client.manner.depth };
                let is_time = client.begun < client.manner.requests
                    && client.begun - answered.min(client.begun) < depth
                    && !closes;
                if !is_time || self.client_expects_end(c) || self.client_awaits_upgrade(c) {
                    return true;
                }
                if self.client_thinks(c, answered) {
                    return true;
                }
                self.client_begin(c, ep);
                if self.clients[c as usize].out.is_none() {
                    continue;
                }
            }
            if self.clients[c as usize].awaits_100 && !self.client_may_go_on(c, ep) {
                return true;
            }
            match self.client_push(c, ep) {
                Pushed::All => self.client_sent(c),
                Pushed::Some => {}
                Pushed::Later => return true,
                Pushed::Over => return false,
            }
        }
    }

    /// Whether the last request asked for the end, or a flawed one makes it certain.
    pub(super) fn client_expects_end(&self, c: u32) -> bool {
        let client = &self.clients[c as usize];
        client.begun > 0 && {
            let ask = &self.oracle.rows[client.row as usize].ask;
            !ask.keeps || (ask.flaw.is_some() && !ask.key.is_multiple_of(3))
        }
    }

    /// Between two requests: pauses, once each.
    fn client_thinks(&mut self, c: u32, answered: u64) -> bool {
        let client = &mut self.clients[c as usize];
        if client.begun == 0 || answered < client.begun || client.not_before_write > 0 {
            client.not_before_write = 0;
            return false;
        }
        let max = self.scenario.think_max;
        let pause = self.cx.choices.log_between(site!("client/think"), client.slot, 10 * US, max);
        client.not_before_write = self.cx.now + pause;
        self.client_later(c, pause);
        true
    }

    fn client_begin(&mut self, c: u32, ep: Ep) {
        let client = &self.clients[c as usize];
        let (front, role, slot) = (client.front, client.role, client.slot);
        let hosts = self.hosts_for(role);
        let rates = self.rates();
        let mut asked = ask::draw(&mut self.cx, &self.scenario, &rates, slot, hosts);
        self.ask_upgrade(c, &mut asked);
        if role == Role::Healed {
            asked.body = asked.body.min(self.scenario.body_max / 4);
        }
        let client = &mut self.clients[c as usize];
        asked.host = client.only_host.unwrap_or(asked.host);
        if client.dress == Dress::Naked {
            ask::bare(&mut asked);
        }
        asked.listener = self.oracle.fronts[front as usize].listener as u16;
        self.calm_ask(&mut asked);
        let client = &mut self.clients[c as usize];
        asked.key = u64::from(c) << 16 | client.asked;
        client.asked += 1;
        if self.cx.choices.omits(site!("request"), asked.key) {
            client.manner.requests -= 1;
            return;
        }
        self.back_races(ep, asked.key);
        let start = self.net.content_written(ep);
        let id =
            self.oracle.row_begun(front, start, |id| crate::oracle::ledger::Ask { id, ..asked });
        let row = &mut self.oracle.rows[id as usize];
        let mut producer = ask::produce(&row.ask, &self.scenario.limits);
        let head_bytes = match row.ask.flaw {
            Some(_) => {
                let all = producer.peek(usize::MAX).unwrap_or_default();
                ask::flawed_head_bytes(all) as u64
            }
            None => producer.head_bytes(),
        };
        row.head_end = Some(start + head_bytes);
        // What a route answers by itself is judged where it is answered.
        let newest = self.oracle.truth.versions.last();
        let is_led = newest.is_some_and(|version| version.cluster_of(&row.ask).is_some());
        row.must_succeed =
            is_led && (role == Role::Healed || (self.scenario.is_faultless && role == Role::Chaos));
        let client = &mut self.clients[c as usize];
        client.awaits_100 = row.ask.expects;
        client.waits_100_until = 0;
        client.begun += 1;
        let is_piped = client.begun > self.oracle.fronts[front as usize].answered as u64 + 1;
        if is_piped {
            self.cx.applied(Operation::Pipeline);
        }
        client.row = id;
        client.out = Some(producer);
        client.not_before_write = 0;
        self.client_follows_upgrade(c, id);
        tell!(self.cx, Who::Asks(c, id), "asks {}", self.oracle.rows[id as usize].ask);
    }

    /// After the head of a request that expects 100: whether the body may be sent.
    fn client_may_go_on(&mut self, c: u32, ep: Ep) -> bool {
        let client = &mut self.clients[c as usize];
        let Some(out) = &client.out else { return true };
        if out.sent() < out.head_bytes() {
            return true;
        }
        let front = &self.oracle.fronts[client.front as usize];
        let read = self.net.content_read(ep);
        let row = &self.oracle.rows[client.row as usize];
        let place = front.rows.iter().position(|&r| r == row.ask.id).unwrap_or(0);
        let finals = front.seen.iter().filter(|s| s.status >= 200 && s.head_end <= read).count();
        let continues = front.seen.iter().filter(|s| s.status == 100 && s.head_end <= read).count();
        if continues > 0 && finals >= place {
            self.cx.mark(mark!("client: was told 100"));
            client.awaits_100 = false;
            return true;
        }
        if finals > place {
            // The answer came instead: the body is not sent, and the connection is of no more use.
            self.cx.mark(mark!("client: was answered instead of 100"));
            client.manner.requests = client.begun;
            client.not_before_write = u64::MAX;
            return false;
        }
        if client.waits_100_until == 0 {
            // Some wait for longer than any timer of the proxy.
            let wait = if mix(row.ask.key).is_multiple_of(3) { 100 * SEC } else { SEC };
            client.waits_100_until = self.cx.now + wait;
            self.client_later(c, wait);
        }
        let client = &mut self.clients[c as usize];
        client.awaits_100 = self.cx.now < client.waits_100_until;
        !client.awaits_100
    }

    /// Client `c` stops behind byte `at` of its connection, and goes on later.
    fn client_stalls(&mut self, c: u32, at: u64) -> Pushed {
        let client = &mut self.clients[c as usize];
        let (choices, slot) = (&mut self.cx.choices, client.slot);
        let pause = choices.log_between(site!("client/stall"), slot, 10 * MS, 3 * SEC);
        // Some stop again, under another configuration than the one that they began with.
        let further = choices.log_between(site!("client/stall at"), slot, 1, 512);
        let is_last = choices.choose(site!("client/last stall"), slot, 4) == 0;
        client.manner.stalls_at = (!is_last).then_some(at + further);
        client.not_before_write = self.cx.now + pause;
        self.client_later(c, pause);
        self.control_hurries(slot);
        Pushed::Later
    }

    fn client_push(&mut self, c: u32, ep: Ep) -> Pushed {
        let client = &mut self.clients[c as usize];
        let manner = client.manner;
        let Some(out) = &mut client.out else { return Pushed::All };
        let mut max = usize::MAX;
        if let Some(delay) = manner.drips
            && out.sent() < out.head_bytes()
        {
            max = 1 + (out.sent() % 5) as usize * 3;
            client.not_before_write = self.cx.now + delay;
        } else if client.awaits_100 {
            max = (out.head_bytes() - out.sent()) as usize;
        } else if let Some(at) = manner.stalls_at {
            let head_left = out.head_bytes().saturating_sub(out.sent());
            let site = site!("client/stalls in head");
            match at.saturating_sub(self.net.content_written(ep)) {
                // Most wait for a body to stop in.
                0 if head_left > 0 && self.cx.choose(site, client.slot, 4) > 0 => {
                    max = head_left as usize;
                }
                0 => return self.client_stalls(c, at),
                left => max = left as usize,
            }
        }
        let Some(bytes) = out.peek(max) else { return Pushed::All };
        match self.layers.send(&mut self.cx, &mut self.net, ep, bytes) {
            Ok(n) => out.advance(n),
            Err(SocketError::WouldBlock) => {
                client.not_before_write = 0;
                return Pushed::Later;
            }
            // What the proxy answered may still be read.
            Err(_) => {
                client.not_before_write = u64::MAX;
                return Pushed::Later;
            }
        }
        let is_all = out.peek(1).is_none();
        if is_all {
            // The proxy may read it in the very next event.
            let row = &mut self.oracle.rows[client.row as usize];
            row.end = Some(self.net.content_written(ep));
        }
        if manner.abort_written.is_some_and(|at| self.net.ep(ep).written >= at) {
            self.cx.mark(mark!("client: aborts inside a request"));
            self.client_leave(c, Leaves::Aborts);
            return Pushed::Over;
        }
        if is_all {
            self.clients[c as usize].not_before_write = 0;
            return Pushed::All;
        }
        let later = self.clients[c as usize].not_before_write;
        if later > self.cx.now {
            self.client_later(c, later - self.cx.now);
            return Pushed::Later;
        }
        Pushed::Some
    }

    /// A whole request was written.
    fn client_sent(&mut self, c: u32) {
        let client = &mut self.clients[c as usize];
        client.out = None;
        client.awaits_100 = false;
        let is_last = client.begun >= client.manner.requests;
        if is_last && client.manner.half_closes && !client.has_shut {
            client.has_shut = true;
            let (ep, front) = (client.ep, client.front);
            self.cx.mark(mark!("client: half-closes after its request"));
            if let Some(ep) = ep {
                let versions = &self.oracle.truth.versions;
                let aborts = versions.iter().any(|version| version.abort_on_close);
                self.oracle.client_left(front, aborts);
                self.layers.shutdown(&mut self.cx, &mut self.net, ep);
            }
        }
    }
}

enum Pushed {
    All,
    Some,
    Later,
    Over,
}

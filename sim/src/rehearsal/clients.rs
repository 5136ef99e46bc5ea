//! The users: requests come when they come, whatever became of earlier ones. A client keeps its
//! connections and its cookies, as a browser does.

use super::chance::{What as Chance, below, gap};
use super::course::{Course, START};
use super::http;
use super::line::{Line, Read};
use super::measure::{Fate, Request};
use super::servers::{TCP_BYTES, extend, tcp_message};
use super::targets::{Door, ECHOED, What};
use crate::body::{BodyKey, Direction};
use crate::cx::Ev;
use crate::kernel::{Owner, client_address};
use crate::refproxy;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::SocketAddr;
use tidegate_core::input::{Address, SocketError};

/// Cookies by name.
pub(super) type Cookies = BTreeMap<String, String>;

/// A body that is being read.
struct Body {
    key: Option<BodyKey>,
    at: u64,
    /// Bytes that are still to come; `None`: until the connection ends.
    left: Option<u64>,
    status: u16,
    closes: bool,
}

/// One connection of a client.
pub(super) struct Conn {
    line: Line,
    client: u32,
    /// Index of the door that it leads to.
    door: usize,
    /// From where it comes, as the proxy's machine sees it.
    pub(super) peer: SocketAddr,
    /// The request that is on it.
    request: Option<u32>,
    /// Requests that were answered on it.
    served: u32,
    is_tcp: bool,
    inbox: Vec<u8>,
    body: Option<Body>,
}

impl Course {
    /// The next user wants something.
    pub(super) fn arrive(&mut self) {
        let load = &self.plan.load;
        let (seed, id) = (load.seed, self.meter.requests.len() as u64);
        let client = below(seed, Chance::Client, id, load.clients.into()) as u32;
        let post = below(seed, Chance::Method, id, 100) < u64::from(load.post_percent);
        let groups = &self.plan.stages[self.stage].targets.groups;
        let word = below(seed, Chance::Target, id, (groups.len() as u64) << 20);
        let group = (word >> 20) as usize;
        let member = ((word & 0xf_ffff) * groups[group].len() as u64) >> 20;
        let (method, expect) = match &groups[group][member as usize].what {
            What::Tcp(expect) => ("", *expect),
            What::Http { ways, .. } => {
                let wanted = if post { "POST" } else { "GET" };
                let way = ways.iter().find(|(method, _)| *method == wanted);
                *way.unwrap_or(&ways[0])
            }
        };
        let patience = load.patience;
        let pause = gap(seed, id + 1, load.gap);
        self.meter.requests.push(Request {
            at: self.cx.now - START,
            client,
            target: (self.stage as u16, group as u32, member as u16),
            method,
            expect,
            fate: Fate::Waits,
            end: 0,
            attempts: 0,
            resent: false,
        });
        self.unanswered += 1;
        self.cx.after(patience, id, Ev::Client(id as u32, 0));
        self.ask(id as u32);
        self.next_arrival(pause);
    }

    /// Plans the next arrival, if it lies within the rehearsal.
    pub(super) fn next_arrival(&mut self, pause: u64) {
        let at = self.cx.now + pause;
        self.is_over = at >= START + self.plan.load.duration;
        if !self.is_over {
            self.cx.heap.push(at, 0, Ev::Control);
        }
    }

    /// Puts request `id` on a connection: one that is idle, or a new one.
    fn ask(&mut self, id: u32) {
        let request = &self.meter.requests[id as usize];
        let (stage, group, member) = request.target;
        let target = &self.plan.stages[usize::from(stage)].targets.groups[group as usize]
            [usize::from(member)];
        let (client, door, is_again) = (request.client, target.door.clone(), request.resent);
        let is_tcp = matches!(target.what, What::Tcp(_));
        let message = self.message(id);
        let door_index = self.door(&door);
        let may_reuse = !is_tcp && !self.plan.load.fresh_connections && !is_again;
        let idle = match may_reuse {
            true => self.idle.get_mut(&(client, door_index)).and_then(Vec::pop),
            false => None,
        };
        let number = idle.unwrap_or_else(|| self.connect(client, door_index, &door, is_tcp));
        let Some(mut conn) = self.conns[number as usize].take() else {
            unreachable!("a connection that is idle or new exists");
        };
        conn.request = Some(id);
        conn.line.write(&message);
        conn.line.flush(&mut self.cx, &mut self.net);
        self.on.insert(id, number);
        self.conns[number as usize] = Some(conn);
    }

    fn door(&mut self, door: &Door) -> usize {
        let known = self.doors.iter().position(|other| other == door);
        known.unwrap_or_else(|| {
            self.doors.push(door.clone());
            self.doors.len() - 1
        })
    }

    fn connect(&mut self, client: u32, index: usize, door: &Door, is_tcp: bool) -> u32 {
        let number = self.conns.len() as u32;
        let address = self.net.intern(&door.address, u32::MAX);
        let (owner, link) = (Owner::Client(number), client);
        let wire = self.client_wire;
        let ep = self.net.connect(&mut self.cx, owner, address, link, &wire);
        let own = client_address(client, number);
        let peer = door.balancer.map_or(own, |ip| SocketAddr::new(ip, own.port()));
        let mut line = Line::new(ep);
        if door.balancer.is_some() {
            let to = match &door.address {
                Address::Ip(address) if address.is_ipv4() => *address,
                _ => SocketAddr::from(([127, 0, 0, 1], 80)),
            };
            line.write(&refproxy::line((own, to)));
        }
        if let Some(name) = &door.tls {
            line.secure(self.secure.client(client, name, ep.into()));
        }
        if is_tcp {
            self.tcp_by_address.insert(own, number);
        }
        self.meter.client_connects += 1;
        self.meter.client_open += 1;
        self.meter.client_open_peak = self.meter.client_open_peak.max(self.meter.client_open);
        self.conns.push(Some(Box::new(Conn {
            line,
            client,
            door: index,
            peer,
            request: None,
            served: 0,
            is_tcp,
            inbox: Vec::new(),
            body: None,
        })));
        number
    }

    /// The bytes of request `id`.
    fn message(&self, id: u32) -> Vec<u8> {
        let request = &self.meter.requests[id as usize];
        let (stage, group, member) = request.target;
        let targets = &self.plan.stages[usize::from(stage)].targets;
        let What::Http { host, path, .. } =
            &targets.groups[group as usize][usize::from(member)].what
        else {
            return tcp_message(id);
        };
        let mut bytes = Vec::with_capacity(256);
        let mark = if path.contains('?') { '&' } else { '?' };
        let (method, number) = (request.method, http::NUMBER);
        let _ = write!(bytes, "{method} {path}{mark}{number}{id} HTTP/1.1\r\nHost: {host}\r\n");
        if self.plan.load.fresh_connections {
            let _ = write!(bytes, "Connection: close\r\n");
        }
        let cookies = self.cookies.get(&request.client).filter(|cookies| !cookies.is_empty());
        if let Some(cookies) = cookies {
            let all: Vec<String> = cookies.iter().map(|(name, v)| format!("{name}={v}")).collect();
            let _ = write!(bytes, "Cookie: {}\r\n", all.join("; "));
        }
        if matches!(method, "POST" | "PUT" | "PATCH") {
            let length = self.plan.load.post_bytes;
            let _ = write!(bytes, "Content-Length: {length}\r\n\r\n");
            extend(&mut bytes, BodyKey::new(id, Direction::Up), length);
        } else {
            let _ = write!(bytes, "\r\n");
        }
        bytes
    }

    /// Something happened on a connection of a client.
    pub(super) fn client_act(&mut self, number: u32) {
        let Some(mut conn) = self.conns[number as usize].take() else { return };
        self.net.told(conn.line.ep);
        conn.line.flush(&mut self.cx, &mut self.net);
        let mut scratch = std::mem::take(&mut self.scratch);
        let read = conn.line.read(&mut self.cx, &mut self.net, &mut scratch, &mut conn.inbox);
        self.scratch = scratch;
        let closes = match self.understand(&mut conn) {
            Ok(closes) => closes,
            Err(why) => {
                self.meter.defect(format!("a client got {why}"));
                true
            }
        };
        match read {
            Read::Open if !closes => {
                let is_idle = conn.request.is_none();
                let key = (conn.client, conn.door);
                self.conns[number as usize] = Some(conn);
                if is_idle {
                    let idle = self.idle.entry(key).or_default();
                    if !idle.contains(&number) {
                        idle.push(number);
                    }
                }
            }
            Read::Open => self.client_gone(number, *conn, None),
            Read::Ended => {
                let ends = conn.body.take_if(|body| body.left.is_none());
                if let (Some(body), Some(id)) = (ends, conn.request.take()) {
                    self.settle(id, Fate::Answered(body.status));
                }
                self.client_gone(number, *conn, None);
            }
            Read::Broken(error) => self.client_gone(number, *conn, Some(error)),
        }
    }

    /// Reads what has come; whether the connection is to be closed.
    fn understand(&mut self, conn: &mut Conn) -> Result<bool, String> {
        while let Some(id) = conn.request {
            if conn.is_tcp {
                let Some(heard) = conn.inbox.get(..TCP_BYTES) else { return Ok(false) };
                if *heard != tcp_message(id)[..] {
                    return Err(format!("another echo in session {id}"));
                }
                conn.request = None;
                self.settle(id, Fate::Answered(ECHOED));
                return Ok(true);
            }
            if conn.body.is_none() {
                let Some(head) = http::response(&conn.inbox)? else { return Ok(false) };
                conn.inbox.drain(..head.bytes);
                if (100..200).contains(&head.status) {
                    continue;
                }
                self.begin_body(conn, id, &head)?;
            }
            let Some(body) = &mut conn.body else { return Ok(false) };
            let n =
                body.left.map_or(conn.inbox.len() as u64, |left| left.min(conn.inbox.len() as u64));
            let part = &conn.inbox[..n as usize];
            if let Some(at) = body.key.and_then(|key| key.mismatch(body.at, part)) {
                return Err(format!("answer {id} with another byte {at} than was sent"));
            }
            body.at += n;
            conn.inbox.drain(..n as usize);
            match &mut body.left {
                Some(left) => {
                    *left -= n;
                    if *left > 0 {
                        return Ok(false);
                    }
                }
                None => return Ok(false),
            }
            let (status, closes) = (body.status, body.closes);
            conn.body = None;
            conn.request = None;
            conn.served += 1;
            self.settle(id, Fate::Answered(status));
            return Ok(closes || self.plan.load.fresh_connections);
        }
        Ok(false)
    }

    fn begin_body(
        &mut self,
        conn: &mut Conn,
        id: u32,
        head: &http::Response,
    ) -> Result<(), String> {
        if let Some(other) = head.answers
            && other != id
        {
            return Err(format!("the answer to request {other} in the place of {id}'s"));
        }
        for cookie in &head.cookies {
            if let Some((name, value)) = cookie.split_once('=') {
                let cookies = self.cookies.entry(conn.client).or_default();
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let is_head = self.meter.requests[id as usize].method == "HEAD";
        let left = match (is_head || matches!(head.status, 204 | 304), head.length) {
            (true, _) => Some(0),
            (false, length) => length,
        };
        let key = head.answers.map(|id| BodyKey::new(id, Direction::Down(0)));
        let (status, closes) = (head.status, head.closes);
        conn.body = Some(Body { key, at: 0, left, status, closes });
        Ok(())
    }

    /// The user of request `id` knows what became of it.
    fn settle(&mut self, id: u32, fate: Fate) {
        let request = &mut self.meter.requests[id as usize];
        request.fate = fate;
        request.end = self.cx.now - START;
        self.unanswered -= 1;
        self.on.remove(&id);
    }

    /// A connection of a client is over, and with it the request that was on it.
    fn client_gone(&mut self, number: u32, mut conn: Conn, error: Option<SocketError>) {
        self.meter.client_open -= 1;
        if let Some(idle) = self.idle.get_mut(&(conn.client, conn.door)) {
            idle.retain(|&other| other != number);
        }
        match error {
            None => conn.line.close(&mut self.cx, &mut self.net),
            Some(_) => self.net.close(&mut self.cx, conn.line.ep),
        }
        let Some(id) = conn.request else { return };
        let request = &mut self.meter.requests[id as usize];
        let has_begun = conn.body.is_some() || !conn.inbox.is_empty();
        let is_safe = matches!(request.method, "GET" | "HEAD" | "OPTIONS");
        if conn.served > 0 && !has_begun && is_safe && !request.resent {
            // The proxy closed it while the request was on its way: browsers ask again.
            request.resent = true;
            self.on.remove(&id);
            return self.ask(id);
        }
        let refused = matches!(error, Some(SocketError::Refused | SocketError::TimedOut));
        self.settle(id, if refused { Fate::Refused } else { Fate::Cut });
    }

    /// The patience of request `id`'s user is over.
    pub(super) fn give_up(&mut self, id: u32) {
        if self.meter.requests[id as usize].fate != Fate::Waits {
            return;
        }
        self.settle_on(id);
    }

    fn settle_on(&mut self, id: u32) {
        let number = self.on.get(&id).copied();
        self.settle(id, Fate::GivenUp);
        let conn = number.and_then(|number| Some((number, self.conns[number as usize].take()?)));
        if let Some((number, mut conn)) = conn {
            conn.request = None;
            self.client_gone(number, *conn, None);
        }
    }

    /// Which request the record of a TCP session with this client is about.
    pub(super) fn tcp_request(&mut self, client: SocketAddr) -> Option<u32> {
        self.tcp_by_address.remove(&client)
    }
}

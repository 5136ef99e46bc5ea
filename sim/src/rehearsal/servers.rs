//! The servers: each takes requests, works on them for a while, and answers; or it is down, or
//! stands still.

use super::chance::service;
use super::course::{Course, START};
use super::http;
use super::line::{Line, Read};
use super::plan::Kind;
use crate::body::{BodyKey, Direction};
use crate::cx::Ev;
use crate::gate::SERVER_LINKS;
use crate::kernel::{Acceptor, Ep, Owner};
use crate::refproxy;
use std::collections::VecDeque;
use std::io::Write as _;

/// Connections that wait to be accepted by a server.
const BACKLOG: usize = 65_535;
/// The first bytes of what a client says in a TCP session; its request's number follows.
pub(super) const TCP_TAG: &[u8; 4] = b"\0tg ";
/// Bytes that a client says in a TCP session, and hears again.
pub(super) const TCP_BYTES: usize = 64;
/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 22;

/// One server.
pub(super) struct Server {
    address: u16,
    listener: Option<u32>,
    /// Outages that are on.
    outages: u32,
    /// Factors of its time, in thousandths, that are on.
    slowness: Vec<u32>,
    /// Whether a PROXY header comes first.
    expects_proxy: bool,
    /// Connections with a request that waits for its turn.
    waiting: VecDeque<u32>,
    working: u32,
    pub(super) conns: Vec<u32>,
}

/// What a server does on a connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Work {
    /// Nothing: it waits for a request.
    None,
    /// A request is in line in the server.
    InLine(Job),
    /// The server works on it.
    Working(Job),
}

#[derive(Copy, Clone, PartialEq, Eq, Debug)]
struct Job {
    id: u32,
    is_head: bool,
    is_tcp: bool,
}

/// One connection of a server.
pub(super) struct BackConn {
    line: Line,
    server: usize,
    /// A PROXY header has to come first.
    awaits_header: bool,
    /// It is known whether the client speaks TLS.
    is_begun: bool,
    inbox: Vec<u8>,
    work: Work,
    /// Its peer will send nothing more.
    has_ended: bool,
}

impl Course {
    pub(super) fn open_servers(&mut self) {
        for (index, place) in self.plan.roster.places.iter().enumerate() {
            let address = self.net.intern(&place.address, SERVER_LINKS + index as u32);
            let in_clusters = self.plan.stages.iter().flat_map(|stage| {
                let clusters = stage.compiled.config().clusters.iter();
                clusters.filter(|c| c.servers.iter().any(|s| s.addr == place.address))
            });
            let expects_proxy = in_clusters.into_iter().any(|cluster| cluster.send_proxy.is_some());
            let listener = Some(self.net.listen(Acceptor::Server(index as u32), address, BACKLOG));
            self.servers.push(Server {
                address,
                listener,
                outages: 0,
                slowness: Vec::new(),
                expects_proxy,
                waiting: VecDeque::new(),
                working: 0,
                conns: Vec::new(),
            });
        }
    }

    /// Connections wait at a server.
    pub(super) fn server_noticed(&mut self, server: u32) {
        let index = server as usize;
        while let Some(listener) = self.servers[index].listener {
            let number = self.back_conns.len() as u32;
            let accepted = self.net.accept(&mut self.cx, listener, Owner::Backend(number));
            let Ok(ep) = accepted else { break };
            self.back_conns.push(Some(Box::new(BackConn {
                line: Line::new(ep),
                server: index,
                awaits_header: self.servers[index].expects_proxy,
                is_begun: false,
                inbox: Vec::new(),
                work: Work::None,
                has_ended: false,
            })));
            self.servers[index].conns.push(number);
            self.back_act(number);
        }
    }

    /// Something happened on a connection of a server.
    pub(super) fn back_act(&mut self, number: u32) {
        let Some(mut conn) = self.back_conns[number as usize].take() else { return };
        self.net.told(conn.line.ep);
        conn.line.flush(&mut self.cx, &mut self.net);
        let read = self.read_back(&mut conn);
        if let Read::Broken(_) = read {
            return self.back_gone(number, *conn, false);
        }
        let begins = conn.work == Work::None && self.begin_work(&mut conn);
        if read == Read::Ended {
            conn.has_ended = true;
            // An answer may still be on its way to somebody who has finished writing.
            if conn.work == Work::None {
                return self.back_gone(number, *conn, true);
            }
        }
        self.back_conns[number as usize] = Some(conn);
        if begins {
            self.servers_turn(number);
        }
    }

    fn read_back(&mut self, conn: &mut BackConn) -> Read {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut read = conn.line.read(&mut self.cx, &mut self.net, &mut scratch, &mut conn.inbox);
        self.scratch = scratch;
        if conn.awaits_header {
            match refproxy::read(&conn.inbox) {
                refproxy::Read::More => return read,
                refproxy::Read::Whole(n, _) => {
                    conn.inbox.drain(..n);
                    conn.awaits_header = false;
                }
                refproxy::Read::Bad(why) => {
                    self.meter.defect(format!("a server that expects a PROXY header got {why}"));
                    conn.awaits_header = false;
                }
            }
        }
        if !conn.is_begun && !conn.inbox.is_empty() {
            conn.is_begun = true;
            if conn.inbox[0] == HANDSHAKE {
                conn.line.secure(self.secure.server(conn.line.ep.into()));
                let hello = std::mem::take(&mut conn.inbox);
                if let Err(broken) = conn.line.take_in(&hello, &mut conn.inbox) {
                    read = broken;
                }
                conn.line.flush(&mut self.cx, &mut self.net);
            }
        }
        read
    }

    /// Whether a whole request has come, which is in line from now on.
    fn begin_work(&mut self, conn: &mut BackConn) -> bool {
        let job = match self.next_job(conn) {
            Ok(Some(job)) => job,
            Ok(None) => return false,
            Err(why) => {
                self.meter.defect(format!("a server got {why}"));
                conn.inbox.clear();
                return false;
            }
        };
        self.meter.came(conn.server, self.cx.now - START);
        conn.work = Work::InLine(job);
        true
    }

    fn next_job(&self, conn: &mut BackConn) -> Result<Option<Job>, String> {
        let inbox = &mut conn.inbox;
        if inbox.first() == Some(&TCP_TAG[0]) {
            let Some(said) = inbox.get(..TCP_BYTES) else { return Ok(None) };
            let number = said[4..8].try_into().map_err(|_| "too little")?;
            let id = u32::from_le_bytes(number);
            inbox.drain(..TCP_BYTES);
            return Ok(Some(Job { id, is_head: false, is_tcp: true }));
        }
        let Some(ask) = http::request(inbox)? else { return Ok(None) };
        let end = ask.bytes + ask.length as usize;
        let Some(body) = inbox.get(ask.bytes..end) else { return Ok(None) };
        if let Some(at) = BodyKey::new(ask.id, Direction::Up).mismatch(0, body) {
            return Err(format!("request {} with another byte {at} than was sent", ask.id));
        }
        inbox.drain(..end);
        Ok(Some(Job { id: ask.id, is_head: ask.is_head, is_tcp: false }))
    }

    /// The request on connection `number` joins the line of its server.
    fn servers_turn(&mut self, number: u32) {
        let Some(conn) = &self.back_conns[number as usize] else { return };
        let server = conn.server;
        self.servers[server].waiting.push_back(number);
        self.work_on(server);
    }

    /// A server begins with whatever it has hands for.
    fn work_on(&mut self, index: usize) {
        let most = self.plan.load.concurrency.unwrap_or(u32::MAX);
        let (seed, median) = (self.plan.load.seed, self.plan.load.service);
        while self.servers[index].working < most {
            let Some(number) = self.servers[index].waiting.pop_front() else { return };
            let Some(conn) = &mut self.back_conns[number as usize] else { continue };
            let Work::InLine(job) = conn.work else { continue };
            conn.work = Work::Working(job);
            self.servers[index].working += 1;
            let mut takes = service(seed, job.id.into(), median);
            for &factor in &self.servers[index].slowness {
                takes = takes.saturating_mul(factor.into()) / 1000;
            }
            let takes = takes.min(super::plan::SPAN_MAX);
            self.cx.after(takes, u64::from(number), Ev::BackConn(number, job.id));
        }
    }

    /// A server is done with a request.
    pub(super) fn work_done(&mut self, number: u32, id: u32) {
        let Some(mut conn) = self.back_conns[number as usize].take() else { return };
        match conn.work {
            Work::Working(job) if job.id == id => self.answer(&mut conn, job),
            _ => {
                self.back_conns[number as usize] = Some(conn);
                return;
            }
        }
        conn.work = Work::None;
        let server = conn.server;
        self.servers[server].working -= 1;
        self.meter.went(server, true);
        if conn.has_ended {
            self.back_gone(number, *conn, true);
        } else {
            self.back_conns[number as usize] = Some(conn);
            // What came meanwhile.
            self.back_act(number);
        }
        self.work_on(server);
    }

    fn answer(&mut self, conn: &mut BackConn, job: Job) {
        let mut answer = Vec::new();
        if job.is_tcp {
            answer = tcp_message(job.id);
        } else {
            let length = self.plan.load.body_bytes;
            let written = write!(
                answer,
                "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\
                Content-Length: {length}\r\n{}: {}\r\n\r\n",
                http::ANSWERS,
                job.id
            );
            written.expect("a vector takes everything");
            if !job.is_head {
                extend(&mut answer, BodyKey::new(job.id, Direction::Down(0)), length);
            }
        }
        conn.line.write(&answer);
        conn.line.flush(&mut self.cx, &mut self.net);
    }

    /// A connection of a server is over; in order, or lost with what was on it.
    fn back_gone(&mut self, number: u32, mut conn: BackConn, in_order: bool) {
        let server = conn.server;
        self.servers[server].conns.retain(|&other| other != number);
        self.lose_work(&conn);
        if in_order && conn.line.is_flushed() {
            conn.line.close(&mut self.cx, &mut self.net);
        } else {
            self.net.close(&mut self.cx, conn.line.ep);
        }
        self.work_on(server);
    }

    fn lose_work(&mut self, conn: &BackConn) {
        match conn.work {
            Work::None => return,
            Work::InLine(_) => {}
            Work::Working(_) => self.servers[conn.server].working -= 1,
        }
        self.meter.went(conn.server, false);
    }

    /// Fault number `n` begins, or ends.
    pub(super) fn fault(&mut self, n: usize, begins: bool) {
        let fault = self.plan.faults[n];
        let index = fault.server;
        let link = SERVER_LINKS + index as u32;
        match (fault.kind, begins) {
            (Kind::Outage, true) => {
                self.servers[index].outages += 1;
                self.server_down(index);
            }
            (Kind::Outage, false) => {
                self.servers[index].outages -= 1;
                if self.servers[index].outages == 0 {
                    let acceptor = Acceptor::Server(index as u32);
                    let address = self.servers[index].address;
                    let listener = self.net.listen(acceptor, address, BACKLOG);
                    self.servers[index].listener = Some(listener);
                }
            }
            (Kind::Freeze, true) => self.net.clog(link),
            (Kind::Freeze, false) => self.net.unclog(&mut self.cx, link),
            (Kind::Slow(factor), true) => self.servers[index].slowness.push(factor),
            (Kind::Slow(factor), false) => {
                let all = &mut self.servers[index].slowness;
                if let Some(at) = all.iter().position(|&on| on == factor) {
                    all.remove(at);
                }
            }
        }
    }

    fn server_down(&mut self, index: usize) {
        if let Some(listener) = self.servers[index].listener.take() {
            self.net.close_listener(&mut self.cx, listener);
        }
        for number in std::mem::take(&mut self.servers[index].conns) {
            if let Some(conn) = self.back_conns[number as usize].take() {
                self.lose_work(&conn);
                let ep: Ep = conn.line.ep;
                self.net.reset(&mut self.cx, ep);
            }
        }
        self.servers[index].waiting.clear();
    }
}

/// What a client says in TCP session `id`, and what it hears again.
pub(super) fn tcp_message(id: u32) -> Vec<u8> {
    let mut message = TCP_TAG.to_vec();
    message.extend_from_slice(&id.to_le_bytes());
    extend(&mut message, BodyKey::new(id, Direction::TunnelUp), TCP_BYTES - 8);
    message
}

/// Appends the first `length` bytes of a body.
pub(super) fn extend(into: &mut Vec<u8>, key: BodyKey, length: usize) {
    let end = into.len() + length;
    let start = into.len();
    into.reserve(length);
    while into.len() < end {
        let part = key.at((into.len() - start) as u64, end - into.len());
        into.extend_from_slice(part);
    }
}

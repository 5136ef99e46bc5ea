//! Each checker must fire: doctored ledgers and observations, one broken rule at a time.

mod again;
mod busy;
mod dials;
mod exchange;
mod kept;
mod limits;
mod metamorphic;
mod order;
mod own;
mod routes;
mod secure;
mod tunnels;
mod worker;

use super::ledger::{Ask, Attempt, BackFault, Method, Plan};
use super::routes::Way;
use super::truth::{Place, TlsTruth, Truth, Version};
use super::{Oracle, Verdict};
use crate::choice::Choices;
use crate::cx::Cx;
use crate::gate::SERVER_LINKS;
use crate::kernel::{Acceptor, Net, Owner, Wire};
use tidegate_core::config::{Cluster, Config, Server, Settings, Timeouts};
use tidegate_core::id::SocketId;
use tidegate_core::input::Address;

/// A ledger with one client, three servers (the second drained, the third of another cluster)
/// and a second host that has no route.
struct Lab {
    cx: Cx,
    net: Net,
    oracle: Oracle,
}

fn server(n: u8) -> Address {
    Address::Ip(([10, 1, 0, n + 1], 80).into())
}

fn version(at: u64) -> Version {
    let places = vec![Place::new(0), Place { is_drained: true, ..Place::new(1) }, Place::new(3)];
    let servers = [0, 1, 3].map(|n| Server {
        drained: n == 1,
        id: Some(crate::wire::server_id(n.into()).into()),
        ..Server::new(server(n))
    });
    let clusters = vec![Cluster::new("c0", servers.to_vec())];
    Version {
        at,
        routes: vec![Way::of_host(0, 0)],
        clusters: vec![places],
        timeouts: Timeouts::default(),
        max_body: None,
        abort_on_close: false,
        tls: TlsTruth::default(),
        config: Config { clusters, ..Config::default() },
    }
}

fn ask(id: u32, method: Method) -> Ask {
    Ask {
        id,
        key: 0,
        method,
        minor: 1,
        listener: 0,
        host: 0,
        body: 0,
        is_chunked: false,
        expects: false,
        keeps: true,
        has_hops: false,
        cookie: None,
        forwards: false,
        forwards_besides: false,
        upgrade: false,
        flaw: None,
    }
}

fn plan(body: u64, fault: BackFault) -> Plan {
    Plan {
        status: 200,
        body,
        is_bodyless: false,
        interims: 0,
        fault,
        is_early: false,
        is_by_close: false,
        is_unsaid: false,
        until_close: false,
        end: None,
    }
}

impl Lab {
    fn new() -> Lab {
        let cx = Cx::new(1, Choices::from_seed(1));
        let truth = Truth { versions: vec![version(0)], ..Truth::default() };
        let settings = Settings { buffers_max: 100_000, ..Settings::default() };
        let mut oracle = Oracle::new(settings, truth);
        oracle.clock(cx.now, 0);
        Lab { cx, net: Net::default(), oracle }
    }

    fn later(&mut self, millis: u64) {
        self.cx.now += millis * 1_000_000;
        self.oracle.clock(self.cx.now, 1);
    }

    /// A client's connection that the proxy serves.
    fn front(&mut self) -> u32 {
        let at = self.net.intern(&Address::Unix("proxy".into()), u32::MAX);
        let ep = self.net.connect(&mut self.cx, Owner::Client(0), at, 0, &Wire::default());
        let front = self.oracle.front_begun(0, ep);
        self.oracle.accepted(front);
        front
    }

    /// A connection of the proxy to server `n`.
    fn back(&mut self, n: u8) -> u32 {
        let link = SERVER_LINKS + u32::from(n);
        let at = self.net.intern(&server(n), link);
        let owner = Owner::Proxy(SocketId::from_bits(u64::from(n)));
        self.net.listen(Acceptor::Server(n.into()), at, 8);
        let ep = self.net.connect(&mut self.cx, owner, at, link, &Wire::default());
        self.oracle.back_begun(n.into(), ep)
    }

    /// A request that was written and read whole.
    fn asked(&mut self, front: u32, ask: Ask) -> u32 {
        let start = self.oracle.fronts[front as usize].read;
        let id = self.oracle.row_begun(front, start, |id| Ask { id, ..ask });
        let row = &mut self.oracle.rows[id as usize];
        row.head_end = Some(start + 100);
        row.end = Some(start + 100);
        self.oracle.read_from_client(front, start + 100);
        id
    }

    /// The head of request `id` as it should go out.
    fn head(&self, id: u32) -> String {
        let row = &self.oracle.rows[id as usize];
        let mut fields = String::new();
        crate::wire::request_fields(id, |name, value| {
            fields.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value)));
        });
        let length = match row.ask.body {
            0 => String::new(),
            body => format!("Content-Length: {body}\r\n"),
        };
        format!(
            "{} /r/{id} HTTP/1.1\r\nHost: a.example\r\n{fields}X-Forwarded-For: 192.0.2.1\r\n\
             X-Forwarded-Proto: http\r\nX-Forwarded-Port: 8000\r\nX-Forwarded-Host: a.example\r\n\
             X-Request-Id: 1\r\nVia: 1.1 t\r\n{length}\r\n",
            row.ask.method.name()
        )
    }

    /// The head of response `serial` to request `id` as it should go out.
    fn response(id: u32, serial: u32, framing: &str) -> String {
        let mut fields = String::new();
        crate::wire::response_fields(id, serial, |name, value| {
            fields.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value)));
        });
        format!("HTTP/1.1 200 OK\r\nX-Sim: {id}.{serial}\r\n{fields}{framing}\r\n\r\n")
    }

    fn emit_up(&mut self, back: u32, text: &str) {
        super::reuse::begins(&mut self.oracle, &self.net, back);
        self.oracle.sent_to_backend(&self.net, back, text.as_bytes());
    }

    fn emit_down(&mut self, front: u32, bytes: &[u8]) {
        self.oracle.writes_to_client(front);
        self.oracle.sent_to_client(&self.net, front, bytes);
    }

    /// A request on its way: read, and given to `back`, which decides on `plan`.
    fn relayed(&mut self, ask: Ask, plan: Plan) -> (u32, u32, u32) {
        let front = self.front();
        let id = self.asked(front, ask);
        let back = self.back(0);
        let head = self.head(id);
        self.emit_up(back, &head);
        self.clean();
        let row = &mut self.oracle.rows[id as usize];
        row.plans.push(plan);
        row.attempts[0].plan = Some(0);
        (front, id, back)
    }

    /// The proxy's end of a client's connection.
    fn end(&mut self, front: u32) -> &mut crate::kernel::Endpoint {
        let ep = self.oracle.fronts[front as usize].ep;
        self.net.ep_mut(ep)
    }

    /// Request `id` was sent whole on `back`.
    fn sent(&mut self, id: u32, back: u32, is_reused: bool) {
        self.oracle.rows[id as usize].attempts.push(Attempt {
            back,
            start: 0,
            at: self.oracle.now,
            body: 0,
            end: Some(0),
            ended_at: 0,
            is_reused,
            read_before: 0,
            told_id: None,
            plan: None,
        });
    }

    #[track_caller]
    fn clean(&self) {
        assert_eq!(self.oracle.violation, None);
    }

    #[track_caller]
    fn fires(&self, group: &str, rule: &str) {
        let violation = self.oracle.violation.as_ref().expect("a broken rule");
        assert_eq!((violation.breach.group, violation.breach.rule), (group, rule), "{violation:?}");
    }
}

/// The id that [`own_answer`] says.
const OWN_ID: &str = "0123456789abcdef0123456789abcdef";

/// One of the proxy's own answers, in HTML, as it should be, with `fields` besides.
fn own_answer(status: u16, fields: &str) -> Vec<u8> {
    let body = format!("<title>{status} </title>{OWN_ID}");
    own_text(status, &format!("{fields}Content-Type: text/html; charset=utf-8\r\n"), &body)
}

/// One of the proxy's own answers with this body.
fn own_text(status: u16, fields: &str, body: &str) -> Vec<u8> {
    let (phrase, length) = (super::own::phrase_of(status).unwrap_or("Else"), body.len());
    format!(
        "HTTP/1.1 {status} {phrase}\r\nDate: Tue, 14 Nov 2023 22:13:21 GMT\r\n\
         X-Request-Id: {OWN_ID}\r\n{fields}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

#[track_caller]
fn breaks(verdict: Verdict, group: &str, rule: &str) {
    let breach = verdict.expect_err("a broken rule");
    assert_eq!((breach.group, breach.rule), (group, rule), "{breach:?}");
}

/// Nothing is broken, if `is_right`, else that rule.
#[track_caller]
fn holds(verdict: Verdict, is_right: bool, group: &str, rule: &str) {
    if is_right { assert_eq!(verdict, Ok(())) } else { breaks(verdict, group, rule) }
}

//! Checkers of tunnels, on connections over the simulated kernel: bytes, ends, records, upgrades.

mod inside;

use super::*;
use crate::kernel::Ep;
use crate::oracle::ledger::Attempt;
use crate::oracle::truth::Nature;
use crate::oracle::tunnels::Over;
use crate::stream::{Speaker, Stream};
use tidegate_core::effect::Close;
use tidegate_core::event::{AccessRecord, Ending, Event, Phase, Timer, Who};

/// A tunnel between a client and a server that both stand.
struct Tube {
    lab: Lab,
    front: u32,
    back: u32,
    client: Ep,
    server: Ep,
}

fn settle(lab: &mut Lab) {
    while let Some((at, event)) = lab.cx.heap.pop() {
        lab.cx.now = lab.cx.now.max(at);
        if let crate::cx::Ev::Flight(ep, flight) = event {
            lab.net.deliver(&mut lab.cx, ep, flight);
        }
    }
    lab.net.proxy_woken.clear();
    for ep in 0..lab.net.eps.len() as Ep {
        lab.net.told(ep);
    }
    lab.oracle.clock(lab.cx.now, 1);
}

fn said(stream: &Stream, from: u64, len: usize) -> Vec<u8> {
    (from..from + len as u64).flat_map(|at| stream.at(at, 1).to_vec()).collect()
}

impl Tube {
    /// Both have said their first 20 bytes, and heard the other's.
    fn new() -> Tube {
        let mut lab = Lab::new();
        let nature = Nature { is_tcp: true, ..Nature::default() };
        lab.oracle.truth.natures = vec![nature];
        let at = lab.net.intern(&Address::Unix("tcp".into()), u32::MAX);
        let listener = lab.net.listen(Acceptor::Proxy(SocketId::from_bits(9)), at, 8);
        let client = lab.net.connect(&mut lab.cx, Owner::Client(0), at, 0, &Wire::default());
        let front = lab.oracle.front_begun(0, client);
        lab.oracle.tcp_begun(front, 0);
        settle(&mut lab);
        lab.net.accept(&mut lab.cx, listener, Owner::Proxy(SocketId::from_bits(1))).unwrap();
        lab.oracle.accepted(front);
        let back = lab.back(0);
        settle(&mut lab);
        lab.net.accept(&mut lab.cx, 1, Owner::Backend(0)).unwrap();
        let server = lab.oracle.backs[back as usize].ep ^ 1;
        let mut tube = Tube { lab, front, back, client, server };
        tube.says(client, &said(&Stream::of(Speaker::Front(front)), 0, 20));
        tube.says(server, &said(&Stream::of(Speaker::Back(back)), 0, 20));
        tube.passes_up(20);
        tube.passes_down(20);
        tube.lab.clean();
        tube
    }

    fn says(&mut self, ep: Ep, bytes: &[u8]) {
        self.lab.net.send(&mut self.lab.cx, ep, &[bytes]).unwrap();
        settle(&mut self.lab);
    }

    /// The proxy reads `n` bytes of its end `ep`.
    fn reads(&mut self, ep: Ep, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        let n = self.lab.net.recv(&mut self.lab.cx, ep, &mut [&mut bytes]).unwrap();
        let verdict = self.lab.oracle.tunnel_read(&self.lab.net, ep);
        self.lab.oracle.judge(verdict);
        bytes.truncate(n);
        if let super::super::Side::Front(front) = self.lab.oracle.side(ep) {
            let all = self.lab.oracle.fronts[front as usize].read + n as u64;
            self.lab.oracle.read_from_client(front, all);
        }
        bytes
    }

    fn writes(&mut self, ep: Ep, bytes: &[u8]) {
        self.lab.net.send(&mut self.lab.cx, ep, &[bytes]).unwrap();
        let verdict = self.lab.oracle.tunnel_wrote(&self.lab.net, ep);
        self.lab.oracle.judge(verdict);
        match self.lab.oracle.side(ep) {
            super::super::Side::Front(front) => {
                self.lab.oracle.sent_to_client(&self.lab.net, front, bytes);
            }
            super::super::Side::Back(back) => {
                self.lab.oracle.sent_to_backend(&self.lab.net, back, bytes);
            }
        }
        settle(&mut self.lab);
    }

    fn passes_up(&mut self, n: usize) {
        let bytes = self.reads(self.client ^ 1, n);
        self.writes(self.server ^ 1, &bytes);
    }

    fn passes_down(&mut self, n: usize) {
        let bytes = self.reads(self.server ^ 1, n);
        self.writes(self.client ^ 1, &bytes);
    }

    fn finishes(&mut self, ep: Ep) {
        self.lab.net.shutdown_write(&mut self.lab.cx, ep);
        settle(&mut self.lab);
    }

    /// The proxy finishes writing on its end `ep`.
    fn passes_end(&mut self, ep: Ep) -> Verdict {
        let verdict = self.lab.oracle.finishes_writing(&self.lab.net, ep);
        self.lab.net.shutdown_write(&mut self.lab.cx, ep);
        settle(&mut self.lab);
        verdict
    }

    fn closes(&mut self, how: Close) -> Verdict {
        self.lab.oracle.tunnel_closes(&self.lab.net, self.server ^ 1, how)
    }

    fn record(&self, ending: Ending, (received, sent): (u64, u64)) -> Event {
        let client = Some(self.lab.oracle.fronts[self.front as usize].address);
        Event::Access(AccessRecord {
            tcp: true,
            client,
            received,
            sent,
            attempts: 1,
            ending,
            ..AccessRecord::default()
        })
    }
}

const IN_ORDER: Ending = Ending { who: Who::Nobody, phase: Phase::Complete, timer: None };

// TUN-2: ends in either order, the other way works on, and the record counts every byte.
#[test]
fn a_tunnel_that_ends_in_order_is_clean() {
    let mut tube = Tube::new();
    let (client, server) = (tube.client, tube.server);
    tube.finishes(client);
    assert_eq!(tube.reads(client ^ 1, 9), b"");
    assert_eq!(tube.passes_end(server ^ 1), Ok(()));
    let more = said(&Stream::of(Speaker::Back(tube.back)), 20, 30);
    tube.says(server, &more);
    tube.passes_down(30);
    tube.finishes(server);
    tube.reads(server ^ 1, 9);
    breaks(tube.lab.oracle.tunnels_rest(&tube.lab.net), "tunnels", "TUN-2");
    assert_eq!(tube.passes_end(client ^ 1), Ok(()));
    assert_eq!(tube.lab.oracle.tunnels_rest(&tube.lab.net), Ok(()));
    assert_eq!(tube.closes(Close::Normal), Ok(()));
    let record = tube.record(IN_ORDER, (20, 50));
    tube.lab.oracle.event(&record);
    tube.lab.clean();
    assert_eq!(tube.lab.oracle.audit_tunnels(&tube.lab.net), Ok(()));
    tube.lab.oracle.event(&record);
    tube.lab.fires("tunnels", "RUN-5");
}

// TUN-1: not one byte may differ, and none may be there that was not read.
#[test]
fn tunnels_fires_on_changed_and_invented_bytes() {
    let mut tube = Tube::new();
    let more = said(&Stream::of(Speaker::Front(tube.front)), 20, 10);
    tube.says(tube.client, &more);
    let mut bytes = tube.reads(tube.client ^ 1, 10);
    bytes[9] ^= 1;
    tube.writes(tube.server ^ 1, &bytes);
    tube.lab.fires("tunnels", "TUN-2");

    let mut tube = Tube::new();
    let more = said(&Stream::of(Speaker::Back(tube.back)), 20, 10);
    tube.writes(tube.client ^ 1, &more);
    tube.lab.fires("tunnels", "TUN-1");

    let mut tube = Tube::new();
    let (other, verdict) = {
        let other = tube.lab.back(0);
        let first = said(&Stream::of(Speaker::Front(tube.front)), 0, 20);
        (other, tube.lab.oracle.tunnel_up(&tube.lab.net, other, &first))
    };
    assert_ne!(other, tube.back);
    breaks(verdict, "tunnels", "TUN-1");
}

// TUN-2: an end comes behind the last byte, and only when it came.
#[test]
fn tunnels_fires_on_ends_that_come_too_early_or_never() {
    let mut tube = Tube::new();
    breaks(tube.passes_end(tube.server ^ 1), "tunnels", "TUN-2");

    let mut tube = Tube::new();
    let more = said(&Stream::of(Speaker::Front(tube.front)), 20, 10);
    tube.says(tube.client, &more);
    tube.finishes(tube.client);
    tube.reads(tube.client ^ 1, 10);
    tube.reads(tube.client ^ 1, 10);
    breaks(tube.passes_end(tube.server ^ 1), "tunnels", "TUN-2");

    let mut tube = Tube::new();
    tube.finishes(tube.client);
    tube.reads(tube.client ^ 1, 10);
    breaks(tube.lab.oracle.tunnels_rest(&tube.lab.net), "tunnels", "TUN-2");
}

// TUN-2: one end does not close both ways; a reset is no clean end, and needs a cause.
#[test]
fn tunnels_fires_on_closes_without_cause() {
    let mut tube = Tube::new();
    tube.finishes(tube.client);
    tube.reads(tube.client ^ 1, 10);
    breaks(tube.closes(Close::Normal), "tunnels", "TUN-2");
    let mut tube = Tube::new();
    breaks(tube.closes(Close::Reset), "tunnels", "TUN-2");
    let mut tube = Tube::new();
    let client = tube.client;
    tube.lab.net.reset(&mut tube.lab.cx, client);
    settle(&mut tube.lab);
    breaks(tube.closes(Close::Normal), "tunnels", "TUN-2");
    assert_eq!(tube.closes(Close::Reset), Ok(()));
}

// TUN-1: nothing waits that could go on, and memory is bounded.
#[test]
fn tunnels_fires_on_bytes_that_are_held() {
    let mut tube = Tube::new();
    let more = said(&Stream::of(Speaker::Front(tube.front)), 20, 10);
    tube.says(tube.client, &more);
    breaks(tube.lab.oracle.tunnels_rest(&tube.lab.net), "tunnels", "TUN-2");
    tube.reads(tube.client ^ 1, 10);
    breaks(tube.lab.oracle.tunnels_rest(&tube.lab.net), "tunnels", "TUN-2");

    let mut tube = Tube::new();
    tube.lab.oracle.settings.buffer_bytes = 1;
    for round in 0..5 {
        let more = said(&Stream::of(Speaker::Front(tube.front)), 20 + round * 20_000, 20_000);
        tube.says(tube.client, &more);
        tube.reads(tube.client ^ 1, 20_000);
    }
    tube.lab.fires("tunnels", "TUN-1");
}

// SES-3: tunnel_idle is neither early nor late.
#[test]
fn tunnels_fires_on_idle_timers_out_of_time() {
    let hour = 3_600_000;
    let mut tube = Tube::new();
    tube.lab.later(hour - 10);
    breaks(tube.closes(Close::Normal), "tunnels", "TUN-2");
    tube.lab.later(15);
    assert_eq!(tube.closes(Close::Normal), Ok(()));
    let timer = Some(Timer::TunnelIdle);
    let idle = Ending { who: Who::Timeout, phase: Phase::Tunnel, timer };
    let record = tube.record(idle, (20, 20));
    tube.lab.oracle.event(&record);
    tube.lab.clean();

    // The end came in the turn in which the timer was due, whose last words are no bytes of it.
    let mut tube = Tube::new();
    tube.lab.later(hour);
    tube.lab.oracle.sent_to_client(&tube.lab.net, tube.front, b"");
    tube.lab.oracle.tunnels[0].over = Some((tube.lab.oracle.now, Over::Complete));
    let record = tube.record(idle, (20, 20));
    tube.lab.oracle.event(&record);
    tube.lab.clean();

    let mut tube = Tube::new();
    tube.lab.later(hour + 100);
    breaks(tube.closes(Close::Normal), "tunnels", "SES-3");
    let more = said(&Stream::of(Speaker::Front(tube.front)), 20, 10);
    tube.says(tube.client, &more);
    tube.reads(tube.client ^ 1, 10);
    tube.lab.fires("tunnels", "SES-3");
}

// RUN-5: the record counts the bytes, and says how it ended.
#[test]
fn tunnels_fires_on_records_that_are_wrong_or_missing() {
    for (ending, counts) in [
        (IN_ORDER, (20, 20)),
        (Ending { who: Who::Client, phase: Phase::Tunnel, timer: None }, (19, 20)),
        (Ending { who: Who::Client, phase: Phase::Tunnel, timer: None }, (20, 21)),
    ] {
        let mut tube = Tube::new();
        let client = tube.client;
        tube.lab.net.reset(&mut tube.lab.cx, client);
        settle(&mut tube.lab);
        assert_eq!(tube.closes(Close::Reset), Ok(()));
        let record = tube.record(ending, counts);
        tube.lab.oracle.event(&record);
        tube.lab.fires("tunnels", "RUN-5");
    }
    let tube = Tube::new();
    breaks(tube.lab.oracle.audit_tunnels(&tube.lab.net), "tunnels", "RUN-5");
}

// SES-4: between healthy peers a tunnel carries everything.
#[test]
fn tunnels_fires_on_a_cut_between_healthy_peers() {
    let mut tube = Tube::new();
    let client = tube.client;
    tube.lab.net.reset(&mut tube.lab.cx, client);
    settle(&mut tube.lab);
    assert_eq!(tube.closes(Close::Reset), Ok(()));
    let ending = Ending { who: Who::Client, phase: Phase::Tunnel, timer: None };
    let record = tube.record(ending, (20, 20));
    tube.lab.oracle.event(&record);
    tube.lab.clean();
    assert_eq!(tube.lab.oracle.audit_tunnels(&tube.lab.net), Ok(()));
    tube.lab.oracle.tunnels[0].must_succeed = true;
    breaks(tube.lab.oracle.audit_tunnels(&tube.lab.net), "tunnels", "SES-4");
}

// BACK-2: three attempts, no fewer, each elsewhere while there is an elsewhere.
#[test]
fn tunnels_fires_on_attempts() {
    let spent = Ending { who: Who::Backend, phase: Phase::Connect, timer: None };
    for (servers, attempts) in [(&[0, 3][..], 2), (&[0, 0, 3], 3), (&[0, 3, 0], 4)] {
        let mut tube = Tube::new();
        tube.lab.oracle.truth.natures = vec![Nature { is_tcp: true, ..Nature::default() }; 4];
        let at = &mut tube.lab.oracle;
        at.fronts[0].closed = Some((at.backs[0].connect_at, Close::Normal));
        tube.lab.later(1);
        let at = tube.lab.net.intern(&Address::Unix("tcp".into()), u32::MAX);
        let client =
            tube.lab.net.connect(&mut tube.lab.cx, Owner::Client(1), at, 0, &Wire::default());
        tube.front = tube.lab.oracle.front_begun(1, client);
        tube.lab.oracle.tcp_begun(tube.front, 0);
        tube.lab.oracle.accepted(tube.front);
        for &server in servers {
            let back = tube.lab.back(server);
            tube.lab.later(200);
            tube.lab.oracle.backs[back as usize].closed_at = Some(tube.lab.cx.now);
        }
        let mut record = tube.record(spent, (0, 0));
        if let Event::Access(record) = &mut record {
            record.attempts = attempts;
        }
        tube.lab.oracle.event(&record);
        tube.lab.fires("tunnels", "BACK-2");
    }
}

/// A request for an upgrade that a server was given.
fn asked_for_upgrade() -> (Lab, u32, u32, u32) {
    let mut lab = Lab::new();
    let front = lab.front();
    let id = lab.asked(front, Ask { upgrade: true, ..ask(0, Method::Get) });
    let back = lab.back(0);
    let asks = format!(
        "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {}\r\nVia",
        crate::wire::WEBSOCKET_KEY
    );
    let head = lab.head(id).replace("Via", &asks);
    lab.emit_up(back, &head);
    lab.clean();
    (lab, front, id, back)
}

// TUN-3: nothing goes up before the server's 101, and no 101 down that it did not send.
#[test]
fn tunnels_fires_on_upgrades_that_no_server_agreed_to() {
    let (mut lab, _, _, back) = asked_for_upgrade();
    lab.emit_up(back, "GET /r/1 HTTP/1.1\r\nHost: h0.sim\r\n\r\n");
    lab.fires("tunnels", "TUN-3");

    let text =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let (mut lab, front, _, _) = asked_for_upgrade();
    lab.emit_down(front, text.as_bytes());
    lab.fires("tunnels", "TUN-3");

    let mut lab = Lab::new();
    let (front, _, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    lab.emit_down(front, text.as_bytes());
    lab.fires("tunnels", "TUN-3");
}

// TUN-3: who will decline has nothing behind the request either, before that was said and read.
#[test]
fn tunnels_fires_on_bytes_for_who_has_not_declined_yet() {
    for is_read in [false, true] {
        let (mut lab, _, id, back) = asked_for_upgrade();
        let declined = Plan { status: 403, end: is_read.then_some(0), ..plan(0, BackFault::None) };
        let row = &mut lab.oracle.rows[id as usize];
        row.plans = vec![declined];
        row.attempts[0].plan = Some(0);
        let verdict = crate::oracle::tunnels::before_the_101(&lab.oracle, &lab.net, back);
        holds(verdict, is_read, "tunnels", "TUN-3");
    }
}

// TUN-2, TUN-3: a 101 that waits behind interim responses has begun no tunnel: when its client is
// reset, the server is closed as a request's. Behind the 101 that would be a cut shown as an end.
#[test]
fn a_server_closes_as_a_requests_before_its_client_got_the_101() {
    for has_begun in [false, true] {
        let (mut lab, front, id, back) = asked_for_upgrade();
        let row = &mut lab.oracle.rows[id as usize];
        row.plans = vec![Plan { status: 101, end: Some(0), ..plan(0, BackFault::None) }];
        row.attempts[0].plan = Some(0);
        if has_begun {
            assert_eq!(lab.oracle.switches(&lab.net, id, Some(0)), Ok(()));
        }
        let client = lab.oracle.fronts[front as usize].ep ^ 1;
        lab.net.reset(&mut lab.cx, client);
        settle(&mut lab);
        let server = lab.oracle.backs[back as usize].ep;
        let verdict = lab.oracle.tunnel_closes(&lab.net, server, Close::Normal);
        if has_begun { breaks(verdict, "tunnels", "TUN-2") } else { assert_eq!(verdict, Ok(())) }
    }
}

// TUN-3: a 101 that was lost, with what could not be opened behind it, is asked for again: the
// tunnel is the later attempt's.
#[test]
fn a_tunnel_is_of_the_attempt_whose_101_came_last() {
    let (mut lab, front, id, first) = asked_for_upgrade();
    let agreed = Plan { status: 101, end: Some(0), ..plan(0, BackFault::None) };
    let row = &mut lab.oracle.rows[id as usize];
    row.plans = vec![agreed.clone(), agreed];
    row.attempts[0].plan = Some(0);
    let tunnel = lab.oracle.tunnel_of_back(&lab.net, first).expect("a 101 was read");
    let again = Attempt { plan: Some(1), ..lab.oracle.rows[id as usize].attempts[0].clone() };
    let later = lab.back(0);
    lab.oracle.rows[id as usize].attempts.push(Attempt { back: later, ..again });
    lab.oracle.backs[later as usize].seen = lab.oracle.backs[first as usize].seen.clone();
    lab.oracle.backs[later as usize].seen[0].attempt = 1;
    assert_eq!(lab.oracle.tunnel_of_back(&lab.net, later), Some(tunnel));
    assert_eq!(lab.oracle.switches(&lab.net, id, Some(1)), Ok(()));
    assert_eq!(lab.oracle.tunnels[tunnel as usize].back, Some(later));
    assert_eq!(lab.oracle.fronts[front as usize].tunnel, Some(tunnel));
    // What was lost does not come back.
    assert_eq!(lab.oracle.tunnel_of_back(&lab.net, first), Some(tunnel));
    assert_eq!(lab.oracle.tunnels[tunnel as usize].back, Some(later));
}

// TUN-3, REQ-5: the asking crosses when it is for WebSocket, with its key.
#[test]
fn headers_fires_on_upgrades_that_are_lost() {
    let mut lab = Lab::new();
    let front = lab.front();
    let id = lab.asked(front, Ask { upgrade: true, ..ask(0, Method::Get) });
    let back = lab.back(0);
    let head = lab.head(id);
    lab.emit_up(back, &head);
    lab.fires("headers", "TUN-3");

    let mut lab = Lab::new();
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Get));
    let back = lab.back(0);
    let head = lab.head(id).replace("Via", "Connection: upgrade\r\nUpgrade: h2c\r\nVia");
    lab.emit_up(back, &head);
    lab.fires("headers", "REQ-5");
}

// TUN-2: a deadline that cuts a tunnel short is no clean end for whoever has not got all.
#[test]
fn tunnels_fires_on_a_cut_that_looks_whole() {
    let mut tube = Tube::new();
    let more = said(&Stream::of(Speaker::Front(tube.front)), 20, 10);
    tube.says(tube.client, &more);
    tube.reads(tube.client ^ 1, 10);
    tube.lab.later(3_600_005);
    breaks(tube.closes(Close::Normal), "tunnels", "TUN-2");
    assert_eq!(tube.closes(Close::Reset), Ok(()));
}

// TUN-2: a server that has ended and takes no more leaves a whole stream behind.
#[test]
fn a_server_that_takes_no_more_after_its_end_is_no_break() {
    let mut tube = Tube::new();
    let (server, front) = (tube.server, tube.client ^ 1);
    tube.finishes(server);
    tube.reads(server ^ 1, 9);
    assert_eq!(tube.passes_end(front), Ok(()));
    tube.lab.net.reset(&mut tube.lab.cx, server);
    settle(&mut tube.lab);
    assert_eq!(tube.closes(Close::Normal), Ok(()));
    let refused = Ending { who: Who::Backend, phase: Phase::Tunnel, timer: None };
    let record = tube.record(refused, (20, 20));
    tube.lab.oracle.event(&record);
    tube.lab.clean();
}

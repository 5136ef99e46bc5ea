//! Checkers of the worker: balance, timers, accept, accounting, progress, reconfiguration,
//! liveness.

use super::*;
use crate::oracle::ledger::{Flaw, Recorded};
use crate::oracle::truth::Down;
use crate::oracle::tunnels::TunnelRecord;
use crate::oracle::{
    accept, accounting, balance, counters, dials, liveness, panics, progress, reconfiguration,
    timers,
};
use crate::wire;
use std::rc::Rc;
use tidegate_core::effect::Close;
use tidegate_core::event::{AccessRecord, Ending, Event, Phase, Timer, Who};
use tidegate_core::input::Readiness;
use tidegate_core::stats::{Counters, Gauges};
use tidegate_core::time::Time;

// BACK-1: a drained server, and one of another cluster, get nothing.
#[test]
fn balance_fires_on_servers_that_are_not_eligible() {
    for n in [1, 2] {
        let mut lab = Lab::new();
        let front = lab.front();
        let id = lab.asked(front, ask(0, Method::Get));
        let back = lab.back(n);
        let head = lab.head(id);
        lab.emit_up(back, &head);
        lab.fires("balance", "BACK-1");
    }
}

// BACK-4: a server that backs off is left alone while another can be used.
#[test]
fn balance_fires_on_a_server_that_backs_off() {
    let mut lab = Lab::new();
    let until = lab.oracle.now + 60_000_000_000;
    lab.oracle.event(&Event::ServerUp { cluster: "c0".into(), addr: server(0) });
    let (cluster, address, since) = ("c0".into(), server(0), lab.oracle.now);
    lab.oracle.truth.down.push(Down { cluster, address, since, until, passed: 0 });
    lab.later(10_000);
    breaks(balance::connect(&lab.oracle, 0, &server(0)), "balance", "BACK-4");
    assert_eq!(balance::connect(&lab.oracle, 3, &server(3)), Ok(()));
    lab.later(60_000);
    assert_eq!(balance::connect(&lab.oracle, 0, &server(0)), Ok(()), "the back-off is over");
}

pub(super) fn recorded(timer: Option<Timer>, version: u64) -> Recorded {
    let who = if timer.is_some() { Who::Timeout } else { Who::Nobody };
    let ending = Ending { who, phase: Phase::ResponseHead, timer };
    Recorded { at: 0, status: 504, ending, attempts: 1, version }
}

// SES-3: never early, at most a tick late.
#[test]
fn timers_fires_early_and_late() {
    let mut lab = Lab::new();
    let (_, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    let record = recorded(Some(Timer::BackendResponse), 1);
    let verdict = |lab: &Lab| timers::record(&lab.oracle, &lab.oracle.rows[id as usize], &record);
    lab.later(29_999);
    breaks(verdict(&lab), "timers", "SES-3");
    lab.later(5);
    assert_eq!(verdict(&lab), Ok(()));
    lab.later(20);
    breaks(verdict(&lab), "timers", "SES-3");
    breaks(timers::next_deadline(5, 5, None), "timers", "SES-3");
    assert_eq!(timers::next_deadline(5, 6, None), Ok(()));
}

/// Request `id`, which saw the version of this number, is recorded as ended by `timer`: it may be
/// or not (SES-3).
pub(super) fn times_out(lab: &Lab, id: u32, (timer, version): (Timer, u64), is_right: bool) {
    let record = recorded(Some(timer), version);
    let verdict = timers::record(&lab.oracle, &lab.oracle.rows[id as usize], &record);
    holds(verdict, is_right, "timers", "SES-3");
}

// SES-3: who waits to be read is not idle, be the record written when it may.
#[test]
fn timers_fires_on_an_idle_server_whose_bytes_wait() {
    // Whether bytes wait, whether the proxy has just read, and how long it has known of them.
    let cases =
        [(0, false, 1, true), (5, false, 1, false), (5, true, 1, false), (5, true, 0, true)];
    for (unread, has_read, millis, is_right) in cases {
        let mut lab = Lab::new();
        let (_, id, back) = lab.relayed(ask(0, Method::Get), plan(9, BackFault::None));
        let ep = lab.oracle.backs[back as usize].ep;
        lab.net.ep_mut(ep ^ 1).arrived = unread;
        lab.oracle.back_seen(&lab.net, back, has_read);
        lab.later(millis);
        lab.oracle.back_closed(&lab.net, back);
        lab.later(7_000);
        times_out(&lab, id, (Timer::BackendIdle, 1), is_right);
    }
}

// RUN-2: answers in a graceful stop say that their connection closes.
#[test]
fn reconfiguration_fires_on_a_connection_that_is_kept_in_a_stop() {
    for (framing, is_right) in [("Connection: close\r\n", true), ("", false)] {
        let mut lab = Lab::new();
        let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
        lab.oracle.truth.stop_at = Some(lab.cx.now);
        lab.later(1);
        let response = Lab::response(id, 0, &format!("{framing}Content-Length: 0"));
        lab.emit_down(front, response.as_bytes());
        if is_right { lab.clean() } else { lab.fires("reconfiguration", "RUN-2") }
    }
}

// SES-3: a dripping head does not extend its deadline.
#[test]
fn timers_fires_on_a_head_that_took_too_long() {
    let mut lab = Lab::new();
    let front = lab.front();
    let id = lab.oracle.row_begun(front, 0, |id| ask(id, Method::Get));
    lab.oracle.rows[id as usize].head_end = Some(2);
    lab.oracle.rows[id as usize].end = Some(2);
    lab.oracle.read_from_client(front, 1);
    lab.later(10_100);
    lab.oracle.read_from_client(front, 2);
    let row = &lab.oracle.rows[id as usize];
    breaks(timers::head_in_time(&lab.oracle, row), "timers", "SES-3");
}

// ACC-5: a socket is not closed while there is room for it.
#[test]
fn accept_fires_on_a_socket_that_is_lost() {
    let mut lab = Lab::new();
    let front = lab.front();
    lab.oracle.unserved_closed(&lab.net, front);
    lab.fires("accept", "ACC-5");
    let mut lab = Lab::new();
    let front = lab.front();
    lab.later(10_000);
    lab.oracle.unserved_closed(&lab.net, front);
    lab.clean();
}

// ACC-3 to ACC-7: newest first, bounds kept, nobody waits for nothing.
#[test]
fn accept_fires_on_order_bounds_and_idle_queues() {
    let mut lab = Lab::new();
    let busy = Gauges { sessions: 10_000, ..Gauges::default() };
    let more = Gauges { sessions: 10_001, ..Gauges::default() };
    let full = Gauges { queued: 1025, ..Gauges::default() };
    breaks(accept::turn_ended(&lab.oracle, &more), "accept", "ACC-5");
    breaks(accept::turn_ended(&lab.oracle, &full), "accept", "ACC-6");
    let older = lab.front();
    lab.later(1);
    lab.front();
    lab.later(1);
    let idle = Gauges::default();
    breaks(accept::turn_ended(&lab.oracle, &idle), "accept", "ACC-7");
    assert_eq!(accept::turn_ended(&lab.oracle, &busy), Ok(()));
    lab.oracle.turn.first_served.push(older);
    lab.oracle.read_from_client(older, 0);
    breaks(accept::turn_ended(&lab.oracle, &busy), "accept", "ACC-3");
    lab.oracle.turn.first_served.clear();
    lab.later(20_000);
    breaks(accept::turn_ended(&lab.oracle, &busy), "accept", "ACC-4");
}

// LOOP-2: the core's counts are the kernel's, and return to zero.
#[test]
fn accounting_fires_on_counts_that_do_not_add_up() {
    let lab = Lab::new();
    let one = Gauges { sockets: 1, ..Gauges::default() };
    breaks(accounting::turn_ended(&lab.oracle, &lab.net, &one), "accounting", "LOOP-2");
    breaks(accounting::stopped(&one, &lab.net), "accounting", "RUN-2");
    let left = Gauges { backend_connections: 1, ..Gauges::default() };
    breaks(accounting::at_rest(&left), "accounting", "LOOP-2");
    assert_eq!(accounting::at_rest(&Gauges::default()), Ok(()));
    breaks(accounting::invariants(Err("what".into())), "accounting", "LOOP-2");
}

// BACK-4: a back-off is not longer than its doublings.
#[test]
fn balance_fires_on_a_back_off_that_is_too_long() {
    let down = |millis| Event::ServerDown {
        cluster: "c0".into(),
        addr: server(0),
        backoff: std::time::Duration::from_millis(millis),
    };
    let mut lab = Lab::new();
    assert_eq!(balance::health(&mut lab.oracle, &down(1000)), Ok(()));
    assert_eq!(balance::health(&mut lab.oracle, &down(2000)), Ok(()));
    breaks(balance::health(&mut lab.oracle, &down(4010)), "balance", "BACK-4");
    let mut lab = Lab::new();
    breaks(balance::health(&mut lab.oracle, &down(0)), "balance", "BACK-4");
}

// REQ-9: a body that cannot be passed on is not read.
#[test]
fn progress_fires_on_bodies_that_pile_up() {
    let mut lab = Lab::new();
    lab.oracle.settings.buffer_bytes = 2048;
    let (front, id, _) =
        lab.relayed(Ask { body: 1 << 20, ..ask(0, Method::Put) }, plan(0, BackFault::None));
    lab.oracle.rows[id as usize].end = None;
    assert_eq!(progress::held(&lab.oracle, front, 10_000), Ok(()));
    breaks(progress::held(&lab.oracle, front, 200_000), "progress", "REQ-9");
}

// SES-5: no more buffers are lent and promised than there are.
#[test]
fn accounting_fires_on_buffers_that_are_not_there() {
    let mut lab = Lab::new();
    lab.oracle.settings.buffers_max = 4;
    let lent = |n| Gauges { buffers_lent: n, buffers_promised: 2, ..Gauges::default() };
    assert_eq!(accounting::turn_ended(&lab.oracle, &lab.net, &lent(2)), Ok(()));
    breaks(accounting::turn_ended(&lab.oracle, &lab.net, &lent(3)), "accounting", "SES-5");
}

// RUN-5: whatever panics has broken a rule; LOOP-5: so has what does not end, or was forgotten.
#[test]
fn panics_and_endless_runs_are_broken_rules() {
    breaks(panics::panicked("what", "where"), "panic", "RUN-5");
    breaks(progress::endless(5), "progress", "LOOP-5");
    let forgotten = Err("session 1 is ready and not queued".into());
    breaks(accounting::invariants(forgotten), "progress", "LOOP-5");
    let probed = Err("server 1 is probed by 0, not 1".into());
    breaks(accounting::invariants(probed), "balance", "BACK-4");
}

fn access(lab: &Lab, id: u32, status: u16, request_id: u128) -> Event {
    let front = lab.oracle.rows[id as usize].front;
    let mut record = AccessRecord {
        start: Time(lab.oracle.now),
        status,
        request_id,
        version: 1,
        attempts: 1,
        route: Some(0),
        cluster: Some(0),
        server: Some(0),
        minor: 1,
        client: Some(lab.oracle.fronts[front as usize].address),
        ..AccessRecord::default()
    };
    record.method.set(b"GET");
    record.host.set(b"a.example");
    record.path.set(format!("/r/{id}").as_bytes());
    record.ending.phase = Phase::RequestBody;
    Event::Access(record)
}

// RUN-5, RES-2: counters tell what happened, and each response that was cut short counts once.
#[test]
fn accounting_fires_on_counters_that_are_off() {
    let mut lab = Lab::new();
    let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(50, BackFault::None));
    lab.emit_down(front, Lab::response(id, 0, "Content-Length: 50").as_bytes());
    lab.clean();
    let right = Counters { accepted: 1, sessions: 1, truncated: 1, ..Counters::default() };
    assert_eq!(counters::counted(&lab.oracle, &right), Ok(()));
    for wrong in [
        Counters { truncated: 0, ..right },
        Counters { truncated: 2, ..right },
        Counters { accepted: 2, ..right },
        Counters { sessions: 0, ..right },
        Counters { queue_aged: 1, ..right },
        Counters { queue_overflow: 1, ..right },
        Counters { evicted: 1, ..right },
        Counters { accept_pauses: 1, ..right },
        Counters { zombies: 1, ..right },
        Counters { proxy_refused: 1, ..right },
        Counters { proxy_malformed: 1, ..right },
        Counters { proxy_timed_out: 1, ..right },
        Counters { over_address_limit: 1, ..right },
        Counters { connects: 1, ..right },
        Counters { connect_failures: 1, ..right },
        Counters { reuses: 2, ..right },
        Counters { resent_reused: 3, ..right },
        Counters { tunnels: 1, ..right },
        Counters { applied: 1, ..right },
        Counters { backend_queued: 1, ..right },
        Counters { backend_queue_full: 1, ..right },
    ] {
        breaks(counters::counted(&lab.oracle, &wrong), "accounting", "RUN-5");
    }
    lab.oracle.rows[id as usize].answer.as_mut().unwrap().end = Some(1);
    breaks(counters::counted(&lab.oracle, &right), "accounting", "RUN-5");
}

// RUN-5: what was asked for as a tunnel and never became one is not cut with its connection.
#[test]
fn only_what_was_a_tunnel_is_cut() {
    let mut lab = Lab::new();
    let front = lab.front();
    for _ in 0..2 {
        lab.oracle.tcp_begun(front, 0);
    }
    lab.oracle.fronts[front as usize].closed = Some((lab.cx.now, Close::Reset));
    let ending = Ending { who: Who::Backend, phase: Phase::Tunnel, timer: None };
    lab.oracle.tunnels[1].record = Some(TunnelRecord { at: 0, ending, attempts: 1 });
    for (truncated, is_right) in [(0, false), (1, true), (2, false)] {
        let counters = Counters { accepted: 1, sessions: 1, truncated, ..Counters::default() };
        holds(counters::counted(&lab.oracle, &counters), is_right, "accounting", "RUN-5");
    }
}

// RUN-5: what a record that names nobody may have counted as cut is not held against the counter:
// of a head that could not be read, and of a 408 to one who had not finished to say HEAD.
#[test]
fn what_may_have_been_cut_is_known_as_far_as_it_can_be() {
    let flaw = Flaw { name: "test", statuses: &[400], in_body: false, location: None, lead: 0 };
    for (flaw, tls, is_whole, truncated, is_right) in [
        (Some(flaw), true, true, 1, true),
        (Some(flaw), true, true, 0, true),
        (Some(flaw), false, true, 1, false),
        (None, true, true, 1, false),
        (None, true, false, 1, true),
    ] {
        let mut lab = Lab::new();
        let front = lab.front();
        let id = lab.asked(front, Ask { flaw, host: 1, ..ask(0, Method::Get) });
        lab.emit_down(front, &own_answer(if flaw.is_some() { 400 } else { 404 }, ""));
        lab.clean();
        if tls {
            lab.oracle.fronts[front as usize].tls = Some(Rc::default());
        }
        if !is_whole {
            lab.oracle.rows[id as usize].head_read_at = None;
        } else if flaw.is_none() {
            lab.oracle.rows[id as usize].record = Some(recorded(None, 1)).map(|it| Recorded {
                ending: Ending { phase: Phase::Complete, ..it.ending },
                ..it
            });
        }
        let counters = Counters { accepted: 1, sessions: 1, truncated, ..Counters::default() };
        let verdict = counters::counted(&lab.oracle, &counters);
        holds(verdict, is_right, "accounting", "RUN-5");
    }
}

// RUN-5: an attempt whose request was told that it took too long to connect has failed.
#[test]
fn accounting_fires_on_connections_whose_lateness_is_not_counted() {
    let mut lab = Lab::new();
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Get));
    lab.oracle.rows[id as usize].record = Some(recorded(Some(Timer::Connect), 1));
    assert_eq!(dials::begins(&mut lab.oracle, 0, &server(0)), Ok(()));
    let right = Counters { accepted: 1, sessions: 1, connects: 1, ..Counters::default() };
    breaks(counters::counted(&lab.oracle, &right), "accounting", "RUN-5");
    let right = Counters { connect_failures: 1, ..right };
    assert_eq!(counters::counted(&lab.oracle, &right), Ok(()));
}

// RUN-5: one record a request, and it tells what was sent.
#[test]
fn accounting_fires_on_missing_double_and_wrong_records() {
    let mut lab = Lab::new();
    let (_, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    let none = Counters::default();
    breaks(accounting::records(&lab.oracle, &none), "accounting", "RUN-5");
    let event = access(&lab, id, 0, 1);
    lab.oracle.event(&event);
    lab.clean();
    breaks(accounting::records(&lab.oracle, &none), "accounting", "RUN-5");
    let event = access(&lab, id, 0, 2);
    lab.oracle.event(&event);
    lab.fires("accounting", "RUN-5");

    let mut lab = Lab::new();
    let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    lab.emit_down(front, Lab::response(id, 0, "Content-Length: 0").as_bytes());
    let event = access(&lab, id, 404, 1);
    lab.oracle.event(&event);
    lab.fires("accounting", "RUN-5");
}

// LOOP-5: an edge that was waited for is used, and nobody asks in vain for ever.
#[test]
fn progress_fires_on_lost_wake_ups_and_busy_loops() {
    let mut lab = Lab::new();
    let front = lab.front();
    let ep = lab.oracle.fronts[front as usize].ep;
    lab.oracle.turn.wrote(ep, Some(5), 10).unwrap();
    assert_eq!(progress::turn_ended(&mut lab.oracle, &lab.net, false), Ok(()));
    lab.oracle.turn.told(ep, Readiness { writable: true, ..Readiness::default() });
    let verdict = progress::turn_ended(&mut lab.oracle, &lab.net, false);
    breaks(verdict, "progress", "LOOP-5");

    let mut lab = Lab::new();
    let verdict = (0..9).find_map(|_| lab.oracle.turn.read(ep, true).err());
    breaks(Err(verdict.expect("a busy loop")), "progress", "LOOP-5");
    let verdict = (0..9).find_map(|_| progress::turn_ended(&mut lab.oracle, &lab.net, true).err());
    breaks(Err(verdict.expect("work that is never done")), "progress", "LOOP-5");
    let verdict = (0..100_000).find_map(|_| lab.oracle.turn.call().err());
    breaks(Err(verdict.expect("a turn without end")), "progress", "LOOP-5");
}

// RUN-1: one version a request, the one of its start; RUN-2: backlogs are served.
#[test]
fn reconfiguration_fires_on_mixed_versions_and_dropped_backlogs() {
    let mut lab = Lab::new();
    let (_, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    lab.later(1);
    let mut other = version(lab.cx.now);
    other.clusters[0].remove(0);
    lab.oracle.truth.versions.push(other);
    let verdict = |lab: &Lab, serial| {
        let row = &lab.oracle.rows[id as usize];
        reconfiguration::record(&lab.oracle, row, &recorded(None, serial))
    };
    assert_eq!(verdict(&lab, 1), Ok(()));
    breaks(verdict(&lab, 2), "reconfiguration", "RUN-1");
    lab.oracle.truth.versions[0].clusters[0].remove(0);
    breaks(verdict(&lab, 1), "reconfiguration", "RUN-1");
    breaks(reconfiguration::listener_closed(&lab.oracle, 1), "reconfiguration", "RUN-2");
    lab.oracle.truth.stop_at = Some(lab.oracle.now);
    breaks(reconfiguration::listener_closed(&lab.oracle, 1), "reconfiguration", "RUN-2");
    breaks(reconfiguration::stopped_in_time(2_000_000, 1), "reconfiguration", "RUN-2");
}

// RUN-1: nonsense is refused for a reason, and changes nothing.
#[test]
fn reconfiguration_fires_on_nonsense_that_takes_effect() {
    let (none, one) = (Gauges::default(), Gauges { listeners: 1, ..Gauges::default() });
    assert_eq!(reconfiguration::refused(1, &none, &none), Ok(()));
    breaks(reconfiguration::refused(0, &none, &none), "reconfiguration", "RUN-1");
    breaks(reconfiguration::refused(1, &none, &one), "reconfiguration", "RUN-1");
    // What is compared are two answers of the product's: the world asks for both.
    breaks(reconfiguration::misled("two ways".into()), "reconfiguration", "ROUTE-2");
}

// SES-4: what is healthy succeeds, and the zombie checker has nothing to do.
#[test]
fn liveness_fires_on_failures_of_the_healthy() {
    let mut lab = Lab::new();
    let (_, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    let row = &mut lab.oracle.rows[id as usize];
    row.must_succeed = true;
    let row = &lab.oracle.rows[id as usize];
    breaks(liveness::succeeded(&lab.oracle, &lab.net, row), "liveness", "SES-4");
    lab.oracle.event(&Event::Zombie { session: 1, state: "relay" });
    lab.fires("liveness", "SES-4");
}

pub(super) fn sticky_lab(cookie: Option<(u16, u16)>) -> (Lab, u32, u32) {
    let mut lab = Lab::new();
    lab.oracle.truth.versions[0].config.clusters[0].sticky = Some("tg_c0".into());
    lab.later(1);
    let front = lab.front();
    let id = lab.asked(front, Ask { cookie, ..ask(0, Method::Get) });
    (lab, front, id)
}

// BACK-8: a cookie leads to its server, stays with the proxy, and is renewed when it changes.
#[test]
fn balance_fires_on_lost_shown_and_forgotten_cookies() {
    let (mut lab, _, id) = sticky_lab(Some((0, 0)));
    let (back, head) = (lab.back(3), lab.head(id));
    lab.emit_up(back, &head.replace("Via", &format!("Cookie: {}\r\nVia", wire::cookies(0, None))));
    lab.fires("balance", "BACK-8");

    let (mut lab, _, id) = sticky_lab(Some((0, 0)));
    let (back, head) = (lab.back(0), lab.head(id));
    lab.emit_up(
        back,
        &head.replace("Via", &format!("Cookie: {}\r\nVia", wire::cookies(0, Some(0)))),
    );
    lab.fires("balance", "BACK-8");

    let right = "Set-Cookie: tg_c0=s0; Path=/; HttpOnly; SameSite=Lax\r\n";
    let secure = "Set-Cookie: tg_c0=s0; Path=/; HttpOnly; SameSite=Lax; Secure\r\n";
    let open = "Set-Cookie: tg_c0=s0; Path=/\r\n";
    for (set_cookie, is_right) in [("", false), (right, true), (open, false), (secure, false)] {
        let (mut lab, front, id) = sticky_lab(None);
        let (back, head) = (lab.back(0), lab.head(id));
        lab.emit_up(back, &head);
        let row = &mut lab.oracle.rows[id as usize];
        row.plans.push(plan(0, BackFault::None));
        row.attempts[0].plan = Some(0);
        let framing = format!("{set_cookie}Content-Length: 0");
        lab.emit_down(front, Lab::response(id, 0, &framing).as_bytes());
        match is_right {
            true => lab.clean(),
            false => lab.fires("balance", "BACK-8"),
        }
    }
}

// BACK-1: round-robin is fair in a quiet run.
#[test]
fn balance_fires_on_unfair_turns() {
    let mut lab = Lab::new();
    for _ in 0..2 {
        lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    }
    breaks(balance::fair(&lab.oracle), "balance", "BACK-1");
    lab.oracle.truth.has_lost_backs = true;
    assert_eq!(balance::fair(&lab.oracle), Ok(()));
}

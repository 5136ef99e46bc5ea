//! Checkers of who comes first, of what is too large, and of timers that are nobody's request's.

use super::worker::times_out;
use super::*;
use crate::kernel::Net;
use crate::oracle::{accept, answers, balance, falls, limits, progress, reuse, timers};
use std::collections::BTreeMap;
use tidegate_core::effect::Close;
use tidegate_core::event::{Ending, Event, Phase, Timer, Who};

/// A client whose request was answered by the proxy itself, and that is idle since.
pub(super) fn idle(lab: &mut Lab) -> u32 {
    let front = lab.front();
    let id = lab.asked(front, Ask { host: 1, ..ask(0, Method::Get) });
    lab.emit_down(front, &own_answer(404, ""));
    lab.clean();
    lab.oracle.rows[id as usize].record = Some(super::worker::recorded(None, 1));
    front
}

// ACC-10: whoever has been idle for longest makes room.
#[test]
fn accept_fires_on_an_eviction_of_another() {
    for (evicted, is_tried, counted, is_right) in
        [(1, false, 1, false), (0, false, 1, true), (1, true, 1, true), (1, false, 0, true)]
    {
        let mut lab = Lab::new();
        let first = idle(&mut lab);
        lab.later(5);
        let second = idle(&mut lab);
        lab.later(5);
        let both = [first, second];
        lab.oracle.front_ended(both[evicted], Close::Normal, true);
        if is_tried {
            let read = lab.oracle.fronts[first as usize].read;
            lab.oracle.read_from_client(first, read);
        }
        let verdict = accept::evictions(&mut lab.oracle, &lab.net, counted);
        holds(verdict, is_right, "accept", "ACC-10");
    }
}

// SES-5: of two that wait for buffers the first one is read first.
#[test]
fn progress_fires_on_who_overtakes_where_buffers_are_short() {
    for (read, buffers, is_right) in [(1, 2, false), (0, 2, true), (1, 100_000, true)] {
        let mut lab = Lab::new();
        lab.oracle.settings.buffers_max = buffers;
        let both = [idle(&mut lab), idle(&mut lab)];
        for front in both {
            lab.later(5);
            lab.oracle.fronts[front as usize].knocks_since = Some(lab.oracle.now);
        }
        lab.later(5);
        let verdict = progress::in_line(&lab.oracle, both[read]);
        holds(verdict, is_right, "progress", "SES-5");
    }
}

// REQ-3: no server is given more of a body than some version lets pass.
#[test]
fn limits_fires_on_a_body_that_is_too_large() {
    let mut lab = Lab::new();
    let (_, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    let judge = |lab: &Lab, bytes| limits::body(&lab.oracle, &lab.oracle.rows[id as usize], bytes);
    assert_eq!(judge(&lab, u64::MAX), Ok(()));
    lab.oracle.truth.versions[0].max_body = Some(10);
    assert_eq!(judge(&lab, 10), Ok(()));
    breaks(judge(&lab, 11), "limits", "REQ-3");
}

// SES-3: a 408 has its time, and whoever cuts a response off for its server's idleness says so.
#[test]
fn timers_fires_on_a_408_too_early_and_on_a_cut_without_a_name() {
    let mut lab = Lab::new();
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Post));
    let judge = |lab: &Lab| {
        let row = &lab.oracle.rows[id as usize];
        answers::own(&lab.oracle, &Net::default(), row, 408)
    };
    breaks(judge(&lab), "timers", "SES-3");
    lab.oracle.rows[id as usize].all_read_at = None;
    breaks(judge(&lab), "timers", "SES-3");
    lab.later(60_000);
    assert_eq!(judge(&lab), Ok(()));

    for (fault, has_ended, who, is_right) in [
        (BackFault::Stalls, false, Who::Backend, false),
        (BackFault::Stalls, true, Who::Backend, true),
        (BackFault::Truncates, false, Who::Backend, true),
        (BackFault::Stalls, false, Who::Client, true),
    ] {
        let mut lab = Lab::new();
        let (_, id, back) = lab.relayed(ask(0, Method::Get), plan(9, fault));
        lab.oracle.backs[back as usize].has_shown_end = has_ended;
        let mut record = super::worker::recorded(None, 1);
        record.ending = Ending { who, phase: Phase::ResponseBody, timer: None };
        let row = &lab.oracle.rows[id as usize];
        let verdict = timers::record(&lab.oracle, row, &record);
        holds(verdict, is_right, "timers", "SES-3");
    }
}

// SES-1, SES-3: a request's timeouts are those of its start, whatever came since.
#[test]
fn timers_fires_on_the_timeouts_of_another_version() {
    for (seen, is_right) in [(1, true), (2, false)] {
        let mut lab = Lab::new();
        let mut newer = version(lab.oracle.now);
        newer.timeouts.backend_response = std::time::Duration::from_secs(90);
        let (_, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
        lab.later(1);
        newer.at = lab.oracle.now;
        lab.oracle.truth.versions.push(newer);
        lab.later(30_000);
        times_out(&lab, id, (Timer::BackendResponse, seen), is_right);
    }
}

// SES-1, SES-3: whoever is told 408 in the middle of a body had as long as its request's version
// gives; what comes behind that says nothing of the time before.
#[test]
fn timers_fires_on_a_408_by_the_time_of_another_version() {
    for (seen, comes_late, is_right) in [(2, false, true), (1, false, false), (1, true, true)] {
        let mut lab = Lab::new();
        let front = lab.front();
        let id = lab.asked(front, Ask { body: 5, ..ask(0, Method::Put) });
        let row = &mut lab.oracle.rows[id as usize];
        (row.end, row.all_read_at) = (Some(105), None);
        lab.later(1);
        let mut newer = version(lab.oracle.now);
        newer.timeouts.client_idle = std::time::Duration::from_secs(30);
        lab.oracle.truth.versions.push(newer);
        lab.later(30_000);
        lab.emit_down(front, &own_answer(408, "Connection: close\r\n"));
        lab.clean();
        lab.later(1);
        if comes_late {
            lab.oracle.rows[id as usize].last_read_at = lab.oracle.now;
        }
        times_out(&lab, id, (Timer::ClientIdle, seen), is_right);
    }
}

// SES-3: a connection that lies idle is closed in its time.
#[test]
fn timers_fires_on_a_connection_that_is_idle_for_ever() {
    for (millis, is_right) in [(29_000, true), (31_000, false)] {
        let mut lab = Lab::new();
        let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
        lab.oracle.rows[id as usize].plans[0].end = Some(0);
        lab.emit_down(front, Lab::response(id, 0, "Content-Length: 0").as_bytes());
        let record = super::worker::recorded(None, 1);
        let at = lab.oracle.now;
        lab.oracle.rows[id as usize].record =
            Some(crate::oracle::ledger::Recorded { at, ..record });
        lab.oracle.records += 1;
        lab.later(millis);
        let verdict = reuse::pools(&mut lab.oracle, &lab.net);
        lab.clean();
        holds(verdict, is_right, "timers", "SES-3");
    }
}

// BACK-4: failures count from the last response on, and what became of a used connection, or of one
// that did its work, is none.
#[test]
fn balance_fires_on_a_server_that_is_marked_down_for_old_failures() {
    let backoff = std::time::Duration::from_secs(1);
    let down = Event::ServerDown { cluster: "c0".into(), addr: server(0), backoff };
    let fails = |lab: &mut Lab, times| {
        for _ in 0..times {
            let back = lab.back(0);
            lab.oracle.back_closed(&lab.net, back);
        }
    };
    for (before, behind, is_right) in [(2, 1, false), (0, 3, true), (3, 0, false)] {
        let mut lab = Lab::new();
        fails(&mut lab, before);
        lab.later(1);
        let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
        lab.emit_down(front, Lab::response(id, 0, "Content-Length: 0").as_bytes());
        lab.later(1);
        fails(&mut lab, behind);
        let verdict = falls::marked_down(&lab.oracle, &down);
        holds(verdict, is_right, "balance", "BACK-4");
    }
    // The third one was used before, or had answered.
    for (requests, is_answered, is_right) in [(1, false, true), (2, false, false), (1, true, false)]
    {
        let mut lab = Lab::new();
        let (front, id, back) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
        let seen = lab.oracle.backs[back as usize].seen[0];
        for _ in 1..requests {
            lab.oracle.backs[back as usize].seen.push(seen);
        }
        if is_answered {
            lab.emit_down(front, Lab::response(id, 0, "Content-Length: 0").as_bytes());
            lab.clean();
            // Of which it is not known when it began.
            lab.oracle.rows[id as usize].answer.as_mut().unwrap().begun_at = 0;
        }
        lab.oracle.back_closed(&lab.net, back);
        fails(&mut lab, 2);
        let verdict = falls::marked_down(&lab.oracle, &down);
        holds(verdict, is_right, "balance", "BACK-4");
    }
}

// BACK-1: chance gives no server very much more than its weight says.
#[test]
fn balance_fires_on_chance_without_weights() {
    let place = |server, weight| Place { weight, ..Place::new(server) };
    let places = [place(0, 256), place(1, 1)];
    let judge = |counts: [u64; 2]| {
        let counts: BTreeMap<u16, u64> = (0..).zip(counts).collect();
        balance::likely(0, &places, &counts)
    };
    for right in [[0, 0], [0, 15], [9_000, 16], [30, 3]] {
        assert_eq!(judge(right), Ok(()), "{right:?}");
    }
    for wrong in [[16, 16], [200, 16]] {
        breaks(judge(wrong), "balance", "BACK-1");
    }
}

// BACK-1: where a request went first is what `source` chose; where else it went is not.
#[test]
fn source_is_faithful_in_its_first_choice() {
    for (attempts, is_right) in [(1, false), (2, true)] {
        let mut lab = Lab::new();
        lab.oracle.truth.versions[0].config.clusters[0].balance =
            tidegate_core::config::Balance::Source;
        for server in [0, 3] {
            let front = lab.front();
            let id = lab.asked(front, ask(0, Method::Get));
            let back = lab.back(server);
            (0..attempts).for_each(|_| lab.sent(id, back, false));
        }
        let verdict = balance::faithful(&lab.oracle);
        holds(verdict, is_right, "balance", "BACK-1");
    }
}

//! Checkers of what is tried again, and of what nobody came back to.

use super::worker::{recorded, times_out};
use super::*;
use crate::oracle::ledger::Recorded;
use crate::oracle::truth::{Down, Nature};
use crate::oracle::{answers, dials, falls, limits, own, retry, timers};
use tidegate_core::event::{Ending, Phase, Timer, Who};

// BACK-3: who lost a used connection before a byte of an answer gets a fresh one.
#[test]
fn retry_fires_on_a_502_in_place_of_a_fresh_connection() {
    for (method, is_reused, dialled_by, is_right) in [
        (Method::Get, true, 0, false),
        (Method::Post, true, 0, true),
        (Method::Get, false, 0, true),
        (Method::Get, true, 1, true),
        // It may be for either of them.
        (Method::Get, true, 2, true),
    ] {
        let mut lab = Lab::new();
        let front = lab.front();
        let id = lab.asked(front, ask(0, method));
        let back = lab.back(0);
        lab.sent(id, back, is_reused);
        lab.later(1);
        if dialled_by == 2 {
            let other = lab.front();
            lab.asked(other, ask(1, method));
        }
        if dialled_by > 0 {
            assert_eq!(dials::begins(&mut lab.oracle, 3, &server(3)), Ok(()));
        }
        let row = &lab.oracle.rows[id as usize];
        holds(retry::given_up(&lab.oracle, &lab.net, row), is_right, "retry", "BACK-3");
    }
}

// REQ-9: whoever has a whole answer is not asked again.
#[test]
fn answers_fires_on_an_attempt_in_place_of_an_answer() {
    for (fault, is_right) in [(BackFault::None, false), (BackFault::BadHead, true)] {
        let mut lab = Lab::new();
        let (_, id, back) = lab.relayed(ask(0, Method::Get), plan(0, fault));
        lab.oracle.rows[id as usize].plans[0].end = Some(0);
        let row = &lab.oracle.rows[id as usize];
        let verdict = answers::not_in_its_place(&lab.oracle, &lab.net, row, "sent again");
        holds(verdict, is_right, "answers", "REQ-9");
        // An unasked byte makes any answer of that connection doubtful.
        lab.oracle.backs[back as usize].has_garbage = true;
        let row = &lab.oracle.rows[id as usize];
        let verdict = answers::not_in_its_place(&lab.oracle, &lab.net, row, "sent again");
        assert_eq!(verdict, Ok(()));
    }
}

// BACK-8: who sticks to a server whose pooled connection was gone goes there once more.
#[test]
fn balance_fires_on_who_leaves_the_server_of_a_lost_connection() {
    for (is_reused, to, is_right) in [(true, 3, false), (true, 0, true), (false, 3, true)] {
        let (mut lab, _, id) = super::worker::sticky_lab(Some((0, 0)));
        let lost = lab.back(0);
        lab.oracle.backs[lost as usize].has_garbage = true;
        lab.sent(id, lost, is_reused);
        let (back, head) = (lab.back(to), lab.head(id));
        let cookie = format!("Cookie: {}\r\nVia", crate::wire::cookies(0, None));
        lab.emit_up(back, &head.replace("Via", &cookie));
        if is_right { lab.clean() } else { lab.fires("balance", "BACK-8") }
    }
}

// BACK-4: a server that is down and takes the connection of a TCP session has passed its probe.
#[test]
fn balance_fires_on_a_probe_that_brings_nobody_up() {
    for (until, is_known, is_right) in [(1, true, false), (9, true, true), (1, false, true)] {
        let mut lab = Lab::new();
        lab.oracle.truth.natures = vec![Nature { is_tcp: true, ..Nature::default() }];
        let until = lab.cx.now + until * 1_000_000;
        let address = server(if is_known { 0 } else { 3 });
        let (since, cluster) = (lab.cx.now, "c0".into());
        lab.oracle.truth.down.push(Down { cluster, address, since, until, passed: 0 });
        lab.later(5);
        let back = lab.back(0);
        lab.later(1);
        holds(falls::has_risen(&lab.oracle, back), is_right, "balance", "BACK-4");
    }
}

// SES-3: an attempt that was given up while nobody answered was given up by a timer.
#[test]
fn timers_fires_on_a_silent_server_without_a_timer() {
    for (is_unanswered, who, is_right) in
        [(true, Who::Backend, false), (false, Who::Backend, true), (true, Who::Client, true)]
    {
        let mut lab = Lab::new();
        let front = lab.front();
        let id = lab.asked(front, ask(0, Method::Get));
        lab.later(1);
        assert_eq!(dials::begins(&mut lab.oracle, 0, &server(0)), Ok(()));
        let back = lab.back(0);
        lab.oracle.backs[back as usize].is_unanswered = is_unanswered;
        let ending = Ending { who, phase: Phase::Connect, timer: None };
        let record = Recorded { ending, status: 503, ..recorded(None, 1) };
        let row = &lab.oracle.rows[id as usize];
        holds(timers::record(&lab.oracle, row, &record), is_right, "timers", "SES-3");
    }
}

// BACK-9: a worker wakes for whoever stands in line when a back-off ends.
#[test]
fn limits_fires_on_who_sleeps_through_the_end_of_a_back_off() {
    for (millis, is_more, is_right) in
        [(1_011, false, false), (1_010, false, true), (1_011, true, true)]
    {
        let mut lab = super::limits::lab_with(None, Some(1));
        for n in [0, 3] {
            let (since, address) = (lab.cx.now, server(n));
            let until = since + 1_000_000_000;
            let cluster = "c0".into();
            lab.oracle.truth.down.push(Down { cluster, address, since, until, passed: 0 });
        }
        let front = lab.front();
        lab.asked(front, ask(0, Method::Get));
        lab.oracle.turn.is_more = is_more;
        lab.later(millis);
        holds(limits::slept(&lab.oracle), is_right, "limits", "BACK-9");
    }
    assert_eq!(limits::slept(&Lab::new().oracle), Ok(()), "nobody backs off");
}

// RES-7, REQ-7: who waits for 100 is not slow, whatever else he was told.
#[test]
fn timers_fires_on_a_client_that_waits_for_100() {
    for (status, is_right) in [("100 Continue", true), ("103 Early Hints", false)] {
        let mut lab = Lab::new();
        let expecting = Ask { body: 5, expects: true, ..ask(0, Method::Put) };
        let front = lab.front();
        let id = lab.asked(front, expecting);
        let row = &mut lab.oracle.rows[id as usize];
        (row.end, row.all_read_at) = (Some(105), None);
        row.plans.push(Plan { interims: 1, ..plan(0, BackFault::None) });
        lab.emit_down(front, format!("HTTP/1.1 {status}\r\n\r\n").as_bytes());
        lab.clean();
        lab.later(3_600_000);
        // It is closed, or told that it was too slow.
        let record = recorded(Some(Timer::ClientIdle), 1);
        let row = &lab.oracle.rows[id as usize];
        holds(timers::record(&lab.oracle, row, &record), is_right, "timers", "SES-3");
        lab.emit_down(front, &own_answer(408, "Connection: close\r\n"));
        if is_right { lab.clean() } else { lab.fires("timers", "SES-3") }
    }
}

// REQ-6: the number of a request is the same in every form in which it may be written.
#[test]
fn ids_of_requests_are_numbers_in_two_forms() {
    let plain = "00000000000000000000000000abcdef";
    assert_eq!(own::request_id(plain.as_bytes()), Some(0xab_cdef));
    assert_eq!(own::request_id(b"00000000-0000-0000-0000-000000abcdef"), Some(0xab_cdef));
    for other in ["client-7", "", &plain[1..], &format!("{plain}0"), &plain.replace('a', "g")] {
        assert_eq!(own::request_id(other.as_bytes()), None, "{other}");
    }
}

// BACK-3: a chunked request whose end may have been read behind its head was not held whole.
#[test]
fn retry_asks_no_repetition_of_what_came_in_parts() {
    for (is_chunked, is_right) in [(false, false), (true, true)] {
        let mut lab = Lab::new();
        let front = lab.front();
        let id = lab.asked(front, Ask { is_chunked, ..ask(0, Method::Get) });
        let back = lab.back(0);
        lab.sent(id, back, true);
        let row = &lab.oracle.rows[id as usize];
        holds(retry::given_up(&lab.oracle, &lab.net, row), is_right, "retry", "BACK-3");
    }
}

// SES-3: a server that has lost the request is waited for no longer.
#[test]
fn timers_fires_on_a_wait_for_nobody() {
    for (is_lost, partial, is_right) in
        [(true, false, false), (false, false, true), (true, true, true)]
    {
        let mut lab = Lab::new();
        let (_, id, back) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
        let back = &mut lab.oracle.backs[back as usize];
        (back.has_shown_end, back.closed_at) = (is_lost, is_lost.then_some(lab.cx.now));
        let other = lab.back(3);
        lab.oracle.backs[other as usize].is_short = partial;
        lab.later(30_000);
        times_out(&lab, id, (Timer::BackendResponse, 1), is_right);
    }
}

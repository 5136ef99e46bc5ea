//! Checkers of one exchange: bytes, framing, matching, headers, retry, reuse, answers.

use super::worker::recorded;
use super::*;
use crate::body::{BodyKey, Direction};
use crate::oracle::ledger::{Attempt, Flaw};
use crate::oracle::{answers, bytes, retry};
use tidegate_core::config::{Listener, Reuse};
use tidegate_core::event::{AccessRecord, Event};
use tidegate_core::input::Address;

fn body(id: u32, serial: u32, len: usize) -> Vec<u8> {
    BodyKey::new(id, Direction::Down(serial)).at(0, len).to_vec()
}

fn answered(body_bytes: u64, fault: BackFault) -> (Lab, u32, u32) {
    let mut lab = Lab::new();
    let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(body_bytes, fault));
    let head = Lab::response(id, 0, "Transfer-Encoding: chunked");
    lab.emit_down(front, head.as_bytes());
    lab.clean();
    (lab, front, id)
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[test]
fn a_whole_exchange_is_clean() {
    let (mut lab, front, id) = answered(50, BackFault::None);
    lab.emit_down(front, &chunk(&body(id, 0, 50)));
    lab.emit_down(front, b"0\r\n\r\n");
    lab.clean();
    assert!(lab.oracle.rows[id as usize].answer.as_ref().unwrap().end.is_some());
}

// RES-3: not one byte of a body may differ.
#[test]
fn bytes_fires_on_a_changed_byte() {
    let (mut lab, front, id) = answered(50, BackFault::None);
    let mut bytes = body(id, 0, 50);
    bytes[49] ^= 1;
    lab.emit_down(front, &chunk(&bytes));
    lab.fires("bytes", "RES-3");
}

// RES-2: what was cut short is not shown as complete.
#[test]
fn bytes_fires_on_a_short_body_shown_as_complete() {
    let (mut lab, front, id) = answered(50, BackFault::None);
    lab.emit_down(front, &chunk(&body(id, 0, 49)));
    lab.emit_down(front, b"0\r\n\r\n");
    lab.fires("bytes", "RES-2");
    let (mut lab, front, id) = answered(50, BackFault::Resets);
    lab.emit_down(front, &chunk(&body(id, 0, 50)));
    lab.emit_down(front, b"0\r\n\r\n");
    lab.fires("bytes", "RES-2");
}

// REQ-8: a request's body reaches the backend as it was sent.
#[test]
fn bytes_fires_on_a_request_body_that_is_not_the_clients() {
    let mut lab = Lab::new();
    let front = lab.front();
    let id = lab.asked(front, Ask { body: 10, ..ask(0, Method::Put) });
    let back = lab.back(0);
    let head = lab.head(id);
    lab.emit_up(back, &head);
    lab.clean();
    lab.emit_up(back, "0123456789");
    lab.fires("bytes", "REQ-8");
}

// REQ-8, REQ-2, REQ-3: of a body that goes wrong the sound part may cross, and it is never whole.
#[test]
fn flawed_bodies_are_never_mended() {
    let flaw = Flaw { name: "test", statuses: &[400], in_body: true, location: None, lead: 0 };
    let long = Flaw { name: "a test too long", ..flaw };
    for (flaw, passes, is_whole, broken) in [
        (flaw, 1, false, None),
        (flaw, 2, false, Some(("bytes", "REQ-8"))),
        (flaw, 1, true, Some(("framing", "REQ-2"))),
        (long, 1, true, Some(("limits", "REQ-3"))),
    ] {
        let ask = Ask { body: 1, is_chunked: true, flaw: Some(flaw), ..ask(0, Method::Post) };
        let mut lab = Lab::new();
        let front = lab.front();
        let id = lab.asked(front, ask);
        let row = &lab.oracle.rows[id as usize];
        let sound = BodyKey::new(id, Direction::Up).at(0, passes);
        let mut verdict = bytes::up(row, 0, sound);
        if is_whole {
            verdict = verdict.and_then(|()| bytes::request_complete(row, 1));
        }
        match broken {
            None => assert_eq!(verdict, Ok(())),
            Some((group, rule)) => breaks(verdict, group, rule),
        }
    }
}

// REQ-2: every byte emitted can be read in one way only.
#[test]
fn framing_fires_on_what_can_be_read_in_two_ways() {
    let mut lab = Lab::new();
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Get));
    let back = lab.back(0);
    let head = lab.head(id).replace("Via: 1.1 t\r\n", "Via: 1.1 t\r\nA: b\nContent-Length: 3\r\n");
    lab.emit_up(back, &head);
    lab.fires("framing", "RES-1");

    let mut lab = Lab::new();
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Get));
    let back = lab.back(0);
    let both = "Content-Length: 0\r\nTransfer-Encoding: chunked\r\nVia";
    let head = lab.head(id).replacen("Via", both, 1);
    lab.emit_up(back, &head);
    lab.fires("framing", "REQ-2");
}

// REQ-2: a request that must be refused puts no byte on a backend.
#[test]
fn framing_fires_on_a_flawed_request_at_a_backend() {
    let mut lab = Lab::new();
    let front = lab.front();
    let flaw = Flaw { name: "test", statuses: &[400], in_body: false, location: None, lead: 0 };
    let id = lab.asked(front, Ask { flaw: Some(flaw), ..ask(0, Method::Get) });
    let back = lab.back(0);
    let head = lab.head(id);
    lab.emit_up(back, &head);
    lab.fires("framing", "REQ-2");
}

// RES-3, RES-7: who had not said `HEAD ` yet may be told a body, with an empty line before it or not.
#[test]
fn matching_fires_on_a_body_to_who_has_said_head() {
    for (lead, said, is_right) in [(0, 4, true), (0, 5, false), (2, 6, true), (2, 7, false)] {
        let mut lab = Lab::new();
        let front = lab.front();
        let flaw = Flaw { name: "test", statuses: &[408], in_body: false, location: None, lead };
        lab.asked(front, Ask { flaw: Some(flaw), ..ask(0, Method::Head) });
        lab.oracle.fronts[front as usize].read = said;
        lab.emit_down(front, &own_answer(408, "Connection: close\r\n"));
        if is_right { lab.clean() } else { lab.fires("matching", "RES-3") }
    }
}

// RES-3: nobody gets what he did not ask for, or what another asked for.
#[test]
fn matching_fires_on_unasked_and_foreign_responses() {
    let mut lab = Lab::new();
    let front = lab.front();
    lab.emit_down(front, &own_answer(408, ""));
    lab.fires("matching", "RES-3");

    let mut lab = Lab::new();
    let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    lab.emit_down(front, Lab::response(id + 7, 0, "Content-Length: 0").as_bytes());
    lab.fires("matching", "RES-3");
}

// REQ-7: interim responses come from backends, and no 1.0 client gets one.
#[test]
fn matching_fires_on_invented_interim_responses() {
    let mut lab = Lab::new();
    let (front, _, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    lab.emit_down(front, b"HTTP/1.1 103 Early\r\n\r\n");
    lab.fires("matching", "REQ-7");
    let mut lab = Lab::new();
    let told = Plan { interims: 1, ..plan(0, BackFault::None) };
    let (front, id, _) = lab.relayed(ask(0, Method::Get), told);
    lab.oracle.rows[id as usize].ask.minor = 0;
    lab.emit_down(front, b"HTTP/1.1 103 Early\r\n\r\n");
    lab.fires("matching", "REQ-7");
}

// REQ-8: pipelined requests go out in their turn.
#[test]
fn matching_fires_on_a_request_out_of_turn() {
    let mut lab = Lab::new();
    let front = lab.front();
    lab.asked(front, ask(0, Method::Get));
    let second = lab.asked(front, ask(0, Method::Get));
    let back = lab.back(0);
    let head = lab.head(second);
    lab.emit_up(back, &head);
    lab.fires("matching", "REQ-8");
}

/// What the oracle makes of a request whose head was changed on its way.
fn changed(asked: Ask, what: &str, with: &str) -> Lab {
    let mut lab = Lab::new();
    let front = lab.front();
    let id = lab.asked(front, asked);
    let back = lab.back(0);
    let head = lab.head(id);
    assert!(head.contains(what), "{what:?} is not in {head:?}");
    lab.emit_up(back, &head.replacen(what, with, 1));
    lab
}

// REQ-4, REQ-5, REQ-6, REQ-7: what must cross crosses, what must not does not.
#[test]
fn headers_fires_on_lost_and_smuggled_fields() {
    let get = || ask(0, Method::Get);
    changed(get(), "Via: 1.1 t", "X-Hop: 1\r\nVia: 1.1 t").fires("headers", "REQ-5");
    changed(get(), "Via: 1.1 t", "x-e-a: invented\r\nVia: 1.1 t").fires("headers", "REQ-5");
    changed(get(), "Via: 1.1 t\r\n", "").fires("headers", "REQ-6");
    changed(get(), "Via: 1.1 t", "Via: 1.0 t").fires("headers", "REQ-6");
    changed(get(), "X-Forwarded-Host: a.", "X-Forwarded-Host: b.").fires("headers", "REQ-6");
    changed(get(), "Via: 1.1 t", "Accept: */*\r\nVia: 1.1 t").fires("headers", "REQ-5");
    changed(get(), "192.0.2.1", "198.51.100.7").fires("headers", "REQ-6");
    changed(get(), "Host: a.example", "Host: b.example").fires("headers", "REQ-4");
    let expect = "Expect: 100-continue\r\nVia: 1.1 t";
    changed(get(), "Via: 1.1 t", expect).fires("headers", "REQ-7");
    let expecting = Ask { body: 5, expects: true, ..ask(0, Method::Put) };
    changed(expecting, "Via: 1.1 t", "Via: 1.1 t").fires("headers", "REQ-7");
}

// REQ-6: the id of a request is its own.
#[test]
fn headers_fires_on_an_id_that_comes_twice() {
    let mut lab = Lab::new();
    let record = AccessRecord { request_id: 7, ..AccessRecord::default() };
    lab.oracle.event(&Event::Access(record.clone()));
    lab.clean();
    lab.oracle.event(&Event::Access(record));
    lab.fires("headers", "REQ-6");
}

// RES-7: an answer of the proxy's own says how long it is.
#[test]
fn headers_fires_on_an_own_answer_without_length() {
    let mut lab = Lab::new();
    let front = lab.front();
    lab.asked(front, Ask { host: 1, ..ask(0, Method::Get) });
    lab.emit_down(front, b"HTTP/1.1 404 No\r\nConnection: close\r\n\r\n");
    lab.fires("headers", "RES-7");
}

// REQ-10: whatever the client speaks, backends are spoken to in 1.1; RES-4: who speaks 1.0 does
// not know chunks, nor where a body ends behind which the connection is kept.
#[test]
fn framing_fires_on_the_wrong_version() {
    changed(ask(0, Method::Get), "HTTP/1.1", "HTTP/1.0").fires("framing", "REQ-10");
    for field in ["Transfer-Encoding: chunked", "Connection: keep-alive"] {
        let mut lab = Lab::new();
        let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(5, BackFault::None));
        lab.oracle.rows[id as usize].ask.minor = 0;
        lab.emit_down(front, Lab::response(id, 0, field).as_bytes());
        lab.fires("framing", "RES-4");
    }
}

// REQ-10: a client of HTTP/1.1 that wants to ask again may, unless it said otherwise itself, its
// request was perhaps not read whole, the proxy stops, or its listener goes.
#[test]
fn framing_fires_on_a_client_that_may_not_ask_again() {
    let stays = || ask(0, Method::Get);
    let closing = |asked: Ask, change: &dyn Fn(&mut Lab)| {
        let mut lab = Lab::new();
        let listener = Listener::new("l0", vec![Address::Ip(([10, 0, 0, 1], 8000).into())]);
        lab.oracle.truth.versions[0].config.listeners.push(listener);
        let (front, id, _) = lab.relayed(asked, plan(0, BackFault::None));
        change(&mut lab);
        let last = Lab::response(id, 0, "Content-Length: 0\r\nConnection: close");
        lab.emit_down(front, last.as_bytes());
        lab
    };
    closing(stays(), &|_| ()).fires("framing", "REQ-10");
    closing(Ask { keeps: false, ..stays() }, &|_| ()).clean();
    closing(stays(), &|lab| lab.oracle.rows[0].ask.minor = 0).clean();
    closing(stays(), &|lab| lab.oracle.rows[0].plans[0].is_early = true).clean();
    closing(stays(), &|lab| lab.oracle.truth.stop_at = Some(0)).clean();
    closing(stays(), &|lab| lab.oracle.truth.versions.push(version(0))).clean();
    // It came back, and its client waited in the backlog of the one that went.
    closing(stays(), &|lab| {
        let again = lab.oracle.truth.versions[0].clone();
        lab.oracle.truth.versions.extend([version(0), again]);
    })
    .clean();
}

// RES-5: who was told that the connection ends is told nothing more.
#[test]
fn matching_fires_on_a_response_behind_the_last() {
    let mut lab = Lab::new();
    let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    lab.asked(front, Ask { host: 1, ..ask(0, Method::Get) });
    let last = Lab::response(id, 0, "Content-Length: 0\r\nConnection: close");
    lab.emit_down(front, last.as_bytes());
    lab.oracle.violation = None;
    lab.emit_down(front, &own_answer(404, ""));
    lab.fires("matching", "RES-5");
}

// BACK-3: nothing is repeated once the client has seen a byte of an answer.
#[test]
fn matching_fires_on_a_request_that_is_being_answered() {
    let (mut lab, _, id) = answered(50, BackFault::None);
    let back = lab.back(3);
    let head = lab.head(id);
    lab.emit_up(back, &head);
    lab.fires("matching", "BACK-3");
}

// BACK-6: who may use a connection again is said by the cluster and by the method.
#[test]
fn reuse_fires_on_a_connection_that_is_not_ones_own() {
    let lab_with = |reuse: Reuse, method: Method| {
        let mut lab = Lab::new();
        lab.oracle.truth.versions[0].config.clusters[0].reuse = reuse;
        let (front, id, back) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
        lab.oracle.rows[id as usize].plans[0].end = Some(0);
        lab.emit_down(front, Lab::response(id, 0, "Content-Length: 0").as_bytes());
        let other = lab.front();
        let id = lab.asked(other, ask(0, method));
        let head = lab.head(id);
        lab.emit_up(back, &head);
        lab
    };
    lab_with(Reuse::Safe, Method::Get).clean();
    lab_with(Reuse::Safe, Method::Post).fires("reuse", "BACK-6");
    lab_with(Reuse::Session, Method::Get).fires("reuse", "BACK-6");
    lab_with(Reuse::Never, Method::Get).fires("reuse", "BACK-6");
}

// BACK-6: no more connections to a server lie idle than may, which those that are in use are not.
#[test]
fn reuse_fires_on_a_pool_that_holds_too_many() {
    for (most, is_open, is_over, is_right) in [
        (1, true, true, false),
        (2, true, true, true),
        (1, false, true, true),
        (1, true, false, true),
    ] {
        let mut lab = Lab::new();
        lab.oracle.truth.versions[0].config.clusters[0].idle_per_server = most;
        let both = [0, 1].map(|_| {
            let (front, id, back) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
            lab.oracle.rows[id as usize].plans[0].end = Some(0);
            lab.emit_down(front, Lab::response(id, 0, "Content-Length: 0").as_bytes());
            (id, back)
        });
        for (id, _) in &both[..1 + usize::from(is_over)] {
            lab.oracle.rows[*id as usize].record = Some(recorded(None, 1));
            lab.oracle.records += 1;
        }
        if !is_open {
            lab.oracle.back_closed(&lab.net, both[0].1);
        }
        let verdict = crate::oracle::reuse::pools(&mut lab.oracle, &lab.net);
        lab.clean();
        holds(verdict, is_right, "reuse", "BACK-6");
    }
}

// BACK-3: a POST goes out once, and nothing goes out twice while its connection lives.
#[test]
fn retry_fires_on_repetitions() {
    for method in [Method::Post, Method::Get] {
        let mut lab = Lab::new();
        let (_, id, _) = lab.relayed(ask(0, method), plan(0, BackFault::None));
        let other = lab.back(3);
        let head = lab.head(id);
        lab.emit_up(other, &head);
        lab.fires("retry", "BACK-3");
    }
    breaks(retry::attempts(1, 9), "retry", "BACK-2");
}

// BACK-7: a connection is used again only when its last exchange is complete both ways.
#[test]
fn reuse_fires_on_an_unfinished_exchange() {
    let mut lab = Lab::new();
    let (_, _, back) = lab.relayed(ask(0, Method::Get), plan(10, BackFault::None));
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Get));
    let head = lab.head(id);
    lab.emit_up(back, &head);
    lab.fires("reuse", "BACK-7");
}

// BACK-6: not one whose end was already visible.
#[test]
fn reuse_fires_on_a_connection_whose_end_was_shown() {
    let mut lab = Lab::new();
    let (_, id, back) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    lab.oracle.rows[id as usize].plans[0].end = Some(0);
    let ended = tidegate_core::input::Readiness { read_closed: true, ..Default::default() };
    crate::oracle::reuse::told(&mut lab.oracle, &lab.net, back, ended);
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Get));
    let head = lab.head(id);
    lab.emit_up(back, &head);
    lab.fires("reuse", "BACK-7");
}

// RES-7: own answers follow from the state the request was in.
#[test]
fn answers_fires_on_statuses_without_cause() {
    for status in [400, 404, 413, 429, 431, 500, 502, 503, 504] {
        let mut lab = Lab::new();
        let (front, _, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
        lab.emit_down(front, &own_answer(status, ""));
        lab.fires("answers", "RES-7");
    }
    let mut lab = Lab::new();
    let front = lab.front();
    lab.asked(front, Ask { host: 1, ..ask(0, Method::Get) });
    lab.emit_down(front, &own_answer(404, ""));
    lab.clean();
}

// RES-7, RES-8, RES-2: silence has a cause, and an answer arrives.
#[test]
fn answers_fires_on_silence_and_on_answers_that_do_not_arrive() {
    let mut lab = Lab::new();
    let (_, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    let row = &lab.oracle.rows[id as usize];
    breaks(answers::silence(&lab.oracle, &lab.net, row), "answers", "RES-7");

    let (mut lab, front, id) = answered(5, BackFault::None);
    let row = &lab.oracle.rows[id as usize];
    breaks(answers::silence(&lab.oracle, &lab.net, row), "answers", "RES-2");
    lab.emit_down(front, &chunk(&body(id, 0, 5)));
    lab.emit_down(front, b"0\r\n\r\n");
    let row = &lab.oracle.rows[id as usize];
    breaks(answers::silence(&lab.oracle, &lab.net, row), "answers", "RES-8");
    lab.oracle.client_left(front, true);
    let row = &lab.oracle.rows[id as usize];
    assert_eq!(answers::silence(&lab.oracle, &lab.net, row), Ok(()));
}

// REQ-9: a whole answer that is there is what the client is told, not 502.
#[test]
fn answers_fires_on_a_502_in_place_of_an_answer() {
    let mut lab = Lab::new();
    let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
    let row = &mut lab.oracle.rows[id as usize];
    row.plans[0].end = Some(0);
    // An attempt before it met a head that is none, which excuses a 502.
    row.plans.push(plan(0, BackFault::BadHead));
    let earlier = Attempt { plan: Some(1), ..row.attempts[0].clone() };
    row.attempts.insert(0, earlier);
    lab.emit_down(front, &own_answer(502, ""));
    lab.fires("answers", "REQ-9");
}

// REQ-7: an interim response says nothing of its connection.
#[test]
fn headers_fires_on_an_interim_response_that_closes() {
    for (field, is_right) in [("Link: </x>", true), ("Connection: close", false)] {
        let mut lab = Lab::new();
        let plan = Plan { interims: 1, ..plan(0, BackFault::None) };
        let (front, ..) = lab.relayed(ask(0, Method::Get), plan);
        lab.emit_down(front, format!("HTTP/1.1 103 Early Hints\r\n{field}\r\n\r\n").as_bytes());
        if is_right { lab.clean() } else { lab.fires("headers", "REQ-7") }
    }
}

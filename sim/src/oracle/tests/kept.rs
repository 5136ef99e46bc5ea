//! Checkers of who is kept though others wait or a stop has begun, of who is turned away, and of
//! what nobody is told.

use super::order::idle;
use super::*;
use crate::cx::Flight;
use crate::layer::Facts;
use crate::oracle::truth::{ConnectFailure, Down};
use crate::oracle::{accept, answers, balance, falls, handshakes, reconfiguration, retry, timers};
use tidegate_core::config::Listener;
use tidegate_core::effect::Close;
use tidegate_core::event::Event;
use tidegate_core::input::AcceptError;
use tidegate_core::stats::{Counters, Gauges};
use tidegate_core::tls::TlsFailure;

// ACC-5, ACC-6: a full queue turns a socket away only once no session is free.
#[test]
fn accept_fires_on_a_socket_that_is_turned_away_while_sessions_are_free() {
    for (sessions, is_right) in [(2, true), (3, false)] {
        let mut lab = Lab::new();
        lab.oracle.settings.accept_queue_capacity = 1;
        lab.oracle.settings.max_connections = sessions;
        let fronts = [0; 4].map(|_| lab.front());
        for &front in &fronts[..2] {
            lab.oracle.read_from_client(front, 0);
        }
        lab.oracle.front_ended(fronts[3], Close::Normal, true);
        lab.oracle.unserved_closed(&lab.net, fronts[3]);
        match is_right {
            true => lab.clean(),
            false => lab.fires("accept", "ACC-5"),
        }
    }
}

// ACC-10: nobody is idle while a socket waits, where room is to be made.
#[test]
fn accept_fires_on_an_idle_connection_that_makes_no_room() {
    for (is_on, queued, unread, is_right) in
        [(true, 1, 0, false), (false, 1, 0, true), (true, 0, 0, true), (true, 1, 5, true)]
    {
        let mut lab = Lab::new();
        lab.oracle.settings.accept_queue_evict_idle = is_on;
        let front = idle(&mut lab);
        lab.end(front).stuff(unread);
        lab.later(5);
        let gauges = Gauges { queued, ..Gauges::default() };
        let verdict = accept::makes_room(&lab.oracle, &lab.net, &gauges);
        holds(verdict, is_right, "accept", "ACC-10");
    }
}

// RUN-2: whose session was there before a graceful stop does not wait for a request in it.
#[test]
fn reconfiguration_fires_on_who_idles_in_a_stop() {
    for (stops, has_begun, unread, is_right) in [
        (true, true, 0, false),
        (false, true, 0, true),
        (true, false, 0, true),
        (true, true, 5, true),
    ] {
        let mut lab = Lab::new();
        let front = lab.front();
        if has_begun {
            lab.oracle.read_from_client(front, 0);
        }
        lab.end(front).stuff(unread);
        lab.later(1);
        lab.oracle.truth.stop_at = Some(lab.oracle.now).filter(|_| stops);
        lab.later(1);
        let verdict = reconfiguration::idle_in_stop(&lab.oracle, &lab.net);
        holds(verdict, is_right, "reconfiguration", "RUN-2");
    }
}

// RUN-2: nor does it once its request was answered; while one is under way it stays.
#[test]
fn reconfiguration_fires_on_who_idles_behind_an_answer_in_a_stop() {
    for (is_answered, is_right) in [(true, false), (false, true)] {
        let mut lab = Lab::new();
        match is_answered {
            true => idle(&mut lab),
            false => lab.relayed(ask(0, Method::Get), plan(0, BackFault::None)).0,
        };
        lab.later(1);
        lab.oracle.truth.stop_at = Some(lab.oracle.now);
        lab.later(1);
        let verdict = reconfiguration::idle_in_stop(&lab.oracle, &lab.net);
        holds(verdict, is_right, "reconfiguration", "RUN-2");
    }
}

// RUN-2: a stop says goodbye, but not in what was written before, when the client had no room,
// however often it had none since. Seed 980303472: behind three interim responses, by TLS.
#[test]
fn reconfiguration_leaves_alone_what_was_written_before_a_stop() {
    for (before, since, is_right) in [(true, true, true), (true, false, true), (false, true, false)]
    {
        let mut lab = Lab::new();
        let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
        let falls_short = |lab: &mut Lab, is_short: bool| {
            lab.later(1);
            let at = &mut lab.oracle.fronts[front as usize];
            at.stalled_at = Some(lab.cx.now).filter(|_| is_short).or(at.stalled_at);
        };
        falls_short(&mut lab, before);
        lab.oracle.truth.stop_at = Some(lab.cx.now);
        lab.later(1);
        let response = Lab::response(id, 0, "Content-Length: 0");
        let (begin, rest) = response.as_bytes().split_at(9);
        lab.emit_down(front, begin);
        falls_short(&mut lab, since);
        lab.emit_down(front, rest);
        if is_right { lab.clean() } else { lab.fires("reconfiguration", "RUN-2") }
    }
}

// RES-8: behind an answer that closes, what is known to be unread is read first.
#[test]
fn answers_fires_on_a_close_that_is_a_reset() {
    let closing = "Connection: close\r\n";
    let none: fn(&mut Lab, u32) = |_, _| ();
    for (knows, unread, field, excuse, is_right) in [
        (true, 5, closing, none, false),
        (false, 5, closing, none, true),
        (true, 0, closing, none, true),
        (true, 5, "", none, true),
        (true, 5, closing, |lab, front| lab.oracle.fronts[front as usize].is_short = true, true),
        (true, 5, closing, |lab, front| lab.oracle.client_left(front, true), true),
        (true, 5, closing, |lab, _| lab.oracle.truth.stop_at = Some(0), true),
        (true, 5, closing, |lab, front| lab.end(front).finish(), true),
    ] {
        let mut lab = Lab::new();
        let front = lab.front();
        lab.asked(front, Ask { host: 1, ..ask(0, Method::Get) });
        lab.emit_down(front, &own_answer(404, field));
        lab.clean();
        let at = &mut lab.oracle.fronts[front as usize];
        at.knocks_since = Some(at.read).filter(|_| knows);
        lab.end(front).stuff(unread);
        lab.later(1);
        excuse(&mut lab, front);
        let verdict = answers::closes(&lab.oracle, &lab.net, front, Close::Normal);
        holds(verdict, is_right, "answers", "RES-8");
    }
}

// SES-3: a client that takes nothing is not kept, whatever its server does.
#[test]
fn timers_fires_on_a_client_that_takes_nothing_for_too_long() {
    for (is_short, reads, status, millis, is_right) in [
        (true, false, 200, 61_000, false),
        (true, false, 200, 60_000, true),
        (false, false, 200, 61_000, true),
        (true, true, 200, 61_000, true),
        // It is a tunnel's already.
        (true, false, 101, 61_000, true),
    ] {
        let mut lab = Lab::new();
        let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(9, BackFault::None));
        lab.emit_down(front, Lab::response(id, 0, "Content-Length: 9").as_bytes());
        let at = &mut lab.oracle.fronts[front as usize];
        (at.stalled_at, at.is_short) = (Some(lab.oracle.now), is_short);
        lab.oracle.rows[id as usize].plans[0].status = status;
        lab.later(millis);
        if reads {
            lab.oracle.fronts[front as usize].tried_at = lab.oracle.now;
        }
        holds(timers::stalled(&lab.oracle, front), is_right, "timers", "SES-3");
    }
}

// BACK-3: what failed on a fresh connection is sent once more.
#[test]
fn retry_fires_on_a_third_fresh_connection() {
    for (earlier, is_right) in [([false, false], false), ([true, false], true)] {
        let mut lab = Lab::new();
        let front = lab.front();
        let id = lab.asked(front, ask(0, Method::Get));
        for is_reused in earlier {
            let back = lab.back(0);
            lab.oracle.backs[back as usize].has_garbage = true;
            lab.sent(id, back, is_reused);
        }
        let row = &lab.oracle.rows[id as usize];
        let verdict = retry::attempt(&lab.oracle, &lab.net, row, false);
        holds(verdict, is_right, "retry", "BACK-3");
    }
}

// BACK-4: what this machine has no means for is nobody's failure, and while a server backs off
// nothing is added.
#[test]
fn balance_fires_on_failures_that_do_not_count() {
    let backoff = std::time::Duration::from_secs(1);
    let down = Event::ServerDown { cluster: "c0".into(), addr: server(0), backoff };
    for (is_ours, is_right) in [(true, false), (false, true)] {
        let mut lab = Lab::new();
        let at = lab.oracle.now;
        let failure = ConnectFailure { at, server: 0, is_ours };
        lab.oracle.truth.connect_failures = vec![failure; 3];
        let verdict = falls::marked_down(&lab.oracle, &down);
        holds(verdict, is_right, "balance", "BACK-4");
    }
    for (millis, is_right) in [(999, false), (1_000, true)] {
        let mut lab = Lab::new();
        let (since, failure) =
            (lab.oracle.now, ConnectFailure { at: 0, server: 0, is_ours: false });
        let (cluster, address, until) = ("c0".into(), server(0), since + 1_000_000_000);
        lab.oracle.truth.down.push(Down { cluster, address, since, until, passed: 0 });
        lab.oracle.truth.connect_failures = vec![failure; 3];
        lab.later(millis);
        let verdict = falls::marked_down(&lab.oracle, &down);
        holds(verdict, is_right, "balance", "BACK-4");
    }
}

// TLS-2: a handshake that broke off is told of, and none that is complete takes too long.
#[test]
fn tls_fires_on_a_handshake_whose_end_is_not_told() {
    for (is_told, read, millis, is_right) in
        [(false, 9, 1, false), (true, 9, 1, true), (false, 0, 1, true), (false, 9, 0, true)]
    {
        let (mut lab, front) = secure::lab(Facts::new());
        let at = &mut lab.oracle.fronts[front as usize];
        at.handshake = (read, lab.oracle.now);
        at.has_failed_tls = is_told;
        lab.later(millis);
        lab.oracle.front_ended(front, Close::Normal, true);
        let verdict = handshakes::counted(&lab.oracle, &Counters::default());
        holds(verdict, is_right, "TLS", "TLS-2");
    }
    for (is_secured, is_right) in [(true, false), (false, true)] {
        let (mut lab, front) = secure::lab(Facts::new());
        let at = &mut lab.oracle.fronts[front as usize];
        at.secured_at = Some(lab.oracle.now).filter(|_| is_secured);
        let client = Some(at.address);
        lab.later(10_000);
        let verdict = handshakes::failed(&mut lab.oracle, client, TlsFailure::TimedOut);
        holds(verdict, is_right, "TLS", "TLS-2");
    }
}

// BACK-1: turns begin anew when weights change, and are fair from there on.
#[test]
fn balance_fires_on_turns_that_old_weights_owe() {
    for (later, is_right) in [(1, true), (3, false)] {
        let mut lab = Lab::new();
        let ended = |lab: &mut Lab| {
            let (_, id, _) = lab.relayed(ask(0, Method::Get), plan(0, BackFault::None));
            lab.oracle.rows[id as usize].record = Some(super::worker::recorded(None, 1));
            lab.later(1);
        };
        (0..3).for_each(|_| ended(&mut lab));
        let mut newer = version(lab.oracle.now);
        newer.clusters[0][0].weight = 2;
        lab.oracle.truth.versions.push(newer);
        lab.later(1);
        (0..later).for_each(|_| ended(&mut lab));
        holds(balance::fair(&lab.oracle), is_right, "balance", "BACK-1");
        // Who stuck to a server did not follow the turns.
        lab.oracle.truth.versions[1].config.clusters[0].sticky = Some("stick".into());
        assert_eq!(balance::fair(&lab.oracle), Ok(()));
    }
}

// RUN-1: the listeners that are open are those of the version in force, but for who waits in a
// backlog, and for accepting that is held up.
#[test]
fn reconfiguration_fires_on_listeners_that_are_not_those_of_the_version() {
    let address = |n: u8| Address::Unix(format!("l{n}").into());
    let open = |lab: &mut Lab, n: u8| {
        let at = lab.net.intern(&address(n), u32::MAX);
        (at, lab.net.listen(Acceptor::Proxy(SocketId::from_bits(n.into())), at, 8))
    };
    for (wanted, opened, is_right) in [
        (&[1, 2][..], &[1, 2][..], true),
        (&[1], &[1, 2], false),
        (&[1, 2], &[1], false),
        (&[], &[], true),
    ] {
        let mut lab = Lab::new();
        let listener = Listener::new("l0", wanted.iter().copied().map(address).collect());
        lab.oracle.truth.versions[0].config.listeners = vec![listener];
        for &n in opened {
            open(&mut lab, n);
        }
        let verdict = |lab: &Lab| reconfiguration::listeners(&lab.oracle, &lab.net);
        holds(verdict(&lab), is_right, "reconfiguration", "RUN-1");
        lab.oracle.accept_answered(Some(AcceptError::Resources));
        assert_eq!(verdict(&lab), Ok(()), "accepting may be held up");
        lab.later(200);
        holds(verdict(&lab), is_right, "reconfiguration", "RUN-1");
        lab.oracle.truth.stop_at = Some(lab.oracle.now);
        assert_eq!(verdict(&lab), Ok(()), "a stop has none");
    }
    let mut lab = Lab::new();
    lab.oracle.truth.versions[0].config.listeners.clear();
    let (at, listener) = open(&mut lab, 1);
    let ep = lab.net.connect(&mut lab.cx, Owner::Client(0), at, 0, &Wire::default());
    lab.net.deliver(&mut lab.cx, ep ^ 1, Flight::Syn);
    assert_eq!(reconfiguration::listeners(&lab.oracle, &lab.net), Ok(()), "somebody waits");
    let accepted = lab.net.accept(&mut lab.cx, listener, Owner::Client(0));
    assert!(accepted.is_ok());
    breaks(reconfiguration::listeners(&lab.oracle, &lab.net), "reconfiguration", "RUN-1");
}

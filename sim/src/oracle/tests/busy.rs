//! Checkers of who is chosen by load, of limits of more than one cluster, and of servers that are
//! waited for though they have nothing.

use super::limits::lab_with;
use super::worker::recorded;
use super::*;
use crate::oracle::ledger::SeenRequest;
use crate::oracle::{busy, limits, retry, timers};
use tidegate_core::config::Balance;
use tidegate_core::event::Timer;

/// Server 3 weighs `weight` times as much as server 0, which has one request.
fn lab_of(balance: Balance, weight: u32) -> Lab {
    let mut lab = Lab::new();
    lab.oracle.truth.natures = vec![Default::default(); 4];
    let version = &mut lab.oracle.truth.versions[0];
    version.config.clusters[0].balance = balance;
    version.config.clusters[0].servers[2].weight = weight;
    version.clusters[0][2].weight = weight;
    let front = lab.front();
    let id = lab.asked(front, ask(0, Method::Get));
    let back = lab.back(0);
    lab.sent(id, back, false);
    lab.later(1);
    lab
}

// BACK-1: least-connections leads to who is far less busy for its weight.
#[test]
fn balance_fires_on_the_busiest_server_of_least_connections() {
    use Balance::{LeastConnections, PowerOfTwo};
    for (balance, weight, has_failed, is_right) in [
        (LeastConnections, 8, false, false),
        (LeastConnections, 2, false, true),
        (LeastConnections, 8, true, true),
        (PowerOfTwo, 8, false, true),
    ] {
        let mut lab = lab_of(balance, weight);
        if has_failed {
            let other = lab.back(3);
            lab.oracle.backs[other as usize].closed_at = Some(lab.oracle.now);
        }
        let verdict = busy::chosen(&lab.oracle, &lab.net, 0, None);
        holds(verdict, is_right, "balance", "BACK-1");
    }
}

// BACK-1: a connection that carries an answer, or nothing any more, is no load for certain.
#[test]
fn balance_counts_no_request_whose_answer_has_begun() {
    let mut lab = lab_of(Balance::LeastConnections, 8);
    let seen = SeenRequest { row: 0, attempt: 0, head_end: 1, end: Some(1) };
    lab.oracle.backs[0].seen.push(seen);
    breaks(busy::chosen(&lab.oracle, &lab.net, 0, None), "balance", "BACK-1");
    lab.oracle.rows[0].record = Some(recorded(None, 1));
    assert_eq!(busy::chosen(&lab.oracle, &lab.net, 0, None), Ok(()));
}

// BACK-9: who connects for one cluster does not close what another one has above its limit.
#[test]
fn limits_of_two_clusters_leave_each_other_what_they_have() {
    for (has_two, is_right) in [(false, false), (true, true)] {
        let mut lab = lab_with(None, None);
        lab.back(0);
        lab.back(0);
        lab.later(1);
        let mut lowered = version(lab.oracle.now);
        lowered.config.clusters[0].servers[0].max_connections = Some(1);
        if has_two {
            let mut other = lowered.config.clusters[0].clone();
            other.name = "c1".into();
            lowered.config.clusters.push(other);
        }
        lab.oracle.truth.versions.push(lowered);
        lab.later(1);
        holds(limits::connects(&lab.oracle, 0), is_right, "limits", "BACK-9");
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
        let record = recorded(Some(Timer::BackendResponse), 1);
        let verdict = timers::record(&lab.oracle, &lab.oracle.rows[id as usize], &record);
        holds(verdict, is_right, "timers", "SES-3");
    }
}

// SES-3: a client that takes nothing of a 101 is a tunnel's already.
#[test]
fn timers_leaves_a_101_on_its_way_to_tunnels() {
    for (status, is_right) in [(200, false), (101, true)] {
        let mut lab = Lab::new();
        let (front, id, _) = lab.relayed(ask(0, Method::Get), plan(9, BackFault::None));
        lab.emit_down(front, Lab::response(id, 0, "Content-Length: 9").as_bytes());
        let at = &mut lab.oracle.fronts[front as usize];
        (at.stalled_at, at.is_short) = (Some(lab.oracle.now), true);
        lab.oracle.rows[id as usize].plans[0].status = status;
        lab.later(61_000);
        holds(timers::stalled(&lab.oracle, front), is_right, "timers", "SES-3");
    }
}

// BACK-3: a chunked request whose end was read behind its head was not held whole.
#[test]
fn retry_asks_no_repetition_of_what_came_in_parts() {
    for (parts, is_right) in [(false, false), (true, true)] {
        let mut lab = Lab::new();
        let front = lab.front();
        let id = lab.asked(front, ask(0, Method::Get));
        let back = lab.back(0);
        lab.sent(id, back, true);
        let row = &mut lab.oracle.rows[id as usize];
        row.all_read_at = row.head_read_at.map(|at| at + u64::from(parts));
        let row = &lab.oracle.rows[id as usize];
        holds(retry::given_up(&lab.oracle, &lab.net, row), is_right, "retry", "BACK-3");
    }
}

//! Checkers of who is chosen by load.

use super::worker::recorded;
use super::*;
use crate::oracle::busy;
use crate::oracle::ledger::SeenRequest;
use tidegate_core::config::Balance;

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

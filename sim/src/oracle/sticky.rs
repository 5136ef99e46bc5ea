//! Group *balance*, sticky sessions: a cookie leads to its server while that can be used, is
//! renewed only when it changes, and stays between the proxy and the client.
//!
//! - BACK-8: a cookie leads to its server while that can be used, is set only when it changes,
//!   and crosses no boundary.

use super::ledger::{Back, Row};
use super::truth::Version;
use super::{Group, Oracle, Verdict, breach};
use crate::refhttp::Head;
use crate::wire;

const GROUP: Group = Group::Balance;

/// The cluster of a request, and whether its sessions stick, if that is certain.
fn cluster(oracle: &Oracle, row: &Row) -> Option<(u16, bool)> {
    let from = row.first_read_at.unwrap_or(oracle.now);
    let of = |version: &Version| {
        let cluster = version.cluster_of(&row.ask)?;
        Some((cluster as u16, version.cluster(cluster)?.sticky.is_some()))
    };
    let mut all = oracle.truth.in_force(from, oracle.now).iter().map(of);
    let first = all.next()??;
    all.all(|other| other == Some(first)).then_some(first)
}

/// `row` is emitted to the server of `back`.
pub fn request(oracle: &Oracle, back: u32, row: &Row, head: &Head) -> Verdict {
    let (Some((cluster, is_sticky)), Some(cookie)) = (cluster(oracle, row), row.ask.cookie) else {
        return Ok(());
    };
    let id = row.ask.id;
    let is_own = is_sticky && cookie.0 == cluster;
    let expected = wire::cookies(cookie.0, (!is_own).then_some(cookie.1));
    if head.only("cookie") != Some(expected.as_bytes()) {
        let got = head.all("cookie").map(String::from_utf8_lossy).collect::<Vec<_>>();
        return breach(GROUP, "BACK-8", format!("request {id}: Cookie {got:?}, not {expected:?}"));
    }
    let server = oracle.backs[back as usize].server;
    // That a connection of the pool was gone says nothing of its server (BACK-3).
    let is_first = row
        .attempts
        .iter()
        .all(|attempt| attempt.is_reused && oracle.backs[attempt.back as usize].server == cookie.1);
    if is_own && is_first && server != cookie.1 && is_usable(oracle, row, cookie) {
        let message = format!("request {id} sticks to server {}, and went to {server}", cookie.1);
        return breach(GROUP, "BACK-8", message);
    }
    Ok(())
}

/// Whether the server that a cookie names could be used all the while.
fn is_usable(oracle: &Oracle, row: &Row, (cluster, server): (u16, u16)) -> bool {
    let from = row.first_read_at.unwrap_or(oracle.now);
    let is_there = |version: &Version| {
        let places = version.clusters.get(usize::from(cluster)).map_or(&[][..], Vec::as_slice);
        places.iter().any(|place| place.server == server && !place.is_drained)
    };
    let is_member = oracle.truth.in_force(from, oracle.now).iter().all(is_there);
    let has_failed =
        oracle.truth.connect_failures.iter().rev().any(|f| f.at >= from && f.server == server);
    // Whatever went wrong of late may have marked it down, or tried this request there: a used
    // connection that was lost does neither, if it is all that was lost.
    let truth = &oracle.truth;
    let is_lost = |back: &Back| {
        let is_its =
            row.attempts.iter().any(|it| std::ptr::eq(&oracle.backs[it.back as usize], back));
        back.server == server && !is_its && back.closed_at.is_some_and(|at| at >= from)
    };
    let is_calm = match row.attempts.as_slice() {
        [] => truth.last_trouble_at < from,
        _ => !oracle.backs.iter().any(is_lost) && !oracle.dials.has_tried(server, from),
    };
    is_member && !has_failed && is_calm && truth.last_health_at < from && truth.down.is_empty()
}

/// A backend's response on its way to the client.
pub fn response(oracle: &Oracle, row: &Row, serial: u32, head: &Head) -> Verdict {
    let id = row.ask.id;
    let attempt = row.attempts.iter().find(|attempt| attempt.plan == Some(serial));
    let (Some((cluster, is_sticky)), Some(attempt)) = (cluster(oracle, row), attempt) else {
        return Ok(());
    };
    let server = oracle.backs[attempt.back as usize].server;
    let is_known = row.ask.cookie == Some((cluster, server));
    let secure = match oracle.fronts[row.front as usize].tls {
        Some(_) => "; Secure",
        None => "",
    };
    let expected = (is_sticky && !is_known).then(|| {
        let cookie = wire::sticky_cookie(cluster, server);
        format!("{cookie}; Path=/; HttpOnly; SameSite=Lax{secure}")
    });
    let got: Vec<_> = head.all("set-cookie").map(String::from_utf8_lossy).collect();
    let is_right = match (&expected, got.as_slice()) {
        (None, []) => true,
        (Some(expected), [got]) => got == expected,
        _ => false,
    };
    if !is_right {
        let message = format!("request {id}: Set-Cookie {got:?}, not {expected:?}");
        return breach(GROUP, "BACK-8", message);
    }
    Ok(())
}

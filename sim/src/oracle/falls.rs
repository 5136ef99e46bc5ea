//! Group *balance*, continued: how a server comes to be marked down (BACK-4).
//!
//! - BACK-4: a server that backs off is left alone while another can be used, for no longer
//!   than its doublings allow, and one request probes it then.

use super::ledger::{Answer, Back, Row};
use super::truth::{Down, Version};
use super::{Group, Oracle, Verdict, breach, dials};
use tidegate_core::event::Event;
use tidegate_core::input::Address;

/// The proxy told that it marked a server down: so many attempts have come to their end there.
pub fn marked_down(oracle: &Oracle, event: &Event) -> Verdict {
    let Event::ServerDown { cluster, addr, .. } = event else { return Ok(()) };
    let versions = oracle.truth.versions.iter();
    let all = versions.flat_map(|version| version.config.clusters.iter());
    let fall = all.filter(|config| config.name == *cluster).map(|config| config.fall).min();
    let number = number_of(oracle, cluster, addr);
    let Some((number, fall)) = number.zip(fall) else { return Ok(()) };
    // The verdict of a probe alone doubles the span: others who go there where no server can be
    // used add nothing to it.
    let mut down = oracle.truth.down.iter().rev();
    let known = down.find(|it| it.is_of(cluster, addr)).filter(|it| dials::stays(oracle, it));
    if let Some(down) = known.filter(|it| oracle.now < it.until) {
        let left = (down.until - oracle.now) / 1_000_000;
        let message = format!("server {number} backs off for {left} ms, and is marked down again");
        return breach(Group::Balance, "BACK-4", message);
    }
    let since = forgiven_at(oracle, number, cluster, addr);
    let may_have_failed = |back: &&Back| {
        let is_late = back.closed_at.is_some_and(|at| at >= since);
        back.server == number && is_late && !back.has_failed && may_be_failure(oracle, back)
    };
    let closed = oracle.backs.iter().filter(may_have_failed);
    // What failed at once never became a connection.
    let failures = oracle.truth.connect_failures.iter();
    let failed = failures.filter(|it| it.server == number && it.at >= since && !it.is_ours);
    let ended = closed.count() + failed.count();
    if ended < fall as usize {
        let message = format!("server {number} is down after {ended} failures in a row, of {fall}");
        return breach(Group::Balance, "BACK-4", message);
    }
    Ok(())
}

/// A TCP session's record tells that its server's connection stood: if it was the probe of one that
/// was down, that brought it up.
pub fn has_risen(oracle: &Oracle, back: u32) -> Verdict {
    let back = &oracle.backs[back as usize];
    let of = oracle.truth.nature(back.server).cluster;
    let cluster = format!("c{of}");
    let is_its = |it: &&Down| {
        *it.cluster == *cluster && number_of(oracle, &it.cluster, &it.address) == Some(back.server)
    };
    let last = oracle.truth.down.iter().rev().find(is_its);
    if let Some(down) = last.filter(|it| it.until < back.connect_at && dials::stays(oracle, it)) {
        let server = back.server;
        let for_ms = (oracle.now - down.since) / 1_000_000;
        let message = format!("server {server} took a connection, and is down for {for_ms} ms");
        return breach(Group::Balance, "BACK-4", message);
    }
    Ok(())
}

/// Whether a connection that was closed may have been a failure of its server's: not if its last
/// exchange came to a good end, nor if it was not the first there, unless the server was too slow
/// for that one (BACK-4).
fn may_be_failure(oracle: &Oracle, back: &Back) -> bool {
    let Some(last) = back.seen.last() else { return true };
    // Of another request a part was written.
    if !back.reader.is_between() || back.is_short {
        return true;
    }
    let row = &oracle.rows[last.row as usize];
    let Some(attempt) = row.attempts.get(last.attempt) else { return true };
    let is_answered =
        |it: &Answer| it.end.is_some() && it.serial.is_some() && it.serial == attempt.plan;
    if row.answer.as_ref().is_some_and(is_answered) {
        return false;
    }
    let (patience, _) = oracle.truth.span(row.first_read_at.unwrap_or(0), oracle.now, |t| {
        t.backend_response.min(t.backend_idle)
    });
    back.seen.len() == 1 || oracle.now >= attempt.at.saturating_add(patience)
}

/// When a server last gave a response that makes up for its failures, as far as is certain: 0
/// where it has been down since, since one failure is enough then.
fn forgiven_at(oracle: &Oracle, server: u16, cluster: &str, addr: &Address) -> u64 {
    // In each cluster that has it a server has a health of its own.
    let leads_here = |row: &&Row| {
        versions_of(oracle, row).all(|version| {
            let number = version.cluster_of(&row.ask);
            number.and_then(|it| version.cluster(it)).is_some_and(|it| *it.name == *cluster)
        })
    };
    // What was begun before it came up says nothing of it any more.
    let mut risen = oracle.dials.risen.iter();
    let risen = risen.find(|(of, at, _)| **of == *cluster && at == addr).map_or(0, |it| it.2);
    let begun = oracle.rows.iter().filter(leads_here).filter_map(|row| {
        // What of this turn came first is not known.
        let answer = row.answer.as_ref().filter(|answer| answer.begun_at < oracle.now)?;
        let its = row.attempts.iter().find(|it| it.plan == answer.serial && it.plan.is_some())?;
        let back = &oracle.backs[its.back as usize];
        let chosen_at = if its.is_reused { its.at } else { back.connect_at };
        (back.server == server && chosen_at > risen).then_some(answer.begun_at)
    });
    let at = begun.max().unwrap_or(0);
    let mut down = oracle.truth.down.iter();
    let was_down = down.any(|it| it.is_of(cluster, addr) && it.since < oracle.now);
    if was_down { 0 } else { at }
}

fn versions_of<'a>(oracle: &'a Oracle, row: &Row) -> impl Iterator<Item = &'a Version> {
    oracle.truth.in_force(row.first_read_at.unwrap_or(oracle.now), oracle.now).iter()
}

/// The number of the server at `address` of a cluster, in whatever version has it.
fn number_of(oracle: &Oracle, cluster: &str, address: &Address) -> Option<u16> {
    oracle.truth.versions.iter().find_map(|version| {
        (0..version.clusters.len()).find_map(|index| {
            let config = version.cluster(index).filter(|config| *config.name == *cluster)?;
            let mut its = config.servers.iter().zip(&version.clusters[index]);
            its.find(|(it, _)| it.addr == *address).map(|(_, place)| place.server)
        })
    })
}

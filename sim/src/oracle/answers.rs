//! Group *answers*: the proxy's own answers follow from the state the request was in; silence
//! has a cause; an answer can be read by a client that is still sending.
//!
//! - RES-2: a response is cut short only for a cause.
//! - RES-7: a status of the proxy follows from the state its request was in, who asked is
//!   answered, and in the form that is preferred.
//! - RES-8: an answer reaches whoever still reads, be the request still on its way.
//! - REQ-9: neither 502 nor another attempt takes the place of a whole answer that was there.

use super::ledger::{Back, BackFault, Row};
use super::{Group, Oracle, Verdict, breach, limits, retry};
use crate::kernel::Net;
use std::time::Duration;
use tidegate_core::config::Timeouts;
use tidegate_core::effect::Close;

const GROUP: Group = Group::Answers;

/// The proxy closes a client's connection behind a complete answer that told it to go: what it
/// knows to be unread would make a reset of that, which destroys the answer. Who has finished
/// writing has lingered for as long as it may.
pub fn closes(oracle: &Oracle, net: &Net, front: u32, how: Close) -> Verdict {
    let at = &oracle.fronts[front as usize];
    let end = net.ep(at.ep);
    // Who has not taken all of it is given up in the end, and linger comes behind the last byte.
    let is_whole = at.reader.is_between() && !at.is_short;
    let is_last = is_whole && at.last_response_closes && at.tunnel.is_none();
    let is_broken = end.is_reset() || end.has_fin() || end.is_shut() || at.left_at.is_some();
    let knows = at.knocks_since.is_some_and(|since| since < oracle.now);
    let is_stopping = oracle.truth.stop_at.is_some();
    if how == Close::Normal && is_last && knows && end.unread() > 0 && !is_broken && !is_stopping {
        let unread = end.unread();
        let message =
            format!("connection {front} was closed before {unread} bytes, its answer lost");
        return breach(GROUP, "RES-8", message);
    }
    Ok(())
}

/// The proxy answers `row` with `status` by itself.
pub fn own(oracle: &Oracle, net: &Net, row: &Row, status: u16) -> Verdict {
    if row.ask.flaw.is_some_and(|flaw| flaw.statuses.contains(&status)) {
        return Ok(());
    }
    let is_legal = match status {
        404 => versions(oracle, row).any(|v| v.way(&row.ask).is_none()),
        408 => is_slow_client(oracle, row),
        421 => super::tls::may_misdirect(oracle, row),
        413 => limits::of_listener(oracle, row, oracle.now)
            .iter()
            .any(|version| version.max_body.is_some_and(|max| row.ask.body > max)),
        502 => {
            row.attempts.iter().any(|attempt| is_broken(oracle, net, row, attempt))
                || heads_begun(oracle, row)
                    .any(|back| back.has_garbage || back.is_damaged() || has_ended(net, back))
        }
        503 => {
            has_no_server(oracle, row)
                || connects_failed(oracle, net, row)
                || limits::may_be_turned_away(oracle, row)
        }
        504 => {
            let low = shortest(oracle, row, |t| t.backend_response.min(t.backend_idle));
            let is_late = |from: u64| oracle.now >= from.saturating_add(low);
            // What a server was given in pieces, none of them whole, does not show whose it is.
            let read_at = row.head_read_at.unwrap_or(u64::MAX);
            let may_be_its = |back: &&Back| {
                let is_veiled = back.tls.is_some() || sends_header(oracle, back.server);
                let is_new = back.connect_at >= read_at && back.seen.is_empty() && !back.is_tcp;
                is_new && is_veiled && super::routes::leads_to(oracle, row, back.server)
            };
            row.attempts.iter().any(|attempt| is_late(attempt.at))
                || heads_begun(oracle, row).any(|back| is_late(back.connect_at))
                || oracle.backs.iter().filter(may_be_its).any(|back| is_late(back.connect_at))
        }
        429 => limits::may_refuse(oracle, row.front),
        _ => false,
    };
    if is_legal || super::routes::may_answer(oracle, row, status) {
        super::tls::not_found(oracle, row, status)?;
        if status == 502 {
            not_in_its_place(oracle, net, row, "502")?;
            retry::given_up(oracle, net, row)?;
        }
        return Ok(());
    }
    super::tls::own_answer(oracle, row, status)?;
    if status == 408 && row.first_read_at.is_some() && row.ask.flaw.is_none() {
        return super::timers::too_early(row);
    }
    let (id, ask) = (row.ask.id, &row.ask);
    let flaw = ask.flaw.map_or("none", |flaw| flaw.name);
    let message = format!(
        "request {id} ({} of {} bytes, flaw: {flaw}, {} attempts) was answered {status} \
         without cause",
        ask.method.name(),
        ask.body,
        row.attempts.len(),
    );
    breach(GROUP, "RES-7", message)
}

/// A server's whole answer that the proxy has been told of is not replaced, by 502 or by another
/// attempt, whatever became of the connection behind it: it may be why the request was not taken
/// whole (REQ-9).
pub(super) fn not_in_its_place(oracle: &Oracle, net: &Net, row: &Row, what: &str) -> Verdict {
    let Some(last) = row.attempts.last() else { return Ok(()) };
    let back = &oracle.backs[last.back as usize];
    let Some(plan) = last.plan.map(|plan| &row.plans[plan as usize]) else { return Ok(()) };
    let arrived = net.content_arrived(back.ep ^ 1);
    let is_there = plan.end.is_some_and(|end| end <= arrived);
    if is_there && plan.fault == BackFault::None && !back.has_garbage && !back.is_damaged() {
        let id = row.ask.id;
        let status = plan.status;
        let message = format!("request {id}: {what} in place of the {status} that was there");
        return breach(GROUP, "REQ-9", message);
    }
    Ok(())
}

fn versions<'a>(oracle: &'a Oracle, row: &Row) -> impl Iterator<Item = &'a super::truth::Version> {
    let from = row.first_read_at.unwrap_or(oracle.now);
    oracle.truth.in_force(from, oracle.now).iter()
}

fn shortest(oracle: &Oracle, row: &Row, of: impl Fn(&Timeouts) -> Duration) -> u64 {
    oracle.truth.span(row.first_read_at.unwrap_or(oracle.now), oracle.now, of).0
}

fn is_slow_client(oracle: &Oracle, row: &Row) -> bool {
    let now = oracle.now;
    if row.head_read_at.is_none() {
        let from = head_begun(oracle, row).map_or(now, |(earliest, _)| earliest);
        let (low, _) = oracle.truth.span(from, now, |t| t.request_head);
        return now >= from.saturating_add(low);
    }
    // Whoever waits for 100 is not slow: the backend is waited for.
    row.all_read_at.is_none()
        && !awaits_100(oracle, row)
        && now >= row.last_read_at.saturating_add(shortest(oracle, row, |t| t.client_idle))
}

/// Whether the client of `row` waits for 100. Who has sent of the body does not, be it in one turn
/// with the head.
pub(super) fn awaits_100(oracle: &Oracle, row: &Row) -> bool {
    let has_begun = row.head_end.is_some_and(|end| oracle.fronts[row.front as usize].read > end);
    row.ask.expects && !row.is_continued && !has_begun
}

/// When the deadline of a request's head began to run: at the earliest, and at the latest. What
/// was read behind an unfinished request has no deadline of its own yet.
pub fn head_begun(oracle: &Oracle, row: &Row) -> Option<(u64, u64)> {
    let front = &oracle.fronts[row.front as usize];
    let announced = front.announced.as_ref().and_then(|header| header.read_at);
    let (earliest, latest) = match before(oracle, row) {
        // The service begins behind the PROXY header, and with TLS at the end of the handshake.
        None if announced.is_some() && front.tls.is_none() => (announced?, announced?),
        None if front.tls.is_some() => {
            let secured = front.secured_at?;
            (if front.handshake.0 > 0 { front.handshake.1 } else { secured }, secured)
        }
        // A session that must wait for buffers exists before it first reads.
        None if !oracle.has_ample_buffers() => (front.accepted_at?, front.served_at?),
        None => (front.served_at?, front.served_at?),
        Some(_) => (row.first_read_at?, row.first_read_at?),
    };
    Some((earliest, latest.max(turn_came(oracle, row))))
}

/// The request before `row` on its connection.
fn before<'a>(oracle: &'a Oracle, row: &Row) -> Option<&'a Row> {
    let rows = &oracle.fronts[row.front as usize].rows;
    let place = rows.iter().position(|&id| id == row.ask.id)?;
    Some(&oracle.rows[rows[place.checked_sub(1)?] as usize])
}

/// When the request before `row` was answered whole; 0 if there is none.
pub fn turn_came(oracle: &Oracle, row: &Row) -> u64 {
    let answer = before(oracle, row).and_then(|before| before.answer.as_ref());
    answer.map_or(0, |answer| answer.ended_at)
}

/// Whether a connection to `server` begins with a PROXY header.
fn sends_header(oracle: &Oracle, server: u16) -> bool {
    oracle.truth.nature(server).send_proxy.is_some()
}

/// Connections that were given a part of some head, which may be that of `row`.
fn heads_begun<'a>(oracle: &'a Oracle, row: &'a Row) -> impl Iterator<Item = &'a Back> {
    let read_at = row.head_read_at.unwrap_or(u64::MAX);
    let may_be_its = move |back: &Back| {
        back.closed_at.is_none_or(|at| at >= read_at)
            && super::routes::leads_to(oracle, row, back.server)
    };
    let has_part = |back: &Back| {
        // A record that is not whole yet shows nothing of what it carries.
        let is_held = back.is_short && back.facts().is_some_and(|f| f.is_complete);
        back.reader.is_inside_head() || is_held || back.is_damaged()
    };
    oracle.backs.iter().filter(move |back| has_part(back) && may_be_its(back))
}

/// Whether the end of a backend's stream, or a reset, has arrived.
pub fn has_ended(net: &Net, back: &Back) -> bool {
    let end = net.ep(back.ep);
    let said_at = back.facts().and_then(|facts| facts.said_at);
    let is_said = said_at.is_some_and(|at| net.ep(back.ep ^ 1).arrived >= at);
    end.is_reset() || end.has_fin() || is_said
}

/// Whether the connection of `attempt` failed, or answered what cannot be forwarded.
fn is_broken(oracle: &Oracle, net: &Net, row: &Row, attempt: &super::ledger::Attempt) -> bool {
    let back = &oracle.backs[attempt.back as usize];
    let plan = attempt.plan.map(|plan| &row.plans[plan as usize]);
    has_ended(net, back)
        || back.is_damaged()
        || back.has_garbage
        || plan.is_some_and(|plan| plan.fault.breaks_head())
}

fn has_no_server(oracle: &Oracle, row: &Row) -> bool {
    versions(oracle, row).any(|version| {
        version.places(&row.ask).is_some_and(|places| places.iter().all(|p| p.is_drained))
    })
}

/// Whether enough connections failed since the request was read: before they carried a byte, or
/// behind what they were given of the request.
fn connects_failed(oracle: &Oracle, net: &Net, row: &Row) -> bool {
    let Some(from) = row.head_read_at else { return false };
    let may_be_its = |server: u16| super::routes::leads_to(oracle, row, server);
    let is_late = |back: &&Back| {
        let has_broken = has_ended(net, back) || back.is_damaged();
        back.connect_at >= from && !back.has_failed && has_broken && may_be_its(back.server)
    };
    let late = oracle.backs.iter().rev().filter(is_late).count();
    let failures = oracle.truth.failed(from, oracle.now).iter();
    let failed = failures.filter(|failure| may_be_its(failure.server)).count();
    failed + late >= usize::from(retry::ATTEMPTS_MAX)
}

/// At the end: a request without a whole answer, whose client still waited for it.
pub fn silence(oracle: &Oracle, net: &Net, row: &Row) -> Verdict {
    let id = row.ask.id;
    let front = &oracle.fronts[row.front as usize];
    // A head that cannot be read names nobody: how it ended is not known.
    let is_nameless = row.ask.flaw.is_some() && row.record.is_none();
    // Without buffers a session may end before it takes what TLS has opened, or before it can tell
    // a client that TLS is expected.
    let has_tls = front.tls.is_some() || row.ask.flaw.is_some_and(|flaw| flaw.name == "no TLS");
    let is_starved = has_tls && row.record.is_none() && !oracle.has_ample_buffers();
    // A client that has finished writing may have met a version that takes that for an abort.
    let until = row.record.map_or(oracle.now, |record| record.at);
    let seen = limits::of_listener(oracle, row, until);
    let has_left = front.left_at.is_some_and(|at| at <= until);
    let is_aborted = has_left && seen.iter().any(|version| version.abort_on_close);
    let is_excused = row.gave_up_at.is_some()
        || is_aborted
        || row.is_void
        // How a tunnel ended is judged where it did.
        || row.tunnel.is_some()
        || super::proxy::may_close(oracle, row.front)
        || super::tls::may_refuse(oracle, front)
        || is_starved
        || (is_nameless && front.stalled_at.is_some())
        || row.end.is_none()
        || row.head_read_at.is_none()
        || oracle.truth.stop_at.is_some_and(|stop| front.closed.is_none_or(|(at, _)| at >= stop));
    if is_excused {
        return Ok(());
    }
    let Some(answer) = &row.answer else {
        if front.last_response_closes
            || oracle.head_of_line(row.front).is_none_or(|r| r.ask.id != id)
        {
            return Ok(());
        }
        let ending = row.record.map(|record| record.ending);
        // Whether a timer was right to end it has been judged already.
        if ending.is_some_and(|ending| ending.timer.is_some()) {
            return Ok(());
        }
        let message = format!("request {id} was read whole and never answered ({ending:?})");
        return breach(GROUP, "RES-7", message);
    };
    let Some(end) = answer.end else { return cut_short(oracle, net, row, answer.serial) };
    // Who pipelines may lose an answer to a reset: a request that was wholly read is closed behind
    // at once, whatever follows it.
    let was_read = row.all_read_at.is_some_and(|at| at <= answer.ended_at);
    let is_followed = was_read && front.rows.last() != Some(&id);
    let (linger, _) = oracle.truth.span(answer.ended_at, oracle.now, |t| t.linger);
    let has_lingered = front.closed.is_some_and(|(at, _)| at >= answer.ended_at + linger);
    let is_excused = front.is_slow || is_followed || has_lingered;
    let is_owed = front.left_at.is_none() && !is_excused;
    if is_owed && net.content_arrived(front.ep) < end {
        let arrived = net.content_arrived(front.ep);
        let message =
            format!("request {id}: {arrived} bytes of a stream whose answer ends at {end} arrived");
        return breach(GROUP, "RES-8", message);
    }
    Ok(())
}

fn cut_short(oracle: &Oracle, net: &Net, row: &Row, serial: Option<u32>) -> Verdict {
    let id = row.ask.id;
    let is_timed = row.record.is_some_and(|record| record.ending.timer.is_some());
    let is_broken = row.attempts.iter().any(|a| is_broken(oracle, net, row, a));
    let plan = serial.map(|serial| &row.plans[serial as usize]);
    let is_planned =
        plan.is_some_and(|plan| plan.fault.cuts_body() || plan.fault == BackFault::Stalls);
    let body = row.ask.flaw.is_some_and(|flaw| flaw.in_body);
    let is_too_long = versions(oracle, row).any(|v| v.max_body.is_some_and(|m| row.ask.body > m));
    if is_timed || is_broken || is_planned || body || is_too_long {
        return Ok(());
    }
    let ending = row.record.map(|record| record.ending);
    breach(GROUP, "RES-2", format!("the answer to request {id} was cut without cause ({ending:?})"))
}

//! Group *TLS*, continued: what the proxy tells and counts of handshakes is what became of
//! them.
//!
//! - TLS-2: a handshake fails for its reason, with the right alert.
//! - RUN-5: handshakes are counted and recorded as what became of them.

use super::ledger::Front;
use super::passage::may_refuse;
use super::tls::{GROUP, have_common, is_welcome, settings, takes};
use super::truth::ListenerTls;
use super::{Oracle, Verdict, breach};
use crate::layer::{Damage, Facts, Trouble};
use crate::wire;
use std::net::SocketAddr;
use tidegate_core::event::AccessRecord;
use tidegate_core::stats::Counters;
use tidegate_core::time::TICK;
use tidegate_core::tls::{TlsFailure, TlsVersion};

/// The proxy tells that a client's handshake failed, and why.
pub fn failed(oracle: &mut Oracle, client: Option<SocketAddr>, failure: TlsFailure) -> Verdict {
    let Some(number) = oracle.front_from(client) else {
        return breach(GROUP, "TLS-2", format!("a handshake failed of {client:?}, who is nobody"));
    };
    oracle.handshakes_failed[failure as usize] += 1;
    oracle.fronts[number].has_failed_tls = true;
    let front = &oracle.fronts[number];
    // Who waits for buffers to be looked into is not read from, nor is who broke off before.
    let has_left = failure == TlsFailure::Closed && front.accepted_at.is_some();
    let has_begun = front.served_at.is_some() || front.hello.is_some() || has_left;
    if has_begun && fits(oracle, front, failure) {
        return told(front, failure);
    }
    let facts = (front.served_at, front.left_at, front.facts());
    breach(GROUP, "TLS-2", format!("a handshake failed as {failure:?}; its client: {facts:?}"))
}

/// Who is refused is told so by an alert, if that can be read and gets through.
fn told(front: &Front, failure: TlsFailure) -> Verdict {
    use TlsFailure::{Certificate, Incompatible, Protocol};
    let Some(facts) = front.facts() else { return Ok(()) };
    // rustls has no alert for some of what a flipped bit makes of a hello.
    let is_odd = facts.damaged.is_some_and(|(_, damage)| damage == Damage::Clear);
    let is_garbage = matches!(facts.trouble, Trouble::Garbage(_));
    let is_deaf = facts.refused.is_some() || is_odd || is_garbage || front.left_at.is_some();
    let is_owed = matches!(failure, Certificate | Incompatible | Protocol) && !is_deaf;
    if is_owed && facts.alert.is_none() && !front.is_short {
        let message = format!("a handshake failed as {failure:?}, and no alert tells: {facts:?}");
        return breach(GROUP, "TLS-2", message);
    }
    Ok(())
}

fn fits(oracle: &Oracle, front: &Front, failure: TlsFailure) -> bool {
    let Some(facts) = front.facts() else {
        // In the clear, where TLS is expected, until the first byte says so.
        let is_over = front.left_at.is_some() && failure == TlsFailure::Closed;
        let is_heard = front.hello.is_some_and(|hello| front.is_heard(&hello));
        let is_late = failure == TlsFailure::TimedOut && is_due(oracle, front) && !is_heard;
        let is_none = failure == TlsFailure::NotTls && may_refuse(front);
        return is_none || is_over || is_late;
    };
    let any = |of: &dyn Fn(&ListenerTls) -> bool| settings(oracle, front).any(of);
    let is_damaged = facts.damaged.is_some();
    let is_garbage = matches!(facts.trouble, Trouble::Garbage(_));
    match failure {
        TlsFailure::NotTls => is_garbage,
        TlsFailure::Incompatible => {
            let is_odd = |tls: &ListenerTls| !have_common(tls.versions, facts.versions);
            facts.has_odd_alpn || any(&is_odd) || is_damaged
        }
        TlsFailure::Certificate => any(&|tls| !takes(tls.auth, facts.certificate)) || is_damaged,
        TlsFailure::Alert => facts.refused.is_some() || is_damaged,
        TlsFailure::Protocol => is_damaged || is_garbage,
        TlsFailure::TimedOut => is_due(oracle, front) && (front.secured_at.is_none() || is_damaged),
        TlsFailure::Closed => front.left_at.is_some() || matches!(facts.trouble, Trouble::Cuts(..)),
    }
}

/// Whether `tls_handshake` may fire now: not early, and not late.
fn is_due(oracle: &Oracle, front: &Front) -> bool {
    let Some(accepted) = front.accepted_at else { return false };
    let unread = front.hello.map(|_| oracle.now);
    let Some(served) = front.served_at.or(unread) else { return false };
    // Behind a PROXY header it runs from that one's end.
    let announced = front.announced.as_ref();
    let begun = announced.map_or(Some((accepted, served)), |known| {
        let read = known.read_at?;
        Some((read, read))
    });
    let Some((earliest, latest)) = begun else { return false };
    let (low, high) = oracle.truth.span(accepted, served, |t| t.tls_handshake);
    let slack = TICK.as_nanos() as u64 + oracle.truth.loop_delay_max;
    let is_late = oracle.now > latest.saturating_add(high.saturating_add(slack));
    oracle.now >= earliest.saturating_add(low) && !is_late
}

/// Whether the client surely is past its handshake, if one is due.
pub(super) fn is_over(oracle: &Oracle, front: &Front) -> bool {
    let has_tls = oracle.truth.has_tls(front.listener);
    !has_tls || front.facts().is_some_and(|facts| is_complete(oracle, front, &facts).0)
}

/// Whether the handshake on `front` came to its end: surely, perhaps.
fn is_complete(oracle: &Oracle, front: &Front, facts: &Facts) -> (bool, bool) {
    let is_damaged = facts.damaged.is_some();
    let is_secured = front.secured_at.is_some();
    let is_welcome = settings(oracle, front).all(|tls| is_welcome(tls, facts));
    // A damaged record may have come in the read that ended the handshake.
    let surely = is_secured && is_welcome && !is_damaged;
    // In TLS 1.2 the proxy speaks last, and what it says may not get through; nor does it speak
    // where there is no server to lead a session to, which its record tells.
    let tunnel = front.tunnel.filter(|_| front.is_tcp).map(|id| &oracle.tunnels[id as usize]);
    let is_refused = tunnel.is_some_and(|tunnel| tunnel.record.is_some());
    let is_unheard = !facts.is_complete && (front.is_short || is_refused);
    (surely, is_secured || is_damaged || is_unheard)
}

/// A handshake that began, and came to nothing before the stop, was told of.
fn told_of(oracle: &Oracle, number: usize, front: &Front, facts: &Facts) -> Verdict {
    let stop = oracle.truth.stop_at.unwrap_or(u64::MAX);
    let (read, read_at) = front.handshake;
    // Whoever is turned away is so in the turn in which its first bytes are read.
    let is_over = front.closed.is_some_and(|(at, _)| at < stop && at > read_at);
    let before = front.announced.as_ref().map_or(0, |known| known.len);
    let has_begun = read > before;
    if is_over && has_begun && !front.has_failed_tls && !is_complete(oracle, front, facts).1 {
        let message = format!("nobody was told that connection {number} broke off: {facts:?}");
        return breach(GROUP, "TLS-2", message);
    }
    Ok(())
}

/// At the end of a run.
pub fn counted(oracle: &Oracle, counters: &Counters) -> Verdict {
    let (mut low, mut high, mut resumed_low, mut resumed_high, mut later) = (0, 0, 0, 0, 0);
    for (number, front) in oracle.fronts.iter().enumerate() {
        let Some(facts) = front.facts() else { continue };
        told_of(oracle, number, front, &facts)?;
        let (surely, perhaps) = is_complete(oracle, front, &facts);
        low += u64::from(surely);
        high += u64::from(perhaps);
        resumed_low += u64::from(surely && facts.is_resumed);
        resumed_high += u64::from(perhaps && (facts.is_resumed || !surely));
        later += u64::from(facts.damaged.is_some());
    }
    let Counters { handshakes, handshakes_resumed: resumed, .. } = *counters;
    if !(low..=high).contains(&handshakes) {
        let message = format!("{handshakes} handshakes counted, {low} to {high} were complete");
        return breach(GROUP, "RUN-5", message);
    }
    if !(resumed_low..=resumed_high).contains(&resumed) {
        let message = format!("{resumed} resumed, not {resumed_low} to {resumed_high}");
        return breach(GROUP, "RUN-5", message);
    }
    let told = oracle.handshakes_failed;
    let failures = counters.tls_failures.iter().zip(told).zip(TlsFailure::ALL);
    for ((&counted, told), failure) in failures {
        // What fails behind the handshake is counted, and told by its access record.
        if counted < told || counted > told + later {
            let name = failure.name();
            let message = format!("{counted} failures counted as {name}, {told} told");
            return breach(GROUP, "RUN-5", message);
        }
    }
    Ok(())
}

/// What an access record says of its client's TLS.
pub fn recorded(front: &Front, record: &AccessRecord) -> Verdict {
    let facts = front.facts();
    let is_right = match (&facts, &record.tls) {
        (None, None) => true,
        (Some(facts), Some(told)) => {
            let sni = facts.sni.map(wire::host_name).unwrap_or_default();
            (told.version == TlsVersion::Tls13) == facts.is_13
                && told.resumed == facts.is_resumed
                && told.sni.as_bytes() == sni.as_bytes()
        }
        // Of a client in the clear nothing is known.
        _ => false,
    };
    // What a damaged hello said is not what its client meant.
    if is_right || facts.is_some_and(|facts| facts.damaged.is_some()) {
        return Ok(());
    }
    let message = format!("a record says {:?} of a client such as {facts:?}", record.tls);
    breach(GROUP, "RUN-5", message)
}

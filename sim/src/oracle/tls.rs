//! Group *TLS*: the certificate that the configuration says, no byte for a server that is not
//! who it should be, close_notify at every orderly end and nothing cut short without it, the
//! right alerts, resumption where it is due, 421 exactly where it is due.
//!
//! - BACK-6: a connection is used again under the TLS settings that it was made with.
//! - ROUTE-5: 421 is told exactly to those whose certificate does not cover the host.
//! - TLS-1: the certificate is that of the name, and sessions are resumed.
//! - TLS-2: a handshake fails for its reason, with the right alert.
//! - TLS-3: close_notify is sent at every orderly end, and missing where it is due it is a
//!   truncation.
//! - TLS-4: no request goes to a server that is not who it should be.

use super::ledger::{Front, Plan, Row};
use super::truth::{ListenerTls, Version};
use super::{Group, Oracle, Side, Verdict, breach};
use crate::kernel::{Ep, Net};
use crate::layer::{Damage, Facts, Refused, Trouble};
use crate::tls::{ClientAuth, Versions, Which};
use crate::wire;
use rustls::AlertDescription;
use tidegate_core::effect::Close;

/// What checkers of this group say they are.
pub const GROUP: Group = Group::Tls;

/// The names of a certificate's SAN.
pub fn names(which: Which) -> &'static [&'static str] {
    match which {
        Which::A | Which::ASecond => &["a.example", "*.wild.example"],
        Which::B => &["b.example", "h2.wild.example"],
        Which::Backend => &["backend.example"],
        Which::Expired => &["a.example"],
        Which::Stranger => &["a.example", "client.example"],
        Which::Client => &["client.example"],
    }
}

/// Whether a certificate is valid for `host`.
pub fn is_for(which: Which, host: u16) -> bool {
    let host = wire::host_name(host);
    names(which).iter().any(|name| match name.strip_prefix('*') {
        Some(suffix) => host.split_once('.').is_some_and(|(_, rest)| &suffix[1..] == rest),
        None => *name == host,
    })
}

/// The certificate that a client is shown who asks for `sni`: the first that has that very name,
/// else the first that has it by wildcard, else the default.
pub fn chosen(certificates: &[Which], sni: Option<u16>) -> Which {
    let Some(sni) = sni else { return certificates[0] };
    let name = wire::host_name(sni);
    let has_name = |&&which: &&Which| names(which).contains(&name.as_str());
    let by_wildcard = || certificates.iter().find(|&&which| is_for(which, sni));
    *certificates.iter().find(has_name).or_else(by_wildcard).unwrap_or(&certificates[0])
}

/// Whether `host` may be asked for by a client that asked for `sni` (ROUTE-5).
pub fn covers(certificates: &[Which], sni: Option<u16>, host: u16) -> bool {
    sni.is_none_or(|sni| is_for(chosen(certificates, Some(sni)), host))
}

/// The settings that a session on `front` may have begun under.
pub(super) fn settings<'a>(
    oracle: &'a Oracle,
    front: &'a Front,
) -> impl Iterator<Item = &'a ListenerTls> {
    let from = front.accepted_at.unwrap_or(oracle.now);
    let to = front.served_at.unwrap_or(oracle.now);
    // Behind a listener that is gone, its last settings hold for what waits there.
    let name = format!("l{}", front.listener);
    let has_it = |version: &&Version| version.config.listeners.iter().any(|l| *l.name == *name);
    let mut earlier = oracle.truth.versions.iter().rev().filter(|version| version.at <= from);
    let from = earlier.find(has_it).map_or(from, |version| version.at);
    let all = oracle.truth.in_force(from, to).iter();
    all.filter_map(|version| version.tls.listeners.get(front.listener)?.as_ref())
}

/// The proxy wrote to a peer whose TLS knew `before`, and now knows `now`.
pub fn emitted(oracle: &Oracle, net: &Net, ep: Ep, before: &Facts, now: &Facts) -> Verdict {
    if now.behind_notify > 0 {
        return breach(GROUP, "TLS-3", format!("socket {ep}: bytes behind close_notify"));
    }
    match oracle.side(ep) {
        Side::Front(front) => {
            let at = &oracle.fronts[front as usize];
            if before.refused.is_none() && now.refused.is_some() {
                refused_by_client(oracle, front, now)?;
            }
            if before.alert.is_none() && now.alert.is_some() {
                alert_to_client(oracle, net, front, now)?;
            }
            if before.finished_at.is_none() && now.finished_at.is_some() {
                certificate(oracle, front, at, now)?;
                resumption(front, now)?;
            }
        }
        Side::Back(back) => {
            if before.refused.is_none()
                && let Some(refused) = now.refused
                && now.damaged.is_none()
            {
                let server = oracle.backs[back as usize].server;
                let message = format!("what server {server} gets is refused: {refused:?}");
                return breach(GROUP, "TLS-4", message);
            }
            if before.alert.is_none() && now.alert.is_some() {
                alert_to_server(oracle, back, now)?;
            }
        }
    }
    Ok(())
}

/// A client's TLS does not take what it gets.
fn refused_by_client(oracle: &Oracle, front: u32, now: &Facts) -> Verdict {
    let at = &oracle.fronts[front as usize];
    let is_due = match now.refused {
        // A damaged hello may ask for another name.
        Some(Refused::Certificate) if now.damaged.is_none() => {
            let is_wrong = |tls: &ListenerTls| match now.sni {
                None => true,
                Some(sni) => !is_for(chosen(tls.certificates, Some(sni)), sni),
            };
            now.is_strict && settings(oracle, at).any(is_wrong)
        }
        _ => now.damaged.is_some() || matches!(now.trouble, Trouble::Garbage(_)),
    };
    if is_due {
        return Ok(());
    }
    let message = format!("connection {front}: the client refuses what it gets: {now:?}");
    breach(GROUP, "TLS-1", message)
}

fn certificate(oracle: &Oracle, front: u32, at: &Front, now: &Facts) -> Verdict {
    if now.is_resumed || now.damaged.is_some() {
        return Ok(());
    }
    let is_right = |tls: &ListenerTls| now.shown == Some(chosen(tls.certificates, now.sni));
    if settings(oracle, at).any(is_right) {
        return Ok(());
    }
    let sni = now.sni.map(wire::host_name);
    let message = format!("connection {front}: {:?} was shown for {sni:?}", now.shown);
    breach(GROUP, "TLS-1", message)
}

/// A session that was offered, of the version agreed on, is taken up: tickets outlive a change of
/// certificates.
fn resumption(front: u32, now: &Facts) -> Verdict {
    if now.offered == Some(now.is_13) && !now.is_resumed && now.damaged.is_none() {
        let message = format!("connection {front}: the session it offered was not resumed");
        return breach(GROUP, "TLS-1", message);
    }
    Ok(())
}

/// Whether two ends speak a version in common.
pub(super) fn have_common(one: Versions, other: Versions) -> bool {
    one == Versions::Both || other == Versions::Both || one == other
}

/// Whether a listener takes what a client shows when it is asked.
pub(super) fn takes(auth: ClientAuth, certificate: Option<Which>) -> bool {
    match (auth, certificate) {
        (ClientAuth::None, _) | (_, Some(Which::Client)) => true,
        (ClientAuth::Optional, None) => true,
        (ClientAuth::Required, None) | (_, Some(_)) => false,
    }
}

/// Whether a client may come to a complete handshake under `tls`.
pub fn is_welcome(tls: &ListenerTls, facts: &Facts) -> bool {
    have_common(tls.versions, facts.versions)
        && !facts.has_odd_alpn
        && (facts.is_resumed || takes(tls.auth, facts.certificate))
}

/// Whether a client's connection may end for its own TLS' sake.
pub fn may_refuse(oracle: &Oracle, front: &Front) -> bool {
    let Some(facts) = front.facts() else { return false };
    facts.damaged.is_some() || settings(oracle, front).any(|tls| !is_welcome(tls, &facts))
}

/// The alert that answers a client whose bytes are sound, if one is due.
fn due_to_client(tls: &ListenerTls, facts: &Facts) -> Option<&'static [AlertDescription]> {
    use AlertDescription as Alert;
    if !have_common(tls.versions, facts.versions) {
        return Some(&[Alert::ProtocolVersion]);
    }
    if facts.has_odd_alpn {
        return Some(&[Alert::NoApplicationProtocol]);
    }
    if takes(tls.auth, facts.certificate) {
        return None;
    }
    match facts.certificate {
        None => Some(&[Alert::CertificateRequired, Alert::HandshakeFailure]),
        Some(_) => Some(&[Alert::UnknownCA]),
    }
}

/// Alerts that may answer what `damage` did, whatever record it hit.
fn answers_damage(damage: Damage, alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    match damage {
        Damage::Sealed => alert == Alert::BadRecordMac,
        // What a flipped bit makes of a hello, or of a length, is anybody's guess.
        Damage::Clear | Damage::Header => alert != Alert::CloseNotify,
    }
}

fn alert_to_client(oracle: &Oracle, net: &Net, front: u32, now: &Facts) -> Verdict {
    let at = &oracle.fronts[front as usize];
    let Some(alert) = now.alert else { return Ok(()) };
    let read = net.ep(at.ep).read;
    let is_due = match (now.trouble, now.damaged) {
        (Trouble::Garbage(_), _) => true,
        (_, Some((from, damage))) if read > from && answers_damage(damage, alert) => true,
        _ => settings(oracle, at)
            .any(|tls| due_to_client(tls, now).is_some_and(|due| due.contains(&alert))),
    };
    if is_due {
        return Ok(());
    }
    let message = format!("connection {front}: {alert:?} for a client such as {now:?}");
    breach(GROUP, "TLS-2", message)
}

fn alert_to_server(oracle: &Oracle, back: u32, now: &Facts) -> Verdict {
    use AlertDescription as Alert;
    let Some(alert) = now.alert else { return Ok(()) };
    let is_due = match (now.certificate, now.damaged, now.trouble) {
        (_, Some((_, damage)), _) => answers_damage(damage, alert),
        (_, _, Trouble::Garbage(_)) => true,
        (Some(Which::Expired), ..) => alert == Alert::CertificateExpired,
        (Some(Which::Stranger), ..) => alert == Alert::UnknownCA,
        (Some(Which::A), ..) => alert == Alert::BadCertificate,
        _ => false,
    };
    if is_due {
        return Ok(());
    }
    let server = oracle.backs[back as usize].server;
    breach(GROUP, "TLS-4", format!("server {server}: {alert:?} for a server such as {now:?}"))
}

/// The proxy finishes writing to a client, or closes: with close_notify, if that client was being
/// served and what it was last told is complete.
pub fn front_ended(oracle: &Oracle, net: &Net, front: u32, how: Close) -> Verdict {
    let at = &oracle.fronts[front as usize];
    let Some(facts) = at.facts() else { return Ok(()) };
    let is_served = at.secured_at.is_some() && settings(oracle, at).all(|t| is_welcome(t, &facts));
    let end = net.ep(at.ep);
    let is_in_order = how == Close::Normal
        && is_served
        && at.reader.is_between()
        && facts.alert.is_none()
        && facts.refused.is_none()
        && facts.damaged.is_none()
        && !end.is_reset();
    // Behind what the client has not taken, a goodbye is not worth waiting for.
    if is_in_order && facts.notified_at.is_none() && !at.is_short {
        let message = format!("connection {front} ends in order, and without close_notify");
        return breach(GROUP, "TLS-3", message);
    }
    Ok(())
}

/// A response was shown as complete: its end must not depend on an end that was not said.
pub fn response_complete(row: &Row, plan: &Plan) -> Verdict {
    if plan.is_by_close && plan.is_unsaid && !plan.is_bodyless {
        let id = row.ask.id;
        let message =
            format!("response {id} ended without close_notify, and was shown as complete");
        return breach(GROUP, "TLS-3", message);
    }
    Ok(())
}

/// A client of TLS 1.3 has its tickets by the time its first answer is complete.
pub fn tickets(front: u32, at: &Front) -> Verdict {
    let Some(facts) = at.facts() else { return Ok(()) };
    if facts.is_13 && facts.tickets == 0 && !facts.is_resumed {
        let message = format!("connection {front} was answered, and has no ticket");
        return breach(GROUP, "TLS-1", message);
    }
    Ok(())
}

/// Whether `row` names a host that its connection's certificate is not valid for: surely, perhaps.
fn is_misdirected(oracle: &Oracle, row: &Row) -> (bool, bool) {
    let at = &oracle.fronts[row.front as usize];
    let Some(facts) = at.facts() else { return (false, false) };
    let mut all = settings(oracle, at).map(|t| covers(t.certificates, facts.sni, row.ask.host));
    let first = !all.next().unwrap_or(true);
    all.fold((first, first), |(surely, perhaps), covered| (surely && !covered, perhaps || !covered))
}

/// Whether 421 may answer `row`.
pub fn may_misdirect(oracle: &Oracle, row: &Row) -> bool {
    is_misdirected(oracle, row).1
}

/// `row` was answered with `status`: of a host that is not the certificate's nobody is told whether
/// it exists (ROUTE-5).
pub fn not_found(oracle: &Oracle, row: &Row, status: u16) -> Verdict {
    if status == 404 && is_misdirected(oracle, row).0 {
        let message =
            format!("request {} got 404, and its host is not the certificate's", row.ask.id);
        return breach(GROUP, "ROUTE-5", message);
    }
    Ok(())
}

/// `row` was answered with `status`, for which there is no cause: as if it had been given to a
/// server before TLS stood there?
pub fn own_answer(oracle: &Oracle, row: &Row, status: u16) -> Verdict {
    let from = row.first_read_at.unwrap_or(oracle.now);
    let mut versions = oracle.truth.in_force(from, oracle.now).iter();
    let is_tls = versions.all(|version| {
        let cluster = version.cluster_of(&row.ask);
        cluster.is_some_and(|c| version.tls.clusters.get(c).copied().flatten().is_some())
    });
    if status == 502 && row.attempts.is_empty() && is_tls {
        let id = row.ask.id;
        let message = format!("request {id} was answered 502, and TLS stood with no server");
        return breach(GROUP, "TLS-4", message);
    }
    Ok(())
}

/// `row` is emitted on the connection `back`.
pub fn request(oracle: &Oracle, back: u32, row: &Row) -> Verdict {
    let id = row.ask.id;
    if is_misdirected(oracle, row).0 {
        let message = format!("request {id} went on, and its host is not the certificate's");
        return breach(GROUP, "ROUTE-5", message);
    }
    let front = &oracle.fronts[row.front as usize];
    if let Some(facts) = front.facts()
        && !settings(oracle, front).any(|tls| is_welcome(tls, &facts))
    {
        let message = format!("request {id} is of a client that had to be refused: {facts:?}");
        return breach(GROUP, "TLS-1", message);
    }
    let from = row.first_read_at.unwrap_or(oracle.now);
    let generation = |version: &Version| {
        let cluster = version.cluster_of(&row.ask)?;
        version.tls.clusters.get(cluster).copied().flatten()
    };
    let wanted = oracle.truth.in_force(from, oracle.now).iter().map(generation);
    let Some(facts) = oracle.backs[back as usize].facts() else {
        if wanted.clone().all(|generation| generation.is_some()) {
            return breach(GROUP, "TLS-4", format!("request {id} went to a server in the clear"));
        }
        return Ok(());
    };
    if facts.certificate != Some(Which::Backend) {
        let message = format!("request {id} went to a server that shows {:?}", facts.certificate);
        return breach(GROUP, "TLS-4", message);
    }
    let shows = facts.shown.is_some();
    let mut wanted = wanted.flatten();
    if facts.damaged.is_none() && !wanted.any(|generation| (generation % 2 == 1) == shows) {
        let message = format!("request {id} went by a connection of another TLS identity");
        return breach(GROUP, "BACK-6", message);
    }
    Ok(())
}

//! Marks of TLS: versions, resumption, alerts, failures, and what went wrong on purpose.

use crate::cx::Cx;
use crate::layer::{Damage, Facts, Refused, Trouble};
use crate::mark;
use crate::marks::Group;
use crate::oracle::Oracle;
use crate::oracle::ledger::{Back, Front};
use crate::oracle::tunnels::{Over, Tunnel};
use crate::tls::{Versions, Which};
use rustls::AlertDescription as Alert;
use tidegate_core::stats::Counters;

/// Marks what became of all connections with TLS.
pub(super) fn mark_all(cx: &mut Cx, oracle: &Oracle, counters: &Counters) {
    for facts in oracle.fronts.iter().filter_map(|front| front.facts()) {
        mark_client(cx, &facts);
        mark_alert(cx, &facts);
        mark_trouble(cx, &facts);
    }
    let is_announced = |front: &&Front| {
        let is_complete = front.facts().is_some_and(|facts| facts.finished_at.is_some());
        front.announced.is_some() && is_complete
    };
    if oracle.fronts.iter().any(|front| is_announced(&front)) {
        cx.mark(mark!("tls: client announced by a PROXY header"));
    }
    let is_told = |back: &Back| back.facts().is_some_and(|facts| facts.is_complete);
    if oracle.backs.iter().any(|back| back.preface.header.is_some() && is_told(back)) {
        cx.mark(mark!("tls: server is sent a PROXY header"));
    }
    for facts in oracle.backs.iter().filter_map(|back| back.facts()) {
        mark_server(cx, &facts);
        mark_trouble(cx, &facts);
    }
    for tunnel in oracle.tunnels.iter().filter(|tunnel| tunnel.over.is_some()) {
        mark_tunnel(cx, oracle, tunnel);
    }
    for (index, _) in counters.tls_failures.iter().enumerate().filter(|(_, count)| **count > 0) {
        cx.mark(Group::TlsFailure.at(index));
    }
}

fn mark_tunnel(cx: &mut Cx, oracle: &Oracle, tunnel: &Tunnel) {
    let front = oracle.fronts[tunnel.front as usize].facts();
    let back = tunnel.back.and_then(|back| oracle.backs[back as usize].facts());
    if front.is_some() {
        cx.mark(mark!("tls: tunnel of a client"));
    }
    if back.is_some() {
        cx.mark(mark!("tls: tunnel to a server"));
    }
    if tunnel.row.is_none() && front.is_some() {
        cx.mark(mark!("tls: TCP session of a client"));
    }
    if tunnel.row.is_none() && back.is_some() {
        cx.mark(mark!("tls: TCP session to a server"));
    }
    let is_mute = |facts: &Facts| facts.trouble == Trouble::Mute;
    let is_cut = front.is_some_and(|f| is_mute(&f)) || back.is_some_and(|f| is_mute(&f));
    if is_cut && matches!(tunnel.over, Some((_, Over::Broken))) {
        cx.mark(mark!("tls: tunnel broken by a missing close_notify"));
    }
}

fn mark_client(cx: &mut Cx, facts: &Facts) {
    if facts.finished_at.is_some() {
        cx.mark(match (facts.is_13, facts.is_resumed) {
            (true, false) => mark!("tls: client by 1.3"),
            (true, true) => mark!("tls: client resumes 1.3"),
            (false, false) => mark!("tls: client by 1.2"),
            (false, true) => mark!("tls: client resumes 1.2"),
        });
        if facts.certificate == Some(Which::Client) {
            cx.mark(mark!("tls: client may show a certificate"));
        }
        if facts.sni.is_none() {
            cx.mark(mark!("tls: client names no host"));
        }
    }
    if facts.refused == Some(Refused::Certificate) {
        cx.mark(mark!("tls: client refuses the certificate"));
    }
    if facts.has_odd_alpn {
        cx.mark(mark!("tls: client of another protocol"));
    }
    if facts.notified_at.is_some() {
        cx.mark(mark!("tls: close_notify to a client"));
    }
    if facts.said_at.is_some() {
        cx.mark(mark!("tls: close_notify of a client"));
    }
}

fn mark_server(cx: &mut Cx, facts: &Facts) {
    if facts.is_complete {
        cx.mark(match (facts.is_13, facts.is_resumed) {
            (true, false) => mark!("tls: server by 1.3"),
            (true, true) => mark!("tls: server resumes 1.3"),
            (false, false) => mark!("tls: server by 1.2"),
            (false, true) => mark!("tls: server resumes 1.2"),
        });
        if facts.shown.is_some() {
            cx.mark(mark!("tls: server is shown a certificate"));
        }
    }
    match facts.certificate {
        Some(Which::Expired) => cx.mark(mark!("tls: server with an expired certificate")),
        Some(Which::Stranger) => cx.mark(mark!("tls: server nobody trusts")),
        Some(Which::A) => cx.mark(mark!("tls: server of another name")),
        _ => {}
    }
    if facts.versions == Versions::Tls12 {
        cx.mark(mark!("tls: server of 1.2 alone"));
    }
    if facts.alert.is_some() {
        cx.mark(mark!("tls: alert to a server"));
    }
}

fn mark_alert(cx: &mut Cx, facts: &Facts) {
    let Some(alert) = facts.alert else { return };
    cx.mark(match alert {
        Alert::UnexpectedMessage => mark!("alert: unexpected_message"),
        Alert::BadRecordMac => mark!("alert: bad_record_mac"),
        Alert::RecordOverflow => mark!("alert: record_overflow"),
        Alert::HandshakeFailure => mark!("alert: handshake_failure"),
        Alert::IllegalParameter => mark!("alert: illegal_parameter"),
        Alert::UnknownCA => mark!("alert: unknown_ca"),
        Alert::DecodeError => mark!("alert: decode_error"),
        Alert::DecryptError => mark!("alert: decrypt_error"),
        Alert::ProtocolVersion => mark!("alert: protocol_version"),
        Alert::CertificateRequired => mark!("alert: certificate_required"),
        Alert::NoApplicationProtocol => mark!("alert: no_application_protocol"),
        _ => mark!("alert: another"),
    });
}

fn mark_trouble(cx: &mut Cx, facts: &Facts) {
    match facts.damaged {
        Some((_, Damage::Header)) => cx.mark(mark!("tls trouble: damaged header")),
        Some((_, Damage::Clear)) => cx.mark(mark!("tls trouble: damaged in the clear")),
        Some((_, Damage::Sealed)) => cx.mark(mark!("tls trouble: damaged record")),
        None => {}
    }
    cx.mark(match facts.trouble {
        Trouble::None | Trouble::Flips(..) => return,
        Trouble::Garbage(_) => mark!("tls trouble: garbage"),
        Trouble::Cuts(..) => mark!("tls trouble: cut"),
        Trouble::Stalls(..) => mark!("tls trouble: stalls"),
        Trouble::Mute => mark!("tls trouble: no close_notify"),
        Trouble::More => mark!("tls trouble: more behind close_notify"),
    });
}

//! Marks of TLS: versions, resumption, alerts, failures, and what went wrong on purpose.

use crate::cx::Cx;
use crate::layer::{Damage, Facts, Refused, Trouble};
use crate::oracle::Oracle;
use crate::site;
use crate::tls::{Versions, Which};
use rustls::AlertDescription as Alert;
use tidegate_core::stats::Counters;
use tidegate_core::tls::TlsFailure;

/// Marks what became of all connections with TLS.
pub(super) fn mark_all(cx: &mut Cx, oracle: &Oracle, counters: &Counters) {
    for facts in oracle.fronts.iter().filter_map(|front| front.facts()) {
        mark_client(cx, &facts);
        mark_alert(cx, &facts);
        mark_trouble(cx, &facts);
    }
    for facts in oracle.backs.iter().filter_map(|back| back.facts()) {
        mark_server(cx, &facts);
        mark_trouble(cx, &facts);
    }
    for (failure, _) in
        TlsFailure::ALL.into_iter().zip(counters.tls_failures).filter(|(_, n)| *n > 0)
    {
        cx.mark(match failure {
            TlsFailure::NotTls => site!("tls failure: not_tls"),
            TlsFailure::Incompatible => site!("tls failure: incompatible"),
            TlsFailure::Certificate => site!("tls failure: certificate"),
            TlsFailure::Alert => site!("tls failure: alert"),
            TlsFailure::Protocol => site!("tls failure: protocol"),
            TlsFailure::TimedOut => site!("tls failure: timed_out"),
            TlsFailure::Closed => site!("tls failure: closed"),
        });
    }
}

fn mark_client(cx: &mut Cx, facts: &Facts) {
    if facts.finished_at.is_some() {
        cx.mark(match (facts.is_13, facts.is_resumed) {
            (true, false) => site!("tls: client by 1.3"),
            (true, true) => site!("tls: client resumes 1.3"),
            (false, false) => site!("tls: client by 1.2"),
            (false, true) => site!("tls: client resumes 1.2"),
        });
        if facts.certificate == Some(Which::Client) {
            cx.mark(site!("tls: client may show a certificate"));
        }
        if facts.sni.is_none() {
            cx.mark(site!("tls: client names no host"));
        }
    }
    if facts.refused == Some(Refused::Certificate) {
        cx.mark(site!("tls: client refuses the certificate"));
    }
    if facts.has_odd_alpn {
        cx.mark(site!("tls: client of another protocol"));
    }
    if facts.notified_at.is_some() {
        cx.mark(site!("tls: close_notify to a client"));
    }
    if facts.said_at.is_some() {
        cx.mark(site!("tls: close_notify of a client"));
    }
}

fn mark_server(cx: &mut Cx, facts: &Facts) {
    if facts.is_complete {
        cx.mark(match (facts.is_13, facts.is_resumed) {
            (true, false) => site!("tls: server by 1.3"),
            (true, true) => site!("tls: server resumes 1.3"),
            (false, false) => site!("tls: server by 1.2"),
            (false, true) => site!("tls: server resumes 1.2"),
        });
        if facts.shown.is_some() {
            cx.mark(site!("tls: server is shown a certificate"));
        }
    }
    match facts.certificate {
        Some(Which::Expired) => cx.mark(site!("tls: server with an expired certificate")),
        Some(Which::Stranger) => cx.mark(site!("tls: server nobody trusts")),
        Some(Which::A) => cx.mark(site!("tls: server of another name")),
        _ => {}
    }
    if facts.versions == Versions::Tls12 {
        cx.mark(site!("tls: server of 1.2 alone"));
    }
    if facts.alert.is_some() {
        cx.mark(site!("tls: alert to a server"));
    }
}

fn mark_alert(cx: &mut Cx, facts: &Facts) {
    let Some(alert) = facts.alert else { return };
    cx.mark(match alert {
        Alert::UnexpectedMessage => site!("alert: unexpected_message"),
        Alert::BadRecordMac => site!("alert: bad_record_mac"),
        Alert::RecordOverflow => site!("alert: record_overflow"),
        Alert::HandshakeFailure => site!("alert: handshake_failure"),
        Alert::IllegalParameter => site!("alert: illegal_parameter"),
        Alert::UnknownCA => site!("alert: unknown_ca"),
        Alert::DecodeError => site!("alert: decode_error"),
        Alert::DecryptError => site!("alert: decrypt_error"),
        Alert::ProtocolVersion => site!("alert: protocol_version"),
        Alert::CertificateRequired => site!("alert: certificate_required"),
        Alert::NoApplicationProtocol => site!("alert: no_application_protocol"),
        _ => site!("alert: another"),
    });
}

fn mark_trouble(cx: &mut Cx, facts: &Facts) {
    match facts.damaged {
        Some((_, Damage::Header)) => cx.mark(site!("tls trouble: damaged header")),
        Some((_, Damage::Clear)) => cx.mark(site!("tls trouble: damaged in the clear")),
        Some((_, Damage::Sealed)) => cx.mark(site!("tls trouble: damaged record")),
        None => {}
    }
    cx.mark(match facts.trouble {
        Trouble::None | Trouble::Flips(..) => return,
        Trouble::Garbage(_) => site!("tls trouble: garbage"),
        Trouble::Cuts(..) => site!("tls trouble: cut"),
        Trouble::Stalls(..) => site!("tls trouble: stalls"),
        Trouble::Mute => site!("tls trouble: no close_notify"),
        Trouble::More => site!("tls trouble: more behind close_notify"),
    });
}

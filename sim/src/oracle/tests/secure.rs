//! Checkers of the group *TLS*.

use super::*;
use crate::kernel::client_address;
use crate::layer::{Damage, Facts, Refused, Trouble};
use crate::oracle::truth::ListenerTls;
use crate::oracle::{handshakes, tls};
use crate::tls::{ClientAuth, Versions, Which};
use rustls::AlertDescription;
use std::cell::RefCell;
use std::rc::Rc;
use tidegate_core::effect::Close;
use tidegate_core::stats::Counters;
use tidegate_core::tls::TlsFailure;

const SETTINGS: ListenerTls = ListenerTls {
    certificates: &[Which::A, Which::B],
    versions: Versions::Both,
    auth: ClientAuth::None,
    generation: 0,
};

fn done(facts: Facts) -> Facts {
    Facts {
        is_complete: true,
        finished_at: Some(10),
        is_13: true,
        tickets: 2,
        sni: Some(0),
        shown: Some(Which::A),
        ..facts
    }
}

/// A lab whose listener has TLS, with one client there that knows `facts`.
pub(super) fn lab(facts: Facts) -> (Lab, u32) {
    let mut lab = Lab::new();
    let tls = TlsTruth { listeners: vec![Some(SETTINGS)], clusters: vec![Some(0)] };
    lab.oracle.truth.versions[0].tls = tls;
    let front = lab.front();
    lab.oracle.fronts[front as usize].tls = Some(Rc::new(RefCell::new(facts)));
    lab.oracle.read_from_client(front, 0);
    if facts.finished_at.is_some() {
        lab.oracle.fronts[front as usize].secured_at = Some(lab.cx.now);
    }
    (lab, front)
}

/// What is said when the client of a lab comes to know `now`.
fn learns(before: Facts, now: Facts) -> Verdict {
    let (lab, front) = lab(before);
    let ep = lab.oracle.fronts[front as usize].ep;
    tls::emitted(&lab.oracle, &lab.net, ep, &before, &now)
}

// TLS-1: the certificate is the one of the name asked for, by the configuration in force.
#[test]
fn tls_fires_on_another_certificate() {
    let now = done(Facts::new());
    assert_eq!(learns(Facts::new(), now), Ok(()));
    let old = Facts { shown: Some(Which::ASecond), ..now };
    breaks(learns(Facts::new(), old), "TLS", "TLS-1");
    let other = Facts { sni: Some(1), ..now };
    breaks(learns(Facts::new(), other), "TLS", "TLS-1");
    // Resumed sessions show none, and an unknown name gets the default.
    assert_eq!(learns(Facts::new(), Facts { is_resumed: true, ..other }), Ok(()));
    let unknown = Facts { sni: Some(crate::wire::UNKNOWN_HOST), ..now };
    assert_eq!(learns(Facts::new(), unknown), Ok(()));
}

// TLS-1: what was offered is resumed, if the version is the same.
#[test]
fn tls_fires_on_a_session_that_is_not_resumed() {
    let offered = Facts { offered: Some(true), ..done(Facts::new()) };
    breaks(learns(Facts::new(), offered), "TLS", "TLS-1");
    assert_eq!(learns(Facts::new(), Facts { is_resumed: true, ..offered }), Ok(()));
    assert_eq!(learns(Facts::new(), Facts { is_13: false, ..offered }), Ok(()));
}

// TLS-2: alerts are the right ones, and nobody without fault gets one.
#[test]
fn tls_fires_on_alerts_that_are_not_due() {
    let alert = |facts: Facts, alert| learns(facts, Facts { alert: Some(alert), ..facts });
    let well = Facts::new();
    breaks(alert(well, AlertDescription::InternalError), "TLS", "TLS-2");
    let odd = Facts { has_odd_alpn: true, ..well };
    assert_eq!(alert(odd, AlertDescription::NoApplicationProtocol), Ok(()));
    breaks(alert(odd, AlertDescription::HandshakeFailure), "TLS", "TLS-2");
    // Damage excuses nothing before it was read.
    let damaged = Facts { damaged: Some((0, Damage::Sealed)), ..well };
    breaks(alert(damaged, AlertDescription::BadRecordMac), "TLS", "TLS-2");
}

// TLS-1, TLS-4: peers can open what the proxy emits.
#[test]
fn tls_fires_on_what_cannot_be_opened() {
    let refused = |refused| Facts { refused: Some(refused), sni: Some(0), ..Facts::new() };
    breaks(learns(Facts::new(), refused(Refused::Undecryptable)), "TLS", "TLS-1");
    breaks(learns(Facts::new(), refused(Refused::Certificate)), "TLS", "TLS-1");
    let unknown = Facts { sni: Some(crate::wire::UNKNOWN_HOST), ..refused(Refused::Certificate) };
    assert_eq!(learns(Facts::new(), unknown), Ok(()), "a strict client refuses the default");
    let (mut lab, _) = lab(Facts::new());
    let back = lab.back(0);
    let ep = lab.oracle.backs[back as usize].ep;
    let verdict = tls::emitted(&lab.oracle, &lab.net, ep, &Facts::new(), &refused(Refused::NotTls));
    breaks(verdict, "TLS", "TLS-4");
}

// TLS-3: every orderly end is said.
#[test]
fn tls_fires_on_an_end_without_close_notify() {
    let ends = |facts: Facts, how| {
        let (lab, front) = lab(facts);
        tls::front_ended(&lab.oracle, &lab.net, front, how)
    };
    let now = done(Facts::new());
    breaks(ends(now, Close::Normal), "TLS", "TLS-3");
    assert_eq!(ends(now, Close::Reset), Ok(()));
    assert_eq!(ends(Facts { notified_at: Some(5), ..now }, Close::Normal), Ok(()));
    assert_eq!(ends(Facts::new(), Close::Normal), Ok(()), "nobody was served");
    let behind = Facts { behind_notify: 3, notified_at: Some(5), ..now };
    breaks(learns(now, behind), "TLS", "TLS-3");
}

// TLS-3, RES-2: a body whose end was not said is not shown as complete.
#[test]
fn tls_fires_on_a_truncated_body_shown_as_complete() {
    let mut lab = Lab::new();
    let unsaid = Plan { is_by_close: true, is_unsaid: true, ..plan(5, BackFault::None) };
    let (front, id, _) = lab.relayed(ask(0, Method::Get), unsaid);
    let head = Lab::response(id, 0, "Transfer-Encoding: chunked");
    lab.emit_down(front, head.as_bytes());
    let body = crate::body::BodyKey::new(id, crate::body::Direction::Down(0));
    lab.emit_down(front, &[b"5\r\n", body.at(0, 5), b"\r\n"].concat());
    lab.clean();
    lab.emit_down(front, b"0\r\n\r\n");
    lab.fires("TLS", "TLS-3");
}

/// What is said when a request for `host` goes to a server that knows `server`.
fn goes(client: Facts, host: u16, server: Option<Facts>) -> Verdict {
    let (mut lab, front) = lab(client);
    let id = lab.asked(front, Ask { host, ..ask(0, Method::Get) });
    lab.oracle.truth.versions[0].routes = (0..3).map(|host| Way::of_host(host, 0)).collect();
    let back = lab.back(0);
    lab.oracle.backs[back as usize].tls = server.map(|facts| Rc::new(RefCell::new(facts)));
    tls::request(&lab.oracle, back, &lab.oracle.rows[id as usize])
}

// TLS-4, BACK-6: requests go to servers that are who they should be, by TLS, as configured now.
#[test]
fn tls_fires_on_a_request_to_the_wrong_server() {
    let client = done(Facts::new());
    let server = Facts { certificate: Some(Which::Backend), is_complete: true, ..Facts::new() };
    assert_eq!(goes(client, 0, Some(server)), Ok(()));
    breaks(goes(client, 0, None), "TLS", "TLS-4");
    let expired = Facts { certificate: Some(Which::Expired), ..server };
    breaks(goes(client, 0, Some(expired)), "TLS", "TLS-4");
    let other = Facts { shown: Some(Which::Client), ..server };
    breaks(goes(client, 0, Some(other)), "TLS", "BACK-6");
}

// ROUTE-5: what the certificate is not valid for is not served; who names nobody may ask for all.
#[test]
fn tls_fires_on_a_host_that_the_certificate_has_not() {
    let server = Facts { certificate: Some(Which::Backend), is_complete: true, ..Facts::new() };
    let client = done(Facts::new());
    breaks(goes(client, 1, Some(server)), "TLS", "ROUTE-5");
    assert_eq!(goes(client, 2, Some(server)), Ok(()), "by the wildcard");
    assert_eq!(goes(Facts { sni: None, ..client }, 1, Some(server)), Ok(()));
    assert!(tls::covers(&[Which::A], Some(2), 0) && !tls::covers(&[Which::A], Some(2), 1));
    let exact = tls::chosen(&[Which::A, Which::B], Some(2));
    assert_eq!(exact, Which::B, "the very name comes before a wildcard");
    let deep = Some(crate::wire::UNKNOWN_HOST);
    assert_eq!(tls::chosen(&[Which::B, Which::A], deep), Which::B, "a wildcard is one label");
    let (mut lab, front) = lab(client);
    let id = lab.asked(front, ask(0, Method::Get));
    lab.oracle.rows[id as usize].ask.host = 1;
    let row = &lab.oracle.rows[id as usize];
    breaks(tls::not_found(&lab.oracle, row, 404), "TLS", "ROUTE-5");
    assert_eq!(tls::not_found(&lab.oracle, row, 421), Ok(()));
}

// TLS-1: a client that must be refused is not served, and one that is served gets its ticket.
#[test]
fn tls_fires_on_clients_that_must_be_refused_and_on_missing_tickets() {
    let server = Facts { certificate: Some(Which::Backend), is_complete: true, ..Facts::new() };
    let odd = Facts { has_odd_alpn: true, ..done(Facts::new()) };
    breaks(goes(odd, 0, Some(server)), "TLS", "TLS-1");
    let (lab, front) = lab(Facts { tickets: 0, ..done(Facts::new()) });
    breaks(tls::tickets(front, &lab.oracle.fronts[front as usize]), "TLS", "TLS-1");
}

// TLS-2: a failure is told as what it was.
#[test]
fn tls_fires_on_failures_told_as_something_else() {
    let told = |facts: Facts, failure| {
        let (mut lab, _) = lab(facts);
        handshakes::failed(&mut lab.oracle, Some(client_address(0, 0)), failure)
    };
    let garbage = Facts { trouble: Trouble::Garbage(9), ..Facts::new() };
    assert_eq!(told(garbage, TlsFailure::Protocol), Ok(()));
    breaks(told(garbage, TlsFailure::Certificate), "TLS", "TLS-2");
    breaks(told(Facts::new(), TlsFailure::TimedOut), "TLS", "TLS-2");
    // The client knows by an alert, too.
    let odd = Facts { has_odd_alpn: true, ..Facts::new() };
    breaks(told(odd, TlsFailure::Incompatible), "TLS", "TLS-2");
    let alert = Some(AlertDescription::NoApplicationProtocol);
    assert_eq!(told(Facts { alert, ..odd }, TlsFailure::Incompatible), Ok(()));
}

// RUN-5: handshakes and failures are counted, each of them once.
#[test]
fn tls_fires_on_wrong_counts() {
    let (mut lab, _) = lab(done(Facts::new()));
    let right = Counters { handshakes: 1, ..Counters::default() };
    assert_eq!(handshakes::counted(&lab.oracle, &right), Ok(()));
    breaks(handshakes::counted(&lab.oracle, &Counters::default()), "TLS", "RUN-5");
    let resumed = Counters { handshakes_resumed: 1, ..right };
    breaks(handshakes::counted(&lab.oracle, &resumed), "TLS", "RUN-5");
    lab.oracle.handshakes_failed[0] = 1;
    breaks(handshakes::counted(&lab.oracle, &right), "TLS", "RUN-5");
}

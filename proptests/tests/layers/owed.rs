//! Records that a socket has not taken yet are not sent, whatever was sealed.

use super::support::{rig_of, simple_config};
use super::{OK, check, kept_by_tls, text};
use std::sync::Arc;
use tidegate_core::config::Settings;
use tidegate_core::id::SocketId;
use tidegate_core::input::SocketError;
use tidegate_core::tls::TlsFailure;
use tidegate_proptests::memory::Rig;
use tidegate_proptests::secure::{Secure, SecurePeer};
use tidegate_sim::tls::{ClientAuth, ClientOptions, Which};

const PUT: &[u8] = b"PUT / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello";

/// A client, and a server behind it that has answered once and now takes ten bytes.
fn kept(secure: &mut Secure) -> (Rig, SocketId, SecurePeer) {
    let (mut rig, client, back) = kept_by_tls(secure);
    assert_eq!(rig.proxy.gauges().backend_idle, 1);
    rig.kernel.wire(back.id).room = 10;
    (rig, client, back)
}

// BACK-7: a connection that was not sent the request whole is not kept, though the answer came.
#[test]
fn a_connection_that_owes_records_is_not_kept() {
    let mut secure = Secure::default();
    let (mut rig, client, mut back) = kept(&mut secure);
    secure.lend(|| rig.feed(client, PUT));
    back.say(&mut secure, &mut rig, OK).expect("TLS");
    assert_eq!(text(&rig, client).matches("200").count(), 2, "both were answered");
    assert!(!rig.kernel.is_open(back.id));
    assert_eq!(rig.proxy.gauges().backend_idle, 0);
    check(&rig);
}

// RES-6: what is left of a request that was given up does not go out with the goodbye.
#[test]
fn a_goodbye_drags_no_records_along() {
    let mut secure = Secure::default();
    let (mut rig, client, back) = kept(&mut secure);
    secure.lend(|| rig.feed(client, PUT));
    let before = rig.kernel.wire(back.id).from_proxy.len();
    rig.kernel.is_observed = true;
    rig.kernel.wire(back.id).room = usize::MAX;
    secure.lend(|| rig.fail(client, SocketError::Reset));
    let closed = rig.kernel.closed.iter().find(|(id, _)| *id == back.id).expect("it was closed");
    assert_eq!(closed.1.from_proxy.len(), before);
    check(&rig);
}

// TLS-2: a client that speaks none of our protocols is counted as incompatible.
#[test]
fn a_client_of_other_protocols_is_incompatible() {
    let mut secure = Secure::default();
    let mut config = simple_config();
    let shown: [(Which, &[&str]); 1] = [(Which::A, &["a.example"])];
    config.listeners[0].tls = Some(secure.server(&shown, ClientAuth::None));
    let mut rig = rig_of(Settings::default(), config);
    let mut settings = (*secure.client(ClientOptions::default())).clone();
    settings.alpn_protocols = vec![b"odd/9".to_vec()];
    let id = rig.connect();
    let mut client = secure.connect(&Arc::new(settings), "a.example", id);
    let refused = client.run(&mut secure, &mut rig).expect_err("an alert");
    let alert = rustls::AlertDescription::NoApplicationProtocol;
    assert_eq!(refused, rustls::Error::AlertReceived(alert));
    let failures = rig.proxy.counters().tls_failures;
    assert_eq!(failures[TlsFailure::Incompatible as usize], 1, "{failures:?}");
    check(&rig);
}

//! What is spoken on a listener: protocol, PROXY header, and where TCP leads.

use super::listener::host_pattern;
use super::section::{Section, in_order};
use super::top::{networks, set};
use super::{Cx, Value};
use crate::diagnostic::Code;
use tidegate_core::config::{Forward, HostPattern, Listener, Protocol};
use tidegate_core::proxy_protocol::Version;

#[derive(Copy, Clone, PartialEq, Eq)]
enum Word {
    Http,
    Https,
    Tcp,
}

/// The protocol that `section` asks for, and where a TCP one leads.
pub(super) fn protocol(cx: &mut Cx<'_>, section: &Section<'_>) -> Protocol {
    let words = [("http", Word::Http), ("https", Word::Https), ("tcp", Word::Tcp)];
    let value = section.get("protocol");
    let word = value.and_then(|value| cx.choice(value, &words));
    match (word, value, section.key_span("tls")) {
        (Some(Word::Https), Some(value), None) => {
            let message = format!("{} speaks https and has no certificate", section.title);
            let hint = "add tls = { cert = \"site.pem\", key = \"site.key\" }";
            cx.error(Code::MissingKey, value.span(), message, hint);
        }
        (Some(Word::Http), Some(value), Some(tls)) => {
            let message = format!("{} speaks http, and has a certificate for https", section.title);
            let hint = "leave `protocol` away, or write \"https\"";
            cx.error(Code::Conflict, value.span(), message, hint);
            if let Some(diagnostic) = cx.found.last_mut() {
                diagnostic.other = Some((tls, "\"tls\" is here".to_owned()));
            }
        }
        _ => {}
    }
    if word == Some(Word::Tcp) {
        return Protocol::Tcp(forward(cx, section));
    }
    for key in ["to", "sni"] {
        // Of a misspelt protocol nobody knows what it allows.
        if let Some(at) = section.key_span(key).filter(|_| value.is_none() || word.is_some()) {
            let message = format!("`{key}` is for listeners that speak tcp");
            let hint = "add protocol = \"tcp\"; http is led by [[route]]";
            cx.error(Code::Conflict, at, message, hint);
        }
    }
    Protocol::Http
}

fn forward(cx: &mut Cx<'_>, section: &Section<'_>) -> Forward {
    let mut forward = Forward::default();
    if let Some(value) = section.get("to") {
        forward.to = cx.string(value).map(Into::into);
    }
    if let Some(value) = section.get("sni") {
        forward.sni = by_name(cx, value).unwrap_or_default();
    }
    forward
}

/// Clusters by the name that a ClientHello asks for.
fn by_name(cx: &mut Cx<'_>, value: &Value<'_>) -> Option<Vec<(HostPattern, Box<str>)>> {
    let names = in_order(cx.table(value)?).into_iter();
    Some(
        names
            .filter_map(|(name, _, to)| Some((host_pattern(name), cx.string(to)?.into())))
            .collect(),
    )
}

/// The PROXY header in front of each connection, and whose is believed.
pub(super) fn proxy_header(cx: &mut Cx<'_>, section: &Section<'_>, listener: &mut Listener) {
    if let Some(value) = section.get("proxy_protocol") {
        set(&mut listener.expect_proxy, cx.choice(value, &[("off", false), ("expect", true)]));
    }
    if let Some(value) = section.get("proxy_protocol_from") {
        listener.proxy_from = networks(cx, value);
    }
}

/// The PROXY header that is sent to servers.
pub(super) fn send_proxy(cx: &mut Cx<'_>, value: &Value<'_>) -> Option<Option<Version>> {
    cx.choice(value, &[("off", None), ("v1", Some(Version::V1)), ("v2", Some(Version::V2))])
}

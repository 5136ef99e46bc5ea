//! Group *headers*: end-to-end fields keep order and value save declared edits; hop-by-hop
//! fields and those that Connection names never cross.
//!
//! - REQ-4: Host is the host that the request names, be it by its target.
//! - REQ-5: end-to-end fields keep order and value; hop-by-hop fields, and those that
//!   Connection names, never cross.
//! - REQ-6: X-Forwarded-For is the client, X-Forwarded-Port the port that it reached, the other
//!   declared fields are there, what strangers say is not, and no request id comes twice.
//! - REQ-7: Expect is forwarded exactly where it was sent.
//! - RES-7: the proxy's own answers have a Content-Length.
//! - TUN-3: an upgrade keeps the fields that ask for it, and that agree to it.

use super::ledger::{Front, Row};
use super::truth::covers;
use super::{Group, Oracle, Verdict, breach, refdate, routes};
use crate::gate::listener_socket;
use crate::refhttp::Head;
use crate::wire;
use std::net::IpAddr;

const GROUP: Group = Group::Headers;

/// A request's head on its way to a backend.
pub fn request(oracle: &Oracle, row: &Row, head: &Head) -> Verdict {
    let id = row.ask.id;
    let what = || format!("request {id}");
    no_hops(head, row.ask.upgrade, &what)?;
    if row.ask.upgrade {
        upgrade(head, &what)?;
        if head.only("sec-websocket-key") != Some(wire::WEBSOCKET_KEY.as_bytes()) {
            return breach(GROUP, "REQ-5", format!("request {id}: no Sec-WebSocket-Key"));
        }
    }
    if row.ask.flaw.is_none() {
        if routes::edits(oracle, row) == [0] {
            same(head, "x-e-", &what, |each| wire::request_fields(id, each))?;
            same(head, "x-edit", &what, |_| {})?;
        }
        routes::set_fields(oracle, row, head)?;
    }
    let host = wire::host_name(row.ask.host);
    let is_host = |value: &[u8]| {
        let value = value.strip_suffix(b":8080").unwrap_or(value);
        value.eq_ignore_ascii_case(host.as_bytes())
    };
    if !head.only("host").is_some_and(is_host) {
        return breach(GROUP, "REQ-4", format!("request {id}: Host is not {host}"));
    }
    let accept = row.ask.accept().map(|(text, _)| text.as_bytes());
    if head.all("accept").next() != accept {
        return breach(GROUP, "REQ-5", format!("request {id}: Accept lost or changed"));
    }
    believed(oracle, row, head)?;
    let wants = row.ask.expects && row.ask.minor == 1;
    if head.lists("expect", "100-continue") != wants {
        return breach(GROUP, "REQ-7", format!("request {id}: Expect lost or invented"));
    }
    Ok(())
}

/// What the proxy says of the client, and what of the client's own words it passes on: all that a
/// trusted proxy says, nothing of what others say (REQ-6).
fn believed(oracle: &Oracle, row: &Row, head: &Head) -> Verdict {
    let id = row.ask.id;
    let ip = oracle.fronts[row.front as usize].client_ip();
    let from = row.first_read_at.unwrap_or(oracle.now);
    let trusts =
        oracle.truth.in_force(from, oracle.now).iter().map(|version| {
            version.config.trusted_proxies.iter().any(|network| covers(network, ip))
        });
    let via = format!("1.{} ", row.ask.said_minor());
    if !head.only("via").is_some_and(|value| value.starts_with(via.as_bytes())) {
        let got = head.all("via").map(String::from_utf8_lossy).collect::<Vec<_>>();
        return breach(GROUP, "REQ-6", format!("request {id}: Via is {got:?}, not {via:?}"));
    }
    let mut trusts: Vec<bool> = trusts.collect();
    trusts.dedup();
    let is_right = |is_trusted: bool| {
        tells(oracle, row, head, is_trusted) && forwarded(oracle, row, head, is_trusted)
    };
    if !trusts.iter().any(|&is_trusted| is_right(is_trusted)) {
        let is_ours = |name: &[u8]| {
            let name = name.to_ascii_lowercase();
            name.starts_with(b"x-") || name == b"forwarded"
        };
        let got: Vec<_> = head
            .fields()
            .filter(|(name, _)| is_ours(name))
            .map(|(n, v)| (String::from_utf8_lossy(n), String::from_utf8_lossy(v)))
            .collect();
        let forwards = (row.ask.forwards, row.ask.forwards_besides);
        let message =
            format!("request {id} of {ip}, trusted: {trusts:?}, forwards: {forwards:?}: {got:?}");
        return breach(GROUP, "REQ-6", message);
    }
    Ok(())
}

/// Whether the X- fields are right for a client that is trusted or not.
fn tells(oracle: &Oracle, row: &Row, head: &Head, is_trusted: bool) -> bool {
    let front = &oracle.fronts[row.front as usize];
    let ip = front.client_ip();
    let is = |name: &str, value: &[u8]| head.only(name) == Some(value);
    let [chain, proto, host, request] = &wire::forwarded(row.ask.id);
    let [_, port] = &wire::forwarded_besides(row.ask.id);
    let own_port = listener_socket(front.listener).port().to_string();
    let is_believed = is_trusted && row.ask.forwards_besides;
    let port = if is_believed { &port.1 } else { &own_port };
    if !is("x-forwarded-port", port.as_bytes()) {
        return false;
    }
    if is_trusted && row.ask.forwards {
        return is("x-forwarded-for", format!("{}, {ip}", chain.1).as_bytes())
            && is("x-forwarded-proto", proto.1.as_bytes())
            && is("x-forwarded-host", host.1.as_bytes())
            && is("x-request-id", request.1.as_bytes());
    }
    let own_id = head.only("x-request-id");
    let authority = match row.ask.flaw {
        Some(_) => wire::host_name(row.ask.host),
        None => wire::target(&row.ask).0,
    };
    is("x-forwarded-for", ip.to_string().as_bytes())
        && is("x-forwarded-proto", scheme(front).as_bytes())
        && head
            .only("x-forwarded-host")
            .is_some_and(|value| value.eq_ignore_ascii_case(authority.as_bytes()))
        && own_id.is_some_and(|value| value != request.1.as_bytes() && !value.is_empty())
}

/// Whether `Forwarded` is there as often as it should be: what a trusted proxy says of it, and
/// behind that, if it is configured, what the proxy itself knows (RFC 7239 4).
fn forwarded(oracle: &Oracle, row: &Row, head: &Head, is_trusted: bool) -> bool {
    let front = &oracle.fronts[row.front as usize];
    let [theirs, _] = &wire::forwarded_besides(row.ask.id);
    let mut values = head.all("forwarded");
    if is_trusted && row.ask.forwards_besides && values.next() != Some(theirs.1.as_bytes()) {
        return false;
    }
    if oracle.truth.versions[0].config.forwarded {
        let begin = match front.client_ip() {
            IpAddr::V4(ip) => format!("for={ip};"),
            IpAddr::V6(ip) => format!("for=\"[{ip}]\";"),
        };
        let end = format!(";proto={}", scheme(front));
        let is_ours =
            |value: &[u8]| value.starts_with(begin.as_bytes()) && value.ends_with(end.as_bytes());
        if !values.next().is_some_and(is_ours) {
            return false;
        }
    }
    values.next().is_none()
}

/// How a client reached the proxy.
fn scheme(front: &Front) -> &'static str {
    if front.tls.is_some() { "https" } else { "http" }
}

/// A backend's final response on its way to the client.
pub fn response(oracle: &Oracle, row: &Row, serial: u32, head: &Head) -> Verdict {
    let id = row.ask.id;
    let what = || format!("response {id}.{serial}");
    no_hops(head, head.status() == 101, &what)?;
    if head.status() == 101 {
        upgrade(head, &what)?;
    }
    let edits = routes::edits(oracle, row);
    let mut verdict = Ok(());
    for removes in [false, true] {
        if !edits.iter().any(|&edit| wire::removes(edit) == removes) {
            continue;
        }
        verdict = same(head, "x-s-", &what, |each| {
            wire::response_fields(id, serial, |name, value| {
                if !removes || name != wire::REMOVED_FIELD {
                    each(name, value);
                }
            });
        });
        if verdict.is_ok() {
            break;
        }
    }
    verdict
}

/// An interim response says nothing of the connection, of a body, or of who will serve next.
pub fn interim(head: &Head) -> Verdict {
    for name in ["connection", "content-length", "transfer-encoding", "set-cookie"] {
        if head.all(name).next().is_some() {
            let status = head.status();
            return breach(GROUP, "REQ-7", format!("an interim {status} carries {name}"));
        }
    }
    Ok(())
}

/// One of the proxy's own answers.
pub fn own_answer(oracle: &Oracle, row: &Row, head: &Head) -> Verdict {
    date(oracle, row, head)?;
    no_hops(head, false, &|| "an own answer".to_string())?;
    if head.status() == 429 && head.only("retry-after").is_none() {
        return super::limits::untold(row);
    }
    if head.status() != 204 && head.all("content-length").next().is_none() {
        let text = String::from_utf8_lossy(head.bytes()).into_owned();
        return breach(GROUP, "RES-7", format!("an own answer without Content-Length: {text:?}"));
    }
    Ok(())
}

/// The date is what the wall clock has shown since the request came: what it shows may jump, and
/// nothing but dates may care (SES-3).
fn date(oracle: &Oracle, row: &Row, head: &Head) -> Verdict {
    let shown = head.only("date").and_then(refdate::seconds);
    let from = row.first_read_at.unwrap_or(oracle.now);
    if !shown.is_some_and(|shown| oracle.truth.showed(shown, from, oracle.now)) {
        let text = head.only("date").map(String::from_utf8_lossy);
        let id = row.ask.id;
        return breach(GROUP, "RES-7", format!("the answer to request {id} is of {text:?}"));
    }
    Ok(())
}

/// The fields that ask for WebSocket, or agree to it, and nothing else (TUN-3).
fn upgrade(head: &Head, what: &impl Fn() -> String) -> Verdict {
    let is_right = head.only("upgrade").is_some_and(|v| v.eq_ignore_ascii_case(b"websocket"))
        && head.lists("connection", "upgrade");
    if !is_right {
        return breach(GROUP, "TUN-3", format!("{} lost its Upgrade", what()));
    }
    Ok(())
}

fn no_hops(head: &Head, upgrades: bool, what: &impl Fn() -> String) -> Verdict {
    for name in wire::FORBIDDEN {
        if upgrades && *name == "upgrade" {
            continue;
        }
        if head.all(name).next().is_some() {
            return breach(GROUP, "REQ-5", format!("{} carries {name}", what()));
        }
    }
    Ok(())
}

/// The fields that begin with `prefix` are exactly those that `expected` lists, in order.
fn same(
    head: &Head,
    prefix: &str,
    what: &impl Fn() -> String,
    expected: impl FnOnce(&mut dyn FnMut(&str, &[u8])),
) -> Verdict {
    let is_ours = |name: &[u8]| {
        name.len() >= prefix.len() && name[..prefix.len()].eq_ignore_ascii_case(prefix.as_bytes())
    };
    let mut seen = head.fields().filter(|(name, _)| is_ours(name));
    let mut lost = None;
    expected(&mut |name, value| {
        let is_next =
            seen.next().is_some_and(|(n, v)| n.eq_ignore_ascii_case(name.as_bytes()) && v == value);
        if !is_next && lost.is_none() {
            lost = Some(name.to_string());
        }
    });
    if let Some(name) = lost {
        return breach(GROUP, "REQ-5", format!("{}: {name} lost, changed or moved", what()));
    }
    if seen.next().is_some() {
        return breach(GROUP, "REQ-5", format!("{}: a field was invented", what()));
    }
    Ok(())
}

/// A second access record bears the id of another.
pub fn id_again(id: u128) -> Verdict {
    breach(GROUP, "REQ-6", format!("request id {id:x} twice"))
}

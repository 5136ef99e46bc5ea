//! Group *headers*: end-to-end fields keep order and value save declared edits; hop-by-hop
//! fields and those that Connection names never cross.
//!
//! - REQ-4: Host is the host that the request names, be it by its target.
//! - REQ-5: end-to-end fields keep order and value; hop-by-hop fields, and those that
//!   Connection names, never cross.
//! - REQ-6: X-Forwarded-For is the client, the other declared fields are there, and no request
//!   id comes twice.
//! - REQ-7: Expect is forwarded exactly where it was sent.
//! - RES-7: the proxy's own answers have a Content-Length.
//! - ACC-9: a 429 says when to come again.
//! - TUN-3: an upgrade keeps the fields that ask for it, and that agree to it.

use super::ledger::Row;
use super::{Group, Oracle, Verdict, breach};
use crate::refhttp::Head;
use crate::wire;

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
        same(head, "x-e-", &what, |each| wire::request_fields(id, each))?;
    }
    let host = wire::host_name(row.ask.host);
    let is_host = |value: &[u8]| {
        let value = value.strip_suffix(b":8080").unwrap_or(value);
        value.eq_ignore_ascii_case(host.as_bytes())
    };
    if !head.only("host").is_some_and(is_host) {
        return breach(GROUP, "REQ-4", format!("request {id}: Host is not {host}"));
    }
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-request-id", "via"] {
        if head.all(name).next().is_none() {
            return breach(GROUP, "REQ-6", format!("request {id}: no {name}"));
        }
    }
    let front = &oracle.fronts[row.front as usize];
    let client = front.client_ip();
    let config = &oracle.truth.versions[0].config;
    let is_trusted = config.trusted_proxies.iter().any(|network| network.contains(client));
    let is_believed = is_trusted && row.ask.claims();
    let client = match is_believed {
        true => format!("{}, {client}", wire::CLAIMED_CLIENT),
        false => client.to_string(),
    };
    claims(head, is_believed, row, config.forwarded)?;
    if head.only("x-forwarded-for") != Some(client.as_bytes()) {
        let got = head.all("x-forwarded-for").map(String::from_utf8_lossy).collect::<Vec<_>>();
        let message = format!("request {id} of {client}: X-Forwarded-For {got:?}");
        return breach(GROUP, "REQ-6", message);
    }
    let wants = row.ask.expects && row.ask.minor == 1;
    if head.lists("expect", "100-continue") != wants {
        return breach(GROUP, "REQ-7", format!("request {id}: Expect lost or invented"));
    }
    Ok(())
}

/// What a client claims of itself crosses if it is trusted, and only then (REQ-6).
fn claims(head: &Head, is_believed: bool, row: &Row, adds_forwarded: bool) -> Verdict {
    let id = row.ask.id;
    let claimed = wire::claimed_id(id);
    let is_claimed = head.only("x-request-id") == Some(claimed.as_bytes());
    let is_gopher = head.only("x-forwarded-proto") == Some(b"gopher");
    if is_claimed != is_believed || is_gopher != is_believed {
        let message = format!("request {id}: believed {is_claimed} {is_gopher}, not {is_believed}");
        return breach(GROUP, "REQ-6", message);
    }
    let forwarded = head.all("forwarded").count();
    let expected = usize::from(is_believed) + usize::from(adds_forwarded);
    if forwarded != expected {
        return breach(GROUP, "REQ-6", format!("request {id}: {forwarded} times Forwarded"));
    }
    Ok(())
}

/// A backend's final response on its way to the client.
pub fn response(row: &Row, serial: u32, head: &Head) -> Verdict {
    let id = row.ask.id;
    let what = || format!("response {id}.{serial}");
    no_hops(head, head.status() == 101, &what)?;
    if head.status() == 101 {
        upgrade(head, &what)?;
    }
    same(head, "x-s-", &what, |each| wire::response_fields(id, serial, each))
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
pub fn own_answer(head: &Head) -> Verdict {
    no_hops(head, false, &|| "an own answer".to_string())?;
    if head.status() == 429 && head.only("retry-after").is_none() {
        return breach(GROUP, "ACC-9", "a 429 without Retry-After".to_string());
    }
    if head.all("content-length").next().is_none() {
        let text = String::from_utf8_lossy(head.bytes()).into_owned();
        return breach(GROUP, "RES-7", format!("an own answer without Content-Length: {text:?}"));
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

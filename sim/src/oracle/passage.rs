//! Group *tunnels*, pass-through: the name in a ClientHello chooses the cluster, and what is none
//! leads nowhere.
//!
//! - TLS-5: connections are led by the name that their ClientHello asks for, undecrypted, and what
//!   is no ClientHello is closed.

use super::ledger::Front;
use super::tunnels::GROUP;
use super::{Oracle, Verdict, breach};
use crate::kernel::Net;
use crate::wire;
use tidegate_core::event::{AccessRecord, Phase, Who};

/// Names that a ClientHello asks for mostly: those of the first hosts.
pub const NAMES_MAX: u64 = 4;
/// Bytes of a stream's beginning by which it is known whose it is, where it begins with a hello:
/// what is random in it lies among them, in however many records.
pub const HELLO_TAG_BYTES: usize = 56;

/// Where a TCP listener leads, by name. It does not change.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Passage {
    /// The clusters of the first host, of the second one, and of others by a wildcard.
    pub names: [Option<usize>; 3],
    /// The cluster of everybody else.
    pub other: Option<usize>,
}

/// What a client's first bytes are.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Hello {
    /// How many they are.
    pub len: u64,
    /// The host whose name they ask for.
    pub name: Option<u16>,
    /// Whether they are a ClientHello, as long as all of them come.
    pub is_good: bool,
}

impl Passage {
    /// The cluster of who asks for `name`, and whether it is by that name.
    pub fn leads(&self, name: Option<u16>) -> (Option<usize>, bool) {
        let named = match name {
            None | Some(wire::UNKNOWN_HOST) => None,
            Some(host) => self.names[usize::from(host).min(2)],
        };
        (named.or(self.other), named.is_some())
    }
}

impl Front {
    /// Whether the proxy has all of the client's hello.
    pub(super) fn is_heard(&self, hello: &Hello) -> bool {
        let before = self.announced.as_ref().map_or(0, |known| known.len);
        self.read >= before + hello.len
    }
}

/// Bytes of tunnel `id` reached the server of `back`.
pub(super) fn linked(oracle: &Oracle, id: u32, back: u32) -> Verdict {
    let front = oracle.tunnels[id as usize].front;
    let at = &oracle.fronts[front as usize];
    let Some((hello, passage)) = at.hello.zip(oracle.truth.passage) else { return Ok(()) };
    if !hello.is_good || !at.is_heard(&hello) {
        let message = format!("connection {front} reached a server, and its hello is {hello:?}");
        return breach(GROUP, "TLS-5", message);
    }
    let server = oracle.backs[back as usize].server;
    let cluster = usize::from(oracle.truth.nature(server).cluster);
    let (wanted, _) = passage.leads(hello.name);
    if wanted != Some(cluster) {
        let name = hello.name.map(wire::host_name);
        let message =
            format!("connection {front} for {name:?} came to cluster {cluster}, not {wanted:?}");
        return breach(GROUP, "TLS-5", message);
    }
    Ok(())
}

/// The access record of the session of `front`.
pub(super) fn recorded(oracle: &Oracle, front: u32, record: &AccessRecord) -> Verdict {
    let at = &oracle.fronts[front as usize];
    let Some((hello, passage)) = at.hello.zip(oracle.truth.passage) else { return Ok(()) };
    let name = hello.name.map(wire::host_name).unwrap_or_default();
    let (leads, _) = passage.leads(hello.name);
    let is_lost = record.ending.who == Who::Proxy && record.ending.phase == Phase::Connect;
    let is_right = hello.is_good
        && record.host.as_bytes() == name.as_bytes()
        && record.cluster.is_some() == leads.is_some()
        && (leads.is_some() || (is_lost && record.attempts == 0));
    if !is_right {
        let message = format!("a record of {hello:?}, which leads to {leads:?}: {record:?}");
        return breach(GROUP, "TLS-5", message);
    }
    Ok(())
}

/// Whether the first bytes of `front` may be refused for what they are.
pub(super) fn may_refuse(front: &Front) -> bool {
    front.hello.is_none_or(|hello| !hello.is_good)
}

/// Whether the connection of `front`, which was closed unserved, had not told yet where it leads,
/// or never would.
pub(super) fn may_close(oracle: &Oracle, front: &Front) -> bool {
    let Some(hello) = front.hello else { return false };
    if !hello.is_good {
        return true;
    }
    let (Some(from), Some((closed, _))) = (front.accepted_at, front.closed) else { return false };
    let (low, _) = oracle.truth.span(from, closed, |t| t.tls_handshake);
    !front.is_heard(&hello) && closed >= from.saturating_add(low)
}

/// At the end: what is no ClientHello was closed.
pub(super) fn turned_away(oracle: &Oracle, net: &Net, front: u32) -> Verdict {
    let at = &oracle.fronts[front as usize];
    let is_bad = at.hello.is_some_and(|hello| !hello.is_good && at.is_heard(&hello));
    if is_bad && at.closed.is_none() && at.left_at.is_none() && !net.ep(at.ep).is_reset() {
        let message = format!("connection {front} stayed open behind {:?}", at.hello);
        return breach(GROUP, "TLS-5", message);
    }
    Ok(())
}

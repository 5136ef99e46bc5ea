//! Marks of rare states that the ledger shows at the end of a run.

use super::World;
use crate::cx::{Cx, Flight};
use crate::kernel::{Ep, Owner};
use crate::mark;
use crate::marks::{Blow, Group, Stand};
use crate::oracle::Oracle;
use crate::oracle::tunnels::{Over, Tunnel};

impl World {
    /// A connection of the proxy's is about to be hit: marks where its session stands.
    pub(super) fn mark_blow(&mut self, ep: Ep, flight: Flight) {
        let Owner::Proxy(id) = self.net.ep(ep).owner else { return };
        let blow = match flight {
            _ if self.net.is_held(ep) => Blow::Held,
            Flight::Rst => Blow::Reset,
            Flight::Fin => Blow::Fin,
            _ => return,
        };
        if let Some(standing) = self.proxy.standing(id) {
            self.cx.mark(Group::Struck.at(Stand::of(standing) * Blow::ALL.len() + blow as usize));
        }
    }

    /// An episode has begun: marks where the sessions stand whose link has just stopped.
    pub(super) fn mark_stalls(&mut self) {
        let Some(&link) = self.net.faults.clogged.last() else { return };
        for (id, ep) in self.sockets.endpoints() {
            if self.net.ep(ep).link() == link
                && let Some(standing) = self.proxy.standing(id)
            {
                let stand = Stand::of(standing) * Blow::ALL.len();
                self.cx.mark(Group::Struck.at(stand + Blow::Held as usize));
            }
        }
    }

    /// Marks the members of `group` that the states of live sessions name.
    pub(super) fn mark_states(&mut self, group: Group) {
        for state in self.proxy.states() {
            self.cx.mark(group.at(state as usize));
        }
    }

    /// Takes over what the core counted.
    pub(super) fn mark_decisions(&mut self) {
        for (group, part) in Group::OF_CORE {
            self.cx.marks.add(group, self.proxy.reach().part(part));
        }
    }
}

/// Marks what was reached of headers and tunnels.
pub(super) fn mark(cx: &mut Cx, oracle: &Oracle) {
    for known in oracle.fronts.iter().filter_map(|front| front.announced.as_ref()) {
        if known.read_at.is_some() && known.is_good {
            cx.mark(match &known.addresses {
                Some((source, _)) if source.is_ipv6() => mark!("proxy: IPv6 announced"),
                Some(_) => mark!("proxy: IPv4 announced"),
                None => mark!("proxy: nobody announced"),
            });
        }
        if known.has_surplus && known.is_good {
            cx.mark(mark!("proxy: bytes in one read with a header"));
        }
    }
    for header in oracle.backs.iter().filter_map(|back| back.preface.header.as_ref()) {
        cx.mark(match header.version {
            1 => mark!("proxy: version 1 sent"),
            _ if !header.tlvs.is_empty() => mark!("proxy: TLVs relayed"),
            _ => mark!("proxy: version 2 sent"),
        });
    }
    for tunnel in &oracle.tunnels {
        mark_hello(cx, oracle, tunnel);
        match tunnel.over {
            Some((_, Over::Idle)) => cx.mark(mark!("tunnel: idle")),
            Some((_, Over::Drained)) => cx.mark(mark!("tunnel: drained")),
            _ => {}
        }
        let is_whole = matches!(tunnel.over, Some((_, Over::Complete)));
        if is_whole && tunnel.must_succeed {
            cx.mark(mark!("tunnel: whole after healing"));
        }
    }
    let lent = oracle.backs.iter().filter(|back| back.preface.header.is_some());
    if lent.into_iter().any(|back| back.seen.len() > 1) {
        cx.mark(mark!("proxy: a connection with a header reused"));
    }
}

/// Marks where a tunnel's ClientHello led it.
fn mark_hello(cx: &mut Cx, oracle: &Oracle, tunnel: &Tunnel) {
    let hello = oracle.fronts[tunnel.front as usize].hello;
    let Some((hello, passage)) = hello.zip(oracle.truth.passage) else { return };
    cx.mark(match (passage.leads(hello.name), tunnel.back) {
        ((Some(_), true), Some(_)) => mark!("hello: led by its name"),
        ((Some(_), false), Some(_)) => mark!("hello: led where all go"),
        ((None, _), None) if tunnel.record.is_some() => mark!("hello: led nowhere"),
        _ => return,
    });
}

//! Marks of rare states that the ledger shows at the end of a run.

use crate::cx::Cx;
use crate::oracle::Oracle;
use crate::oracle::tunnels::Over;
use crate::site;

/// Marks what was reached of headers and tunnels.
pub(super) fn mark(cx: &mut Cx, oracle: &Oracle) {
    for known in oracle.fronts.iter().filter_map(|front| front.announced.as_ref()) {
        if known.read_at.is_some() && known.is_good {
            cx.mark(match &known.addresses {
                Some((source, _)) if source.is_ipv6() => site!("proxy: IPv6 announced"),
                Some(_) => site!("proxy: IPv4 announced"),
                None => site!("proxy: nobody announced"),
            });
        }
        if known.has_surplus && known.is_good {
            cx.mark(site!("proxy: bytes in one read with a header"));
        }
    }
    for header in oracle.backs.iter().filter_map(|back| back.preface.header.as_ref()) {
        cx.mark(match header.version {
            1 => site!("proxy: version 1 sent"),
            _ if !header.tlvs.is_empty() => site!("proxy: TLVs relayed"),
            _ => site!("proxy: version 2 sent"),
        });
    }
    for tunnel in &oracle.tunnels {
        match tunnel.over {
            Some((_, Over::Idle)) => cx.mark(site!("tunnel: idle")),
            Some((_, Over::Drained)) => cx.mark(site!("tunnel: drained")),
            _ => {}
        }
        let is_whole = matches!(tunnel.over, Some((_, Over::Complete)));
        if is_whole && tunnel.must_succeed {
            cx.mark(site!("tunnel: whole after healing"));
        }
    }
    let lent = oracle.backs.iter().filter(|back| back.preface.header.is_some());
    if lent.into_iter().any(|back| back.seen.len() > 1) {
        cx.mark(site!("proxy: a connection with a header reused"));
    }
}

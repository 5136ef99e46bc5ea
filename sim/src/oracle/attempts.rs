//! Group *tunnels*, beginnings: how often a TCP session tries to reach a server, and why a
//! client may be turned away.
//!
//! - BACK-2: a session tries three servers at most, others where there are some, and the same
//!   one after a pause.
//! - SES-3: tunnel_idle fires in its time.
//! - TUN-1: every byte goes to the peer that it is for, few wait inside, and no client is
//!   turned away without cause.

use super::dials::RETRY_PAUSE;
use super::ledger::Back;
use super::tunnels::{GROUP, Tunnel, TunnelRecord};
use super::{Oracle, Verdict, breach};
use crate::kernel::Net;
use tidegate_core::event::{Phase, Timer, Who};

/// Connection attempts of one session.
const ATTEMPTS_MAX: u8 = super::retry::ATTEMPTS_MAX;

/// A TCP session ended whose bytes named no server: because of its attempts, or its peers.
pub(super) fn gave_up(oracle: &Oracle, id: u32, record: &TunnelRecord) -> Verdict {
    if record.attempts > ATTEMPTS_MAX {
        let message = format!("tunnel {id}: {} connection attempts", record.attempts);
        return breach(GROUP, "BACK-2", message);
    }
    let tunnel = &oracle.tunnels[id as usize];
    let front = &oracle.fronts[tunnel.front as usize];
    let ending = record.ending;
    let from = front.accepted_at.unwrap_or(oracle.now);
    let mine: Vec<&Back> = attempts_between(oracle, from).collect();
    if is_alone(oracle, id, from) {
        apart(oracle, id, record, &mine)?;
    }
    // Without a server there is no attempt; descriptors may be short.
    let is_spent = record.attempts == ATTEMPTS_MAX || ending.who == Who::Proxy;
    if ending.phase == Phase::Connect && ending.who == Who::Backend && !is_spent {
        let message = format!("tunnel {id} was given up after {} attempts", record.attempts);
        return breach(GROUP, "BACK-2", message);
    }
    if ending.timer == Some(Timer::TunnelIdle) {
        let (low, _) = oracle.truth.span(from, oracle.now, |t| t.tunnel_idle);
        if oracle.now < from.saturating_add(low) {
            return breach(GROUP, "SES-3", format!("tunnel {id}: tunnel_idle fired too early"));
        }
    }
    Ok(())
}

/// Connections to TCP servers that were begun at `from` or later.
fn attempts_between(oracle: &Oracle, from: u64) -> impl Iterator<Item = &Back> {
    let first = oracle.backs.partition_point(|back| back.connect_at < from);
    oracle.backs[first..].iter().filter(|back| back.is_tcp)
}

/// Whether no other TCP session lived since `from`.
fn is_alone(oracle: &Oracle, id: u32, from: u64) -> bool {
    let others = oracle.tunnels.iter().enumerate().filter(|&(other, tunnel)| {
        let front = &oracle.fronts[tunnel.front as usize];
        let lives = front.closed.is_none_or(|(at, _)| at >= from);
        other != id as usize && tunnel.row.is_none() && front.accepted_at.is_some() && lives
    });
    others.count() == 0
}

/// The attempts of one session, which are all there were: at most three, each at another server
/// where there is one, else after a pause.
fn apart(oracle: &Oracle, id: u32, record: &TunnelRecord, mine: &[&Back]) -> Verdict {
    // What failed at once never became a connection.
    if mine.len() > usize::from(ATTEMPTS_MAX) {
        return breach(GROUP, "BACK-2", format!("tunnel {id}: {} attempts", mine.len()));
    }
    let [version] = oracle.truth.versions.as_slice() else { return Ok(()) };
    let Some(first) = mine.first() else { return Ok(()) };
    let cluster = usize::from(oracle.truth.nature(first.server).cluster);
    let usable = version.clusters[cluster].iter().filter(|place| !place.is_drained).count();
    let is_quiet = oracle.truth.down.is_empty() && record.attempts as usize == mine.len();
    for (at, pair) in mine.windows(2).enumerate().filter(|_| is_quiet) {
        let again = pair[0].server == pair[1].server;
        let mut tried: Vec<u16> = mine[..=at].iter().map(|back| back.server).collect();
        tried.sort_unstable();
        tried.dedup();
        if tried.contains(&pair[1].server) && tried.len() < usable {
            let message = format!("tunnel {id} tried server {} again", pair[1].server);
            return breach(GROUP, "BACK-2", message);
        }
        let failed_at = pair[0].closed_at.unwrap_or(pair[0].connect_at);
        if again && pair[1].connect_at < failed_at + RETRY_PAUSE {
            let message = format!("tunnel {id} tried server {} again at once", pair[0].server);
            return breach(GROUP, "BACK-2", message);
        }
    }
    Ok(())
}

/// A TCP client was closed without a session: for a cause.
pub(super) fn unserved(oracle: &Oracle, net: &Net, tunnel: &Tunnel) -> Verdict {
    let front = &oracle.fronts[tunnel.front as usize];
    let (Some(accepted), Some((closed, _))) = (front.accepted_at, front.closed) else {
        return Ok(());
    };
    let settings = &oracle.settings;
    let end = net.ep(front.ep);
    let is_old =
        closed >= accepted.saturating_add(settings.accept_queue_max_wait.as_nanos() as u64);
    let is_crowded = oracle.fronts.iter().filter(|other| other.overlaps(accepted, closed)).count()
        > settings.accept_queue_capacity.min(settings.max_connections);
    let has_failed = end.is_reset() || front.left_at.is_some();
    let is_stopping = oracle.truth.stop_at.is_some_and(|stop| closed >= stop);
    // Why TLS did not come about is judged where that is told.
    let is_refused = !super::tunnel_ends::is_open(oracle, front)
        || super::limits::may_refuse(oracle, tunnel.front)
        || super::proxy::may_close(oracle, tunnel.front)
        || super::passage::may_close(oracle, front);
    if is_old
        || is_crowded
        || has_failed
        || is_stopping
        || is_refused
        || !oracle.has_ample_buffers()
    {
        return Ok(());
    }
    let message = format!("connection {} to a TCP listener was closed unserved", tunnel.front);
    breach(GROUP, "TUN-1", message)
}

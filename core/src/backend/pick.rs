//! Which server a request goes to: stickiness, then who may be chosen at all, then balancing.

use super::ServerId;
use super::balance::{ServerLoad, choose};
use crate::config::Server;
use crate::proxy::Proxy;
use crate::reach::Decision;
use crate::session::{Exchange, SessionId};

/// A chosen server.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pick {
    pub(crate) server: ServerId,
    /// Its index in the cluster.
    pub(crate) index: u16,
}

/// What there is to choose.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Choice {
    /// This one.
    Server(Pick),
    /// Those that could be used have all the connections that they may have (BACK-9).
    Full,
    /// The cluster has none that is not drained.
    Nobody,
}

/// How good a choice a server is: only the best that there are take part in balancing.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    /// Usable, not a backup, and this request has not failed there.
    Primary,
    /// Usable, and this request has not failed there: a backup (BACK-1).
    Backup,
    /// Usable, though this request has failed there: it is tried again after a pause (BACK-2).
    Again,
    /// Down, but nobody else is left: fail open, first where this request has not failed.
    OpenElsewhere,
    /// Down, and this request has failed everywhere.
    Open,
}

impl Tier {
    /// The tier of a server; none for one that is administratively drained.
    fn of(config: &Server, usable: bool, tried: bool) -> Option<Tier> {
        Some(match (usable, tried) {
            _ if config.drained => return None,
            (true, false) if config.backup => Tier::Backup,
            (true, false) => Tier::Primary,
            (true, true) => Tier::Again,
            (false, false) => Tier::OpenElsewhere,
            (false, true) => Tier::Open,
        })
    }

    fn decision(self) -> Decision {
        match self {
            Tier::Primary => Decision::PickPrimary,
            Tier::Backup => Decision::PickBackup,
            Tier::Again => Decision::PickAgain,
            Tier::OpenElsewhere => Decision::PickOpenElsewhere,
            Tier::Open => Decision::PickOpen,
        }
    }
}

impl Proxy {
    /// Chooses a server for the session's request (BACK-2).
    pub(crate) fn pick_server(&mut self, id: SessionId) -> Choice {
        let session = &mut self.sessions[id];
        let x = session.exchange.as_deref().expect("a request is being served");
        let version = &self.versions[x.version.expect("a request sees a version")];
        let cluster = x.record.cluster.expect("the route led to a cluster") as usize;
        let view = &version.clusters[cluster];
        let config = &version.config.clusters[cluster];
        let (servers, now) = (&self.servers, self.now);
        let has_room = |index: usize| servers[view.servers[index]].active < view.limits[index];
        let usable = |server: ServerId| servers[server].health.usable(now);
        if let Some(index) = stuck(x, &config.servers)
            && usable(view.servers[index])
            && !x.tried.has(view.servers[index])
        {
            let pick = Pick { server: view.servers[index], index: index as u16 };
            let has_room = has_room(index);
            let decision = if has_room { Decision::StickyKept } else { Decision::StickyFull };
            self.reach.decided(decision);
            return if has_room { Choice::Server(pick) } else { Choice::Full };
        }
        self.reach.decided_if(x.stuck_to.is_some(), Decision::StickyLost);
        let members = || view.servers.iter().zip(&config.servers);
        let tier = |(server, config): (&ServerId, &Server)| {
            Tier::of(config, usable(*server), x.tried.has(*server))
        };
        let Some(best) = members().filter_map(tier).min() else {
            self.reach.decided(Decision::PickNobody);
            return Choice::Nobody;
        };
        self.loads.clear();
        self.loads.extend(members().enumerate().map(|(index, (server, config))| ServerLoad {
            weight: config.weight,
            active: servers[*server].active,
            current: servers[*server].current,
            key: servers[*server].key,
            eligible: tier((server, config)) == Some(best) && has_room(index),
        }));
        let client = session.peer.map(|peer| peer.ip());
        let index = choose(config.balance, client, &mut self.loads, &mut session.child);
        let Some(index) = index else {
            self.reach.decided(Decision::PickFull);
            return Choice::Full;
        };
        self.reach.decided(best.decision());
        for (server, load) in view.servers.iter().zip(&self.loads) {
            self.servers[*server].current = load.current;
        }
        Choice::Server(Pick { server: view.servers[index], index: index as u16 })
    }
}

/// The server that the request's cookie names, if it takes new requests (BACK-8).
fn stuck(x: &Exchange, servers: &[Server]) -> Option<usize> {
    let index = usize::from(x.stuck_to?);
    (!servers[index].drained).then_some(index)
}

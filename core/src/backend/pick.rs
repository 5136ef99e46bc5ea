//! Which server a request goes to: stickiness, then who may be chosen at all, then balancing.

use super::ServerId;
use super::balance::{ServerLoad, choose};
use crate::config::Server;
use crate::proxy::Proxy;
use crate::session::{Exchange, SessionId};

/// A chosen server.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pick {
    pub(crate) server: ServerId,
    /// Its index in the cluster.
    pub(crate) index: u16,
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
}

impl Proxy {
    /// Chooses a server for the session's request, or `None` if its cluster has none that is not
    /// drained (BACK-2).
    pub(crate) fn pick_server(&mut self, id: SessionId) -> Option<Pick> {
        let session = &mut self.sessions[id];
        let x = session.exchange.as_deref().expect("a request is being served");
        let version = &self.versions[x.version.expect("a request sees a version")];
        let cluster = x.record.cluster.expect("the route led to a cluster") as usize;
        let view = &version.clusters[cluster];
        let config = &version.config.clusters[cluster];
        let (servers, now) = (&self.servers, self.now);
        let usable = |server: ServerId| servers[server].health.usable(now);
        if let Some(index) = stuck(x, &config.servers)
            && usable(view.servers[index])
            && !x.tried.has(view.servers[index])
        {
            return Some(Pick { server: view.servers[index], index: index as u16 });
        }
        let members = || view.servers.iter().zip(&config.servers);
        let tier = |(server, config): (&ServerId, &Server)| {
            Tier::of(config, usable(*server), x.tried.has(*server))
        };
        let best = members().filter_map(tier).min()?;
        self.loads.clear();
        self.loads.extend(members().map(|(server, config)| ServerLoad {
            weight: config.weight,
            active: servers[*server].active,
            current: servers[*server].current,
            key: servers[*server].key,
            eligible: tier((server, config)) == Some(best),
        }));
        let client = session.peer.map(|peer| peer.ip());
        let index = choose(config.balance, client, &mut self.loads, &mut session.child)?;
        for (server, load) in view.servers.iter().zip(&self.loads) {
            self.servers[*server].current = load.current;
        }
        Some(Pick { server: view.servers[index], index: index as u16 })
    }
}

/// The server that the request's cookie names, if it takes new requests (BACK-8).
fn stuck(x: &Exchange, servers: &[Server]) -> Option<usize> {
    let index = usize::from(x.stuck_to?);
    (!servers[index].drained).then_some(index)
}

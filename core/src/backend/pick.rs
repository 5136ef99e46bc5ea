//! Which server a request goes to: stickiness, then who may be chosen at all, then balancing.

use super::ServerId;
use super::balance::{ServerLoad, choose};
use crate::config::Server;
use crate::proxy::Proxy;
use crate::session::{Exchange, SessionId};
use crate::time::Time;

/// A chosen server.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pick {
    pub(crate) server: ServerId,
    /// Its index in the cluster.
    pub(crate) index: u16,
}

/// Who may be chosen, from the best to the last resort. The first tier that is not empty counts.
#[derive(Copy, Clone)]
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
    const ALL: [Tier; 5] =
        [Tier::Primary, Tier::Backup, Tier::Again, Tier::OpenElsewhere, Tier::Open];

    fn admits(self, config: &Server, usable: bool, tried: bool) -> bool {
        !config.drained
            && match self {
                Tier::Primary => usable && !tried && !config.backup,
                Tier::Backup => usable && !tried,
                Tier::Again => usable,
                Tier::OpenElsewhere => !tried,
                Tier::Open => true,
            }
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
        let usable = |server: ServerId, now: Time| self.servers[server].health.usable(now);
        if let Some(index) = stuck(x, &config.servers)
            && usable(view.servers[index], self.now)
            && !x.tried.has(view.servers[index])
        {
            return Some(Pick { server: view.servers[index], index: index as u16 });
        }
        for tier in Tier::ALL {
            self.loads.clear();
            for (server, config) in view.servers.iter().zip(&config.servers) {
                let state = &self.servers[*server];
                let eligible =
                    tier.admits(config, state.health.usable(self.now), x.tried.has(*server));
                let (active, current) = (state.active, state.current);
                let weight = config.weight;
                self.loads.push(ServerLoad { weight, active, current, eligible });
            }
            if let Some(index) = choose(config.balance, &mut self.loads, &mut session.child) {
                for (server, load) in view.servers.iter().zip(&self.loads) {
                    self.servers[*server].current = load.current;
                }
                return Some(Pick { server: view.servers[index], index: index as u16 });
            }
        }
        None
    }
}

/// The server that the request's cookie names, if it takes new requests (BACK-8).
fn stuck(x: &Exchange, servers: &[Server]) -> Option<usize> {
    let index = usize::from(x.stuck_to?);
    (!servers[index].drained).then_some(index)
}

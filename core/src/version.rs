//! Versions of the configuration: each request sees one from its start to its end (RUN-1).

use crate::backend::ServerId;
use crate::config::{AnswerBody, Config, Timeouts};
use crate::id::Id;
use crate::route::Router;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names a version while somebody uses it.
pub(crate) type VersionId = Id<Version>;

/// One configuration, compiled.
pub(crate) struct Version {
    /// Counts up from 1 with each `apply`.
    pub(crate) serial: u64,
    pub(crate) config: Arc<Config>,
    pub(crate) router: Router,
    /// For each cluster of the configuration.
    pub(crate) clusters: Vec<ClusterView>,
    /// For each route of the configuration the index of its cluster, 0 where it leads elsewhere.
    pub(crate) clusters_of_routes: Vec<u32>,
    /// For each listener of the configuration its timeouts.
    pub(crate) listeners: Vec<Timeouts>,
    /// For each listener of the configuration where its TCP connections go.
    pub(crate) forwards: Vec<ForwardView>,
    /// Exchanges that see this version, and one for being the current one.
    pub(crate) users: usize,
}

/// A cluster as one version sees it.
pub(crate) struct ClusterView {
    /// Its servers, in the configuration's order.
    pub(crate) servers: Vec<ServerId>,
    pub(crate) timeouts: Timeouts,
    /// The serial number of how each of them is spoken to.
    pub(crate) speeches: Vec<u32>,
    /// Connections that each of its servers may have on this worker (BACK-9).
    pub(crate) limits: Vec<u32>,
    /// Sessions that may wait in line for them.
    pub(crate) queue_max: usize,
    /// Cookie values and Set-Cookie lines of its servers, when sessions stick.
    pub(crate) sticky: Vec<StickyView>,
}

/// What a sticky session of one server carries.
pub(crate) struct StickyView {
    pub(crate) value: Box<str>,
    pub(crate) set_cookie: Box<str>,
    /// The same for clients that came by TLS.
    pub(crate) set_secure: Box<str>,
}

/// Where the connections of a TCP listener go: indices of clusters.
#[derive(Debug, Default)]
pub(crate) struct ForwardView {
    pub(crate) to: Option<u32>,
    /// By the name in the ClientHello, `*.suffix` included.
    pub(crate) names: BTreeMap<Box<str>, u32>,
}

impl ForwardView {
    /// The cluster of a connection whose ClientHello asks for `name`, in lower case; empty if it
    /// asks for none.
    pub(crate) fn by_name(&self, name: &[u8]) -> Option<u32> {
        let name = str::from_utf8(name).unwrap_or_default();
        let wildcard = || {
            let (_, suffix) = name.split_once('.')?;
            self.names.get(&*format!("*.{suffix}"))
        };
        self.names.get(name).or_else(wildcard).copied().or(self.to)
    }
}

impl Version {
    /// A version without anything, in force before the first configuration is applied.
    pub(crate) fn empty() -> Version {
        Version {
            serial: 0,
            router: Router::default(),
            config: Arc::default(),
            clusters: Vec::new(),
            clusters_of_routes: Vec::new(),
            listeners: Vec::new(),
            forwards: Vec::new(),
            users: 1,
        }
    }

    /// The timeouts of the listener at `index`, or the global ones if it is gone.
    pub(crate) fn listener_timeouts(&self, index: Option<usize>) -> &Timeouts {
        index.map_or(&self.config.timeouts, |index| &self.listeners[index])
    }

    /// The replacement of a default answer: the cluster's, else the listener's.
    pub(crate) fn answer(
        &self,
        cluster: Option<u32>,
        listener: Option<usize>,
        status: u16,
    ) -> Option<&AnswerBody> {
        let of_cluster = cluster.map(|index| &self.config.clusters[index as usize].answers);
        let of_listener = listener.map(|index| &self.config.listeners[index].answers);
        of_cluster
            .and_then(|answers| answers.get(&status))
            .or_else(|| of_listener.and_then(|answers| answers.get(&status)))
    }
}

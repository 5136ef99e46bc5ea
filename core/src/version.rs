//! Versions of the configuration: each request sees one from its start to its end (RUN-1).

use crate::backend::ServerId;
use crate::config::{AnswerBody, Config, Timeouts};
use crate::id::Id;
use crate::route::Router;
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
    /// For each listener of the configuration.
    pub(crate) listeners: Vec<Timeouts>,
    /// Exchanges that see this version, and one for being the current one.
    pub(crate) users: usize,
}

/// A cluster as one version sees it.
pub(crate) struct ClusterView {
    /// Its servers, in the configuration's order.
    pub(crate) servers: Vec<ServerId>,
    pub(crate) timeouts: Timeouts,
    /// Cookie values and Set-Cookie lines of its servers, when sessions stick.
    pub(crate) sticky: Vec<StickyView>,
}

/// What a sticky session of one server carries.
pub(crate) struct StickyView {
    pub(crate) value: Box<str>,
    pub(crate) set_cookie: Box<str>,
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

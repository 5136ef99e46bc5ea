//! What makes a configuration meaningful: every error at once, each with its place.

use super::Config;

/// Which part of a [`Config`] is at fault, so that its author can be shown the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A top-level key.
    Top(&'static str),
    /// A key of the listener at this index.
    Listener(usize, &'static str),
    /// A key of the cluster at this index.
    Cluster(usize, &'static str),
    /// A key of the server at (cluster, server).
    Server(usize, usize, &'static str),
    /// A key of the route at this index.
    Route(usize, &'static str),
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Placeholder until the list is complete.
    UnknownCluster {
        /// The name that no cluster has.
        name: Box<str>,
    },
}

/// One reason why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where.
    pub place: Place,
    /// What.
    pub problem: Problem,
}

/// Every error of `config`; empty when it can be applied.
pub fn validate(_config: &Config) -> Vec<ConfigError> {
    Vec::new()
}

//! The process's limits, divided over its workers (ACC-11).

use tidegate_core::config::{Config, Settings, share};

/// Buffers that a worker needs at least (SES-5).
const BUFFERS_A_WORKER_MIN: usize = 2;

/// The least `max_connections` of a server, and whose it is: (limit, cluster, server). Fewer
/// workers than this start, because each gets a connection to every server (BACK-9).
pub fn server_limit(config: &Config) -> Option<(usize, usize, usize)> {
    let limits = config.clusters.iter().enumerate().flat_map(|(of, cluster)| {
        let servers = cluster.servers.iter().enumerate();
        servers.filter_map(move |(index, server)| Some((server.max_connections?, of, index)))
    });
    limits.min().map(|(limit, cluster, server)| (limit as usize, cluster, server))
}

/// How many of `wanted` workers start: each must get at least one connection, one place in the
/// accept queue and two buffers. At least 1. [`server_limit`] comes on top.
pub fn workers_started(settings: &Settings, wanted: usize) -> usize {
    wanted
        .min(settings.max_connections)
        .min(settings.accept_queue_capacity)
        .min(settings.buffers_max / BUFFERS_A_WORKER_MIN)
        .max(1)
}

/// The share of worker `which` (from 0) of `workers`; remainders go to the first ones. The
/// shares of all workers add up to `settings`.
pub fn divide(settings: &Settings, workers: usize, which: usize) -> Settings {
    let share = |total: usize| share(total, which, workers);
    Settings {
        max_connections: share(settings.max_connections),
        accept_queue_capacity: share(settings.accept_queue_capacity),
        buffers_max: share(settings.buffers_max),
        worker: (which, workers),
        ..settings.clone()
    }
}

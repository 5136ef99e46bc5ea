//! Counters, each changed at one site, and gauges taken from their owners when asked.

use crate::tls::TlsFailure;

/// What happened since the worker's start. Counters only grow.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: u64,
    /// Accepted sockets closed because the queue was full (ACC-6).
    pub queue_overflow: u64,
    /// Waiting sockets closed because they were too old (ACC-4).
    pub queue_aged: u64,
    /// Times that accepting paused for lack of resources (ACC-8).
    pub accept_pauses: u64,
    /// Idle sessions closed to make room (ACC-10).
    pub evicted: u64,
    /// Sessions created.
    pub sessions: u64,
    /// Requests whose access record was written.
    pub requests: u64,
    /// Connection attempts to servers.
    pub connects: u64,
    /// Attempts that failed.
    pub connect_failures: u64,
    /// Requests given to a reused connection.
    pub reuses: u64,
    /// Requests sent again under BACK-3 (b).
    pub resent_reused: u64,
    /// Requests sent again under BACK-3 (c).
    pub resent_fresh: u64,
    /// Responses, and tunnels, that were cut short (RES-2).
    pub truncated: u64,
    /// Inputs for ids that no longer exist (LOOP-1).
    pub stale_ids: u64,
    /// Inputs whose time went back.
    pub time_went_back: u64,
    /// Sessions ended by the zombie checker (SES-4).
    pub zombies: u64,
    /// Sessions closed for their age (`max_session_age`).
    pub aged_sessions: u64,
    /// Sessions closed because our own accounting did not add up.
    pub broken: u64,
    /// Sessions that had to wait for buffers (SES-5).
    pub buffer_waits: u64,
    /// Configurations applied.
    pub applied: u64,
    /// Clients' TLS handshakes completed.
    pub handshakes: u64,
    /// Those of them that resumed an earlier session.
    pub handshakes_resumed: u64,
    /// TLS with clients that came to nothing, in the order of [`TlsFailure::ALL`].
    pub tls_failures: [u64; TlsFailure::ALL.len()],
    /// Connections closed because their peer may not announce a client (PP-1).
    pub proxy_refused: u64,
    /// Connections closed for a bad PROXY header, or none.
    pub proxy_malformed: u64,
    /// Connections closed because their PROXY header did not come in time.
    pub proxy_timed_out: u64,
    /// Sessions over `max_connections_per_ip` (ACC-9).
    pub over_address_limit: u64,
    /// Tunnels begun.
    pub tunnels: u64,
    /// Requests and TCP sessions that waited for a server with room (BACK-9).
    pub backend_queued: u64,
    /// Those that found the line full.
    pub backend_queue_full: u64,
}

impl Counters {
    pub(crate) fn count_tls_failure(&mut self, failure: TlsFailure) {
        self.tls_failures[failure as usize] += 1;
    }
}

/// What is live now.
#[derive(Copy, Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Live sessions.
    pub sessions: usize,
    /// Sockets waiting in the accept queue.
    pub queued: usize,
    /// Sockets of every kind, listeners included.
    pub sockets: usize,
    /// Open listeners.
    pub listeners: usize,
    /// Backend connections, idle ones included.
    pub backend_connections: usize,
    /// Idle pooled backend connections.
    pub backend_idle: usize,
    /// Buffers out of the pool.
    pub buffers_lent: usize,
    /// Buffers promised to sessions.
    pub buffers_promised: usize,
    /// Owners with a deadline entry.
    pub deadlines: usize,
    /// Requests in flight, as the servers count them.
    pub requests_in_flight: usize,
    /// Requests and TCP sessions in line for a server with room (BACK-9).
    pub backend_waiting: usize,
    /// Configuration versions alive.
    pub versions: usize,
}

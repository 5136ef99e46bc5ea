//! Counters, each changed at one site, and gauges taken from their owners when asked.

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
    /// Responses that were cut short (RES-2).
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
    /// Configuration versions alive.
    pub versions: usize,
}

//! Keys of clusters.

use super::Fallback::{Is, Means, Required};
use super::{Key, key};

/// What stands in `[cluster]`.
pub(super) const KEYS: &[Key] = &[
    key(
        "cluster",
        "NAME",
        Means("none"),
        "{ servers = [\"127.0.0.1:9001\"] }",
        "A group of \
        interchangeable servers; its name stands in routes, logs and sticky cookies.",
    ),
    key(
        "cluster.NAME",
        "servers",
        Required,
        "[\"127.0.0.1:9001\", { addr = \"[::1]:9002\" }]",
        "Its servers: `HOST:PORT`, `unix:/path`, or tables. Names are resolved when the file is \
        loaded, and each address becomes a server.",
    ),
    key(
        "cluster.NAME",
        "balance",
        Is("\"round-robin\""),
        "\"random\"",
        "How a server is chosen: \
        `round-robin`, `random`, `least-connections`, `power-of-two`, or `source`: by the \
        client's address, so that each client keeps its server, and only about 1/n of them move \
        when one of n servers comes or goes.",
    ),
    key(
        "cluster.NAME",
        "sticky",
        Is("false"),
        "{ cookie = \"SRV\" }",
        "Keeps a client with its \
        server by a cookie, `tg_` and the cluster's name unless `{ cookie = \"NAME\" }` says \
        otherwise. Needs an `id` for each server, or `sticky_secret`.",
    ),
    key(
        "cluster.NAME",
        "reuse",
        Is("\"safe\""),
        "\"session\"",
        "Who may reuse an idle connection \
        to a server: `safe` (the session that used it, others for idempotent methods), `session` \
        (only that session) or `never`.",
    ),
    key(
        "cluster.NAME",
        "idle_per_server",
        Is("64"),
        "16",
        "Idle connections kept for each server \
        and worker.",
    ),
    key(
        "cluster.NAME",
        "queue",
        Means("as its keys say"),
        "{ capacity = 50 }",
        "The line in front of servers with `max_connections`, where a request waits for \
        `backend_queue` at most.",
    ),
    key(
        "cluster.NAME",
        "proxy_protocol",
        Is("\"off\""),
        "\"v2\"",
        "`v1` or `v2`: each connection to a server begins with a PROXY header of that version, \
        which tells the client's address.",
    ),
    key(
        "cluster.NAME",
        "tls",
        Is("false"),
        "{ ca = \"ca.pem\", sni = \"app.example\" }",
        "Speaks TLS to the servers and verifies their certificates: `true` by the authorities \
        of this machine, or a table.",
    ),
    key("cluster.NAME", "fall", Is("3"), "5", "Failures in a row that mark a server down."),
    key(
        "cluster.NAME",
        "backoff",
        Means("as its keys say"),
        "{ min = \"500ms\" }",
        "How long a \
        server that is down is left alone.",
    ),
    key(
        "cluster.NAME",
        "timeouts",
        Means("as in `[timeouts]`"),
        "{ connect = \"1s\" }",
        "Timers of this cluster.",
    ),
    key("cluster.NAME", "answers", Is("{}"), "{}", "As a listener's; these win."),
    key(
        "cluster.NAME.servers[]",
        "addr",
        Required,
        "\"127.0.0.1:9001\"",
        "`HOST:PORT` or \
        `unix:/path`.",
    ),
    key(
        "cluster.NAME.servers[]",
        "id",
        Means("none"),
        "\"a\"",
        "Name in logs and sticky \
        cookies.",
    ),
    key("cluster.NAME.servers[]", "weight", Is("1"), "10", "Share of the traffic, 1 to 256."),
    key(
        "cluster.NAME.servers[]",
        "max_connections",
        Is("\"off\""),
        "100",
        "Connections to it at a time, divided over the workers; when it is lower than their \
        number, only so many start.",
    ),
    key(
        "cluster.NAME.servers[]",
        "backup",
        Is("false"),
        "true",
        "Used only when no other can \
        be.",
    ),
    key("cluster.NAME.servers[]", "drained", Is("false"), "true", "Gets no new request."),
    key(
        "cluster.NAME.sticky",
        "cookie",
        Means("`tg_` and the cluster's name"),
        "\"SRV\"",
        "The cookie's name.",
    ),
    key(
        "cluster.NAME.backoff",
        "min",
        Is("\"1s\""),
        "\"500ms\"",
        "The first wait; each further \
        one doubles.",
    ),
    key("cluster.NAME.backoff", "max", Is("\"60s\""), "\"5m\"", "The longest wait."),
    key(
        "cluster.NAME.queue",
        "capacity",
        Is("100"),
        "50",
        "Requests and connections that wait, on each worker; the next one gets 503.",
    ),
    key(
        "cluster.NAME.tls",
        "ca",
        Means("the authorities of this machine"),
        "\"ca.pem\"",
        "PEM file of the authorities that sign the servers' certificates.",
    ),
    key(
        "cluster.NAME.tls",
        "sni",
        Means("each server's name as `servers` has it, or its IP address"),
        "\"app.example\"",
        "The name that is asked for, and that the certificates of all servers must have. A \
        server on a Unix socket needs it.",
    ),
    key(
        "cluster.NAME.tls",
        "cert",
        Means("none"),
        "\"site.pem\"",
        "PEM file: a certificate to show to servers that ask for one.",
    ),
    key("cluster.NAME.tls", "key", Means("none"), "\"site.key\"", "PEM file: its private key."),
    key(
        "cluster.NAME.timeouts",
        "connect",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this cluster.",
    ),
    key(
        "cluster.NAME.timeouts",
        "backend_queue",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this cluster.",
    ),
    key(
        "cluster.NAME.timeouts",
        "backend_response",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this cluster.",
    ),
    key(
        "cluster.NAME.timeouts",
        "backend_idle",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this cluster.",
    ),
    key(
        "cluster.NAME.timeouts",
        "backend_keep_alive",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this cluster.",
    ),
    key(
        "cluster.NAME.timeouts",
        "tunnel_idle",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this cluster.",
    ),
];

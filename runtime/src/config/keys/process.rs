//! Keys of the whole process.

use super::Fallback::{Is, Means, Required};
use super::{Key, key};

/// The top of the file, and its tables.
pub(super) const KEYS: &[Key] = &[
    key(
        "",
        "workers",
        Is("\"auto\""),
        "2",
        "Worker threads; `\"auto\"` is one for each CPU. \
        Limits and buffers below are stated for the process and divided over the workers, the \
        remainder to the first ones; when a limit is lower than this number, only so many start.",
    ),
    key(
        "",
        "max_connections",
        Is("10000"),
        "50000",
        "Client connections that are served at a \
        time; more wait in the accept queue. The process needs twice as many descriptors and 64.",
    ),
    key(
        "",
        "zombie_check_interval",
        Is("\"60s\""),
        "\"30s\"",
        "How often sessions that nothing \
        can end any more are looked for: a safety net against bugs.",
    ),
    key(
        "",
        "max_session_age",
        Is("\"off\""),
        "\"1d\"",
        "Ends every session that is older, \
        looked for every `zombie_check_interval`.",
    ),
    key(
        "",
        "trusted_proxies",
        Is("[]"),
        "[\"10.0.0.0/8\", \"::1\"]",
        "Networks and addresses \
        of clients whose X-Forwarded-* and X-Request-Id fields are believed; those of all others \
        are replaced.",
    ),
    key(
        "",
        "sticky_secret",
        Means("none"),
        "\"env:TIDEGATE_STICKY_SECRET\"",
        "Key of the sticky \
        cookies of servers without `id`: `env:VARIABLE` or `file:PATH`. Proxies that share \
        clients need the same.",
    ),
    key("", "forwarded", Is("false"), "true", "Adds the Forwarded field of RFC 7239 to requests."),
    key(
        "",
        "accept_queue",
        Means("as its keys say"),
        "{ capacity = 512 }",
        "Where accepted \
        sockets wait for a place.",
    ),
    key(
        "",
        "buffers",
        Means("as its keys say"),
        "{ size = \"32KiB\" }",
        "The pool that all \
        traffic passes through.",
    ),
    key("", "limits", Means("as its keys say"), "{ fields = 50 }", "Limits on request heads."),
    key(
        "",
        "timeouts",
        Means("as its keys say"),
        "{ connect = \"1s\" }",
        "Every timer. A \
        listener and a cluster override those that concern them.",
    ),
    key("", "log", Means("as its keys say"), "{ format = \"text\" }", "Logs."),
    key("", "listener", Required, "{ web = { bind = \"127.0.0.1:8080\" } }", "Listeners by name."),
    key(
        "",
        "cluster",
        Means("none"),
        "{ app = { servers = [\"127.0.0.1:9001\"] } }",
        "Groups of \
        interchangeable servers by name.",
    ),
    key(
        "",
        "route",
        Means("none: every request gets 404"),
        "[]",
        "Routes; the most specific one \
        wins, whatever their order.",
    ),
    key(
        "accept_queue",
        "capacity",
        Is("1024"),
        "512",
        "Sockets that may wait; more are closed \
        at once.",
    ),
    key(
        "accept_queue",
        "max_wait",
        Is("\"10s\""),
        "\"3s\"",
        "A socket that waited longer is \
        closed.",
    ),
    key(
        "accept_queue",
        "evict_idle",
        Is("false"),
        "true",
        "Closes the keep-alive connection \
        that was idle longest to make room for one that waits.",
    ),
    key(
        "buffers",
        "size",
        Is("\"16KiB\""),
        "\"32KiB\"",
        "Bytes of one buffer; a head fits into \
        one.",
    ),
    key(
        "buffers",
        "count",
        Is("20000"),
        "1000",
        "Buffers at most, at least 2 a worker. Idle \
        connections hold none.",
    ),
    key("limits", "head", Is("\"16KiB\""), "\"8KiB\"", "Bytes of a request head; above: 431."),
    key("limits", "fields", Is("100"), "50", "Fields of a request head; above: 431."),
    key("limits", "target", Is("\"8KiB\""), "\"4KiB\"", "Bytes of a request target; above: 414."),
    key(
        "timeouts",
        "proxy_header",
        Is("\"3s\""),
        "\"1s\"",
        "Start of a connection until its PROXY header is complete; the connection is closed.",
    ),
    key(
        "timeouts",
        "tls_handshake",
        Is("\"10s\""),
        "\"5s\"",
        "Until the TLS handshake is complete, or the ClientHello where TLS is passed through; \
        the connection is closed.",
    ),
    key(
        "timeouts",
        "request_head",
        Is("\"10s\""),
        "\"5s\"",
        "Deadline of a whole request head, \
        from its first byte; 408.",
    ),
    key(
        "timeouts",
        "keep_alive",
        Is("\"60s\""),
        "\"15s\"",
        "Idle between requests; the \
        connection is closed.",
    ),
    key(
        "timeouts",
        "client_idle",
        Is("\"60s\""),
        "\"20s\"",
        "No progress while waiting for the \
        client's body, or for it to read; 408 or a close.",
    ),
    key(
        "timeouts",
        "connect",
        Is("\"3s\""),
        "\"500ms\"",
        "Each attempt to connect to a server, TLS included.",
    ),
    key(
        "timeouts",
        "backend_queue",
        Is("\"5s\""),
        "\"1s\"",
        "Waiting for a server whose `max_connections` are in use; 503.",
    ),
    key(
        "timeouts",
        "backend_response",
        Is("\"30s\""),
        "\"2m\"",
        "Request sent until the complete \
        head of the response; 504.",
    ),
    key(
        "timeouts",
        "backend_idle",
        Is("\"30s\""),
        "\"1m\"",
        "No progress while waiting for the \
        server's body, or for it to read; 504 or a close.",
    ),
    key("timeouts", "backend_keep_alive", Is("\"30s\""), "\"10s\"", "Idle connection to a server."),
    key(
        "timeouts",
        "tunnel_idle",
        Is("\"1h\""),
        "\"10m\"",
        "No byte either way of a TCP connection or WebSocket; both sides are closed.",
    ),
    key(
        "timeouts",
        "linger",
        Is("\"2s\""),
        "\"1s\"",
        "Reading and discarding after a final \
        answer to a request that was not wholly read.",
    ),
    key(
        "timeouts",
        "drain",
        Is("\"30s\""),
        "\"1m\"",
        "Graceful stop begun until what is left \
        is cut.",
    ),
    key(
        "log",
        "access",
        Is("\"stdout\""),
        "\"off\"",
        "Where access records go: `stdout`, \
        `stderr`, `off`, or a file's path, which contains a `/` or a `.`.",
    ),
    key(
        "log",
        "format",
        Is("\"json\""),
        "\"text\"",
        "How access records are written: `json` or \
        `text`.",
    ),
    key(
        "log",
        "level",
        Is("\"info\""),
        "\"debug\"",
        "What the process tells about itself on \
        standard error: `error`, `warn`, `info` or `debug`.",
    ),
];

//! Keys of listeners.

use super::Fallback::{Is, Means, Required};
use super::{Key, key};

/// What stands in `[listener]`.
pub(super) const KEYS: &[Key] = &[
    key(
        "listener",
        "NAME",
        Means("none"),
        "{ bind = \"127.0.0.1:8080\" }",
        "A listener; its \
        name stands in routes and logs.",
    ),
    key(
        "listener.NAME",
        "bind",
        Required,
        "[\"0.0.0.0:8080\", \"[::]:8080\", \"unix:/run/t\"]",
        "Address to listen on, or a list: `IP:PORT`, `[IPv6]:PORT` or `unix:/path`.",
    ),
    key(
        "listener.NAME",
        "protocol",
        Means("`https` with `tls`, else `http`"),
        "\"http\"",
        "What is spoken: `http`, `https`, or `tcp`, which passes bytes on as they are.",
    ),
    key(
        "listener.NAME",
        "tls",
        Means("none: TLS is not terminated"),
        "{ cert = \"site.pem\", key = \"site.key\" }",
        "Terminates TLS 1.2 and 1.3 with this certificate. A list of such tables has several: \
        the name that a client asks for (SNI) chooses, exactly, then by wildcard; the first is \
        for all others. A name may have several, ECDSA and RSA. HUP reads the files anew.",
    ),
    key(
        "listener.NAME",
        "proxy_protocol",
        Is("\"off\""),
        "\"expect\"",
        "`expect`: each connection begins with a PROXY header, version 1 or 2, which tells the \
        client's address; one without it is closed.",
    ),
    key(
        "listener.NAME",
        "proxy_protocol_from",
        Is("[]"),
        "[\"10.0.0.0/8\"]",
        "Networks and addresses whose PROXY header is believed; others are closed. All when \
        empty.",
    ),
    key(
        "listener.NAME",
        "to",
        Means("none"),
        "\"app\"",
        "Of a `tcp` listener: the cluster that its connections lead to; with `sni`, those that \
        no name there matches, which are closed else.",
    ),
    key(
        "listener.NAME",
        "sni",
        Is("{}"),
        "{ \"a.example\" = \"app\", \"*.b.example\" = \"app\" }",
        "Of a `tcp` listener: clusters by the name that the client's TLS asks for, exact before \
        wildcard. TLS is passed through, not terminated.",
    ),
    key(
        "listener.NAME",
        "max_connections_per_ip",
        Is("\"off\""),
        "100",
        "Connections of one client address at a time, which a PROXY header may tell. Counted by \
        each worker for itself: with two workers a client may have twice as many. Above: 429, or \
        a close on a `tcp` listener.",
    ),
    key(
        "listener.NAME",
        "max_body",
        Is("\"off\""),
        "\"10MiB\"",
        "Bytes of a request body; \
        above: 413.",
    ),
    key(
        "listener.NAME",
        "abort_on_close",
        Is("false"),
        "true",
        "A client that finishes writing \
        after a complete request has given it up.",
    ),
    key(
        "listener.NAME",
        "backlog",
        Is("4096"),
        "1024",
        "Connections that the kernel holds \
        before they are accepted.",
    ),
    key(
        "listener.NAME",
        "answers",
        Is("{}"),
        "{}",
        "Files that replace default answers, by \
        status: `{ 503 = \"503.html\" }`. Paths start at the configuration file; the content \
        type follows from `.html`, `.json` or `.txt`.",
    ),
    key(
        "listener.NAME",
        "timeouts",
        Means("as in `[timeouts]`"),
        "{ keep_alive = \"5s\" }",
        "Timers of this listener.",
    ),
    key(
        "listener.NAME.tls",
        "cert",
        Required,
        "\"site.pem\"",
        "PEM file: the certificate, and those that signed it behind it, without the root.",
    ),
    key(
        "listener.NAME.tls",
        "key",
        Required,
        "\"site.key\"",
        "PEM file: its private key, not encrypted. May be the same file.",
    ),
    key(
        "listener.NAME.tls",
        "min_version",
        Is("\"1.2\""),
        "\"1.3\"",
        "`1.2` or `1.3`. Holds for the listener: in a list one entry gives it.",
    ),
    key(
        "listener.NAME.tls",
        "client_ca",
        Means("none: clients need no certificate"),
        "\"ca.pem\"",
        "PEM file of authorities: a client without a certificate that one of them has signed is \
        refused. Holds for the listener: in a list one entry gives it.",
    ),
    key(
        "listener.NAME.timeouts",
        "proxy_header",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this listener.",
    ),
    key(
        "listener.NAME.timeouts",
        "tls_handshake",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this listener.",
    ),
    key(
        "listener.NAME.timeouts",
        "request_head",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this listener.",
    ),
    key(
        "listener.NAME.timeouts",
        "keep_alive",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this listener.",
    ),
    key(
        "listener.NAME.timeouts",
        "client_idle",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this listener.",
    ),
    key(
        "listener.NAME.timeouts",
        "linger",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this listener.",
    ),
    key(
        "listener.NAME.timeouts",
        "drain",
        Means("as in `[timeouts]`"),
        "\"5s\"",
        "Overrides it for this listener.",
    ),
];

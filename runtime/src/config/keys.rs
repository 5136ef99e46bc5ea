//! Every key there is: what the decoder accepts, and what the reference is made of.

use Fallback::{Is, Means, Required};

/// What holds when a key is absent.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// This value, written as in the file.
    Is(&'static str),
    /// What these words say; no value stands for it.
    Means(&'static str),
    /// The key must be given.
    Required,
}

/// One key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The table that holds it: empty at the top; `NAME` stands for any name, `[]` for an entry
    /// of a list.
    pub section: &'static str,
    /// Its name; `NAME` where any name may stand.
    pub name: &'static str,
    /// What holds when it is absent.
    pub fallback: Fallback,
    /// A value that it takes.
    pub example: &'static str,
    /// What it is for.
    pub doc: &'static str,
}

const fn key(
    section: &'static str,
    name: &'static str,
    fallback: Fallback,
    example: &'static str,
    doc: &'static str,
) -> Key {
    Key { section, name, fallback, example, doc }
}

/// Keys of a section, in the order of the reference.
pub(crate) fn of_section(section: &str) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.section == section)
}

/// Keys that work in no version yet but are planned: (section, key).
pub(crate) const LATER: &[(&str, &str)] = &[
    ("", "admin"),
    ("listener.NAME", "tls"),
    ("listener.NAME", "proxy_protocol"),
    ("listener.NAME", "proxy_protocol_from"),
    ("listener.NAME", "to"),
    ("listener.NAME", "sni"),
    ("listener.NAME", "max_connections_per_ip"),
    ("cluster.NAME", "queue"),
    ("cluster.NAME", "health"),
    ("cluster.NAME", "proxy_protocol"),
    ("cluster.NAME", "tls"),
    ("cluster.NAME.servers[]", "max_connections"),
];

/// Every key, section by section.
pub const KEYS: &[Key] = &[
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
    key("timeouts", "connect", Is("\"3s\""), "\"500ms\"", "Each attempt to connect to a server."),
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
    key("listener.NAME", "protocol", Is("\"http\""), "\"http\"", "What is spoken: `http`."),
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
        `round-robin`, `random`, `least-connections` or `power-of-two`.",
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
        "cluster.NAME.timeouts",
        "connect",
        Means("as in `[timeouts]`"),
        "\"1s\"",
        "Overrides it for this cluster.",
    ),
    key(
        "cluster.NAME.timeouts",
        "backend_response",
        Means("as in `[timeouts]`"),
        "\"2m\"",
        "Overrides it for this cluster.",
    ),
    key(
        "cluster.NAME.timeouts",
        "backend_idle",
        Means("as in `[timeouts]`"),
        "\"2m\"",
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
        "route[]",
        "listener",
        Means("all listeners"),
        "\"web\"",
        "The listener that it is bound \
        to.",
    ),
    key(
        "route[]",
        "host",
        Means("every host"),
        "\"*.example.com\"",
        "A host name, or `*.` and a \
        suffix for one label in front of it. Without port.",
    ),
    key(
        "route[]",
        "path",
        Means("every path"),
        "\"/api/\"",
        "This path and everything below it, \
        on segment bounds.",
    ),
    key("route[]", "path_exact", Means("every path"), "\"/login\"", "This path alone."),
    key(
        "route[]",
        "path_regex",
        Means("every path"),
        "\"/user/[0-9]+\"",
        "A regular expression \
        that matches the whole path.",
    ),
    key("route[]", "methods", Is("[]"), "[\"GET\", \"HEAD\"]", "Methods; all when empty."),
    key(
        "route[]",
        "to",
        Means("one of `to`, `redirect`, `answer` is needed"),
        "\"app\"",
        "The \
        cluster that it leads to.",
    ),
    key(
        "route[]",
        "redirect",
        Means("one of `to`, `redirect`, `answer` is needed"),
        "{ scheme = \"https\" }",
        "A redirect: the request's own URL with parts replaced.",
    ),
    key(
        "route[]",
        "answer",
        Means("one of `to`, `redirect`, `answer` is needed"),
        "{ status = 404 }",
        "A fixed answer.",
    ),
    key(
        "route[]",
        "set_request_headers",
        Is("{}"),
        "{ X-Env = \"prod\" }",
        "Fields set on the \
        request, replacing those of the same name.",
    ),
    key(
        "route[]",
        "remove_response_headers",
        Is("[]"),
        "[\"Server\"]",
        "Fields removed from the \
        response.",
    ),
    key("route[].redirect", "status", Is("302"), "308", "301, 302, 307 or 308."),
    key("route[].redirect", "scheme", Means("the request's"), "\"https\"", "`http` or `https`."),
    key(
        "route[].redirect",
        "host",
        Means("the request's"),
        "\"www.example.com\"",
        "Host, with \
        port if any.",
    ),
    key("route[].redirect", "path", Means("the request's"), "\"/new\"", "Path and query."),
    key("route[].answer", "status", Required, "404", "200 to 599."),
    key(
        "route[].answer",
        "file",
        Means("the status's default body"),
        "\"404.html\"",
        "The body; \
        as in a listener's `answers`.",
    ),
];

//! Keys of listeners, clusters and routes.

use super::Fallback::{Is, Means, Required};
use super::{Key, key};

/// What stands under a name, or in a list.
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

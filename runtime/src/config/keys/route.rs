//! Keys of routes.

use super::Fallback::{Is, Means, Required};
use super::{Key, key};

/// What stands in `[[route]]`.
pub(super) const KEYS: &[Key] = &[
    key(
        "route[]",
        "listener",
        Means("all listeners"),
        "\"web\"",
        "The listener that it is bound \
        to, by name: whoever came by it is of it still when a reload has given it another address.",
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

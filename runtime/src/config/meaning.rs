//! The core's reasons to refuse a configuration, in words.

use super::decode::nearest;
use super::spans::Spans;
use super::value::{show_duration, show_size};
use crate::diagnostic::{Code, Diagnostic, SourceText};
use std::ops::Range;
use tidegate_core::config::{Config, ConfigError, Place, Problem};

/// What is needed to put a reason into words and show its place.
pub(super) struct Words<'a> {
    pub(super) config: &'a Config,
    pub(super) spans: &'a Spans,
    pub(super) source: &'a SourceText,
}

/// Code, message and hint.
type Said = (Code, String, String);

fn said(code: Code, message: impl Into<String>, hint: impl Into<String>) -> Said {
    (code, message.into(), hint.into())
}

impl Words<'_> {
    /// What `error` says to the author of the file.
    pub(super) fn diagnostic(&self, error: &ConfigError) -> Diagnostic {
        let span = self.spans.of(&error.place, item(&error.problem).as_deref());
        if let Problem::UnknownCluster { name } = &error.problem {
            let who = match &error.place {
                Place::Listener(..) => "listener",
                _ => "route",
            };
            return self.unknown_cluster(who, name, span);
        }
        let (code, message, hint) = self
            .of_entries(error)
            .or_else(|| of_routes(&error.problem))
            .or_else(|| of_listeners(&error.problem))
            .or_else(|| of_answers(&error.problem))
            .unwrap_or_else(|| of_values(error));
        let diagnostic = Diagnostic::error(code, self.source, Some(span), message).hint(hint);
        Diagnostic { other: self.other(error), ..diagnostic }
    }

    /// A route or listener at `span` leads to the cluster `name`, which does not exist.
    pub(super) fn unknown_cluster(&self, who: &str, name: &str, span: Range<usize>) -> Diagnostic {
        let message = format!("{who} sends to cluster \"{name}\", which is not defined");
        let clusters = self.config.clusters.iter().map(|cluster| &*cluster.name);
        let hint = did_you_mean(name, clusters, || format!("add a table [cluster.{name}]"));
        Diagnostic::error(Code::UnknownCluster, self.source, Some(span), message).hint(hint)
    }

    /// Problems between entries: names, duplicates, references.
    fn of_entries(&self, error: &ConfigError) -> Option<Said> {
        Some(match &error.problem {
            Problem::BadName { name } => said(
                Code::BadName,
                format!("\"{name}\" cannot be a name"),
                "1 to 64 letters, digits, \"_\", \".\" and \"-\"",
            ),
            Problem::BadCookieName { name } => said(
                Code::BadName,
                format!("\"{name}\" cannot be a cookie's name"),
                "1 to 64 letters, digits and \"-\", \"_\", \".\"",
            ),
            Problem::DuplicateName { name, .. } => {
                said(Code::Duplicate, format!("\"{name}\" is the name of two entries"), "rename it")
            }
            Problem::DuplicateBind { address, .. } => said(
                Code::Duplicate,
                format!("{address} is bound twice"),
                "leave one of them away, or take another port",
            ),
            Problem::DuplicateId { id, .. } => {
                said(Code::Duplicate, format!("two servers have the id \"{id}\""), "rename one")
            }
            Problem::DuplicateServer { address, .. } => said(
                Code::Duplicate,
                format!("{address} is a server of this cluster twice"),
                "leave one away; `weight` gives a server more traffic",
            ),
            Problem::DuplicateCookie { name, .. } => said(
                Code::Duplicate,
                format!("two clusters use the cookie \"{name}\""),
                "each would overwrite the other's: rename one",
            ),
            Problem::UnknownListener { name } => {
                let listeners = self.config.listeners.iter().map(|listener| &*listener.name);
                let hint =
                    did_you_mean(name, listeners, || format!("add a table [listener.{name}]"));
                let message =
                    format!("route is bound to listener \"{name}\", which is not defined");
                (Code::UnknownListener, message, hint)
            }
            Problem::TiedRoutes { with } => {
                let index = match error.place {
                    Place::Route(index, _) => index,
                    _ => *with,
                };
                let message =
                    format!("routes {} and {} match the same requests", with + 1, index + 1);
                said(Code::TiedRoutes, message, "no order decides: make one more specific")
            }
            _ => return None,
        })
    }

    /// The earlier of two places that do not go together.
    fn other(&self, error: &ConfigError) -> Option<(Range<usize>, String)> {
        let item = item(&error.problem);
        let at = |place: Place| self.spans.of(&place, item.as_deref());
        let span = match (&error.problem, &error.place) {
            (Problem::DuplicateName { first, .. }, Place::Listener(..)) => {
                at(Place::Listener(*first, ""))
            }
            (Problem::DuplicateName { first, .. }, _) => at(Place::Cluster(*first, "")),
            (Problem::DuplicateBind { first, .. }, _) => at(Place::Listener(*first, "bind")),
            (Problem::DuplicateId { first, .. }, Place::Server(cluster, ..)) => {
                at(Place::Server(*cluster, *first, "id"))
            }
            (Problem::DuplicateServer { first, .. }, Place::Server(cluster, ..)) => {
                at(Place::Server(*cluster, *first, "addr"))
            }
            (Problem::DuplicateCookie { first, .. }, _) => at(Place::Cluster(*first, "sticky")),
            (Problem::TiedRoutes { with }, _) => at(Place::Route(*with, "")),
            _ => return None,
        };
        // Two addresses of one name, or an address twice in one list: one place shows both.
        (span != at(error.place.clone())).then(|| (span, "the first is here".to_owned()))
    }
}

/// Problems of what a route matches, where it leads and which fields it edits.
fn of_routes(problem: &Problem) -> Option<Said> {
    Some(match problem {
        Problem::BadHost { host, why } => {
            said(Code::BadHost, format!("\"{host}\" is not a host"), *why)
        }
        Problem::BadPath { path, why } => {
            said(Code::BadPath, format!("\"{path}\" is not a path"), *why)
        }
        Problem::BadRegex { message } => {
            let last = message.lines().last().unwrap_or_default();
            let why = last.trim().trim_start_matches("error: ");
            said(Code::BadRegex, "the regular expression does not compile", why)
        }
        Problem::BadMethod { method } => said(
            Code::BadMethod,
            format!("\"{method}\" is not a method"),
            "a word like \"GET\", of at most 64 bytes",
        ),
        Problem::MethodCase { method, standard } => said(
            Code::BadMethod,
            format!("\"{method}\" is not a method: case counts"),
            format!("did you mean \"{standard}\"?"),
        ),
        Problem::BadStatus { status, allowed } => {
            let allowed: Vec<String> = allowed.iter().map(u16::to_string).collect();
            let hint = format!("one of {}", allowed.join(", "));
            said(Code::BadStatus, format!("the status {status} cannot stand here"), hint)
        }
        Problem::BadScheme { scheme } => said(
            Code::NotAChoice,
            format!("\"{scheme}\" is not \"http\" or \"https\""),
            "write \"http\" or \"https\"",
        ),
        Problem::RedirectToItself => said(
            Code::RedirectToItself,
            "the redirect leads back to itself",
            "add `scheme`, `host` or `path`",
        ),
        Problem::BadFieldName { name } => said(
            Code::BadField,
            format!("\"{name}\" is not a field's name"),
            "1 to 64 letters, digits and \"-\"",
        ),
        Problem::BadFieldValue { name } => said(
            Code::BadField,
            format!("the value of \"{name}\" cannot be sent"),
            "no control characters, and no space at its ends",
        ),
        Problem::ReservedField { name } => said(
            Code::BadField,
            format!("the field \"{name}\" is the proxy's own business"),
            "leave it away",
        ),
        Problem::DuplicateField { name } => {
            said(Code::Duplicate, format!("the field \"{name}\" is named twice"), "case is no help")
        }
        Problem::FieldsTooLong { bytes, max } => said(
            Code::BadField,
            format!("the fields of this route have {bytes} bytes together"),
            format!("at most {max}"),
        ),
        _ => return None,
    })
}

/// Problems of what is spoken on a listener, and to servers.
fn of_listeners(problem: &Problem) -> Option<Said> {
    Some(match problem {
        Problem::NowhereToGo => said(
            Code::MissingKey,
            "this tcp listener leads nowhere",
            "add the cluster: to = \"app\", or sni = { \"a.example\" = \"app\" }",
        ),
        Problem::HttpOnly { key } => said(
            Code::Conflict,
            format!("`{key}` does nothing on a tcp listener"),
            "leave it away: there are no requests to apply it to",
        ),
        Problem::TlsTwice => said(
            Code::Conflict,
            "`sni` passes TLS through, and `tls` ends it here",
            "leave one of them away",
        ),
        Problem::DuplicateSni { name } => {
            said(Code::Duplicate, format!("the name \"{name}\" stands in `sni` twice"), "leave one")
        }
        Problem::FromWithoutHeader => said(
            Code::Conflict,
            "`proxy_protocol_from` without a PROXY header to believe",
            "add proxy_protocol = \"expect\"",
        ),
        Problem::RouteOnTcp { name } => said(
            Code::Conflict,
            format!("route is bound to \"{name}\", a tcp listener, which has no requests"),
            "a tcp listener names its cluster itself, by `to`",
        ),
        Problem::NoTlsName { address } => said(
            Code::MissingKey,
            format!("there is no name to check the certificate of {address} for"),
            "add it to the cluster: tls = { sni = \"app.example\" }",
        ),
        _ => return None,
    })
}

/// Problems of single values, and whatever no other function speaks of.
fn of_values(error: &ConfigError) -> Said {
    match &error.problem {
        Problem::OutOfRange { value, min, max } => {
            let key = key_of(&error.place);
            let size = matches!(key, "buffers.size" | "limits.head" | "limits.target");
            let show = |n: &u64| if size { show_size(*n) } else { n.to_string() };
            let bound = match key {
                "limits.head" => ", which is `buffers.size`",
                "limits.target" => ", which is `limits.head`",
                _ => "",
            };
            said(
                Code::OutOfRange,
                format!("`{key}` is {}, which is out of range", show(value)),
                format!("{} to {}{bound}", show(min), show(max)),
            )
        }
        Problem::TooMany { max } => {
            said(Code::OutOfRange, "there are too many of these", format!("at most {max}"))
        }
        Problem::ZeroDuration => {
            said(Code::BadDuration, "a span of time of zero", "\"1ms\" is the shortest")
        }
        Problem::TimeoutNotHere { timeout, applicable } => said(
            Code::UnknownKey,
            format!("the timeout \"{timeout}\" does not apply here"),
            format!("those that do: {}", applicable.join(", ")),
        ),
        Problem::BadAddress { address, why } => {
            said(Code::BadAddress, format!("\"{address}\" cannot be used as an address"), *why)
        }
        Problem::NoBind => said(
            Code::MissingKey,
            "the listener binds no address",
            "add an address, like bind = \"127.0.0.1:8080\"",
        ),
        Problem::BadNetwork { network } => said(
            Code::BadAddress,
            format!("\"{}/{}\" cannot be used as a network", network.addr, network.prefix),
            "write an IPv4-mapped network as an IPv4 one",
        ),
        Problem::EmptySecret => said(Code::SecretUnreadable, "the secret is empty", "fill it"),
        other => of_clusters(other),
    }
}

/// Problems of answers.
fn of_answers(problem: &Problem) -> Option<Said> {
    Some(match problem {
        Problem::BodyTooLong { bytes, max } => said(
            Code::BadAnswer,
            format!("the answer has {bytes} bytes"),
            format!("at most {max}: it leaves from one buffer, with its head"),
        ),
        Problem::BodyNotAllowed { status } => said(
            Code::BadAnswer,
            format!("a response of status {status} has no body"),
            "leave `file` away",
        ),
        Problem::BadContentType { value } => {
            said(Code::BadAnswer, format!("\"{value}\" is no content type"), "rename the file")
        }
        _ => return None,
    })
}

/// Problems of clusters, and none of those that the functions above speak of.
fn of_clusters(problem: &Problem) -> Said {
    match problem {
        Problem::NothingToStickBy { address, servers } => said(
            Code::NothingToStickBy,
            match servers {
                1 => format!("the sticky cookie has no name for the server {address}"),
                more => format!("the sticky cookie has no names for {more} servers"),
            },
            "give each server an `id`, or set `sticky_secret`",
        ),
        Problem::BackoffOrder { min, max } => said(
            Code::BackoffOrder,
            format!(
                "the longest back-off, {}, is shorter than the first, {}",
                show_duration(*max),
                show_duration(*min)
            ),
            "raise `max` or lower `min`",
        ),
        // Listed, so that a new problem must be put into words before this compiles.
        Problem::OutOfRange { .. }
        | Problem::TooMany { .. }
        | Problem::ZeroDuration
        | Problem::TimeoutNotHere { .. }
        | Problem::BadAddress { .. }
        | Problem::NoBind
        | Problem::BadNetwork { .. }
        | Problem::EmptySecret
        | Problem::BadName { .. }
        | Problem::BadCookieName { .. }
        | Problem::DuplicateName { .. }
        | Problem::DuplicateBind { .. }
        | Problem::DuplicateId { .. }
        | Problem::DuplicateServer { .. }
        | Problem::DuplicateCookie { .. }
        | Problem::DuplicateField { .. }
        | Problem::UnknownListener { .. }
        | Problem::UnknownCluster { .. }
        | Problem::TiedRoutes { .. }
        | Problem::BadHost { .. }
        | Problem::BadPath { .. }
        | Problem::BadRegex { .. }
        | Problem::BadMethod { .. }
        | Problem::MethodCase { .. }
        | Problem::BadStatus { .. }
        | Problem::BadScheme { .. }
        | Problem::RedirectToItself
        | Problem::BadFieldName { .. }
        | Problem::BadFieldValue { .. }
        | Problem::ReservedField { .. }
        | Problem::FieldsTooLong { .. }
        | Problem::BodyTooLong { .. }
        | Problem::BodyNotAllowed { .. }
        | Problem::BadContentType { .. }
        | Problem::NowhereToGo
        | Problem::HttpOnly { .. }
        | Problem::TlsTwice
        | Problem::DuplicateSni { .. }
        | Problem::FromWithoutHeader
        | Problem::RouteOnTcp { .. }
        | Problem::NoTlsName { .. } => unreachable!("the functions before speak of these"),
    }
}

/// The text of the item of a list, or the key of a table, that a problem is about.
fn item(problem: &Problem) -> Option<String> {
    match problem {
        Problem::BadMethod { method } | Problem::MethodCase { method, .. } => {
            Some(method.to_string())
        }
        Problem::BadFieldName { name }
        | Problem::BadFieldValue { name }
        | Problem::ReservedField { name }
        | Problem::DuplicateField { name } => Some(name.to_string()),
        Problem::BadAddress { address, .. } | Problem::DuplicateBind { address, .. } => {
            Some(address.to_string())
        }
        Problem::BadNetwork { network } => Some(format!("{}/{}", network.addr, network.prefix)),
        Problem::BadStatus { status, .. } => Some(status.to_string()),
        Problem::DuplicateSni { name } | Problem::UnknownCluster { name } => Some(name.to_string()),
        Problem::BadHost { host, .. } => Some(host.to_string()),
        _ => None,
    }
}

fn key_of(place: &Place) -> &'static str {
    match place {
        Place::Top(key)
        | Place::Listener(_, key)
        | Place::Cluster(_, key)
        | Place::Server(_, _, key)
        | Place::Route(_, key) => key,
    }
}

fn did_you_mean<'a>(
    name: &str,
    among: impl IntoIterator<Item = &'a str>,
    otherwise: impl FnOnce() -> String,
) -> String {
    match nearest(name, among) {
        Some(known) => format!("did you mean \"{known}\"?"),
        None => otherwise(),
    }
}

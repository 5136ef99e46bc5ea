//! Routes: what they match, where they lead, which fields they edit.

use super::{Errors, Place, Problem, REDIRECT_STATUSES, SET_FIELDS_BYTES_MAX, answer_body, text};
use crate::config::{
    Config, FixedAnswer, HostPattern, Listener, PathRule, Protocol, Redirect, Route, Target,
};
use crate::route::{Expressions, ties};
use std::collections::BTreeSet;

/// Fields that frame a message or belong to one connection (RFC 9110 7.6.1): never edited.
const FRAMING_FIELDS: &[&str] = &[
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Fields of requests that the proxy itself writes or acts on (REQ-2, REQ-6, REQ-7).
const OWN_REQUEST_FIELDS: &[&str] = &[
    "expect",
    "forwarded",
    "host",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];
/// Statuses whose responses have no body (RFC 9110 6.4.1, 15.3.6).
const BODYLESS: &[u16] = &[204, 205, 304];
const STANDARD_METHODS: &[&str] =
    &["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Checks every route; bodies of answers have at most `body_max` bytes.
pub(super) fn routes(
    config: &Config,
    body_max: usize,
    expressions: &mut Expressions,
    errors: &mut Errors,
) {
    let clusters: BTreeSet<&str> = config.clusters.iter().map(|it| &*it.name).collect();
    let listeners: BTreeSet<&str> = config.listeners.iter().map(|it| &*it.name).collect();
    for (index, route) in config.routes.iter().enumerate() {
        let at = |key| Place::Route(index, key);
        if let Some(name) = &route.listener {
            errors.check(listeners.contains(&**name), at("listener"), || {
                Problem::UnknownListener { name: name.clone() }
            });
            let is_tcp = |it: &&Listener| it.name == *name && it.protocol != Protocol::Http;
            errors.check(!config.listeners.iter().any(|it| is_tcp(&it)), at("listener"), || {
                Problem::RouteOnTcp { name: name.clone() }
            });
        }
        matches(index, route, expressions, errors);
        match &route.to {
            Target::Cluster(name) => {
                errors.check(clusters.contains(&**name), at("to"), || Problem::UnknownCluster {
                    name: name.clone(),
                });
            }
            Target::Redirect(redirect) => redirects(index, redirect, errors),
            Target::Answer(answer) => answers(index, answer, body_max, errors),
        }
        set_fields(index, route, errors);
        removed_fields(index, route, errors);
    }
    for (route, with) in ties(&config.routes) {
        errors.push(Place::Route(route, ""), Problem::TiedRoutes { with });
    }
}

fn matches(index: usize, route: &Route, expressions: &mut Expressions, errors: &mut Errors) {
    let at = |key| Place::Route(index, key);
    let (HostPattern::Exact(host) | HostPattern::Wildcard(host)) = &route.host else {
        return path_and_methods(index, route, expressions, errors);
    };
    let wildcard = matches!(route.host, HostPattern::Wildcard(_));
    let bracket = wildcard && host.starts_with('[');
    let bracket = bracket.then_some("an address has no labels that `*` could stand for");
    if let Some(why) = text::bad_host(host).or(bracket) {
        errors.push(at("host"), Problem::BadHost { host: host.clone(), why });
    }
    path_and_methods(index, route, expressions, errors);
}

fn path_and_methods(
    index: usize,
    route: &Route,
    expressions: &mut Expressions,
    errors: &mut Errors,
) {
    let at = |key| Place::Route(index, key);
    let (path, key) = match &route.path {
        PathRule::Any => (None, ""),
        PathRule::Exact(path) => (Some(path), "path_exact"),
        PathRule::Prefix(path) => (Some(path), "path"),
        PathRule::Regex(pattern) => {
            if let Err(message) = expressions.get(pattern) {
                errors.push(at("path_regex"), Problem::BadRegex { message });
            }
            (None, "")
        }
    };
    if let Some(path) = path
        && let Some(why) = text::bad_path(path)
    {
        errors.push(at(key), Problem::BadPath { path: path.clone(), why });
    }
    for method in &route.methods {
        let standard = STANDARD_METHODS.iter().find(|it| it.eq_ignore_ascii_case(method));
        if !text::is_token(method) {
            errors.push(at("methods"), Problem::BadMethod { method: method.clone() });
        } else if let Some(&standard) = standard
            && standard != &**method
        {
            let method = method.clone();
            errors.push(at("methods"), Problem::MethodCase { method, standard });
        }
    }
}

fn redirects(index: usize, redirect: &Redirect, errors: &mut Errors) {
    let at = |key| Place::Route(index, key);
    let status = redirect.status;
    errors.check(REDIRECT_STATUSES.contains(&status), at("redirect.status"), || {
        Problem::BadStatus { status, allowed: REDIRECT_STATUSES }
    });
    if let Some(scheme) = &redirect.scheme {
        errors.check(matches!(&**scheme, "http" | "https"), at("redirect.scheme"), || {
            Problem::BadScheme { scheme: scheme.clone() }
        });
    }
    if let Some(host) = &redirect.host
        && let Some(why) = text::bad_authority(host)
    {
        errors.push(at("redirect.host"), Problem::BadHost { host: host.clone(), why });
    }
    if let Some(path) = &redirect.path
        && let Some(why) = text::bad_target(path)
    {
        errors.push(at("redirect.path"), Problem::BadPath { path: path.clone(), why });
    }
    if redirect.scheme.is_none() && redirect.host.is_none() && redirect.path.is_none() {
        errors.push(at("redirect"), Problem::RedirectToItself);
    }
}

fn answers(index: usize, answer: &FixedAnswer, body_max: usize, errors: &mut Errors) {
    let status = answer.status;
    errors.range(Place::Route(index, "answer.status"), usize::from(status), 200, 599);
    let Some(body) = &answer.body else { return };
    let place = Place::Route(index, "answer");
    errors.check(!BODYLESS.contains(&status), place.clone(), || Problem::BodyNotAllowed { status });
    answer_body(body, body_max, place, errors);
}

fn set_fields(index: usize, route: &Route, errors: &mut Errors) {
    let place = || Place::Route(index, "set_request_headers");
    let mut seen = BTreeSet::new();
    let mut bytes = 0;
    for (name, value) in &route.set_request_headers {
        let lower = name.to_ascii_lowercase();
        bytes += name.len() + ": ".len() + value.len() + "\r\n".len();
        if !text::is_token(name) {
            errors.push(place(), Problem::BadFieldName { name: name.clone() });
        } else if [FRAMING_FIELDS, OWN_REQUEST_FIELDS].concat().contains(&&*lower) {
            errors.push(place(), Problem::ReservedField { name: name.clone() });
        } else if !text::is_field_value(value) {
            errors.push(place(), Problem::BadFieldValue { name: name.clone() });
        }
        if !seen.insert(lower) {
            errors.push(place(), Problem::DuplicateField { name: name.clone() });
        }
    }
    let max = SET_FIELDS_BYTES_MAX;
    errors.check(bytes <= max, place(), || Problem::FieldsTooLong { bytes, max });
}

fn removed_fields(index: usize, route: &Route, errors: &mut Errors) {
    let place = || Place::Route(index, "remove_response_headers");
    let mut seen = BTreeSet::new();
    for name in &route.remove_response_headers {
        let lower = name.to_ascii_lowercase();
        if !text::is_token(name) {
            errors.push(place(), Problem::BadFieldName { name: name.clone() });
        } else if FRAMING_FIELDS.contains(&&*lower) {
            errors.push(place(), Problem::ReservedField { name: name.clone() });
        }
        if !seen.insert(lower) {
            errors.push(place(), Problem::DuplicateField { name: name.clone() });
        }
    }
}

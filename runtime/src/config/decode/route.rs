//! `[[route]]`.

use super::super::spans::Entry;
use super::listener::{answer_body, host_pattern};
use super::section::{Section, in_order};
use super::{Cx, Value};
use crate::diagnostic::Code;
use tidegate_core::config::{Config, FixedAnswer, HostPattern, PathRule, Redirect, Route, Target};

const PATHS: &[&str] = &["path", "path_exact", "path_regex"];
const TARGETS: &[&str] = &["to", "redirect", "answer"];

/// Decodes one route and adds it to `config`, unless what it matches or where it leads is
/// unknown: questions of meaning would then be asked of a route that nobody wrote.
pub(super) fn decode(cx: &mut Cx<'_>, index: usize, value: &Value<'_>, config: &mut Config) {
    let title = format!("route {}", index + 1);
    let Some(section) = cx.subsection("route[]", title, value) else { return };
    let listener = optional(&section, "listener", |value| Some(cx.string(value)?.into()));
    let host = host(cx, &section);
    let path = path(cx, &section);
    let methods = optional(&section, "methods", |value| {
        let list = cx.list(value)?;
        list.iter().map(|item| Some(cx.string(item)?.into())).collect()
    });
    let target = target(cx, &section, index);
    let set_request_headers = optional(&section, "set_request_headers", |value| {
        let table = cx.table(value)?;
        let fields = in_order(table).into_iter();
        Some(
            fields
                .filter_map(|(name, _, value)| Some((name.into(), cx.string(value)?.into())))
                .collect(),
        )
    });
    let remove_response_headers = optional(&section, "remove_response_headers", |value| {
        Some(cx.strings(value).into_iter().map(|(name, _)| name.into()).collect())
    });
    let (Some(listener), Some(host), Some(path), Some(methods), Some(to)) =
        (listener, host, path, methods, &target)
    else {
        if let (Some(Target::Cluster(name)), Some(value)) = (target, section.get("to")) {
            cx.spans.clusters_named_by_broken_routes.push((name, value.span()));
        }
        return;
    };
    cx.spans.routes.push(Entry::of(value.span(), value));
    let line = cx.line(value.span().start);
    cx.origins.route_lines.push(line);
    config.routes.push(Route {
        listener,
        host,
        path,
        methods: methods.unwrap_or_default(),
        to: to.clone(),
        set_request_headers: set_request_headers.flatten().unwrap_or_default(),
        remove_response_headers: remove_response_headers.flatten().unwrap_or_default(),
    });
}

/// `None`: the key is there and wrong. `Some(None)`: it is absent.
fn optional<'a, T>(
    section: &Section<'a>,
    key: &str,
    decode: impl FnOnce(&'a Value<'a>) -> Option<T>,
) -> Option<Option<T>> {
    match section.get(key) {
        Some(value) => decode(value).map(Some),
        None => Some(None),
    }
}

/// Which of `keys` is given, when it is one at most.
fn only_one(
    cx: &mut Cx<'_>,
    section: &Section<'_>,
    keys: &[&'static str],
) -> Option<Option<&'static str>> {
    let mut given: Vec<_> =
        keys.iter().filter_map(|key| Some((section.key_span(key)?, *key))).collect();
    given.sort_by_key(|(span, _)| span.start);
    match given.as_slice() {
        [] => Some(None),
        [(_, key)] => Some(Some(key)),
        [(first, key), (second, other), ..] => {
            let message = format!("{} has both \"{key}\" and \"{other}\"", section.title);
            cx.error(Code::Conflict, second.clone(), message, "keep one of them");
            if let Some(diagnostic) = cx.found.last_mut() {
                diagnostic.other = Some((first.clone(), format!("\"{key}\" is here")));
            }
            None
        }
    }
}

fn host(cx: &mut Cx<'_>, section: &Section<'_>) -> Option<HostPattern> {
    let Some(value) = section.get("host") else { return Some(HostPattern::Any) };
    Some(host_pattern(cx.string(value)?))
}

fn path(cx: &mut Cx<'_>, section: &Section<'_>) -> Option<PathRule> {
    let Some(key) = only_one(cx, section, PATHS)? else { return Some(PathRule::Any) };
    let text: Box<str> = cx.string(section.get(key)?)?.into();
    Some(match key {
        "path" => PathRule::Prefix(text),
        "path_exact" => PathRule::Exact(text),
        _ => PathRule::Regex(text),
    })
}

fn target(cx: &mut Cx<'_>, section: &Section<'_>, index: usize) -> Option<Target> {
    let Some(key) = only_one(cx, section, TARGETS)? else {
        let message = format!("{} leads nowhere", section.title);
        let hint = "add to = \"CLUSTER\", or `redirect`, or `answer`";
        cx.error(Code::MissingKey, section.span.clone(), message, hint);
        return None;
    };
    let value = section.get(key)?;
    match key {
        "to" => Some(Target::Cluster(cx.string(value)?.into())),
        "redirect" => redirect(cx, section, value).map(Target::Redirect),
        _ => fixed_answer(cx, section, value, index).map(Target::Answer),
    }
}

fn redirect(cx: &mut Cx<'_>, route: &Section<'_>, value: &Value<'_>) -> Option<Redirect> {
    let title = format!("the redirect of {}", route.title);
    let section = cx.subsection("route[].redirect", title, value)?;
    let status = optional(&section, "status", |value| cx.integer(value, 301, 308));
    let mut part = |key| optional(&section, key, |value| Some(cx.string(value)?.into()));
    let (scheme, host, path) = (part("scheme"), part("host"), part("path"));
    Some(Redirect { status: status?.unwrap_or(302), scheme: scheme?, host: host?, path: path? })
}

fn fixed_answer(
    cx: &mut Cx<'_>,
    route: &Section<'_>,
    value: &Value<'_>,
    index: usize,
) -> Option<FixedAnswer> {
    let title = format!("the answer of {}", route.title);
    let section = cx.subsection("route[].answer", title, value)?;
    let body = optional(&section, "file", |value| {
        answer_body(cx, &format!("route.{index}.answer.file"), value)
    });
    let Some(value) = section.get("status") else {
        cx.missing(&section, "status", "add status = 404");
        return None;
    };
    let status = cx.integer(value, 200, 599);
    Some(FixedAnswer { status: status?, body: body? })
}

//! Routing against a naive router that asks one route after the other (ROUTE-1 to ROUTE-4).

mod support;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use support::{ip, rig_of, run_of, simple_config};
use tidegate_core::config::{
    AnswerBody, Config, FixedAnswer, HostPattern, Listener, PathRule, Place, Problem, Route,
    Settings, Target,
};
use tidegate_core::route::{Outcome, Router, explain};
use tidegate_proptests::naive;

const LISTENERS: [&str; 2] = ["web", "tls"];
const HOSTS: &[&str] =
    &["*", "a.x", "b.x", "*.x", "*.a.x", "x", "*.b.a.x", "xn--e1a.x", "10.0.0.1", "[::1]"];
const ASKED_HOSTS: &[&str] = &[
    "a.x",
    "b.x",
    "c.x",
    "c.a.x",
    "c.b.a.x",
    "d.c.a.x",
    "x",
    "y",
    "xn--e1a.x",
    "10.0.0.1",
    "[::1]",
    "aax",
    "a.x.x",
];
const SEGMENTS: &[&str] = &["a", "b", "ab", "%61", "a%2Fb", ".", "..", "%2e", "", "A", "%7e", "~"];
/// An expression, and what it means.
type Expression = (&'static str, fn(&str) -> bool);

const REGEXES: &[Expression] = &[
    ("/a.*", |path| path.starts_with("/a")),
    ("/(a|b)/?", |path| ["/a", "/b", "/a/", "/b/"].contains(&path)),
    (".*b", |path| path.ends_with('b')),
    ("/[^/]*", |path| path.starts_with('/') && !path[1..].contains('/')),
];
const METHODS: &[&str] = &["GET", "PUT", "X-OWN"];

fn path() -> impl Strategy<Value = String> {
    (vec(select(SEGMENTS), 0..5), any::<bool>()).prop_map(|(segments, slash)| {
        let path: String = segments.iter().map(|it| format!("/{it}")).collect();
        if slash || path.is_empty() { path + "/" } else { path }
    })
}

fn route() -> impl Strategy<Value = Route> {
    let listener = prop_oneof![3 => Just(None), 1 => select(&LISTENERS[..]).prop_map(Some)];
    let rule = prop_oneof![
        2 => Just(PathRule::Any),
        3 => path().prop_map(|path| PathRule::Exact(path.into())),
        4 => path().prop_map(|path| PathRule::Prefix(path.into())),
        2 => select(REGEXES).prop_map(|(pattern, _)| PathRule::Regex(pattern.into())),
    ];
    let methods = prop_oneof![2 => Just(Vec::new()), 1 => vec(select(METHODS), 1..3)];
    (listener, select(HOSTS), rule, methods).prop_map(|(listener, host, path, methods)| Route {
        listener: listener.map(Into::into),
        host: match host.strip_prefix("*.") {
            Some(suffix) => HostPattern::Wildcard(suffix.into()),
            None if host == "*" => HostPattern::Any,
            None => HostPattern::Exact(host.into()),
        },
        path,
        methods: methods.into_iter().map(Into::into).collect(),
        ..Route::to_cluster("app")
    })
}

/// RFC 3986 6.2.2.2: percent-encoded unreserved characters decoded.
fn decode(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let code = rest.strip_prefix('%').and_then(|it| it.get(..2));
        let byte = code.and_then(|code| u8::from_str_radix(code, 16).ok()).map(char::from);
        match byte.filter(|it| it.is_ascii_alphanumeric() || "-._~".contains(*it)) {
            Some(decoded) => {
                out.push(decoded);
                rest = &rest[3..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

/// RFC 3986 5.2.4, step by step as it is written there.
fn remove_dot_segments(path: &str) -> String {
    let (mut input, mut output) = (path.to_string(), String::new());
    while !input.is_empty() {
        if let Some(rest) = input.strip_prefix("/./") {
            input = format!("/{rest}");
        } else if input == "/." {
            input = "/".into();
        } else if input.starts_with("/../") || input == "/.." {
            input = format!("/{}", input.get(4..).unwrap_or_default());
            output.truncate(output.rfind('/').unwrap_or(0));
        } else {
            let end = input[1..].find('/').map_or(input.len(), |at| at + 1);
            output.push_str(&input[..end]);
            input.drain(..end);
        }
    }
    output
}

fn normalised(path: &str) -> String {
    remove_dot_segments(&decode(path))
}

/// Host, path, all methods, all listeners.
type Rank = ((usize, isize), (usize, isize), bool, bool);

/// How specific a match is, the least first; `None` if the route does not match (ROUTE-1, ROUTE-2).
fn rank(
    routes: &[Route],
    index: usize,
    (listener, host, path, method): (&str, &str, &str, &str),
) -> Option<Rank> {
    let route = &routes[index];
    let host = match &route.host {
        HostPattern::Exact(name) => (**name == *host).then_some((0, 0))?,
        HostPattern::Wildcard(suffix) => {
            let label = host.strip_suffix(&**suffix)?.strip_suffix('.')?;
            (!label.is_empty() && !label.contains('.')).then_some((1, -(suffix.len() as isize)))?
        }
        HostPattern::Any => (2, 0),
    };
    let path_rank = match &route.path {
        PathRule::Exact(exact) => (normalised(exact) == path).then_some((0, 0))?,
        PathRule::Regex(pattern) => {
            let (_, matches) = REGEXES.iter().find(|it| *it.0 == **pattern).expect("ours");
            let same = |it: &Route| it.host == route.host && it.path == route.path;
            let first = routes.iter().position(same).expect("itself");
            matches(path).then_some((1, first as isize))?
        }
        PathRule::Prefix(prefix) => {
            let prefix = normalised(prefix);
            let prefix = prefix.strip_suffix('/').unwrap_or(&prefix);
            let rest = path.strip_prefix(prefix)?;
            let holds = prefix.is_empty() || rest.is_empty() || rest.starts_with('/');
            holds.then_some((2, -(prefix.len() as isize)))?
        }
        PathRule::Any => (2, 0),
    };
    let bound = route.listener.as_deref();
    let admits = bound.is_none_or(|name| name == listener)
        && (route.methods.is_empty() || route.methods.iter().any(|it| **it == *method));
    admits.then_some((host, path_rank, route.methods.is_empty(), bound.is_none()))
}

fn naive_lookup(routes: &[Route], ask: (&str, &str, &str, &str)) -> Option<usize> {
    let path = normalised(ask.2);
    let ask = (ask.0, ask.1, &*path, ask.3);
    let all = (0..routes.len()).filter_map(|index| Some((rank(routes, index, ask)?, index)));
    all.min().map(|(_, index)| index)
}

/// A configuration of `routes`, those that tie with an earlier one left out.
fn config_of(routes: Vec<Route>) -> Config {
    let mut config = simple_config();
    let listener = |(name, port)| Listener::new(name, vec![ip(port)]);
    config.listeners = LISTENERS.into_iter().zip(8080..).map(listener).collect();
    config.routes = routes;
    if let Err(errors) = Router::new(&config) {
        let mut tied: Vec<usize> = Vec::new();
        for error in errors {
            match (error.place, error.problem) {
                (Place::Route(index, ""), Problem::TiedRoutes { .. }) => tied.push(index),
                other => panic!("{other:?}"),
            }
        }
        tied.iter().rev().for_each(|&index| drop(config.routes.remove(index)));
    }
    config
}

type Ask = (usize, &'static str, String, &'static str);

fn ask() -> impl Strategy<Value = Ask> {
    (0..LISTENERS.len(), select(ASKED_HOSTS), path(), select(METHODS))
}

proptest! {
    #![proptest_config(run_of(800))]

    // ROUTE-1, ROUTE-2, ROUTE-3: whatever the number of routes of a host.
    #[test]
    fn lookups_agree_with_a_naive_router(
        routes in prop_oneof![vec(route(), 0..12), vec(route(), 0..80)],
        asks in vec(ask(), 1..40),
    ) {
        let config = config_of(routes);
        let router = Router::new(&config).expect("no ties are left");
        for (listener, host, path, method) in asks {
            let ask = (LISTENERS[listener], host, &*path, method);
            let expected = naive_lookup(&config.routes, ask);
            let (at, host) = (listener as u16, host.as_bytes());
            let (path, method) = (path.as_bytes(), method.as_bytes());
            let found = router.lookup(at, host, path, method, &mut Vec::new());
            prop_assert_eq!(found, expected, "{:?} {:#?}", ask, config.routes);
            let verdicts = explain(&config, at, host, path, method).expect("no bad expression");
            let chosen = verdicts.iter().position(|it| it.outcome == Outcome::Chosen);
            prop_assert_eq!(chosen, expected, "explain: {:?}", ask);
        }
    }

    // ROUTE-2: the order in the file decides nothing, expressions apart.
    #[test]
    fn order_decides_nothing(routes in vec(route(), 0..40), asks in vec(ask(), 1..20), by: usize) {
        let mut config = config_of(routes);
        config.routes.retain(|route| !matches!(route.path, PathRule::Regex(_)));
        let mut other = config.clone();
        let len = other.routes.len().max(1);
        other.routes.rotate_left(by % len);
        other.routes.reverse();
        let routers = [&config, &other].map(|it| Router::new(it).expect("no ties"));
        for (listener, host, path, method) in asks {
            let [one, two] = [0, 1].map(|at| {
                let (host, path) = (host.as_bytes(), path.as_bytes());
                let scratch = &mut Vec::new();
                routers[at].lookup(listener as u16, host, path, method.as_bytes(), scratch)
            });
            let (one, two) = (one.map(|it| &config.routes[it]), two.map(|it| &other.routes[it]));
            prop_assert_eq!(one, two);
        }
    }
}

/// A host as clients may write it (ROUTE-3).
fn spelled(host: &str, how: usize) -> String {
    let upper = host.to_ascii_uppercase();
    let dotted = !host.starts_with('[');
    match how {
        0 => host.into(),
        1 => upper,
        2 => format!("{host}:8080"),
        3 if dotted => format!("{host}."),
        4 if dotted => format!("{upper}.:1"),
        _ => format!("{host}:"),
    }
}

proptest! {
    #![proptest_config(run_of(200))]

    // ROUTE-1, ROUTE-3, ROUTE-4, REQ-4: the same through the proxy, however a host is written.
    #[test]
    fn requests_take_the_naive_route(
        routes in vec(route(), 0..20),
        asks in vec((ask(), 0..6_usize, any::<bool>()), 1..10),
    ) {
        let mut config = config_of(routes);
        for (index, route) in config.routes.iter_mut().enumerate() {
            let bytes = index.to_string().into_bytes().into();
            let body = Some(AnswerBody { content_type: "text/plain".into(), bytes });
            route.to = Target::Answer(FixedAnswer { status: 200, body });
        }
        let routes = config.routes.clone();
        let mut rig = rig_of(Settings::default(), config);
        let client = rig.connect();
        for ((_, host, path, method), how, absolute) in asks {
            let expected = naive_lookup(&routes, ("web", host, &path, method));
            let host = spelled(host, how);
            let request = match absolute {
                true => format!("{method} http://{host}{path} HTTP/1.1\r\nHost: other\r\n\r\n"),
                false => format!("{method} {path}?q=/../a HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            };
            rig.kernel.wire(client).from_proxy.clear();
            rig.feed(client, request.as_bytes());
            let answers = naive::responses(rig.written(client), &[], false);
            prop_assert_eq!(answers.len(), 1);
            match expected {
                None => prop_assert_eq!(answers[0].status(), 404, "{}", request),
                Some(route) => {
                    let number = String::from_utf8_lossy(&answers[0].body).into_owned();
                    prop_assert_eq!(number, route.to_string(), "{} {:#?}", request, routes);
                }
            }
        }
    }
}

use super::*;
use crate::config::{Listener, PathRule};

/// A route written as `[listener@]host path [METHOD,..]`: `=` in front of a path makes it exact, `~`
/// a regular expression, and `-` is none.
fn route(text: &str) -> Route {
    let mut words = text.split_whitespace();
    let host = words.next().unwrap();
    let (listener, host) = host.split_once('@').map_or((None, host), |(on, it)| (Some(on), it));
    let path = words.next().unwrap_or("-");
    Route {
        listener: listener.map(Into::into),
        host: match host.strip_prefix("*.") {
            Some(suffix) => HostPattern::Wildcard(suffix.into()),
            None if host == "-" => HostPattern::Any,
            None => HostPattern::Exact(host.into()),
        },
        path: match path.split_at(1) {
            ("=", path) => PathRule::Exact(path.into()),
            ("~", pattern) => PathRule::Regex(pattern.into()),
            ("-", _) => PathRule::Any,
            _ => PathRule::Prefix(path.into()),
        },
        methods: words.next().map_or(Vec::new(), |it| it.split(',').map(Into::into).collect()),
        ..Route::to_cluster("app")
    }
}

fn config(routes: &[&str]) -> Config {
    Config {
        listeners: vec![Listener::new("web", vec![]), Listener::new("tls", vec![])],
        routes: routes.iter().map(|text| route(text)).collect(),
        ..Config::default()
    }
}

/// The route of `GET http://host/path` on listener 0, by lookup and by explanation.
fn take(config: &Config, listener: u16, host: &str, path: &str, method: &str) -> Option<usize> {
    let router = Router::new(config).unwrap();
    let (host, path, method) = (host.as_bytes(), path.as_bytes(), method.as_bytes());
    let found = router.lookup(listener, host, path, method, &mut Vec::new());
    let verdicts = explain(config, listener, host, path, method).unwrap();
    let chosen: Vec<_> = verdicts.iter().filter(|it| it.outcome == Outcome::Chosen).collect();
    assert!(chosen.len() <= 1);
    assert_eq!(chosen.first().map(|it| it.route), found);
    found
}

fn get(config: &Config, host: &str, path: &str) -> Option<usize> {
    take(config, 0, host, path, "GET")
}

// ROUTE-2: exact host, longest wildcard, any; whatever the order in the file.
#[test]
fn the_more_specific_host_wins() {
    let config = config(&["-", "*.b.c", "*.c", "a.b.c"]);
    assert_eq!(get(&config, "a.b.c", "/"), Some(3));
    assert_eq!(get(&config, "x.b.c", "/"), Some(1));
    assert_eq!(get(&config, "b.c", "/"), Some(2));
    for other in ["c", "x.a.b.c", "", "a.b.cd", ".b.c.", "..b.c"] {
        assert_eq!(get(&config, other, "/"), Some(0), "{other}");
    }
    // A wildcard stands for one label, which is not empty.
    assert_eq!(get(&config, ".b.c", "/"), Some(0));
}

// ROUTE-2: among all routes that match: a host whose paths do not match does not shadow others.
#[test]
fn a_host_without_a_matching_path_falls_through() {
    let config = config(&["a.b /x", "*.b /y", "- /z", "- =/x/1 POST"]);
    assert_eq!(get(&config, "a.b", "/x/1"), Some(0));
    assert_eq!(get(&config, "a.b", "/y"), Some(1));
    assert_eq!(get(&config, "a.b", "/z"), Some(2));
    assert_eq!(get(&config, "a.b", "/"), None);
    assert_eq!(get(&config, "c", "/x"), None);
}

/// Further rules of other paths, so that a host gets an index.
fn crowded(routes: &[&str]) -> Config {
    let mut config = config(routes);
    config.routes.extend((0..FEW).map(|n| route(&format!("- /filler/{n}"))));
    config
}

// ROUTE-2: exact path, regex in file order, longest prefix.
#[test]
fn the_more_specific_path_wins() {
    let routes =
        ["- /", "- /a", "- /a/b/", "- ~/a/[b-d]+/.*", "- ~/a/b/[0-9]*", "- =/a/b/7", "- =/a"];
    for config in [config(&routes), crowded(&routes)] {
        assert_eq!(get(&config, "h", "/a/b/7"), Some(5));
        assert_eq!(get(&config, "h", "/a/b/8"), Some(3));
        assert_eq!(get(&config, "h", "/a/b/"), Some(3));
        assert_eq!(get(&config, "h", "/a/b"), Some(2));
        assert_eq!(get(&config, "h", "/a"), Some(6));
        assert_eq!(get(&config, "h", "/a/"), Some(1));
        assert_eq!(get(&config, "h", "/a/bc"), Some(1));
        assert_eq!(get(&config, "h", "/ab"), Some(0));
        assert_eq!(get(&config, "h", "*"), Some(0));
        // ROUTE-3: compared after normalisation.
        assert_eq!(get(&config, "h", "/x/../%61/b/./7"), Some(5));
    }
}

// ROUTE-2: with method before without, then bound to the listener before bound to all.
#[test]
fn methods_and_listeners_come_last() {
    let routes = ["- /a", "web@- /a", "- /a GET,PUT", "web@- /a GET", "tls@- /a/b"];
    for config in [config(&routes), crowded(&routes)] {
        assert_eq!(take(&config, 0, "h", "/a", "GET"), Some(3));
        assert_eq!(take(&config, 0, "h", "/a", "PUT"), Some(2));
        assert_eq!(take(&config, 0, "h", "/a", "get"), Some(1));
        assert_eq!(take(&config, 1, "h", "/a", "GET"), Some(2));
        assert_eq!(take(&config, 1, "h", "/a/b", "GET"), Some(4));
        assert_eq!(take(&config, 0, "h", "/a/b", "GET"), Some(3));
        assert_eq!(take(&config, 9, "h", "/a", "HEAD"), Some(0));
    }
}

// ROUTE-1: a regular expression must match the whole path.
#[test]
fn regular_expressions_are_anchored() {
    let config = config(&["- ~/a|/ab", "- ~(?i)/x/\\d+"]);
    assert_eq!(get(&config, "h", "/ab"), Some(0));
    assert_eq!(get(&config, "h", "/abc"), None);
    assert_eq!(get(&config, "h", "/x/a"), None);
    assert_eq!(get(&config, "h", "/X/12"), Some(1));
    assert_eq!(get(&config, "h", "/x/12\n"), None);
    for bad in ["(", "a)|(b", "a{1000}{1000}{1000}", r"(?x)/a # b"] {
        assert!(regex(bad).is_err(), "{bad}");
    }
}

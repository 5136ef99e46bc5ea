use super::*;
use crate::config::{Listener, PathRule};
use crate::rng::{Child, Draw};

/// A route written as `[listener@]host path [METHOD,..]`: `=` in front of a path makes it exact,
/// `~` a regular expression, and `-` is none.
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
        assert!(expressions::regex(bad).is_err(), "{bad}");
    }
}

// ROUTE-2: two routes that still tie are an error; those that no request can match both are not.
#[test]
fn ties_are_found_and_only_ties() {
    let tied = [
        ("a.b /x", "a.b /x/"),
        ("a.b /", "a.b"),
        ("- =/x", "- =/y/../x"),
        ("*.b /%61", "*.b /a"),
        ("- ~/x.*", "- ~/x.*"),
        ("- /x GET,PUT", "- /x POST,PUT"),
        ("web@- /x GET", "web@- /x GET"),
    ];
    for (first, second) in tied {
        let config = config(&[first, "other.example", second, second]);
        assert_eq!(ties(&config.routes), [(2, 0), (3, 0)], "{first} {second}");
        let errors = Router::new(&config).unwrap_err();
        let place = Place::Route(2, "");
        assert_eq!(errors[0], ConfigError { place, problem: Problem::TiedRoutes { with: 0 } });
    }
    let distinct = [
        ("a.b /x", "*.b /x"),
        ("- =/x", "- =/x/"),
        ("- =/x", "- /x"),
        ("- ~/x.*", "- ~/x.+"),
        ("- ~/x.*", "a.b ~/x.*"),
        ("- /x GET", "- /x POST"),
        ("- /x GET", "- /x"),
        ("- /x GET,GET", "- /x"),
        ("web@- /x GET", "tls@- /x GET"),
        ("web@- /x", "- /x"),
    ];
    for (first, second) in distinct {
        assert_eq!(ties(&config(&[first, second]).routes), [], "{first} {second}");
    }
}

#[test]
fn errors_of_all_routes_are_reported_at_once() {
    let errors = Router::new(&config(&["- ~(", "gone@-", "- ~["])).unwrap_err();
    let places: Vec<_> = errors.into_iter().map(|error| error.place).collect();
    let expected = [(1, "listener"), (0, "path_regex"), (2, "path_regex")];
    assert_eq!(places, expected.map(|(route, key)| Place::Route(route, key)));
}

// `tidegate route`: the first thing that stands against each route.
#[test]
fn explanations_tell_why_the_others_lost() {
    let routes = [
        "web@a.b /x GET",
        "a.b /x GET",
        "web@a.b /x",
        "a.b",
        "*.b =/x/y",
        "- ~/x/.*",
        "tls@a.b =/x/y",
        "c.d",
        "a.b =/x",
        "a.b /x/y PUT",
    ];
    let verdicts = explain(&config(&routes), 0, b"a.b", b"/./x/y", b"GET").unwrap();
    let outranked = |rank| Outcome::Outranked { by: 0, rank };
    let expected = [
        Outcome::Chosen,
        outranked(Rank::Listener),
        outranked(Rank::Method),
        outranked(Rank::Path),
        outranked(Rank::Host),
        outranked(Rank::Host),
        Outcome::OtherListener,
        Outcome::OtherHost,
        Outcome::OtherPath,
        Outcome::OtherMethod,
    ];
    assert!(verdicts.iter().enumerate().all(|(index, verdict)| verdict.route == index));
    let outcomes: Vec<_> = verdicts.iter().map(|verdict| verdict.outcome).collect();
    assert_eq!(outcomes, expected);
    assert_eq!(explain(&config(&["- ~("]), 0, b"", b"/", b"GET").unwrap_err().place.clone(), {
        Place::Route(0, "path_regex")
    });
}

/// ROUTE-2 said once more, by asking every route: written apart from the router, and for the
/// plain paths of the test below alone.
fn naive(config: &Config, listener: &str, host: &str, path: &str, method: &str) -> Option<usize> {
    let rank = |(index, route): (usize, &Route)| {
        let host = match &route.host {
            HostPattern::Exact(name) if **name == *host => 0,
            HostPattern::Wildcard(suffix) if host.split_once('.')?.1 == &**suffix => 1,
            HostPattern::Any => 2,
            _ => return None,
        };
        let path = match &route.path {
            PathRule::Any => (2, 0),
            PathRule::Exact(exact) if **exact == *path => (0, 0),
            PathRule::Prefix(prefix) => {
                let prefix = prefix.trim_end_matches('/');
                let (above, below) = (format!("{prefix}/"), format!("{path}/"));
                below.starts_with(&above).then_some((2, -(prefix.len() as isize)))?
            }
            PathRule::Regex(pattern) => {
                let same = |other: &Route| other.path == route.path && other.host == route.host;
                let first = config.routes.iter().position(same).unwrap();
                let rest = path.strip_prefix(pattern.strip_suffix(".*").unwrap());
                rest.is_some().then_some((1, first as isize))?
            }
            PathRule::Exact(_) => return None,
        };
        let bound = route.listener.as_deref();
        let methods = &route.methods;
        let admitted = bound.is_none_or(|name| name == listener)
            && (methods.is_empty() || methods.iter().any(|it| **it == *method));
        admitted.then_some(((host, path, methods.is_empty(), bound.is_none()), index))
    };
    config.routes.iter().enumerate().filter_map(rank).min().map(|(_, index)| index)
}

fn pick<'a>(rng: &mut Child, of: &[&'a str]) -> &'a str {
    of[rng.below(of.len() as u64) as usize]
}

fn random_path(rng: &mut Child) -> String {
    let segments = rng.below(4);
    let path: String = (0..segments).map(|_| pick(rng, &["/a", "/b", "/ab"])).collect();
    let slash = if path.is_empty() || rng.below(4) == 0 { "/" } else { "" };
    path + slash
}

// ROUTE-2: with few rules and with many, lookup, explanation and the naive router agree.
#[test]
fn lookups_agree_with_a_naive_router() {
    const HOSTS: [&str; 6] = ["-", "a.x", "b.x", "*.x", "*.a.x", "x"];
    let mut rng = Child::new(2024);
    let (mut found, mut crowded) = (0, 0);
    for round in 0..300 {
        let mut config = config(&[]);
        for _ in 0..1 + rng.below(60) {
            let listener = pick(&mut rng, &["", "", "", "web@", "tls@"]);
            let host = pick(&mut rng, &HOSTS[..1 + round % 6]);
            let path = random_path(&mut rng);
            let path = match rng.below(8) {
                0 => "-".to_string(),
                1 | 2 => format!("={path}"),
                3 => format!("~{path}.*"),
                _ => path,
            };
            let methods = pick(&mut rng, &["", "", "GET", "PUT", "GET,PUT"]);
            config.routes.push(route(&format!("{listener}{host} {path} {methods}")));
        }
        let tied: Vec<usize> = ties(&config.routes).iter().map(|(route, _)| *route).collect();
        tied.into_iter().rev().for_each(|route| drop(config.routes.remove(route)));
        let router = Router::new(&config).unwrap();
        crowded += router.parts.many.len();
        let mut scratch = Vec::new();
        for _ in 0..60 {
            let host = pick(&mut rng, &["a.x", "b.x", "c.x", "c.a.x", "x", "", "y"]);
            let path = random_path(&mut rng);
            let method = pick(&mut rng, &["GET", "PUT", "POST"]);
            let listener = rng.below(2) as u16;
            let name = ["web", "tls"][usize::from(listener)];
            let (at, as_) = (host.as_bytes(), method.as_bytes());
            let lookup = router.lookup(listener, at, path.as_bytes(), as_, &mut scratch);
            let expected = naive(&config, name, host, &path, method);
            assert_eq!(lookup, expected, "{name} {method} {host}{path}\n{:#?}", config.routes);
            let verdicts = explain(&config, listener, at, path.as_bytes(), as_).unwrap();
            let chosen = verdicts.iter().position(|it| it.outcome == Outcome::Chosen);
            assert_eq!(chosen, expected);
            found += usize::from(expected.is_some());
        }
    }
    assert!(found > 5_000 && crowded > 200, "{found} {crowded}");
}

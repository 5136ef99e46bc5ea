use super::*;
use crate::config::Listener;
use crate::config::{
    Cluster, FixedAnswer, HostPattern, Network, PathRule, Redirect, Route, Server, Target,
};
use crate::input::Address;

fn ip(text: &str) -> Address {
    Address::Ip(text.parse().unwrap())
}

/// A valid configuration with a bit of everything.
fn good() -> Config {
    let mut a = Server::new(ip("10.0.0.1:80"));
    a.id = Some("a".into());
    let mut app = Cluster::new("app", vec![a, Server::new(Address::Unix("/run/b".into()))]);
    app.sticky = Some("tg_app".into());
    app.timeouts.connect = Some(Duration::from_secs(1));
    let mut web = Listener::new("web", vec![ip("0.0.0.0:80"), ip("[::]:80")]);
    web.timeouts.drain = Some(Duration::from_secs(1));
    web.answers.insert(503, body("busy"));
    let mut route = Route::to_cluster("app");
    route.host = HostPattern::Wildcard("example.com".into());
    route.methods = vec!["GET".into(), "PURGE".into()];
    route.set_request_headers = vec![("X-Env".into(), "prod \t é".into())];
    route.remove_response_headers = vec!["Server".into(), "Set-Cookie".into()];
    Config {
        listeners: vec![web, Listener::new("tls", vec![ip("127.0.0.1:0"), ip("127.0.0.1:0")])],
        clusters: vec![app, Cluster::new("empty", vec![])],
        routes: vec![route, Route::to_cluster("empty")],
        trusted_proxies: vec![network("10.0.0.0", 8), network("::", 0)],
        sticky_secret: Some(b"secret".to_vec()),
        ..Config::default()
    }
}

fn network(addr: &str, prefix: u8) -> Network {
    Network { addr: addr.parse().unwrap(), prefix }
}

fn body(text: &str) -> AnswerBody {
    AnswerBody { content_type: "text/plain".into(), bytes: text.as_bytes().into() }
}

/// The errors of the good configuration after `spoil`.
fn after(spoil: impl FnOnce(&mut Config)) -> Vec<ConfigError> {
    let mut config = good();
    spoil(&mut config);
    validate(&config, &Settings::default())
}

/// Asserts that `spoil` brings in exactly one error.
#[track_caller]
fn one(place: Place, problem: Problem, spoil: impl FnOnce(&mut Config)) {
    assert_eq!(after(spoil), [ConfigError { place, problem }]);
}

/// Asserts that `spoil` brings in exactly one error, at `place`.
#[track_caller]
fn at(place: Place, spoil: impl FnOnce(&mut Config)) -> Problem {
    let mut errors = after(spoil);
    assert_eq!(errors.iter().map(|error| &error.place).collect::<Vec<_>>(), [&place], "{errors:?}");
    errors.remove(0).problem
}

fn out_of_range(value: u64, min: u64, max: u64) -> Problem {
    Problem::OutOfRange { value, min, max }
}

#[test]
fn good_configurations_pass() {
    assert_eq!(after(|_| ()), []);
    assert_eq!(validate(&Config::default(), &Settings::default()), []);
}

// RUN-1: every error is reported at once, in order.
#[test]
fn all_errors_are_reported_at_once() {
    let mut config = good();
    config.routes[1].to = Target::Cluster("ap".into());
    config.clusters[0].fall = 0;
    config.listeners[0].binds.clear();
    config.limits.fields_max = 0;
    let settings = Settings { max_connections: 0, ..Settings::default() };
    let places = [
        Place::Top("max_connections"),
        Place::Top("limits.fields"),
        Place::Listener(0, "bind"),
        Place::Cluster(0, "fall"),
        Place::Route(1, "to"),
    ];
    let errors = validate(&config, &settings);
    assert_eq!(errors.into_iter().map(|error| error.place).collect::<Vec<_>>(), places);
}

#[test]
fn settings_have_ranges() {
    type Spoil = fn(&mut Settings);
    let cases: [(&'static str, Spoil); 9] = [
        ("max_connections", |it| it.max_connections = 0),
        ("accept_queue.capacity", |it| it.accept_queue_capacity = 0),
        ("accept_queue.max_wait", |it| it.accept_queue_max_wait = Duration::ZERO),
        ("buffers.count", |it| it.buffers_max = 1),
        ("buffers.count", |it| it.buffers_max = 0),
        ("buffers.size", |it| it.buffer_bytes = 2 << 20),
        ("limits.head", |it| it.buffer_bytes = 8 << 10),
        ("zombie_check_interval", |it| it.zombie_check_interval = Duration::ZERO),
        ("max_session_age", |it| it.max_session_age = Some(Duration::ZERO)),
    ];
    for (key, spoil) in cases {
        let mut settings = Settings::default();
        spoil(&mut settings);
        let errors = validate(&good(), &settings);
        let places: Vec<_> = errors.iter().map(|error| error.place.clone()).collect();
        assert_eq!(places, [Place::Top(key)]);
    }
    let least = Settings { max_connections: 1, buffers_max: 2, ..Settings::default() };
    assert_eq!(validate(&good(), &least), []);
}

// REQ-3
#[test]
fn limits_have_ranges() {
    let head = Place::Top("limits.head");
    one(head, out_of_range(16_385, 1024, 16_384), |it| it.limits.head_bytes = 16_385);
    one(Place::Top("limits.fields"), out_of_range(257, 1, 256), |it| it.limits.fields_max = 257);
    one(Place::Top("limits.target"), out_of_range(1025, 1, 1024), |it| {
        (it.limits.head_bytes, it.limits.target_bytes) = (1024, 1025);
    });
    let limits = |it: &mut Config| (it.limits.head_bytes, it.limits.target_bytes) = (1023, 1);
    one(Place::Top("limits.head"), out_of_range(1023, 1024, 16_384), limits);
}

// SES-3: no timer is zero, and overrides stand where they apply.
#[test]
fn timeouts_are_positive_and_in_their_place() {
    for name in Timeouts::NAMES {
        one(Place::Top(name), Problem::ZeroDuration, |it| {
            _ = it.timeouts.set(name, Duration::ZERO)
        });
        let of_listener = Timeouts::OF_LISTENER.contains(name);
        let problem = |applicable| Problem::TimeoutNotHere { timeout: name, applicable };
        let errors = after(|it| _ = it.listeners[1].timeouts.set(name, Duration::from_secs(1)));
        let place = Place::Listener(1, name);
        let wrong = ConfigError { place, problem: problem(Timeouts::OF_LISTENER) };
        assert_eq!(errors, if of_listener { vec![] } else { vec![wrong] });
        let errors = after(|it| _ = it.clusters[1].timeouts.set(name, Duration::from_secs(1)));
        let place = Place::Cluster(1, name);
        let wrong = ConfigError { place, problem: problem(Timeouts::OF_CLUSTER) };
        assert_eq!(errors, if of_listener { vec![wrong] } else { vec![] });
    }
    one(Place::Listener(0, "linger"), Problem::ZeroDuration, |it| {
        it.listeners[0].timeouts.linger = Some(Duration::ZERO);
    });
}

#[test]
fn names_are_plain_and_unique() {
    for bad in ["", "a b", "é", "a/b", &"x".repeat(65)] {
        let problem = || Problem::BadName { name: bad.into() };
        one(Place::Listener(1, ""), problem(), |it| it.listeners[1].name = bad.into());
        one(Place::Server(0, 0, "id"), problem(), |it| {
            it.clusters[0].servers[0].id = Some(bad.into());
        });
        one(Place::Cluster(1, ""), problem(), |it| {
            it.clusters[1].name = bad.into();
            it.routes.pop();
        });
    }
    let duplicate = |name: &str| Problem::DuplicateName { name: name.into(), first: 0 };
    one(Place::Listener(1, ""), duplicate("web"), |it| it.listeners[1].name = "web".into());
    one(Place::Cluster(1, ""), duplicate("app"), |it| {
        it.clusters[1].name = "app".into();
        it.routes.pop();
    });
    assert_eq!(after(|it| it.listeners[1].name = "A.b_c-9".into()), []);
}

#[test]
fn listeners_bind_good_addresses_once() {
    one(Place::Listener(0, "bind"), Problem::NoBind, |it| it.listeners[0].binds.clear());
    for address in [ip("[::]:80"), Address::Unix("/run/x".into())] {
        let problem = Problem::DuplicateBind { address: address.clone(), first: 0 };
        one(Place::Listener(1, "bind"), problem, |it| {
            it.listeners[0].binds.push(Address::Unix("/run/x".into()));
            it.listeners[1].binds.push(address);
        });
    }
    let problem = Problem::DuplicateBind { address: ip("1.2.3.4:5"), first: 1 };
    one(Place::Listener(1, "bind"), problem, |it| {
        it.listeners[1].binds = vec![ip("1.2.3.4:5"), ip("1.2.3.4:5")];
    });
    for path in ["", &"x".repeat(108), "a\0b"] {
        let problem = at(Place::Listener(0, "bind"), |it| {
            it.listeners[0].binds.push(Address::Unix(path.into()));
        });
        assert!(matches!(problem, Problem::BadAddress { .. }), "{problem:?}");
    }
    let backlog = Place::Listener(0, "backlog");
    one(backlog, out_of_range(0, 1, i32::MAX as u64), |it| it.listeners[0].backlog = 0);
    let problem = at(Place::Listener(LISTENERS_MAX, ""), |it| {
        let more =
            (0..LISTENERS_MAX - 1).map(|n| Listener::new(&n.to_string(), vec![ip("[::]:0")]));
        it.listeners.extend(more);
    });
    assert_eq!(problem, Problem::TooMany { max: LISTENERS_MAX });
}

// RES-7
#[test]
fn answers_replace_default_ones_and_fit_a_buffer() {
    let listener = Place::Listener(0, "answers");
    let status = Problem::BadStatus { status: 200, allowed: ANSWER_STATUSES };
    one(listener.clone(), status, |it| _ = it.listeners[0].answers.insert(200, body("x")));
    let long = "x".repeat(ANSWER_BYTES_MAX + 1);
    let problem = Problem::BodyTooLong { bytes: long.len(), max: ANSWER_BYTES_MAX };
    let place = Place::Cluster(1, "answers");
    one(place, problem, |it| _ = it.clusters[1].answers.insert(502, body(&long)));
    for content_type in ["", "text/html\r\nX: y", " a", &"x".repeat(257)] {
        let problem = Problem::BadContentType { value: content_type.into() };
        one(listener.clone(), problem, |it| {
            let bytes = [].into();
            let body = AnswerBody { content_type: content_type.into(), bytes };
            it.listeners[0].answers.insert(404, body);
        });
    }
    // A small buffer leaves less room.
    let mut config = good();
    (config.limits.head_bytes, config.limits.target_bytes) = (2048, 1024);
    config.listeners[0].answers.insert(400, body(&"x".repeat(1025)));
    let settings = Settings { buffer_bytes: 2048, ..Settings::default() };
    let problem = Problem::BodyTooLong { bytes: 1025, max: 1024 };
    assert_eq!(validate(&config, &settings), [ConfigError { place: listener, problem }]);
}

#[test]
fn top_level_keys_make_sense() {
    let networks = [("10.0.0.0", 33), ("::", 129), ("::ffff:10.0.0.0", 104)];
    for (addr, prefix) in networks {
        let network = network(addr, prefix);
        one(Place::Top("trusted_proxies"), Problem::BadNetwork { network }, |it| {
            it.trusted_proxies.push(network);
        });
    }
    one(Place::Top("sticky_secret"), Problem::EmptySecret, |it| it.sticky_secret = Some(vec![]));
}

#[test]
fn servers_are_distinct_and_reachable() {
    let duplicate = |it: &mut Config, server: Server| it.clusters[0].servers.push(server);
    let address = ip("10.0.0.1:80");
    let problem = Problem::DuplicateServer { address: address.clone(), first: 0 };
    one(Place::Server(0, 2, "addr"), problem, |it| duplicate(it, Server::new(address)));
    let problem = Problem::DuplicateId { id: "a".into(), first: 0 };
    let same_id = Server { id: Some("a".into()), ..Server::new(ip("10.0.0.9:80")) };
    one(Place::Server(0, 2, "id"), problem, |it| duplicate(it, same_id));
    for addr in [ip("10.0.0.1:0"), Address::Unix("".into())] {
        let problem = at(Place::Server(0, 2, "addr"), |it| duplicate(it, Server::new(addr)));
        assert!(matches!(problem, Problem::BadAddress { .. }), "{problem:?}");
    }
    for weight in [0, 257] {
        let place = Place::Server(0, 1, "weight");
        let problem = out_of_range(u64::from(weight), 1, 256);
        one(place, problem, |it| it.clusters[0].servers[1].weight = weight);
    }
    let problem = at(Place::Cluster(1, "servers"), |it| {
        let server = |n| Server::new(Address::Unix(format!("/run/{n}").into()));
        it.clusters[1].servers = (0..=SERVERS_MAX).map(server).collect();
    });
    assert_eq!(problem, Problem::TooMany { max: SERVERS_MAX });
}

// BACK-4, BACK-8
#[test]
fn clusters_can_stick_and_back_off() {
    let sticky = Place::Cluster(0, "sticky");
    let address = Address::Unix("/run/b".into());
    let problem = Problem::NothingToStickBy { address, servers: 1 };
    one(sticky.clone(), problem, |it| it.sticky_secret = None);
    assert_eq!(
        after(|it| {
            it.sticky_secret = None;
            it.clusters[0].servers[1].id = Some("b".into());
        }),
        []
    );
    for name in ["", "a b", "a;", "é"] {
        let problem = Problem::BadCookieName { name: name.into() };
        one(sticky.clone(), problem, |it| it.clusters[0].sticky = Some(name.into()));
    }
    let problem = Problem::DuplicateCookie { name: "tg_app".into(), first: 0 };
    let place = Place::Cluster(1, "sticky");
    one(place, problem, |it| it.clusters[1].sticky = Some("tg_app".into()));
    let (min, max) = (Duration::from_secs(61), Duration::from_secs(60));
    let problem = Problem::BackoffOrder { min, max };
    one(Place::Cluster(1, "backoff.max"), problem, |it| it.clusters[1].backoff_min = min);
    let place = Place::Cluster(1, "backoff.min");
    one(place, Problem::ZeroDuration, |it| it.clusters[1].backoff_min = Duration::ZERO);
    let place = Place::Cluster(1, "fall");
    one(place, out_of_range(0, 1, u64::from(u32::MAX)), |it| it.clusters[1].fall = 0);
}

// ROUTE-1
#[test]
fn routes_lead_somewhere() {
    let problem = Problem::UnknownCluster { name: "ap".into() };
    one(Place::Route(0, "to"), problem, |it| it.routes[0].to = Target::Cluster("ap".into()));
    let problem = Problem::UnknownListener { name: "wbe".into() };
    one(Place::Route(1, "listener"), problem, |it| it.routes[1].listener = Some("wbe".into()));
    one(Place::Route(2, ""), Problem::TiedRoutes { with: 1 }, |it| {
        it.routes.push(Route { path: PathRule::Prefix("/".into()), ..it.routes[1].clone() });
    });
}

// ROUTE-3
#[test]
fn hosts_are_canonical() {
    let long = "x".repeat(64);
    let bad = [
        "",
        "A.b",
        "a.b.",
        ".a",
        "a..b",
        "a:80",
        "*.a",
        "a b",
        "é.example",
        "[::1",
        "[a]",
        "[::01]",
        "[::1]:80",
        &long,
    ];
    for host in bad {
        for pattern in [HostPattern::Exact(host.into()), HostPattern::Wildcard(host.into())] {
            let problem = at(Place::Route(1, "host"), |it| it.routes[1].host = pattern);
            let Problem::BadHost { host: named, .. } = problem else { panic!("{problem:?}") };
            assert_eq!(&*named, host);
        }
    }
    for host in
        ["localhost", "1.2.3.4", "[::1]", "[2001:db8::a]", "xn--bcher-kva.example", "_a.b-c"]
    {
        assert_eq!(after(|it| it.routes[1].host = HostPattern::Exact(host.into())), [], "{host}");
    }
    let problem = at(Place::Route(1, "host"), |it| {
        it.routes[1].host = HostPattern::Wildcard("[::1]".into());
    });
    assert!(matches!(problem, Problem::BadHost { .. }));
}

#[test]
fn paths_and_methods_can_match_something() {
    for path in ["", "a", "*", "/a b", "/é", "/a?b", "/a#b", "/a\n"] {
        let rules =
            [("path_exact", PathRule::Exact(path.into())), ("path", PathRule::Prefix(path.into()))];
        for (key, rule) in rules {
            let problem = at(Place::Route(1, key), |it| it.routes[1].path = rule);
            assert!(matches!(problem, Problem::BadPath { .. }), "{problem:?}");
        }
    }
    let problem = at(Place::Route(1, "path_regex"), |it| {
        it.routes[1].path = PathRule::Regex("/a(".into());
    });
    let Problem::BadRegex { message } = problem else { panic!("{problem:?}") };
    assert!(message.contains("unclosed group"), "{message}");
    let methods = |method: &str| {
        let methods = vec!["GET".into(), method.into()];
        at(Place::Route(1, "methods"), |it| it.routes[1].methods = methods)
    };
    assert_eq!(methods("A B"), Problem::BadMethod { method: "A B".into() });
    assert_eq!(methods(""), Problem::BadMethod { method: "".into() });
    let problem = Problem::MethodCase { method: "Post".into(), standard: "POST" };
    assert_eq!(methods("Post"), problem);
}

// ROUTE-1
#[test]
fn redirects_lead_elsewhere() {
    let spoil = |status, scheme: Option<&str>, host: Option<&str>, path: Option<&str>| {
        let [scheme, host, path] = [scheme, host, path].map(|it| it.map(Into::into));
        let to = Target::Redirect(Redirect { status, scheme, host, path });
        after(|it| it.routes[1].to = to)
    };
    let bad = [
        ("redirect", spoil(301, None, None, None)),
        ("redirect.status", spoil(303, Some("https"), None, None)),
        ("redirect.scheme", spoil(301, Some("ftp"), None, None)),
        ("redirect.host", spoil(301, None, Some("a b"), None)),
        ("redirect.host", spoil(301, None, Some("a:0"), None)),
        ("redirect.host", spoil(301, None, Some("a:+1"), None)),
        ("redirect.host", spoil(301, None, Some("[::1]:x"), None)),
        ("redirect.path", spoil(301, None, None, Some("a"))),
        ("redirect.path", spoil(301, None, None, Some("/\r\nX: y"))),
    ];
    for (key, errors) in bad {
        let places: Vec<_> = errors.iter().map(|error| error.place.clone()).collect();
        assert_eq!(places, [Place::Route(1, key)], "{errors:?}");
    }
    for status in REDIRECT_STATUSES {
        for host in ["Example.com", "a:8443", "[::1]", "[::1]:443"] {
            assert_eq!(spoil(*status, Some("https"), Some(host), Some("/x?y#z")), []);
        }
    }
}

#[test]
fn fixed_answers_are_legal_responses() {
    let spoil = |status, text: Option<&str>| {
        let to = Target::Answer(FixedAnswer { status, body: text.map(body) });
        after(|it| it.routes[1].to = to)
    };
    for status in [100, 199, 600] {
        let problem = out_of_range(u64::from(status), 200, 599);
        let place = Place::Route(1, "answer.status");
        assert_eq!(spoil(status, None), [ConfigError { place, problem }]);
    }
    let error = |problem| [ConfigError { place: Place::Route(1, "answer"), problem }];
    for status in [204, 205, 304] {
        assert_eq!(spoil(status, None), []);
        assert_eq!(spoil(status, Some("x")), error(Problem::BodyNotAllowed { status }));
    }
    let (bytes, max) = (ANSWER_BYTES_MAX + 1, ANSWER_BYTES_MAX);
    let problem = Problem::BodyTooLong { bytes, max };
    assert_eq!(spoil(200, Some(&"x".repeat(bytes))), error(problem));
    assert_eq!(spoil(200, Some(&"x".repeat(max))), []);
}

// REQ-5, REQ-6
#[test]
fn edited_fields_are_the_operators_own() {
    let set = |fields: &[(&str, &str)]| {
        let fields = fields.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        after(|it| it.routes[1].set_request_headers = fields)
    };
    let place = Place::Route(1, "set_request_headers");
    let error = |problem| [ConfigError { place: place.clone(), problem }];
    for name in ["", "a b", "a:", "é", &"x".repeat(65)] {
        assert_eq!(set(&[(name, "v")]), error(Problem::BadFieldName { name: name.into() }));
    }
    let own =
        ["Host", "content-length", "Transfer-Encoding", "TE", "Via", "X-Request-ID", "Expect"];
    for name in own {
        assert_eq!(set(&[(name, "v")]), error(Problem::ReservedField { name: name.into() }));
    }
    for value in ["a\r\nb: c", "a\0", " a", "a\t", "\x7f"] {
        assert_eq!(set(&[("a", value)]), error(Problem::BadFieldValue { name: "a".into() }));
    }
    let problem = Problem::DuplicateField { name: "x-a".into() };
    assert_eq!(set(&[("X-A", "1"), ("x-a", "")]), error(problem));
    // Name, colon, space, value and line end count.
    assert_eq!(set(&[("x-a", &"v".repeat(SET_FIELDS_BYTES_MAX - 7))]), []);
    let (bytes, max) = (SET_FIELDS_BYTES_MAX + 1, SET_FIELDS_BYTES_MAX);
    let problem = Problem::FieldsTooLong { bytes, max };
    assert_eq!(set(&[("x-a", &"v".repeat(bytes - 7))]), error(problem));

    let removed = |name: &str| after(|it| it.routes[0].remove_response_headers.push(name.into()));
    let error =
        |problem| [ConfigError { place: Place::Route(0, "remove_response_headers"), problem }];
    assert_eq!(removed("a b"), error(Problem::BadFieldName { name: "a b".into() }));
    for name in ["Content-Length", "connection", "Upgrade"] {
        assert_eq!(removed(name), error(Problem::ReservedField { name: name.into() }));
    }
    assert_eq!(removed("server"), error(Problem::DuplicateField { name: "server".into() }));
    assert_eq!(removed("Date"), []);
}

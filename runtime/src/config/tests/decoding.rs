//! What a file becomes.

use super::super::{Level, LogConfig, LogFormat, Sink, demo_config, from_str, quick_config};
use super::{SITE, codes, load, try_load};
use crate::diagnostic::Code;
use crate::tls::Memory;
use std::time::Duration;
use tidegate_core::config::{
    Balance, Cluster, Config, HostPattern, Listener, PathRule, Redirect, Reuse, Route, Server,
    Settings, Target,
};
use tidegate_core::input::Address;

fn ip(text: &str) -> Address {
    Address::Ip(text.parse().unwrap())
}

#[test]
fn a_minimal_site_has_every_default() {
    let loaded = load(SITE);
    let config = Config {
        listeners: vec![Listener::new("web", vec![ip("127.0.0.1:8080")])],
        clusters: vec![Cluster::new("app", vec![Server::new(ip("127.0.0.1:9001"))])],
        routes: vec![Route::to_cluster("app")],
        ..Config::default()
    };
    assert_eq!(loaded.config, config);
    assert_eq!(loaded.settings, Settings::default());
    assert_eq!(loaded.log, LogConfig::default());
    assert_eq!(loaded.warnings, []);
}

#[test]
fn the_top_of_the_file() {
    let loaded = load(&format!(
        "workers = 3
max_connections = 20_000
zombie_check_interval = \"5s\"
max_session_age = \"1d\"
trusted_proxies = [\"10.0.0.0/8\", \"::1\"]
sticky_secret = \"file:key\"
forwarded = true
accept_queue = {{ capacity = 7, max_wait = \"3s\", evict_idle = true }}
buffers = {{ size = \"32KiB\", count = 99 }}
limits = {{ head = \"8KiB\", fields = 50, target = \"4KiB\" }}
timeouts.request_head = \"1s\"
timeouts.drain = \"2m\"
log = {{ access = \"logs/access.log\", format = \"text\", level = \"debug\" }}
{SITE}"
    ));
    assert_eq!(loaded.workers, 3);
    let settings = Settings {
        max_connections: 20_000,
        accept_queue_capacity: 7,
        accept_queue_max_wait: Duration::from_secs(3),
        accept_queue_evict_idle: true,
        buffer_bytes: 32 << 10,
        buffers_max: 99,
        zombie_check_interval: Duration::from_secs(5),
        max_session_age: Some(Duration::from_secs(86_400)),
        access_records: true,
        worker: (0, 1),
    };
    assert_eq!(loaded.settings, settings);
    let config = &loaded.config;
    assert_eq!(config.trusted_proxies.len(), 2);
    assert_eq!(config.sticky_secret.as_deref(), Some(&b"a secret of 24 bytes...."[..]));
    assert!(config.forwarded);
    assert_eq!(config.limits.head_bytes, 8 << 10);
    assert_eq!(config.limits.fields_max, 50);
    assert_eq!(config.limits.target_bytes, 4 << 10);
    assert_eq!(config.timeouts.request_head, Duration::from_secs(1));
    assert_eq!(config.timeouts.drain, Duration::from_secs(120));
    assert_eq!(config.timeouts.connect, Duration::from_secs(3));
    let log = LogConfig {
        access: Sink::File("/etc/tg/logs/access.log".into()),
        format: LogFormat::Text,
        level: Level::Debug,
    };
    assert_eq!(loaded.log, log);
}

#[test]
fn without_access_log_the_core_makes_no_records() {
    assert!(load(SITE).settings.access_records);
    assert!(!load(&format!("log.access = \"off\"\n{SITE}")).settings.access_records);
}

#[test]
fn secrets_come_from_the_environment_too() {
    let loaded = load(&format!("sticky_secret = \"env:STICKY\"\n{SITE}"));
    assert_eq!(loaded.config.sticky_secret.as_deref(), Some(&b"from the environment"[..]));
    assert_eq!(loaded.origins.sticky_secret.as_deref(), Some("env:STICKY"));
}

#[test]
fn listeners_keep_the_order_of_the_file() {
    let loaded = load(
        "[listener.zebra]
bind = [\"0.0.0.0:80\", \"[::]:80\", \"unix:/run/tg\"]
max_body = \"10MiB\"
abort_on_close = true
backlog = 16
timeouts = { keep_alive = \"5s\" }
answers = { 503 = \"503.html\", 404 = \"404.json\" }
[listener.ant]
bind = \"127.0.0.1:1\"
",
    );
    let [zebra, ant] = &*loaded.config.listeners else { panic!("{:?}", loaded.config.listeners) };
    assert_eq!((&*zebra.name, &*ant.name), ("zebra", "ant"));
    assert_eq!(zebra.binds.len(), 3);
    assert_eq!(zebra.max_body, Some(10 << 20));
    assert!(zebra.abort_on_close);
    assert_eq!(zebra.backlog, 16);
    assert_eq!(zebra.timeouts.keep_alive, Some(Duration::from_secs(5)));
    assert_eq!(zebra.timeouts.request_head, None);
    assert_eq!(&*zebra.answers[&503].bytes, b"<p>later</p>");
    assert_eq!(&*zebra.answers[&503].content_type, "text/html; charset=utf-8");
    assert_eq!(&*zebra.answers[&404].content_type, "application/json");
}

#[test]
fn a_cluster_with_every_key() {
    let loaded = load(
        "[listener.web]
bind = \"127.0.0.1:1\"
[cluster.app]
servers = [
  { addr = \"127.0.0.1:9001\", id = \"a\", weight = 256, backup = true, drained = true },
  { addr = \"unix:/run/b\", id = \"b\" },
]
balance = \"least-connections\"
sticky = { cookie = \"SRV\" }
reuse = \"never\"
idle_per_server = 0
fall = 9
backoff = { min = \"10ms\", max = \"5s\" }
timeouts = { connect = \"1s\" }
answers = { 503 = \"503.html\" }
",
    );
    let cluster = &loaded.config.clusters[0];
    let first = Server {
        addr: ip("127.0.0.1:9001"),
        id: Some("a".into()),
        weight: 256,
        backup: true,
        drained: true,
        max_connections: None,
        tls_name: None,
    };
    assert_eq!(cluster.servers[0], first);
    assert_eq!(cluster.servers[1].addr, Address::Unix("/run/b".into()));
    assert_eq!(cluster.balance, Balance::LeastConnections);
    assert_eq!(cluster.sticky.as_deref(), Some("SRV"));
    assert_eq!(cluster.reuse, Reuse::Never);
    assert_eq!(cluster.idle_per_server, 0);
    assert_eq!(cluster.fall, 9);
    assert_eq!(cluster.backoff_min, Duration::from_millis(10));
    assert_eq!(cluster.backoff_max, Duration::from_secs(5));
    assert_eq!(cluster.timeouts.connect, Some(Duration::from_secs(1)));
    assert_eq!(cluster.answers.len(), 1);
}

#[test]
fn words_of_balance() {
    // BACK-1
    for (word, balance) in [
        ("round-robin", Balance::RoundRobin),
        ("random", Balance::Random),
        ("least-connections", Balance::LeastConnections),
        ("power-of-two", Balance::PowerOfTwo),
        ("source", Balance::Source),
    ] {
        let text = SITE.replace("[[route]]", &format!("balance = \"{word}\"\n[[route]]"));
        assert_eq!(load(&text).config.clusters[0].balance, balance);
    }
}

#[test]
fn a_sticky_cookie_is_named_after_its_cluster() {
    // BACK-8
    let sticky = |how: &str| {
        let text = format!(
            "sticky_secret = \"env:STICKY\"\n[listener.w]\nbind = \"127.0.0.1:1\"\n\
             [cluster.app]\nservers = [\"127.0.0.1:9001\"]\nsticky = {how}\n"
        );
        load(&text).config.clusters[0].sticky.clone()
    };
    assert_eq!(sticky("true").as_deref(), Some("tg_app"));
    assert_eq!(sticky("{}").as_deref(), Some("tg_app"));
    assert_eq!(sticky("false"), None);
}

#[test]
fn every_address_of_a_name_becomes_a_server() {
    // RUN-10
    let text = SITE.replace(
        "[\"127.0.0.1:9001\"]",
        "[\"two.test:80\", { addr = \"one.test:81\", id = \"x\", weight = 2 }]",
    );
    let servers = &load(&text).config.clusters[0].servers;
    let addrs: Vec<String> = servers.iter().map(|server| server.addr.to_string()).collect();
    // Sorted, so that the resolver's rotation does not look like a change.
    assert_eq!(addrs, ["10.0.0.2:80", "10.0.0.3:80", "10.0.0.1:81"]);
    assert_eq!(servers[2].weight, 2);
    assert_eq!(codes(&SITE.replace("127.0.0.1:9001", "none.test:80"))[0].0, Code::Unresolved);
}

#[test]
fn routes_of_every_kind() {
    let loaded = load(&format!(
        "{SITE}
[[route]]
listener = \"web\"
host = \"*.Example.COM.\"
path = \"/api/\"
methods = [\"GET\", \"HEAD\"]
to = \"app\"
set_request_headers = {{ X-Zone = \"b\", X-Env = \"prod\" }}
remove_response_headers = [\"Server\"]
[[route]]
host = \"a.example\"
path_exact = \"/old\"
redirect = {{ status = 301, scheme = \"https\", host = \"b.example\", path = \"/new\" }}
[[route]]
path_regex = \"/user/[0-9]+\"
redirect = {{ path = \"/u\" }}
[[route]]
host = \"b.example\"
answer = {{ status = 404, file = \"404.json\" }}
"
    ));
    let [_, api, old, user, answer] = &*loaded.config.routes else { panic!() };
    assert_eq!(api.listener.as_deref(), Some("web"));
    assert_eq!(api.host, HostPattern::Wildcard("example.com".into()));
    assert_eq!(api.path, PathRule::Prefix("/api/".into()));
    assert_eq!(api.methods, ["GET".into(), "HEAD".into()]);
    let fields = [("X-Zone".into(), "b".into()), ("X-Env".into(), "prod".into())];
    assert_eq!(api.set_request_headers, fields);
    assert_eq!(api.remove_response_headers, ["Server".into()]);
    assert_eq!(old.host, HostPattern::Exact("a.example".into()));
    assert_eq!(old.path, PathRule::Exact("/old".into()));
    let redirect = Redirect {
        status: 301,
        scheme: Some("https".into()),
        host: Some("b.example".into()),
        path: Some("/new".into()),
    };
    assert_eq!(old.to, Target::Redirect(redirect));
    assert_eq!(user.path, PathRule::Regex("/user/[0-9]+".into()));
    let Target::Redirect(plain) = &user.to else { panic!() };
    assert_eq!(plain.status, 302);
    let Target::Answer(fixed) = &answer.to else { panic!() };
    assert_eq!(fixed.status, 404);
    assert_eq!(fixed.body.as_ref().map(|body| &*body.bytes), Some(&b"{}"[..]));
}

#[test]
fn one_run_finds_every_error() {
    let text = "worker = 2
max_connections = \"many\"
[listener.web]
bind = \":80\"
max_body = \"big\"
[cluster.app]
servers = [\"nope.test:80\", { id = \"x\" }]
balance = \"best\"
[[route]]
path = \"/a\"
path_exact = \"/b\"
to = \"ap\"
[[route]]
to = \"aps\"
[[route]]
host = \"a.example\"
";
    let expected = [
        (Code::UnknownKey, 1, 1),
        (Code::WrongType, 2, 19),
        (Code::BadAddress, 4, 8),
        (Code::BadSize, 5, 12),
        (Code::Unresolved, 7, 12),
        (Code::MissingKey, 7, 28),
        (Code::NotAChoice, 8, 11),
        (Code::Conflict, 11, 1),
        (Code::UnknownCluster, 12, 6),
        (Code::UnknownCluster, 14, 6),
        (Code::MissingKey, 15, 1),
    ];
    assert_eq!(codes(text), expected);
}

#[test]
fn broken_syntax_hides_neither_itself_nor_what_is_wrong_elsewhere() {
    let text = "workers = auto\nmax_connections = \nmax_sesion_age = \"1d\"\nforwarded = 3\n";
    let expected = [
        (Code::Syntax, 1, 11),
        (Code::Syntax, 2, 19),
        (Code::UnknownKey, 3, 1),
        (Code::WrongType, 4, 13),
    ];
    assert_eq!(codes(text), expected);
    // After a broken header nothing can be said of keys, which belong to an unknown table.
    assert_eq!(codes("[listener.web\nbind = \":80\"\n"), [(Code::Syntax, 1, 14)]);
}

#[test]
fn the_made_configurations_are_good() {
    let memory = Memory::default();
    let demo = from_str("demo", &demo_config([9001, 9002, 9003]), &memory).unwrap();
    assert_eq!(demo.config.clusters[0].servers.len(), 3);
    assert_eq!(demo.warnings, []);
    let to = ["127.0.0.1:9001".to_owned(), "[::1]:9002".to_owned()];
    let quick = from_str("quick", &quick_config("0.0.0.0:80", &to), &memory).unwrap();
    assert_eq!(quick.config.listeners[0].binds, [ip("0.0.0.0:80")]);
    assert_eq!(quick.config.clusters[0].servers.len(), 2);
    let hostile = quick_config("\"\n[x]\n\u{1}", &["\\".to_owned()]);
    let found = from_str("quick", &hostile, &memory).unwrap_err();
    assert!(found.iter().all(|diagnostic| diagnostic.code == Code::BadAddress), "{found:?}");
    assert_eq!(found.len(), 2);
}

#[test]
fn tables_in_the_wrong_shape_say_how_to_begin() {
    let hint = |text: &str| {
        let found = try_load(text).unwrap_err();
        assert_eq!(found[0].code, Code::WrongType, "{text}");
        found[0].hint.clone().unwrap_or_default()
    };
    assert!(hint("[listener]\nbind = \"127.0.0.1:80\"").contains("[listener.NAME]"));
    assert!(hint("cluster = 3\nlistener = {}").contains("[cluster.NAME]"));
    assert!(hint("listener = {}\n[route]\nto = \"app\"").contains("[[route]]"));
}

#[test]
fn any_text_is_refused_or_loaded_but_never_panics() {
    let whole = format!("{}{}", demo_config([1, 2, 3]), super::printing::EVERYTHING);
    for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        for diagnostic in try_load(&whole[..end]).err().into_iter().flatten() {
            assert!(!crate::diagnostic::render(&diagnostic, false).is_empty());
        }
        let damaged = format!("{}\u{fc}\"{}", &whole[..end], &whole[end..]);
        for diagnostic in try_load(&damaged).err().into_iter().flatten() {
            assert!(!crate::diagnostic::render(&diagnostic, true).is_empty());
        }
    }
}

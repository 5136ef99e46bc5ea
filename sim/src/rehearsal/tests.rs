//! Rehearsals of configurations that are written here.

use super::plan::{Fault, Kind, Load, Version};
use super::{Filter, Plan, Report, Roster, rehearse};
use crate::cx::{MS, SEC};
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_core::config::{Cluster, Config, Listener, Route, Server, Settings};
use tidegate_core::input::Address;

fn at(port: u16) -> Address {
    Address::Ip(([127, 0, 0, 1], port).into())
}

/// A listener, and a cluster of servers `b1`, `b2`, ... behind it.
fn site(servers: u16) -> Config {
    let server = |n: u16| Server { id: Some(format!("b{n}").into()), ..Server::new(at(9000 + n)) };
    Config {
        listeners: vec![Listener::new("web", vec![at(8080)])],
        clusters: vec![Cluster::new("app", (1..=servers).map(server).collect())],
        routes: vec![Route::to_cluster("app")],
        ..Config::default()
    }
}

fn version(config: Config) -> Version {
    Version {
        file: "site.toml".into(),
        config,
        route_lines: vec![1],
        names: BTreeMap::new(),
        from_13: Vec::new(),
        demanding: Vec::new(),
    }
}

fn load() -> Load {
    Load { gap: 5 * MS, duration: 20 * SEC, ..Load::default() }
}

fn plan(versions: Vec<(u64, Config)>, outages: &[&str], load: Load) -> Plan {
    let versions: Vec<_> = versions.into_iter().map(|(at, c)| (at, version(c))).collect();
    let roster = Roster::new(versions.iter().map(|(_, version)| version));
    let faults: Vec<Fault> = outages
        .iter()
        .flat_map(|text| match text.contains('x') {
            true => roster.slowness(text).expect("a server that is slow"),
            false => roster.spell(Kind::Outage, text).expect("an outage"),
        })
        .collect();
    let settings = Settings { max_connections: 1000, ..Settings::default() };
    Plan::new(settings, versions, roster, faults, load, &Filter::default()).expect("a plan")
}

fn run(config: Config, outages: &[&str], load: Load) -> Report {
    let report = rehearse(plan(vec![(0, config)], outages, load));
    assert_eq!(report.defects, Vec::<String>::new());
    report
}

#[test]
fn the_same_plan_gives_the_same_report() {
    let once = || run(site(2), &["b2:5s..10s"], load());
    let (one, two) = (once(), once());
    assert_eq!(serde_json::to_string(&one).ok(), serde_json::to_string(&two).ok());
    assert_eq!((one.table(), one.html()), (two.table(), two.html()));
    let other = run(site(2), &["b2:5s..10s"], Load { seed: 1, ..load() });
    assert_ne!(one.series, other.series, "another seed, other arrivals");
}

// BACK-2, BACK-3, BACK-4
#[test]
fn an_outage_of_one_of_two_is_not_seen_by_users() {
    let report = run(site(2), &["b2:5s..10s"], load());
    assert_eq!(report.users.percent(), "100 %");
    let [b1, b2] = &report.servers[..] else { panic!("two servers") };
    assert!(b2.refused >= 3 && b2.down_us > 4_000_000, "{b2:?}");
    assert!(b1.refused == 0 && b1.down_us == 0 && b1.requests > b2.requests, "{b1:?}");
    assert!(report.proxy.retried > 0);
    let quiet = run(site(2), &[], load());
    assert_eq!(quiet.proxy.retried, 0);
    // The same users wanted the same at the same time.
    assert_eq!(quiet.users.requests, report.users.requests);
}

#[test]
fn an_outage_of_the_only_server_is_seen_as_long_as_it_lasts() {
    let report = run(site(1), &["b1:5s..8s"], load());
    let users = &report.users;
    assert!(users.outcomes.get("503").is_some_and(|&n| n > 300), "{:?}", users.outcomes);
    let outage = users.outage.expect("an outage");
    let length = outage.to_us - outage.from_us;
    // Who comes shortly before the end is served by the third attempt, after its pause.
    assert!((2_500_000..5_000_000).contains(&length), "{outage:?}");
    assert!((4_900_000..5_100_000).contains(&outage.from_us), "{outage:?}");
    assert!(report.servers[0].lost > 0, "what was in it when it went down");
}

#[test]
fn latency_is_that_of_network_and_service_and_grows_with_slowness() {
    let exact = Load { clients: 1000, ..load() };
    let usual = run(site(1), &[], exact.clone()).users.latency;
    // A new connection costs a round trip of 20 ms more than one that was kept.
    assert!((40_000..62_000).contains(&usual.p50_us), "{usual:?}");
    let slow = run(site(1), &["b1:5x"], exact).users.latency;
    let more = slow.p50_us - usual.p50_us;
    assert!((76_000..84_000).contains(&more), "four times 20 ms more: {more}");
}

// No coordinated omission: who comes while the server is stuck is counted from then on.
#[test]
fn waiting_counts_from_the_moment_a_user_wanted_it() {
    let stuck = Load { concurrency: Some(1), service: 100 * MS, gap: 20 * MS, ..load() };
    let report = run(site(1), &[], Load { duration: 4 * SEC, ..stuck });
    // 10 requests a second are served of 50 that come: the last ones wait for a quarter minute.
    assert!(report.users.latency.max_us > 10_000_000, "{:?}", report.users.latency);
    assert!(report.servers[0].busy_peak > 100);
}

#[test]
fn impatient_users_leave() {
    let hasty = Load { patience: 100 * MS, service: 200 * MS, ..load() };
    let report = run(site(1), &[], hasty);
    assert!(report.users.outcomes.get("given up").is_some_and(|&n| n > 1000));
    assert!(report.users.failed_latency.max_us <= 100_000);
}

// BACK-9
#[test]
fn a_limited_server_has_a_line_that_ends() {
    let mut config = site(1);
    config.clusters[0].servers[0].max_connections = Some(2);
    config.clusters[0].queue_capacity = 5;
    config.clusters[0].timeouts.backend_queue = Some(Duration::from_secs(1));
    let report = run(config, &[], load());
    assert!(report.servers[0].connections_peak <= 2, "{:?}", report.servers[0]);
    assert!(report.proxy.backend_queue_full > 0 && report.peaks.waiting <= 5);
    assert!(report.users.outcomes.get("503").is_some_and(|&n| n > 1000));
}

// RUN-1
#[test]
fn a_configuration_is_replaced_without_a_failed_request() {
    let mut next = site(2);
    next.clusters[0].servers.remove(0);
    let report = rehearse(plan(vec![(0, site(2)), (10 * SEC, next)], &[], load()));
    assert_eq!((report.defects.len(), report.users.percent()), (0, "100 %".to_owned()));
    assert_eq!(report.proxy.reloads, 1);
    let after = report.series.servers[0].iter().rev().take(8);
    assert_eq!(after.sum::<u64>(), 0, "the server that was taken out has nothing to do");
}

#[test]
fn new_connections_are_as_many_as_requests() {
    let fresh = Load { fresh_connections: true, ..load() };
    let report = run(site(2), &[], fresh);
    assert_eq!(report.proxy.client_connects, report.users.requests);
    assert_eq!(report.users.percent(), "100 %");
}

#[test]
fn posts_arrive_whole() {
    let posts = Load { post_percent: 50, post_bytes: 300_000, body_bytes: 100_000, ..load() };
    let report = run(site(2), &["b2:5s..6s"], Load { duration: 8 * SEC, ..posts });
    let good = report.users.succeeded * 1000 / report.users.requests;
    assert!(good > 980, "what a server had begun with is lost, no more: {good}");
}

#[test]
fn a_plan_of_too_much_is_refused() {
    let versions = vec![(0, version(site(1)))];
    let roster = Roster::new(versions.iter().map(|(_, version)| version));
    let much = Load { gap: 1000, duration: 3600 * SEC, ..load() };
    let settings = Settings::default();
    let plan = Plan::new(settings, versions, roster, Vec::new(), much, &Filter::default());
    assert!(plan.err().is_some_and(|why| why.contains("too many")));
}

#[test]
fn the_page_is_one_file_that_needs_no_network() {
    let page = run(site(2), &["b2:5s..10s"], load()).html();
    for outside in ["http://", "https://", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    assert!(page.contains("b2 is down") && page.contains("prefers-color-scheme: dark"));
    assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
}

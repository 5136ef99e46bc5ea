//! The configuration that is wanted, as the core wants it and as the oracle does.

use super::extras::Extras;
use super::scenario::Scenario;
use super::secure::{Secure, server_name};
use crate::choice::{Choices, Rate};
use crate::cx::Cx;
use crate::oracle::ledger::Method;
use crate::oracle::routes::{Hosts, Lead, Paths, Turn, Way};
use crate::oracle::truth::{Place, TlsTruth, Version};
use crate::site;
use crate::wire;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;
use tidegate_core::config::{
    AnswerBody, Balance, Cluster, Config, FixedAnswer, Forward, HostPattern, Listener, Network,
    PathRule, Protocol, Redirect, Reuse, Route, Server, Target, Timeouts,
};
use tidegate_core::input::Address;

/// The configuration that is wanted.
#[derive(Clone)]
pub(super) struct Desired {
    /// Its routes, in file order.
    pub(super) routes: Vec<Way>,
    /// The servers of each cluster.
    pub(super) clusters: Vec<Vec<Place>>,
    /// Whether each cluster is there.
    pub(super) present: Vec<bool>,
    /// Whether each listener is there.
    pub(super) listeners: Vec<bool>,
    /// Every timer's span.
    pub(super) timeouts: Timeouts,
    /// Where there is TLS.
    pub(super) tls: TlsTruth,
    pub(super) balance: Vec<Balance>,
    pub(super) sticky: Vec<bool>,
    pub(super) reuse: Vec<Reuse>,
    /// Connections to each server of a cluster at most.
    pub(super) limits: Vec<Option<u32>>,
    pub(super) queue_capacity: usize,
    pub(super) max_body: Option<u64>,
    pub(super) abort_on_close: bool,
    pub(super) trusted: Vec<Network>,
    pub(super) backoff_max: Duration,
    pub(super) idle_per_server: usize,
    extras: Extras,
}

pub(super) const BALANCES: [Balance; 5] = [
    Balance::RoundRobin,
    Balance::Random,
    Balance::LeastConnections,
    Balance::PowerOfTwo,
    Balance::Source,
];
pub(super) const REUSES: [Reuse; 4] = [Reuse::Safe, Reuse::Safe, Reuse::Session, Reuse::Never];
pub(super) const IDLE: [usize; 4] = [0, 1, 2, 64];
/// Whom a configuration may trust: nobody, a few clients, all that come from this world.
pub(super) const TRUSTED: [&[Network]; 3] = [
    &[],
    &[super::protocols::network([192, 0, 2, 0], 30)],
    &[
        super::protocols::network([192, 0, 0, 0], 16),
        super::protocols::network([203, 0, 0, 0], 16),
        // Some of the clients that PROXY headers announce by IPv6.
        Network { addr: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0)), prefix: 126 },
    ],
];
pub(super) const WEIGHTS: [u32; 6] = [1, 1, 2, 3, 10, 256];

impl Desired {
    /// The configuration that a seed starts with.
    pub(super) fn draw(cx: &mut Cx, scenario: &Scenario) -> Desired {
        let choices = &mut cx.choices;
        let clusters = draw_places(choices, scenario);
        let count = clusters.len() as u64;
        let balance =
            (0..count).map(|c| choices.pick(site!("config/balance"), c, &BALANCES)).collect();
        let reuse = (0..count).map(|c| choices.pick(site!("config/reuse"), c, &REUSES)).collect();
        let sticky = (0..count)
            .map(|c| choices.chance(site!("config/sticky"), c, Rate::percent(30)))
            .collect();
        let backoff = choices.log_between(site!("config/backoff"), 0, 1, 60);
        let natures = &scenario.protocols.natures;
        Desired {
            routes: draw_routes(choices, scenario),
            listeners: vec![true; scenario.all_listeners()],
            timeouts: scenario.timeouts,
            tls: scenario.tls.first.clone(),
            balance,
            sticky,
            reuse,
            present: vec![true; clusters.len()],
            limits: natures.iter().map(|nature| nature.limit).collect(),
            queue_capacity: scenario.protocols.queue_capacity,
            max_body: scenario.max_body,
            abort_on_close: scenario.abort_on_close,
            trusted: choices.pick(site!("config/trusted"), 0, &TRUSTED).to_vec(),
            backoff_max: Duration::from_secs(backoff),
            idle_per_server: choices.pick(site!("config/idle"), 0, &IDLE),
            extras: Extras::draw(choices),
            clusters,
        }
    }

    /// As the core wants it.
    pub(super) fn config(
        &self,
        scenario: &Scenario,
        servers: &[Address],
        secure: &mut Secure,
    ) -> Config {
        let listeners = self.listeners.iter().zip(0..).filter(|(is_on, _)| **is_on);
        let listeners = listeners.map(|(_, n)| self.listener(scenario, n, secure)).collect();
        let present = (0..self.clusters.len()).filter(|&n| self.present[n]);
        let clusters = present.map(|n| self.cluster(scenario, n, servers, secure)).collect();
        let mut config = Config {
            listeners,
            clusters,
            routes: self.routes.iter().map(|way| self.route(way)).collect(),
            timeouts: self.timeouts,
            limits: scenario.limits,
            trusted_proxies: self.trusted.clone(),
            ..Config::default()
        };
        self.extras.add_to(&mut config);
        config
    }

    fn listener(&self, scenario: &Scenario, n: usize, secure: &mut Secure) -> Listener {
        let mut listener = Listener::new(&format!("l{n}"), vec![listener_address(n)]);
        listener.max_body = self.max_body;
        listener.abort_on_close = self.abort_on_close;
        listener.backlog = scenario.backlog;
        let protocols = &scenario.protocols;
        listener.expect_proxy = protocols.expects[n];
        if protocols.expects[n] {
            listener.proxy_from.clone_from(&protocols.from);
        }
        listener.max_connections_per_ip = protocols.per_ip;
        if n == scenario.listeners {
            listener.max_body = None;
            listener.abort_on_close = false;
            listener.protocol = Protocol::Tcp(forward(scenario));
        }
        listener.tls = self.tls.listeners[n].map(|tls| secure.listener(n, tls));
        listener
    }

    fn cluster(
        &self,
        scenario: &Scenario,
        n: usize,
        servers: &[Address],
        secure: &mut Secure,
    ) -> Cluster {
        let servers = self.clusters[n].iter().map(|place| Server {
            drained: place.is_drained,
            weight: place.weight,
            backup: place.is_backup,
            max_connections: self.limits[n],
            id: Some(wire::server_id(place.server).into()),
            tls_name: Some(server_name()),
            ..Server::new(servers[usize::from(place.server)].clone())
        });
        let mut cluster = Cluster::new(&format!("c{n}"), servers.collect());
        cluster.tls = self.tls.clusters[n].map(|generation| secure.cluster(n, generation));
        cluster.balance = self.balance[n];
        cluster.reuse = self.reuse[n];
        cluster.send_proxy = scenario.protocols.sends(n);
        cluster.queue_capacity = self.queue_capacity;
        cluster.sticky = self.sticky[n].then(|| wire::cookie_name(n as u16).into());
        cluster.backoff_max = self.backoff_max;
        cluster.idle_per_server = self.idle_per_server;
        cluster
    }

    fn route(&self, way: &Way) -> Route {
        let to = match way.to {
            Lead::Cluster(cluster) => Target::Cluster(format!("c{cluster}").into()),
            Lead::Redirect(turn) => Target::Redirect(Redirect {
                status: turn.status,
                scheme: turn.scheme.then(|| "https".into()),
                host: turn.host.then(|| wire::MOVED_HOST.into()),
                path: turn.path.then(|| wire::MOVED_PATH.into()),
            }),
            Lead::Answer(status, has_body) => Target::Answer(FixedAnswer {
                status,
                body: has_body.then(|| AnswerBody {
                    content_type: wire::FIXED_TYPE.into(),
                    bytes: wire::FIXED_BODY.into(),
                }),
            }),
        };
        let (marked, replaced) = wire::edits(way.edits);
        let marked = marked.map(|value| ("X-Edit".into(), value.into()));
        let replaced = replaced.map(|value| (wire::REPLACED_FIELD.into(), value.into()));
        let listener = way.listener.filter(|&n| self.listeners[n]);
        Route {
            listener: listener.map(|n| format!("l{n}").into()),
            host: match way.hosts {
                Hosts::Only(host) => HostPattern::Exact(wire::host_name(host).into()),
                Hosts::Below(n) => HostPattern::Wildcard(wire::WILDCARDS[n].into()),
                Hosts::Any => HostPattern::Any,
            },
            path: match way.paths {
                Paths::Any => PathRule::Any,
                Paths::Below => PathRule::Prefix("/r".into()),
                Paths::Under(id) => PathRule::Prefix(format!("/r/{id}").into()),
                Paths::Digit(digit) => PathRule::Regex(format!("/r/[0-9]*{digit}(/.*)?").into()),
                Paths::Exact(id) => PathRule::Exact(format!("/r/{id}").into()),
            },
            methods: way.method.iter().map(|method| method.name().into()).collect(),
            to,
            set_request_headers: marked.into_iter().chain(replaced).collect(),
            remove_response_headers: match wire::removes(way.edits) {
                true => vec![wire::REMOVED_FIELD.into()],
                false => Vec::new(),
            },
        }
    }

    /// As the oracle wants it.
    pub(super) fn version(&self, at: u64, config: Config) -> Version {
        Version {
            at,
            routes: self.routes.clone(),
            clusters: self.clusters.clone(),
            timeouts: self.timeouts,
            tls: self.tls.clone(),
            max_body: self.max_body,
            abort_on_close: self.abort_on_close,
            config,
        }
    }
}

/// Where the TCP listener leads.
fn forward(scenario: &Scenario) -> Forward {
    let name = |cluster: usize| -> Box<str> { format!("c{cluster}").into() };
    let Some((passage, _)) = scenario.protocols.passage else {
        return Forward { to: scenario.tcp_cluster().map(name), sni: Vec::new() };
    };
    let patterns = [
        HostPattern::Exact(wire::host_name(0).into()),
        HostPattern::Exact(wire::host_name(1).into()),
        HostPattern::Wildcard("wild.example".into()),
    ];
    let sni = patterns.into_iter().zip(passage.names);
    let sni = sni.filter_map(|(pattern, to)| Some((pattern, name(to?)))).collect();
    Forward { to: passage.other.map(name), sni }
}

fn draw_places(choices: &mut Choices, scenario: &Scenario) -> Vec<Vec<Place>> {
    let mut number = 0;
    let mut clusters = Vec::new();
    for (cluster, count) in (0..).zip(scenario.all_clusters()) {
        let is_weighed = choices.chance(site!("config/weighs"), cluster, Rate::percent(40));
        let has_backup = choices.chance(site!("config/backups"), cluster, Rate::percent(25));
        let mut places: Vec<Place> = Vec::new();
        for n in 0..count {
            let mut place = Place::new(number);
            if is_weighed {
                place.weight = choices.pick(site!("config/weight"), number.into(), &WEIGHTS);
            }
            place.is_backup = has_backup && n > 0 && n + 1 == count;
            places.push(place);
            number += 1;
        }
        clusters.push(places);
    }
    clusters
}

/// One plain route for each cluster, and perhaps others beside or above them.
fn draw_routes(choices: &mut Choices, scenario: &Scenario) -> Vec<Way> {
    let count = scenario.clusters.len();
    let mut routes: Vec<Way> = (0..count).map(|n| Way::of_host(n as u16, n)).collect();
    for (way, entity) in routes.iter_mut().zip(0..) {
        if choices.chance(site!("config/edits"), entity, Rate::percent(20)) {
            way.edits = choices.between(site!("config/edit"), entity, 1, 3) as u8;
        }
    }
    if scenario.has_special_routes
        && choices.chance(site!("config/special routes"), 0, Rate::percent(35))
    {
        for kind in 0..choices.between(site!("config/specials"), 0, 1, 3) {
            let way = draw_special(choices, scenario, &routes, kind % 3);
            if !routes.iter().any(|other| other.ties(&way)) {
                routes.push(way);
            }
        }
        // The core keeps more than eight rules of a host in another kind of table.
        if choices.chance(site!("config/many routes"), 0, Rate::percent(25)) {
            let host = choices.choose(site!("config/many of"), 0, count as u64) as u16;
            let last = choices.between(site!("config/many"), 0, 7, 12) as u32;
            routes.extend((0..=last).map(|id| Way {
                paths: Paths::Under(id),
                ..Way::of_host(host, (id as usize + 1) % count)
            }));
        }
    }
    routes
}

/// A route that catches some of the requests: kind 0 redirects, 1 answers, 2 leads to a cluster.
/// Now and then for the requests of one of `others`, but by method where that is by listener, or
/// the other way round.
pub(super) fn draw_special(
    choices: &mut Choices,
    scenario: &Scenario,
    others: &[Way],
    kind: u64,
) -> Way {
    let e = kind;
    let count = scenario.clusters.len() as u64;
    // Few ask for a host that no route names.
    let named = 2 * count;
    let hosts = match choices.choose(site!("route/host"), e, named + 3) {
        host if host < named => Hosts::Only((host % count) as u16),
        // What names no host must not reach a server: its answer is one of a few.
        at if at == named && kind == 2 => Hosts::Only(0),
        at if at == named => Hosts::Any,
        at => Hosts::Below((at - named - 1) as usize),
    };
    let digit = choices.choose(site!("route/digit"), e, 10) as u8;
    let id = choices.choose(site!("route/id"), e, 60) as u32;
    let paths = match choices.choose(site!("route/paths"), e, 6) {
        0..=2 => Paths::Digit(digit),
        3 => Paths::Exact(id),
        4 => Paths::Below,
        _ => Paths::Any,
    };
    let methods = [Method::Head, Method::Post, Method::Put, Method::Delete];
    let is_wide = matches!(paths, Paths::Any | Paths::Below);
    let by_method = is_wide || choices.coin(site!("route/by method"), e);
    let by_listener = choices.choose(site!("route/by listener"), e, 4) == 3;
    let is_narrow = |it: &&Way| matches!(it.paths, Paths::Digit(_) | Paths::Exact(_));
    let like = others.iter().rfind(is_narrow).filter(|it| kind < 2 || it.hosts.is_named());
    let like = like.filter(|_| choices.coin(site!("route/like another"), e));
    let (hosts, paths, by_method, by_listener) = match like {
        // One of the paths that an expression takes.
        Some(&Way { hosts, paths: Paths::Digit(digit), .. })
            if choices.coin(site!("route/like one of"), e) =>
        {
            (hosts, Paths::Exact(id / 10 * 10 + u32::from(digit)), false, false)
        }
        Some(it) => (it.hosts, it.paths, it.method.is_none(), it.method.is_some()),
        None => (hosts, paths, by_method, by_listener),
    };
    let method = by_method.then(|| choices.pick(site!("route/method"), e, &methods));
    let listener = choices.choose(site!("route/listener"), e, scenario.listeners as u64);
    let status = choices.pick(site!("route/redirect"), e, &[301, 302, 307, 308]);
    let parts = choices.between(site!("route/parts"), e, 1, 7);
    let fixed = choices.pick(site!("route/answer"), e, &[200, 204, 403, 404, 410, 503]);
    let has_body = fixed != 204 && choices.coin(site!("route/body"), e);
    let cluster = choices.choose(site!("route/cluster"), e, scenario.clusters.len() as u64);
    Way {
        hosts,
        paths,
        method,
        listener: by_listener.then_some(listener as usize),
        to: match kind {
            0 => Lead::Redirect(Turn {
                status,
                scheme: parts & 1 > 0,
                host: parts & 2 > 0,
                path: parts & 4 > 0,
            }),
            1 => Lead::Answer(fixed, has_body),
            _ => Lead::Cluster(cluster as usize),
        },
        edits: choices.choose(site!("route/edit"), e, 4) as u8,
    }
}

/// Where the proxy's listener number `n` is: on one address, or, every other one, on all of them.
pub(super) fn listener_address(n: usize) -> Address {
    let mut at = crate::gate::listener_socket(n);
    if n % 2 == 1 {
        at.set_ip(Ipv4Addr::UNSPECIFIED.into());
    }
    Address::Ip(at)
}

/// Where server number `n` is.
pub(super) fn server_address(n: usize) -> Address {
    Address::Ip(([10, 1, (n / 200) as u8, (n % 200) as u8 + 1], 80).into())
}

//! The configuration controller: what is wanted, and how it changes while traffic flows.

use super::World;
use super::extras::Extras;
use super::scenario::Scenario;
use super::secure::{self, Secure, server_name};
use crate::choice::Rate;
use crate::cx::{Cx, Ev, MS, SEC};
use crate::mark;
use crate::marks::Group;
use crate::oracle::truth::{Place, TlsTruth, Version};
use crate::site;
use crate::story::Who;
use crate::tell;
use crate::wire;
use std::time::Duration;
use tidegate_core::config::{
    Balance, Cluster, Config, Forward, HostPattern, Listener, Protocol, Reuse, Route, Server,
    Timeouts,
};
use tidegate_core::input::Address;

/// The configuration that is wanted.
#[derive(Clone)]
pub(super) struct Desired {
    /// The cluster of each host.
    pub(super) hosts: Vec<Option<usize>>,
    /// The servers of each cluster.
    pub(super) clusters: Vec<Vec<Place>>,
    /// Whether each listener is there.
    pub(super) listeners: Vec<bool>,
    /// Every timer's span.
    pub(super) timeouts: Timeouts,
    /// Where there is TLS.
    pub(super) tls: TlsTruth,
    balance: Vec<Balance>,
    sticky: Vec<bool>,
    reuse: Vec<Reuse>,
    backoff_max: Duration,
    idle_per_server: usize,
    extras: Extras,
}

const BALANCES: [Balance; 5] = [
    Balance::RoundRobin,
    Balance::Random,
    Balance::LeastConnections,
    Balance::PowerOfTwo,
    Balance::Source,
];
const REUSES: [Reuse; 4] = [Reuse::Safe, Reuse::Safe, Reuse::Session, Reuse::Never];

impl Desired {
    /// The configuration that a seed starts with.
    pub(super) fn draw(cx: &mut Cx, scenario: &Scenario) -> Desired {
        let mut server = 0;
        let clusters: Vec<Vec<Place>> = scenario
            .all_clusters()
            .into_iter()
            .map(|count| {
                let places = (0..count).map(|_| {
                    server += 1;
                    Place { server: server - 1, is_drained: false }
                });
                places.collect()
            })
            .collect();
        let mut hosts: Vec<Option<usize>> = (0..scenario.clusters.len()).map(Some).collect();
        hosts.push(None);
        let choices = &mut cx.choices;
        let draw = |site, options: &[Balance; 5], choices: &mut crate::choice::Choices| {
            (0..clusters.len() as u64).map(|c| choices.pick(site, c, options)).collect()
        };
        let balance = draw(site!("config/balance"), &BALANCES, choices);
        let reuse =
            (0..clusters.len() as u64).map(|c| choices.pick(site!("config/reuse"), c, &REUSES));
        let reuse = reuse.collect();
        let sticky = (0..clusters.len() as u64)
            .map(|c| choices.chance(site!("config/sticky"), c, Rate::percent(30)))
            .collect();
        let backoff = choices.log_between(site!("config/backoff"), 0, 1, 60);
        Desired {
            hosts,
            listeners: vec![true; scenario.all_listeners()],
            timeouts: scenario.timeouts,
            tls: scenario.tls.first.clone(),
            balance,
            sticky,
            reuse,
            backoff_max: Duration::from_secs(backoff),
            idle_per_server: choices.pick(site!("config/idle"), 0, &[0, 1, 2, 64]),
            extras: Extras::draw(choices, clusters.len(), scenario.is_faultless),
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
        let listeners = listeners.map(|(_, n)| {
            let mut listener = Listener::new(&format!("l{n}"), vec![listener_address(n)]);
            listener.max_body = scenario.max_body;
            listener.abort_on_close = scenario.abort_on_close;
            listener.backlog = scenario.backlog;
            let protocols = &scenario.protocols;
            listener.expect_proxy = protocols.expects[n];
            if protocols.expects[n] {
                listener.proxy_from.clone_from(&protocols.from);
            }
            listener.max_connections_per_ip = protocols.per_ip;
            if n == scenario.listeners {
                let to = Some(format!("c{}", scenario.clusters.len()).into());
                listener.max_body = None;
                listener.abort_on_close = false;
                listener.protocol = Protocol::Tcp(Forward { to, sni: Vec::new() });
            }
            listener.tls = self.tls.listeners[n].map(|tls| secure.listener(n, tls));
            listener
        });
        let listeners = listeners.collect();
        let clusters = self.clusters.iter().enumerate().map(|(n, places)| {
            let servers = places.iter().map(|place| Server {
                drained: place.is_drained,
                id: Some(wire::server_id(place.server).into()),
                tls_name: Some(server_name()),
                ..Server::new(servers[usize::from(place.server)].clone())
            });
            let mut cluster = Cluster::new(&format!("c{n}"), servers.collect());
            cluster.tls = self.tls.clusters[n].map(|generation| secure.cluster(n, generation));
            cluster.balance = self.balance[n];
            cluster.reuse = self.reuse[n];
            let nature = scenario.protocols.natures[n];
            cluster.send_proxy = scenario.protocols.sends(n);
            cluster.queue_capacity = scenario.protocols.queue_capacity;
            for server in &mut cluster.servers {
                server.max_connections = nature.limit;
            }
            cluster.sticky = self.sticky[n].then(|| wire::cookie_name(n as u16).into());
            cluster.backoff_max = self.backoff_max;
            cluster.idle_per_server = self.idle_per_server;
            self.extras.weigh(n, &mut cluster);
            cluster
        });
        let routes = self.hosts.iter().enumerate().filter_map(|(host, cluster)| {
            let mut route = Route::to_cluster(&format!("c{}", (*cluster)?));
            route.host = HostPattern::Exact(wire::host_name(host as u16).into());
            Some(route)
        });
        let mut config = Config {
            listeners,
            clusters: clusters.collect(),
            routes: routes.collect(),
            timeouts: self.timeouts,
            limits: scenario.limits,
            ..Config::default()
        };
        self.extras.add_to(&mut config);
        config
    }

    /// As the oracle wants it.
    pub(super) fn version(&self, at: u64, scenario: &Scenario, config: Config) -> Version {
        Version {
            at,
            hosts: self.hosts.clone(),
            clusters: self.clusters.clone(),
            timeouts: self.timeouts,
            tls: self.tls.clone(),
            max_body: scenario.max_body,
            abort_on_close: scenario.abort_on_close,
            config,
        }
    }
}

/// Where the proxy's listener number `n` is.
pub(super) fn listener_address(n: usize) -> Address {
    Address::Ip(([10, 0, 0, 1], 8000 + n as u16).into())
}

/// Where server number `n` is.
pub(super) fn server_address(n: usize) -> Address {
    Address::Ip(([10, 1, (n / 200) as u8, (n % 200) as u8 + 1], 80).into())
}

/// Keys the randomness of changes apart from that of connections.
pub(super) const APPLY: u64 = u64::MAX;

impl World {
    /// The controller changes something, and comes back later.
    pub(super) fn control(&mut self) {
        if self.is_healing() || self.control_again() {
            return;
        }
        self.operations += 1;
        let is_omitted = self.cx.choices.omits(site!("operation"), self.operations);
        let mut desired = self.desired.clone();
        for _ in 0..=self.cx.choose(site!("control/changes"), 0, 3) {
            self.change(&mut desired);
        }
        if !is_omitted {
            self.submit_nonsense();
            self.fired.operations += 1;
            self.apply(desired);
        }
        let pause = self.cx.choices.log_between(site!("control/pause"), 0, 20 * MS, SEC);
        self.cx.after(pause, 0, Ev::Control);
    }

    fn change(&mut self, desired: &mut Desired) {
        let choices = &mut self.cx.choices;
        let cluster = choices.choose(site!("control/cluster"), 0, desired.clusters.len() as u64);
        let places = &mut desired.clusters[cluster as usize];
        match choices.choose(site!("control/what"), 0, 9) {
            7 => {
                let listeners = desired.tls.listeners.len() as u64;
                let listener = choices.choose(site!("control/tls listener"), 0, listeners);
                self.generations += 1;
                if let Some(tls) = &mut desired.tls.listeners[listener as usize] {
                    *tls = secure::swap(choices, listener, *tls, self.generations);
                    self.cx.mark(mark!("control: certificates swapped"));
                }
            }
            8 => {
                self.generations += 1;
                if let Some(generation) = &mut desired.tls.clusters[cluster as usize] {
                    *generation = self.generations;
                    self.cx.mark(mark!("control: TLS to servers changed"));
                }
            }
            0 if !places.is_empty() => {
                let n = choices.choose(site!("control/drain"), 0, places.len() as u64) as usize;
                places[n].is_drained = !places[n].is_drained;
            }
            1 if places.len() > 1 => {
                let n = choices.choose(site!("control/remove"), 0, places.len() as u64) as usize;
                places.remove(n);
            }
            2 => {
                let count = self.servers.len() as u64;
                let server = choices.choose(site!("control/add"), 0, count) as u16;
                let from = self.servers[usize::from(server)].nature;
                let to = self.scenario.protocols.natures[cluster as usize];
                let fits = from.cluster == to.cluster || (from.is_plain() && to.is_plain());
                // A server speaks TLS or not, whoever asks.
                let is_secure = desired.tls.clusters[cluster as usize].is_some();
                let is_alike = self.layers.is_secure(server) == is_secure;
                let fits = fits && is_alike;
                if fits && !places.iter().any(|place| place.server == server) {
                    places.push(Place { server, is_drained: false });
                }
            }
            3 if Some(cluster as usize) != self.scenario.tcp_cluster() => {
                let hosts = desired.hosts.len() as u64;
                let host = choices.choose(site!("control/host"), 0, hosts) as usize;
                let is_off = choices.chance(site!("control/unroute"), 0, Rate::percent(20));
                desired.hosts[host] = (!is_off).then_some(cluster as usize);
            }
            4 => {
                let names = Timeouts::NAMES;
                let name = choices.pick(site!("control/timeout"), 0, names);
                let millis = choices.log_between(site!("control/span"), 0, 60, 8_000);
                desired.timeouts.set(name, Duration::from_millis(millis));
            }
            5 if desired.listeners.len() > 1 => {
                desired.listeners[1] = !desired.listeners[1];
            }
            _ => {
                desired.balance[cluster as usize] =
                    choices.pick(site!("control/balance"), 0, &BALANCES);
            }
        }
    }

    /// Applies a configuration; the proxy wakes for it.
    pub(super) fn apply(&mut self, desired: Desired) {
        let addresses: Vec<Address> = self.servers.iter().map(|s| s.at.clone()).collect();
        let config = desired.config(&self.scenario, &addresses, &mut self.secure);
        if !self.flown.is_empty() {
            self.flown.push(super::Stored::bytes_of(&config));
        }
        let number = self.oracle.truth.versions.len() + 1;
        tell!(self.cx, Who::Operator, "applies version {number}");
        let proxy = &mut self.proxy;
        let applied = self.streams.lend(APPLY, || proxy.apply(config.clone()));
        if let Err(errors) = applied {
            panic!("the core refuses a good configuration: {errors:?}");
        }
        self.cx.mark(mark!("control: applied"));
        self.mark_states(Group::Changed);
        let version = desired.version(self.cx.now, &self.scenario, config);
        self.oracle.truth.versions.push(version);
        self.desired = desired;
        self.schedule_turn(self.cx.now + 1);
    }
}

//! The configuration controller: changes what is wanted while traffic flows.

use super::World;
use super::desired::{BALANCES, Desired, IDLE, REUSES, TRUSTED, WEIGHTS, draw_special};
use super::secure;
use crate::choice::Choices;
use crate::cx::{Ev, MS, SEC};
use crate::mark;
use crate::marks::Group;
use crate::oracle::reconfiguration;
use crate::oracle::routes::{Hosts, Lead, Way};
use crate::oracle::truth::Place;
use crate::site;
use crate::story::Who;
use crate::swarm::Operation;
use crate::tell;
use std::time::Duration;
use tidegate_core::config::{Config, Timeouts};
use tidegate_core::input::Address;

/// Keys the randomness of changes apart from that of connections.
pub(super) const APPLY: u64 = u64::MAX;
/// Routes beside the plain ones at most.
const SPECIALS_MAX: usize = 6;

impl World {
    /// The controller changes something, and comes back later.
    pub(super) fn control(&mut self) {
        if self.control_again() || self.is_closed() {
            return;
        }
        self.operations += 1;
        let is_omitted = self.cx.choices.omits(site!("operation"), self.operations);
        let mut desired = self.desired.clone();
        let mut done = Vec::new();
        for _ in 0..=self.cx.choose(site!("control/changes"), 0, 3) {
            let operation = self.cx.choices.pick(site!("control/what"), 0, &self.controls);
            if self.change(operation, &mut desired) {
                done.push(operation);
            }
        }
        if !is_omitted && !done.is_empty() {
            self.fired.operations += 1;
            self.carry_out(&done, desired);
        }
        let pause = self.cx.choices.log_between(site!("control/pause"), 0, 20 * MS, SEC);
        self.cx.after(pause, 0, Ev::Control);
    }

    /// A client, `key`, stops in the middle of a body: an operator who has had enough of that waits
    /// less for whoever begins from now on.
    pub(super) fn control_hurries(&mut self, key: u64) {
        let hurries = self.cx.choose(site!("control/hurries"), key, 4) > 0;
        if !hurries || self.is_closed() || !self.controls.contains(&Operation::Timeout) {
            return;
        }
        let millis = self.cx.choices.log_between(site!("control/hurry"), key, 20, 400);
        self.operations += 1;
        if !self.cx.choices.omits(site!("operation"), self.operations) {
            let mut desired = self.desired.clone();
            desired.timeouts.set("client_idle", Duration::from_millis(millis));
            self.fired.operations += 1;
            self.carry_out(&[Operation::Timeout], desired);
        }
    }

    fn carry_out(&mut self, done: &[Operation], desired: Desired) {
        if done.contains(&Operation::BadConfig) {
            self.submit_nonsense();
        }
        for &operation in done {
            tell!(self.cx, Who::Operator, "wants to {}", operation.name());
            self.cx.applied(operation);
        }
        if done.iter().any(|&operation| operation != Operation::BadConfig) {
            self.apply(desired);
        }
    }

    /// Does one operation to `desired`; whether there was anything to do.
    fn change(&mut self, operation: Operation, desired: &mut Desired) -> bool {
        let choices = &mut self.cx.choices;
        let count = desired.clusters.len() as u64;
        let cluster = choices.choose(site!("control/cluster"), 0, count) as usize;
        let is_tcp = self.scenario.protocols.natures[cluster].is_tcp;
        match operation {
            Operation::AddServer => self.add_server(desired, cluster),
            Operation::Certificates | Operation::ServerTls => {
                self.change_tls(operation, desired, cluster)
            }
            Operation::RemoveServer
            | Operation::DrainServer
            | Operation::FillServer
            | Operation::Reweigh
            | Operation::Backup
            | Operation::ReorderServers => {
                change_place(choices, operation, &mut desired.clusters[cluster])
            }
            Operation::RemoveRoute
            | Operation::MoveRoute
            | Operation::ReorderRoutes
            | Operation::EditFields => {
                let to = Some(cluster).filter(|&c| !is_tcp && desired.present[c]);
                change_route(choices, operation, desired, to)
            }
            Operation::Redirect | Operation::Answer | Operation::PathRoute => {
                let kind = match operation {
                    Operation::Redirect => 0,
                    Operation::Answer => 1,
                    _ => 2,
                };
                let way = draw_special(choices, &self.scenario, &desired.routes, kind);
                change_special(desired, way)
            }
            Operation::RemoveCluster if !is_tcp => remove_cluster(desired, cluster),
            Operation::AddCluster if !desired.present[cluster] => {
                desired.present[cluster] = true;
                let host = cluster as u16;
                if !desired.routes.iter().any(|way| way.ties(&Way::of_host(host, 0))) {
                    desired.routes.push(Way::of_host(host, cluster));
                }
                true
            }
            Operation::RemoveListener | Operation::AddListener => {
                let is_on = operation == Operation::AddListener;
                change_listener(desired, is_on)
            }
            Operation::RemoveCluster | Operation::AddCluster => false,
            Operation::ServerLimit if is_tcp => false,
            _ => change_setting(choices, operation, desired, cluster, self.scenario.body_max),
        }
    }

    fn add_server(&mut self, desired: &mut Desired, cluster: usize) -> bool {
        let count = self.servers.len() as u64;
        let server = self.cx.choose(site!("control/add"), 0, count) as u16;
        let from = self.servers[usize::from(server)].nature;
        let to = self.scenario.protocols.natures[cluster];
        let fits = from.cluster == to.cluster || (from.is_plain() && to.is_plain());
        // A server speaks TLS or not, whoever asks.
        let is_secure = desired.tls.clusters[cluster].is_some();
        let is_alike = self.layers.is_secure(server) == is_secure;
        let places = &mut desired.clusters[cluster];
        if !fits || !is_alike || places.iter().any(|place| place.server == server) {
            return false;
        }
        places.push(Place::new(server));
        true
    }

    fn change_tls(&mut self, what: Operation, desired: &mut Desired, cluster: usize) -> bool {
        self.generations += 1;
        let generation = self.generations;
        let choices = &mut self.cx.choices;
        if what == Operation::ServerTls {
            let Some(known) = &mut desired.tls.clusters[cluster] else { return false };
            *known = generation;
            return true;
        }
        let listeners = desired.tls.listeners.len() as u64;
        let listener = choices.choose(site!("control/tls listener"), 0, listeners);
        let Some(tls) = &mut desired.tls.listeners[listener as usize] else { return false };
        *tls = secure::swap(choices, listener, *tls, generation);
        true
    }

    fn config_of(&mut self, desired: &Desired) -> Config {
        let addresses: Vec<Address> = self.servers.iter().map(|s| s.at.clone()).collect();
        desired.config(&self.scenario, &addresses, &mut self.secure)
    }

    /// Applies a configuration; the proxy wakes for it.
    pub(super) fn apply(&mut self, desired: Desired) {
        let config = self.config_of(&desired);
        if !self.flown.is_empty() {
            self.flown.push(super::Stored::bytes_of(&config));
        }
        let number = self.oracle.truth.versions.len() + 1;
        tell!(self.cx, Who::Operator, "applies version {number}");
        let proxy = &mut self.proxy;
        let applied = self.streams.lend(APPLY, || proxy.apply(config.clone()));
        if let Err(errors) = applied {
            return self.oracle.judge(reconfiguration::good_refused(&errors));
        }
        self.cx.mark(mark!("control: applied"));
        self.mark_states(Group::Changed);
        self.oracle.truth.versions.push(desired.version(self.cx.now, config));
        self.desired = desired;
        self.schedule_turn(self.cx.now + 1);
    }
}

fn change_place(choices: &mut Choices, what: Operation, places: &mut Vec<Place>) -> bool {
    if places.is_empty() {
        return false;
    }
    let n = choices.choose(site!("control/place"), 0, places.len() as u64) as usize;
    if what == Operation::RemoveServer {
        let is_left = places.len() > 1;
        if is_left {
            places.remove(n);
        }
        return is_left;
    }
    let before = places[n];
    let place = &mut places[n];
    match what {
        Operation::DrainServer => place.is_drained = true,
        Operation::FillServer => place.is_drained = false,
        Operation::Reweigh => place.weight = choices.pick(site!("control/weight"), 0, &WEIGHTS),
        Operation::Backup => place.is_backup = !place.is_backup,
        _ => {
            places.rotate_left(n);
            return n > 0;
        }
    }
    places[n] != before
}

/// `to` is the cluster that a route may lead to.
fn change_route(
    choices: &mut Choices,
    what: Operation,
    desired: &mut Desired,
    to: Option<usize>,
) -> bool {
    let routes = &mut desired.routes;
    let hosts = desired.clusters.len() as u64 + 1;
    let host = choices.choose(site!("control/host"), 0, hosts) as u16;
    let found = routes.iter().position(|way| way.ties(&Way::of_host(host, 0)));
    match (what, found, to) {
        (Operation::RemoveRoute, Some(at), _) => {
            routes.remove(at);
        }
        (Operation::MoveRoute, Some(at), Some(to)) => routes[at].to = Lead::Cluster(to),
        (Operation::MoveRoute, None, Some(to)) => routes.push(Way::of_host(host, to)),
        (Operation::EditFields, Some(at), _) => {
            routes[at].edits = choices.choose(site!("control/edit"), 0, 8) as u8;
        }
        (Operation::ReorderRoutes, ..) if routes.len() > 1 => {
            let by = choices.between(site!("control/reorder"), 0, 1, routes.len() as u64 - 1);
            routes.rotate_left(by as usize);
        }
        _ => return false,
    }
    true
}

/// Takes a route out that matches as `way` does, or puts that one in.
fn change_special(desired: &mut Desired, way: Way) -> bool {
    let is_plain =
        |it: &Way| matches!(it.hosts, Hosts::Only(host) if it.ties(&Way::of_host(host, 0)));
    if let Lead::Cluster(cluster) = way.to
        && !desired.present[cluster]
    {
        return false;
    }
    if let Some(at) = desired.routes.iter().position(|it| it.ties(&way)) {
        if !is_plain(&desired.routes[at]) {
            desired.routes.remove(at);
            return true;
        }
        return false;
    }
    let specials = desired.routes.iter().filter(|it| !is_plain(it)).count();
    let is_on = way.listener.is_none_or(|listener| desired.listeners[listener]);
    if specials >= SPECIALS_MAX || !is_on {
        return false;
    }
    desired.routes.push(way);
    true
}

fn remove_cluster(desired: &mut Desired, cluster: usize) -> bool {
    let left = desired.present.iter().filter(|&&is_there| is_there).count();
    if !desired.present[cluster] || left < 2 {
        return false;
    }
    desired.present[cluster] = false;
    desired.routes.retain(|way| way.to != Lead::Cluster(cluster));
    true
}

fn change_listener(desired: &mut Desired, is_on: bool) -> bool {
    if desired.listeners.len() < 2 || desired.listeners[1] == is_on {
        return false;
    }
    desired.listeners[1] = is_on;
    // A route cannot be bound to a listener that is not there.
    desired.routes.retain(|way| is_on || way.listener != Some(1));
    true
}

fn change_setting(
    choices: &mut Choices,
    what: Operation,
    desired: &mut Desired,
    cluster: usize,
    body_max: u64,
) -> bool {
    match what {
        Operation::Balance => {
            desired.balance[cluster] = choices.pick(site!("control/balance"), 0, &BALANCES);
        }
        Operation::Sticky => desired.sticky[cluster] = !desired.sticky[cluster],
        Operation::Reuse => {
            desired.reuse[cluster] = choices.pick(site!("control/reuse"), 0, &REUSES);
        }
        Operation::IdlePool => {
            desired.idle_per_server = choices.pick(site!("control/idle"), 0, &IDLE);
        }
        Operation::Timeout => {
            // Those of a client that is waited for show soonest whose they are.
            let name = match choices.choose(site!("control/front timeout"), 0, 3) {
                0 => choices.pick(site!("control/which of front"), 0, &["client_idle", "linger"]),
                _ => choices.pick(site!("control/timeout"), 0, Timeouts::NAMES),
            };
            let millis = choices.log_between(site!("control/span"), 0, 60, 8_000);
            desired.timeouts.set(name, Duration::from_millis(millis));
        }
        Operation::Trust => {
            desired.trusted = choices.pick(site!("control/trust"), 0, &TRUSTED).to_vec();
        }
        Operation::BodyLimit => {
            let is_limited = choices.coin(site!("control/limits bodies"), 0);
            let max = choices.log_between(site!("control/body"), 0, 1, body_max);
            desired.max_body = is_limited.then_some(max);
            desired.abort_on_close = choices.choose(site!("control/aborts"), 0, 4) == 0;
        }
        Operation::ServerLimit => {
            let is_limited = choices.coin(site!("control/limits"), 0);
            let limit = choices.log_between(site!("control/limit"), 0, 1, 4) as u32;
            desired.limits[cluster] = is_limited.then_some(limit);
        }
        Operation::LineLength => {
            desired.queue_capacity = choices.log_between(site!("control/line"), 0, 1, 16) as usize;
        }
        Operation::Reload | Operation::BadConfig => {}
        _ => return false,
    }
    true
}

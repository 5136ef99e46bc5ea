//! Configurations come and go while traffic flows (RUN-1), and the graceful stop (RUN-2).

use crate::backend::balance::server_key;
use crate::backend::sticky::{cookie_value, set_cookie};
use crate::backend::{ServerId, ServerState, Speech, health::Health};
use crate::config::{
    Cluster, Compiled, Config, ConfigError, HostPattern, Listener, Protocol, Server, Timeouts,
    share,
};
use crate::effect::Effect;
use crate::event::Event;
use crate::flight::Tag;
use crate::input::Address;
use crate::listen::{Listen, ListenId};
use crate::proxy::Proxy;
use crate::reach::Decision;
use crate::route::{Expressions, Router};
use crate::session::SessionId;
use crate::session::state::State;
use crate::sockets::{Ops, Owner};
use crate::version::{ClusterView, ForwardView, StickyView, Version, VersionId};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Proxy {
    /// Replaces the configuration whole, or, when it is refused, not at all. Requests that were
    /// begun go on with the one they saw first. New listeners are opened by effects; listeners
    /// that are gone accept their backlog and close; removed servers keep what they are serving.
    ///
    /// # Errors
    /// Every reason why the configuration is refused.
    pub fn apply(&mut self, config: Config) -> Result<(), Vec<ConfigError>> {
        let expressions = Expressions::of(&self.versions[self.current].router);
        let compiled = Compiled::with(config, &self.settings, expressions);
        self.reach.decided_if(compiled.is_err(), Decision::ConfigRefused);
        self.install(compiled?);
        Ok(())
    }

    /// Like [`apply`](Proxy::apply), with a configuration that was validated for these settings
    /// and compiled before: nothing can fail.
    pub fn install(&mut self, compiled: Compiled) {
        let Compiled { config, router } = compiled;
        let router = Router::clone(&router);
        let clusters = self.view_clusters(&config);
        let indices: BTreeMap<&str, u32> = config
            .clusters
            .iter()
            .zip(0..)
            .map(|(cluster, index)| (&*cluster.name, index))
            .collect();
        let clusters_of_routes = config
            .routes
            .iter()
            .map(|route| match &route.to {
                crate::config::Target::Cluster(name) => indices[&**name],
                _ => 0,
            })
            .collect();
        let of_listener =
            |listener: &crate::config::Listener| config.timeouts.with(&listener.timeouts);
        let listeners = config.listeners.iter().map(of_listener).collect();
        let forwards = config.listeners.iter().map(|it| view_forward(it, &indices)).collect();
        self.version_serial += 1;
        let serial = self.version_serial;
        self.note_worker(Tag::Installed, serial);
        let version = Version {
            serial,
            router,
            clusters,
            clusters_of_routes,
            listeners,
            forwards,
            users: 1,
            config: Arc::clone(&config),
        };
        let new = self.versions.insert(version);
        let old = std::mem::replace(&mut self.current, new);
        self.put_servers_in_service();
        self.relisten();
        self.unview(old);
        self.relieved |= !self.queues.is_empty();
        self.counters.applied += 1;
    }

    /// The servers of each cluster: known ones keep what the worker knows of them.
    fn view_clusters(&mut self, config: &Config) -> Vec<ClusterView> {
        let mut known: BTreeMap<(Box<str>, Address), ServerId> = BTreeMap::new();
        for (id, server) in self.servers.iter() {
            known.insert((server.cluster.clone(), server.addr.clone()), id);
        }
        let mut changed = Vec::new();
        let config_before = Arc::clone(&self.versions[self.current].config);
        let before: BTreeMap<&str, &Cluster> =
            config_before.clusters.iter().map(|cluster| (&*cluster.name, cluster)).collect();
        let (worker, workers) = self.settings.worker;
        let mut view = |cluster: &Cluster| {
            let mut servers = Vec::with_capacity(cluster.servers.len());
            let mut speeches = Vec::with_capacity(cluster.servers.len());
            for server in &cluster.servers {
                let name = (cluster.name.clone(), server.addr.clone());
                let (key, speech) = (server_key(server), speech(cluster, server));
                let id = known.get(&name).copied().unwrap_or_else(|| {
                    self.servers.insert(ServerState {
                        cluster: cluster.name.clone(),
                        addr: server.addr.clone(),
                        health: Health::new(),
                        speech: speech.clone(),
                        speech_serial: 0,
                        active: 0,
                        open: 0,
                        read_window: 1,
                        current: 0,
                        key,
                        idle: Vec::with_capacity(cluster.idle_per_server + 1),
                        users: 0,
                        in_service: false,
                    })
                });
                let state = &mut self.servers[id];
                state.key = key;
                state.users += 1;
                if state.speech != speech {
                    state.speech = speech;
                    state.speech_serial += 1;
                    changed.push(id);
                }
                speeches.push(state.speech_serial);
                servers.push(id);
            }
            if before.get(&*cluster.name).is_some_and(|old| has_other_shares(old, cluster)) {
                for id in &servers {
                    self.servers[*id].current = 0;
                }
            }
            let timeouts = config.timeouts.with(&cluster.timeouts);
            let limit = |server: &Server| match server.max_connections {
                // At least one, or the server could not be used from here at all (ACC-11).
                Some(max) => share(max as usize, worker, workers).max(1) as u32,
                None => u32::MAX,
            };
            ClusterView {
                servers,
                timeouts,
                speeches,
                limits: cluster.servers.iter().map(limit).collect(),
                queue_max: share(cluster.queue_capacity, worker, workers),
                sticky: view_sticky(cluster, config),
            }
        };
        let views = config.clusters.iter().map(&mut view).collect();
        for id in changed {
            self.empty_pool(id);
        }
        views
    }

    /// Connections are kept only to servers that the current configuration has and that are not
    /// drained (BACK-6).
    fn put_servers_in_service(&mut self) {
        let mut serving: Vec<ServerId> = Vec::new();
        let version = &self.versions[self.current];
        for (cluster, view) in version.config.clusters.iter().zip(&version.clusters) {
            for (server, id) in cluster.servers.iter().zip(&view.servers) {
                if !server.drained {
                    serving.push(*id);
                }
            }
        }
        serving.sort_unstable();
        for index in 0..self.servers.high_water() {
            let Some((id, _)) = self.servers.at(index) else { continue };
            let in_service = serving.binary_search(&id).is_ok();
            self.servers[id].in_service = in_service;
            if !in_service {
                self.keep_alive_while(id, |proxy| proxy.empty_pool(id));
            }
        }
    }

    /// Runs `work` with the server held, so that releasing its connections cannot free it midway.
    fn keep_alive_while(&mut self, id: ServerId, work: impl FnOnce(&mut Proxy)) {
        self.servers[id].users += 1;
        work(self);
        self.release_server(id);
    }

    /// One viewer less; a version without any goes, and with it the servers that only it knew.
    pub(crate) fn unview(&mut self, id: VersionId) {
        let version = &mut self.versions[id];
        version.users -= 1;
        if version.users > 0 {
            return;
        }
        let version = self.versions.remove(id).expect("just seen");
        for server in version.clusters.iter().flat_map(|view| &view.servers) {
            self.release_server(*server);
        }
    }

    /// Opens the addresses of listeners that are new, and retires those that are gone. Who came by
    /// those is still of their listener, if there is one of its name.
    fn relisten(&mut self) {
        let version = &self.versions[self.current];
        let mut wanted: Vec<(u16, Box<str>, Address)> = Vec::new();
        for (listener, index) in version.config.listeners.iter().zip(0..) {
            for at in &listener.binds {
                wanted.push((index, listener.name.clone(), at.clone()));
            }
        }
        for index in 0..self.listens.high_water() {
            let Some((id, listen)) = self.listens.at(index) else { continue };
            let same = |w: &(u16, Box<str>, Address)| w.1 == listen.name && w.2 == listen.at;
            let at = wanted.iter().position(same).filter(|_| !listen.closing);
            let listeners = &self.versions[self.current].config.listeners;
            let is_it = |it: &Listener| it.name == listen.name;
            let named = listeners.iter().zip(0..).find_map(|(it, n)| is_it(it).then_some(n));
            match at {
                Some(at) => {
                    let index = wanted.swap_remove(at).0;
                    self.versions[self.current].users += 1;
                    let last = (self.current, index);
                    let (old, _) = std::mem::replace(&mut self.listens[id].last, last);
                    self.unview(old);
                }
                None if !listen.closing => self.unlist(id),
                None => {}
            }
            self.listens[id].index = named;
        }
        if !self.stopping {
            wanted.sort_unstable();
            for (index, name, at) in wanted {
                self.open_listener(index, name, at);
            }
        }
    }

    /// The configuration has the listener's address no more: what is in its backlog is accepted,
    /// then it closes.
    pub(crate) fn unlist(&mut self, id: ListenId) {
        self.retire_listener(id);
        self.hurry_idle(Some(id));
    }

    fn open_listener(&mut self, index: u16, name: Box<str>, at: Address) {
        let id = self.listens.next_id();
        self.versions[self.current].users += 1;
        let socket = self.sockets.insert(Owner::Listener(id), true, None);
        self.effects.push_back(Effect::Listen { id: socket, name: name.clone(), at: at.clone() });
        self.listens.insert(Listen {
            name,
            at,
            index: Some(index),
            last: (self.current, index),
            socket: Some(socket),
            closing: false,
            users: 0,
        });
        self.sockets.want(socket, Ops::NONE.with(Ops::READ, self.accept_resumes.is_none()));
    }

    /// Begins a graceful stop: what is in the backlogs is accepted, then the listeners close;
    /// idle connections close; begun requests are answered with `Connection: close`; the accept
    /// queue is served. [`Event::Stopped`] tells the end.
    pub fn stop(&mut self) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        self.note_worker(Tag::Stopped, 0);
        self.stopped_at_serial = self.session_serial;
        self.stop_began = self.now;
        for index in 0..self.listens.high_water() {
            if let Some((id, _)) = self.listens.at(index) {
                self.retire_listener(id);
            }
        }
        for index in 0..self.sessions.high_water() {
            if let Some((id, _)) = self.sessions.at(index) {
                self.arm_drain(id);
            }
        }
        self.hurry_idle(None);
        for index in 0..self.servers.high_water() {
            if let Some((id, _)) = self.servers.at(index) {
                self.keep_alive_while(id, |proxy| proxy.empty_pool(id));
            }
        }
    }

    /// The session ends by `drain` after the stop began, at the latest.
    pub(crate) fn arm_drain(&mut self, id: SessionId) {
        let due = self.drain_due(self.listens[self.sessions[id].listener].index);
        let session = &mut self.sessions[id];
        session.timers.drain_due = due;
        self.deadlines.set(session.deadline, session.timers.earliest());
    }

    /// When sessions of the current configuration's listener `index` end at the latest.
    pub(crate) fn drain_due(&self, index: Option<u16>) -> crate::time::Time {
        let timeouts = self.versions[self.current].listener_timeouts(index.map(usize::from));
        self.stop_began.deadline(timeouts.drain)
    }

    /// When the first listener that a graceful stop could not close yet is closed all the same:
    /// accepting may be held up for want of descriptors.
    pub(crate) fn listeners_due(&self) -> Option<crate::time::Time> {
        if !self.stopping {
            return None;
        }
        let open = self.listens.iter().filter(|(_, listen)| listen.socket.is_some());
        open.map(|(_, listen)| self.drain_due(listen.index)).min()
    }

    /// Closes the listeners whose time is over.
    pub(crate) fn close_late_listeners(&mut self) {
        for index in 0..self.listens.high_water() {
            if let Some((id, listen)) = self.listens.at(index)
                && self.drain_due(listen.index) <= self.now
            {
                self.reach.decided(Decision::StopLateListener);
                self.close_listener(id);
            }
        }
    }

    /// Sessions that wait for a request (of one listener, or all) look once more whether it is
    /// here, and close if not.
    fn hurry_idle(&mut self, listener: Option<ListenId>) {
        for index in 0..self.sessions.high_water() {
            if let Some((_, session)) = self.sessions.at(index)
                && session.state == State::Idle
                && listener.is_none_or(|listener| session.listener == listener)
            {
                self.sockets.assume_readable(session.front);
            }
        }
    }

    /// Whether the session closes instead of waiting for a request.
    pub(crate) fn closes_when_idle(&self, id: SessionId) -> bool {
        let session = &self.sessions[id];
        let old = session.requests > 0 || session.serial <= self.stopped_at_serial;
        (self.stopping && old) || (self.listens[session.listener].closing && session.requests > 0)
    }

    /// An idle session has nothing to read: closes it if it is not to wait. Returns whether.
    pub(crate) fn idle_at_stop(&mut self, id: SessionId) -> bool {
        let closes = self.sessions[id].state == State::Idle && self.closes_when_idle(id);
        if closes {
            self.reach.decided(Decision::StopClosedIdle);
            self.close_session(id, crate::effect::Close::Normal);
        }
        closes
    }

    /// Whether a graceful stop is complete: no listener, no waiting socket, no session.
    pub fn is_stopped(&self) -> bool {
        self.stopping
            && self.sessions.is_empty()
            && self.queue.is_empty()
            && self.listens.is_empty()
    }

    /// Tells the end of a graceful stop, once.
    pub(crate) fn tell_stopped(&mut self) {
        if self.is_stopped() && !std::mem::replace(&mut self.stop_told, true) {
            self.events.push_back(Event::Stopped { cut: self.drain_cut });
        }
    }

    /// Timeouts for the client's side: those of the request's start, or, between requests, the
    /// current ones.
    pub(crate) fn front_timeouts(&self, id: SessionId) -> &Timeouts {
        let session = &self.sessions[id];
        let seen = session.exchange.as_deref().and_then(|x| Some((x.version?, x.record.listener)));
        let (version, listener) =
            seen.unwrap_or((self.current, self.listens[session.listener].index));
        self.versions[version].listener_timeouts(listener.map(usize::from))
    }

    /// The settings of the session's listener in the version that its request sees; where that has
    /// the listener no more, in the last one that had it: its limits do not go with it (SES-1).
    pub(crate) fn listener_config(&self, id: SessionId) -> &Listener {
        let session = &self.sessions[id];
        let seen = session.exchange.as_deref().and_then(|x| x.version.zip(x.record.listener));
        let (version, index) = seen.unwrap_or(self.listens[session.listener].last);
        &self.versions[version].config.listeners[usize::from(index)]
    }

    /// Timeouts for the server's side: those of the request's start.
    pub(crate) fn cluster_timeouts(&self, id: SessionId) -> &Timeouts {
        let x = self.sessions[id].exchange.as_deref().expect("a request is being served");
        let version = &self.versions[x.version.expect("a request sees a version")];
        let cluster = x.record.cluster.expect("the route led to a cluster");
        &version.clusters[cluster as usize].timeouts
    }
}

/// How the servers of a cluster are spoken to.
fn speech(cluster: &Cluster, server: &Server) -> Speech {
    let tls = cluster.tls.clone().zip(server.tls_name.clone());
    Speech { tls, proxy: cluster.send_proxy }
}

/// Where the connections of a listener go, if it is one for TCP.
fn view_forward(listener: &Listener, indices: &BTreeMap<&str, u32>) -> ForwardView {
    let Protocol::Tcp(forward) = &listener.protocol else { return ForwardView::default() };
    let index = |name: &str| indices[name];
    let names = forward.sni.iter().filter_map(|(pattern, cluster)| {
        let name = match pattern {
            HostPattern::Exact(name) => name.clone(),
            HostPattern::Wildcard(suffix) => format!("*.{suffix}").into(),
            HostPattern::Any => return None,
        };
        Some((name, index(cluster)))
    });
    ForwardView { to: forward.to.as_deref().map(index), names: names.collect() }
}

/// The cookies of a cluster whose sessions stick (BACK-8); empty for others.
fn view_sticky(cluster: &Cluster, config: &Config) -> Vec<StickyView> {
    let Some(name) = &cluster.sticky else { return Vec::new() };
    let secret = config.sticky_secret.as_deref();
    cluster
        .servers
        .iter()
        .map(|server| {
            let value = cookie_value(server, &cluster.name, secret)
                .expect("validated: each server has an id, or there is a secret");
            let line = |secure| set_cookie(name, &value, secure).into();
            let (set_cookie, set_secure) = (line(false), line(true));
            StickyView { value, set_cookie, set_secure }
        })
        .collect()
}

/// Whether `new` divides its requests in another way than `old`, its version before. What its
/// servers owe each other in smooth round-robin is counted in their old weights then: one of weight
/// 1 that stood in debt beside one of 256 would be passed over for hundreds of turns (BACK-1).
fn has_other_shares(old: &Cluster, new: &Cluster) -> bool {
    fn share(server: &Server) -> (&Address, u32) {
        (&server.addr, server.weight)
    }
    fn shares(cluster: &Cluster) -> Vec<(&Address, u32)> {
        let mut all: Vec<_> = cluster.servers.iter().map(share).collect();
        all.sort_unstable();
        all
    }
    // Mostly nothing has changed, not even the order.
    !old.servers.iter().map(share).eq(new.servers.iter().map(share)) && shares(old) != shares(new)
}

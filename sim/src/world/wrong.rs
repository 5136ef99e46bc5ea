//! Configurations that must be refused whole (RUN-1): a good one with a fault or two.

use super::World;
use super::controller::APPLY;
use super::desired::listener_address;
use crate::mark;
use crate::oracle::{Verdict, reconfiguration};
use crate::site;
use crate::trace;
use std::time::Duration;
use tidegate_core::config::{
    AnswerBody, Config, FixedAnswer, Forward, HostPattern, Listener, Network, PathRule, Protocol,
    Redirect, Route, Server, Target,
};
use tidegate_core::input::Address;
use tidegate_core::route::{Outcome, Router, Verdict as Explained, explain};

type Spoil = fn(&mut Config);

fn name(text: &str) -> Box<str> {
    text.into()
}

fn first(config: &mut Config) -> &mut Listener {
    &mut config.listeners[0]
}

fn server(config: &mut Config) -> &mut Server {
    let cluster = config.clusters.iter_mut().find(|cluster| !cluster.servers.is_empty());
    &mut cluster.expect("a cluster with a server").servers[0]
}

fn route(config: &mut Config, change: impl FnOnce(&mut Route)) {
    let mut route = Route::to_cluster("c0");
    route.host = HostPattern::Exact(name("wrong.sim"));
    change(&mut route);
    config.routes.push(route);
}

fn body(content_type: &str, bytes: usize) -> AnswerBody {
    AnswerBody { content_type: name(content_type), bytes: vec![b'x'; bytes].into() }
}

fn redirect(config: &mut Config, change: impl FnOnce(&mut Redirect)) {
    let mut to = Redirect { status: 301, scheme: None, host: None, path: Some(name("/there")) };
    change(&mut to);
    route(config, |route| route.to = Target::Redirect(to));
}

fn answer(config: &mut Config, status: u16, body: Option<AnswerBody>) {
    route(config, |route| route.to = Target::Answer(FixedAnswer { status, body }));
}

fn tcp(config: &mut Config, forward: Forward) {
    let mut listener = Listener::new("wrong", vec![listener_address(99)]);
    listener.protocol = Protocol::Tcp(forward);
    config.listeners.push(listener);
}

fn forward(to: &str) -> Forward {
    Forward { to: Some(name(to)), sni: Vec::new() }
}

/// Faults of the worker's own keys, of listeners and of clusters.
const BELOW: &[Spoil] = &[
    |c| c.timeouts.connect = Duration::ZERO,
    |c| c.limits.head_bytes = 1 << 30,
    |c| c.limits.fields_max = 0,
    |c| c.limits.target_bytes = 1 << 20,
    |c| c.sticky_secret = Some(Vec::new()),
    |c| c.trusted_proxies = vec![Network { addr: [10, 0, 0, 0].into(), prefix: 33 }],
    |c| first(c).name = name("no name"),
    |c| first(c).binds.clear(),
    |c| first(c).binds = vec![Address::Unix(name(""))],
    |c| {
        let again = first(c).clone();
        c.listeners.push(again);
    },
    |c| first(c).backlog = 0,
    |c| first(c).max_connections_per_ip = Some(0),
    |c| {
        first(c).expect_proxy = false;
        first(c).proxy_from = vec![Network { addr: [10, 0, 0, 0].into(), prefix: 8 }];
    },
    |c| _ = first(c).timeouts.set("connect", Duration::from_secs(1)),
    |c| _ = first(c).timeouts.set("request_head", Duration::ZERO),
    |c| _ = first(c).answers.insert(418, body("text/plain", 5)),
    |c| _ = first(c).answers.insert(404, body("text\nplain", 5)),
    |c| _ = first(c).answers.insert(404, body("text/plain", 1 << 20)),
    |c| tcp(c, Forward::default()),
    |c| tcp(c, forward("nowhere")),
    |c| {
        tcp(c, forward("c0"));
        c.listeners.last_mut().expect("just pushed").max_body = Some(1);
    },
    |c| {
        let sni = |host: &str, to: &str| (HostPattern::Exact(name(host)), name(to));
        let sni = vec![sni("a.sim", "c0"), sni("a.sim", "nowhere"), sni("b ad", "c0")];
        tcp(c, Forward { to: None, sni });
    },
    |c| {
        let again = c.clusters[0].clone();
        c.clusters.push(again);
    },
    |c| c.clusters[0].name = name(""),
    |c| c.clusters[0].fall = 0,
    |c| c.clusters[0].backoff_min = Duration::from_secs(1 << 20),
    |c| c.clusters[0].backoff_min = Duration::ZERO,
    |c| c.clusters[0].sticky = Some(name("a cookie")),
    |c| {
        for cluster in &mut c.clusters {
            cluster.sticky = Some(name("same"));
        }
        let mut again = c.clusters[0].clone();
        again.name = name("again");
        c.clusters.push(again);
    },
    |c| {
        c.clusters[0].sticky = Some(name("stuck"));
        server(c).id = None;
        c.clusters[0].servers.push(Server::new(Address::Unix(name("/unnamed"))));
    },
    |c| _ = c.clusters[0].timeouts.set("linger", Duration::from_secs(1)),
    |c| server(c).weight = 257,
    |c| server(c).id = Some(name("an id")),
    |c| server(c).addr = Address::Ip(([10, 0, 0, 9], 0).into()),
    |c| server(c).max_connections = Some(0),
    |c| {
        let again = server(c).clone();
        c.clusters[0].servers.extend([again.clone(), again]);
    },
];

/// Faults of routes.
const ROUTES: &[Spoil] = &[
    |c| route(c, |r| r.to = Target::Cluster(name("nowhere"))),
    |c| route(c, |r| r.listener = Some(name("nowhere"))),
    |c| {
        tcp(c, forward("c0"));
        route(c, |r| r.listener = Some(name("wrong")));
    },
    |c| route(c, |r| r.host = HostPattern::Exact(name("UPPER.sim"))),
    |c| route(c, |r| r.host = HostPattern::Wildcard(name("*.sim"))),
    |c| route(c, |r| r.host = HostPattern::Exact(name("b ad"))),
    |c| route(c, |r| r.host = HostPattern::Exact(name(""))),
    |c| route(c, |r| r.path = PathRule::Exact(name("no slash"))),
    |c| route(c, |r| r.path = PathRule::Prefix(name("/a?b"))),
    |c| route(c, |r| r.path = PathRule::Regex(name("(open"))),
    |c| route(c, |r| r.path = PathRule::Regex(name("(a{1000}){1000}"))),
    |c| route(c, |r| r.methods = vec![name("G ET")]),
    |c| route(c, |r| r.methods = vec![name("get")]),
    |c| {
        route(c, |_| {});
        route(c, |_| {});
    },
    |c| redirect(c, |to| to.status = 300),
    |c| redirect(c, |to| to.scheme = Some(name("gopher"))),
    |c| redirect(c, |to| to.host = Some(name("b ad"))),
    |c| redirect(c, |to| to.host = Some(name("good.sim:99999"))),
    |c| redirect(c, |to| to.path = Some(name("nowhere"))),
    |c| redirect(c, |to| to.path = None),
    |c| answer(c, 199, None),
    |c| answer(c, 204, Some(body("text/plain", 1))),
    |c| answer(c, 200, Some(body("", 1))),
    |c| answer(c, 200, Some(body("text/plain", 1 << 20))),
    |c| route(c, |r| r.set_request_headers = vec![(name("b ad"), name("x"))]),
    |c| route(c, |r| r.set_request_headers = vec![(name("host"), name("x"))]),
    |c| route(c, |r| r.set_request_headers = vec![(name("x-a"), name("a\r\nb"))]),
    |c| {
        let twice = (name("x-a"), name("x"));
        route(c, |r| r.set_request_headers = vec![twice.clone(), twice]);
    },
    |c| route(c, |r| r.set_request_headers = vec![(name("x-a"), "x".repeat(2000).into())]),
    |c| route(c, |r| r.remove_response_headers = vec![name("b ad")]),
    |c| route(c, |r| r.remove_response_headers = vec![name("content-length")]),
    |c| route(c, |r| r.remove_response_headers = vec![name("x-a"), name("X-A")]),
];

/// Requests whose way is asked for: host, path, method.
const ASKED: &[(&str, &str, &str)] = &[
    ("a.example", "/r/1", "GET"),
    ("h2.wild.example", "/r/../tea/%7e", "POST"),
    ("moved.sim", "//moved/1", "GET"),
    ("moved.sim", "/found", "HEAD"),
    ("x.wild.sim", "/re/17", "GET"),
    ("x.wild.sim", "/re/17", "PUT"),
    ("x.deep.wild.sim", "/re/", "PUT"),
    ("nobody.sim", "/decoy/4", "POST"),
    ("nobody.sim", "/decoy/8/abc", "GET"),
    ("nobody.sim", "/fixed/", "GET"),
];

/// What an operator is told of a request's way must be the way it takes (ROUTE-2).
fn explained(config: &Config) -> Verdict {
    let mut scratch = Vec::new();
    let Ok(router) = Router::new(config) else {
        return reconfiguration::misled("good routes do not compile".into());
    };
    for listener in 0..config.listeners.len() as u16 {
        for (host, path, method) in ASKED {
            let [host, path, method] = [host, path, method].map(|text| text.as_bytes());
            let taken = router.lookup(listener, host, path, method, &mut scratch);
            let told = explain(config, listener, host, path, method).ok().and_then(|verdicts| {
                let chosen = |verdict: &&Explained| verdict.outcome == Outcome::Chosen;
                Some(verdicts.iter().find(chosen)?.route)
            });
            if taken != told {
                let message = format!("{host:?} {path:?} takes {taken:?} and is told of {told:?}");
                return reconfiguration::misled(message);
            }
        }
    }
    Ok(())
}

impl World {
    /// The controller submits nonsense: it must be refused, and nothing may change.
    pub(super) fn submit_nonsense(&mut self) {
        let addresses: Vec<Address> = self.servers.iter().map(|s| s.at.clone()).collect();
        let mut config = self.desired.config(&self.scenario, &addresses, &mut self.secure);
        if config.listeners.is_empty() {
            return;
        }
        self.oracle.judge(explained(&config));
        let all = (BELOW.len() + ROUTES.len()) as u64;
        for _ in 0..=self.cx.choose(site!("wrong/count"), 0, 2) {
            let which = self.cx.choose(site!("wrong/which"), 0, all) as usize;
            let spoil = BELOW.get(which).unwrap_or_else(|| &ROUTES[which - BELOW.len()]);
            spoil(&mut config);
            trace!(self.cx, "control: spoils a configuration, way {which}");
        }
        self.cx.mark(mark!("control: nonsense submitted"));
        let before = self.proxy.gauges();
        let proxy = &mut self.proxy;
        let errors = self.streams.lend(APPLY, || proxy.apply(config)).err();
        trace!(self.cx, "control: refused: {errors:?}");
        let reasons = errors.map_or(0, |errors| errors.len());
        let verdict = reconfiguration::refused(reasons, &before, &self.proxy.gauges());
        self.oracle.judge(verdict);
    }
}

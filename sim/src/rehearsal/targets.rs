//! What clients ask for: a request for each route of the file on each listener that leads to it,
//! and a session for each way through a TCP listener.

use super::plan::Version;
use super::sample;
use super::secure::Secure;
use rustls::pki_types::ServerName;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use tidegate_core::config::{
    Config, HostPattern, Listener, Network, PathRule, Protocol, Route, Target as Leads,
};
use tidegate_core::input::Address;
use tidegate_core::route::Router;

/// What a request names instead of going round the routes.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// The host.
    pub host: Option<String>,
    /// The path, with a query if it has one.
    pub path: Option<String>,
    /// The listener's name.
    pub listener: Option<String>,
}

/// Where a client connects to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Door {
    pub(super) address: Address,
    /// The name that is asked for by TLS.
    pub(super) tls: Option<String>,
    /// A PROXY header is expected, from this address.
    pub(super) balancer: Option<IpAddr>,
}

/// What a well-treated client gets for one method.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Expect {
    /// Index of the route, among all that the report names.
    pub(super) route: usize,
    /// The status.
    pub(super) status: u16,
}

/// What is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// A request: its host, its path, and what each method leads to.
    Http { host: String, path: String, ways: Vec<(&'static str, Expect)> },
    /// A TCP session that says something and waits for its echo.
    Tcp(Expect),
}

/// One thing that clients ask for.
pub(super) struct Target {
    pub(super) door: Door,
    pub(super) what: What,
}

/// What clients ask for in one version: each group is as likely as another.
pub(super) struct Targets {
    pub(super) groups: Vec<Vec<Target>>,
}

/// What routes are called, over all versions.
#[derive(Default)]
pub(super) struct Labels {
    pub(super) all: Vec<String>,
    numbers: BTreeMap<String, usize>,
}

impl Labels {
    /// The number of the route called `label`.
    fn number(&mut self, label: String) -> usize {
        *self.numbers.entry(label).or_insert_with_key(|label| {
            self.all.push(label.clone());
            self.all.len() - 1
        })
    }
}

/// Methods that clients use where a route does not say.
const USUAL: [&str; 2] = ["GET", "POST"];
/// Those that they can use.
const KNOWN: [&str; 7] = ["GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// The status of a TCP session that ended well.
pub(super) const ECHOED: u16 = 1;

impl Targets {
    /// The targets of `version`, and its configuration with TLS settings of ours. Routes get
    /// their place in `routes`; what is not asked for is told in `notes`.
    pub(super) fn of(
        version: Version,
        filter: &Filter,
        secure: &mut Secure,
        routes: &mut Labels,
        notes: &mut Vec<String>,
    ) -> Result<(Targets, Config), String> {
        let hosts = every_host(&version.config, filter);
        let config = secure.dress(&version, &hosts);
        let router = Router::new(&config).map_err(|errors| format!("{errors:?}"))?;
        let mut finder = Finder { config: &config, version: &version, router, routes, notes };
        let groups = match (&filter.host, &filter.path) {
            (None, None) => finder.all(filter.listener.as_deref())?,
            _ => vec![finder.one(filter)?],
        };
        if groups.is_empty() {
            return Err(format!("{}: nothing that could be asked for", version.file));
        }
        Ok((Targets { groups }, config))
    }
}

/// Every host that somebody may ask for: what certificates are good for whose names are unknown.
fn every_host(config: &Config, filter: &Filter) -> Vec<Box<str>> {
    let mut all: Vec<Box<str>> = vec![sample::ANY_HOST.into(), "localhost".into()];
    all.extend(filter.host.as_deref().map(Into::into));
    all.extend(config.routes.iter().filter_map(|route| match &route.host {
        HostPattern::Any => None,
        HostPattern::Exact(host) => Some(host.clone()),
        HostPattern::Wildcard(suffix) => {
            Some(format!("*.{}", suffix.trim_start_matches('.')).into())
        }
    }));
    all
}

struct Finder<'a> {
    config: &'a Config,
    version: &'a Version,
    router: Router,
    routes: &'a mut Labels,
    notes: &'a mut Vec<String>,
}

impl Finder<'_> {
    fn all(&mut self, only: Option<&str>) -> Result<Vec<Vec<Target>>, String> {
        let listeners = &self.config.listeners;
        if let Some(name) = only
            && !listeners.iter().any(|listener| &*listener.name == name)
        {
            let known: Vec<&str> = listeners.iter().map(|listener| &*listener.name).collect();
            let known = known.join(", ");
            return Err(format!("no listener is called \"{name}\"; there are {known}"));
        }
        let is_asked = |listener: &Listener| only.is_none_or(|name| &*listener.name == name);
        let mut groups = Vec::new();
        for (index, route) in self.config.routes.iter().enumerate() {
            let group = self.of_route(index, route, &is_asked);
            if group.is_empty() && only.is_none() {
                let line = self.version.route_lines.get(index).copied().unwrap_or(0);
                let file = &self.version.file;
                self.notes.push(format!("not asked for: the route of {file}:{line}"));
            }
            groups.push(group);
        }
        for listener in self.config.listeners.iter().filter(|listener| is_asked(listener)) {
            if let Protocol::Tcp(forward) = &listener.protocol {
                let named = forward.sni.iter().filter_map(|(pattern, to)| {
                    Some((sample::hosts(pattern).into_iter().next(), &**to))
                        .filter(|_| *pattern != HostPattern::Any)
                });
                let unnamed = forward.to.iter().map(|to| {
                    let sniffs = !forward.sni.is_empty();
                    (sniffs.then(|| sample::ANY_HOST.to_owned()), &**to)
                });
                let ways: Vec<(Option<String>, &str)> = named.chain(unnamed).collect();
                for (name, to) in ways {
                    groups.push(vec![self.tcp(listener, name, to)]);
                }
            }
        }
        groups.retain(|group| !group.is_empty());
        Ok(groups)
    }

    /// The requests that take route `index`: one for each listener where one was found.
    fn of_route(
        &mut self,
        index: usize,
        route: &Route,
        is_asked: &impl Fn(&Listener) -> bool,
    ) -> Vec<Target> {
        let mut found: Vec<(bool, Target)> = Vec::new();
        for (at, listener) in self.config.listeners.iter().enumerate() {
            let is_http = matches!(listener.protocol, Protocol::Http);
            let is_bound = route.listener.as_ref().is_none_or(|name| *name == listener.name);
            if !is_http || !is_bound || !is_asked(listener) {
                continue;
            }
            let mut hosts = sample::hosts(&route.host);
            if route.host == HostPattern::Any {
                hosts.splice(..0, certified(listener));
            }
            let paths = sample::paths(&route.path);
            let pairs = hosts.iter().flat_map(|host| paths.iter().map(move |path| (host, path)));
            let hit = pairs.into_iter().find_map(|(host, path)| {
                let ways = self.ways(at, host, path, route);
                let takes = |method: &str| self.lookup(at, host, path, method) == Some(index);
                ways.iter().any(|&(method, _)| takes(method)).then_some((host, path, ways))
            });
            if let Some((host, path, ways)) = hit {
                let what = What::Http { host: host.clone(), path: path.clone(), ways };
                found.push((
                    is_covered(listener, host),
                    Target { door: door(listener, host), what },
                ));
            }
        }
        // Nobody asks a listener for a name that it has no certificate for, if another one has.
        let any_covered = found.iter().any(|&(covered, _)| covered);
        found.retain(|&(covered, _)| covered || !any_covered);
        found.into_iter().map(|(_, target)| target).collect()
    }

    /// What each method that `route` is for leads to.
    fn ways(
        &mut self,
        listener: usize,
        host: &str,
        path: &str,
        route: &Route,
    ) -> Vec<(&'static str, Expect)> {
        let methods = KNOWN.iter().filter(|method| match &route.methods[..] {
            [] => USUAL.contains(method),
            only => only.iter().any(|it| **it == ***method),
        });
        let methods: Vec<&'static str> = methods.copied().collect();
        let mut ways = Vec::new();
        for method in methods {
            if let Some(index) = self.lookup(listener, host, path, method) {
                let expect = self.expect(index);
                ways.push((method, expect));
            }
        }
        ways
    }

    fn lookup(&self, listener: usize, host: &str, path: &str, method: &str) -> Option<usize> {
        let path = path.split('?').next().unwrap_or(path).as_bytes();
        let (host, method) = (host.as_bytes(), method.as_bytes());
        self.router.lookup(listener as u16, host, path, method, &mut Vec::new())
    }

    fn expect(&mut self, index: usize) -> Expect {
        let route = &self.config.routes[index];
        let (status, to) = match &route.to {
            Leads::Cluster(cluster) => (200, cluster.to_string()),
            Leads::Redirect(redirect) => (redirect.status, format!("redirect {}", redirect.status)),
            Leads::Answer(answer) => (answer.status, format!("answer {}", answer.status)),
        };
        Expect { route: self.routes.number(format!("{} → {to}", pattern(route))), status }
    }

    fn tcp(&mut self, listener: &Listener, name: Option<String>, to: &str) -> Target {
        let asked = name.as_ref().map_or_else(String::new, |name| format!(" {name}"));
        let route = self.routes.number(format!("tcp {}{asked} → {to}", listener.name));
        let mut door = door(listener, name.as_deref().unwrap_or(sample::ANY_HOST));
        if name.is_some() {
            door.tls = name;
        }
        Target { door, what: What::Tcp(Expect { route, status: ECHOED }) }
    }

    /// What `filter` asks for, at every listener that has a route for it.
    fn one(&mut self, filter: &Filter) -> Result<Vec<Target>, String> {
        let path = filter.path.as_deref().unwrap_or("/");
        let mut found = Vec::new();
        let any = Route::to_cluster("");
        for (at, listener) in self.config.listeners.iter().enumerate() {
            let is_asked = filter.listener.as_ref().is_none_or(|name| **name == *listener.name);
            if !is_asked || !matches!(listener.protocol, Protocol::Http) {
                continue;
            }
            let of_certificate = certified(listener).into_iter().next();
            let host = filter.host.clone().or(of_certificate);
            let host = host.unwrap_or_else(|| sample::ANY_HOST.into());
            let ways = self.ways(at, &host, path, &any);
            if !ways.is_empty() {
                let door = door(listener, &host);
                let what = What::Http { host, path: path.to_owned(), ways };
                found.push(Target { door, what });
            }
        }
        let host = filter.host.as_deref().unwrap_or("any host");
        match found.is_empty() {
            true => Err(format!("{}: no route for {host}, path {path}", self.version.file)),
            false => Ok(found),
        }
    }
}

/// What a route matches, in a few words.
fn pattern(route: &Route) -> String {
    let host = match &route.host {
        HostPattern::Any => "*".to_owned(),
        HostPattern::Exact(host) => host.to_string(),
        HostPattern::Wildcard(suffix) => format!("*.{}", suffix.trim_start_matches('.')),
    };
    let path = match &route.path {
        PathRule::Any => String::new(),
        PathRule::Exact(path) => path.to_string(),
        PathRule::Prefix(path) => format!("{}/*", path.trim_end_matches('/')),
        PathRule::Regex(pattern) => format!(" ~{pattern}"),
    };
    let methods = match &route.methods[..] {
        [] => String::new(),
        some => format!("{} ", some.join(",")),
    };
    let listener = route.listener.as_ref().map_or_else(String::new, |of| format!("{of}: "));
    format!("{listener}{methods}{host}{path}")
}

/// Hosts that the listener's certificates are for.
fn certified(listener: &Listener) -> Vec<String> {
    let names = listener.tls.iter().flat_map(|tls| tls.certificates.names()).flatten();
    names.map(|name| name.replacen('*', "www", 1)).collect()
}

fn is_covered(listener: &Listener, host: &str) -> bool {
    let tls = listener.tls.as_ref();
    tls.is_none_or(|tls| tls.certificates.cover(host, host.as_bytes()))
}

/// The way to `listener`, for somebody who wants `host`.
fn door(listener: &Listener, host: &str) -> Door {
    let balancer = listener.expect_proxy.then(|| balancer(&listener.proxy_from));
    // What no certificate can have, such as an address in brackets, is asked for without a name.
    let named = ServerName::try_from(host).map_or("127.0.0.1", |_| host);
    let tls = listener.tls.as_ref().map(|_| named.to_owned());
    Door { address: listener.binds[0].clone(), tls, balancer }
}

/// An address that may send PROXY headers.
fn balancer(from: &[Network]) -> IpAddr {
    match from.first() {
        None => Ipv4Addr::new(198, 51, 100, 1).into(),
        Some(Network { addr: IpAddr::V4(addr), prefix }) if *prefix < 31 => {
            Ipv4Addr::from_bits(addr.to_bits() | 1).into()
        }
        Some(network) => network.addr,
    }
}

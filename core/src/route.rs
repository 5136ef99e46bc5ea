//! Routing (ROUTE-1 to ROUTE-4): which route a request takes.
//!
//! A [`Router`] is compiled from a configuration. Hosts stand in hash tables whose records hold a
//! host's name and its rules, in the order of ROUTE-2, so that the first that holds wins; a host
//! with many rules has an index of its paths instead. Nothing allocates, save the normalisation of
//! an unusual path, which uses the caller's buffer, and the first match of a regular expression.

mod bytes;
mod explain;
mod expressions;
mod few;
mod hosts;
mod many;
mod order;
mod path;

pub use explain::{Outcome, Rank, Verdict, explain};
pub(crate) use expressions::Expressions;
pub(crate) use order::ties;

use crate::config::{Config, ConfigError, HostPattern, Place, Problem, Route};
use hosts::Hosts;
use many::Many;
use order::{HostOrder, PathOrder, Precedence, precedences};
use regex::bytes::Regex;
use std::collections::BTreeMap;

/// Rules of a host that are looked at one by one; more get an index.
const FEW: usize = 8;

/// The routes of one configuration, ready for lookups. Workers clone it: a lookup shares nothing,
/// not even the scratch space of a regular expression.
#[derive(Clone, Default)]
pub struct Router {
    exact: Hosts,
    wildcard: Hosts,
    /// The rules of the `any` host.
    any: Option<Vec<u8>>,
    parts: Parts,
}

/// What rules refer to by index.
#[derive(Clone, Default)]
struct Parts {
    regexes: Vec<Regex>,
    method_sets: Vec<Vec<Box<[u8]>>>,
    many: Vec<Many>,
}

/// The part of a request that is compared within a host, its path normalised.
struct Ask<'a> {
    listener: u16,
    path: &'a [u8],
    method: &'a [u8],
}

/// A rule of a host: which requests of the path it holds for, and the route it stands for.
#[derive(Copy, Clone)]
struct Rule {
    /// Index of the route in the configuration.
    route: u32,
    /// Index of the listener that it is bound to.
    listener: Option<u16>,
    /// Index of its set of methods.
    methods: Option<u32>,
}

impl Parts {
    /// The rules of a host as bytes, or the number of their index.
    fn write(
        &mut self,
        rules: &[(&PathOrder<'_>, Rule)],
        regexes: &BTreeMap<usize, u32>,
    ) -> Vec<u8> {
        if rules.len() <= FEW {
            return few::write(rules, regexes);
        }
        self.many.push(Many::new(rules, regexes));
        few::write_many(self.many.len() - 1)
    }

    /// Whether `rule` holds for the listener and the method of `ask`.
    fn admits(&self, rule: &Rule, ask: &Ask<'_>) -> bool {
        rule.listener.is_none_or(|listener| listener == ask.listener)
            && rule.methods.is_none_or(|set| {
                self.method_sets[set as usize].iter().any(|method| &**method == ask.method)
            })
    }
}

impl Router {
    /// Compiles the routes of `config`. Refuses what would make a lookup ambiguous or wrong:
    /// regular expressions that do not compile, unknown listeners, ties. That everything else is
    /// in order is for [`crate::config::validate()`] to tell.
    pub fn new(config: &Config) -> Result<Router, Vec<ConfigError>> {
        Router::with(config, &mut Expressions::default())
    }

    /// Like [`new`](Router::new), with expressions that were compiled before.
    pub(crate) fn with(
        config: &Config,
        expressions: &mut Expressions,
    ) -> Result<Router, Vec<ConfigError>> {
        let routes = &config.routes;
        let order = precedences(routes);
        let mut compiler = Compiler::new(config);
        let rules: Vec<Rule> = (0..routes.len()).map(|index| compiler.rule(index)).collect();
        let sorted = order::sorted(&order);
        for (route, with) in order::ties_of(routes, &order, &sorted) {
            compiler.error(route, "", Problem::TiedRoutes { with });
        }
        let regexes = compiler.regexes(routes, &order, expressions);
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        let mut parts = compiler.parts;
        let (mut exact, mut wildcard, mut any) = (Vec::new(), Vec::new(), None);
        for group in sorted.chunk_by(|&a, &b| order[a].host == order[b].host) {
            let of_host = group.iter().map(|&index| (&order[index].path, rules[index]));
            let of_host = parts.write(&of_host.collect::<Vec<_>>(), &regexes);
            match order[group[0]].host {
                HostOrder::Exact(name) => exact.push((name.as_bytes(), of_host)),
                HostOrder::Wildcard(_, suffix) => wildcard.push((suffix.as_bytes(), of_host)),
                HostOrder::Any => any = Some(of_host),
            }
        }
        Ok(Router { exact: Hosts::new(&exact), wildcard: Hosts::new(&wildcard), any, parts })
    }

    /// The index of the route that a request takes, `None` for a 404 (ROUTE-4).
    ///
    /// `host` is canonical: in lower case, without port and trailing dot, empty if there is none.
    /// `path` is the request's path as it came, without query; it is normalised here (ROUTE-3),
    /// into `scratch` when it has to change. `listener` is an index into the configuration's.
    pub fn lookup(
        &self,
        listener: u16,
        host: &[u8],
        path: &[u8],
        method: &[u8],
        scratch: &mut Vec<u8>,
    ) -> Option<usize> {
        let ask = Ask { listener, path: path::normalise(path, scratch), method };
        let exact = self.exact.find(host).and_then(|rules| self.within(rules, &ask));
        let found = exact.or_else(|| {
            let wildcard = self.wildcard.find(parent(host)?)?;
            self.within(wildcard, &ask)
        });
        let found = found.or_else(|| self.within(self.any.as_deref()?, &ask));
        found.map(|route| route as usize)
    }

    /// The first of a host's rules that holds.
    fn within(&self, rules: &[u8], ask: &Ask<'_>) -> Option<u32> {
        few::find(rules, &self.parts, ask)
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (exact, wildcard) = (self.exact.len(), self.wildcard.len());
        write!(f, "Router({exact} hosts, {wildcard} wildcards)")
    }
}

/// `host` without its first label; `None` if it has no other.
fn parent(host: &[u8]) -> Option<&[u8]> {
    let dot = memchr::memchr(b'.', host)?;
    (dot > 0).then(|| &host[dot + 1..])
}

/// Gathers what the rules of a configuration refer to, and its errors.
struct Compiler<'a> {
    routes: &'a [Route],
    listeners: BTreeMap<&'a str, u16>,
    method_sets: BTreeMap<&'a [Box<str>], u32>,
    parts: Parts,
    errors: Vec<ConfigError>,
}

impl<'a> Compiler<'a> {
    fn new(config: &'a Config) -> Compiler<'a> {
        let names = config.listeners.iter().map(|listener| &*listener.name);
        Compiler {
            routes: &config.routes,
            listeners: names.zip(0..=u16::MAX).collect(),
            method_sets: BTreeMap::new(),
            parts: Parts::default(),
            errors: Vec::new(),
        }
    }

    fn error(&mut self, route: usize, key: &'static str, problem: Problem) {
        self.errors.push(ConfigError { place: Place::Route(route, key), problem });
    }

    fn rule(&mut self, index: usize) -> Rule {
        let route = &self.routes[index];
        let mut listener = None;
        if let Some(name) = &route.listener {
            listener = self.listeners.get(&**name).copied();
            if listener.is_none() {
                self.error(index, "listener", Problem::UnknownListener { name: name.clone() });
            }
        }
        let methods = (!route.methods.is_empty()).then(|| self.method_set(&route.methods));
        Rule { route: u32::try_from(index).expect("less than 2^32 routes"), listener, methods }
    }

    /// The number of a set of methods; equal lists share one.
    fn method_set(&mut self, methods: &'a [Box<str>]) -> u32 {
        let sets = &mut self.parts.method_sets;
        *self.method_sets.entry(methods).or_insert_with(|| {
            sets.push(methods.iter().map(|method| method.as_bytes().into()).collect());
            sets.len() as u32 - 1
        })
    }

    /// Compiles each different regular expression of a host once; by its order, its number.
    fn regexes(
        &mut self,
        routes: &[Route],
        order: &[Precedence<'_>],
        expressions: &mut Expressions,
    ) -> BTreeMap<usize, u32> {
        let mut numbers = BTreeMap::new();
        for (index, route) in routes.iter().enumerate() {
            let (PathOrder::Regex(first), crate::config::PathRule::Regex(pattern)) =
                (&order[index].path, &route.path)
            else {
                continue;
            };
            if *first != index {
                continue;
            }
            match expressions.get(pattern) {
                Ok(regex) => {
                    numbers.insert(index, self.parts.regexes.len() as u32);
                    self.parts.regexes.push(regex);
                }
                Err(message) => self.error(index, "path_regex", Problem::BadRegex { message }),
            }
        }
        numbers
    }
}

/// Whether `host`, canonical, is one that `pattern` names.
fn host_matches(pattern: &HostPattern, host: &[u8]) -> bool {
    match pattern {
        HostPattern::Any => true,
        HostPattern::Exact(name) => name.as_bytes() == host,
        HostPattern::Wildcard(suffix) => parent(host) == Some(suffix.as_bytes()),
    }
}

#[cfg(test)]
mod tests;

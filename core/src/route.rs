//! Routing (ROUTE-1 to ROUTE-4): which route a request takes.
//!
//! A [`Router`] is compiled from a configuration. Hosts stand in open-addressing tables of
//! (hash, offset) that lead into one arena, where a host's name and its rules lie side by side: a
//! lookup touches one slot and one record, however many hosts there are. A host's rules are kept
//! in the order of ROUTE-2, so that the first that holds wins; a host with many rules has an
//! index of its paths instead ([`many`]). Nothing allocates, save the normalisation of an unusual
//! path, which uses the caller's buffer, and the first match of a regular expression.

mod explain;
mod few;
mod hosts;
mod many;
mod order;
mod path;

pub use explain::{Outcome, Rank, Verdict, explain};
pub(crate) use order::ties;

use crate::config::{Config, ConfigError, HostPattern, Place, Problem, Route};
use hosts::Hosts;
use many::Many;
use order::{HostOrder, PathOrder, Precedence, precedences};
use regex::bytes::{Regex, RegexBuilder};
use std::collections::BTreeMap;

/// Bytes that a compiled regular expression, and the cache of its automaton, take at most.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// Rules of a host that are looked at one by one; more get an index.
const FEW: usize = 8;

/// The routes of one configuration, ready for lookups.
pub struct Router {
    exact: Hosts,
    wildcard: Hosts,
    any: Option<u32>,
    arena: Vec<u8>,
    parts: Parts,
}

/// What rules refer to by index.
#[derive(Default)]
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
    /// in order is for [`crate::config::validate`] to tell.
    pub fn new(config: &Config) -> Result<Router, Vec<ConfigError>> {
        let routes = &config.routes;
        let order = precedences(routes);
        let mut compiler = Compiler::new(config);
        let rules: Vec<Rule> = (0..routes.len()).map(|index| compiler.rule(index)).collect();
        for (route, with) in order::ties_of(routes, &order) {
            compiler.error(route, "", Problem::TiedRoutes { with });
        }
        let regexes = compiler.regexes(routes, &order);
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        let mut sorted: Vec<usize> = (0..routes.len()).collect();
        sorted.sort_by(|&a, &b| order[a].cmp(&order[b]));
        let mut router = Router {
            exact: Hosts::default(),
            wildcard: Hosts::default(),
            any: None,
            arena: Vec::new(),
            parts: compiler.parts,
        };
        for group in sorted.chunk_by(|&a, &b| order[a].host == order[b].host) {
            let host = &order[group[0]].host;
            let of_host = group.iter().map(|&index| (&order[index].path, rules[index])).collect();
            router.add_host(host, of_host, &regexes);
        }
        router.exact.build(&router.arena);
        router.wildcard.build(&router.arena);
        Ok(router)
    }

    fn add_host(
        &mut self,
        host: &HostOrder<'_>,
        rules: Vec<(&PathOrder<'_>, Rule)>,
        regexes: &BTreeMap<usize, u32>,
    ) {
        let at = u32::try_from(self.arena.len()).expect("routes of less than 4 GiB");
        let name = match host {
            HostOrder::Exact(name) | HostOrder::Wildcard(_, name) => name.as_bytes(),
            HostOrder::Any => b"",
        };
        hosts::write_name(&mut self.arena, name);
        if rules.len() <= FEW {
            few::write(&mut self.arena, &rules, regexes);
        } else {
            few::write_many(&mut self.arena, self.parts.many.len());
            self.parts.many.push(Many::new(&rules, regexes));
        }
        match host {
            HostOrder::Exact(_) => self.exact.push(at),
            HostOrder::Wildcard(..) => self.wildcard.push(at),
            HostOrder::Any => self.any = Some(at),
        }
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
        let exact = self.exact.find(&self.arena, host);
        let found = exact.and_then(|at| self.within(at, &ask));
        let found = found.or_else(|| {
            let at = self.wildcard.find(&self.arena, parent(host)?)?;
            self.within(at, &ask)
        });
        let found = found.or_else(|| {
            let body = hosts::skip_name(&self.arena, self.any?);
            self.within(body, &ask)
        });
        found.map(|route| route as usize)
    }

    /// The first rule that holds, of the host whose rules lie at `at`.
    fn within(&self, at: usize, ask: &Ask<'_>) -> Option<u32> {
        few::find(&self.arena[at..], &self.parts, ask)
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (exact, wildcard) = (self.exact.len(), self.wildcard.len());
        write!(f, "Router({exact} hosts, {wildcard} wildcards, {} bytes)", self.arena.len())
    }
}

/// `host` without its first label; `None` if it has no other.
fn parent(host: &[u8]) -> Option<&[u8]> {
    let dot = memchr::memchr(b'.', host)?;
    (dot > 0).then(|| &host[dot + 1..])
}

/// Compiles a route's regular expression: bytes, ASCII classes, anchored at both ends.
pub(crate) fn regex(pattern: &str) -> Result<Regex, Box<str>> {
    let build = |pattern: &str| {
        RegexBuilder::new(pattern)
            .unicode(false)
            .size_limit(REGEX_BYTES_MAX)
            .dfa_size_limit(REGEX_BYTES_MAX)
            .build()
            .map_err(|error| error.to_string().into_boxed_str())
    };
    // Alone first: `a)|(b` must not become legal by the parentheses around it.
    build(pattern)?;
    build(&format!(r"\A(?:{pattern})\z"))
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
    fn regexes(&mut self, routes: &[Route], order: &[Precedence<'_>]) -> BTreeMap<usize, u32> {
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
            match regex(pattern) {
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

//! The order of ROUTE-2: which of two routes that match is the more specific.

use super::path::{normalised, prefix_key};
use crate::config::{HostPattern, PathRule, Route};
use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Where a route stands; the lesser is more specific. Of two routes that match one request, equal
/// components mean equal rules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Precedence<'a> {
    pub(super) host: HostOrder<'a>,
    pub(super) path: PathOrder<'a>,
    pub(super) all_methods: bool,
    pub(super) all_listeners: bool,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum HostOrder<'a> {
    Exact(&'a str),
    Wildcard(Reverse<usize>, &'a str),
    Any,
}

/// Paths are normalised; no path rule is the empty prefix.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum PathOrder<'a> {
    Exact(Cow<'a, [u8]>),
    /// Index of the first route of the same host with the same expression.
    Regex(usize),
    Prefix(Reverse<usize>, Cow<'a, [u8]>),
}

/// The precedence of every route, in file order.
pub(super) fn precedences(routes: &[Route]) -> Vec<Precedence<'_>> {
    let mut regexes = BTreeMap::new();
    let mut precedence = |(index, route)| {
        let route: &Route = route;
        let host = match &route.host {
            HostPattern::Exact(name) => HostOrder::Exact(name),
            HostPattern::Wildcard(suffix) => HostOrder::Wildcard(Reverse(suffix.len()), suffix),
            HostPattern::Any => HostOrder::Any,
        };
        let path = match &route.path {
            PathRule::Any => PathOrder::Prefix(Reverse(0), Cow::Borrowed(b"")),
            PathRule::Exact(path) => PathOrder::Exact(normalised(path)),
            PathRule::Prefix(path) => {
                let key = prefix_key(path);
                PathOrder::Prefix(Reverse(key.len()), key)
            }
            PathRule::Regex(pattern) => {
                let first = regexes.entry((host.clone(), &**pattern)).or_insert(index);
                PathOrder::Regex(*first)
            }
        };
        let all_methods = route.methods.is_empty();
        Precedence { host, path, all_methods, all_listeners: route.listener.is_none() }
    };
    routes.iter().enumerate().map(&mut precedence).collect()
}

/// The routes from the most specific to the least, equal ones in file order.
pub(super) fn sorted(order: &[Precedence<'_>]) -> Vec<usize> {
    let mut sorted: Vec<usize> = (0..order.len()).collect();
    sorted.sort_by(|&a, &b| order[a].cmp(&order[b]));
    sorted
}

/// The routes that tie with an earlier one, each with the first such: equal in every component,
/// and there is a request that both match. In file order.
pub(crate) fn ties(routes: &[Route]) -> Vec<(usize, usize)> {
    let order = precedences(routes);
    ties_of(routes, &order, &sorted(&order))
}

/// [`ties`], with the precedences and their order at hand.
pub(super) fn ties_of(
    routes: &[Route],
    order: &[Precedence<'_>],
    sorted: &[usize],
) -> Vec<(usize, usize)> {
    let mut ties = Vec::new();
    let mut seen = BTreeMap::new();
    for group in sorted.chunk_by(|&a, &b| order[a] == order[b]).filter(|it| it.len() > 1) {
        seen.clear();
        for &index in group {
            let route = &routes[index];
            let methods = route.methods.iter().map(|method| Some(&**method));
            let all = route.methods.is_empty().then_some(None);
            let firsts = methods.chain(all).map(|method| {
                let first = seen.entry((route.listener.as_deref(), method)).or_insert(index);
                *first
            });
            if let Some(first) = firsts.min().filter(|&first| first != index) {
                ties.push((index, first));
            }
        }
    }
    ties.sort_unstable();
    ties
}

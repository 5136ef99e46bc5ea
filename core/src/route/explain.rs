//! Why a request takes the route it takes, and why every other route lost.

use super::expressions::regex;
use super::host_matches;
use super::order::{PathOrder, Precedence, precedences};
use super::path::{is_below, normalise};
use crate::config::{Config, ConfigError, PathRule, Place, Problem, Route};

/// What became of one route.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Index of the route in the configuration.
    pub route: usize,
    /// What became of it.
    pub outcome: Outcome,
}

/// Whether a route was chosen, and if not, the first thing that stood against it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The request takes it.
    Chosen,
    /// It is bound to another listener.
    OtherListener,
    /// Its host pattern does not match.
    OtherHost,
    /// Its path rule does not match.
    OtherPath,
    /// It is for other methods.
    OtherMethod,
    /// It matches, but another route is more specific.
    Outranked {
        /// Index of the route that is chosen.
        by: usize,
        /// In what that one is more specific.
        rank: Rank,
    },
}

/// The steps of ROUTE-2, in their order.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rank {
    /// An exact host, then the longest wildcard, then any.
    Host,
    /// An exact path, then expressions in file order, then the longest prefix.
    Path,
    /// With method before without.
    Method,
    /// Bound to the listener before bound to all.
    Listener,
    /// Before it in the file: they tie, which a valid configuration excludes.
    Order,
}

/// The verdict on every route, in file order. Takes what [`super::Router::lookup`] takes, and
/// agrees with it, but compares the request with one route after another. Fails on a regular
/// expression that does not compile.
pub fn explain(
    config: &Config,
    listener: u16,
    host: &[u8],
    path: &[u8],
    method: &[u8],
) -> Result<Vec<Verdict>, ConfigError> {
    let mut scratch = Vec::new();
    let path = normalise(path, &mut scratch);
    let name = config.listeners.get(usize::from(listener)).map(|listener| &*listener.name);
    let order = precedences(&config.routes);
    let mut against = Vec::with_capacity(config.routes.len());
    for (index, route) in config.routes.iter().enumerate() {
        let path_matches = || match (&order[index].path, &route.path) {
            (PathOrder::Exact(exact), _) => Ok(path == &**exact),
            (PathOrder::Prefix(_, prefix), _) => Ok(is_below(path, prefix)),
            (PathOrder::Regex(_), rule) => regex_matches(index, rule, path),
        };
        against.push(objection(route, name, host, path_matches, method)?);
    }
    let matching = (0..against.len()).filter(|&index| against[index].is_none());
    let chosen = matching.min_by_key(|&index| (&order[index], index));
    let verdict = |(route, against): (usize, Option<Outcome>)| Verdict {
        route,
        outcome: match (against, chosen) {
            (Some(outcome), _) => outcome,
            (None, Some(by)) if by != route => {
                Outcome::Outranked { by, rank: rank(&order[by], &order[route]) }
            }
            (None, _) => Outcome::Chosen,
        },
    };
    Ok(against.into_iter().enumerate().map(verdict).collect())
}

fn regex_matches(index: usize, rule: &PathRule, path: &[u8]) -> Result<bool, ConfigError> {
    let PathRule::Regex(pattern) = rule else { return Ok(false) };
    match regex(pattern) {
        Ok(regex) => Ok(regex.is_match(path)),
        Err(message) => Err(ConfigError {
            place: Place::Route(index, "path_regex"),
            problem: Problem::BadRegex { message },
        }),
    }
}

/// The first thing about `route` that does not hold. The path is asked about last but the method:
/// expressions of other hosts are not compiled.
fn objection(
    route: &Route,
    listener: Option<&str>,
    host: &[u8],
    path_matches: impl FnOnce() -> Result<bool, ConfigError>,
    method: &[u8],
) -> Result<Option<Outcome>, ConfigError> {
    let bound = route.listener.as_deref();
    Ok(if bound.is_some() && bound != listener {
        Some(Outcome::OtherListener)
    } else if !host_matches(&route.host, host) {
        Some(Outcome::OtherHost)
    } else if !path_matches()? {
        Some(Outcome::OtherPath)
    } else if !route.methods.is_empty() && !route.methods.iter().any(|it| it.as_bytes() == method) {
        Some(Outcome::OtherMethod)
    } else {
        None
    })
}

/// The first step at which `winner` stands before `loser`.
fn rank(winner: &Precedence<'_>, loser: &Precedence<'_>) -> Rank {
    if winner.host != loser.host {
        Rank::Host
    } else if winner.path != loser.path {
        Rank::Path
    } else if winner.all_methods != loser.all_methods {
        Rank::Method
    } else if winner.all_listeners != loser.all_listeners {
        Rank::Listener
    } else {
        Rank::Order
    }
}

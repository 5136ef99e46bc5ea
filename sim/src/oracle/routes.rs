//! Group *routes*: where a request leads, by a model of its own: of all routes that match, the most
//! specific one; what redirects and fixed answers say; which fields a route sets and removes.
//!
//! - ROUTE-1: a redirect leads where its route says, and a fixed answer is its route's.
//! - ROUTE-2: a request goes to a cluster only if its most specific route leads there.
//! - REQ-6: a route's edits are made, and no others.

use super::ledger::{Ask, Edge, Flaw, Method, Row};
use super::truth::{Place, Version};
use super::{Group, Oracle, Verdict, breach};
use crate::refhttp::Head;
use crate::wire;
use tidegate_core::config::{FixedAnswer, HostPattern, PathRule, Route, Target};

const GROUP: Group = Group::Routes;

/// Which hosts a route is for: the later the variant, the more specific.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Hosts {
    /// All.
    Any,
    /// Those one label below [`wire::WILDCARDS`] of this number.
    Below(usize),
    /// This one.
    Only(u16),
}

impl Hosts {
    fn has(self, host: u16) -> bool {
        match self {
            Hosts::Any => true,
            Hosts::Below(n) => wire::wildcard_of(host) == Some(n),
            Hosts::Only(only) => only == host,
        }
    }

    /// Whether it is for one host, or for those below one name.
    pub fn is_named(self) -> bool {
        self != Hosts::Any
    }

    fn rank(self) -> u8 {
        match self {
            Hosts::Any => 0,
            Hosts::Below(_) => 1,
            Hosts::Only(_) => 2,
        }
    }
}

/// Which paths a route matches. All requests ask for `/r/ID`, perhaps with more behind it.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Paths {
    /// All.
    Any,
    /// Everything below `/r`.
    Below,
    /// Everything below `/r/ID`, itself included, for this id: not what only begins like it.
    Under(u32),
    /// A regular expression: ids that end in this digit.
    Digit(u8),
    /// `/r/ID` for this id, and nothing below it.
    Exact(u32),
}

/// A redirect: which parts of the request's URL it replaces.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Its status.
    pub status: u16,
    /// To https.
    pub scheme: bool,
    /// To [`wire::MOVED_HOST`].
    pub host: bool,
    /// To [`wire::MOVED_PATH`].
    pub path: bool,
}

/// Where a route leads.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Lead {
    /// To a cluster, by number.
    Cluster(usize),
    /// Elsewhere.
    Redirect(Turn),
    /// To an answer with this status, and, perhaps, with [`wire::FIXED_BODY`].
    Answer(u16, bool),
}

/// One route.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Way {
    /// The hosts that it is for.
    pub hosts: Hosts,
    /// Its paths.
    pub paths: Paths,
    /// Its method; all methods without one.
    pub method: Option<Method>,
    /// Its listener; all listeners without one.
    pub listener: Option<usize>,
    /// Where it leads.
    pub to: Lead,
    /// Number of the edits that it makes, 0 for none (see [`wire::edits`]).
    pub edits: u8,
}

impl Way {
    /// The plain route of `host`.
    pub fn of_host(host: u16, cluster: usize) -> Way {
        Way {
            hosts: Hosts::Only(host),
            paths: Paths::Any,
            method: None,
            listener: None,
            to: Lead::Cluster(cluster),
            edits: 0,
        }
    }

    fn matches(&self, ask: &Ask) -> bool {
        let is_more = matches!(self.paths, Paths::Exact(_)) && ask.has_more_path();
        !is_more && self.may_match(ask) && self.hosts.has(ask.host)
    }

    /// Whether it matches a request of which nothing but method, number and listener is known.
    fn may_match(&self, ask: &Ask) -> bool {
        let is_path = match self.paths {
            Paths::Any | Paths::Below => true,
            Paths::Digit(digit) => ask.id % 10 == u32::from(digit),
            Paths::Under(id) | Paths::Exact(id) => ask.id == id,
        };
        is_path
            && self.method.is_none_or(|method| method == ask.method)
            && self.listener.is_none_or(|listener| listener == usize::from(ask.listener))
    }

    /// How specific it is, the host before all, then the path (ROUTE-2).
    fn rank(&self) -> (u8, u8, bool, bool) {
        let path = match self.paths {
            Paths::Exact(_) => 4,
            Paths::Digit(_) => 3,
            Paths::Under(_) => 2,
            Paths::Below => 1,
            Paths::Any => 0,
        };
        (self.hosts.rank(), path, self.method.is_some(), self.listener.is_some())
    }

    /// Whether both match alike, which is an error: some request would find both.
    pub fn ties(&self, other: &Way) -> bool {
        let key = |way: &Way| (way.hosts, way.method, way.listener);
        // Regular expressions tie by their place in the file.
        key(self) == key(other) && self.paths == other.paths
    }
}

impl Ask {
    /// Whether its target has something behind its id.
    pub fn has_more_path(&self) -> bool {
        // What is wrong with a body alone is in a request for the plain target.
        if let Some(flaw) = self.flaw {
            return !flaw.in_body;
        }
        (self.key % 7 == 3 && self.minor == 1)
            || self.key % 7 == 5
            || self.edge() == Some(Edge::Target)
    }
}

impl Version {
    /// The route of a request; the first in the file, of regular expressions that match alike.
    pub fn way(&self, ask: &Ask) -> Option<&Way> {
        let mut best: Option<&Way> = None;
        for way in self.routes.iter().filter(|way| way.matches(ask)) {
            if best.is_none_or(|best| way.rank() > best.rank()) {
                best = Some(way);
            }
        }
        best
    }

    /// The cluster that a request leads to.
    pub fn cluster_of(&self, ask: &Ask) -> Option<usize> {
        match self.way(ask)?.to {
            Lead::Cluster(cluster) => Some(cluster),
            Lead::Redirect(_) | Lead::Answer(..) => None,
        }
    }

    /// The servers of that cluster.
    pub fn places(&self, ask: &Ask) -> Option<&[Place]> {
        self.clusters.get(self.cluster_of(ask)?).map(Vec::as_slice)
    }
}

fn versions<'a>(oracle: &'a Oracle, row: &Row) -> impl Iterator<Item = &'a Version> {
    let from = row.first_read_at.unwrap_or(oracle.now);
    oracle.truth.in_force(from, oracle.now).iter()
}

/// Whether a route of `row` may be answered with `status` by itself.
pub fn may_answer(oracle: &Oracle, row: &Row, status: u16) -> bool {
    let says = |way: &Way| match way.to {
        Lead::Redirect(turn) => turn.status == status,
        Lead::Answer(fixed, _) => fixed == status,
        Lead::Cluster(_) => false,
    };
    // What is not well-formed may name no host; where its flaw is in the body, it names its own,
    // and whatever path the flaw was written with.
    let of_flawed = |way: &Way, flaw: Flaw| {
        let is_host = !way.hosts.is_named() || (flaw.in_body && way.hosts.has(row.ask.host));
        is_host && way.may_match(&row.ask) && says(way)
    };
    versions(oracle, row).any(|version| {
        version.way(&row.ask).is_some_and(says)
            || (row.ask.flaw)
                .is_some_and(|flaw| version.routes.iter().any(|way| of_flawed(way, flaw)))
    })
}

/// Whether `row` may lead to `server`: some version in force sends it to that one's cluster.
pub fn leads_to(oracle: &Oracle, row: &Row, server: u16) -> bool {
    versions(oracle, row).any(|version| {
        version.places(&row.ask).is_some_and(|all| all.iter().any(|place| place.server == server))
    })
}

/// `row` is emitted to a server: some version leads it to a cluster.
pub fn request(oracle: &Oracle, row: &Row) -> Verdict {
    if versions(oracle, row).all(|version| version.cluster_of(&row.ask).is_none()) {
        let ways: Vec<_> = versions(oracle, row).map(|version| version.way(&row.ask)).collect();
        let message = format!("request {} went to a server, and leads to {ways:?}", row.ask.id);
        return breach(GROUP, "ROUTE-2", message);
    }
    Ok(())
}

/// One of the proxy's own answers to `row`: a redirect leads where its route says, and the answer
/// of a route is that of the route.
pub fn own_answer(oracle: &Oracle, row: &Row, head: &Head) -> Verdict {
    // What is asked for in a way of its own says itself how it may be answered, and where it leads.
    if let Some(flaw) = row.ask.flaw.filter(|flaw| flaw.statuses.contains(&head.status())) {
        return at_its_place(oracle, row, head, flaw);
    }
    let (id, status) = (row.ask.id, head.status());
    let location = head.only("location").map(|value| canonical(&String::from_utf8_lossy(value)));
    let is_right = |way: &Way| match way.to {
        Lead::Redirect(turn) => turn.status == status && location == Some(place(oracle, row, turn)),
        Lead::Answer(fixed, has_body) => {
            let is_ours = head.only("content-type") == Some(wire::FIXED_TYPE.as_bytes())
                && head.only("content-length") == Some(wire::FIXED_BODY_LENGTH.as_bytes());
            fixed == status && location.is_none() && is_ours == has_body
        }
        Lead::Cluster(_) => false,
    };
    let is_routed = may_answer(oracle, row, status);
    // Where a request leads that names no host is not said.
    if is_routed && row.ask.flaw.is_some() {
        return Ok(());
    }
    let ways = || versions(oracle, row).filter_map(|version| version.way(&row.ask));
    let is_redirect = (300..400).contains(&status) && status != 304;
    // Where a version has no way for it, 404 is right, too.
    let answers = |way: &Way| !matches!(way.to, Lead::Cluster(_));
    let is_sure = versions(oracle, row).all(|it| it.way(&row.ask).is_some_and(answers));
    if (is_routed && (is_sure || is_redirect) && !ways().any(is_right))
        || (!is_routed && location.is_some())
    {
        let ways: Vec<_> = ways().collect();
        let message = format!(
            "request {id} ({:?}) was answered {status}, Location {location:?}; it leads to {ways:?}",
            row.ask
        );
        return breach(GROUP, "ROUTE-1", message);
    }
    Ok(())
}

/// The status of the route that answers `/fixed`.
fn fixed(version: &Version) -> Option<u16> {
    let is_it =
        |route: &&Route| matches!(&route.path, PathRule::Exact(path) if &**path == "/fixed");
    match version.config.routes.iter().find(is_it)?.to {
        Target::Answer(FixedAnswer { status, .. }) => Some(status),
        _ => None,
    }
}

/// A redirect by a route that no ordinary request meets leads where that says.
fn at_its_place(oracle: &Oracle, row: &Row, head: &Head, flaw: Flaw) -> Verdict {
    let (id, status) = (row.ask.id, head.status());
    // A redirect to another scheme leaves the port behind.
    let (scheme, port) = match oracle.fronts[row.front as usize].tls {
        Some(_) => ("https", ":8080"),
        None => ("http", ""),
    };
    let is_redirect = (300..400).contains(&status) && flaw.location.is_some();
    let is_right = |version: &Version| fixed(version).is_none_or(|fixed| fixed == status);
    let is_left_out = status == 404 && flaw.location.is_some();
    let knows_wildcards = |version: &Version| {
        let is_it =
            |route: &Route| matches!(&route.host, HostPattern::Wildcard(at) if &**at == "wild.sim");
        version.config.routes.iter().any(is_it)
    };
    if is_left_out && versions(oracle, row).all(knows_wildcards) {
        let message = format!("request {id} ({}) was answered 404, and has a route", flaw.name);
        return breach(GROUP, "ROUTE-1", message);
    }
    if flaw.is_fixed() && status != 421 && !versions(oracle, row).any(is_right) {
        let message = format!("request {id} ({}) was answered {status}", flaw.name);
        return breach(GROUP, "ROUTE-1", message);
    }
    let expected = flaw.location.filter(|_| is_redirect);
    let expected = expected.map(|at| {
        at.replace("{scheme}", scheme).replace("{port}", port).replace("{id}", &id.to_string())
    });
    let location = head.only("location").map(|value| String::from_utf8_lossy(value).into_owned());
    if location != expected {
        let message =
            format!("request {id} ({}): Location {location:?}, not {expected:?}", flaw.name);
        return breach(GROUP, "ROUTE-1", message);
    }
    Ok(())
}

/// An absolute URL whose scheme and host are in lower case, since these compare without case.
fn canonical(url: &str) -> String {
    let end = url.match_indices('/').nth(2).map_or(url.len(), |(at, _)| at);
    format!("{}{}", url[..end].to_ascii_lowercase(), &url[end..])
}

/// Where a redirect of `row` leads. Host names compare without case, so they are in lower case.
fn place(oracle: &Oracle, row: &Row, turn: Turn) -> String {
    let is_secure = oracle.fronts[row.front as usize].tls.is_some();
    let own = if is_secure { "https" } else { "http" };
    let scheme = if turn.scheme { "https" } else { own };
    let (authority, path) = wire::target(&row.ask);
    let authority = match turn.host {
        true => wire::MOVED_HOST.to_string(),
        // A port goes with the scheme that it belonged to.
        false if scheme != own => authority.split(':').next().unwrap_or_default().to_string(),
        false => authority,
    };
    let path = if turn.path { wire::MOVED_PATH.to_string() } else { path };
    format!("{scheme}://{authority}{path}")
}

/// The edits that the route of `row` may ask for.
pub fn edits(oracle: &Oracle, row: &Row) -> Vec<u8> {
    let ways = versions(oracle, row).filter_map(|version| version.way(&row.ask));
    let mut all: Vec<u8> = ways.map(|way| way.edits).collect();
    all.dedup();
    all
}

/// The fields of `row` on its way to a server: its own, and those that its route sets.
pub fn set_fields(oracle: &Oracle, row: &Row, head: &Head) -> Verdict {
    let id = row.ask.id;
    let options = edits(oracle, row);
    let has = |edit: u8| {
        let (marked, replaced) = wire::edits(edit);
        let is_marked = head.only("x-edit") == marked.as_ref().map(|value| value.as_bytes())
            && (marked.is_some() || head.all("x-edit").next().is_none());
        let mut seen =
            head.fields().filter(|(name, _)| name.to_ascii_lowercase().starts_with(b"x-e-"));
        let mut is_same = true;
        wire::request_fields(id, |name, value| {
            if replaced.is_none() || name != wire::REPLACED_FIELD {
                is_same &= seen
                    .next()
                    .is_some_and(|(n, v)| n.eq_ignore_ascii_case(name.as_bytes()) && v == value);
            }
        });
        if let Some(value) = &replaced {
            is_same &= seen.next().is_some_and(|(name, v)| {
                name.eq_ignore_ascii_case(wire::REPLACED_FIELD.as_bytes()) && v == value.as_bytes()
            });
        }
        is_marked && is_same && seen.next().is_none()
    };
    if options == [0] {
        return Ok(());
    }
    if !options.iter().any(|&edit| has(edit)) {
        let text = String::from_utf8_lossy(head.bytes()).into_owned();
        let message = format!("request {id} with the edits {options:?} went out as {text:?}");
        return breach(GROUP, "REQ-6", message);
    }
    Ok(())
}

//! The rules of a host that has many, with an index of its paths.
//!
//! Paths stand in byte order, each with the longest other one that it begins with. The greatest
//! path that is not above the request's then has, among itself and those it begins with, every
//! prefix of the request's path: one binary search and one walk up, with no more comparisons.

use super::order::PathOrder;
use super::path::is_boundary;
use super::{Ask, Parts, Rule};
use std::collections::BTreeMap;
use std::ops::Range;

/// No node: the walk ends.
const NONE: u32 = u32::MAX;

/// The index of one host.
#[derive(Clone)]
pub(super) struct Many {
    /// In the order of ROUTE-2: those of one path rule lie side by side.
    rules: Vec<Rule>,
    /// In byte order of their paths.
    nodes: Vec<Node>,
    /// Number of each regular expression, in file order, and its rules.
    regexes: Vec<(u32, Range<u32>)>,
    /// The paths of the nodes.
    paths: Vec<u8>,
}

#[derive(Clone)]
struct Node {
    path: Range<u32>,
    /// The longest other path that this one begins with.
    parent: u32,
    exact: Range<u32>,
    prefix: Range<u32>,
}

impl Many {
    /// The index of `rules`, which are in order. `regexes` maps an expression's order to its
    /// number.
    pub(super) fn new(rules: &[(&PathOrder<'_>, Rule)], regexes: &BTreeMap<usize, u32>) -> Many {
        let mut many = Many {
            rules: rules.iter().map(|(_, rule)| *rule).collect(),
            nodes: Vec::new(),
            regexes: Vec::new(),
            paths: Vec::new(),
        };
        let mut by_path: BTreeMap<&[u8], (Range<u32>, Range<u32>)> = BTreeMap::new();
        let mut at = 0;
        for group in rules.chunk_by(|a, b| a.0 == b.0) {
            let range = at..at + group.len() as u32;
            at = range.end;
            match group[0].0 {
                PathOrder::Exact(path) => by_path.entry(path).or_default().0 = range,
                PathOrder::Prefix(_, path) => by_path.entry(path).or_default().1 = range,
                PathOrder::Regex(order) => many.regexes.push((regexes[order], range)),
            }
        }
        let mut open: Vec<(u32, &[u8])> = Vec::new();
        for (path, (exact, prefix)) in by_path {
            while open.pop_if(|(_, above)| !path.starts_with(above)).is_some() {}
            let parent = open.last().map_or(NONE, |(parent, _)| *parent);
            open.push((many.nodes.len() as u32, path));
            let start = many.paths.len();
            many.paths.extend_from_slice(path);
            let end = u32::try_from(many.paths.len()).expect("paths of less than 4 GiB");
            many.nodes.push(Node { path: start as u32..end, parent, exact, prefix });
        }
        many
    }

    /// The route of the most specific rule that holds.
    pub(super) fn find(&self, parts: &Parts, ask: &Ask<'_>) -> Option<u32> {
        let after = self.nodes.partition_point(|node| self.path(node) <= ask.path);
        let nearest = after.checked_sub(1).map(|index| &self.nodes[index]);
        let exact = nearest.filter(|node| self.path(node) == ask.path);
        exact
            .and_then(|node| self.first(&node.exact, parts, ask))
            .or_else(|| self.by_regex(parts, ask))
            .or_else(|| self.by_prefix(nearest?, parts, ask))
    }

    fn by_regex(&self, parts: &Parts, ask: &Ask<'_>) -> Option<u32> {
        self.regexes.iter().find_map(|(regex, rules)| {
            // The cheap conditions first.
            let route = self.first(rules, parts, ask)?;
            parts.regexes[*regex as usize].is_match(ask.path).then_some(route)
        })
    }

    fn by_prefix(&self, nearest: &Node, parts: &Parts, ask: &Ask<'_>) -> Option<u32> {
        let pairs = self.path(nearest).iter().zip(ask.path);
        let common = pairs.take_while(|(a, b)| a == b).count();
        let mut node = nearest;
        loop {
            let len = node.path.len();
            if len <= common && is_boundary(len, &ask.path[len..]) {
                let found = self.first(&node.prefix, parts, ask);
                if found.is_some() {
                    return found;
                }
            }
            node = self.nodes.get(node.parent as usize)?;
        }
    }

    /// The first of these rules that holds for the listener and the method.
    fn first(&self, rules: &Range<u32>, parts: &Parts, ask: &Ask<'_>) -> Option<u32> {
        let rules = &self.rules[rules.start as usize..rules.end as usize];
        rules.iter().find(|rule| parts.admits(rule, ask)).map(|rule| rule.route)
    }

    fn path(&self, node: &Node) -> &[u8] {
        &self.paths[node.path.start as usize..node.path.end as usize]
    }
}

//! The rules of a host as bytes, in the order of ROUTE-2.
//!
//! A count, then for each rule: its kind and what else is there, the route, listener and methods
//! if it is bound to any, and a path or the number of a regular expression.

use super::bytes::{Reader, put_len};
use super::order::PathOrder;
use super::path::is_below;
use super::{Ask, FEW, Parts, Rule};
use std::collections::BTreeMap;

/// In place of the count: the rules are in an index, whose number follows.
const MANY: u8 = u8::MAX;
const _: () = assert!(FEW < MANY as usize);

const ANY: u8 = 0;
const PREFIX: u8 = 1;
const EXACT: u8 = 2;
const REGEX: u8 = 3;
const KIND: u8 = 3;
const WITH_LISTENER: u8 = 4;
const WITH_METHODS: u8 = 8;

/// Writes at most [`FEW`] rules, which are in order. `regexes` maps an expression's order to its
/// number.
pub(super) fn write(rules: &[(&PathOrder<'_>, Rule)], regexes: &BTreeMap<usize, u32>) -> Vec<u8> {
    let mut out = vec![rules.len() as u8];
    for (path, rule) in rules {
        let (kind, path, regex) = match path {
            PathOrder::Prefix(_, path) if path.is_empty() => (ANY, None, None),
            PathOrder::Prefix(_, path) => (PREFIX, Some(path), None),
            PathOrder::Exact(path) => (EXACT, Some(path), None),
            PathOrder::Regex(order) => (REGEX, None, Some(regexes[order])),
        };
        let listener = if rule.listener.is_some() { WITH_LISTENER } else { 0 };
        let methods = if rule.methods.is_some() { WITH_METHODS } else { 0 };
        out.push(kind | listener | methods);
        out.extend_from_slice(&rule.route.to_le_bytes());
        out.extend(rule.listener.into_iter().flat_map(u16::to_le_bytes));
        out.extend(rule.methods.into_iter().flat_map(u32::to_le_bytes));
        if let Some(path) = path {
            put_len(&mut out, path.len());
            out.extend_from_slice(path);
        }
        out.extend(regex.into_iter().flat_map(u32::to_le_bytes));
    }
    out
}

/// In place of rules, the number of their index.
pub(super) fn write_many(number: usize) -> Vec<u8> {
    let number = (number as u32).to_le_bytes();
    [&[MANY], &number[..]].concat()
}

/// The route of the first rule that holds, of those in `bytes`.
pub(super) fn find(bytes: &[u8], parts: &Parts, ask: &Ask<'_>) -> Option<u32> {
    let mut reader = Reader(bytes);
    let count = reader.u8();
    if count == MANY {
        return parts.many[reader.u32() as usize].find(parts, ask);
    }
    for _ in 0..count {
        let what = reader.u8();
        let rule = Rule {
            route: reader.u32(),
            listener: (what & WITH_LISTENER != 0).then(|| reader.u16()),
            methods: (what & WITH_METHODS != 0).then(|| reader.u32()),
        };
        let holds = match what & KIND {
            ANY => true,
            PREFIX => is_below(ask.path, path(&mut reader)),
            EXACT => ask.path == path(&mut reader),
            _ => {
                let regex = reader.u32() as usize;
                // The cheap conditions first.
                parts.admits(&rule, ask) && parts.regexes[regex].is_match(ask.path)
            }
        };
        if holds && parts.admits(&rule, ask) {
            return Some(rule.route);
        }
    }
    None
}

fn path<'a>(reader: &mut Reader<'a>) -> &'a [u8] {
    let len = reader.len();
    reader.bytes(len)
}

//! Listeners: where they bind, and what is spoken there.

use super::{
    Errors, LISTENERS_MAX, Place, Problem, answer, networks, overrides, text, unique_name,
};
use crate::config::{Config, Forward, HostPattern, Listener, Protocol, Timeouts};
use crate::input::Address;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn listeners(config: &Config, body_max: usize, errors: &mut Errors) {
    let listeners = &config.listeners;
    if listeners.len() > LISTENERS_MAX {
        errors.push(Place::Listener(LISTENERS_MAX, ""), Problem::TooMany { max: LISTENERS_MAX });
    }
    let mut names = BTreeMap::new();
    let mut binds = BTreeMap::new();
    for (index, listener) in listeners.iter().enumerate() {
        let at = |key| Place::Listener(index, key);
        unique_name(&listener.name, index, &mut names, at(""), errors);
        speech(index, listener, config, errors);
        errors.check(!listener.binds.is_empty(), at("bind"), || Problem::NoBind);
        for bind in &listener.binds {
            if let Some(why) = text::bad_address(bind) {
                errors.push(at("bind"), Problem::BadAddress { address: bind.clone(), why });
            }
            // Port 0 is another free port each time.
            let is_fixed = !matches!(bind, Address::Ip(addr) if addr.port() == 0);
            if let Some(first) = binds.get(bind).copied()
                && is_fixed
            {
                let address = bind.clone();
                errors.push(at("bind"), Problem::DuplicateBind { address, first });
            }
            binds.entry(bind).or_insert(index);
        }
        errors.range(at("backlog"), listener.backlog as usize, 1, i32::MAX as usize);
        overrides(&listener.timeouts, Timeouts::OF_LISTENER, at, errors);
        for (&status, body) in &listener.answers {
            answer(status, body, body_max, at("answers"), errors);
        }
    }
}

/// What is spoken on a listener, below its protocol and in it.
fn speech(index: usize, listener: &Listener, config: &Config, errors: &mut Errors) {
    let at = |key| Place::Listener(index, key);
    networks(&listener.proxy_from, at("proxy_protocol_from"), errors);
    errors.check(
        listener.expect_proxy || listener.proxy_from.is_empty(),
        at("proxy_protocol_from"),
        || Problem::FromWithoutHeader,
    );
    if let Some(limit) = listener.max_connections_per_ip {
        errors.range(at("max_connections_per_ip"), limit as usize, 1, u32::MAX as usize);
    }
    let Protocol::Tcp(forward) = &listener.protocol else { return };
    let http_only = [
        ("max_body", listener.max_body.is_some()),
        ("abort_on_close", listener.abort_on_close),
        ("answers", !listener.answers.is_empty()),
    ];
    for (key, is_set) in http_only {
        errors.check(!is_set, at(key), || Problem::HttpOnly { key });
    }
    forwards(index, forward, config, errors);
    errors.check(listener.tls.is_none() || forward.sni.is_empty(), at("sni"), || Problem::TlsTwice);
}

/// Where the connections of a TCP listener go.
fn forwards(index: usize, forward: &Forward, config: &Config, errors: &mut Errors) {
    let at = |key| Place::Listener(index, key);
    let known = |name: &str| config.clusters.iter().any(|cluster| &*cluster.name == name);
    let leads = forward.to.is_some() || !forward.sni.is_empty();
    errors.check(leads, at("to"), || Problem::NowhereToGo);
    if let Some(to) = &forward.to {
        errors.check(known(to), at("to"), || Problem::UnknownCluster { name: to.clone() });
    }
    let mut names = BTreeSet::new();
    for (pattern, to) in &forward.sni {
        let (host, is_wildcard) = match pattern {
            HostPattern::Exact(host) => (&**host, false),
            HostPattern::Wildcard(host) => (&**host, true),
            HostPattern::Any => ("", false),
        };
        if let Some(why) = text::bad_host(host) {
            errors.push(at("sni"), Problem::BadHost { host: host.into(), why });
        } else if !names.insert((host, is_wildcard)) {
            errors.push(at("sni"), Problem::DuplicateSni { name: host.into() });
        }
        errors.check(known(to), at("sni"), || Problem::UnknownCluster { name: to.clone() });
    }
}

//! Clusters and their servers.

use super::{Errors, Place, Problem, SERVERS_MAX, answer, overrides, text, unique_name};
use crate::config::{Cluster, Config, Timeouts};
use crate::input::Address;
use std::collections::BTreeMap;

/// Largest weight of a server.
const WEIGHT_MAX: usize = 256;
/// Most that may wait in line for a cluster's servers.
const QUEUE_MAX: usize = 1_000_000;

pub(super) fn clusters(config: &Config, body_max: usize, errors: &mut Errors) {
    let mut names = BTreeMap::new();
    let mut cookies: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, cluster) in config.clusters.iter().enumerate() {
        let at = |key| Place::Cluster(index, key);
        unique_name(&cluster.name, index, &mut names, at(""), errors);
        servers(index, cluster, errors);
        if let Some(cookie) = &cluster.sticky {
            sticky(index, cluster, cookie, config.sticky_secret.is_some(), errors);
            if let Some(&first) = cookies.get(&**cookie) {
                let name = cookie.clone();
                errors.push(at("sticky"), Problem::DuplicateCookie { name, first });
            }
            cookies.entry(cookie).or_insert(index);
        }
        errors.range(at("fall"), cluster.fall as usize, 1, u32::MAX as usize);
        errors.range(at("queue.capacity"), cluster.queue_capacity, 0, QUEUE_MAX);
        let (min, max) = (cluster.backoff_min, cluster.backoff_max);
        errors.span(at("backoff.min"), min);
        errors.check(min <= max, at("backoff.max"), || Problem::BackoffOrder { min, max });
        overrides(&cluster.timeouts, Timeouts::OF_CLUSTER, at, errors);
        for (&status, body) in &cluster.answers {
            answer(status, body, body_max, at("answers"), errors);
        }
    }
}

/// A cluster without servers is legal: it answers 503 (BACK-2).
fn servers(cluster_index: usize, cluster: &Cluster, errors: &mut Errors) {
    if cluster.servers.len() > SERVERS_MAX {
        let place = Place::Cluster(cluster_index, "servers");
        errors.push(place, Problem::TooMany { max: SERVERS_MAX });
    }
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    let mut addresses: BTreeMap<&Address, usize> = BTreeMap::new();
    for (index, server) in cluster.servers.iter().enumerate() {
        let at = |key| Place::Server(cluster_index, index, key);
        let address = server.addr.clone();
        let no_port = matches!(server.addr, Address::Ip(addr) if addr.port() == 0);
        let no_port = no_port.then_some("a server's port is not 0");
        if let Some(why) = text::bad_address(&server.addr).or(no_port) {
            errors.push(at("addr"), Problem::BadAddress { address, why });
        } else if let Some(&first) = addresses.get(&server.addr) {
            errors.push(at("addr"), Problem::DuplicateServer { address, first });
        }
        addresses.entry(&server.addr).or_insert(index);
        if let Some(id) = &server.id {
            errors.check(text::is_name(id), at("id"), || Problem::BadName { name: id.clone() });
            if let Some(&first) = ids.get(&**id) {
                errors.push(at("id"), Problem::DuplicateId { id: id.clone(), first });
            }
            ids.entry(id).or_insert(index);
        }
        errors.range(at("weight"), server.weight as usize, 1, WEIGHT_MAX);
        if let Some(limit) = server.max_connections {
            errors.range(at("max_connections"), limit as usize, 1, u32::MAX as usize);
        }
        let named = cluster.tls.is_none() || server.tls_name.is_some();
        errors.check(named, at("addr"), || Problem::NoTlsName { address: server.addr.clone() });
    }
}

fn sticky(index: usize, cluster: &Cluster, cookie: &str, secret: bool, errors: &mut Errors) {
    let place = Place::Cluster(index, "sticky");
    errors.check(text::is_token(cookie), place.clone(), || Problem::BadCookieName {
        name: cookie.into(),
    });
    let mut nameless = cluster.servers.iter().filter(|server| server.id.is_none());
    if !secret && let Some(first) = nameless.next() {
        let servers = 1 + nameless.count();
        errors.push(place, Problem::NothingToStickBy { address: first.addr.clone(), servers });
    }
}

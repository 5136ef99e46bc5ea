//! What makes a configuration meaningful: every error at once, each with its place.

mod cluster;
mod listener;
mod problem;
mod route;
mod text;

pub use problem::{ConfigError, Place, Problem};

use super::{AnswerBody, Config, Network, Settings, TimeoutOverrides, Timeouts};
use crate::route::Expressions;
use std::collections::BTreeMap;
use std::time::Duration;

/// Bytes of the name of a listener or cluster, or of a server's id, at most.
pub const NAME_BYTES_MAX: usize = 64;
/// Listeners at most: their indices are 16 bits wide in access records.
pub const LISTENERS_MAX: usize = 4096;
/// Servers of one cluster at most: balancing looks at each of them for each request.
pub const SERVERS_MAX: usize = 4096;
/// Smallest value of `limits.head`.
pub const HEAD_BYTES_MIN: usize = 1024;
/// Largest value of `limits.fields`.
pub const FIELDS_MAX: usize = 256;
/// Smallest and largest payload of one pooled buffer.
pub const BUFFER_BYTES: (usize, usize) = (2 * 1024, 1024 * 1024);
/// Bytes of a replaced answer's body at most, and never more than half a buffer: the answer and
/// its head leave from one.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024;
/// Bytes that all `set_request_headers` of a route add at most, separators included: what the
/// margin of a head buffer has room for beside the fields of REQ-6.
pub const SET_FIELDS_BYTES_MAX: usize = 1024;
/// Statuses whose default answer can be replaced (RES-7).
pub const ANSWER_STATUSES: &[u16] =
    &[400, 401, 404, 408, 413, 414, 421, 429, 431, 500, 501, 502, 503, 504, 505];
/// Statuses of a redirect (ROUTE-1).
pub const REDIRECT_STATUSES: &[u16] = &[301, 302, 307, 308];

/// Every error of `config` on a worker with `settings`; empty when it can be applied. The order
/// is: settings, top-level keys, listeners, clusters, routes, each in file order.
pub fn validate(config: &Config, settings: &Settings) -> Vec<ConfigError> {
    validate_with(config, settings, &mut Expressions::default())
}

/// Like [`validate`], with the expressions that were compiled before; keeps those of `config`.
pub(super) fn validate_with(
    config: &Config,
    settings: &Settings,
    expressions: &mut Expressions,
) -> Vec<ConfigError> {
    let mut errors = Errors::default();
    limits_of_worker(settings, &mut errors);
    top(config, settings, &mut errors);
    let body_max = ANSWER_BYTES_MAX.min(settings.buffer_bytes / 2);
    listener::listeners(config, body_max, &mut errors);
    cluster::clusters(config, body_max, &mut errors);
    route::routes(config, body_max, expressions, &mut errors);
    errors.found
}

/// A growing list of errors.
#[derive(Default)]
struct Errors {
    found: Vec<ConfigError>,
}

impl Errors {
    fn push(&mut self, place: Place, problem: Problem) {
        self.found.push(ConfigError { place, problem });
    }

    fn check(&mut self, good: bool, place: Place, problem: impl FnOnce() -> Problem) {
        if !good {
            self.push(place, problem());
        }
    }

    fn range(&mut self, place: Place, value: usize, min: usize, max: usize) {
        self.check((min..=max).contains(&value), place, || Problem::OutOfRange {
            value: value as u64,
            min: min as u64,
            max: max as u64,
        });
    }

    fn span(&mut self, place: Place, span: Duration) {
        self.check(!span.is_zero(), place, || Problem::ZeroDuration);
    }
}

fn limits_of_worker(settings: &Settings, errors: &mut Errors) {
    let at = Place::Top;
    errors.range(at("max_connections"), settings.max_connections, 1, u32::MAX as usize);
    let capacity = settings.accept_queue_capacity;
    errors.range(at("accept_queue.capacity"), capacity, 1, u32::MAX as usize);
    errors.span(at("accept_queue.max_wait"), settings.accept_queue_max_wait);
    let (smallest, largest) = BUFFER_BYTES;
    errors.range(at("buffers.size"), settings.buffer_bytes, smallest, largest);
    errors.range(at("buffers.count"), settings.buffers_max, 2, u32::MAX as usize);
    errors.span(at("zombie_check_interval"), settings.zombie_check_interval);
    if let Some(age) = settings.max_session_age {
        errors.span(at("max_session_age"), age);
    }
}

fn top(config: &Config, settings: &Settings, errors: &mut Errors) {
    let limits = &config.limits;
    let head_max = settings.buffer_bytes;
    errors.range(Place::Top("limits.head"), limits.head_bytes, HEAD_BYTES_MIN, head_max);
    errors.range(Place::Top("limits.fields"), limits.fields_max, 1, FIELDS_MAX);
    errors.range(Place::Top("limits.target"), limits.target_bytes, 1, limits.head_bytes);
    for name in Timeouts::NAMES {
        let span = config.timeouts.get(name);
        errors.span(Place::Top(name), span.expect("NAMES are those of `get`"));
    }
    networks(&config.trusted_proxies, Place::Top("trusted_proxies"), errors);
    if let Some(secret) = &config.sticky_secret {
        errors.check(!secret.is_empty(), Place::Top("sticky_secret"), || Problem::EmptySecret);
    }
}

fn networks(networks: &[Network], place: Place, errors: &mut Errors) {
    for network in networks {
        let bits = if network.addr.is_ipv4() { 32 } else { 128 };
        // A mapped address would be compared as IPv4, with a prefix that counts 128 bits.
        let mapped = network.addr.to_canonical() != network.addr;
        errors.check(network.prefix <= bits && !mapped, place.clone(), || Problem::BadNetwork {
            network: *network,
        });
    }
}

/// Checks a name and that no earlier entry of `names` has it.
fn unique_name<'a>(
    name: &'a str,
    index: usize,
    names: &mut BTreeMap<&'a str, usize>,
    place: Place,
    errors: &mut Errors,
) {
    errors.check(text::is_name(name), place.clone(), || Problem::BadName { name: name.into() });
    if let Some(&first) = names.get(name) {
        errors.push(place, Problem::DuplicateName { name: name.into(), first });
    }
    names.entry(name).or_insert(index);
}

/// Checks the timeouts that a listener or cluster sets for itself.
fn overrides(
    overrides: &TimeoutOverrides,
    applicable: &'static [&'static str],
    at: impl Fn(&'static str) -> Place,
    errors: &mut Errors,
) {
    for name in Timeouts::NAMES {
        let Some(span) = overrides.get(name) else { continue };
        errors.check(applicable.contains(name), at(name), || Problem::TimeoutNotHere {
            timeout: name,
            applicable,
        });
        errors.span(at(name), span);
    }
}

/// Checks one replacement of a default answer (RES-7).
fn answer(status: u16, body: &AnswerBody, max: usize, place: Place, errors: &mut Errors) {
    errors.check(ANSWER_STATUSES.contains(&status), place.clone(), || Problem::BadStatus {
        status,
        allowed: ANSWER_STATUSES,
    });
    answer_body(body, max, place, errors);
}

fn answer_body(body: &AnswerBody, max: usize, place: Place, errors: &mut Errors) {
    let bytes = body.bytes.len();
    errors.check(bytes <= max, place.clone(), || Problem::BodyTooLong { bytes, max });
    let good = !body.content_type.is_empty()
        && body.content_type.len() <= text::CONTENT_TYPE_BYTES_MAX
        && text::is_field_value(&body.content_type);
    errors.check(good, place, || Problem::BadContentType { value: body.content_type.clone() });
}

#[cfg(test)]
mod tests;

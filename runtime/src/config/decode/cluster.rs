//! `[cluster.NAME]` and its servers.

use super::super::spans::Entry;
use super::super::value::{self, Written};
use super::listener::{answers, limit, overrides};
use super::section::Section;
use super::speech::send_proxy;
use super::tls::{self, server_name};
use super::top::set;
use super::{Cx, Value};
use crate::diagnostic::Code;
use rustls::pki_types::ServerName;
use std::ops::Range;
use tidegate_core::config::{Balance, Cluster, Config, Reuse, Server, Timeouts};
use tidegate_core::input::Address;

/// Failures in a row, and idle connections, at most.
const COUNT_MAX: u64 = 1_000_000;
/// The largest weight (BACK-1).
const WEIGHT_MAX: u64 = 256;

/// Decodes one cluster and adds it to `config`.
pub(super) fn decode(
    cx: &mut Cx<'_>,
    name: &str,
    at: Range<usize>,
    value: &Value<'_>,
    config: &mut Config,
) {
    let title = format!("[cluster.{name}]");
    let Some(section) = cx.subsection("cluster.NAME", title, value) else { return };
    cx.spans.clusters.push(Entry::of(at, value));
    cx.spans.servers.push(Vec::new());
    let mut cluster = Cluster::new(name, Vec::new());
    let tls = section.get("tls").and_then(|value| tls::of_cluster(cx, &section, name, value));
    let tls = tls.unwrap_or_default();
    cluster.tls = tls.client;
    let mut servers =
        Servers { has_tls: cluster.tls.is_some(), sni: tls.sni, ..Servers::default() };
    match section.get("servers") {
        Some(value) => {
            let list = cx.list(value).unwrap_or(&[]);
            for value in list {
                server(cx, &section, value, &mut servers);
            }
        }
        None => cx.missing(&section, "servers", "add servers = [\"127.0.0.1:9001\"]"),
    }
    cluster.servers = servers.servers;
    if servers.has_tls && servers.sni.is_none() {
        cx.origins.server_names.insert(name.to_owned(), servers.names);
    }
    choice_of_server(cx, &section, &mut cluster);
    connections(cx, &section, &mut cluster);
    health(cx, &section, &mut cluster);
    if let Some(value) = section.get("timeouts") {
        let of = Timeouts::OF_CLUSTER;
        cluster.timeouts = overrides(cx, "cluster.NAME.timeouts", &section, value, of);
    }
    if let Some(value) = section.get("answers") {
        cluster.answers = answers(cx, &format!("cluster.{name}.answers"), value);
    }
    config.clusters.push(cluster);
}

/// Servers as they are decoded.
#[derive(Default)]
struct Servers {
    servers: Vec<Server>,
    /// What each one's address was written as, if it was a name.
    names: Vec<Option<String>>,
    has_tls: bool,
    /// The name that all of them have.
    sni: Option<ServerName<'static>>,
}

/// What connections to servers begin with, and what waits for one.
fn connections(cx: &mut Cx<'_>, section: &Section<'_>, cluster: &mut Cluster) {
    if let Some(value) = section.get("proxy_protocol") {
        set(&mut cluster.send_proxy, send_proxy(cx, value));
    }
    let title = format!("{}.queue]", section.title.trim_end_matches(']'));
    if let Some(value) = section.get("queue")
        && let Some(section) = cx.subsection("cluster.NAME.queue", title, value)
        && let Some(value) = section.get("capacity")
    {
        set(&mut cluster.queue_capacity, cx.integer(value, 0, COUNT_MAX));
    }
}

fn choice_of_server(cx: &mut Cx<'_>, section: &Section<'_>, cluster: &mut Cluster) {
    if let Some(value) = section.get("balance") {
        let policies = [
            ("round-robin", Balance::RoundRobin),
            ("random", Balance::Random),
            ("least-connections", Balance::LeastConnections),
            ("power-of-two", Balance::PowerOfTwo),
            ("source", Balance::Source),
        ];
        set(&mut cluster.balance, cx.choice(value, &policies));
    }
    if let Some(value) = section.get("sticky") {
        set(&mut cluster.sticky, sticky(cx, section, value, &cluster.name));
    }
    if let Some(value) = section.get("reuse") {
        let policies =
            [("safe", Reuse::Safe), ("session", Reuse::Session), ("never", Reuse::Never)];
        set(&mut cluster.reuse, cx.choice(value, &policies));
    }
    if let Some(value) = section.get("idle_per_server") {
        set(&mut cluster.idle_per_server, cx.integer(value, 0, COUNT_MAX));
    }
}

fn sticky(
    cx: &mut Cx<'_>,
    section: &Section<'_>,
    value: &Value<'_>,
    cluster: &str,
) -> Option<Option<Box<str>>> {
    let own_name = format!("tg_{cluster}").into_boxed_str();
    if let Some(on) = value.get_ref().as_bool() {
        return Some(on.then_some(own_name));
    }
    if !value.get_ref().is_table() {
        cx.wrong_type(value, "true, false or a table", "like { cookie = \"NAME\" }");
        return None;
    }
    let title = format!("{}.sticky]", section.title.trim_end_matches(']'));
    let section = cx.subsection("cluster.NAME.sticky", title, value)?;
    match section.get("cookie") {
        Some(value) => cx.string(value).map(|name| Some(name.into())),
        None => Some(Some(own_name)),
    }
}

fn health(cx: &mut Cx<'_>, section: &Section<'_>, cluster: &mut Cluster) {
    if let Some(value) = section.get("fall") {
        set(&mut cluster.fall, cx.integer(value, 1, COUNT_MAX));
    }
    let title = format!("{}.backoff]", section.title.trim_end_matches(']'));
    if let Some(value) = section.get("backoff")
        && let Some(section) = cx.subsection("cluster.NAME.backoff", title, value)
    {
        if let Some(value) = section.get("min") {
            set(&mut cluster.backoff_min, cx.duration(value));
        }
        if let Some(value) = section.get("max") {
            set(&mut cluster.backoff_max, cx.duration(value));
        }
    }
}

/// Decodes one entry of `servers` and adds what it stands for: a name is every address it has.
fn server(cx: &mut Cx<'_>, cluster: &Section<'_>, value: &Value<'_>, servers: &mut Servers) {
    if value.get_ref().is_str() {
        let model = Server::new(Address::Unix("".into()));
        return add(cx, value, Entry::of_value("addr", value.span()), model, servers);
    }
    if !value.get_ref().is_table() {
        let hint = "like \"127.0.0.1:9001\" or { addr = \"127.0.0.1:9001\", weight = 2 }";
        return cx.wrong_type(value, "an address or a table", hint);
    }
    let title = format!("a server of {}", cluster.title);
    let Some(section) = cx.subsection("cluster.NAME.servers[]", title, value) else { return };
    let mut model = Server::new(Address::Unix("".into()));
    if let Some(value) = section.get("id") {
        model.id = cx.string(value).map(Into::into);
    }
    if let Some(value) = section.get("weight") {
        set(&mut model.weight, cx.integer(value, 1, WEIGHT_MAX));
    }
    if let Some(value) = section.get("max_connections") {
        set(&mut model.max_connections, limit(cx, value));
    }
    if let Some(value) = section.get("backup") {
        set(&mut model.backup, cx.boolean(value));
    }
    if let Some(value) = section.get("drained") {
        set(&mut model.drained, cx.boolean(value));
    }
    match section.get("addr") {
        Some(addr) => add(cx, addr, Entry::of(value.span(), value), model, servers),
        None => cx.missing(&section, "addr", "add addr = \"127.0.0.1:9001\""),
    }
}

/// Adds a server like `model` for each address that `value` stands for (RUN-10).
fn add(cx: &mut Cx<'_>, value: &Value<'_>, entry: Entry, model: Server, servers: &mut Servers) {
    let Some(text) = cx.string(value) else { return };
    let mut name = None;
    let addrs = match value::address(text) {
        Ok(Written::Ready(address)) => vec![address],
        Ok(Written::Name(host, port)) => match cx.resolve(&host, port) {
            Ok(addrs) => {
                name = Some(host);
                addrs.into_iter().map(Address::Ip).collect()
            }
            Err(why) => {
                let message = format!("no address for the server \"{host}\"");
                return cx.error(Code::Unresolved, value.span(), message, &why);
            }
        },
        Err(hint) => {
            let message = format!("\"{text}\" is not a server's address");
            return cx.error(Code::BadAddress, value.span(), message, &hint);
        }
    };
    if let (Some(id), true) = (&model.id, addrs.len() > 1) {
        let message =
            format!("the id \"{id}\" names {} servers: all addresses of {text}", addrs.len());
        let hint = "give each address an entry of its own, or leave `id` away";
        return cx.error(Code::Conflict, value.span(), message, hint);
    }
    let tls_name = match (&servers.sni, &name) {
        _ if !servers.has_tls => None,
        (Some(sni), _) => Some(sni.clone()),
        (None, Some(host)) => match server_name(cx, value, host) {
            Some(name) => Some(name),
            None => return,
        },
        (None, None) => match addrs.first() {
            Some(Address::Ip(addr)) => Some(addr.ip().into()),
            _ => None,
        },
    };
    for addr in addrs {
        servers.servers.push(Server { addr, tls_name: tls_name.clone(), ..model.clone() });
        servers.names.push(name.as_ref().map(|_| text.to_owned()));
        if let Some(entries) = cx.spans.servers.last_mut() {
            entries.push(entry.clone());
        }
    }
}

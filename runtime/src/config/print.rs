//! The effective configuration, every default included, as TOML that loads to the same.

use super::samples::quote;
use super::value::{show_duration, show_size};
use super::{ClientTlsOrigin, Level, Loaded, LogFormat, Origins, ServerTlsOrigin, Sink};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidegate_core::config::{
    Answers, Balance, Cluster, HostPattern, Listener, Network, PathRule, Protocol, Reuse, Route,
    Server, Target, TimeoutOverrides, Timeouts,
};
use tidegate_core::proxy_protocol::Version;

/// `loaded` as a configuration file. Secrets and answers stay where they came from: the file
/// names them by absolute paths.
pub fn print(loaded: &Loaded) -> String {
    let mut out = String::new();
    top(&mut out, loaded);
    heading(&mut out, "timeouts");
    for name in Timeouts::NAMES {
        if let Some(span) = loaded.config.timeouts.get(name) {
            line(&mut out, name, &duration(span));
        }
    }
    log(&mut out, loaded);
    for item in &loaded.config.listeners {
        listener(&mut out, item, &loaded.origins);
    }
    for item in &loaded.config.clusters {
        cluster(&mut out, item, &loaded.origins);
    }
    for (index, item) in loaded.config.routes.iter().enumerate() {
        route(&mut out, item, index, &loaded.origins);
    }
    out
}

fn top(out: &mut String, loaded: &Loaded) {
    let (settings, config) = (&loaded.settings, &loaded.config);
    line(out, "workers", &loaded.workers_of_process.to_string());
    line(out, "max_connections", &settings.max_connections.to_string());
    line(out, "zombie_check_interval", &duration(settings.zombie_check_interval));
    let age = settings.max_session_age.map_or_else(|| quote("off"), duration);
    line(out, "max_session_age", &age);
    line(out, "trusted_proxies", &networks(&config.trusted_proxies));
    if let Some(origin) = &loaded.origins.sticky_secret {
        line(out, "sticky_secret", &quote(origin));
    }
    line(out, "forwarded", &config.forwarded.to_string());
    let queue = format!(
        "{{ capacity = {}, max_wait = {}, evict_idle = {} }}",
        settings.accept_queue_capacity,
        duration(settings.accept_queue_max_wait),
        settings.accept_queue_evict_idle
    );
    line(out, "accept_queue", &queue);
    let buffers = format!(
        "{{ size = {}, count = {} }}",
        size(settings.buffer_bytes as u64),
        settings.buffers_max
    );
    line(out, "buffers", &buffers);
    let limits = format!(
        "{{ head = {}, fields = {}, target = {} }}",
        size(config.limits.head_bytes as u64),
        config.limits.fields_max,
        size(config.limits.target_bytes as u64)
    );
    line(out, "limits", &limits);
}

fn log(out: &mut String, loaded: &Loaded) {
    heading(out, "log");
    let access = match &loaded.log.access {
        Sink::Stdout => quote("stdout"),
        Sink::Stderr => quote("stderr"),
        Sink::Off => quote("off"),
        Sink::File(path) => quote(&path.display().to_string()),
    };
    line(out, "access", &access);
    let format = match loaded.log.format {
        LogFormat::Json => "json",
        LogFormat::Text => "text",
    };
    line(out, "format", &quote(format));
    let level = match loaded.log.level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    line(out, "level", &quote(level));
}

fn listener(out: &mut String, listener: &Listener, origins: &Origins) {
    heading(out, &format!("listener.{}", bare(&listener.name)));
    line(out, "bind", &list(listener.binds.iter().map(|bind| quote(&bind.to_string()))));
    let forward = match &listener.protocol {
        Protocol::Http => None,
        Protocol::Tcp(forward) => Some(forward),
    };
    let protocol = match (forward, &listener.tls) {
        (Some(_), _) => "tcp",
        (None, Some(_)) => "https",
        (None, None) => "http",
    };
    line(out, "protocol", &quote(protocol));
    if let Some(origin) = origins.listener_tls.get(&*listener.name) {
        line(out, "tls", &server_tls(origin));
    }
    line(out, "proxy_protocol", &quote(if listener.expect_proxy { "expect" } else { "off" }));
    line(out, "proxy_protocol_from", &networks(&listener.proxy_from));
    if let Some(forward) = forward {
        if let Some(to) = &forward.to {
            line(out, "to", &quote(to));
        }
        let names = forward.sni.iter();
        let names = names.map(|(name, to)| format!("{} = {}", quote(&host(name)), quote(to)));
        line(out, "sni", &inline_table(names));
    }
    line(out, "max_connections_per_ip", &limit(listener.max_connections_per_ip));
    line(out, "max_body", &listener.max_body.map_or_else(|| quote("off"), size));
    line(out, "abort_on_close", &listener.abort_on_close.to_string());
    line(out, "backlog", &listener.backlog.to_string());
    let path = format!("listener.{}.answers", listener.name);
    answers(out, &path, &listener.answers, origins);
    timeouts(out, &listener.timeouts, Timeouts::OF_LISTENER);
}

fn cluster(out: &mut String, cluster: &Cluster, origins: &Origins) {
    heading(out, &format!("cluster.{}", bare(&cluster.name)));
    out.push_str("servers = [\n");
    for server in servers(cluster, origins) {
        let _ = writeln!(out, "  {server},");
    }
    out.push_str("]\n");
    let balance = match cluster.balance {
        Balance::RoundRobin => "round-robin",
        Balance::Random => "random",
        Balance::LeastConnections => "least-connections",
        Balance::PowerOfTwo => "power-of-two",
        Balance::Source => "source",
    };
    line(out, "balance", &quote(balance));
    let sticky = cluster.sticky.as_ref();
    let sticky = sticky.map(|name| format!("{{ cookie = {} }}", quote(name)));
    line(out, "sticky", &sticky.unwrap_or_else(|| "false".to_owned()));
    let reuse = match cluster.reuse {
        Reuse::Safe => "safe",
        Reuse::Session => "session",
        Reuse::Never => "never",
    };
    line(out, "reuse", &quote(reuse));
    line(out, "idle_per_server", &cluster.idle_per_server.to_string());
    line(out, "queue", &format!("{{ capacity = {} }}", cluster.queue_capacity));
    let header = match cluster.send_proxy {
        None => "off",
        Some(Version::V1) => "v1",
        Some(Version::V2) => "v2",
    };
    line(out, "proxy_protocol", &quote(header));
    let tls = origins.cluster_tls.get(&*cluster.name).map(client_tls);
    line(out, "tls", &tls.unwrap_or_else(|| "false".to_owned()));
    line(out, "fall", &cluster.fall.to_string());
    let (min, max) = (duration(cluster.backoff_min), duration(cluster.backoff_max));
    line(out, "backoff", &format!("{{ min = {min}, max = {max} }}"));
    let path = format!("cluster.{}.answers", cluster.name);
    answers(out, &path, &cluster.answers, origins);
    timeouts(out, &cluster.timeouts, Timeouts::OF_CLUSTER);
}

/// Servers whose certificates are checked for the name that they were written with keep it, one
/// entry for all addresses; the others are shown as they were resolved.
fn servers(cluster: &Cluster, origins: &Origins) -> Vec<String> {
    let names = origins.server_names.get(&*cluster.name);
    let name = |index: usize| names.and_then(|names| names.get(index)?.as_deref());
    let entries = cluster.servers.iter().enumerate().map(|(index, of)| match name(index) {
        Some(name) => server(of, name),
        None => server(of, &of.addr.to_string()),
    });
    let mut entries: Vec<String> = entries.collect();
    entries.dedup();
    entries
}

fn server(server: &Server, addr: &str) -> String {
    let id = server.id.as_ref().map(|id| format!("id = {}, ", quote(id)));
    format!(
        "{{ addr = {}, {}weight = {}, max_connections = {}, backup = {}, drained = {} }}",
        quote(addr),
        id.unwrap_or_default(),
        server.weight,
        limit(server.max_connections),
        server.backup,
        server.drained
    )
}

fn route(out: &mut String, route: &Route, index: usize, origins: &Origins) {
    out.push_str("\n[[route]]\n");
    if let Some(listener) = &route.listener {
        line(out, "listener", &quote(listener));
    }
    if route.host != HostPattern::Any {
        line(out, "host", &quote(&host(&route.host)));
    }
    match &route.path {
        PathRule::Any => {}
        PathRule::Prefix(path) => line(out, "path", &quote(path)),
        PathRule::Exact(path) => line(out, "path_exact", &quote(path)),
        PathRule::Regex(path) => line(out, "path_regex", &quote(path)),
    }
    line(out, "methods", &list(route.methods.iter().map(|method| quote(method))));
    match &route.to {
        Target::Cluster(name) => line(out, "to", &quote(name)),
        Target::Redirect(redirect) => {
            let mut parts = format!("status = {}", redirect.status);
            let given =
                [("scheme", &redirect.scheme), ("host", &redirect.host), ("path", &redirect.path)];
            for (key, part) in given {
                if let Some(part) = part {
                    let _ = write!(parts, ", {key} = {}", quote(part));
                }
            }
            line(out, "redirect", &format!("{{ {parts} }}"));
        }
        Target::Answer(answer) => {
            let file = origins.answers.get(&format!("route.{index}.answer.file"));
            let file = file.filter(|_| answer.body.is_some());
            let file = file.map(|path| format!(", file = {}", quote(&path.display().to_string())));
            let file = file.unwrap_or_default();
            line(out, "answer", &format!("{{ status = {}{file} }}", answer.status));
        }
    }
    let fields = route.set_request_headers.iter();
    let fields = fields.map(|(name, value)| format!("{} = {}", bare(name), quote(value)));
    line(out, "set_request_headers", &inline_table(fields));
    let removed = route.remove_response_headers.iter().map(|name| quote(name));
    line(out, "remove_response_headers", &list(removed));
}

fn answers(out: &mut String, path: &str, answers: &Answers, origins: &Origins) {
    let files = answers.keys().filter_map(|status| {
        let file = origins.answers.get(&format!("{path}.{status}"))?;
        Some(format!("{status} = {}", quote(&file.display().to_string())))
    });
    line(out, "answers", &inline_table(files));
}

fn timeouts(out: &mut String, overrides: &TimeoutOverrides, of: &[&str]) {
    let set = of
        .iter()
        .filter_map(|name| overrides.get(name).map(|span| format!("{name} = {}", duration(span))));
    line(out, "timeouts", &inline_table(set));
}

fn server_tls(origin: &ServerTlsOrigin) -> String {
    let mut entries: Vec<String> = origin.certificates.iter().map(identity).collect();
    if let Some(first) = entries.first_mut() {
        let _ = write!(first, ", min_version = \"{}\"", if origin.from_13 { "1.3" } else { "1.2" });
        if let Some(path) = &origin.client_ca {
            let _ = write!(first, ", client_ca = {}", file(path));
        }
    }
    match entries.as_slice() {
        [only] => format!("{{ {only} }}"),
        several => list(several.iter().map(|entry| format!("{{ {entry} }}"))),
    }
}

fn client_tls(origin: &ClientTlsOrigin) -> String {
    let ca = origin.ca.as_ref().map(|path| format!("ca = {}", file(path)));
    let sni = origin.sni.as_ref().map(|name| format!("sni = {}", quote(name)));
    let parts = [ca, sni, origin.identity.as_ref().map(identity)];
    inline_table(parts.into_iter().flatten())
}

fn identity((cert, key): &(PathBuf, PathBuf)) -> String {
    format!("cert = {}, key = {}", file(cert), file(key))
}

fn file(path: &Path) -> String {
    quote(&path.display().to_string())
}

fn host(pattern: &HostPattern) -> String {
    match pattern {
        HostPattern::Any => "*".to_owned(),
        HostPattern::Exact(host) => host.to_string(),
        HostPattern::Wildcard(suffix) => format!("*.{suffix}"),
    }
}

fn networks(networks: &[Network]) -> String {
    let networks = networks.iter();
    list(networks.map(|network| quote(&format!("{}/{}", network.addr, network.prefix))))
}

fn limit(limit: Option<u32>) -> String {
    limit.map_or_else(|| quote("off"), |limit| limit.to_string())
}

fn heading(out: &mut String, table: &str) {
    let _ = writeln!(out, "\n[{table}]");
}

fn line(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key} = {value}");
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn inline_table(entries: impl Iterator<Item = String>) -> String {
    let entries: Vec<String> = entries.collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}

fn duration(span: Duration) -> String {
    quote(&show_duration(span))
}

fn size(bytes: u64) -> String {
    quote(&show_size(bytes))
}

/// `name` as a key: bare where TOML allows it.
fn bare(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !name.is_empty() && name.bytes().all(plain) { name.to_owned() } else { quote(name) }
}

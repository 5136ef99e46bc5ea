//! The effective configuration, every default included, as TOML that loads to the same.

use super::samples::quote;
use super::value::{show_duration, show_size};
use super::{Level, Loaded, LogFormat, Origins, Sink};
use std::fmt::Write;
use std::time::Duration;
use tidegate_core::config::{
    Answers, Balance, Cluster, HostPattern, Listener, PathRule, Reuse, Route, Server, Target,
    TimeoutOverrides, Timeouts,
};

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
    line(out, "workers", &loaded.workers.to_string());
    line(out, "max_connections", &settings.max_connections.to_string());
    line(out, "zombie_check_interval", &duration(settings.zombie_check_interval));
    let age = settings.max_session_age.map_or_else(|| quote("off"), duration);
    line(out, "max_session_age", &age);
    let networks = config.trusted_proxies.iter();
    let networks = networks.map(|network| quote(&format!("{}/{}", network.addr, network.prefix)));
    line(out, "trusted_proxies", &list(networks));
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
    line(out, "protocol", &quote("http"));
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
    for server in &cluster.servers {
        let _ = writeln!(out, "  {},", self::server(server));
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
    line(out, "fall", &cluster.fall.to_string());
    let (min, max) = (duration(cluster.backoff_min), duration(cluster.backoff_max));
    line(out, "backoff", &format!("{{ min = {min}, max = {max} }}"));
    let path = format!("cluster.{}.answers", cluster.name);
    answers(out, &path, &cluster.answers, origins);
    timeouts(out, &cluster.timeouts, Timeouts::OF_CLUSTER);
}

fn server(server: &Server) -> String {
    let id = server.id.as_ref().map(|id| format!("id = {}, ", quote(id)));
    format!(
        "{{ addr = {}, {}weight = {}, backup = {}, drained = {} }}",
        quote(&server.addr.to_string()),
        id.unwrap_or_default(),
        server.weight,
        server.backup,
        server.drained
    )
}

fn route(out: &mut String, route: &Route, index: usize, origins: &Origins) {
    out.push_str("\n[[route]]\n");
    if let Some(listener) = &route.listener {
        line(out, "listener", &quote(listener));
    }
    match &route.host {
        HostPattern::Any => {}
        HostPattern::Exact(host) => line(out, "host", &quote(host)),
        HostPattern::Wildcard(suffix) => line(out, "host", &quote(&format!("*.{suffix}"))),
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

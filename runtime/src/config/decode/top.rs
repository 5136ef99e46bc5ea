//! The top of the file, and the tables that belong to the whole process.

use super::super::share::{server_limit, workers_started};
use super::super::spans::Entry;
use super::super::value;
use super::super::{Level, Loaded, LogConfig, LogFormat, Origins, Sink};
use super::section::Section;
use super::{Cx, Value, cluster, listener, nearest, route};
use crate::diagnostic::{Code, Diagnostic};
use std::path::Path;
use tidegate_core::config::{Config, Network, Place, Settings, Timeouts};
use toml::Spanned;
use toml::de::DeTable;

/// Worker threads at most.
const WORKERS_MAX: u64 = 1024;
/// Connections, waiting sockets and buffers at most: what 32-bit ids can name, with room.
const COUNT_MAX: u64 = 1 << 30;
/// Bytes of a secret's file at most.
const SECRET_BYTES_MAX: u64 = 4096;

/// Decodes a whole document.
pub(super) fn decode(cx: &mut Cx<'_>, document: &Spanned<DeTable<'_>>) -> Loaded {
    let table = document.get_ref();
    let top = cx.section("", "", table, 0..0);
    cx.spans.top = Entry::of_top(table);
    let mut settings = Settings::default();
    let mut config = Config::default();
    let mut log = LogConfig::default();
    limits_of_process(cx, &top, &mut settings);
    behaviour(cx, &top, &mut config);
    limits_and_timeouts(cx, &top, &mut config);
    if let Some(value) = top.get("log") {
        log_table(cx, value, &mut log);
    }
    settings.access_records = log.access != Sink::Off;
    if let Some(value) = top.get("listener") {
        for (name, at, value) in cx.named("listener", value) {
            listener::decode(cx, name, at, value, &mut config);
        }
    }
    if let Some(value) = top.get("cluster") {
        for (name, at, value) in cx.named("cluster", value) {
            cluster::decode(cx, name, at, value, &mut config);
        }
    }
    if let Some(value) = top.get("route") {
        let list = value.get_ref().as_array();
        if list.is_none() {
            cx.wrong_type(value, "a list of tables", "begin each route with [[route]]");
        }
        for (index, value) in list.into_iter().flat_map(|list| list.iter()).enumerate() {
            route::decode(cx, index, value, &mut config);
        }
    }
    if top.get("listener").is_none() {
        let message = "nothing to listen on: there is no [listener.NAME] table";
        let hint = "add a table [listener.web] with bind = \"127.0.0.1:8080\"";
        let missing = Diagnostic::error(Code::MissingKey, cx.source, None, message);
        cx.found.push(missing.hint(hint));
    }
    let workers_of_process = workers(cx, &top, &settings);
    let workers = workers_of_servers(cx, &config, workers_of_process);
    Loaded {
        workers,
        workers_of_process,
        settings,
        config,
        log,
        warnings: Vec::new(),
        origins: Origins::default(),
    }
}

/// How many of `wanted` workers get a connection to every server (ACC-11, BACK-9).
fn workers_of_servers(cx: &mut Cx<'_>, config: &Config, wanted: usize) -> usize {
    match server_limit(config) {
        Some((limit, cluster, server)) if limit < wanted => {
            let span = cx.spans.of(&Place::Server(cluster, server, "max_connections"), None);
            let message = format!("only {limit} of {wanted} workers start, as no more get a share");
            let hint = "each worker needs one connection to the server";
            cx.warning(Code::FewerWorkers, span, message, hint);
            limit
        }
        _ => wanted,
    }
}

fn workers(cx: &mut Cx<'_>, top: &Section<'_>, settings: &Settings) -> usize {
    let value = top.get("workers");
    let wanted: usize = match value {
        Some(value) if value.get_ref().as_str() == Some("auto") => cx.outside.processors(),
        Some(value) if value.get_ref().is_str() => {
            cx.wrong_type(value, "a number or \"auto\"", "write \"auto\", or 2 without quotes");
            1
        }
        Some(value) => cx.integer(value, 1, WORKERS_MAX).unwrap_or(1),
        None => cx.outside.processors(),
    };
    let started = workers_started(settings, wanted);
    if started < wanted {
        let keys = ["max_connections", "accept_queue", "buffers"];
        let limit = keys.into_iter().find_map(|key| {
            let needed = match key {
                "max_connections" => settings.max_connections,
                "accept_queue" => settings.accept_queue_capacity,
                _ => settings.buffers_max / 2,
            };
            if needed == started { top.get(key) } else { None }
        });
        let span = limit.or(value).map_or(0..0, Spanned::span);
        let message = format!("only {started} of {wanted} workers start, as no more get a share");
        let hint = "each worker needs one connection, one place in the queue and two buffers";
        cx.warning(Code::FewerWorkers, span, message, hint);
    }
    started
}

fn limits_of_process(cx: &mut Cx<'_>, top: &Section<'_>, settings: &mut Settings) {
    if let Some(value) = top.get("max_connections") {
        set(&mut settings.max_connections, cx.integer(value, 1, COUNT_MAX));
    }
    if let Some(value) = top.get("zombie_check_interval") {
        set(&mut settings.zombie_check_interval, cx.duration(value));
    }
    if let Some(value) = top.get("max_session_age") {
        set(&mut settings.max_session_age, cx.duration_or_off(value));
    }
    if let Some(value) = top.get("accept_queue")
        && let Some(queue) = cx.subsection("accept_queue", "[accept_queue]", value)
    {
        if let Some(value) = queue.get("capacity") {
            set(&mut settings.accept_queue_capacity, cx.integer(value, 1, COUNT_MAX));
        }
        if let Some(value) = queue.get("max_wait") {
            set(&mut settings.accept_queue_max_wait, cx.duration(value));
        }
        if let Some(value) = queue.get("evict_idle") {
            set(&mut settings.accept_queue_evict_idle, cx.boolean(value));
        }
    }
    if let Some(value) = top.get("buffers")
        && let Some(buffers) = cx.subsection("buffers", "[buffers]", value)
    {
        if let Some(value) = buffers.get("size") {
            set(&mut settings.buffer_bytes, cx.size(value).map(|size| size as usize));
        }
        if let Some(value) = buffers.get("count") {
            set(&mut settings.buffers_max, cx.integer(value, 2, COUNT_MAX));
        }
    }
}

fn limits_and_timeouts(cx: &mut Cx<'_>, top: &Section<'_>, config: &mut Config) {
    if let Some(value) = top.get("limits")
        && let Some(limits) = cx.subsection("limits", "[limits]", value)
    {
        if let Some(value) = limits.get("head") {
            set(&mut config.limits.head_bytes, cx.size(value).map(|size| size as usize));
        }
        if let Some(value) = limits.get("fields") {
            set(&mut config.limits.fields_max, cx.integer(value, 1, COUNT_MAX));
        }
        if let Some(value) = limits.get("target") {
            set(&mut config.limits.target_bytes, cx.size(value).map(|size| size as usize));
        }
    }
    if let Some(value) = top.get("timeouts")
        && let Some(timeouts) = cx.subsection("timeouts", "[timeouts]", value)
    {
        for name in Timeouts::NAMES {
            if let Some(value) = timeouts.get(name)
                && let Some(span) = cx.duration(value)
            {
                config.timeouts.set(name, span);
            }
        }
    }
}

fn behaviour(cx: &mut Cx<'_>, top: &Section<'_>, config: &mut Config) {
    if let Some(value) = top.get("forwarded") {
        set(&mut config.forwarded, cx.boolean(value));
    }
    if let Some(value) = top.get("trusted_proxies") {
        config.trusted_proxies = networks(cx, value);
    }
    if let Some(value) = top.get("sticky_secret") {
        config.sticky_secret = secret(cx, value);
    }
}

/// Networks of a list.
pub(super) fn networks(cx: &mut Cx<'_>, value: &Value<'_>) -> Vec<Network> {
    let mut networks = Vec::new();
    for (text, value) in cx.strings(value) {
        match value::network(text) {
            Ok(network) => networks.push(network),
            Err(hint) => {
                let message = format!("\"{text}\" is not a network like \"10.0.0.0/8\"");
                cx.error(Code::BadAddress, value.span(), message, &hint);
            }
        }
    }
    networks
}

/// The bytes that `env:VARIABLE` or `file:PATH` names, without a file's final newline.
fn secret(cx: &mut Cx<'_>, value: &Value<'_>) -> Option<Vec<u8>> {
    let text = cx.string(value)?;
    let (bytes, origin) = if let Some(name) = text.strip_prefix("env:") {
        let bytes = cx.outside.variable(name).map(String::into_bytes);
        (bytes.ok_or_else(|| format!("the variable {name} is not set")), text.to_owned())
    } else if let Some(path) = text.strip_prefix("file:") {
        let path = cx.path(path);
        let bytes = cx.outside.read(Path::new(&path), SECRET_BYTES_MAX);
        (bytes.map_err(|error| error.to_string()), format!("file:{}", path.display()))
    } else {
        let hint = "keep secrets out of this file: \"env:VARIABLE\" or \"file:PATH\"";
        cx.error(Code::SecretUnreadable, value.span(), "a secret is not written here", hint);
        return None;
    };
    let bytes = bytes.map(|mut bytes| {
        let trimmed = bytes.trim_ascii_end().len();
        bytes.truncate(trimmed);
        bytes
    });
    match bytes {
        Ok(bytes) if !bytes.is_empty() => {
            cx.origins.sticky_secret = Some(origin);
            Some(bytes)
        }
        Ok(_) => {
            cx.error(Code::SecretUnreadable, value.span(), "the secret is empty", "");
            None
        }
        Err(why) => {
            cx.unreadable(Code::SecretUnreadable, value.span(), "cannot read the secret", &why);
            cx.outside.stand_ins().map(|_| b"a stand-in for a secret".to_vec())
        }
    }
}

fn log_table(cx: &mut Cx<'_>, value: &Value<'_>, log: &mut LogConfig) {
    let Some(section) = cx.subsection("log", "[log]", value) else { return };
    if let Some(value) = section.get("access") {
        set(&mut log.access, sink(cx, value));
    }
    if let Some(value) = section.get("format") {
        let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
        set(&mut log.format, cx.choice(value, &formats));
    }
    if let Some(value) = section.get("level") {
        let levels = [
            ("error", Level::Error),
            ("warn", Level::Warn),
            ("info", Level::Info),
            ("debug", Level::Debug),
        ];
        set(&mut log.level, cx.choice(value, &levels));
    }
}

fn sink(cx: &mut Cx<'_>, value: &Value<'_>) -> Option<Sink> {
    const WORDS: [&str; 3] = ["stdout", "stderr", "off"];
    let text = cx.string(value)?;
    match text {
        "stdout" => Some(Sink::Stdout),
        "stderr" => Some(Sink::Stderr),
        "off" => Some(Sink::Off),
        // A word alone is more likely misspelt than a file of that name.
        path if path.contains(['/', '.']) => Some(Sink::File(cx.path(path))),
        word => {
            let hint = match nearest(word, WORDS) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => format!("a file's path contains a \"/\": \"./{word}\""),
            };
            let message = format!("\"{word}\" is not \"stdout\", \"stderr\", \"off\" or a path");
            cx.error(Code::NotAChoice, value.span(), message, &hint);
            None
        }
    }
}

/// Replaces `slot` by what was decoded, if anything was.
pub(super) fn set<T>(slot: &mut T, decoded: Option<T>) {
    if let Some(decoded) = decoded {
        *slot = decoded;
    }
}

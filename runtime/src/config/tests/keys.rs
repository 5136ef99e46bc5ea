//! The table of keys, the decoder and the reference, which must not drift apart.

use super::super::keys::LATER;
use super::super::{Fallback, Key, keys, reference};
use super::{codes, load, try_load};
use crate::diagnostic::Code;
use std::path::Path;
use tidegate_core::config::Timeouts;

/// A table `tls` with `entry`, and what it cannot be without: a certificate and its key go
/// together, and `needed` says whether there must be any.
fn tls_with(key: &Key, entry: &str, needed: bool) -> String {
    let pair = [("cert", "cert = \"site.pem\""), ("key", "key = \"site.key\"")];
    let needed = needed || pair.iter().any(|(name, _)| *name == key.name);
    let others = pair.iter().filter(|(name, _)| needed && *name != key.name);
    let mut parts: Vec<&str> = others.map(|(_, other)| *other).collect();
    parts.push(entry);
    format!("tls = {{ {} }}", parts.join(", "))
}

/// A good file in which `entry` (`key = value`) stands where `key` belongs, and nothing that
/// would contradict it.
fn file_with(key: &Key, value: &str) -> String {
    let entry = format!("{} = {value}", if key.name == "NAME" { "x" } else { key.name });
    let nested = |table: &str| format!("{table} = {{ {entry} }}");
    let (mut top, mut listener, mut cluster, mut route) =
        (String::new(), String::new(), String::new(), String::new());
    let mut server = "addr = \"127.0.0.1:9001\"".to_owned();
    match key.section {
        "" => top = entry,
        "accept_queue" | "buffers" | "limits" | "timeouts" | "log" => top = nested(key.section),
        "listener" | "cluster" => top = format!("[{}]\n{entry}", key.section),
        "listener.NAME" => listener = entry,
        "listener.NAME.timeouts" => listener = nested("timeouts"),
        "listener.NAME.tls" => listener = tls_with(key, &entry, true),
        "cluster.NAME" => cluster = entry,
        "cluster.NAME.queue" => cluster = nested("queue"),
        "cluster.NAME.tls" => cluster = tls_with(key, &entry, false),
        "cluster.NAME.servers[]" => server = format!("{server}, {entry}"),
        "cluster.NAME.sticky" => cluster = nested("sticky"),
        "cluster.NAME.backoff" => cluster = nested("backoff"),
        "cluster.NAME.timeouts" => cluster = nested("timeouts"),
        "route[]" => route = entry,
        "route[].redirect" if key.name == "status" => {
            route = format!("redirect = {{ path = \"/x\", {entry} }}");
        }
        "route[].redirect" => route = nested("redirect"),
        "route[].answer" if key.name == "status" => route = nested("answer"),
        "route[].answer" => route = format!("answer = {{ status = 404, {entry} }}"),
        section => panic!("a section without place: {section}"),
    }
    if key.section == "cluster.NAME.servers[]" && key.name == "addr" {
        server.clone_from(&server[server.rfind("addr").unwrap()..].to_owned());
    }
    if key.section == "listener.NAME" && ["to", "sni"].contains(&key.name) {
        listener = format!("protocol = \"tcp\"\nto = \"app\"\n{listener}");
        listener = listener.replace("to = \"app\"\nto =", "to =");
    }
    if key.name == "proxy_protocol_from" {
        listener = format!("proxy_protocol = \"expect\"\n{listener}");
    }
    if !listener.starts_with("bind") {
        listener = format!("bind = \"127.0.0.1:1\"\n{listener}");
    }
    if !cluster.starts_with("servers") {
        cluster = format!("servers = [{{ {server} }}]\n{cluster}");
    }
    if !["to ", "redirect ", "answer "].iter().any(|target| route.starts_with(target)) {
        route = format!("to = \"app\"\n{route}");
    }
    let mut tables = String::new();
    for (name, table, body) in [
        ("listener", "[listener.web]", listener),
        ("cluster", "[cluster.app]", cluster),
        ("route", "[[route]]", route),
    ] {
        // A key that is one of these tables itself stands alone.
        if !(key.section.is_empty() && key.name == name) {
            tables.push_str(&format!("{table}\n{body}\n"));
        }
    }
    let secret = if key.name == "sticky_secret" { "" } else { "sticky_secret = \"env:STICKY\"\n" };
    let value = format!("{secret}{top}\n{tables}");
    value.replace("env:TIDEGATE_STICKY_SECRET", "env:STICKY")
}

#[test]
fn every_example_is_accepted() {
    for key in keys() {
        let text = file_with(key, key.example);
        let text = text.replace("\"404.html\"", "\"404.json\"");
        let found = try_load(&text).err();
        assert_eq!(found, None, "{}.{}:\n{text}", key.section, key.name);
    }
}

#[test]
fn every_default_is_what_holds_without_the_key() {
    for key in keys() {
        let Fallback::Is(value) = key.fallback else { continue };
        let with = load(&file_with(key, value));
        // `a = 0` in a table of its own would be unknown: an empty entry is the same file.
        let without = file_with(key, value).replace(&format!("{} = {value}", key.name), "");
        let without = load(&without.replace(", }", " }"));
        assert_eq!(with, without, "{}.{} = {value}", key.section, key.name);
    }
}

#[test]
fn every_key_is_decoded() {
    // No key takes a date: whoever decodes it must say so.
    for key in keys() {
        let text = file_with(key, "1979-05-27");
        let found = try_load(&text).expect_err(&text);
        let complaint = found.iter().any(|diagnostic| {
            let span = diagnostic.span.clone().unwrap_or_default();
            diagnostic.code == Code::WrongType && &text[span] == "1979-05-27"
        });
        assert!(complaint, "{}.{}: {found:#?}", key.section, key.name);
    }
}

#[test]
fn every_required_key_is_missed() {
    for key in keys() {
        // A file without listeners is an error of meaning.
        if key.fallback != Fallback::Required || key.section.is_empty() {
            continue;
        }
        let text = file_with(key, key.example);
        let without = text.replacen(&format!("{} = {}", key.name, key.example), "", 1);
        assert_ne!(text, without);
        let found = codes(&without);
        assert!(found.iter().any(|found| found.0 == Code::MissingKey), "{without}\n{found:?}");
    }
}

#[test]
fn unknown_keys_are_refused_in_every_section() {
    for key in keys() {
        if matches!(key.section, "listener" | "cluster") {
            continue;
        }
        let stranger = Key { name: "zzz", ..key.clone() };
        let found = codes(&file_with(&stranger, "1"));
        assert!(found.iter().any(|found| found.0 == Code::UnknownKey), "{}", key.section);
    }
}

#[test]
fn what_comes_later_is_unknown_and_said_to_come() {
    for (section, name) in LATER {
        let key = Key { section, name, ..keys().next().unwrap().clone() };
        let found = try_load(&file_with(&key, "1")).unwrap_err();
        assert_eq!(found[0].code, Code::UnknownKey);
        assert_eq!(found[0].hint.as_deref(), Some("this version cannot do that yet"), "{name}");
    }
}

#[test]
fn timeouts_are_those_of_the_core() {
    let named = |section: &str| -> Vec<&str> {
        keys().filter(|key| key.section == section).map(|key| key.name).collect()
    };
    assert_eq!(named("timeouts"), Timeouts::NAMES);
    assert_eq!(named("listener.NAME.timeouts"), Timeouts::OF_LISTENER);
    assert_eq!(named("cluster.NAME.timeouts"), Timeouts::OF_CLUSTER);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "TIDEGATE_BLESS rewrites the page")]
fn the_reference_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = reference();
    if std::env::var_os("TIDEGATE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "run TIDEGATE_BLESS=1 cargo test -p tidegate");
}

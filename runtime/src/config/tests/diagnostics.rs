//! Each code, as it is shown.

use super::super::{load as load_file, read};
use super::{Machine, SITE, try_load};
use crate::diagnostic::{Code, Diagnostic, render, to_json};
use crate::tls::Memory;
use std::path::Path;

/// For each code a file that it is found in.
fn case(code: Code) -> String {
    let with = |from: &str, to: &str| {
        assert!(SITE.contains(from));
        SITE.replace(from, to)
    };
    let tls = |entry: &str| with("[cluster.app]", &format!("tls = {{ {entry} }}\n[cluster.app]"));
    match code {
        Code::Syntax => with("\"127.0.0.1:8080\"", "127.0.0.1:8080"),
        Code::UnknownKey => with("servers =", "server ="),
        Code::UnknownCluster => with("to = \"app\"", "to = \"ap\""),
        Code::WrongType => format!("max_connections = \"10000\"\n{SITE}"),
        Code::MissingKey => with("bind = \"127.0.0.1:8080\"", ""),
        Code::NotAChoice => with("[[route]]", "balance = \"leastconn\"\n[[route]]"),
        Code::BadDuration => format!("timeouts = {{ connect = \"0.5s\" }}\n{SITE}"),
        Code::BadSize => format!("limits = {{ head = \"16K\" }}\n{SITE}"),
        Code::OutOfRange => with("[[route]]", "fall = 0\n[[route]]"),
        Code::BadAddress => with("127.0.0.1:8080", ":8080"),
        Code::Unresolved => with("127.0.0.1:9001", "nope.test:9001"),
        Code::SecretUnreadable => format!("sticky_secret = \"env:NOPE\"\n{SITE}"),
        Code::AnswerUnreadable => {
            with("[cluster.app]", "answers = { 503 = \"nope.html\" }\n[cluster.app]")
        }
        Code::FileUnreadable => String::new(),
        Code::Conflict => format!("{SITE}path = \"/a\"\nredirect = {{ status = 301 }}\n"),
        Code::BadName => {
            with("[cluster.app]", "[cluster.\"my app\"]").replace("\"app\"", "\"my app\"")
        }
        Code::Duplicate => with("\"127.0.0.1:9001\"", "\"127.0.0.1:9001\", \"127.0.0.1:9001\""),
        Code::UnknownListener => format!("{SITE}listener = \"wbe\"\n"),
        Code::BadHost => format!("{SITE}host = \"example.com:8080\"\n"),
        Code::BadPath => format!("{SITE}path = \"api\"\n"),
        Code::BadRegex => format!("{SITE}path_regex = \"/user/[0-9+\"\n"),
        Code::BadMethod => format!("{SITE}methods = [\"HEAD\", \"get\"]\n"),
        Code::BadStatus => with("[cluster.app]", "answers = { 403 = \"503.html\" }\n[cluster.app]"),
        Code::RedirectToItself => with("to = \"app\"", "redirect = { status = 301 }"),
        Code::BadAnswer => with("to = \"app\"", "answer = { status = 204, file = \"503.html\" }"),
        Code::BadField => format!("{SITE}set_request_headers = {{ X-A = \"1\", Host = \"b\" }}\n"),
        Code::TiedRoutes => format!("{SITE}[[route]]\nredirect = {{ scheme = \"https\" }}\n"),
        Code::NothingToStickBy => with("[[route]]", "sticky = true\n[[route]]"),
        Code::BackoffOrder => with("[[route]]", "backoff = { min = \"2m\" }\n[[route]]"),
        Code::TlsUnreadable => tls("cert = \"nope.pem\", key = \"site.key\""),
        Code::BadPem => tls("cert = \"site.key\", key = \"site.pem\""),
        Code::KeyMismatch => tls("cert = \"site.pem\", key = \"other.key\""),
        Code::CertificateTime => tls("cert = \"soon.pem\", key = \"soon.key\""),
        Code::KeyReadable => tls("cert = \"open.pem\", key = \"open.key\""),
        Code::CertificateNameless => with(
            "[cluster.app]",
            "tls = [{ cert = \"site.pem\", key = \"site.key\" },\n\
             { cert = \"nameless.pem\", key = \"nameless.key\" }]\n[cluster.app]",
        ),
        Code::TlsUnusable => with("[[route]]", "tls = true\n[[route]]"),
        Code::FewerWorkers => format!("workers = 4\nmax_connections = 3\n{SITE}"),
    }
}

fn found(code: Code) -> Vec<Diagnostic> {
    if code == Code::FileUnreadable {
        return load_file(Path::new("no/such/tidegate.toml"), &Memory::default()).unwrap_err();
    }
    if code == Code::TlsUnusable {
        let machine = Machine { has_authorities: false };
        let base = Path::new("/etc/tg");
        return read("tidegate.toml", &case(code), base, &machine, &Memory::default()).unwrap_err();
    }
    match try_load(&case(code)) {
        Ok(loaded) => loaded.warnings,
        Err(found) => found,
    }
}

#[test]
fn every_code_is_shown_as_in_its_snapshot() {
    for code in Code::ALL {
        let found = found(*code);
        assert!(found.iter().any(|diagnostic| diagnostic.code == *code), "{code:?}: {found:#?}");
        let shown: Vec<String> = found.iter().map(|item| render(item, false)).collect();
        insta::assert_snapshot!(code.number(), shown.join("\n"));
    }
}

#[test]
fn every_code_is_explained() {
    for (index, code) in Code::ALL.iter().enumerate() {
        assert_eq!(code.number(), format!("TG{:03}", index + 1));
        assert_eq!(Code::parse(&code.number().to_lowercase()), Some(*code));
        let text = code.explanation();
        assert!(text.lines().count() >= 5, "{}", code.number());
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{}", code.number());
        assert!(text.ends_with('\n'));
    }
}

#[test]
fn machines_get_the_same() {
    insta::assert_snapshot!("json", to_json(&found(Code::UnknownCluster)));
    let unreadable: serde_json::Value =
        serde_json::from_str(&to_json(&found(Code::FileUnreadable))).unwrap();
    assert!(unreadable[0]["line"].is_null());
}

#[test]
fn columns_count_characters() {
    let text = format!("sticky_secret = \"ü\"\n{SITE}");
    let found = try_load(&text).unwrap_err();
    assert_eq!(found[0].position(), Some((1, 17)));
    let text = format!("log = {{ access = \"ü.log\", format = \"x\" }}\n{SITE}");
    assert_eq!(try_load(&text).unwrap_err()[0].position(), Some((1, 36)));
}

#[test]
fn colour_is_only_for_terminals() {
    let found = found(Code::UnknownCluster);
    assert!(!render(&found[0], false).contains('\u{1b}'));
    assert!(render(&found[0], true).contains('\u{1b}'));
}

//! Certificates and keys: what is refused, what deserves a warning, and what a reload keeps.

use super::{Machine, SITE, codes, load, read, try_load, try_load_with};
use crate::diagnostic::{Code, Severity};
use crate::tls::Memory;
use std::path::Path;
use std::sync::Arc;

fn with(tls: &str) -> String {
    SITE.replace("[cluster.app]", &format!("tls = {tls}\n[cluster.app]"))
}

/// A table for the certificate `cert` with the key `key`.
fn entry(cert: &str, key: &str) -> String {
    format!("{{ cert = \"{cert}\", key = \"{key}\" }}")
}

/// What is found in a listener with `tls`, and whether it is served.
fn found(tls: &str) -> (Vec<(Code, usize, usize)>, bool) {
    let text = with(tls);
    (codes(&text), try_load(&text).is_ok())
}

#[test]
fn files_that_are_not_what_they_should_be_are_refused() {
    let bad = |cert: &str, key: &str, code, column| {
        let (codes, served) = found(&entry(cert, key));
        assert_eq!((codes, served), (vec![(code, 3, column)], false), "{cert} {key}");
    };
    bad("nope.pem", "site.key", Code::TlsUnreadable, 16);
    bad("site.pem", "nope.key", Code::TlsUnreadable, 34);
    bad("site.key", "site.key", Code::BadPem, 16);
    bad("site.pem", "site.pem", Code::BadPem, 34);
    bad("site.pem", "encrypted.key", Code::BadPem, 34);
    bad("site.pem", "other.key", Code::KeyMismatch, 34);
    assert_eq!(found(&entry("both.pem", "both.pem")), (Vec::new(), true));
    assert_eq!(found("{ cert = \"site.pem\" }").0, [(Code::MissingKey, 3, 7)]);
    assert_eq!(found("[]").0, [(Code::MissingKey, 3, 7)]);
    assert_eq!(found("[3]").0, [(Code::WrongType, 3, 8)]);
    assert_eq!(found("true").0, [(Code::WrongType, 3, 7)]);
    let hint = try_load(&with(&entry("site.pem", "encrypted.key"))).unwrap_err()[0].hint.clone();
    assert!(hint.unwrap().contains("openssl pkey"));
}

#[test]
fn a_mismatch_shows_both_places() {
    let found = try_load(&with(&entry("site.pem", "other.key"))).unwrap_err();
    let (span, words) = found[0].other.clone().expect("the certificate's place");
    assert_eq!(&with(&entry("site.pem", "other.key"))[span], "\"site.pem\"");
    assert_eq!(words, "the certificate is here");
}

#[test]
fn what_is_served_all_the_same_is_a_warning() {
    let warned = |name: &str| {
        let text = with(&entry(&format!("{name}.pem"), &format!("{name}.key")));
        let [warning] = load(&text).warnings.try_into().expect("one warning");
        assert_eq!(warning.severity, Severity::Warning);
        (warning.code, warning.message)
    };
    let days = |words: &str| (Code::CertificateTime, format!("the certificate {words}"));
    assert_eq!(warned("soon"), days("expires in 9 days"));
    assert_eq!(warned("expired"), days("has expired"));
    assert_eq!(warned("early"), days("becomes valid in 1 day"));
    assert_eq!(warned("open").0, Code::KeyReadable);
    assert_eq!(warned("nameless").0, Code::CertificateNameless);
    assert_eq!(found(&entry("site.pem", "site.key")), (Vec::new(), true));
}

#[test]
fn only_the_first_certificate_needs_no_name() {
    // TLS-1
    let [site, nameless] =
        ["site", "nameless"].map(|of| entry(&format!("{of}.pem"), &format!("{of}.key")));
    let (codes, served) = found(&format!("[{nameless}, {site}]"));
    assert_eq!((codes[0].0, served), (Code::CertificateNameless, true));
    let (codes, served) = found(&format!("[{site}, {nameless}]"));
    assert_eq!((codes[0].0, served), (Code::CertificateNameless, false));
}

#[test]
fn what_holds_for_the_listener_is_given_once() {
    let site = "cert = \"site.pem\", key = \"site.key\"";
    let other = "cert = \"other.pem\", key = \"other.key\"";
    let list = |a: &str, b: &str| found(&format!("[{{ {site}{a} }},\n{{ {other}{b} }}]"));
    let good = (Vec::new(), true);
    assert_eq!(list("", ", min_version = \"1.3\", client_ca = \"ca.pem\""), good);
    assert_eq!(list(", min_version = \"1.3\"", ", client_ca = \"ca.pem\""), good);
    assert_eq!(list(", min_version = \"1.3\"", ", min_version = \"1.3\""), good);
    let conflict = (vec![(Code::Conflict, 4, 56)], false);
    assert_eq!(list(", min_version = \"1.3\"", ", min_version = \"1.2\""), conflict);
    let conflict = (vec![(Code::Conflict, 4, 54)], false);
    assert_eq!(list(", client_ca = \"ca.pem\"", ", client_ca = \"ca2.pem\""), conflict);
    assert_eq!(list(", min_version = \"1.1\"", "").0[0].0, Code::NotAChoice);
    assert_eq!(list(", client_ca = \"site.key\"", "").0[0].0, Code::BadPem);
    // Whichever entry gives them, the listener is the same.
    let listener = |a: &str, b: &str| {
        let text = with(&format!("[{{ {site}{a} }}, {{ {other}{b} }}]"));
        load(&text).config.listeners.remove(0).tls
    };
    let strict = ", min_version = \"1.3\"";
    assert_eq!(listener(strict, ""), listener("", strict));
    assert_ne!(listener("", ""), listener("", strict));
}

#[test]
fn clusters_verify_by_the_system_or_by_a_file() {
    // TLS-4
    let tls = |tls: &str| SITE.replace("[[route]]", &format!("tls = {tls}\n[[route]]"));
    let client = |text: &str| load(&tls(text)).config.clusters.remove(0).tls;
    assert_eq!(client("false"), None);
    assert_eq!(client("true"), client("{}"));
    // The tests' machine trusts the one authority of `ca.pem`.
    assert_eq!(client("true"), client("{ ca = \"ca.pem\" }"));
    assert_ne!(client("true"), client("{ ca = \"ca2.pem\" }"));
    let shown = "{ cert = \"client.pem\", key = \"client.key\" }";
    assert_ne!(client("true"), client(shown));
    let codes = |text: &str| codes(&tls(text));
    assert_eq!(codes("{ cert = \"client.pem\" }"), [(Code::MissingKey, 5, 7)]);
    assert_eq!(codes("{ ca = \"nope.pem\" }"), [(Code::TlsUnreadable, 5, 14)]);
    assert_eq!(codes("{ ca = \"site.key\" }"), [(Code::BadPem, 5, 14)]);
    assert_eq!(codes("\"on\""), [(Code::WrongType, 5, 7)]);
    let nobody = Machine { has_authorities: false };
    let read = |text: &str| read("t", text, Path::new("/etc/tg"), &nobody, &Memory::default());
    assert_eq!(read(&tls("true")).unwrap_err()[0].code, Code::TlsUnusable);
    assert!(read(&tls("{ ca = \"ca.pem\" }")).is_ok());
}

#[test]
fn a_load_keeps_the_settings_of_the_one_before() {
    // TLS-1, RUN-1
    let memory = Memory::default();
    let text = with(&entry("site.pem", "site.key"));
    let text = text.replace("[[route]]", "tls = true\n[[route]]");
    let before = try_load_with(&text, &memory).expect("good").config;
    assert!(try_load_with(&text.replace("site.key", "other.key"), &memory).is_err());
    let after = try_load_with(&format!("{text}path = \"/x\"\n"), &memory).expect("good").config;
    let server = |of: &tidegate_core::config::Config| of.listeners[0].tls.clone().expect("TLS");
    assert!(Arc::ptr_eq(&server(&before).config, &server(&after).config));
    let client = |of: &tidegate_core::config::Config| of.clusters[0].tls.clone().expect("TLS");
    assert!(Arc::ptr_eq(&client(&before).config, &client(&after).config));
}

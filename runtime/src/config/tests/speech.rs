//! What is spoken on listeners and to servers.

use super::super::{ServerTlsOrigin, from_str};
use super::{SITE, codes, load, try_load};
use crate::diagnostic::Code;
use crate::tls::Memory;
use rustls::pki_types::ServerName;
use std::time::Duration;
use tidegate_core::config::{Forward, HostPattern, Listener, Protocol};
use tidegate_core::proxy_protocol::Version;

/// The one listener of a file in which it says `body`.
#[track_caller]
fn listener(body: &str) -> Listener {
    load(&with(body)).config.listeners.remove(0)
}

fn with(body: &str) -> String {
    SITE.replace("[cluster.app]", &format!("{body}\n[cluster.app]"))
}

const TLS: &str = "tls = { cert = \"site.pem\", key = \"site.key\" }";

#[test]
fn a_listener_speaks_https_when_it_has_a_certificate() {
    // LOOP-4
    let plain = listener("");
    assert!(plain.protocol == Protocol::Http && plain.tls.is_none());
    assert_eq!(plain, listener("protocol = \"http\""));
    let secure = listener(TLS);
    assert!(secure.protocol == Protocol::Http && secure.tls.is_some());
    assert_eq!(secure, listener(&format!("protocol = \"https\"\n{TLS}")));
    let forward = Forward { to: Some("app".into()), sni: Vec::new() };
    let tcp = listener(&format!("protocol = \"tcp\"\nto = \"app\"\n{TLS}"));
    assert_eq!(tcp.protocol, Protocol::Tcp(forward));
    // No protocol is agreed on inside: other settings than those of https.
    assert!(tcp.tls.is_some() && tcp.tls != secure.tls);
}

#[test]
fn protocols_that_contradict_the_rest_are_refused() {
    let at = |line, column, code| vec![(code, line, column)];
    let conflict = |line, column| at(line, column, Code::Conflict);
    assert_eq!(codes(&with("protocol = \"https\"")), at(3, 12, Code::MissingKey));
    assert_eq!(codes(&with(&format!("protocol = \"http\"\n{TLS}"))), conflict(3, 12));
    assert_eq!(codes(&with("protocol = \"tpc\"\nto = \"app\"")), at(3, 12, Code::NotAChoice));
    assert_eq!(codes(&with("to = \"app\"")), conflict(3, 1));
    assert_eq!(codes(&with(&format!("sni = {{ a = \"app\" }}\n{TLS}"))), conflict(3, 1));
    assert_eq!(codes(&with("protocol = \"tcp\"")), at(1, 11, Code::MissingKey));
    let tcp = |body: &str| codes(&with(&format!("protocol = \"tcp\"\nto = \"app\"\n{body}")));
    assert_eq!(tcp("max_body = \"1KiB\""), conflict(5, 12));
    assert_eq!(tcp("abort_on_close = true"), conflict(5, 18));
    assert_eq!(tcp("answers = { 503 = \"503.html\" }"), conflict(5, 11));
    assert_eq!(tcp(&format!("sni = {{ a = \"app\" }}\n{TLS}")), conflict(5, 7));
    let bound = with("protocol = \"tcp\"\nto = \"app\"");
    assert_eq!(codes(&format!("{bound}listener = \"web\"\n")), conflict(9, 12));
}

#[test]
fn names_lead_to_clusters() {
    // TLS-5
    let Protocol::Tcp(forward) = listener(
        "protocol = \"tcp\"\nsni = { \"B.example.\" = \"app\", \"*.a.example\" = \"app\" }",
    )
    .protocol
    else {
        panic!("no TCP")
    };
    let expected = [
        (HostPattern::Exact("b.example".into()), "app".into()),
        (HostPattern::Wildcard("a.example".into()), "app".into()),
    ];
    assert_eq!(forward, Forward { to: None, sni: expected.to_vec() });
    let sni = |table: &str| codes(&with(&format!("protocol = \"tcp\"\nsni = {{ {table} }}")));
    assert_eq!(sni("\"a\" = \"app\", \"b\" = \"ap\""), [(Code::UnknownCluster, 4, 28)]);
    assert_eq!(sni("\"a:1\" = \"app\""), [(Code::BadHost, 4, 17)]);
    assert_eq!(sni("\"a\" = \"app\", \"A\" = \"app\"")[0].0, Code::Duplicate);
    assert_eq!(sni("\"*\" = \"app\"")[0].0, Code::BadHost);
    let unknown = try_load(&with("protocol = \"tcp\"\nto = \"ap\"")).unwrap_err();
    assert_eq!(unknown[0].message, "listener sends to cluster \"ap\", which is not defined");
    assert_eq!(unknown[0].hint.as_deref(), Some("did you mean \"app\"?"));
}

#[test]
fn proxy_headers_both_ways() {
    // PP-1
    let expecting = listener(
        "proxy_protocol = \"expect\"\nproxy_protocol_from = [\"10.0.0.0/8\", \"::1\"]\n\
         timeouts = { proxy_header = \"1s\", tls_handshake = \"2s\" }",
    );
    assert!(expecting.expect_proxy && expecting.proxy_from.len() == 2);
    assert_eq!(expecting.timeouts.proxy_header, Some(Duration::from_secs(1)));
    assert_eq!(expecting.timeouts.tls_handshake, Some(Duration::from_secs(2)));
    assert!(!listener("proxy_protocol = \"off\"").expect_proxy);
    let alone = codes(&with("proxy_protocol_from = [\"10.0.0.0/8\"]"));
    assert_eq!(alone, [(Code::Conflict, 3, 23)]);
    let bad = codes(&with("proxy_protocol = \"expect\"\nproxy_protocol_from = [\"10.0.0.1/8\"]"));
    assert_eq!(bad, [(Code::BadAddress, 4, 24)]);
    for (word, version) in [("off", None), ("v1", Some(Version::V1)), ("v2", Some(Version::V2))] {
        let text = SITE.replace("[[route]]", &format!("proxy_protocol = \"{word}\"\n[[route]]"));
        assert_eq!(load(&text).config.clusters[0].send_proxy, version);
    }
}

#[test]
fn limits_of_connections() {
    // ACC-9, BACK-9
    assert_eq!(listener("max_connections_per_ip = 7").max_connections_per_ip, Some(7));
    assert_eq!(listener("max_connections_per_ip = \"off\"").max_connections_per_ip, None);
    assert_eq!(codes(&with("max_connections_per_ip = 0")), [(Code::OutOfRange, 3, 26)]);
    let text = SITE.replace(
        "[\"127.0.0.1:9001\"]",
        "[{ addr = \"127.0.0.1:9001\", max_connections = 40 }]\nqueue = { capacity = 3 }\n\
         timeouts = { backend_queue = \"1s\", tunnel_idle = \"2m\" }",
    );
    let cluster = &load(&text).config.clusters[0];
    assert_eq!(cluster.servers[0].max_connections, Some(40));
    assert_eq!(cluster.queue_capacity, 3);
    assert_eq!(cluster.timeouts.backend_queue, Some(Duration::from_secs(1)));
    assert_eq!(cluster.timeouts.tunnel_idle, Some(Duration::from_secs(120)));
}

/// Names that the servers of a cluster are checked for.
#[track_caller]
fn tls_names(servers: &str, tls: &str) -> Vec<Option<ServerName<'static>>> {
    let text = SITE.replace("[\"127.0.0.1:9001\"]", &format!("{servers}\ntls = {tls}"));
    let cluster = load(&text).config.clusters.remove(0);
    assert_eq!(cluster.tls.is_some(), tls != "false");
    cluster.servers.into_iter().map(|server| server.tls_name).collect()
}

#[test]
fn a_server_is_checked_for_the_name_it_was_given() {
    // TLS-4
    let name = |text: &str| Some(ServerName::try_from(text.to_owned()).unwrap());
    let servers = "[\"two.test:443\", \"10.0.0.9:443\", { addr = \"One.test:443\" }]";
    let servers = servers.replace("One", "one");
    let own = [name("two.test"), name("two.test"), name("10.0.0.9"), name("one.test")];
    assert_eq!(tls_names(&servers, "true"), own);
    assert_eq!(tls_names(&servers, "{ ca = \"ca.pem\" }"), own);
    let given = vec![name("server.example"); 4];
    assert_eq!(tls_names(&servers, "{ sni = \"Server.example\" }"), given);
    assert_eq!(tls_names(&servers, "false"), [None, None, None, None]);
    let unix = "[\"unix:/run/x\"]";
    assert_eq!(tls_names(unix, "{ sni = \"10.0.0.1\" }"), [name("10.0.0.1")]);
    let nameless = SITE.replace("[\"127.0.0.1:9001\"]", "[\"unix:/run/x\"]\ntls = true");
    assert_eq!(codes(&nameless), [(Code::MissingKey, 4, 12)]);
    let bad = SITE.replace("[[route]]", "tls = { sni = \"a:1\" }\n[[route]]");
    assert_eq!(codes(&bad), [(Code::BadHost, 5, 15)]);
}

#[test]
fn a_listener_table_for_tls_is_remembered_for_printing() {
    let loaded = load(&with(TLS));
    let origin = ServerTlsOrigin {
        certificates: vec![("/etc/tg/site.pem".into(), "/etc/tg/site.key".into())],
        from_13: false,
        client_ca: None,
    };
    assert_eq!(loaded.origins.listener_tls["web"], origin);
    assert!(from_str("text", &with(TLS), &Memory::default()).is_err(), "another directory");
}

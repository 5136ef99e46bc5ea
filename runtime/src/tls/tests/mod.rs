//! Settings at work: handshakes between them in memory, and what a reload keeps.

pub(crate) mod pems;

use super::*;
use pems::pems;
use rustls::pki_types::ServerName;
use rustls::{
    ClientConnection, ConnectionCommon, HandshakeKind, ProtocolVersion, ServerConnection, SideData,
};
use std::ops::DerefMut;

fn identity(name: &str) -> Identity {
    let chain = chain(pems().get(&format!("{name}.pem"))).expect("a chain");
    let key = key(pems().get(&format!("{name}.key"))).expect("a key");
    Identity::new(chain, key).ok().expect("they belong together")
}

fn roots(name: &str) -> Roots {
    Roots::exactly(&chain(pems().get(name)).expect("a chain")).expect("an authority")
}

fn parts(names: &[&str]) -> ServerParts {
    let identities = names.iter().map(|name| identity(name)).collect();
    ServerParts { identities, versions: Versions::From12, client_ca: None, http: true }
}

fn client_parts(shows: Option<&str>) -> ClientParts {
    ClientParts { roots: roots("ca.pem"), identity: shows.map(identity) }
}

/// Both ends of a handshake that came to its end, or why it did not.
fn connect(
    server: &TlsServer,
    client: &Arc<ClientConfig>,
    name: &str,
) -> Result<(ServerConnection, ClientConnection), rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let mut client = ClientConnection::new(Arc::clone(client), name)?;
    let mut server = ServerConnection::new(Arc::clone(&server.config))?;
    // Tickets follow the handshake: both sides are heard to the end.
    for _ in 0..8 {
        pass(&mut client, &mut server)?;
        pass(&mut server, &mut client)?;
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok((server, client))
}

/// Passes on what `from` has to say.
fn pass<A, B>(
    from: &mut impl DerefMut<Target = ConnectionCommon<A>>,
    to: &mut impl DerefMut<Target = ConnectionCommon<B>>,
) -> Result<(), rustls::Error>
where
    A: SideData,
    B: SideData,
{
    let mut wire = Vec::new();
    while from.wants_write() {
        from.write_tls(&mut wire).expect("into memory");
    }
    let mut rest = &wire[..];
    while !rest.is_empty() {
        to.read_tls(&mut rest).expect("from memory");
        to.process_new_packets()?;
    }
    Ok(())
}

fn kind(server: &TlsServer, client: &TlsClient, name: &str) -> Option<HandshakeKind> {
    let (server, _) = connect(server, &client.config, name).expect("a handshake");
    server.handshake_kind()
}

const RESUMED: Option<HandshakeKind> = Some(HandshakeKind::Resumed);
const FULL: Option<HandshakeKind> = Some(HandshakeKind::Full);

// TLS-1: exact, then wildcard, then the first of the list.
#[test]
fn the_name_chooses_the_certificate() {
    let memory = Memory::default();
    let server = memory.server(&parts(&["other", "site"])).expect("settings");
    let client = memory.client(&client_parts(None)).expect("settings");
    for (name, shown) in
        [("site.example", "site"), ("a.site.example", "site"), ("other.example", "other")]
    {
        let (server, client) = connect(&server, &client.config, name).expect("a handshake");
        let first = client.peer_certificates().and_then(|chain| chain.first()).expect("a chain");
        assert_eq!(*first, identity(shown).key.cert[0], "{name}");
        assert_eq!(server.server_name(), Some(name));
    }
    let refused = connect(&server, &client.config, "unknown.example").expect_err("refused");
    let rustls::Error::InvalidCertificate(why) = refused else { panic!("{refused}") };
    assert!(why.to_string().contains("other.example"), "{why}");
}

/// Clients that speak `version` alone, and of its cipher suites those whose name holds `suites`.
fn narrow(version: ProtocolVersion, suites: &str) -> Arc<ClientConfig> {
    let mut provider = provider::provider().as_ref().clone();
    provider.cipher_suites.retain(|suite| format!("{:?}", suite.suite()).contains(suites));
    let versions: Vec<_> =
        rustls::ALL_VERSIONS.iter().copied().filter(|of| of.version == version).collect();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider));
    let builder = builder.with_protocol_versions(&versions).expect("a version");
    let mut config =
        builder.with_root_certificates(Arc::clone(&roots("ca.pem").store)).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Arc::new(config)
}

// TLS-1: several certificates for a name, ECDSA and RSA.
#[test]
fn the_key_is_one_that_the_client_can_verify() {
    let server = Memory::default().server(&parts(&["open", "rsa"])).expect("settings");
    for (suites, shown) in [("ECDHE_RSA", "rsa"), ("ECDHE_ECDSA", "open"), ("TLS", "open")] {
        let client = narrow(ProtocolVersion::TLSv1_2, suites);
        let (_, client) = connect(&server, &client, "site.example").expect("a handshake");
        let first = client.peer_certificates().and_then(|chain| chain.first()).expect("a chain");
        assert_eq!(*first, identity(shown).key.cert[0], "{suites}");
    }
}

// TLS-1
#[test]
fn versions_and_protocols_are_those_of_the_listener() {
    let memory = Memory::default();
    let [old, new] = [ProtocolVersion::TLSv1_2, ProtocolVersion::TLSv1_3];
    let both = memory.server(&parts(&["site"])).expect("settings");
    let only = ServerParts { versions: Versions::From13, ..parts(&["site"]) };
    let only = memory.server(&only).expect("settings");
    for (server, version, good) in
        [(&both, old, true), (&both, new, true), (&only, old, false), (&only, new, true)]
    {
        let made = connect(server, &narrow(version, ""), "site.example");
        assert_eq!(made.is_ok(), good, "{version:?}");
        if let Ok((server, _)) = made {
            assert_eq!(server.protocol_version(), Some(version));
            assert_eq!(server.alpn_protocol(), Some(&b"http/1.1"[..]));
        }
    }
    let tcp = memory.server(&ServerParts { http: false, ..parts(&["site"]) }).expect("settings");
    let (server, _) = connect(&tcp, &narrow(new, ""), "site.example").expect("a handshake");
    assert_eq!(server.alpn_protocol(), None);
    // Early data can be replayed.
    assert!([both, only, tcp].iter().all(|of| of.config.max_early_data_size == 0));
}

fn demanding(ca: &str) -> ServerParts {
    ServerParts { client_ca: Some(roots(ca)), ..parts(&["site"]) }
}

#[test]
fn a_client_ca_lets_its_own_clients_in() {
    let memory = Memory::default();
    let server = memory.server(&demanding("ca.pem")).expect("settings");
    let other = memory.server(&demanding("ca2.pem")).expect("settings");
    let nobody = memory.client(&client_parts(None)).expect("settings");
    let client = memory.client(&client_parts(Some("client"))).expect("settings");
    let refused = connect(&server, &nobody.config, "site.example").expect_err("refused");
    assert_eq!(refused, rustls::Error::NoCertificatesPresented);
    assert!(connect(&server, &client.config, "site.example").is_ok());
    let refused = connect(&other, &client.config, "site.example").expect_err("refused");
    assert!(matches!(refused, rustls::Error::InvalidCertificate(_)), "{refused}");
}

// TLS-1: a ticket stands for what was verified when it was issued.
#[test]
fn a_ticket_opens_no_listener_that_demands_more() {
    let memory = Memory::default();
    let open = memory.server(&parts(&["site"])).expect("settings");
    let first = memory.server(&demanding("ca.pem")).expect("settings");
    let second = memory.server(&demanding("ca2.pem")).expect("settings");
    let again = memory.server(&ServerParts { http: false, ..demanding("ca.pem") });
    let nobody = memory.client(&client_parts(None)).expect("settings");
    assert_eq!(kind(&open, &nobody, "site.example"), FULL);
    let refused = connect(&first, &nobody.config, "site.example").expect_err("refused");
    assert_eq!(refused, rustls::Error::NoCertificatesPresented);

    let client = memory.client(&client_parts(Some("client"))).expect("settings");
    assert_eq!(kind(&first, &client, "site.example"), FULL);
    assert!(connect(&second, &client.config, "site.example").is_err());
    // The same authority on another listener is no more than was verified.
    assert_eq!(kind(&again.expect("settings"), &client, "site.example"), RESUMED);
}

// TLS-1: a reload neither ends resumption nor makes anew what is the same.
#[test]
fn a_reload_keeps_what_did_not_change() {
    let memory = Memory::default();
    let before = memory.server(&parts(&["site"])).expect("settings");
    let client = memory.client(&client_parts(None)).expect("settings");
    assert_eq!(kind(&before, &client, "site.example"), FULL);
    assert_eq!(kind(&before, &client, "site.example"), RESUMED);

    let same = memory.server(&parts(&["site"])).expect("settings");
    assert!(Arc::ptr_eq(&before.config, &same.config) && before == same);
    assert!(Arc::ptr_eq(&before.certificates, &same.certificates));
    let again = memory.client(&client_parts(None)).expect("settings");
    assert!(Arc::ptr_eq(&client.config, &again.config) && client == again);

    let renewed = memory.server(&parts(&["open"])).expect("settings");
    assert_ne!(before, renewed);
    assert_eq!(kind(&renewed, &client, "site.example"), RESUMED);
    // Another process knows nothing of these tickets.
    let stranger = Memory::default().server(&parts(&["site"])).expect("settings");
    assert_eq!(kind(&stranger, &client, "site.example"), FULL);
}

#[test]
fn every_input_tells_settings_apart() {
    let memory = Memory::default();
    let server = |parts: ServerParts| memory.server(&parts).expect("settings").identity;
    let mut seen = vec![
        server(parts(&["site"])),
        server(parts(&["site", "other"])),
        server(parts(&["other", "site"])),
        server(ServerParts { http: false, ..parts(&["site"]) }),
        server(ServerParts { versions: Versions::From13, ..parts(&["site"]) }),
        server(demanding("ca.pem")),
        server(demanding("ca2.pem")),
    ];
    let client = |parts: ClientParts| memory.client(&parts).expect("settings").identity;
    seen.extend([
        client(client_parts(None)),
        client(client_parts(Some("client"))),
        client(client_parts(Some("site"))),
        client(ClientParts { roots: roots("ca2.pem"), identity: None }),
    ]);
    let count = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), count);
}

#[test]
fn what_no_version_uses_is_forgotten() {
    let memory = Memory::default();
    for names in [["site"], ["other"], ["open"], ["rsa"]] {
        drop(memory.server(&parts(&names)).expect("settings"));
        drop(memory.client(&client_parts(Some(names[0]))).expect("settings"));
    }
    for ca in ["ca.pem", "ca2.pem"] {
        drop(memory.server(&demanding(ca)).expect("settings"));
    }
    let kept = memory.kept.lock().expect("unpoisoned");
    assert_eq!((kept.servers.len(), kept.clients.len(), kept.tickets.len()), (1, 1, 1));
}

// TLS-4
#[test]
fn a_server_is_verified_by_authority_and_name() {
    let memory = Memory::default();
    let server = memory.server(&parts(&["server"])).expect("settings");
    let client = memory.client(&client_parts(None)).expect("settings");
    let stranger = ClientParts { roots: roots("ca2.pem"), identity: None };
    let stranger = memory.client(&stranger).expect("settings");
    assert!(connect(&server, &client.config, "server.example").is_ok());
    assert!(connect(&server, &client.config, "other.example").is_err());
    assert!(connect(&server, &stranger.config, "server.example").is_err());
}

// TLS-4, RUN-4: sessions with servers are a worker's own.
#[test]
fn each_thread_resumes_its_own_sessions() {
    let memory = Memory::default();
    let server = memory.server(&parts(&["server"])).expect("settings");
    let client = memory.client(&client_parts(None)).expect("settings");
    let twice = || [(); 2].map(|()| kind(&server, &client, "server.example"));
    assert_eq!(twice(), [FULL, RESUMED]);
    std::thread::scope(|scope| {
        assert_eq!(scope.spawn(twice).join().expect("no panic"), [FULL, RESUMED]);
    });
    let old = narrow(ProtocolVersion::TLSv1_2, "");
    let mut old = old.as_ref().clone();
    old.resumption = rustls::client::Resumption::store(Arc::new(sessions::Sessions::default()));
    let client = TlsClient { identity: [0; 32], config: Arc::new(old) };
    let kinds = [(); 2].map(|()| kind(&server, &client, "server.example"));
    assert_eq!(kinds, [FULL, RESUMED]);
}

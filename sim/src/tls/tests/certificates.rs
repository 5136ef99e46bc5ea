//! Certificates are judged under the stand-ins as they are in earnest.

use super::super::certs::Issuer;
use super::super::{ClientAuth, ClientOptions, Clock, Provider, Run, Templates, Versions, Which};
use super::{Talk, run};
use rustls::pki_types::ServerName;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{CertificateError, Error};
use std::sync::Arc;

const NAMES: [&str; 8] = [
    "a.example",
    "b.example",
    "x.wild.example",
    "x.y.wild.example",
    "wild.example",
    "backend.example",
    "client.example",
    "10.0.0.1",
];

/// Every second around which a certificate begins or ends to be valid.
fn times() -> Vec<u64> {
    let edges = Which::ALL.iter().flat_map(|which| <[u64; 2]>::from(which.validity_secs()));
    let around = edges.flat_map(|edge| [edge - 1, edge, edge + 1]);
    around.chain([Clock::START_SECS]).collect()
}

#[test]
fn servers_are_judged_as_webpki_does() {
    let [fast, real] =
        [Provider::Fast, Provider::Real].map(|provider| Templates::new(provider).server_verifier());
    let mut accepted = 0;
    for which in Which::ALL {
        for name in NAMES {
            for time in times() {
                let name = ServerName::try_from(name).expect("a name");
                let [fast, real] = [&fast, &real].map(|verifier| {
                    let now = Clock::at(time).now();
                    verifier.verify_server_cert(&which.certificate(), &[], &name, &[], now)
                });
                let case = format!("{which:?} as {name:?} at {time}");
                accepted += usize::from(fast.is_ok());
                assert_eq!(fast.map(drop), real.map(drop), "{case}");
            }
        }
    }
    assert!(accepted > 0);
}

#[test]
fn clients_are_judged_as_webpki_does() {
    let [fast, real] = [Provider::Fast, Provider::Real].map(|provider| {
        let templates = Templates::new(provider);
        [templates.client_verifier(false), templates.client_verifier(true)]
    });
    for (fast, real) in fast.iter().zip(&real) {
        let [names, real_names]: [Vec<Vec<u8>>; 2] = [fast, real].map(|verifier| {
            verifier.root_hint_subjects().iter().map(|name| name.as_ref().to_vec()).collect()
        });
        assert_eq!(names, real_names);
        assert_eq!(fast.offer_client_auth(), real.offer_client_auth());
        assert_eq!(fast.client_auth_mandatory(), real.client_auth_mandatory());
        assert_eq!(fast.supported_verify_schemes(), real.supported_verify_schemes());
        for which in Which::ALL {
            for time in times() {
                let [fast, real] = [fast, real].map(|verifier| {
                    let now = Clock::at(time).now();
                    verifier.verify_client_cert(&which.certificate(), &[], now)
                });
                assert_eq!(fast.map(drop), real.map(drop), "{which:?} at {time}");
            }
        }
    }
}

#[test]
fn no_certificate_is_trusted_with_a_flipped_bit() {
    let verifier = Templates::new(Provider::Fast).server_verifier();
    let name = ServerName::try_from("a.example").expect("a name");
    let good = Which::A.certificate();
    for at in 0..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 1 << (at % 8);
        let now = Clock::default().now();
        let result = verifier.verify_server_cert(&bad.into(), &[], &name, &[], now);
        assert_eq!(result.map(drop), Err(CertificateError::UnknownIssuer.into()));
    }
}

/// What becomes of a client that wants `name`, and of the server that shows `which`.
fn meet(provider: Provider, which: Which, name: &str) -> Result<(), Error> {
    let run = run(provider);
    let client = Arc::new(run.client(ClientOptions::default()));
    let server = Arc::new(run.server_showing(which, ClientAuth::None, Versions::Both));
    Talk::new(&client, &server, name, 1, 1).settle()
}

fn refusal(result: Result<(), Error>) -> CertificateError {
    match result {
        Err(Error::InvalidCertificate(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_names_and_expired_and_unknown_servers_are_refused() {
    for provider in [Provider::Fast, Provider::Real] {
        for which in [Which::A, Which::ASecond] {
            assert_eq!(meet(provider, which, "a.example"), Ok(()));
            assert_eq!(meet(provider, which, "x.wild.example"), Ok(()));
        }
        assert_eq!(meet(provider, Which::Backend, "backend.example"), Ok(()));
        let refused = |which, name| refusal(meet(provider, which, name));
        let why = refused(Which::B, "a.example");
        assert!(matches!(why, CertificateError::NotValidForNameContext { .. }), "{why:?}");
        let why = refused(Which::Expired, "a.example");
        assert!(matches!(why, CertificateError::ExpiredContext { .. }), "{why:?}");
        assert_eq!(refused(Which::Stranger, "a.example"), CertificateError::UnknownIssuer);
        let why = refused(Which::Client, "client.example");
        assert!(matches!(why, CertificateError::InvalidPurposeContext { .. }), "{why:?}");
    }
}

#[test]
fn client_certificates_are_asked_for_shown_and_judged() {
    for provider in [Provider::Fast, Provider::Real] {
        let templates = Arc::new(Templates::new(provider));
        let run = Run::new(templates, Clock::default(), [7; 32]);
        for versions in [Versions::Tls12, Versions::Tls13] {
            let meet = |auth, certificate| {
                let options = ClientOptions { versions, certificate, ..ClientOptions::default() };
                let client = Arc::new(run.client(options));
                let server = Arc::new(run.server_showing(Which::A, auth, Versions::Both));
                let mut talk = Talk::new(&client, &server, "a.example", 1, 1);
                talk.settle()?;
                let shown = talk.server.connection().peer_certificates();
                Ok(shown.and_then(|chain| chain.first().cloned()))
            };
            let good = Some(Which::Client.certificate());
            assert_eq!(meet(ClientAuth::Required, Some(Which::Client)), Ok(good.clone()));
            assert_eq!(meet(ClientAuth::Optional, Some(Which::Client)), Ok(good));
            assert_eq!(meet(ClientAuth::Optional, None), Ok(None));
            assert_eq!(meet(ClientAuth::None, Some(Which::Client)), Ok(None));
            let none = meet(ClientAuth::Required, None);
            assert_eq!(none, Err(Error::NoCertificatesPresented));
            // It is shown, though the server did not name its authority.
            for auth in [ClientAuth::Optional, ClientAuth::Required] {
                let stranger = meet(auth, Some(Which::Stranger));
                let unknown = Err(CertificateError::UnknownIssuer.into());
                assert_eq!(stranger, unknown);
            }
        }
    }
}

#[test]
fn keys_belong_to_their_certificates_and_to_nothing_else() {
    for provider in [Provider::Fast, Provider::Real] {
        let templates = Templates::new(provider);
        for which in Which::ALL {
            templates.certified_key(which).keys_match().expect("a pair");
            let crypto = templates.crypto();
            for other in Which::ALL.into_iter().filter(|other| *other != which) {
                let key = crypto.key_provider.load_private_key(other.private_key());
                let chain = vec![which.certificate()];
                let mixed = CertifiedKey::new(chain, key.expect("a key"));
                assert!(mixed.keys_match().is_err(), "{which:?} with the key of {other:?}");
            }
        }
    }
}

/// One who has the certificate of another, and not the key.
#[test]
fn a_certificate_without_its_key_is_worth_nothing() {
    for provider in [Provider::Fast, Provider::Real] {
        let run = run(provider);
        let stolen = |which: Which, own: Which| {
            let key = run.templates().certified_key(own).key.clone();
            let certified = CertifiedKey::new(vec![which.certificate()], key);
            Arc::new(SingleCertAndKey::from(certified))
        };
        for versions in [Versions::Tls12, Versions::Tls13] {
            let options = ClientOptions { versions, ..ClientOptions::default() };
            let server = run.server(stolen(Which::A, Which::B), ClientAuth::None, Versions::Both);
            let client = Arc::new(run.client(options));
            let met = Talk::new(&client, &Arc::new(server), "a.example", 1, 1).settle();
            assert_eq!(refusal(met), CertificateError::BadSignature);

            let server = run.server_showing(Which::A, ClientAuth::Required, Versions::Both);
            let mut client = run.client(options);
            client.client_auth_cert_resolver = stolen(Which::Client, Which::Stranger);
            let mut talk = Talk::new(&Arc::new(client), &Arc::new(server), "a.example", 1, 1);
            assert_eq!(refusal(talk.settle()), CertificateError::BadSignature);
        }
    }
}

#[test]
fn exactly_one_certificate_is_from_nobody_that_is_trusted() {
    let strangers = Which::ALL.iter().filter(|which| which.issuer() == Issuer::Stranger);
    assert_eq!(strangers.count(), 1);
}

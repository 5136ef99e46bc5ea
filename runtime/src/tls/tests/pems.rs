//! Certificates and keys for tests, of one authority, made once a process.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_RSA_SHA256, date_time_ymd,
};
use rustls::pki_types::CertificateDer;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// When tests of the configuration take place: 2030-01-01.
pub(crate) const NOW: i64 = 1_893_456_000;

/// Files by their path, as the tests' machine has them.
pub(crate) struct Pems {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) authority: CertificateDer<'static>,
}

impl Pems {
    /// The bytes of `name` in `/etc/tg/`.
    pub(crate) fn get(&self, name: &str) -> &[u8] {
        &self.files[&format!("/etc/tg/{name}")]
    }
}

type Day = (i32, u8, u8);

/// From the beginning until the end of every test.
const ALWAYS: (Day, Day) = ((2000, 1, 1), (2100, 1, 1));

/// (name, DNS names, days)
const LEAVES: &[(&str, &[&str], (Day, Day))] = &[
    ("site", &["Site.example", "*.site.example"], ALWAYS),
    ("other", &["other.example"], ALWAYS),
    ("open", &["site.example"], ALWAYS),
    ("client", &["client"], ALWAYS),
    ("server", &["server.example", "one.test", "two.test"], ALWAYS),
    ("nameless", &[], ALWAYS),
    ("soon", &["site.example"], ((2000, 1, 1), (2030, 1, 10))),
    ("expired", &["site.example"], ((2000, 1, 1), (2029, 12, 31))),
    ("early", &["site.example"], ((2030, 1, 2), (2100, 1, 1))),
];

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    CertifiedIssuer::self_signed(params, key).expect("an authority")
}

fn make() -> Pems {
    let (first, second) = (authority("first"), authority("second"));
    let mut files = BTreeMap::new();
    let mut add = |name: String, text: String| {
        files.insert(format!("/etc/tg/{name}"), text.into_bytes());
    };
    let rsa = ("rsa", &["site.example"][..], ALWAYS);
    for (name, names, (from, to)) in LEAVES.iter().copied().chain([rsa]) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("good names");
        params.not_before = date_time_ymd(from.0, from.1, from.2);
        params.not_after = date_time_ymd(to.0, to.1, to.2);
        let kind = if name == "rsa" { &PKCS_RSA_SHA256 } else { &PKCS_ECDSA_P256_SHA256 };
        let key = KeyPair::generate_for(kind).expect("a key");
        let leaf = params.signed_by(&key, &first).expect("a certificate");
        add(format!("{name}.pem"), leaf.pem());
        add(format!("{name}.key"), key.serialize_pem());
        if name == "site" {
            add("both.pem".to_owned(), format!("{}{}", leaf.pem(), key.serialize_pem()));
            let encrypted = key.serialize_pem().replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
            add("encrypted.key".to_owned(), encrypted);
        }
    }
    add("ca.pem".to_owned(), first.pem());
    add("ca2.pem".to_owned(), second.pem());
    Pems { authority: first.der().clone(), files }
}

/// The files, made when they are first asked for.
pub(crate) fn pems() -> &'static Pems {
    static PEMS: OnceLock<Pems> = OnceLock::new();
    PEMS.get_or_init(make)
}

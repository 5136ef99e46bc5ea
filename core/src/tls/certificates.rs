//! Which certificate answers to which name (TLS-1, ROUTE-5).

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A certificate chain with its key, and the names it is valid for.
#[derive(Debug)]
pub struct Certificate {
    /// The chain and the key, ready for use.
    pub key: Arc<CertifiedKey>,
    /// DNS names of its SAN in lower case, `*.suffix` among them.
    pub names: Vec<Box<str>>,
}

/// The certificates of one listener, by name.
///
/// A name is looked up exactly, then with its first label replaced by `*`; a name that no
/// certificate has, and a client that names none, get the first certificate of the list, or one of
/// the same names. Several certificates may have a name in common: the first of them whose key the
/// client can verify is used, so that ECDSA and RSA stand side by side.
#[derive(Debug)]
pub struct Certificates {
    all: Vec<Certificate>,
    /// Indices into `all`, in its order.
    by_name: BTreeMap<Box<str>, Vec<usize>>,
    default: Vec<usize>,
}

impl Certificates {
    /// The table of `all`, the first of which is the default.
    ///
    /// # Panics
    /// If there is none: a driver refuses such a listener before.
    pub fn new(all: Vec<Certificate>) -> Certificates {
        let first = all.first().expect("a listener with TLS has a certificate");
        let like_first = |it: &Certificate| it.names == first.names;
        let default = (0..all.len()).filter(|&index| like_first(&all[index])).collect();
        let mut by_name: BTreeMap<Box<str>, Vec<usize>> = BTreeMap::new();
        for (index, certificate) in all.iter().enumerate() {
            for name in &certificate.names {
                let group = by_name.entry(name.clone()).or_default();
                if group.last() != Some(&index) {
                    group.push(index);
                }
            }
        }
        Certificates { all, by_name, default }
    }

    /// The names of each certificate, in the order of the list.
    pub fn names(&self) -> impl Iterator<Item = &[Box<str>]> {
        self.all.iter().map(|certificate| &certificate.names[..])
    }

    /// The certificates for a client that asks for `name`, best first.
    fn group(&self, name: Option<&str>) -> &[usize] {
        name.and_then(|name| self.named(name)).unwrap_or(&self.default)
    }

    fn named(&self, name: &str) -> Option<&[usize]> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if let Some(exact) = self.by_name.get(&*name) {
            return Some(exact);
        }
        let (_, suffix) = name.split_once('.')?;
        self.by_name.get(&*format!("*.{suffix}")).map(Vec::as_slice)
    }

    /// Whether the certificate that a client was shown who asked for `sni` is valid for `host`, a
    /// host in canonical form, without port (ROUTE-5).
    pub fn cover(&self, sni: &str, host: &[u8]) -> bool {
        let shown = self.group(Some(sni));
        let names = shown.iter().flat_map(|&index| &self.all[index].names);
        let mut names = names.map(|name| name.as_bytes());
        names.any(|name| match name.strip_prefix(b"*") {
            Some(suffix) => {
                host.len() > suffix.len()
                    && host.ends_with(suffix)
                    && !host[..host.len() - suffix.len()].contains(&b'.')
            }
            None => name == host,
        })
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let group = self.group(hello.server_name());
        let offered = hello.signature_schemes();
        let can_verify = |key: &CertifiedKey| key.key.choose_scheme(offered).is_some();
        let keys = || group.iter().map(|&index| &self.all[index].key);
        // Without a match rustls answers with the right alert.
        keys().find(|key| can_verify(key)).or_else(|| keys().next()).cloned()
    }
}

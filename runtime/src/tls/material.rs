//! Certificates and keys out of PEM, and what is known of them.

use super::provider::provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::sync::Arc;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate that ends sooner than this deserves a warning.
const SOON_SECONDS: i64 = 14 * 86_400;

/// When a certificate begins and ceases to be valid, in seconds since 1970.
type Validity = (i64, i64);

/// A chain with its key, which belong together.
pub(crate) struct Identity {
    pub(super) key: Arc<CertifiedKey>,
    /// The key's DER, for the fingerprint.
    pub(super) key_der: PrivateKeyDer<'static>,
    /// DNS names of the first certificate's SAN, in lower case.
    pub(crate) names: Vec<Box<str>>,
    validity: Validity,
}

/// Why a chain and a key cannot be used.
pub(crate) enum Bad {
    /// The first certificate is none.
    Certificate(String),
    /// The key is of a kind that cannot be used.
    Key(String),
    /// They do not belong together.
    Mismatch,
}

/// The certificates in `bytes`, in order: at least one.
///
/// # Errors
/// Why there are none, in words.
pub(crate) fn chain(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(bytes).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err("it holds no CERTIFICATE section".to_owned()),
        Ok(chain) => Ok(chain),
        Err(error) => Err(words(error)),
    }
}

/// The first private key in `bytes`: PKCS#8, SEC1 or PKCS#1, not encrypted.
///
/// # Errors
/// Why there is none, in words.
pub(crate) fn key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| match error {
        pem::Error::NoItemsFound if find(bytes, b"ENCRYPTED PRIVATE KEY") => {
            "its key is encrypted; decrypt it with `openssl pkey -in KEY -out PLAIN`".to_owned()
        }
        pem::Error::NoItemsFound => "it holds no PRIVATE KEY section".to_owned(),
        error => words(error),
    })
}

fn find(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

/// A PEM error in words, without the bytes that it is about: they may be a key's.
fn words(error: pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no END line",
        pem::Error::IllegalSectionStart { .. } => "a section's BEGIN line is malformed",
        pem::Error::Base64Decode(_) => "a section is not base64",
        pem::Error::SectionTooLarge => "a section is too large",
        _ => "it is no PEM",
    }
    .to_owned()
}

impl Identity {
    /// Joins `chain`, which is not empty, with its key.
    ///
    /// # Errors
    /// Why they cannot be used.
    pub(crate) fn new(
        chain: Vec<CertificateDer<'static>>,
        key_der: PrivateKeyDer<'static>,
    ) -> Result<Identity, Bad> {
        let (names, validity) = match chain.first() {
            Some(first) => facts(first).map_err(Bad::Certificate)?,
            None => return Err(Bad::Certificate("there is none".to_owned())),
        };
        let loaded = provider().key_provider.load_private_key(key_der.clone_key());
        let key = CertifiedKey::new(chain, loaded.map_err(|error| Bad::Key(error.to_string()))?);
        match key.keys_match() {
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
            Err(Error::InconsistentKeys(_)) => return Err(Bad::Mismatch),
            Err(error) => return Err(Bad::Certificate(error.to_string())),
        }
        Ok(Identity { key: Arc::new(key), key_der, names, validity })
    }

    /// What deserves a warning about its days, at `now` in seconds since 1970.
    pub(crate) fn worry(&self, now: i64) -> Option<String> {
        let (begin, end) = self.validity;
        let days = |seconds: i64| match seconds / 86_400 {
            0 => "within a day".to_owned(),
            1 => "in 1 day".to_owned(),
            days => format!("in {days} days"),
        };
        if now > end {
            return Some("the certificate has expired".to_owned());
        }
        if now < begin {
            return Some(format!("the certificate becomes valid {}", days(begin - now)));
        }
        (end - now < SOON_SECONDS).then(|| format!("the certificate expires {}", days(end - now)))
    }
}

/// DNS names of the first certificate of `chain`, in lower case.
///
/// # Errors
/// Why it is no certificate, in words.
pub(crate) fn names(chain: &[CertificateDer<'static>]) -> Result<Vec<Box<str>>, String> {
    facts(chain.first().ok_or("there is none")?).map(|(names, _)| names)
}

/// Names and validity of a certificate.
fn facts(der: &[u8]) -> Result<(Vec<Box<str>>, Validity), String> {
    let (_, parsed) =
        X509Certificate::from_der(der).map_err(|_| "it is no X.509 certificate".to_owned())?;
    let san = parsed.subject_alternative_name();
    let san = san.map_err(|_| "its subject alternative names are malformed".to_owned())?;
    let names = san.into_iter().flat_map(|san| &san.value.general_names);
    let names = names.filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(name.trim_end_matches('.').to_ascii_lowercase().into()),
        _ => None,
    });
    let validity = parsed.validity();
    Ok((names.collect(), (validity.not_before.timestamp(), validity.not_after.timestamp())))
}

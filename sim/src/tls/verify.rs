//! The verifiers of the fast provider: they judge certificates as webpki does, without arithmetic.
//!
//! A chain is checked by recognition: a certificate that is not, byte for byte, one of
//! [`Which::ALL`] is from an unknown issuer. Purpose, validity against the clock, and name are
//! checked as ever, in webpki's order and with its errors; a test compares the two.

use super::certs::{Issuer, Which};
use super::sign;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ExtendedKeyPurpose,
    PeerMisbehaved, SignatureScheme,
};
use std::time::Duration;

/// What is known of the certificates.
#[derive(Debug)]
struct Known {
    which: Which,
    certificate: CertificateDer<'static>,
    public_key: Vec<u8>,
}

fn known() -> Vec<Known> {
    let known = |which: Which| {
        let certificate = which.certificate();
        let parsed = ParsedCertificate::try_from(&certificate).expect("the file is a certificate");
        let public_key = parsed.subject_public_key_info().as_ref().to_vec();
        Known { which, certificate, public_key }
    };
    Which::ALL.into_iter().map(known).collect()
}

fn find<'a>(known: &'a [Known], certificate: &CertificateDer<'_>) -> Result<&'a Known, Error> {
    known
        .iter()
        .find(|known| known.certificate == *certificate)
        .ok_or_else(|| CertificateError::UnknownIssuer.into())
}

/// Validity, purpose, issuer: in this order.
fn judge(which: Which, by: Issuer, now: UnixTime) -> Result<(), Error> {
    let (not_before, not_after) = which.validity_secs();
    let time = |secs| UnixTime::since_unix_epoch(Duration::from_secs(secs));
    let (time, not_before, not_after) = (now, time(not_before), time(not_after));
    if now < not_before {
        return Err(CertificateError::NotValidYetContext { time, not_before }.into());
    }
    if now > not_after {
        return Err(CertificateError::ExpiredContext { time, not_after }.into());
    }
    let (required, is_meant) = match by {
        Issuer::Clients => (ExtendedKeyPurpose::ClientAuth, which.is_for_clients()),
        _ => (ExtendedKeyPurpose::ServerAuth, which.is_for_servers()),
    };
    if !is_meant {
        let presented = match required {
            ExtendedKeyPurpose::ServerAuth => vec![ExtendedKeyPurpose::ClientAuth],
            _ => vec![ExtendedKeyPurpose::ServerAuth],
        };
        return Err(CertificateError::InvalidPurposeContext { required, presented }.into());
    }
    if which.issuer() != by {
        return Err(CertificateError::UnknownIssuer.into());
    }
    Ok(())
}

/// The signature depends on the public key in the certificate and on the transcript.
fn judge_signature(
    known: &[Known],
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    if signed.scheme != SignatureScheme::ED25519 {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    }
    let signer = find(known, certificate)?;
    if sign::signature(&signer.public_key, message) != signed.signature() {
        return Err(CertificateError::BadSignature.into());
    }
    Ok(HandshakeSignatureValid::assertion())
}

/// What both traits of rustls ask of a signature, whoever made it.
macro_rules! signatures_by_recognition {
    () => {
        fn verify_tls12_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            judge_signature(&self.known, message, certificate, signed)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            judge_signature(&self.known, message, certificate, signed)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }
    };
}

/// Judges servers, for clients of the fast provider.
#[derive(Debug)]
pub struct ServerVerifier {
    known: Vec<Known>,
}

impl ServerVerifier {
    /// Trusts what [`Issuer::Servers`] signed.
    pub fn new() -> ServerVerifier {
        ServerVerifier { known: known() }
    }
}

impl Default for ServerVerifier {
    fn default() -> ServerVerifier {
        ServerVerifier::new()
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        judge(find(&self.known, end_entity)?.which, Issuer::Servers, now)?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
        Ok(ServerCertVerified::assertion())
    }

    signatures_by_recognition!();
}

/// Judges clients, for servers of the fast provider.
#[derive(Debug)]
pub struct ClientVerifier {
    known: Vec<Known>,
    hints: Vec<DistinguishedName>,
    is_mandatory: bool,
}

impl ClientVerifier {
    /// Trusts what [`Issuer::Clients`] signed. `hints` name that authority to clients.
    /// `is_mandatory`: a client without a certificate is refused.
    pub fn new(hints: Vec<DistinguishedName>, is_mandatory: bool) -> ClientVerifier {
        ClientVerifier { known: known(), hints, is_mandatory }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        judge(find(&self.known, end_entity)?.which, Issuer::Clients, now)?;
        Ok(ClientCertVerified::assertion())
    }

    signatures_by_recognition!();
}

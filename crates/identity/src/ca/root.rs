//! The CA's own certificate, and what makes it ours.

use std::time::SystemTime;

use aws_lc_rs::digest;
use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use crate::{
    spiffe::TrustDomain,
    svid::{SvidError, expiry, verify_signer},
};

/// A root certificate that belongs to a key at hand.
pub(super) struct Root {
    pub(super) der: CertificateDer<'static>,
    pub(super) pem: String,
    pub(super) not_after: SystemTime,
}

impl Root {
    /// The reason is for a person who looks after the folder.
    pub(super) fn parse(pem: &[u8], trust_domain: &TrustDomain, key: &KeyPair) -> Result<Self, String> {
        let der = CertificateDer::from_pem_slice(pem).map_err(|error| format!("ca.crt: {error}"))?;
        let in_certificate = |error: SvidError| format!("ca.crt: {error}");
        verify_signer(&der).map_err(in_certificate)?;
        let not_after = expiry(&der).map_err(in_certificate)?;
        let (_, certificate) = X509Certificate::from_der(&der).map_err(|error| format!("ca.crt: {error}"))?;
        if certificate.public_key().raw != key.subject_public_key_info() {
            return Err("ca.key does not belong to ca.crt".into());
        }
        // What is issued carries this name as its issuer, so another one would break every chain.
        if certificate.subject().to_string() != format!("CN={}", root_name(key)) {
            return Err("ca.crt was not made by this program".into());
        }
        let names =
            certificate.subject_alternative_name().ok().flatten().map(|names| &names.value.general_names);
        let id = format!("URI(spiffe://{trust_domain})");
        if !names.is_some_and(|names| names.iter().any(|name| name.to_string() == id)) {
            return Err(format!("it is not a CA of the trust domain {trust_domain}"));
        }
        let pem = String::from_utf8(pem.to_vec()).map_err(|_| "ca.crt is not PEM".to_owned())?;
        Ok(Self { der, pem, not_after })
    }
}

/// Different for each key, so that a verifier never tries the wrong one of two roots, and the same after a renewal.
pub(super) fn root_name(key: &KeyPair) -> String {
    let digest = digest::digest(&digest::SHA256, &key.subject_public_key_info());
    let fingerprint: String = digest.as_ref().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("mesh development CA {fingerprint}")
}

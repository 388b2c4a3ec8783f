//! X.509-SVIDs: what a certificate must be, beyond a valid chain, to name a workload.
//!
//! Owns the rules of the X.509-SVID specification (sections 2 to 5) for leaf and signing certificates, and the floor for
//! algorithms and keys. Never checks signatures or chains: `tls` does that with webpki, first.

mod der;
mod strength;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use x509_parser::{
    certificate::X509Certificate,
    extensions::{
        ExtendedKeyUsage, GeneralName, KeyUsage, ParsedExtension, SubjectAlternativeName, X509Extension,
    },
    prelude::FromDer,
    time::ASN1Time,
    x509::X509Version,
};

use self::strength::check_strength;
use crate::spiffe::{SpiffeError, SpiffeId, TrustDomain};

/// Who is at the other end of a connection: proven by its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The workload's identity.
    pub id: SpiffeId,
    /// When the certificate ends; the connection must not outlive it.
    pub not_after: SystemTime,
}

/// Why a certificate does not name a workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SvidError {
    /// The peer sent none.
    #[error("no certificate was presented")]
    Missing,
    /// Not DER, trailing bytes, not version 3, a duplicate or malformed extension.
    #[error("the certificate is malformed: {0}")]
    Malformed(&'static str),
    /// The validity begins at this time.
    #[error("the certificate is not valid before {0}")]
    NotYetValid(String),
    /// The validity ended at this time.
    #[error("the certificate expired at {0}")]
    Expired(String),
    /// It may sign other certificates, so it names no workload.
    #[error("the certificate is a CA's, not a workload's")]
    IsCa,
    /// No key usage extension, or one that is not critical.
    #[error("the key usage extension is missing or not critical")]
    KeyUsageMissing,
    /// `digitalSignature` is not set.
    #[error("the key usage lacks digitalSignature")]
    NoDigitalSignature,
    /// `keyCertSign` or `cRLSign` is set on a leaf.
    #[error("the key usage of a workload allows keyCertSign or cRLSign")]
    SigningUsage,
    /// There is an extended key usage without both serverAuth and clientAuth.
    #[error("the extended key usage lacks serverAuth or clientAuth")]
    ExtendedKeyUsage,
    /// Name constraints belong to signing certificates.
    #[error("a workload's certificate holds name constraints")]
    NameConstraints,
    /// An extension marked critical that nobody here understands.
    #[error("unknown critical extension {0}")]
    UnknownCritical(String),
    /// The subject is empty and the alternative name is not critical.
    #[error("the subject is empty, but the subject alternative name is not critical")]
    NameNotCritical,
    /// The number of URI names; it must be one.
    #[error("the certificate has {0} URI names; exactly one is required")]
    UriCount(usize),
    /// The URI name is no SPIFFE id.
    #[error("the URI name is no SPIFFE id: {0}")]
    Id(#[from] SpiffeError),
    /// The id names the trust domain, not a workload.
    #[error("the SPIFFE id {0} has no path")]
    RootPath(SpiffeId),
    /// SHA-1, MD5 or something unknown.
    #[error("signature algorithm {0} is not accepted")]
    WeakSignature(String),
    /// RSA under 2048 bits, an odd curve or something unknown.
    #[error("public key is not accepted: {0}")]
    WeakKey(String),
    /// A certificate in the chain is not allowed to sign, or names a workload.
    #[error("a signing certificate in the chain is not acceptable: {0}")]
    Signer(&'static str),
    /// A workload of another trust domain.
    #[error("{found} is not in the trust domain {expected}")]
    ForeignTrustDomain {
        /// Our own.
        expected: TrustDomain,
        /// The peer's id.
        found: SpiffeId,
    },
    /// Another workload than the one that was meant.
    #[error("reached {found} instead of {expected}")]
    UnexpectedId {
        /// Whom the caller meant.
        expected: SpiffeId,
        /// Who answered.
        found: SpiffeId,
    },
}

/// Checks that `der` is the leaf of an X.509-SVID that is valid now, and says whom it names.
///
/// Signatures and the chain are not looked at; use it for a certificate whose chain was verified.
///
/// # Errors
/// The first rule that the certificate breaks.
pub fn verify_leaf(der: &CertificateDer<'_>) -> Result<Peer, SvidError> {
    verify_leaf_at(der, SystemTime::now())
}

/// [`verify_leaf`] at a given time.
pub(crate) fn verify_leaf_at(der: &CertificateDer<'_>, now: SystemTime) -> Result<Peer, SvidError> {
    let certificate = parse(der)?;
    let rules = Rules::of(&certificate)?;
    check_strength(&certificate)?;
    let not_after = check_validity(&certificate, now)?;
    if rules.is_ca {
        return Err(SvidError::IsCa);
    }
    if rules.name_constraints {
        return Err(SvidError::NameConstraints);
    }
    rules.check_leaf_usage()?;
    let id = rules.spiffe_id(certificate.subject().iter().next().is_none())?;
    if id.path().is_empty() {
        return Err(SvidError::RootPath(id));
    }
    Ok(Peer { id, not_after })
}

/// Checks that `der` may sign SVIDs (X.509-SVID 3.2 and 4.3); webpki itself ignores the key usage.
pub(crate) fn verify_signer(der: &CertificateDer<'_>) -> Result<(), SvidError> {
    let certificate = parse(der)?;
    let rules = Rules::of(&certificate)?;
    check_strength(&certificate)?;
    if !rules.is_ca {
        return Err(SvidError::Signer("it is not marked as a CA"));
    }
    if !rules.key_usage.is_some_and(KeyUsage::key_cert_sign) {
        return Err(SvidError::Signer("its key usage lacks keyCertSign"));
    }
    match rules.uris().as_slice() {
        [] => Ok(()),
        [uri] if !uri.starts_with("spiffe://") => Ok(()),
        [uri] if uri.parse::<SpiffeId>()?.path().is_empty() => Ok(()),
        [_] => Err(SvidError::Signer("its SPIFFE id has a path")),
        _ => Err(SvidError::Signer("it has several URI names")),
    }
}

/// The end of validity of any certificate, for those that are trusted and not presented.
pub(crate) fn expiry(der: &CertificateDer<'_>) -> Result<SystemTime, SvidError> {
    Ok(system_time(&parse(der)?.validity().not_after))
}

/// What the extensions of a certificate say, once each is known to be well formed and unique.
struct Rules<'a> {
    names: Option<&'a SubjectAlternativeName<'a>>,
    names_critical: bool,
    is_ca: bool,
    key_usage: Option<&'a KeyUsage>,
    key_usage_critical: bool,
    extended: Option<&'a ExtendedKeyUsage<'a>>,
    name_constraints: bool,
}

impl<'a> Rules<'a> {
    fn of(certificate: &'a X509Certificate<'a>) -> Result<Self, SvidError> {
        certificate.extensions_map().map_err(|_| SvidError::Malformed("an extension occurs twice"))?;
        let mut rules = Self {
            names: None,
            names_critical: false,
            is_ca: false,
            key_usage: None,
            key_usage_critical: false,
            extended: None,
            name_constraints: false,
        };
        for extension in certificate.iter_extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    rules.names = Some(names);
                    rules.names_critical = extension.critical;
                }
                ParsedExtension::BasicConstraints(constraints) => rules.is_ca = constraints.ca,
                ParsedExtension::KeyUsage(usage) => {
                    rules.key_usage = Some(usage);
                    rules.key_usage_critical = extension.critical;
                }
                ParsedExtension::ExtendedKeyUsage(usage) => rules.extended = Some(usage),
                ParsedExtension::NameConstraints(_) => rules.name_constraints = true,
                ParsedExtension::ParseError { .. } => {
                    return Err(SvidError::Malformed("an extension cannot be parsed"));
                }
                _ if extension.critical => {
                    return Err(SvidError::UnknownCritical(extension.oid.to_id_string()));
                }
                _ => continue,
            }
            if !is_in_form(extension) {
                return Err(SvidError::Malformed("an extension is not in the form of DER"));
            }
        }
        rules.check_names()
    }

    /// A name that does not parse could be a second URI.
    fn check_names(self) -> Result<Self, SvidError> {
        let invalid = |name: &GeneralName<'_>| matches!(name, GeneralName::Invalid(..));
        if self.names.is_some_and(|names| names.general_names.iter().any(invalid)) {
            return Err(SvidError::Malformed("an alternative name cannot be parsed"));
        }
        Ok(self)
    }

    fn check_leaf_usage(&self) -> Result<(), SvidError> {
        let usage = self.key_usage.filter(|_| self.key_usage_critical).ok_or(SvidError::KeyUsageMissing)?;
        if usage.key_cert_sign() || usage.crl_sign() {
            return Err(SvidError::SigningUsage);
        }
        if !usage.digital_signature() {
            return Err(SvidError::NoDigitalSignature);
        }
        if self.extended.is_some_and(|usage| !usage.server_auth || !usage.client_auth) {
            return Err(SvidError::ExtendedKeyUsage);
        }
        Ok(())
    }

    fn uris(&self) -> Vec<&'a str> {
        let names = self.names.map(|names| names.general_names.as_slice()).unwrap_or_default();
        names
            .iter()
            .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None })
            .collect()
    }

    fn spiffe_id(&self, subject_is_empty: bool) -> Result<SpiffeId, SvidError> {
        if subject_is_empty && self.names.is_some() && !self.names_critical {
            return Err(SvidError::NameNotCritical);
        }
        match self.uris().as_slice() {
            [uri] => Ok(uri.parse()?),
            uris => Err(SvidError::UriCount(uris.len())),
        }
    }
}

/// Whether an extension that is understood is one element of its type.
fn is_in_form(extension: &X509Extension<'_>) -> bool {
    match extension.parsed_extension() {
        ParsedExtension::KeyUsage(_) => der::is_one(extension.value, der::BIT_STRING),
        _ => der::is_one(extension.value, der::SEQUENCE),
    }
}

fn parse<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, SvidError> {
    let (rest, certificate) =
        X509Certificate::from_der(der).map_err(|_| SvidError::Malformed("it is not DER of a certificate"))?;
    if !rest.is_empty() {
        return Err(SvidError::Malformed("bytes follow the certificate"));
    }
    if !der::is_strict(der) {
        return Err(SvidError::Malformed("it is not in the form of DER"));
    }
    if certificate.version() != X509Version::V3 {
        return Err(SvidError::Malformed("it is not of version 3"));
    }
    Ok(certificate)
}

fn check_validity(certificate: &X509Certificate<'_>, now: SystemTime) -> Result<SystemTime, SvidError> {
    let validity = certificate.validity();
    let not_after = system_time(&validity.not_after);
    if now < system_time(&validity.not_before) {
        return Err(SvidError::NotYetValid(validity.not_before.to_string()));
    }
    if now > not_after {
        return Err(SvidError::Expired(validity.not_after.to_string()));
    }
    Ok(not_after)
}

/// Times before 1970 become 1970.
fn system_time(time: &ASN1Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
}

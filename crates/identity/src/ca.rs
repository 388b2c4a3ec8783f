//! A certificate authority for development and tests, of one trust domain.
//!
//! Owns a root key (ECDSA P-256) and issues SVIDs from it, in memory or kept in a folder. Never used where cert-manager or
//! SPIRE issues; the root has no name constraints, because webpki refuses those for URIs.

mod files;
mod root;

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::rand;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use self::{
    files::{Lock, read_optional, write},
    root::{Root, root_name},
};
use crate::{
    spiffe::{SpiffeId, TrustDomain},
    tls::Material,
};

/// How long a root lives.
const ROOT_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// A root with less time left than this is made anew when the folder is opened.
const RENEW_BEFORE: Duration = Duration::from_secs(60 * 24 * 3600);

/// Clocks in a mesh differ a little.
const BACKDATED: Duration = Duration::from_secs(60);

/// Why the development CA cannot be used, or refuses to issue.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// A file of the CA cannot be read or written.
    #[error("cannot {action} {}: {source}; check the folder's owner and free space", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The files do not hold a CA of this trust domain.
    #[error("the CA in {} is not usable: {reason}; remove ca.crt and ca.key there to have a new CA made", dir.display())]
    Unusable {
        /// The folder.
        dir: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The id belongs to another trust domain, or names no workload.
    #[error("{0} is not a workload of the trust domain {1}")]
    Foreign(SpiffeId, TrustDomain),
    /// Generating or signing failed.
    #[error("cannot make the certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// No random numbers.
    #[error("the system's random generator failed")]
    Random,
}

/// A certificate authority for development.
pub struct DevCa {
    trust_domain: TrustDomain,
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    root_pem: String,
    not_after: SystemTime,
}

impl DevCa {
    /// A new CA, in memory only.
    ///
    /// # Errors
    /// When no key can be generated.
    pub fn new(trust_domain: &TrustDomain) -> Result<Self, CaError> {
        Self::with_key(trust_domain, KeyPair::generate()?)
    }

    /// The CA kept as `ca.crt` and `ca.key` in `dir`, which is made when it does not exist.
    ///
    /// A root close to its end is renewed with the same key and name, so that what it issued stays valid. Processes that
    /// open the same folder at the same time wait for each other.
    ///
    /// # Errors
    /// When the files cannot be read or written, or hold something else than a CA of this trust domain.
    pub fn open_or_create(dir: &Path, trust_domain: &TrustDomain) -> Result<Self, CaError> {
        let _lock = Lock::acquire(dir)?;
        let (certificate, key) = (dir.join("ca.crt"), dir.join("ca.key"));
        let stored_key = read_optional(&key)?.map(Zeroizing::new);
        let stored_certificate = read_optional(&certificate)?;
        let unusable = |reason: &str| CaError::Unusable { dir: dir.to_owned(), reason: reason.to_owned() };
        let ca = match (stored_key, stored_certificate) {
            (None, None) => {
                let ca = Self::new(trust_domain)?;
                write(&key, Zeroizing::new(ca.issuer.key().serialize_pem()).as_bytes(), true)?;
                ca
            }
            (None, Some(_)) => return Err(unusable("ca.key is missing")),
            (Some(pem), stored) => {
                files::restrict(&key)?;
                let pem = std::str::from_utf8(&pem).map_err(|_| unusable("ca.key is not PEM"))?;
                let pair = KeyPair::from_pem(pem).map_err(|error| unusable(&format!("ca.key: {error}")))?;
                // Without a certificate the last process ended between its two writes.
                match stored.map(|stored| Root::parse(&stored, trust_domain, &pair)) {
                    Some(Err(reason)) => return Err(unusable(&reason)),
                    Some(Ok(root)) if SystemTime::now() + RENEW_BEFORE < root.not_after => {
                        return Ok(Self::assemble(trust_domain, pair, root));
                    }
                    Some(Ok(_)) | None => Self::with_key(trust_domain, pair)?,
                }
            }
        };
        write(&certificate, ca.root_pem.as_bytes(), false)?;
        Ok(ca)
    }

    /// Issues an SVID with a key of its own, valid from a minute ago for `ttl`, but not longer than the root.
    ///
    /// It also holds the DNS names and addresses of a local service, for clients that check those, such as `grpcurl`;
    /// within the mesh they mean nothing.
    ///
    /// # Errors
    /// When the id is not a workload of this trust domain.
    pub fn issue(&self, id: &SpiffeId, ttl: Duration) -> Result<Issued, CaError> {
        if *id.trust_domain() != self.trust_domain || id.path().is_empty() {
            return Err(CaError::Foreign(id.clone(), self.trust_domain.clone()));
        }
        let key = KeyPair::generate()?;
        let name = id.service_account().unwrap_or("workload");
        let now = SystemTime::now();
        let mut params = params(name, id.as_str(), now, (now + ttl).min(self.not_after))?;
        params.subject_alt_names.extend(local_names(name)?);
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(self.issued(&certificate, &key))
    }

    /// The root certificate as PEM.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// When the root certificate ends.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    fn with_key(trust_domain: &TrustDomain, key: KeyPair) -> Result<Self, CaError> {
        let now = SystemTime::now();
        let not_after = now + ROOT_LIFETIME;
        let id = format!("spiffe://{trust_domain}");
        let mut params = params(&root_name(&key), &id, now, not_after)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        let root = Root { der: certificate.der().clone(), pem: certificate.pem(), not_after };
        Ok(Self::assemble(trust_domain, key, root))
    }

    fn assemble(trust_domain: &TrustDomain, key: KeyPair, root: Root) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&root_name(&key));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self {
            trust_domain: trust_domain.clone(),
            issuer: Issuer::new(params, key),
            root: root.der,
            root_pem: root.pem,
            not_after: root.not_after,
        }
    }

    fn issued(&self, certificate: &Certificate, key: &KeyPair) -> Issued {
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Issued {
            cert_pem: certificate.pem(),
            key_pem: Zeroizing::new(key.serialize_pem()),
            ca_pem: self.root_pem.clone(),
            material: Material::from_der(vec![certificate.der().clone()], der, vec![self.root.clone()]),
        }
    }
}

/// A certificate just issued, with its key and its root.
pub struct Issued {
    /// The SVID.
    pub cert_pem: String,
    /// Its private key (PKCS#8).
    pub key_pem: Zeroizing<String>,
    /// The root that signed it.
    pub ca_pem: String,
    material: Material,
}

impl Issued {
    /// The same, ready for [`crate::Tls::new`].
    #[must_use]
    pub fn material(&self) -> Material {
        self.material.clone()
    }

    /// Writes `<name>.crt`, `<name>.key` (readable by the owner only) and `ca.crt` into `dir`, each at once and whole.
    ///
    /// With the name `tls` it is what [`crate::Tls::from_dir`] reads.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, dir: &Path, name: &str) -> Result<(), CaError> {
        files::create_dir(dir)?;
        write(&dir.join("ca.crt"), self.ca_pem.as_bytes(), false)?;
        write(&dir.join(format!("{name}.key")), self.key_pem.as_bytes(), true)?;
        write(&dir.join(format!("{name}.crt")), self.cert_pem.as_bytes(), false)
    }
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}

/// What every certificate here has in common.
fn params(
    name: &str,
    id: &str,
    now: SystemTime,
    not_after: SystemTime,
) -> Result<CertificateParams, CaError> {
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    let epoch = date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.not_before = epoch + since(now).saturating_sub(BACKDATED);
    params.not_after = epoch + since(not_after);
    params.serial_number = Some(random_serial()?);
    params.subject_alt_names = vec![SanType::URI(id.try_into()?)];
    params.distinguished_name = common_name(name);
    Ok(params)
}

/// Tools that know no SPIFFE (grpcurl) verify a server by name; peers in the mesh look at the URI alone.
fn local_names(workload: &str) -> Result<Vec<SanType>, CaError> {
    Ok(vec![
        SanType::DnsName(workload.try_into()?),
        SanType::DnsName("localhost".try_into()?),
        SanType::IpAddress(Ipv4Addr::LOCALHOST.into()),
        SanType::IpAddress(Ipv6Addr::LOCALHOST.into()),
    ])
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// 127 random bits: positive, never zero, and within the 20 bytes of RFC 5280.
fn random_serial() -> Result<SerialNumber, CaError> {
    let mut bytes = [0_u8; 16];
    rand::fill(&mut bytes).map_err(|_| CaError::Random)?;
    if let Some(first) = bytes.first_mut() {
        *first = *first & 0x7f | 0x40;
    }
    Ok(SerialNumber::from_slice(&bytes))
}

//! Certificate chain, private key and roots, as read from files or PEM.
//!
//! Owns reading and parsing. Never judges whether the parts fit together: `generation` does.

use std::{fmt, fs, io, path::Path};

use aws_lc_rs::digest;
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{self, PemObject},
};
use zeroize::Zeroizing;

use super::TlsError;

/// The names of the files, which are also those of a Kubernetes TLS secret.
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";
const ROOTS: &str = "ca.crt";

/// What a workload needs to speak mutual TLS.
pub struct Material {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    pub(super) roots: Vec<CertificateDer<'static>>,
}

impl Material {
    /// Reads `tls.crt` (leaf first), `tls.key` and `ca.crt` (one root or several) in `dir`.
    ///
    /// # Errors
    /// When a file cannot be read, is torn, or lacks what it should hold.
    pub fn from_dir(dir: &Path) -> Result<Self, TlsError> {
        Files::read(dir)?.parse()
    }

    /// Parses PEM texts: the certificate chain, leaf first; its private key; the roots.
    ///
    /// # Errors
    /// When one is torn or lacks what it should hold.
    pub fn from_pem(
        certificate: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
        roots: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        let broken_key = |source| TlsError::Pem { file: KEY, wanted: "private key", source };
        Ok(Self {
            chain: certificates(CERTIFICATE, certificate.as_ref())?,
            key: PrivateKeyDer::from_pem_slice(key.as_ref()).map_err(broken_key)?,
            roots: certificates(ROOTS, roots.as_ref())?,
        })
    }

    /// Parts that are already DER; the chain begins with the leaf.
    pub(crate) fn from_der(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        roots: Vec<CertificateDer<'static>>,
    ) -> Self {
        Self { chain, key, roots }
    }

    /// Equal for equal content, however the PEM is laid out.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut parts: Vec<&[u8]> = self.chain.iter().map(AsRef::as_ref).collect();
        parts.push(self.key.secret_der());
        parts.extend(self.roots.iter().map(AsRef::<[u8]>::as_ref));
        // The number of chain certificates keeps chain and roots apart.
        hash(&[&[&self.chain.len().to_be_bytes()[..]], parts.as_slice()].concat())
    }
}

impl Clone for Material {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key(), roots: self.roots.clone() }
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("chain", &self.chain.len())
            .field("key", &"[hidden]")
            .field("roots", &self.roots.len())
            .finish()
    }
}

/// The bytes of the three files at one moment.
pub(super) struct Files {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    roots: Vec<u8>,
}

impl Files {
    pub(super) fn read(dir: &Path) -> Result<Self, TlsError> {
        // Kubernetes swaps the link `..data` to a new folder: following it once gives three files of the same version.
        let version = fs::canonicalize(dir.join("..data")).ok().filter(|dir| dir.join(CERTIFICATE).exists());
        let dir = version.as_deref().unwrap_or(dir);
        Ok(Self {
            certificate: read(dir, CERTIFICATE)?,
            key: Zeroizing::new(read(dir, KEY)?),
            roots: read(dir, ROOTS)?,
        })
    }

    pub(super) fn digest(&self) -> [u8; 32] {
        hash(&[&self.certificate, &self.key, &self.roots])
    }

    pub(super) fn parse(&self) -> Result<Material, TlsError> {
        Material::from_pem(&self.certificate, &self.key, &self.roots)
    }
}

fn read(dir: &Path, name: &str) -> Result<Vec<u8>, TlsError> {
    let path = dir.join(name);
    fs::read(&path).map_err(|source: io::Error| TlsError::Read { path, source })
}

fn certificates(file: &'static str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let broken = |source| TlsError::Pem { file, wanted: "certificate", source };
    let found: Vec<_> = CertificateDer::pem_slice_iter(text).collect::<Result<_, _>>().map_err(broken)?;
    if found.is_empty() { Err(broken(pem::Error::NoItemsFound)) } else { Ok(found) }
}

/// SHA-256 over the parts, each with its length, so that no two lists of parts look alike.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut digest = [0; 32];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

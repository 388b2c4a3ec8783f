//! Why TLS material is refused; each message names the file and what to do.

use std::path::PathBuf;

use crate::{spiffe::SpiffeId, svid::SvidError};

/// Why TLS material is refused.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of the material cannot be read.
    #[error("cannot read {}: {source}; mount the workload's tls.crt, tls.key and ca.crt there", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file holds broken PEM, or none of the kind that is needed.
    #[error("{file} holds no usable PEM {wanted}: {source}; write the whole file again")]
    Pem {
        /// The file's name.
        file: &'static str,
        /// What kind of section is needed.
        wanted: &'static str,
        /// What is wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// The workload's own certificate is no valid SVID.
    #[error("tls.crt is not an acceptable X.509-SVID: {0}; have it issued anew")]
    Leaf(#[from] SvidError),
    /// The key cannot be used at all.
    #[error("tls.key is not usable: {0}; write an unencrypted PKCS#8, SEC1 or PKCS#1 key")]
    Key(#[source] rustls::Error),
    /// The certificate is of another key, as in the middle of a renewal.
    #[error("tls.key does not belong to tls.crt; write both from the same issuance")]
    KeyMismatch,
    /// One of the roots cannot be trusted for signing.
    #[error("certificate {number} in ca.crt is not an acceptable root: {source}; remove or replace it")]
    Root {
        /// Which one, from 1.
        number: usize,
        /// What is wrong.
        source: SvidError,
    },
    /// All roots are expired.
    #[error("every root in ca.crt is expired; write the bundle of the present CA")]
    RootsExpired,
    /// A root that webpki refuses.
    #[error("a certificate in ca.crt cannot be used as a root: {0}; remove or replace it")]
    RootStore(#[source] rustls::Error),
    /// The own certificate would be refused by every peer that has the same roots.
    #[error("tls.crt does not chain to a root in ca.crt: {0}; ca.crt must hold the CA that issued it")]
    Chain(#[source] rustls::Error),
    /// A reload would turn this workload into another one.
    #[error(
        "tls.crt now names {to} instead of {from}; a running process keeps its identity, restart it to change"
    )]
    IdentityChanged {
        /// The present identity.
        from: SpiffeId,
        /// The identity in the new certificate.
        to: SpiffeId,
    },
    /// rustls refuses the configuration.
    #[error("the TLS configuration cannot be built: {0}")]
    Config(#[source] rustls::Error),
    /// The client verifier refuses the roots.
    #[error("the verifier cannot be built from ca.crt: {0}")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

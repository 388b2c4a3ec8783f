//! The certificate checks of both sides of a handshake, as rustls calls them.
//!
//! Keeps the order: the chain by webpki first, the SVID rules on what is then known to be signed by a root, the identity
//! last. DNS names and IP addresses play no part.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature},
    server::{
        ParsedCertificate, VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::trust::Trust;
use crate::{
    spiffe::{SpiffeId, TrustDomain},
    svid::{Peer, SvidError, verify_leaf_at, verify_signer},
};

/// What the checks of both sides have in common: signatures of TLS 1.3, and no other.
macro_rules! tls13_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("TLS 1.2 is not spoken in the mesh".into()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            verify_tls13_signature(message, certificate, signature, &self.algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.algorithms.supported_schemes()
        }
    };
}

/// The roots, as they fall due.
pub(super) type Roots = Trust<Arc<RootCertStore>>;

/// A client's check: the server is exactly the expected workload.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    expected: SpiffeId,
    roots: Arc<Roots>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerVerifier {
    pub(super) fn new(expected: SpiffeId, roots: Arc<Roots>, provider: &CryptoProvider) -> Self {
        Self { expected, roots, algorithms: provider.signature_verification_algorithms }
    }

    /// The same check as in a handshake.
    pub(super) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Error> {
        let parsed = ParsedCertificate::try_from(leaf)?;
        let roots = self.roots.at(system_time(now))?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)?;
        let found = verify_svid(leaf, intermediates, now)?.id;
        if found != self.expected {
            return Err(refused(SvidError::UnexpectedId { expected: self.expected.clone(), found }));
        }
        Ok(())
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.verify(leaf, intermediates, now).map(|()| ServerCertVerified::assertion())
    }

    tls13_signatures!();
}

/// A server's check: the client is some workload of the own trust domain. What it may call is the policy's matter.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    trust_domain: TrustDomain,
    chains: Trust<Arc<dyn ClientCertVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientVerifier {
    pub(super) fn new(
        trust_domain: TrustDomain,
        roots: &Roots,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, VerifierBuilderError> {
        let chains = roots.map(|roots| {
            WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build()
        })?;
        Ok(Self { trust_domain, chains, algorithms: provider.signature_verification_algorithms })
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Without hints a client sends its one certificate, whatever its CA's name is in the middle of a rotation.
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let chain = self.chains.at(system_time(now))?;
        let verified = chain.verify_client_cert(leaf, intermediates, now)?;
        let found = verify_svid(leaf, intermediates, now)?.id;
        if *found.trust_domain() != self.trust_domain {
            return Err(refused(SvidError::ForeignTrustDomain {
                expected: self.trust_domain.clone(),
                found,
            }));
        }
        Ok(verified)
    }

    tls13_signatures!();
}

/// The time of rustls as the standard library's.
fn system_time(now: UnixTime) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(now.as_secs())
}

fn verify_svid(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    now: UnixTime,
) -> Result<Peer, Error> {
    intermediates.iter().try_for_each(verify_signer).map_err(refused)?;
    verify_leaf_at(leaf, system_time(now)).map_err(refused)
}

/// The reason stays with us as the error's source; the peer gets an alert only.
fn refused(error: SvidError) -> Error {
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

//! Certificates that no honest authority issues.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_identity::Material;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, SanType,
};
use rustls::crypto::aws_lc_rs;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::Result;

/// How long forged certificates live.
const LIFETIME: Duration = Duration::from_secs(3600);

/// A root of one's own, which signs whatever it is given.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: String,
}

impl Authority {
    /// A root that nobody trusts yet.
    ///
    /// # Errors
    /// When no key can be generated.
    pub fn new(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let mut params = dated(CertificateParams::default());
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let root = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), root })
    }

    /// The root of a development authority whose folder holds `ca.crt` and `ca.key`: what it forges is trusted.
    ///
    /// # Errors
    /// When the files are missing or something else.
    pub fn stolen(root_pem: &str, key_pem: &str) -> Result<Self> {
        let root = CertificateDer::from_pem_slice(root_pem.as_bytes())?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&root)?;
        let name = parsed.subject().iter_common_name().next().ok_or("the root has no name")?.as_str()?;
        let mut params = CertificateParams::default();
        // Of an issuer only its name and its key go into what it signs.
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        Ok(Self { issuer: Issuer::new(params, KeyPair::from_pem(key_pem)?), root: root_pem.to_owned() })
    }

    /// The root as PEM.
    #[must_use]
    pub fn root_pem(&self) -> &str {
        &self.root
    }

    /// A leaf with these URIs as names, otherwise sound unless `change` spoils it.
    ///
    /// # Errors
    /// When a URI cannot be written into a certificate.
    pub fn leaf(&self, uris: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Result<Forged> {
        let mut params = dated(CertificateParams::default());
        params.distinguished_name.push(DnType::CommonName, "forged");
        for uri in uris {
            params.subject_alt_names.push(SanType::URI((*uri).try_into()?));
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Forged { certificate, key: key.serialize_pem() })
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

fn dated(mut params: CertificateParams) -> CertificateParams {
    let now = SystemTime::now();
    params.not_before = (now - Duration::from_secs(60)).into();
    params.not_after = (now + LIFETIME).into();
    params
}

/// A leaf and its key, as PEM.
#[derive(Debug, Clone)]
pub struct Forged {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

impl Forged {
    /// As the material of a workload that trusts `roots`.
    ///
    /// # Errors
    /// When the PEM cannot be read.
    pub fn material(&self, roots: &str) -> Result<Material> {
        Ok(Material::from_pem(self.certificate.as_str(), self.key.as_str(), roots)?)
    }

    /// A client that presents the leaf without any check of its own and believes every server: the attacker's.
    ///
    /// # Errors
    /// When the PEM cannot be read.
    pub fn client_config(&self) -> Result<ClientConfig> {
        let mut config = unverified()?.with_client_cert_resolver(self.resolver()?);
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// A server that presents the leaf without any check of its own and asks its clients for nothing.
    ///
    /// # Errors
    /// When the PEM cannot be read.
    pub fn server_config(&self) -> Result<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(self.resolver()?);
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    /// Presents the chain whatever is in it, where rustls itself would refuse what it cannot parse.
    fn resolver(&self) -> Result<Arc<SingleCertAndKey>> {
        let chain =
            CertificateDer::pem_slice_iter(self.certificate.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        let key = aws_lc_rs::default_provider().key_provider.load_private_key(key)?;
        Ok(Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key))))
    }

    /// A client without any certificate that believes every server.
    ///
    /// # Errors
    /// When the provider lacks TLS 1.3.
    pub fn nobody() -> Result<ClientConfig> {
        let mut config = unverified()?.with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

type Unauthenticated = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn unverified() -> Result<Unauthenticated> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(Credulous(provider))))
}

/// Believes every server: an attacker does not care whom it attacks.
#[derive(Debug)]
struct Credulous(Arc<rustls::crypto::CryptoProvider>);

mod credulous {
    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::{DigitallySignedStruct, Error, SignatureScheme};
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

    use super::Credulous;

    impl ServerCertVerifier for Credulous {
        fn verify_server_cert(
            &self,
            _leaf: &CertificateDer<'_>,
            _intermediates: &[CertificateDer<'_>],
            _name: &ServerName<'_>,
            _ocsp: &[u8],
            _now: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _leaf: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _message: &[u8],
            _leaf: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.0.signature_verification_algorithms.supported_schemes()
        }
    }
}

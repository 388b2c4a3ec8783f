//! Makes certificates as a fixture: sound ones, and any that are wrong in one way.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use mesh_identity::{Material, SpiffeId, Tls, TrustDomain};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType, date_time_ymd,
};
use rustls::{
    crypto::aws_lc_rs,
    sign::{CertifiedKey, SingleCertAndKey},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub(crate) const TRUST_DOMAIN: &str = "quipu.local";
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn trust_domain() -> TrustDomain {
    TRUST_DOMAIN.parse().unwrap()
}

pub(crate) fn workload(name: &str) -> SpiffeId {
    SpiffeId::workload(&trust_domain(), "quipu", name).unwrap()
}

/// A certificate chain, leaf first, with the leaf's key.
pub(crate) struct Forged {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
}

impl Forged {
    /// For a rustls configuration that presents it without any check.
    pub(crate) fn resolver(&self) -> Arc<SingleCertAndKey> {
        let key = aws_lc_rs::default_provider().key_provider.load_private_key(self.key_der()).unwrap();
        Arc::new(SingleCertAndKey::from(CertifiedKey::new(self.chain.clone(), key)))
    }

    pub(crate) fn leaf(&self) -> &CertificateDer<'static> {
        self.chain.first().unwrap()
    }

    pub(crate) fn material(&self, roots: &[&Authority]) -> Material {
        let roots: String = roots.iter().map(|root| root.pem()).collect();
        let chain: String = self.chain.iter().map(pem).collect();
        Material::from_pem(chain, self.key.serialize_pem(), roots).unwrap()
    }

    fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()))
    }
}

/// A root or intermediate that signs whatever it is given.
pub(crate) struct Authority {
    pub(crate) certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn root(name: &str) -> Self {
        Self::root_with(name, |_| ())
    }

    pub(crate) fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = authority(name);
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn intermediate(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = authority(name);
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pem(&self) -> String {
        pem(&self.certificate)
    }

    pub(crate) fn sign(
        &self,
        params: &CertificateParams,
        key: &impl PublicKeyData,
    ) -> CertificateDer<'static> {
        params.signed_by(key, &self.issuer).unwrap().der().clone()
    }

    /// A leaf that is `sound(uri)` but for `change`.
    pub(crate) fn leaf(&self, uri: &str, change: impl FnOnce(&mut CertificateParams)) -> Forged {
        let key = KeyPair::generate().unwrap();
        let mut params = sound(uri);
        change(&mut params);
        Forged { chain: vec![self.sign(&params, &key)], key }
    }

    pub(crate) fn workload(&self, name: &str) -> Forged {
        self.leaf(workload(name).as_str(), |_| ())
    }

    /// A workload that trusts only this root.
    pub(crate) fn tls(&self, name: &str) -> Tls {
        Tls::new(self.workload(name).material(&[self])).unwrap()
    }
}

/// The parameters of a leaf without fault.
pub(crate) fn sound(uri: &str) -> CertificateParams {
    let mut params = valid(-DAY.as_secs().cast_signed(), DAY.as_secs().cast_signed());
    params.distinguished_name = common_name("workload");
    params.is_ca = IsCa::ExplicitNoCa;
    params.subject_alt_names = vec![self::uri(uri)];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

/// Parameters with a validity from and to these seconds from now.
pub(crate) fn valid(from: i64, to: i64) -> CertificateParams {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let at = |offset: i64| date_time_ymd(1970, 1, 1) + Duration::from_secs((now + offset).cast_unsigned());
    let mut params = CertificateParams::default();
    params.not_before = at(from);
    params.not_after = at(to);
    params
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

pub(crate) fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// An extension in raw DER.
pub(crate) fn extension(oid: &[u64], critical: bool, der: &[u8]) -> CustomExtension {
    let mut extension = CustomExtension::from_oid_content(oid, der.to_vec());
    extension.set_criticality(critical);
    extension
}

pub(crate) fn pem(der: &CertificateDer<'_>) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

fn authority(name: &str) -> CertificateParams {
    let mut params = valid(-DAY.as_secs().cast_signed(), 10 * DAY.as_secs().cast_signed());
    params.distinguished_name = common_name(name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

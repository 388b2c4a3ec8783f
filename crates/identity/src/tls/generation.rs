//! One version of the material, checked, with every configuration made from it.
//!
//! Keeps the invariant that a generation exists only if its certificate would be accepted by a peer with the same roots.
//! It is immutable but for a cache, which dies with it, so that no trust outlives a reload.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::{
    ClientConfig, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    server::NoServerSessionStorage,
    sign::{CertifiedKey, SingleCertAndKey},
    version::TLS13,
};
use rustls_pki_types::UnixTime;

use super::{
    Material, TlsError,
    trust::Trust,
    verify::{ClientVerifier, Roots, ServerVerifier},
};
use crate::{
    spiffe::SpiffeId,
    svid::{Peer, SvidError, verify_leaf_at},
};

/// gRPC speaks HTTP/2 and nothing else.
const ALPN: &[u8] = b"h2";

pub(super) struct Generation {
    pub(super) number: u64,
    /// The workload itself, as its peers see it.
    pub(super) own: Peer,
    pub(super) digest: [u8; 32],
    pub(super) server: Arc<ServerConfig>,
    provider: Arc<CryptoProvider>,
    roots: Arc<Roots>,
    /// Expects the workload itself; the configuration for another one differs in the verifier only.
    template: ClientConfig,
    /// As many as there are workloads that this one calls.
    clients: Mutex<HashMap<SpiffeId, Arc<ClientConfig>>>,
}

impl Generation {
    pub(super) fn build(material: Material, number: u64, now: SystemTime) -> Result<Self, TlsError> {
        let digest = material.digest();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let leaf = material.chain.first().ok_or(SvidError::Missing)?;
        let own = verify_leaf_at(leaf, now)?;
        let roots = Arc::new(Trust::new(&material.roots, now)?);
        let itself = Arc::new(ServerVerifier::new(own.id.clone(), roots.clone(), &provider));
        let intermediates = material.chain.get(1..).unwrap_or_default();
        itself.verify(leaf, intermediates, unix_time(now)).map_err(TlsError::Chain)?;

        let identity = Arc::new(SingleCertAndKey::from(certified(material, &provider)?));
        let server = server_config(&provider, &roots, &own, identity.clone())?;
        let template = client_config(&provider, itself, identity)?;
        let clients = Mutex::default();
        Ok(Self { number, own, digest, server: Arc::new(server), provider, roots, template, clients })
    }

    pub(super) fn client(&self, expected: &SpiffeId) -> Arc<ClientConfig> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let verifier = ServerVerifier::new(expected.clone(), self.roots.clone(), &self.provider);
            let mut config = self.template.clone();
            config.dangerous().set_certificate_verifier(Arc::new(verifier));
            Arc::new(config)
        };
        clients.entry(expected.clone()).or_insert_with(make).clone()
    }

    /// So that an alert can warn before a workload falls out of the mesh.
    pub(super) fn publish_expiry(&self) {
        let seconds = self.own.not_after.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64();
        let workload = self.own.id.to_string();
        metrics::gauge!("mesh_identity_not_after_timestamp_seconds", "workload" => workload).set(seconds);
    }
}

fn certified(material: Material, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let key = provider.key_provider.load_private_key(material.key).map_err(TlsError::Key)?;
    let certified = CertifiedKey::new(material.chain, key);
    // A key that cannot tell its public half counts as a stranger.
    certified.keys_match().map_err(|_| TlsError::KeyMismatch)?;
    Ok(certified)
}

fn server_config(
    provider: &Arc<CryptoProvider>,
    roots: &Roots,
    own: &Peer,
    identity: Arc<SingleCertAndKey>,
) -> Result<ServerConfig, TlsError> {
    let verifier = ClientVerifier::new(own.id.trust_domain().clone(), roots, provider)?;
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Config)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(identity);
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would skip the check of the certificate, and so outlive a root that was withdrawn.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<ServerVerifier>,
    identity: Arc<SingleCertAndKey>,
) -> Result<ClientConfig, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Config)?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(identity);
    config.alpn_protocols = vec![ALPN.to_vec()];
    config.resumption = Resumption::disabled();
    // The identity is in the certificate; a name in the clear would only tell an observer whom we call.
    config.enable_sni = false;
    Ok(config)
}

fn unix_time(now: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO))
}

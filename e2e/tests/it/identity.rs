//! Who is let in at all: certificates of both sides, before any method is looked at.

use std::time::Duration;

use mesh_identity::{DevCa, SpiffeId, Tls, TrustDomain};

use quipu_e2e::{
    Mesh,
    raw::{self, Answer},
};

const HOUR: Duration = Duration::from_secs(3600);
const ANALYZE: &str = "/quipu.sentiment.v1.SentimentService/Analyze";

fn refused(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(_))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_without_a_certificate_is_refused() {
    let mesh = Mesh::start().await;
    let operator = mesh.authority.identity("operator", HOUR).unwrap();
    let sentiment = mesh.authority.policy().load().id_of("sentiment").unwrap();
    let mut anonymous = (*operator.client_config(&sentiment)).clone();
    anonymous.client_auth_cert_resolver = std::sync::Arc::new(NoCertificate);
    let answer = raw::call(mesh.part("sentiment").address, anonymous.into(), ANALYZE, None).await;
    assert!(refused(&answer), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_of_a_foreign_authority_is_refused() {
    let mesh = Mesh::start().await;
    let domain: TrustDomain = mesh.authority.policy().load().trust_domain().clone();
    let foreign = DevCa::new(&domain).unwrap();
    let operator: SpiffeId = mesh.authority.policy().load().id_of("operator").unwrap();
    let sentiment = mesh.authority.policy().load().id_of("sentiment").unwrap();
    // It trusts the mesh's root, so that it is the mesh that refuses and not the caller.
    let mut mixed = std::fs::read_to_string(mesh.data().join("ca/ca.crt")).unwrap();
    mixed.push('\n');
    let issued = foreign.issue(&operator, HOUR).unwrap();
    mixed.push_str(&issued.ca_pem);
    let material = mesh_identity::Material::from_pem(
        issued.cert_pem.as_bytes(),
        issued.key_pem.as_bytes(),
        mixed.as_bytes(),
    );
    let tls = Tls::new(material.unwrap()).unwrap();
    let answer =
        raw::call(mesh.part("sentiment").address, tls.client_config(&sentiment), ANALYZE, None).await;
    assert!(refused(&answer), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_hangs_up_on_a_workload_that_it_did_not_mean() {
    let mesh = Mesh::start().await;
    let operator = mesh.authority.identity("operator", HOUR).unwrap();
    let sentiment = mesh.authority.policy().load().id_of("sentiment").unwrap();
    let answer =
        raw::call(mesh.part("auth").address, operator.client_config(&sentiment), ANALYZE, None).await;
    assert!(refused(&answer), "{answer:?}");
    let answer =
        raw::call(mesh.part("sentiment").address, operator.client_config(&sentiment), ANALYZE, None).await;
    assert!(!refused(&answer), "the control: {answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_may_not_do_what_another_may() {
    let mesh = Mesh::start().await;
    let auth = mesh.authority.identity("auth", HOUR).unwrap();
    let sentiment = mesh.authority.policy().load().id_of("sentiment").unwrap();
    let answer =
        raw::call(mesh.part("sentiment").address, auth.client_config(&sentiment), ANALYZE, None).await;
    assert_eq!(answer, Answer::Early(raw::DENIED));
}

#[derive(Debug)]
struct NoCertificate;

impl tokio_rustls::rustls::client::ResolvesClientCert for NoCertificate {
    fn resolve(
        &self,
        _roots: &[&[u8]],
        _schemes: &[tokio_rustls::rustls::SignatureScheme],
    ) -> Option<std::sync::Arc<tokio_rustls::rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

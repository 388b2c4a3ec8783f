//! Real handshakes: who gets through to whom.

use std::sync::Arc;

use rcgen::{BasicConstraints, CustomExtension, IsCa, KeyUsagePurpose};
use rustls::{HandshakeKind, ProtocolVersion};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    forge::{Authority, Forged, extension, sound, uri, workload},
    odd::{GOOD, odd_leaves, sound_leaves},
    wire::{Side, careless_client, careless_server, meet},
};

/// Presents `forged` as a client to a sound server; what the server saw.
async fn as_client(ca: &Authority, forged: &Forged) -> Side {
    meet(ca.tls("auth").server_config(), careless_client(Some(forged))).await.0
}

/// Presents `forged` as a server to a sound client that expects the gateway; what the client saw.
async fn as_server(ca: &Authority, forged: &Forged) -> Side {
    let expected = GOOD.parse().unwrap();
    meet(careless_server(forged), ca.tls("auth").client_config(&expected)).await.1
}

async fn refused_on_both_sides(ca: &Authority, forged: &Forged, reason: &str) {
    for error in [as_client(ca, forged).await, as_server(ca, forged).await] {
        let error = error.expect_err(reason);
        assert!(error.contains(reason), "{reason}: {error}");
    }
}

#[tokio::test]
async fn two_workloads_know_each_other() {
    let ca = Authority::root("ca");
    let (gateway, auth) = (ca.tls("gateway"), ca.tls("auth"));
    let (served, called) = meet(auth.server_config(), gateway.client_config(&auth.id())).await;
    let (served, called) = (served.unwrap(), called.unwrap());
    assert_eq!(served.id(), workload("gateway").as_str());
    assert_eq!(called.id(), workload("auth").as_str());
    for seen in [&served, &called] {
        assert_eq!(seen.alpn.as_deref(), Some(&b"h2"[..]));
        assert_eq!(seen.version, Some(ProtocolVersion::TLSv1_3));
    }
    assert_eq!(served.peer.unwrap().not_after, gateway.not_after());
}

#[tokio::test]
async fn no_session_is_resumed() {
    let ca = Authority::root("ca");
    let (auth, config) = (ca.tls("auth"), ca.tls("gateway").client_config(&workload("auth")));
    for _ in 0..3 {
        let (served, called) = meet(auth.server_config(), config.clone()).await;
        assert_eq!(served.unwrap().kind, Some(HandshakeKind::Full));
        assert_eq!(called.unwrap().kind, Some(HandshakeKind::Full));
    }
    // Nor for a client that would like to.
    let forged = ca.workload("gateway");
    let eager = careless_client(Some(&forged));
    for _ in 0..2 {
        assert_eq!(
            meet(auth.server_config(), eager.clone()).await.0.unwrap().kind,
            Some(HandshakeKind::Full)
        );
    }
}

#[tokio::test]
async fn unusual_but_sound_leaves_get_through() {
    let ca = Authority::root("ca");
    for (name, forged) in sound_leaves(&ca) {
        let served = as_client(&ca, &forged).await;
        assert!(served.is_ok(), "{name}: {served:?}");
    }
}

#[tokio::test]
async fn no_odd_leaf_gets_through_as_a_client() {
    let ca = Authority::root("ca");
    for odd in odd_leaves(&ca) {
        let served = as_client(&ca, &odd.forged).await;
        assert!(served.is_err(), "{} reached the server: {served:?}", odd.name);
    }
}

#[tokio::test]
async fn no_odd_leaf_gets_through_as_a_server() {
    let ca = Authority::root("ca");
    for odd in odd_leaves(&ca) {
        let called = as_server(&ca, &odd.forged).await;
        assert!(called.is_err(), "{} reached the client: {called:?}", odd.name);
    }
}

#[tokio::test]
async fn a_client_without_certificate_is_refused() {
    let (served, called) =
        meet(Authority::root("ca").tls("auth").server_config(), careless_client(None)).await;
    assert!(served.unwrap_err().contains("peer sent no certificates"));
    assert!(called.unwrap_err().contains("CertificateRequired"));
}

#[tokio::test]
async fn the_ca_of_another_mesh_is_refused() {
    let (ca, foreign) = (Authority::root("ca"), Authority::root("foreign"));
    refused_on_both_sides(&ca, &foreign.workload("gateway"), "UnknownIssuer").await;
}

#[tokio::test]
async fn a_ca_with_the_same_name_and_another_key_is_refused() {
    let (ca, double) = (Authority::root("ca"), Authority::root("ca"));
    refused_on_both_sides(&ca, &double.workload("gateway"), "invalid peer certificate: BadSignature").await;
}

#[tokio::test]
async fn a_self_signed_leaf_is_refused() {
    let key = rcgen::KeyPair::generate().unwrap();
    let forged = Forged { chain: vec![sound(GOOD).self_signed(&key).unwrap().der().clone()], key };
    refused_on_both_sides(&Authority::root("ca"), &forged, "UnknownIssuer").await;
}

#[tokio::test]
async fn another_trust_domain_is_refused_even_by_the_same_ca() {
    let ca = Authority::root("ca");
    for domain in
        ["example.org", "quipu.local.example.org", "evilquipu.local", "uipu.local", "quipu.loca", "local"]
    {
        let forged = ca.leaf(&format!("spiffe://{domain}/ns/quipu/sa/gateway"), |_| ());
        let error = as_client(&ca, &forged).await.unwrap_err();
        assert!(error.contains("ForeignTrustDomain"), "{domain}: {error}");
        let error = as_server(&ca, &forged).await.unwrap_err();
        assert!(error.contains("UnexpectedId"), "{domain}: {error}");
    }
}

#[tokio::test]
async fn a_client_refuses_every_workload_but_the_expected_one() {
    let ca = Authority::root("ca");
    let gateway = ca.tls("gateway");
    for (expected, actual) in [("auth", "sentiment"), ("auth", "gateway"), ("auth", "auth2"), ("auth", "aut")]
    {
        let config = gateway.client_config(&workload(expected));
        let (served, called) = meet(ca.tls(actual).server_config(), config).await;
        let error = called.unwrap_err();
        assert!(error.contains("UnexpectedId") && error.contains(workload(actual).as_str()), "{error}");
        // The server never sees the client's Finished, so no byte of a request either.
        assert!(served.is_err());
    }
}

#[tokio::test]
async fn the_configuration_for_one_workload_is_not_that_for_another() {
    let tls = Authority::root("ca").tls("gateway");
    let (auth, sentiment) = (workload("auth"), workload("sentiment"));
    assert!(Arc::ptr_eq(&tls.client_config(&auth), &tls.client_config(&auth)));
    assert!(!Arc::ptr_eq(&tls.client_config(&auth), &tls.client_config(&sentiment)));
}

#[tokio::test]
async fn an_intermediate_may_sign_if_it_is_made_for_it() {
    let root = Authority::root("root");
    let chained = |intermediate: Authority| {
        let mut forged = intermediate.workload("gateway");
        forged.chain.push(intermediate.certificate);
        forged
    };
    let sound = chained(root.intermediate("sound", |_| ()));
    assert_eq!(as_client(&root, &sound).await.unwrap().id(), GOOD);
    assert_eq!(as_server(&root, &sound).await.unwrap().id(), GOOD);

    let named =
        chained(root.intermediate("named", |ca| ca.subject_alt_names = vec![uri("spiffe://quipu.local")]));
    assert_eq!(as_client(&root, &named).await.unwrap().id(), GOOD);

    let no_usage =
        chained(root.intermediate("a", |ca| ca.key_usages = vec![KeyUsagePurpose::DigitalSignature]));
    refused_on_both_sides(&root, &no_usage, "lacks keyCertSign").await;
    let workload = chained(root.intermediate("b", |ca| ca.subject_alt_names = vec![uri(GOOD)]));
    refused_on_both_sides(&root, &workload, "its SPIFFE id has a path").await;
    let no_ca = chained(root.intermediate("c", |ca| ca.is_ca = IsCa::ExplicitNoCa));
    refused_on_both_sides(&root, &no_ca, "EndEntityUsedAsCa").await;
    let expired = chained(root.intermediate("d", |ca| ca.not_after = crate::forge::valid(-9, -3).not_after));
    refused_on_both_sides(&root, &expired, "expired").await;

    let bare = root.intermediate("sound", |_| ()).workload("gateway");
    refused_on_both_sides(&root, &bare, "UnknownIssuer").await;
}

#[tokio::test]
async fn a_path_longer_than_an_intermediate_allows_is_refused() {
    let root = Authority::root("root");
    let upper = root.intermediate("upper", |ca| ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let lower = upper.intermediate("lower", |_| ());
    let mut forged = lower.workload("gateway");
    forged.chain.extend([lower.certificate, upper.certificate]);
    refused_on_both_sides(&root, &forged, "PathLenConstraintViolated").await;
}

#[tokio::test]
async fn uri_name_constraints_are_not_ignored() {
    // permittedSubtrees: one URI, "example.org".
    let host = b"example.org";
    let subtree = [&[0x30, 13, 0x86, 11][..], host].concat();
    let der = [&[0x30, 17, 0xA0, 15][..], &subtree].concat();
    let constraint: CustomExtension = extension(&[2, 5, 29, 30], true, &der);
    let root = Authority::root("root");
    let intermediate = root.intermediate("constrained", |ca| ca.custom_extensions.push(constraint));
    let mut forged = intermediate.workload("gateway");
    forged.chain.push(intermediate.certificate);
    refused_on_both_sides(&root, &forged, "NameConstraintViolation").await;
}

#[tokio::test]
async fn another_protocol_than_h2_is_refused() {
    let ca = Authority::root("ca");
    let forged = ca.workload("gateway");
    let mut config = (*careless_client(Some(&forged))).clone();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let (served, _) = meet(ca.tls("auth").server_config(), config.into()).await;
    let error = served.unwrap_err();
    assert!(error.contains("peer doesn't support any known protocol"), "{error}");
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let ca = Authority::root("ca");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.certificate.clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_cert_resolver(ca.workload("gateway").resolver());
    let (served, _) = meet(ca.tls("auth").server_config(), config.into()).await;
    let error = served.unwrap_err();
    assert!(error.contains("Tls12NotOfferedOrEnabled"), "{error}");
}

#[tokio::test]
async fn plain_text_is_refused() {
    let config = Authority::root("ca").tls("auth").server_config();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    assert!(TlsAcceptor::from(config).accept(socket).await.is_err());
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.len() <= 7, "an alert at most: {answer:?}");
}

//! Mutual TLS: who cannot prove who it is does not get as far as HTTP/2.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mesh_identity::Tls;
use mesh_server::Limits;
use mesh_testkit::{Authority, Forged, TestMesh};
use rustls::ClientConfig;

use crate::support::{Fixture, Wire, client, tell};

/// Whether a call gets through with this configuration. TLS 1.3 tells a client of a refused certificate only after its
/// own handshake, so only a call decides.
async fn reaches(fixture: &Fixture, config: ClientConfig) -> bool {
    match Wire::connect(fixture.addr, Arc::new(config)).await {
        Ok(wire) => tell(&mut client(wire), "hello").await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn a_sound_certificate_gets_through() {
    let fixture = Fixture::start().await;
    let id = fixture.mesh.id("operator").unwrap();
    let forged = fixture.mesh.stolen_ca().unwrap().leaf(&[id.as_str()], |_| ()).unwrap();
    // The control for the tests below: the same forger, and nothing wrong.
    assert!(reaches(&fixture, forged.client_config().unwrap()).await);
}

#[tokio::test]
async fn nobody_gets_in_without_a_certificate() {
    let fixture = Fixture::start().await;
    assert!(!reaches(&fixture, Forged::nobody().unwrap()).await);
    assert_eq!(fixture.begun(), 0);
}

#[tokio::test]
async fn a_foreign_authority_is_not_believed() {
    let fixture = Fixture::start().await;
    let id = fixture.mesh.id("operator").unwrap();
    let forged = Authority::new("another mesh").unwrap().leaf(&[id.as_str()], |_| ()).unwrap();
    assert!(!reaches(&fixture, forged.client_config().unwrap()).await);
    assert_eq!(fixture.begun(), 0);
}

#[tokio::test]
async fn odd_names_of_the_right_authority_are_not_believed() {
    let fixture = Fixture::start().await;
    let id = fixture.mesh.id("operator").unwrap();
    let authority = fixture.mesh.stolen_ca().unwrap();
    let odd: [&[&str]; 4] = [
        &[],
        &[id.as_str(), "spiffe://quipu.local/ns/quipu/sa/gateway"],
        &["https://quipu.local/operator"],
        &["spiffe://other.local/ns/quipu/sa/operator"],
    ];
    for uris in odd {
        let forged = authority.leaf(uris, |_| ()).unwrap();
        assert!(!reaches(&fixture, forged.client_config().unwrap()).await, "{uris:?}");
    }
    assert_eq!(fixture.begun(), 0);
}

#[tokio::test]
async fn a_client_without_h2_is_not_served() {
    let fixture = Fixture::start().await;
    let id = fixture.mesh.id("operator").unwrap();
    let forged = fixture.mesh.stolen_ca().unwrap().leaf(&[id.as_str()], |_| ()).unwrap();
    let mut config = forged.client_config().unwrap();
    config.alpn_protocols.clear();
    assert!(!reaches(&fixture, config).await);
}

#[tokio::test]
async fn a_connection_does_not_outlive_either_certificate() {
    const HOUR: Duration = Duration::from_secs(3600);
    const SOON: Duration = Duration::from_secs(3);
    for (of_server, of_client) in [(HOUR, SOON), (SOON, HOUR)] {
        let mesh = TestMesh::start().unwrap();
        let tls = |workload, life| Tls::new(mesh.issue(workload, life).unwrap().material()).unwrap();
        let (server, client_tls) = (tls("sentiment", of_server), tls("operator", of_client));
        let fixture = Fixture::with_tls(mesh, Limits::default(), server).await;
        let config = client_tls.client_config(&fixture.mesh.id("sentiment").unwrap());
        let wire = Wire::connect(fixture.addr, config).await.unwrap();
        tell(&mut client(wire.clone()), "hello").await.unwrap();
        // Nine seconds would be within the deadline: the call in flight is cut.
        assert!(tell(&mut client(wire.clone()), "sleep 9000").await.is_err());
        wire.closed().await;
        assert!(tell(&mut client(wire), "hello").await.is_err());
        assert_eq!((fixture.begun(), fixture.seen.ended.load(Ordering::SeqCst)), (2, 1));
    }
}

#[tokio::test]
async fn new_certificates_end_the_connections_of_the_old_ones() {
    let mesh = TestMesh::start().unwrap();
    let tls = mesh.tls("sentiment").unwrap();
    let limits = Limits { linger: Duration::from_secs(1), ..Limits::default() };
    let fixture = Fixture::with_tls(mesh, limits, tls.clone()).await;
    let wire = fixture.connect("operator").await;
    tell(&mut client(wire.clone()), "hello").await.unwrap();
    tls.reload(fixture.mesh.issue("sentiment", Duration::from_secs(3600)).unwrap().material()).unwrap();
    wire.closed().await;
    let mut again = fixture.client("operator").await;
    tell(&mut again, "sleep 1500").await.unwrap();
}

#[tokio::test]
async fn a_connection_ends_at_its_age_without_losing_the_call_in_flight() {
    let fixture = Fixture::limited(|limits| limits.age = Duration::from_millis(300)).await;
    let wire = fixture.connect("operator").await;
    tell(&mut client(wire.clone()), "sleep 800").await.unwrap();
    wire.closed().await;
}

//! Mutual TLS: who cannot prove who it is does not get as far as HTTP/2.

use std::sync::Arc;
use std::time::Duration;

use mesh_testkit::{Authority, Forged};
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
async fn a_connection_does_not_outlive_its_certificate() {
    let fixture = Fixture::start().await;
    let issued = fixture.mesh.issue("operator", Duration::from_secs(3)).unwrap();
    let tls = mesh_identity::Tls::new(issued.material()).unwrap();
    let config = tls.client_config(&fixture.mesh.id("sentiment").unwrap());
    let wire = Wire::connect(fixture.addr, config).await.unwrap();
    tell(&mut client(wire.clone()), "hello").await.unwrap();
    wire.closed().await;
    assert!(tell(&mut client(wire), "hello").await.is_err());
}

#[tokio::test]
async fn a_connection_ends_at_its_age_without_losing_the_call_in_flight() {
    let fixture = Fixture::limited(|limits| limits.age = Duration::from_millis(300)).await;
    let wire = fixture.connect("operator").await;
    tell(&mut client(wire.clone()), "sleep 800").await.unwrap();
    wire.closed().await;
}

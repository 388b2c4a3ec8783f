//! Excess is refused fast, and health answers always.

use std::time::Duration;

use mesh_error::{Error, Kind};
use mesh_resilience::Admission;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::support::{Fixture, client, tell};

#[tokio::test]
async fn excess_is_shed_with_a_hint_while_health_answers() {
    let fixture = Fixture::limited(|limits| {
        limits.admission =
            Admission { concurrency: 1, queue: 0, wait: Duration::from_millis(10), ..Admission::default() };
    })
    .await;
    let wire = fixture.connect("operator").await;
    let mut busy = client(wire.clone());
    let busy = tokio::spawn(async move { tell(&mut busy, "sleep 1000").await });
    while fixture.begun() == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let error = Error::from_status(&tell(&mut client(wire.clone()), "hello").await.unwrap_err());
    assert_eq!(error.kind(), Kind::ResourceExhausted);
    assert!(error.retry_after().is_some());
    let mut health = HealthClient::with_origin(wire.clone(), "http://sentiment".parse().unwrap());
    health.check(HealthCheckRequest::default()).await.unwrap();
    busy.await.unwrap().unwrap();
    tell(&mut client(wire), "hello").await.unwrap();
}

//! A change of state runs to its end.

use std::sync::atomic::Ordering;

use mesh_lifecycle::Outcome;
use tonic::Code;

use crate::support::{Fixture, tell, tell_with};

#[tokio::test]
async fn a_change_outlives_the_deadline_of_its_call() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("operator").await;
    let status = tell_with(&mut client, "change 400", |request| {
        request.metadata_mut().insert("grpc-timeout", "50m".parse().unwrap());
    })
    .await
    .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    let seen = std::sync::Arc::clone(&fixture.seen);
    assert_eq!(seen.changes.load(Ordering::SeqCst), 0);
    // The drain waits for it too, although nobody else does.
    assert_eq!(fixture.stop().await, Outcome::Clean);
    assert_eq!(seen.changes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_caller_that_waits_gets_the_result() {
    let fixture = Fixture::start().await;
    tell(&mut fixture.client("operator").await, "change 10").await.unwrap();
    assert_eq!(fixture.seen.changes.load(Ordering::SeqCst), 1);
}

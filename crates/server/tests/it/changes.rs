//! A change of state runs to its end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::stream;
use mesh_lifecycle::Outcome;
use mesh_proto::sentiment::v1::AnalyzeStreamRequest;
use mesh_resilience::Admission;
use tonic::Code;

use crate::support::{Fixture, LIMIT, tell, tell_with};

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

#[tokio::test]
async fn a_change_that_nobody_waits_for_keeps_its_place() {
    let fixture = Fixture::limited(|limits| {
        limits.admission =
            Admission { concurrency: 1, queue: 1, wait: Duration::from_millis(20), ..Admission::default() };
    })
    .await;
    let mut client = fixture.client("operator").await;
    let status = tell_with(&mut client, "change 1500", |request| {
        request.metadata_mut().insert("grpc-timeout", "50m".parse().unwrap());
    })
    .await
    .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(tell(&mut client, "hello").await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(fixture.seen.changes.load(Ordering::SeqCst), 0);
    let again = async { while tell(&mut client, "hello").await.is_err() {} };
    tokio::time::timeout(LIMIT, again).await.unwrap();
    assert_eq!(fixture.seen.changes.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_drain_waits_for_a_change_that_a_stream_began() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("operator").await;
    let change = AnalyzeStreamRequest { text: "change".into(), ..AnalyzeStreamRequest::default() };
    let messages = stream::iter([AnalyzeStreamRequest::default(), change]);
    let mut answers = client.analyze_stream(messages).await.unwrap().into_inner();
    answers.message().await.unwrap().unwrap();
    let next = tokio::time::timeout(Duration::from_millis(100), answers.message()).await;
    assert!(next.is_err(), "the change takes longer");
    // Here the caller leaves.
    drop((answers, client));
    let seen = std::sync::Arc::clone(&fixture.seen);
    assert_eq!(seen.changes.load(Ordering::SeqCst), 0);
    assert_eq!(fixture.stop().await, Outcome::Clean);
    assert_eq!(seen.changes.load(Ordering::SeqCst), 1);
}

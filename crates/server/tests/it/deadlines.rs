//! Deadlines end handlers, are strict, and are DEADLINE_EXCEEDED, never CANCELLED.

use std::sync::atomic::Ordering;

use tonic::Code;

use crate::support::{Fixture, tell, tell_with};

#[tokio::test]
async fn an_expired_deadline_is_deadline_exceeded() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("operator").await;
    let status = tell_with(&mut client, "sleep 15000", |request| {
        request.metadata_mut().insert("grpc-timeout", "100m".parse().unwrap());
    })
    .await
    .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!((fixture.begun(), fixture.seen.ended.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test]
async fn the_shorter_of_policy_and_caller_holds() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("operator").await;
    for (asked, at_most) in [(None, 10_000), (Some("99999999S"), 10_000), (Some("3S"), 3_000)] {
        let left = tell_with(&mut client, "deadline", |request| {
            if let Some(asked) = asked {
                request.metadata_mut().insert("grpc-timeout", asked.parse().unwrap());
            }
        })
        .await
        .unwrap();
        let left: u64 = left.parse().unwrap();
        assert!(left <= at_most && left > at_most / 2, "{asked:?}: {left}");
    }
}

#[tokio::test]
async fn a_malformed_deadline_is_refused() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("operator").await;
    for bad in ["", "1", "S", "-1S", "1X", "999999999S", "1.5S"] {
        let status = tell_with(&mut client, "hello", |request| {
            request.metadata_mut().insert("grpc-timeout", bad.parse().unwrap());
        })
        .await
        .unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{bad:?}");
    }
    assert_eq!(fixture.begun(), 0);
}

#[tokio::test]
async fn no_work_begins_after_the_deadline() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("operator").await;
    let status = tell_with(&mut client, "hello", |request| {
        request.metadata_mut().insert("grpc-timeout", "0n".parse().unwrap());
    })
    .await
    .unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(fixture.begun(), 0);
    tell(&mut client, "hello").await.unwrap();
}

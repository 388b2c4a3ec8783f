//! A panic ends one call, and only that.

use futures::channel::mpsc;
use mesh_proto::sentiment::v1::AnalyzeStreamRequest;
use tonic::Code;

use crate::support::{Fixture, tell};

#[tokio::test]
async fn a_panicking_handler_answers_internal_and_the_process_lives() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("operator").await;
    for _ in 0..3 {
        let status = tell(&mut client, "panic").await.unwrap_err();
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("as told"));
    }
    tell(&mut client, "hello").await.unwrap();
}

#[tokio::test]
async fn a_panicking_stream_ends_with_internal() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("operator").await;
    let message = |text: &str| AnalyzeStreamRequest { text: text.into(), ..AnalyzeStreamRequest::default() };
    let (send, messages) = mpsc::unbounded();
    send.unbounded_send(message("one")).unwrap();
    let mut answers = client.analyze_stream(messages).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    send.unbounded_send(message("panic")).unwrap();
    assert_eq!(answers.message().await.unwrap_err().code(), Code::Internal);
    tell(&mut client, "hello").await.unwrap();
}

#[tokio::test]
async fn the_cause_of_a_failure_stays_inside() {
    let fixture = Fixture::start().await;
    let status = tell(&mut fixture.client("operator").await, "fail").await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(!format!("{status:?}").contains("secret"));
}

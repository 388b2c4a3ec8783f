//! Health from readiness, behind the policy.

use mesh_lifecycle::Outcome;
use tonic::Code;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use crate::support::{Fixture, LIMIT, Wire};

const SERVICE: &str = "quipu.sentiment.v1.SentimentService";

fn health(wire: Wire) -> HealthClient<Wire> {
    HealthClient::with_origin(wire, "http://sentiment".parse().unwrap())
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.into() }
}

fn status(response: tonic::Response<HealthCheckResponse>) -> ServingStatus {
    response.into_inner().status()
}

/// Asks until the status is as expected: it follows readiness from a task.
async fn becomes(client: &mut HealthClient<Wire>, service: &str, expected: ServingStatus) {
    tokio::time::timeout(LIMIT, async {
        while status(client.check(of(service)).await.unwrap()) != expected {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn health_follows_readiness_for_the_server_and_each_service() {
    let fixture = Fixture::start().await;
    let mut client = health(fixture.connect("gateway").await);
    for service in ["", SERVICE] {
        becomes(&mut client, service, ServingStatus::Serving).await;
    }
    let gate = fixture.lifecycle().readiness().gate("database");
    for service in ["", SERVICE] {
        becomes(&mut client, service, ServingStatus::NotServing).await;
    }
    gate.open();
    becomes(&mut client, "", ServingStatus::Serving).await;
    assert_eq!(client.check(of("quipu.auth.v1.AuthService")).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn only_who_may_ask_gets_an_answer() {
    let fixture = Fixture::start().await;
    let status = health(fixture.connect("auth").await).check(of("")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    health(fixture.connect("operator").await).check(of("")).await.unwrap();
}

#[tokio::test]
async fn a_watcher_does_not_hold_the_drain() {
    let fixture = Fixture::start().await;
    let mut client = health(fixture.connect("gateway").await);
    let mut watch = client.watch(of("")).await.unwrap().into_inner();
    assert!(watch.message().await.unwrap().is_some());
    let watching = tokio::spawn(async move {
        loop {
            match watch.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return Code::Ok,
                Err(status) => return status.code(),
            }
        }
    });
    assert_eq!(fixture.stop().await, Outcome::Clean);
    assert_eq!(watching.await.unwrap(), Code::Unavailable);
}

#[tokio::test]
async fn a_question_may_not_be_huge() {
    let fixture = Fixture::start().await;
    let mut client = health(fixture.connect("operator").await);
    let status = client.check(of(&"x".repeat(64 * 1024))).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(client.check(of(&"x".repeat(60 * 1024))).await.unwrap_err().code(), Code::NotFound);
}

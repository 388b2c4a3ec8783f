//! Who may not call learns it before a byte of the body is read.

use std::time::Duration;

use mesh_client::Endpoints;
use mesh_error::{Error, Kind};
use mesh_policy::{Contract, Policy};
use mesh_proto::sentiment::v1::sentiment_service_server::SentimentServiceServer;
use mesh_server::Server;
use mesh_testkit::TestMesh;
use tonic::Code;
use tonic::body::Body;

use crate::service::Obedient;
use crate::support::{ANALYZE, Fixture, LIMIT, code, endless, request, tell};

#[tokio::test]
async fn a_forbidden_caller_is_refused_before_its_body_is_read() {
    let fixture = Fixture::start().await;
    let mut wire = fixture.connect("auth").await;
    // The body never comes; who waited for it would wait for ever.
    let response =
        tokio::time::timeout(LIMIT, wire.send(request(ANALYZE, endless()))).await.unwrap().unwrap();
    assert_eq!(code(&response), Some("7"));
    assert_eq!(fixture.begun(), 0);
}

#[tokio::test]
async fn the_refusal_names_its_reason_and_nothing_else() {
    let fixture = Fixture::start().await;
    let status = tell(&mut fixture.client("auth").await, "hello").await.unwrap_err();
    let error = Error::from_status(&status);
    assert_eq!((error.kind(), error.reason()), (Kind::PermissionDenied, mesh_client::CALL_NOT_ALLOWED));
}

#[tokio::test]
async fn a_workload_that_the_policy_does_not_know_is_refused() {
    let fixture = Fixture::start().await;
    let status = tell(&mut fixture.client("stranger").await, "hello").await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(fixture.begun(), 0);
}

#[tokio::test]
async fn an_allowed_caller_is_served_and_known() {
    let fixture = Fixture::start().await;
    let caller = tell(&mut fixture.client("operator").await, "caller").await.unwrap();
    assert_eq!(caller, fixture.mesh.id("operator").unwrap().to_string());
}

#[tokio::test]
async fn no_other_spelling_of_a_path_reaches_a_handler() {
    let fixture = Fixture::start().await;
    let mut wire = fixture.connect("operator").await;
    for path in [
        "/quipu.sentiment.v1.SentimentService/analyze",
        "/quipu.sentiment.v1.SentimentService/Analyze/",
        "//quipu.sentiment.v1.SentimentService/Analyze",
        "/quipu.sentiment.v1.SentimentService/%41nalyze",
        "/quipu.sentiment.v1.SentimentService/Analyze?x=1",
        "/quipu.sentiment.v1.SentimentService/../SentimentService/Analyze",
        "/quipu.auth.v1.AuthService/GetJwks",
        "/nothing/here",
        "/",
    ] {
        let response = wire.send(request(path, Body::empty())).await.unwrap();
        assert_eq!(code(&response), Some("7"), "{path}");
    }
    assert_eq!(fixture.begun(), 0);
}

#[tokio::test]
async fn what_is_no_grpc_call_is_answered_as_such() {
    let fixture = Fixture::start().await;
    let mut wire = fixture.connect("operator").await;
    let mut get = request(ANALYZE, Body::empty());
    *get.method_mut() = http::Method::GET;
    assert_eq!(wire.send(get).await.unwrap().status(), 405);
    for content_type in ["application/json", "application/grpc-web", "application/grpcx"] {
        let mut other = request(ANALYZE, Body::empty());
        other.headers_mut().insert("content-type", content_type.parse().unwrap());
        assert_eq!(wire.send(other).await.unwrap().status(), 415, "{content_type}");
    }
    assert_eq!(fixture.begun(), 0);
}

#[tokio::test]
async fn every_forbidden_pair_is_denied_and_no_allowed_one() {
    let fixture = Fixture::start().await;
    let policy = fixture.mesh.policy().load();
    let (mut allowed, mut denied) = (0, 0);
    for workload in policy.workloads() {
        let mut wire = fixture.connect(&workload.name).await;
        for (callee, caller, path, decision) in policy.pairs() {
            if callee != "sentiment" || *caller != *workload.name {
                continue;
            }
            // A handler that waits for the body answers nothing, so for the allowed ones the wait is short.
            let patience = if decision.is_allowed() { Duration::from_millis(200) } else { LIMIT };
            let response = tokio::time::timeout(patience, wire.send(request(path, endless()))).await;
            if decision.is_allowed() {
                // A token that is missing is another refusal.
                let code = response.map(|response| code(&response.unwrap()).map(str::to_owned));
                assert_ne!(code, Ok(Some("7".to_owned())), "{caller} {path}");
                allowed += 1;
            } else {
                assert_eq!(code(&response.unwrap().unwrap()), Some("7"), "{caller} {path}");
                denied += 1;
            }
        }
    }
    assert!(allowed > 8 && denied > 50, "{allowed} {denied}");
}

#[tokio::test]
async fn a_service_that_the_policy_does_not_give_to_the_workload_is_not_served() {
    let mesh = TestMesh::start().unwrap();
    let view = mesh.mesh_as("auth", Endpoints::new()).unwrap();
    for workload in ["auth", "gateway", "unheard-of"] {
        let server = Server::new(workload, &view, mesh.lifecycle())
            .verifier(mesh.mint().verifier())
            .service(SentimentServiceServer::new(Obedient::default()));
        let error = server.bind("127.0.0.1:0".parse().unwrap()).await.unwrap_err();
        assert!(error.chain().contains("SentimentService"), "{}", error.chain());
    }
}

#[tokio::test]
async fn a_reloaded_policy_holds_for_open_connections() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("operator").await;
    tell(&mut client, "hello").await.unwrap();
    let text = std::fs::read_to_string(fixture.mesh.policy().load().file()).unwrap();
    let stricter = text.replace("      - {from: [operator], deadline: 10s}\n", "");
    Policy::parse("test.yaml", &stricter, Contract::quipu()).unwrap();
    fixture.mesh.policy().reload(&stricter).unwrap();
    assert_eq!(tell(&mut client, "hello").await.unwrap_err().code(), Code::PermissionDenied);
}

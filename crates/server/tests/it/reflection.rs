//! Reflection, behind the policy and limited to what is served.

use futures::stream;
use tonic::Code;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::support::{Fixture, Wire};

fn reflection(wire: Wire) -> ServerReflectionClient<Wire> {
    ServerReflectionClient::with_origin(wire, "http://sentiment".parse().unwrap())
}

async fn ask(wire: Wire, question: MessageRequest) -> Result<ServerReflectionResponse, tonic::Status> {
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
    let mut answers = reflection(wire).server_reflection_info(stream::iter([request])).await?.into_inner();
    Ok(answers.message().await?.unwrap())
}

#[tokio::test]
async fn it_lists_what_is_served_and_nothing_else() {
    let fixture = Fixture::start().await;
    let response =
        ask(fixture.connect("operator").await, MessageRequest::ListServices(String::new())).await.unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = response.message_response else {
        panic!("{response:?}")
    };
    let mut names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(
        names,
        [
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
            "quipu.sentiment.v1.SentimentService"
        ]
    );
}

#[tokio::test]
async fn it_describes_what_is_served_and_hides_the_rest() {
    let fixture = Fixture::start().await;
    let symbol = |name: &str| MessageRequest::FileContainingSymbol(name.into());
    let own =
        ask(fixture.connect("operator").await, symbol("quipu.sentiment.v1.SentimentService")).await.unwrap();
    assert!(matches!(own.message_response, Some(MessageResponse::FileDescriptorResponse(_))));
    let foreign = ask(fixture.connect("operator").await, symbol("quipu.auth.v1.AuthService")).await;
    let described = matches!(
        foreign.map(|response| response.message_response),
        Ok(Some(MessageResponse::FileDescriptorResponse(_)))
    );
    assert!(!described);
}

#[tokio::test]
async fn only_who_may_ask_gets_an_answer() {
    let fixture = Fixture::start().await;
    let wire = fixture.connect("gateway").await;
    let status = ask(wire, MessageRequest::ListServices(String::new())).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn a_question_may_not_be_huge() {
    let fixture = Fixture::start().await;
    for (bytes, answered) in [(60 * 1024, true), (64 * 1024, false)] {
        let question = MessageRequest::FileContainingSymbol("x".repeat(bytes));
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(question) };
        let mut client = reflection(fixture.connect("operator").await);
        let mut answers = client.server_reflection_info(stream::iter([request])).await.unwrap().into_inner();
        // A symbol that nobody has is an error; what is too large ends the conversation without a word.
        assert_eq!(answers.message().await.is_err(), answered, "{bytes}");
    }
}

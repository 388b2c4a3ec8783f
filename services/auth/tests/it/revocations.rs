//! Verifiers elsewhere in the mesh hear of revocations.

use std::sync::Arc;

use futures::StreamExt;
use futures::stream::BoxStream;
use mesh_client::Endpoints;
use mesh_client::auth::{RemoteAuth, token_verifier};
use mesh_error::BoxError;
use mesh_identity::{Profile, RevocationEvent, RevocationSource, RevokedSubject};
use mesh_proto::auth::v1 as pb;
use mesh_testkit::on_both;
use tonic::Code;

use crate::support::{Fixture, PATIENCE, until};

on_both!(
    a_verifier_of_another_workload_refuses_within_seconds,
    the_stream_resumes_and_ends_with_the_service,
    a_session_can_be_asked_for,
);

async fn a_verifier_of_another_workload_refuses_within_seconds(fixture: Fixture) {
    let endpoints = Endpoints::new().with("auth", fixture.addr);
    let sentiment = fixture.mesh.mesh_as("sentiment", endpoints).unwrap();
    let verifier = token_verifier(&sentiment, Profile::default(), fixture.mesh.lifecycle()).unwrap();
    let (ana, bob) = (fixture.signed_in("ana").await, fixture.signed_in("bob").await);
    verifier.verify(&ana.access_token).await.unwrap();
    verifier.verify(&bob.access_token).await.unwrap();
    let request = pb::LogoutRequest { refresh_token: ana.refresh_token };
    fixture.gateway.clone().logout(request).await.unwrap();
    until("the token is refused", || async { verifier.verify(&ana.access_token).await.is_err() }).await;
    verifier.verify(&bob.access_token).await.unwrap();
}

type Events = BoxStream<'static, Result<RevocationEvent, BoxError>>;

async fn next(events: &mut Events) -> RevocationEvent {
    tokio::time::timeout(PATIENCE, events.next()).await.unwrap().unwrap().unwrap()
}

async fn the_stream_resumes_and_ends_with_the_service(fixture: Fixture) {
    let endpoints = Endpoints::new().with("auth", fixture.addr);
    let channel = fixture.mesh.mesh_as("sentiment", endpoints).unwrap().channel("auth").unwrap();
    let remote = Arc::new(RemoteAuth::new(channel));
    let mut last = 0;
    for name in ["ana", "bob"] {
        let tokens = fixture.signed_in(name).await;
        fixture
            .gateway
            .clone()
            .logout(pb::LogoutRequest { refresh_token: tokens.refresh_token })
            .await
            .unwrap();
        let mut events = remote.watch(last).await.unwrap();
        let revocation = loop {
            if let RevocationEvent::Revoked(revocation) = next(&mut events).await {
                break revocation;
            }
        };
        assert!(matches!(revocation.subject, RevokedSubject::Session(_)));
        assert_eq!(revocation.cursor, last + 1);
        last = revocation.cursor;
        assert_eq!(next(&mut events).await, RevocationEvent::Heartbeat { cursor: last });
    }
    let mut events = remote.watch(last).await.unwrap();
    let ended = tokio::spawn(async move { while let Some(Ok(_)) = events.next().await {} });
    let stopped = tokio::time::timeout(PATIENCE, fixture.mesh.stop()).await;
    assert!(stopped.is_ok(), "the stream must not hold the drain");
    tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap();
}

async fn a_session_can_be_asked_for(fixture: Fixture) {
    let tokens = fixture.signed_in("ana").await;
    let mut sentiment = fixture.as_workload("sentiment");
    let me = fixture.me(&tokens.access_token).await.unwrap();
    let list = fixture.with_token(&tokens.access_token, pb::ListSessionsRequest::default());
    let sessions = fixture.gateway.clone().list_sessions(list).await.unwrap().into_inner().sessions;
    let session = sessions.first().unwrap();
    let ask = |session_id: &str, user_id: &str| pb::CheckSessionRequest {
        session_id: session_id.to_owned(),
        user_id: user_id.to_owned(),
        issued_at: session.created_at,
    };
    for (session_id, user_id, active) in
        [(session.id.as_str(), me.id.as_str(), true), ("x", &me.id, false), (&session.id, "x", false)]
    {
        let answer = sentiment.check_session(ask(session_id, user_id)).await.unwrap().into_inner();
        assert_eq!(answer.active, active);
    }
    let without = pb::CheckSessionRequest { issued_at: None, ..ask("x", "x") };
    assert_eq!(sentiment.check_session(without).await.unwrap_err().code(), Code::InvalidArgument);
}

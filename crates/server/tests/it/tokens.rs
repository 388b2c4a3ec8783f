//! The user's token, where the rule asks for one.

use mesh_error::Error;
use mesh_identity::{Revocation, RevokedSubject};
use mesh_testkit::TokenMint;
use tonic::{Code, Status};

use crate::support::{Fixture, bearer, tell, tell_with};

/// What a caller can tell two refusals apart by.
fn visible(status: &Status) -> (Code, String, Vec<u8>) {
    (status.code(), status.message().to_owned(), status.details().to_vec())
}

#[tokio::test]
async fn a_good_token_makes_the_user_known() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("gateway").await;
    let token = fixture.mesh.mint().user("alice").scopes("sentiment:analyze").unwrap().sign().unwrap();
    assert_eq!(tell_with(&mut client, "user", bearer(&token)).await.unwrap(), "alice");
}

#[tokio::test]
async fn every_bad_token_is_refused_alike_before_the_handler() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("gateway").await;
    let mint = fixture.mesh.mint();
    let good = mint.user("alice").scopes("sentiment:analyze").unwrap();
    let signed = good.sign().unwrap();
    let foreign =
        TokenMint::new().unwrap().user("alice").scopes("sentiment:analyze").unwrap().sign().unwrap();
    let expired =
        good.clone().with(|claims| (claims.iat, claims.nbf, claims.exp) = (1, 1, 2)).sign().unwrap();
    let audience = good.clone().with(|claims| claims.aud = "another".into()).sign().unwrap();
    let mut flipped = signed.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();

    let missing = tell(&mut client, "user").await.unwrap_err();
    assert_eq!(missing.code(), Code::Unauthenticated);
    for bad in [&foreign, &expired, &audience, &flipped, "x", "a.b.c"] {
        let status = tell_with(&mut client, "user", bearer(bad)).await.unwrap_err();
        assert_eq!(visible(&status), visible(&missing), "{bad}");
    }
    let twice = tell_with(&mut client, "user", |request| {
        bearer(&signed)(request);
        bearer(&signed)(request);
    });
    assert_eq!(visible(&twice.await.unwrap_err()), visible(&missing));
    assert_eq!(fixture.begun(), 0);
}

#[tokio::test]
async fn a_token_without_the_scope_is_not_enough() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("gateway").await;
    let token = fixture.mesh.mint().user("alice").scopes("sentiment:read").unwrap().sign().unwrap();
    let status = tell_with(&mut client, "user", bearer(&token)).await.unwrap_err();
    let error = Error::from_status(&status);
    assert_eq!((status.code(), error.reason()), (Code::PermissionDenied, "INSUFFICIENT_SCOPE"));
    assert!(!mesh_client::is_own_denial(&error));
    assert_eq!(fixture.begun(), 0);
}

#[tokio::test]
async fn a_revoked_session_is_refused_at_once() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("gateway").await;
    let mint = fixture.mesh.mint();
    let token = mint.user("alice").scopes("sentiment:analyze").unwrap();
    let signed = token.sign().unwrap();
    tell_with(&mut client, "user", bearer(&signed)).await.unwrap();
    let subject = RevokedSubject::Session(token.claims.sid.clone());
    mint.revocations().apply(Revocation { subject, revoked_at: token.claims.iat + 1, cursor: 1 });
    let status = tell_with(&mut client, "user", bearer(&signed)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn where_no_user_is_asked_for_no_token_is_looked_at_or_passed_on() {
    let fixture = Fixture::start().await;
    let mut client = fixture.client("operator").await;
    assert_eq!(tell_with(&mut client, "user", bearer("rubbish")).await.unwrap(), "nobody");
    assert_eq!(tell_with(&mut client, "authorization", bearer("rubbish")).await.unwrap(), "None");
}

#[tokio::test]
async fn a_server_without_a_verifier_does_not_start_where_users_are_asked_for() {
    let mesh = mesh_testkit::TestMesh::start().unwrap();
    let view = mesh.mesh_as("sentiment", mesh_client::Endpoints::new()).unwrap();
    let server = mesh_server::Server::new("sentiment", &view, mesh.lifecycle());
    assert!(server.bind("127.0.0.1:0".parse().unwrap()).await.is_err());
}

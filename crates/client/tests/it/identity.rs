//! Who is called, and in whose name.

use std::sync::Arc;

use mesh_client::{CALL_NOT_ALLOWED, CallContext, UPSTREAM_UNREACHABLE, is_own_denial};
use mesh_error::{Error, Kind};
use mesh_identity::{Claims, Scopes, User};
use mesh_proto::auth::v1::{GetJwksRequest, GetJwksResponse, GetMeRequest, GetMeResponse};

use crate::support::{Fake, World, get_jwks, ok, register, status};

#[tokio::test]
async fn another_workload_than_the_one_meant_gets_no_byte_of_the_request() {
    let world = World::new();
    let impostor = Fake::of(world.tls("sentiment"), |_| async { ok(&GetJwksResponse::default()) }).await;
    let client = world.client(&[&impostor]);
    for error in [get_jwks(&client).await.unwrap_err(), register(&client).await.unwrap_err()] {
        assert_eq!((error.kind(), error.reason()), (Kind::Unavailable, UPSTREAM_UNREACHABLE));
    }
    // The handshake fails on its side too, so that nothing could follow it.
    assert_eq!((impostor.connections(), impostor.called()), (0, 0));

    let auth = Fake::auth(&world, |_| async { ok(&GetJwksResponse::default()) }).await;
    get_jwks(&world.client(&[&auth])).await.expect("the right one is called");
    assert_eq!(auth.connections(), 1);
}

#[tokio::test]
async fn a_server_of_another_authority_is_refused() {
    let (world, elsewhere) = (World::new(), World::new());
    let foreign = Fake::auth(&elsewhere, |_| async { ok(&GetJwksResponse::default()) }).await;
    let error = get_jwks(&world.client(&[&foreign])).await.unwrap_err();
    assert_eq!(error.reason(), UPSTREAM_UNREACHABLE);
    assert_eq!(foreign.called(), 0);
}

fn ann() -> User {
    let claims = Claims {
        iss: "i".into(),
        sub: "ann".into(),
        aud: "a".into(),
        exp: 0,
        iat: 0,
        nbf: 0,
        jti: "j".into(),
        sid: "s".into(),
        scope: Scopes::default(),
        roles: vec![],
        client_id: None,
    };
    User { claims: Arc::new(claims), token: "anns.own.token".into() }
}

#[tokio::test]
async fn the_users_token_goes_where_the_policy_wants_a_user_and_nowhere_else() {
    let world = World::new();
    let auth = Fake::auth(&world, |call| async move {
        if call.path.ends_with("/GetMe") {
            ok(&GetMeResponse::default())
        } else {
            ok(&GetJwksResponse::default())
        }
    });
    let auth = auth.await;
    let mut client = world.client(&[&auth]);
    let context = CallContext { deadline: None, user: Some(ann()) };
    client.get_me(context.request(GetMeRequest {})).await.expect("an answer");
    client.get_jwks(context.request(GetJwksRequest {})).await.expect("an answer");
    let sent: Vec<_> = auth.calls().iter().map(|call| call.headers.get("authorization").cloned()).collect();
    assert_eq!(sent[0].as_ref().expect("a token"), "Bearer anns.own.token");
    assert_eq!(sent[1], None);
}

#[tokio::test]
async fn a_denial_of_the_workload_is_told_from_one_of_the_user() {
    let world = World::new();
    let auth = Fake::auth(&world, |call| async move {
        let reason = if call.number == 0 { CALL_NOT_ALLOWED } else { "MISSING_SCOPE" };
        status(Error::denied(reason, "no"))
    });
    let auth = auth.await;
    let client = world.client(&[&auth]);
    assert!(is_own_denial(&get_jwks(&client).await.unwrap_err()));
    let of_user = get_jwks(&client).await.unwrap_err();
    assert!(of_user.kind() == Kind::PermissionDenied && !is_own_denial(&of_user));
}

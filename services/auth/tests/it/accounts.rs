//! What a person does, from the first day to the last.

use mesh_error::Error;
use mesh_proto::auth::v1 as pb;
use mesh_testkit::on_both;
use tonic::Code;

use crate::support::{ADMIN, Fixture, PASSWORD, home, reason, until};

on_both!(
    a_person_registers_signs_in_and_out,
    a_key_works_until_it_is_revoked,
    every_wrong_field_is_named,
    a_guesser_is_told_when_to_come_back,
    fifty_refreshes_at_once_agree,
    an_administrator_lists_pages_and_disables,
    the_public_keys_are_public,
    odd_ids_name_nothing,
);

async fn a_person_registers_signs_in_and_out(fixture: Fixture) {
    let tokens = fixture.signed_in("ana").await;
    let me = fixture.me(&tokens.access_token).await.unwrap();
    assert_eq!((me.email.as_str(), me.roles.as_slice()), ("ana@example.com", ["user".to_owned()].as_slice()));
    let again = fixture.register("ANA").await.unwrap_err();
    assert_eq!((again.code(), reason(&again).as_str()), (Code::AlreadyExists, "EMAIL_TAKEN"));

    let request = fixture.with_token(&tokens.access_token, pb::ListSessionsRequest::default());
    let sessions = fixture.gateway.clone().list_sessions(request).await.unwrap().into_inner().sessions;
    assert_eq!(sessions.len(), 1);
    let session = sessions.first().unwrap();
    assert!(session.current && session.client.as_ref() == Some(&home()));

    let next = fixture.refresh(&tokens.refresh_token).await.unwrap();
    let request = pb::LogoutRequest { refresh_token: next.refresh_token.clone() };
    fixture.gateway.clone().logout(request).await.unwrap();
    let refused = fixture.refresh(&next.refresh_token).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "INVALID_REFRESH_TOKEN"));
    until("the access token is refused", || async {
        fixture.me(&next.access_token).await.is_err_and(|status| status.code() == Code::Unauthenticated)
    })
    .await;
}

async fn a_key_works_until_it_is_revoked(fixture: Fixture) {
    let tokens = fixture.signed_in("ana").await;
    let mut gateway = fixture.gateway.clone();
    let new = pb::CreateApiKeyRequest {
        name: "laptop".to_owned(),
        scopes: vec!["profile:read".to_owned(), "sentiment:analyze".to_owned()],
        expires_at: None,
    };
    let made =
        gateway.create_api_key(fixture.with_token(&tokens.access_token, new)).await.unwrap().into_inner();
    let key = made.api_key.unwrap();
    assert!(made.secret.starts_with(&format!("{}_", key.prefix)));

    let exchange = pb::ExchangeTokenRequest {
        subject_token: made.secret.clone(),
        subject_token_type: pb::SubjectTokenType::ApiKey.into(),
        scopes: vec!["profile:read".to_owned()],
    };
    let token = gateway.exchange_token(exchange.clone()).await.unwrap().into_inner();
    assert_eq!(token.scopes, ["profile:read"]);
    fixture.me(&token.access_token).await.unwrap();
    let denied = fixture.with_token(&token.access_token, pb::ListApiKeysRequest::default());
    assert_eq!(gateway.list_api_keys(denied).await.unwrap_err().code(), Code::PermissionDenied);
    let verified =
        gateway.verify_api_key(pb::VerifyApiKeyRequest { api_key: made.secret }).await.unwrap().into_inner();
    assert_eq!(verified.roles, ["user"]);

    let revoke = pb::RevokeApiKeyRequest { api_key_id: key.id };
    gateway.revoke_api_key(fixture.with_token(&tokens.access_token, revoke)).await.unwrap();
    assert_eq!(reason(&gateway.exchange_token(exchange).await.unwrap_err()), "INVALID_API_KEY");
    until("its token is refused", || async { fixture.me(&token.access_token).await.is_err() }).await;
    fixture.me(&tokens.access_token).await.unwrap();
}

async fn every_wrong_field_is_named(fixture: Fixture) {
    let request = pb::RegisterRequest {
        email: "nobody".to_owned(),
        password: "password1".to_owned(),
        display_name: "line\nbreak".to_owned(),
        client: None,
    };
    let error = Error::from_status(&fixture.gateway.clone().register(request).await.unwrap_err());
    let fields: Vec<_> = error.violations().iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["email", "password", "display_name"]);
    assert_eq!(fixture.login("ana", &"x".repeat(1_537)).await.unwrap_err().code(), Code::InvalidArgument);
}

async fn a_guesser_is_told_when_to_come_back(fixture: Fixture) {
    fixture.register("ana").await.unwrap();
    let refused = loop {
        let status = fixture.login("ana", "not the password").await.unwrap_err();
        if status.code() != Code::Unauthenticated {
            break status;
        }
        assert_eq!(reason(&status), "INVALID_CREDENTIALS");
    };
    let error = Error::from_status(&refused);
    assert_eq!((refused.code(), error.reason()), (Code::ResourceExhausted, "TOO_MANY_ATTEMPTS"));
    assert!(error.retry_after().is_some_and(|wait| !wait.is_zero()));
}

async fn fifty_refreshes_at_once_agree(fixture: Fixture) {
    let tokens = fixture.signed_in("ana").await;
    let racers = (0..50).map(|_| fixture.refresh(&tokens.refresh_token));
    let mut successors: Vec<_> =
        futures::future::join_all(racers).await.into_iter().map(|next| next.unwrap().refresh_token).collect();
    successors.dedup();
    assert_eq!(successors.len(), 1);
    fixture.refresh(successors.first().unwrap()).await.unwrap();
}

async fn an_administrator_lists_pages_and_disables(fixture: Fixture) {
    let ana = fixture.signed_in("ana").await;
    fixture.register("bob").await.unwrap();
    let root = fixture.login(ADMIN.split('@').next().unwrap(), PASSWORD).await.unwrap().access_token;
    let mut gateway = fixture.gateway.clone();
    let refused = fixture.with_token(&ana.access_token, pb::ListUsersRequest::default());
    assert_eq!(gateway.list_users(refused).await.unwrap_err().code(), Code::PermissionDenied);

    let mut request = pb::ListUsersRequest { page_size: 2, page_token: String::new() };
    let first = gateway.list_users(fixture.with_token(&root, request.clone())).await.unwrap().into_inner();
    request.page_token = first.next_page_token;
    let second = gateway.list_users(fixture.with_token(&root, request.clone())).await.unwrap().into_inner();
    assert_eq!((first.users.len(), second.users.len(), second.next_page_token.as_str()), (2, 1, ""));
    request.page_token.push('A');
    let tampered = gateway.list_users(fixture.with_token(&root, request)).await.unwrap_err();
    assert_eq!(tampered.code(), Code::InvalidArgument);

    let id = fixture.me(&ana.access_token).await.unwrap().id;
    let disable = pb::UpdateUserRequest {
        user_id: id,
        disabled: true,
        roles: vec![],
        update_mask: Some(prost_types::FieldMask { paths: vec!["disabled".to_owned()] }),
    };
    let user =
        gateway.update_user(fixture.with_token(&root, disable)).await.unwrap().into_inner().user.unwrap();
    assert!(user.disabled && user.roles == ["user"]);
    until("her token is refused", || async { fixture.me(&ana.access_token).await.is_err() }).await;
    assert_eq!(reason(&fixture.login("ana", PASSWORD).await.unwrap_err()), "INVALID_CREDENTIALS");
}

async fn the_public_keys_are_public(fixture: Fixture) {
    let mut operator = fixture.as_workload("operator");
    let jwks = operator.get_jwks(pb::GetJwksRequest {}).await.unwrap().into_inner().jwks;
    let set: serde_json::Value = serde_json::from_str(&jwks).unwrap();
    let keys = set.get("keys").and_then(|keys| keys.as_array()).unwrap();
    assert_eq!(keys.len(), 1);
    for part in ["d", "p", "q", "k"] {
        assert!(keys.iter().all(|key| key.get(part).is_none()), "{part}");
    }
}

async fn odd_ids_name_nothing(fixture: Fixture) {
    let ana = fixture.signed_in("ana").await.access_token;
    let root = fixture.login("root", PASSWORD).await.unwrap().access_token;
    let mut gateway = fixture.gateway.clone();
    let unknown = "0".repeat(22);
    let long = "0".repeat(30_000);
    for id in ["", "\0", "a\0b", "%00", "../x", "' OR 1=1 --", "é", &unknown, &long] {
        let session = pb::EndSessionRequest { session_id: id.to_owned() };
        let session = gateway.end_session(fixture.with_token(&ana, session)).await.unwrap_err();
        let key = pb::RevokeApiKeyRequest { api_key_id: id.to_owned() };
        let key = gateway.revoke_api_key(fixture.with_token(&ana, key)).await.unwrap_err();
        let user = pb::GetUserRequest { user_id: id.to_owned() };
        let user = gateway.get_user(fixture.with_token(&root, user)).await.unwrap_err();
        for refused in [session, key, user] {
            assert_eq!(refused.code(), Code::NotFound, "{id:?}: {refused:?}");
        }
        let check = pb::CheckSessionRequest {
            session_id: id.to_owned(),
            user_id: id.to_owned(),
            issued_at: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: -1 }),
        };
        assert!(!gateway.check_session(check).await.unwrap().into_inner().active);
    }
    for text in ["\0", "a\0b", "\u{2028}", "\u{feff}"] {
        let login = fixture.login(text, text).await.unwrap_err();
        assert_eq!(login.code(), Code::InvalidArgument, "{text:?}");
        let verify = pb::VerifyApiKeyRequest { api_key: text.to_owned() };
        assert_eq!(gateway.verify_api_key(verify).await.unwrap_err().code(), Code::Unauthenticated);
        assert_eq!(fixture.refresh(text).await.unwrap_err().code(), Code::Unauthenticated);
        let name = pb::CreateApiKeyRequest {
            name: text.to_owned(),
            scopes: vec![text.to_owned()],
            expires_at: Some(prost_types::Timestamp { seconds: i64::MIN, nanos: i32::MIN }),
        };
        assert_eq!(
            gateway.create_api_key(fixture.with_token(&ana, name)).await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
}

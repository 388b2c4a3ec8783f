//! Tokens at the edge of the profile that must be believed: a verifier that refuses everything is no verifier.

use std::sync::Arc;

use mesh_identity::{Principal, Revocations, SpiffeId, TokenError, TokenVerifier, User};
use serde_json::json;

use crate::support::{Forger, Issuer, NOW, TestClock, b64, claims, payload, verifier};

#[tokio::test]
async fn what_is_signed_is_what_is_read() {
    let forger = Forger::new();
    let verifier = verifier(&Issuer::of(&[&forger.key]), Revocations::local(), &TestClock::new());
    for client_id in [None, Some("cli".to_owned())] {
        let mut claims = claims();
        claims.client_id = client_id;
        let token = forger.key.sign(&claims).unwrap();
        assert_eq!(*verifier.verify(&token).await.unwrap(), claims);
    }
}

#[tokio::test]
async fn the_edge_of_each_limit_is_inside() {
    let forger = Forger::new();
    let verifier = verifier(&Issuer::of(&[&forger.key]), Revocations::local(), &TestClock::new());
    let good = payload();
    let with = |changes: serde_json::Value| {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        forger.with_payload(&claims.to_string())
    };
    let header = forger.header();
    let spaced =
        format!("\n {{ \"kid\" : {} , \"typ\":\"at+jwt\", \"alg\":\"EdDS\\u0041\" }} ", header["kid"]);
    for (name, token) in [
        ("expires in a second", with(json!({"iat": NOW - 599, "nbf": NOW - 599, "exp": NOW + 1}))),
        ("lives an hour", with(json!({"exp": NOW + 3600}))),
        ("issued five seconds from now", with(json!({"iat": NOW + 5, "nbf": NOW + 5}))),
        ("usable before it was issued", with(json!({"nbf": 0}))),
        ("no scopes", with(json!({"scope": ""}))),
        ("no roles", with(json!({"roles": []}))),
        ("unknown claims", with(json!({"act": {"sub": "tasks"}, "email": null, "x": [[[[[[1]]]]]]}))),
        ("a long id", with(json!({"sub": "x".repeat(128)}))),
        ("header in another order with spaces", forger.text(&spaced, &good.to_string())),
    ] {
        assert!(verifier.verify(&token).await.is_ok(), "{name}: {:?}", verifier.verify(&token).await);
    }
}

#[tokio::test]
async fn a_token_of_exactly_the_longest_length_is_read() {
    let forger = Forger::new();
    let verifier = verifier(&Issuer::of(&[&forger.key]), Revocations::local(), &TestClock::new());
    let padded = |n: usize| {
        let mut claims = payload();
        claims["pad"] = json!("x".repeat(n));
        forger.with_payload(&claims.to_string())
    };
    let n = (5_000..7_000).find(|n| padded(*n).len() == 8 * 1024).unwrap();
    assert!(verifier.verify(&padded(n)).await.is_ok());
    assert_eq!(verifier.verify(&padded(n + 3)).await, Err(TokenError::Invalid("too_long")));
}

#[tokio::test]
async fn a_principal_never_shows_its_token() {
    let forger = Forger::new();
    let token = forger.key.sign(&claims()).unwrap();
    let user = User { claims: Arc::new(claims()), token: token.as_str().into() };
    let workload: SpiffeId = "spiffe://quipu.local/ns/quipu/sa/gateway".parse().unwrap();
    let shown = format!("{:?}", Principal { workload, user: Some(user) });
    assert!(shown.contains("user-1") && shown.contains("session-1"), "{shown}");
    for part in token.split('.').chain(["profile:read", &b64("x")]) {
        assert!(!shown.contains(part), "{shown}");
    }
}

#[test]
fn what_is_shared_between_tasks_may_be() {
    fn shared<T: Send + Sync + Clone + 'static>() {}
    fn sent<T: Send>(_: &T) {}
    shared::<TokenVerifier>();
    shared::<Revocations>();
    shared::<Principal>();
    let verifier = verifier(&Issuer::of(&[&Forger::new().key]), Revocations::local(), &TestClock::new());
    sent(&verifier.verify(""));
    sent(&mesh_identity::follow_revocations(Revocations::local(), Default::default()));
}

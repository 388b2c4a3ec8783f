//! What a service's failure becomes outside.

use serde_json::json;

use crate::world::{Reply, World};

async fn login(world: &World, email: &str) -> Reply {
    let reply = world.post("/v1/auth/login", json!({"email": email, "password": "p"})).await;
    assert!(!reply.text.contains("canary"), "no text of the inside: {}", reply.text);
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn details_are_kept() {
    let world = World::start().await;
    let invalid = login(&world, "kind-invalid").await;
    assert_eq!(invalid.problem()["errors"], json!([{"field": "email", "detail": "is not an address"}]));
    let exhausted = login(&world, "kind-exhausted").await;
    assert_eq!((exhausted.status, exhausted.reason().as_str()), (429, "TOO_MANY_FAILURES"));
    assert_eq!(exhausted.header("retry-after"), "7");
    assert_eq!(exhausted.problem()["retry_after"], 7);
    let credentials = login(&world, "kind-credentials").await;
    assert_eq!((credentials.status, credentials.reason().as_str()), (401, "INVALID_CREDENTIALS"));
    assert!(credentials.header("www-authenticate").starts_with("Bearer"));
    assert_eq!(login(&world, "kind-too-large").await.status, 413);
    assert_eq!(login(&world, "kind-not-found").await.problem()["detail"], "account not found");
    assert_eq!(login(&world, "kind-internal").await.problem()["detail"], "internal error");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_of_the_gateway_itself_is_our_fault_and_one_of_a_user_is_not() {
    let world = World::start().await;
    assert_eq!(login(&world, "kind-own-denial").await.status, 500);
    assert_eq!(login(&world, "kind-denied").await.status, 403);
    let exchange = world.request("GET", "/v1/auth/me").header("x-api-key", "qp_kind-own-denial");
    assert_eq!(crate::world::send(exchange).await.status, 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_deadline_is_a_504() {
    let world = World::start().await;
    let reply = login(&world, "sleeper").await;
    assert_eq!((reply.status, reply.reason().as_str()), (504, "DEADLINE_EXCEEDED"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_names_its_request_and_path() {
    let world = World::start().await;
    let request = world.request("POST", "/v1/auth/login").header("x-request-id", "mine-1");
    let reply = crate::world::send(request.json(&json!({"email": "code-5", "password": "p"}))).await;
    assert_eq!(reply.header("x-request-id"), "mine-1");
    let problem = reply.problem();
    assert_eq!((&problem["request_id"], &problem["instance"]), (&json!("mine-1"), &json!("/v1/auth/login")));
}

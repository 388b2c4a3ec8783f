//! Tokens: who gets in, who does not, and what they are told.

use serde_json::json;

use crate::world::{ALL_SCOPES, World, send};

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_in_and_sees_the_own_account() {
    let world = World::start().await;
    let login =
        world.post("/v1/auth/login", json!({"email": "a@example.com", "password": "correct horse"})).await;
    assert_eq!(login.status, 200, "{}", login.text);
    assert_eq!(login.json()["token_type"], "Bearer");
    assert_eq!(login.header("cache-control"), "no-store");
    let token = login.json()["access_token"].as_str().unwrap().to_owned();
    let me = send(world.request("GET", "/v1/auth/me").bearer_auth(token)).await;
    assert_eq!(me.status, 200, "{}", me.text);
    assert_eq!(me.json()["user"]["id"], "u1");
    assert_eq!(me.json()["user"]["created_at"], "2023-11-14T22:13:20Z");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_every_protected_route_is_a_401_with_a_challenge() {
    let world = World::start().await;
    for (method, path) in
        [("GET", "/v1/auth/me"), ("POST", "/v1/sentiment"), ("GET", "/v1/users"), ("GET", "/v1/mesh")]
    {
        let reply = send(world.request(method, path)).await;
        assert_eq!(reply.status, 401, "{path}");
        assert_eq!(reply.reason(), "UNAUTHENTICATED");
        assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"quipu\"");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_tokens_are_all_refused_alike() {
    let world = World::start().await;
    let good = world.token(ALL_SCOPES);
    let expired = world.mesh.mint().user("u1").with(|c| c.exp = c.iat - 100).with(|c| c.iat -= 200).sign();
    let other_audience = world.mesh.mint().user("u1").with(|c| c.aud = "other".into()).sign();
    let foreign = mesh_testkit::TokenMint::new().unwrap().user("u1").sign().unwrap();
    let mut flipped = good.clone();
    flipped.pop();
    let mut bodies = Vec::new();
    for bad in [Some(foreign), Some(flipped), expired.ok(), other_audience.ok(), Some("a.b.c".into())] {
        let Some(bad) = bad else { continue };
        let reply = send(world.request("GET", "/v1/auth/me").bearer_auth(bad)).await;
        assert_eq!(reply.status, 401);
        assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"quipu\", error=\"invalid_token\"");
        let problem = reply.problem();
        bodies.push((problem["reason"].clone(), problem["detail"].clone()));
    }
    assert!(bodies.len() >= 3);
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "one answer for every fault: {bodies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_scope_is_refused_at_the_edge_and_named() {
    let world = World::start().await;
    let reply = send(world.request("GET", "/v1/users").bearer_auth(world.token("profile:read"))).await;
    assert_eq!(reply.status, 403);
    assert_eq!(reply.reason(), "INSUFFICIENT_SCOPE");
    assert!(reply.header("www-authenticate").contains("scope=\"users:admin\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_session_is_refused_within_five_seconds() {
    let world = World::start().await;
    let token = world.mesh.mint().user("u1").scopes(ALL_SCOPES).unwrap().with(|c| c.sid = "s-1".into());
    let token = token.sign().unwrap();
    let me = || send(world.request("GET", "/v1/auth/me").bearer_auth(&token));
    assert_eq!(me().await.status, 200);
    world.auth.revoke("s-1");
    let gone = async {
        while me().await.status == 200 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        me().await.status
    };
    let status = tokio::time::timeout(std::time::Duration::from_secs(5), gone).await.unwrap();
    assert_eq!(status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_the_account_and_admin_routes_answer_as_documented() {
    let world = World::start().await;
    let token = world.token(ALL_SCOPES);
    let signed_in = |method: &str, path: &str| world.request(method, path).bearer_auth(&token);
    let put =
        signed_in("PUT", "/v1/auth/password").json(&json!({"current_password": "a", "new_password": "b"}));
    assert_eq!(send(put).await.status, 204);
    assert_eq!(world.post("/v1/auth/logout", json!({"refresh_token": "r"})).await.status, 204);
    assert_eq!(world.post("/v1/auth/refresh", json!({"refresh_token": "r"})).await.status, 401);
    assert_eq!(world.get("/v1/auth/sessions").await.json(), json!({"sessions": []}));
    assert_eq!(world.get("/v1/auth/api-keys").await.json(), json!({"api_keys": []}));
    assert_eq!(send(signed_in("DELETE", "/v1/auth/sessions/s1")).await.status, 404);
    assert_eq!(send(signed_in("DELETE", "/v1/auth/api-keys/k1")).await.status, 204);
    let users = world.get("/v1/users?page_size=2").await.json();
    assert_eq!(users["users"].as_array().unwrap().len(), 2);
    assert_eq!(users["next_page_token"], "next");
    assert_eq!(world.get("/v1/users/u7").await.json()["user"]["id"], "u7");
    let patch = signed_in("PATCH", "/v1/users/u7").json(&json!({"disabled": true}));
    assert_eq!(send(patch).await.json()["user"]["disabled"], true);
    let nothing = send(signed_in("PATCH", "/v1/users/u7").json(&json!({}))).await;
    assert_eq!(nothing.status, 400);
    assert_eq!(send(signed_in("GET", "/v1/users?page_size=0")).await.status, 400);
    assert_eq!(send(signed_in("GET", "/v1/users/a%00b")).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn sentiment_answers_have_the_documented_form() {
    let world = World::start().await;
    let one = world.post_signed_in("/v1/sentiment", json!({"text": "good"})).await.json();
    assert_eq!(one["label"], "positive");
    assert_eq!(one["score"], 0.5);
    assert_eq!(one["model"]["name"], "fake");
    assert!(one.get("words").is_none());
    let explained =
        world.post_signed_in("/v1/sentiment", json!({"text": "good", "explain": true})).await.json();
    assert_eq!(explained["words"][0]["weight"], 0.5);
    let batch =
        world.post_signed_in("/v1/sentiment/batch", json!({"texts": ["good", "", "bad"]})).await.json();
    assert_eq!(batch["results"][0]["label"], "positive");
    assert_eq!(
        batch["results"][1],
        json!({"error": {"reason": "TEXT_EMPTY", "detail": "is empty", "field": "text"}})
    );
    assert_eq!(batch["results"][2]["label"], "negative");
    let models = world.get("/v1/sentiment/models").await.json();
    assert_eq!(models["models"][0]["labels"], json!(["positive", "negative"]));
}

//! Writes that are sent again, with keys kept in process and in Redis: the same tests on both.

use std::{sync::atomic::Ordering, time::Duration};

use mesh_config::Secret;
use serde_json::{Value, json};

use crate::world::{ALL_SCOPES, Reply, World, redis, send};

async fn register(world: &World, key: &str, body: Value) -> Reply {
    send(world.request("POST", "/v1/auth/register").header("idempotency-key", key).json(&body)).await
}

fn body(email: &str) -> Value {
    json!({"email": email, "password": "correct horse"})
}

async fn all_rules(redis: Option<Secret>) {
    let world = World::with(|config| config.redis_url = redis).await;
    replays(&world).await;
    parallel(&world).await;
    isolation(&world).await;
    failures(&world).await;
    secrets(&world).await;
}

async fn replays(world: &World) {
    let first = register(world, "\"k-1\"", body("a@example.com")).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (201, ""));
    let again = register(world, "k-1", body("a@example.com")).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.text, first.text, "byte for byte");
    assert_eq!(again.header("content-type"), first.header("content-type"));
    assert_eq!(world.auth.0.registered.load(Ordering::SeqCst), 1);
    let other = register(world, "k-1", body("b@example.com")).await;
    assert_eq!((other.status, other.reason().as_str()), (422, "IDEMPOTENCY_KEY_REUSED"));
    for malformed in ["\"open", "a b", &"x".repeat(300)] {
        let reply = register(world, malformed, body("a@example.com")).await;
        assert_eq!((reply.status, reply.reason().as_str()), (400, "IDEMPOTENCY_KEY_INVALID"));
    }
}

async fn parallel(world: &World) {
    let before = world.auth.0.registered.load(Ordering::SeqCst);
    let all = (0..30).map(|_| register(world, "k-2", body("slow@example.com")));
    let replies = futures::future::join_all(all).await;
    let (done, waiting): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 201);
    assert!(!done.is_empty());
    for reply in waiting {
        assert_eq!((reply.status, reply.reason().as_str()), (409, "IDEMPOTENCY_IN_PROGRESS"));
    }
    assert_eq!(world.auth.0.registered.load(Ordering::SeqCst), before + 1, "one effect");
}

/// The same key is another's for another user, and on another route.
async fn isolation(world: &World) {
    let create = |user: &str| {
        let request = world.request("POST", "/v1/auth/api-keys").header("idempotency-key", "k-1");
        send(
            request
                .bearer_auth(world.token_of(user, ALL_SCOPES))
                .json(&json!({"name": "n", "scopes": ["x"]})),
        )
    };
    let (one, two) = (create("u1").await, create("u2").await);
    assert_eq!((one.status, two.status), (201, 201), "{} {}", one.text, two.text);
    assert_ne!(one.json()["api_key"]["id"], two.json()["api_key"]["id"]);
    assert_eq!(create("u1").await.text, one.text, "the secret comes again to its owner");
    let disable = |id: &str| {
        let request = world.request("PATCH", &format!("/v1/users/{id}")).header("idempotency-key", "k-1");
        send(request.bearer_auth(world.token(ALL_SCOPES)).json(&json!({"disabled": true})))
    };
    let (first, other, again) = (disable("u7").await, disable("u8").await, disable("u7").await);
    assert_eq!(other.json()["user"]["id"], "u8", "another account is another write");
    assert_eq!((again.header("idempotency-replayed"), &again.text), ("true", &first.text));
    let password = || {
        let request = world.request("PUT", "/v1/auth/password").header("idempotency-key", "k-1");
        let body = json!({"current_password": "a", "new_password": "b"});
        send(request.bearer_auth(world.token(ALL_SCOPES)).json(&body))
    };
    assert_eq!((password().await.status, password().await.header("idempotency-replayed")), (204, "true"));
}

async fn failures(world: &World) {
    world.auth.0.fail_next.store(true, Ordering::SeqCst);
    assert_eq!(register(world, "k-3", body("c@example.com")).await.status, 503);
    let retried = register(world, "k-3", body("c@example.com")).await;
    assert_eq!(
        (retried.status, retried.header("idempotency-replayed")),
        (201, ""),
        "a failure frees the key"
    );
    let invalid = register(world, "k-4", json!({"email": "d@example.com"})).await;
    assert_eq!(invalid.status, 400);
    assert_eq!(register(world, "k-4", body("d@example.com")).await.status, 201);
}

/// A client that leaves does not undo the write: its answer is there when it comes back.
async fn secrets(world: &World) {
    let before = world.auth.0.registered.load(Ordering::SeqCst);
    let impatient = register(world, "k-5", body("slow-leaver@example.com"));
    assert!(tokio::time::timeout(Duration::from_millis(100), impatient).await.is_err());
    let answered = async {
        loop {
            let reply = register(world, "k-5", body("slow-leaver@example.com")).await;
            if reply.status == 201 {
                return reply;
            }
            assert_eq!(reply.status, 409);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let reply = tokio::time::timeout(Duration::from_secs(10), answered).await.unwrap();
    assert_eq!(reply.header("idempotency-replayed"), "true");
    assert_eq!(world.auth.0.registered.load(Ordering::SeqCst), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_process() {
    all_rules(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_redis_and_nothing_secret_is_stored() {
    let (redis, url) = redis().await;
    all_rules(Some(url)).await;
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let names: Vec<String> = redis::cmd("KEYS").arg("*").query_async(&mut connection).await.unwrap();
    assert!(names.len() >= 5);
    for name in names {
        assert!(!name.contains("k-1"), "{name}");
        let fields: Vec<Vec<u8>> = redis::cmd("HVALS").arg(&name).query_async(&mut connection).await.unwrap();
        for field in fields {
            let text = String::from_utf8_lossy(&field);
            for secret in ["canary", "correct horse", "example.com", "k-1"] {
                assert!(!text.contains(secret), "{secret} is stored in clear");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_share_keys_and_without_redis_a_promise_is_not_made() {
    let (redis, url) = redis().await;
    let mut world = World::with(|config| config.redis_url = Some(url.clone())).await;
    let first = register(&world, "k-1", body("a@example.com")).await;
    world.address = world.gateway(|config| config.redis_url = Some(url)).await;
    let again = register(&world, "k-1", body("a@example.com")).await;
    assert_eq!((again.text, again.headers["idempotency-replayed"].as_bytes()), (first.text, &b"true"[..]));
    drop(redis);
    let reply = register(&world, "k-9", body("a@example.com")).await;
    assert_eq!((reply.status, reply.reason().as_str()), (503, "STORE_UNAVAILABLE"));
    let plain = world.post("/v1/auth/register", body("a@example.com")).await;
    assert_eq!(plain.status, 201, "without a key there is nothing to promise");
}

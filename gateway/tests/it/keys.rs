//! API keys: exchanged once, limited by their scopes, over when revoked.

use std::{sync::atomic::Ordering, time::Duration};

use crate::world::{World, send};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_exchanged_once_for_many_requests_in_either_header() {
    let world = World::start().await;
    world.add_key("qp_one_secret_sum", "profile:read");
    let requests = (0..20).map(|n| {
        let request = world.request("GET", "/v1/auth/me");
        send(if n % 2 == 0 {
            request.header("x-api-key", "qp_one_secret_sum")
        } else {
            request.bearer_auth("qp_one_secret_sum")
        })
    });
    for reply in futures::future::join_all(requests).await {
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert_eq!(reply.json()["user"]["id"], "u1");
    }
    assert_eq!(world.auth.0.exchanges.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_do_only_what_its_scopes_say() {
    let world = World::start().await;
    world.add_key("qp_two_secret_sum", "sentiment:read");
    let reply = send(world.request("GET", "/v1/auth/me").header("x-api-key", "qp_two_secret_sum")).await;
    assert_eq!((reply.status, reply.reason().as_str()), (403, "INSUFFICIENT_SCOPE"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_is_asked_about_once_and_refused() {
    let world = World::start().await;
    for _ in 0..5 {
        let reply = send(world.request("GET", "/v1/auth/me").header("x-api-key", "qp_bad_secret_sum")).await;
        assert_eq!((reply.status, reply.reason().as_str()), (401, "INVALID_API_KEY"));
        assert!(!reply.text.contains("qp_bad"));
    }
    assert_eq!(world.auth.0.exchanges.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn key_and_token_together_are_a_400() {
    let world = World::start().await;
    let both = world.request("GET", "/v1/auth/me").bearer_auth("a.b.c").header("x-api-key", "qp_a_b_c");
    let reply = send(both).await;
    assert_eq!((reply.status, reply.reason().as_str()), (400, "CREDENTIALS_AMBIGUOUS"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_refused_within_five_seconds_though_its_token_was_cached() {
    let world = World::start().await;
    world.add_key("qp_three_secret_sum", "profile:read");
    let me = || send(world.request("GET", "/v1/auth/me").header("x-api-key", "qp_three_secret_sum"));
    assert_eq!(me().await.status, 200);
    world.auth.0.keys.lock().unwrap().clear();
    world.auth.revoke("sid-qp-three-secret-sum");
    let gone = async {
        while me().await.status == 200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        me().await
    };
    let reply = tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
    assert_eq!(reply.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_outlives_the_end_of_the_token_that_it_gave() {
    let world = World::start().await;
    world.add_key("qp_four_secret_sum", "profile:read");
    let me = || send(world.request("GET", "/v1/auth/me").header("x-api-key", "qp_four_secret_sum"));
    assert_eq!(me().await.status, 200);
    world.auth.0.keys.lock().unwrap().get_mut("qp_four_secret_sum").unwrap().sid = "sid-new".into();
    world.auth.revoke("sid-qp-four-secret-sum");
    let exchanged_again = async {
        while world.auth.0.exchanges.load(Ordering::SeqCst) < 2 {
            assert_eq!(me().await.status, 200, "a good key is never refused");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), exchanged_again).await.unwrap();
    assert_eq!(me().await.status, 200);
}

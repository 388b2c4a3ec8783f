//! Rate limits, counted in process and in Redis: the same tests on both.

use std::time::Duration;

use mesh_config::Secret;
use quipu_gateway::{Config, Quota, Rates};
use serde_json::json;

use crate::world::{World, redis, send};

fn tight(config: &mut Config) {
    // So long a window that nothing is earned back while a test runs.
    let quota = |n| Some(Quota::new(n, Duration::from_secs(3600)).unwrap());
    config.rates = Rates {
        anonymous: quota(5),
        user: quota(8),
        login: quota(3),
        exchange: quota(2),
        generation: quota(3),
    };
    config.trusted_proxies = "127.0.0.0/8".parse().unwrap();
}

async fn all_rules(redis: Option<Secret>) {
    let world = World::with(|config| {
        tight(config);
        config.redis_url = redis;
    })
    .await;
    addresses(&world).await;
    users(&world).await;
    logins(&world).await;
    guesses(&world).await;
    generations(&world).await;
}

/// How many of `n` requests from an address pass.
async fn passed(world: &World, n: usize, address: &str) -> usize {
    let requests = (0..n).map(|_| send(world.request("GET", "/info").header("x-forwarded-for", address)));
    let replies = futures::future::join_all(requests).await;
    replies.iter().filter(|reply| reply.status == 200).count()
}

async fn addresses(world: &World) {
    assert_eq!(passed(world, 12, "198.51.100.1").await, 5);
    assert_eq!(passed(world, 12, "203.0.113.9, 198.51.100.1").await, 0, "only the last hop counts");
    assert_eq!(passed(world, 12, "198.51.100.2").await, 5, "another address has its own quota");
    assert_eq!(
        passed(world, 3, "2001:db8::1").await + passed(world, 9, "2001:db8::2").await,
        5,
        "one /64 is one"
    );
    let refused = send(world.request("GET", "/info").header("x-forwarded-for", "198.51.100.1")).await;
    assert_eq!((refused.status, refused.reason().as_str()), (429, "RATE_LIMITED"));
    assert_eq!(refused.header("ratelimit-policy"), "\"anonymous\";q=5;w=3600");
    assert!(refused.header("ratelimit").starts_with("\"anonymous\";r=0;t="));
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=720).contains(&wait), "one call is earned back in 720 s: {wait}");
    assert_eq!(
        send(world.request("GET", "/healthz").header("x-forwarded-for", "198.51.100.1")).await.status,
        200
    );
}

async fn users(world: &World) {
    let me = |user: &str| {
        send(world.request("GET", "/v1/auth/me").bearer_auth(world.token_of(user, "profile:read")))
    };
    let first = me("u1").await;
    assert_eq!(first.header("ratelimit-policy"), "\"user\";q=8;w=3600");
    assert!(first.header("ratelimit").starts_with("\"user\";r=7;t="));
    let mut allowed = 1;
    for _ in 0..12 {
        allowed += usize::from(me("u1").await.status == 200);
    }
    assert_eq!(allowed, 8, "all tokens of a user are one");
    assert_eq!(me("u2").await.status, 200);
}

async fn logins(world: &World) {
    let login = || {
        let request = world.request("POST", "/v1/auth/login").header("x-forwarded-for", "198.51.100.7");
        send(request.json(&json!({"email": "kind-credentials", "password": "p"})))
    };
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(login().await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
}

/// Made-up keys cost first the exchange's quota, made-up tokens that of nobody signed in.
async fn guesses(world: &World) {
    let guess = |n: usize| {
        let request = world.request("GET", "/v1/auth/me").header("x-forwarded-for", "198.51.100.8");
        send(request.header("x-api-key", format!("qp_guess{n}_a_b")))
    };
    let before = world.auth.0.exchanges.load(std::sync::atomic::Ordering::SeqCst);
    let mut statuses = Vec::new();
    for n in 0..4 {
        statuses.push(guess(n).await.status);
    }
    assert_eq!(statuses, [401, 401, 429, 429]);
    assert_eq!(world.auth.0.exchanges.load(std::sync::atomic::Ordering::SeqCst), before + 2);
    let mut statuses = Vec::new();
    for n in 0..7 {
        let request = world.request("GET", "/v1/auth/me").header("x-forwarded-for", "198.51.100.9");
        statuses.push(send(request.bearer_auth(format!("a.b.{n}"))).await.status);
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429]);
}

/// Jokes and chats have a quota together, besides that of the user and only for those who may.
async fn generations(world: &World) {
    let ask = |path: &'static str, scopes: &str| {
        let request = world.request("POST", path).bearer_auth(world.token_of("u9", scopes));
        let message = json!({"role": "user", "content": "hello"});
        let body =
            if path.ends_with("chat") { json!({"messages": [message]}) } else { json!({"topic": "tea"}) };
        send(request.json(&body))
    };
    assert_eq!(ask("/v1/jokes", "jokes:read").await.status, 403);
    let first = ask("/v1/jokes", "jokes:write").await;
    assert_eq!((first.status, first.header("ratelimit-policy")), (201, "\"generation\";q=3;w=3600"));
    assert!(first.header("ratelimit").starts_with("\"generation\";r=2;t="), "{first:?}");
    assert_eq!(ask("/v1/chat", "jokes:write").await.status, 200);
    assert_eq!(ask("/v1/jokes", "jokes:write").await.status, 201);
    let refused = ask("/v1/chat", "jokes:write").await;
    assert_eq!((refused.status, refused.reason().as_str()), (429, "RATE_LIMITED"));
    assert!(!refused.header("retry-after").is_empty());
    let listed = world.request("GET", "/v1/jokes").bearer_auth(world.token_of("u9", "jokes:read"));
    let listed = send(listed).await;
    assert_eq!((listed.status, listed.header("ratelimit-policy")), (200, "\"user\";q=8;w=3600"));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_process() {
    all_rules(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_redis() {
    let (_redis, url) = redis().await;
    all_rules(Some(url)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_count_together_in_redis() {
    let (_redis, url) = redis().await;
    let settings = |config: &mut Config| {
        tight(config);
        config.redis_url = Some(url.clone());
        config.rates.anonymous = Some(Quota::new(100, Duration::from_secs(3600)).unwrap());
    };
    let mut world = World::with(settings).await;
    let first = passed(&world, 300, "198.51.100.1").await;
    world.address = world.gateway(settings).await;
    let second = passed(&world, 300, "198.51.100.1").await;
    let both = first + second;
    assert!((100..=102).contains(&both), "{first} + {second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_earned_back() {
    let (_redis, url) = redis().await;
    for redis_url in [None, Some(url)] {
        let world = World::with(|config| {
            config.rates.anonymous = Some(Quota::new(2, Duration::from_secs(1)).unwrap());
            config.redis_url = redis_url;
        })
        .await;
        let again = async {
            while send(world.request("GET", "/info")).await.status != 429 {}
            while send(world.request("GET", "/info")).await.status != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), again).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_redis_is_gone_sign_in_is_closed_and_the_rest_is_counted_here() {
    let (redis, url) = redis().await;
    let world = World::with(|config| {
        tight(config);
        config.redis_url = Some(url);
    })
    .await;
    assert_eq!(passed(&world, 2, "198.51.100.1").await, 2);
    drop(redis);
    let login = world.post("/v1/auth/login", json!({"email": "a", "password": "p"})).await;
    assert_eq!((login.status, login.reason().as_str()), (503, "RATE_LIMITER_UNAVAILABLE"));
    assert!(!login.header("retry-after").is_empty());
    assert_eq!(passed(&world, 12, "198.51.100.2").await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_cannot_choose_the_address() {
    let world = World::with(|config| {
        tight(config);
        config.trusted_proxies = "10.0.0.0/8".parse().unwrap();
    })
    .await;
    let mut passed = 0;
    for n in 0..10 {
        let request = world.request("GET", "/info").header("x-forwarded-for", format!("198.51.100.{n}"));
        let reply = send(request.header("forwarded", format!("for=198.51.100.{n}"))).await;
        passed += usize::from(reply.status == 200);
    }
    assert_eq!(passed, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_with_one_key_costs_one_exchange() {
    let world = World::with(|config| {
        config.rates.exchange = Some(Quota::new(1, Duration::from_secs(3600)).unwrap());
    })
    .await;
    world.add_key("qp_one_secret_sum", "profile:read");
    let me = |key: &str| send(world.request("GET", "/v1/auth/me").header("x-api-key", key.to_owned()));
    for reply in futures::future::join_all((0..20).map(|_| me("qp_one_secret_sum"))).await {
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
    let refused = me("qp_two_secret_sum").await;
    assert_eq!((refused.status, refused.header("ratelimit-policy")), (429, "\"exchange\";q=1;w=3600"));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_do_not_multiply_the_quota_of_their_user() {
    let world = World::with(|config| {
        config.rates.user = Some(Quota::new(6, Duration::from_secs(3600)).unwrap());
    })
    .await;
    let mut allowed = 0;
    for n in 0..4 {
        let key = format!("qp_{n}_secret_sum");
        world.add_key(&key, "profile:read");
        for _ in 0..3 {
            let reply = send(world.request("GET", "/v1/auth/me").header("x-api-key", &key)).await;
            allowed += usize::from(reply.status == 200);
        }
    }
    assert_eq!(allowed, 6);
}

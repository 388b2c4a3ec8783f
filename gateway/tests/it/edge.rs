//! What is the same for every request: bodies, headers, origins, traces and routes that are not there.

use serde_json::{Value, json};

use crate::world::{ALL_SCOPES, World, send};

#[tokio::test(flavor = "multi_thread")]
async fn unknown_routes_and_methods_are_problems_too() {
    let world = World::start().await;
    for path in [
        "/",
        "/v1",
        "/v1/nothing",
        "/v1//users",
        "/v1/users/",
        "/V1/users",
        "/v1/users/../users",
        "/docs/none.js",
    ] {
        let reply = send(world.request("GET", path)).await;
        assert_eq!(reply.status, if path == "/v1/users/../users" { 401 } else { 404 }, "{path}");
        reply.problem();
    }
    let reply = send(world.request("DELETE", "/v1/sentiment")).await;
    assert_eq!((reply.status, reply.reason().as_str()), (405, "METHOD_NOT_ALLOWED"));
    assert_eq!(reply.header("allow"), "POST");
    let reply = send(world.request("TRACE", "/v1/users")).await;
    assert_eq!((reply.status, reply.header("allow")), (405, "GET,HEAD"));
    let reply = send(world.request("OPTIONS", "/v1/auth/login")).await;
    assert_eq!(reply.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_strict() {
    let world = World::start().await;
    let login = |media: Option<&str>, body: &str| {
        let request = world.request("POST", "/v1/auth/login").body(body.to_owned());
        send(match media {
            Some(media) => request.header("content-type", media),
            None => request,
        })
    };
    let json = Some("application/json");
    let good = r#"{"email":"a","password":"p"}"#;
    assert_eq!(login(json, good).await.status, 200);
    assert_eq!(login(Some("application/json; charset=utf-8"), good).await.status, 200);
    for media in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/json; a=b")]
    {
        assert_eq!(login(media, good).await.reason(), "UNSUPPORTED_MEDIA_TYPE");
    }
    for bad in ["", "null", "[]", "{", "{}", r#"["a","p"]"#, r#"{"email":1,"password":"p"}"#] {
        let reply = login(json, bad).await;
        assert_eq!(reply.status, 400, "{bad}: {}", reply.text);
        reply.problem();
    }
    let twice = login(json, r#"{"email":"a","email":"b","password":"p"}"#).await;
    assert_eq!(twice.problem()["errors"], json!([{"field": "email", "detail": "is given twice"}]));
    let more = login(json, r#"{"email":"a","password":"p","role":"admin"}"#).await;
    assert_eq!(more.problem()["errors"][0]["field"], "role");
    assert_eq!(login(json, &format!("{good} x")).await.status, 400);
    let deep = format!("{{\"email\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(login(json, &deep[..60_000]).await.status, 400);
    let coded = world.request("POST", "/v1/auth/login").header("content-encoding", "gzip");
    assert_eq!(send(coded.header("content-type", "application/json").body(good)).await.status, 415);
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_are_bounded_for_each_route() {
    let world = World::start().await;
    let text = |size: usize| json!({"text": "x".repeat(size)});
    let overhead = text(0).to_string().len();
    assert_eq!(world.post_signed_in("/v1/sentiment", text(128 * 1024 - overhead)).await.status, 200);
    let over = world.post_signed_in("/v1/sentiment", text(128 * 1024 - overhead + 1)).await;
    assert_eq!((over.status, over.reason().as_str()), (413, "BODY_TOO_LARGE"));
    let texts = json!({"texts": vec!["x".repeat(1_000); 100]});
    assert_eq!(world.post_signed_in("/v1/sentiment/batch", texts).await.status, 200);
    let long = send(world.request("GET", &format!("/info?{}", "x".repeat(9_000)))).await;
    assert_eq!((long.status, long.reason().as_str()), (414, "TARGET_TOO_LONG"));
    let fat = send(world.request("GET", "/info").header("x-a", "x".repeat(17_000))).await;
    assert_eq!((fat.status, fat.reason().as_str()), (431, "HEADERS_TOO_LARGE"));
    let many =
        (0..150).fold(world.request("GET", "/info"), |request, n| request.header(format!("x-{n}"), "a"));
    let many = send(many).await;
    assert_eq!((many.status, many.reason().as_str()), (431, "HEADERS_TOO_LARGE"));
    let escaped = format!("{{\"text\":\"{}\"}}", "\\ud83d\\ude00".repeat(10_000));
    let request = world.request("POST", "/v1/sentiment").bearer_auth(world.token(ALL_SCOPES));
    let emoji = send(request.header("content-type", "application/json").body(escaped)).await;
    assert_eq!(emoji.status, 200, "10,000 characters, however they are written: {}", emoji.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_learns_the_client_from_the_gateway_alone() {
    let world = World::start().await;
    let request = world.request("POST", "/v1/auth/login").header("user-agent", "tests/1");
    let body = json!({"email": "a", "password": "p"});
    assert_eq!(send(request.header("x-forwarded-for", "203.0.113.5").json(&body)).await.status, 200);
    let client = world.auth.0.client.lock().unwrap().clone().unwrap();
    assert_eq!((client.address.as_str(), client.user_agent.as_str()), ("127.0.0.1", "tests/1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_are_allowed_by_an_exact_list() {
    let world =
        World::with(|config| config.cors_origins = vec!["https://app.example".parse().unwrap()]).await;
    let preflight = |origin: &'static str| {
        let request = world.request("OPTIONS", "/v1/sentiment").header("origin", origin);
        send(request.header("access-control-request-method", "POST"))
    };
    let allowed = preflight("https://app.example").await;
    assert_eq!(allowed.status, 204);
    assert_eq!(allowed.header("access-control-allow-origin"), "https://app.example");
    assert!(allowed.header("access-control-allow-headers").contains("idempotency-key"));
    assert!(allowed.headers.get("access-control-allow-credentials").is_none());
    for origin in ["null", "https://app.example.evil", "http://app.example"] {
        let refused = preflight(origin).await;
        assert_eq!(refused.status, 405);
        assert!(refused.headers.get("access-control-allow-origin").is_none());
    }
    let plain = send(world.request("GET", "/info").header("origin", "https://app.example")).await;
    assert_eq!(plain.header("access-control-allow-origin"), "https://app.example");
    assert!(plain.header("access-control-expose-headers").contains("retry-after"));
    assert!(plain.header("vary").contains("origin"));
    let failed = send(world.request("GET", "/v1/auth/me").header("origin", "https://app.example")).await;
    assert_eq!((failed.status, failed.header("access-control-allow-origin")), (401, "https://app.example"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_security_headers() {
    let world = World::start().await;
    for path in ["/info", "/v1/nothing", "/v1/auth/me", "/docs/"] {
        let reply = send(world.request("GET", path)).await;
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("x-frame-options"), "DENY");
        assert_eq!(reply.header("referrer-policy"), "no-referrer");
        assert!(reply.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert!(reply.headers.get("strict-transport-security").is_none(), "plain HTTP promises no TLS");
        assert!(reply.headers.get("server").is_none());
        assert!(!reply.header("x-request-id").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_answer_without_credentials() {
    let world = World::start().await;
    assert_eq!(send(world.request("GET", "/healthz")).await.json(), json!({"status": "ok"}));
    let ready = send(world.request("GET", "/readyz")).await;
    assert_eq!((ready.status, ready.json()["status"].as_str()), (200, Some("ok")));
    assert_eq!(send(world.request("GET", "/version")).await.json()["name"], "quipu-gateway");
    assert_eq!(send(world.request("GET", "/info")).await.json()["links"]["docs"], "/docs/");
    let jwks = send(world.request("GET", "/.well-known/jwks.json")).await;
    assert_eq!(
        (jwks.header("content-type"), jwks.header("cache-control")),
        ("application/jwk-set+json", "public, max-age=60")
    );
    let keys = jwks.json()["keys"].clone();
    for key in keys.as_array().unwrap() {
        for private in ["d", "p", "q", "k"] {
            assert_eq!(key.get(private), None::<&Value>);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_can_be_browsed_offline() {
    let world = World::start().await;
    let openapi = send(world.request("GET", "/openapi.json")).await;
    assert_eq!(
        (openapi.json()["openapi"].as_str(), openapi.header("content-type")),
        (Some("3.1.0"), "application/json")
    );
    let redirect = send(world.request("GET", "/docs")).await;
    assert_eq!((redirect.status, redirect.header("location")), (308, "/docs/"));
    let page = send(world.request("GET", "/docs/")).await;
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(!page.text.contains("https://"), "nothing is fetched from elsewhere: {}", page.text);
    let start = send(world.request("GET", "/docs/swagger-initializer.js")).await;
    assert!(start.text.contains("/openapi.json") && !start.text.contains("petstore"));
    assert_eq!(send(world.request("GET", "/docs/swagger-ui-bundle.js")).await.status, 200);
}

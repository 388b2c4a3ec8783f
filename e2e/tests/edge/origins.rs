//! K5: pages of other origins, and the headers that every answer has.

use quipu_e2e::{Proof, Setup};
use reqwest::Method;
use serde_json::json;

use crate::problem::Reply;

/// Origins of the list.
const ALLOWED: [&str; 2] = ["https://app.example", "http://localhost:3000"];

/// Origins that look like one of the list.
const OTHERS: [&str; 32] = [
    "null",
    "",
    "*",
    "https://app.example.evil",
    "https://evil-app.example",
    "https://app.example.",
    "https://xapp.example",
    "https://app.example:443",
    "https://app.example:8443",
    "http://app.example",
    "HTTPS://app.example",
    "https://APP.example",
    "https://app.example/",
    "https://app.example/x",
    "https://app.example?x",
    "https://app.example#x",
    "https://user@app.example",
    "https://app.example@evil",
    "https://app.example%2eevil",
    "https://app.example\\evil",
    "https://app.example,https://evil",
    "https://app.example https://evil",
    "https://app.example;x",
    "https://app.exampl",
    "https://app_example",
    "https://appxexample",
    "http://localhost",
    "http://localhost:30000",
    "http://localhost:3000.evil",
    "http://127.0.0.1:3000",
    "file://",
    "https://",
];

fn allowed(reply: &Reply) -> &str {
    reply.header("access-control-allow-origin")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k5_origins_are_those_of_the_list_alone() {
    let mut proof = Proof::new(
        "K5.origins",
        "exactly the origins of the list may read answers, and none with credentials",
    );
    let setup = Setup::new().without_rates().with("gateway", "QUIPU_GATEWAY_CORS_ORIGINS", ALLOWED.join(","));
    let mesh = setup.start().await;
    let person = mesh.signed_in("ada").await;
    let preflight = |path: &str, origin: &str| {
        let request = mesh.person().request(Method::OPTIONS, path).header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        Reply::of(request.header("access-control-request-headers", "authorization,x-evil"))
    };
    let plain = |method: Method, path: &str, origin: &str| {
        let request = person.request(method.clone(), path).header("origin", origin);
        Reply::of(if method == Method::POST { request.json(&json!({"text": "x"})) } else { request })
    };
    let routes = [
        (Method::POST, "/v1/sentiment"),
        (Method::GET, "/v1/auth/me"),
        (Method::GET, "/info"),
        (Method::GET, "/nothing"),
    ];
    let mut read = 0;
    for (method, path) in &routes {
        for origin in OTHERS {
            let (asked, answered) =
                (preflight(path, origin).await, plain(method.clone(), path, origin).await);
            let silent = [&asked, &answered].iter().all(|r| {
                r.headers.keys().all(|k| !k.as_str().starts_with("access-control-"))
                    && r.header("vary").contains("origin")
            });
            read += u64::from(!silent);
            proof.check(silent && matches!(asked.status, 404 | 405), || {
                format!("{origin}: {asked:?} {answered:?}")
            });
        }
        for origin in ALLOWED {
            let (asked, answered) =
                (preflight(path, origin).await, plain(method.clone(), path, origin).await);
            let holds = [&asked, &answered].iter().all(|r| {
                allowed(r) == origin
                    && r.header("access-control-allow-credentials").is_empty()
                    && r.header("vary").contains("origin")
            });
            let exact = asked.status == 204 && !asked.header("access-control-allow-headers").contains("evil");
            proof.check(holds && exact, || format!("{origin}: {asked:?} {answered:?}"));
        }
    }
    let both = mesh
        .person()
        .request(Method::GET, "/info")
        .header("origin", ALLOWED[0])
        .header("origin", "https://evil");
    let both = Reply::of(both).await;
    proof.check(allowed(&both).is_empty(), || format!("two origins: {both:?}"));
    proof.figure(format!(
        "{} other origins on {} routes: {read} could read an answer",
        OTHERS.len(),
        routes.len()
    ));
    proof.limit("0");
    proof.finish();
}

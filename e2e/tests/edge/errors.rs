//! K9: every failure has the one form and says nothing of the inside.

use std::collections::BTreeMap;

use quipu_e2e::{Person, Proof, Setup};
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::problem::Reply;

const UNKNOWN: [&str; 34] = [
    "/",
    "/v1",
    "/v1/",
    "/v2",
    "/v1/nothing",
    "/v1//users",
    "//v1/users",
    "/v1/users/",
    "/V1/users",
    "/v1/USERS",
    "/v1/auth",
    "/v1/auth/",
    "/v1/auth/nothing",
    "/v1/sentiment/",
    "/v1/sentiment/none",
    "/docs/none",
    "/docs/../Cargo.toml",
    "/docs/%2e%2e%2fCargo.toml",
    "/docs/..%5cx",
    "/metrics",
    "/debug/pprof",
    "/admin",
    "/.git/config",
    "/.env",
    "/favicon.ico",
    "/robots.txt",
    "/wp-login.php",
    "/quipu.auth.v1.AuthService/Login",
    "/grpc.health.v1.Health/Check",
    "/%00",
    "/%ff",
    "/%F0%9F%98%80",
    "/v1/users/a/b",
    "/v1%2fusers",
];

const SIGNED: [(&str, &str); 13] = [
    ("GET", "/v1/auth/me"),
    ("GET", "/v1/auth/sessions"),
    ("GET", "/v1/auth/api-keys"),
    ("POST", "/v1/auth/api-keys"),
    ("PUT", "/v1/auth/password"),
    ("DELETE", "/v1/auth/sessions/abc"),
    ("DELETE", "/v1/auth/api-keys/abc"),
    ("GET", "/v1/users"),
    ("GET", "/v1/users/abc"),
    ("PATCH", "/v1/users/abc"),
    ("POST", "/v1/sentiment"),
    ("POST", "/v1/sentiment/batch"),
    ("GET", "/v1/sentiment/models"),
];

/// Credentials of nobody.
const CREDENTIALS: [(&str, &str); 8] = [
    ("authorization", "Bearer x"),
    ("authorization", "Basic YTpi"),
    ("authorization", "Bearer"),
    ("authorization", "Bearer  x"),
    ("authorization", "Bearer qp_1_2"),
    ("x-api-key", "x"),
    ("x-api-key", "qp_aaaa_bbbb_cccc"),
    ("authorization", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."),
];

const IDS: [&str; 12] = [
    "abc",
    "0",
    "a%20b",
    "..",
    "%2e%2e",
    "a%00",
    "%F0%9F%98%80",
    "'--",
    "00000000-0000-0000-0000-000000000000",
    "a.b",
    "*",
    "null",
];

/// Requests that fail, each with the status that it must have.
fn requests(nobody: &Person, user: &Person, admin: &Person) -> Vec<(String, u16, RequestBuilder)> {
    let mut all = Vec::new();
    let mut add = |name: String, status: u16, request: RequestBuilder| all.push((name, status, request));
    for path in UNKNOWN {
        add(format!("GET {path}"), 404, nobody.request(Method::GET, path));
        // Below /docs/ there is a route for any file, which takes no other method.
        let status = if path.starts_with("/docs/") { 405 } else { 404 };
        add(format!("POST {path}"), status, nobody.request(Method::POST, path));
    }
    for (method, path) in SIGNED {
        let request = |person: &Person| person.request(method.parse().unwrap(), path);
        add(format!("nobody: {method} {path}"), 401, request(nobody));
        add(format!("TRACE {path}"), 405, nobody.request(Method::TRACE, path));
        for (header, value) in CREDENTIALS {
            add(format!("{header}: {value} to {path}"), 401, request(nobody).header(header, value));
        }
        let two = request(user).header("x-api-key", "qp_a");
        add(format!("two credentials: {path}"), 400, two);
        if path.starts_with("/v1/users") {
            add(format!("no scope: {method} {path}"), 403, request(user));
        }
        if matches!(method, "POST" | "PUT" | "PATCH") {
            let person = if path.starts_with("/v1/users") { admin } else { user };
            add(format!("no type: {path}"), 415, request(person).body("{}"));
            let json =
                |body: &str| request(person).header("content-type", "application/json").body(body.to_owned());
            for body in ["", "{", "[]", "{}", "{\"x\":1}", "null", "{} x"] {
                add(format!("{body:?} to {path}"), 400, json(body));
            }
            add(format!("too large: {path}"), 413, json(&"x".repeat(5 << 20)));
        }
    }
    for id in IDS {
        add(format!("session {id}"), 404, user.request(Method::DELETE, &format!("/v1/auth/sessions/{id}")));
        add(format!("key {id}"), 404, user.request(Method::DELETE, &format!("/v1/auth/api-keys/{id}")));
        add(format!("user {id}"), 404, admin.request(Method::GET, &format!("/v1/users/{id}")));
    }
    add(
        "a taken address".into(),
        409,
        nobody
            .request(Method::POST, "/v1/auth/register")
            .json(&json!({"email": "ada@example.com", "password": quipu_e2e::PASSWORD})),
    );
    add(
        "a wrong password".into(),
        401,
        nobody
            .request(Method::POST, "/v1/auth/login")
            .json(&json!({"email": "ada@example.com", "password": "x"})),
    );
    add(
        "a bad refresh token".into(),
        401,
        nobody.request(Method::POST, "/v1/auth/refresh").json(&json!({"refresh_token": "x"})),
    );
    add(
        "an unknown model".into(),
        404,
        user.request(Method::POST, "/v1/sentiment").json(&json!({"text": "x", "model": "none"})),
    );
    add("a long path".into(), 414, nobody.request(Method::GET, &format!("/info?{}", "x".repeat(9_000))));
    add("a long header".into(), 431, nobody.request(Method::GET, "/info").header("x-a", "x".repeat(20_000)));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k9_every_failure_has_the_one_form() {
    let mut proof = Proof::new(
        "K9",
        "every failure is a problem of RFC 9457 with its ids, and says nothing of the inside",
    );
    let mesh = Setup::new().without_rates().start().await;
    let (user, admin) = (mesh.signed_in("ada").await, mesh.administrator().await);
    let requests = requests(&mesh.person(), &user, &admin);
    let number = requests.len();
    let mut statuses: BTreeMap<u16, u32> = BTreeMap::new();
    for (name, status, request) in requests {
        let id = format!("k9-{}", proof_id(&name));
        let reply = Reply::of(request.header("x-request-id", &id)).await;
        *statuses.entry(reply.status).or_default() += 1;
        // Dots in a path are resolved by the client: what arrives may be another route, judged by its form alone.
        let dotted = name.contains("..") || name.contains("%2e");
        let judged = if dotted && reply.status < 400 {
            Ok(())
        } else if dotted {
            reply.any_problem()
        } else {
            reply.problem(status)
        };
        let named = reply.header("x-request-id") == id;
        proof.check(judged.is_ok() && named, || format!("{name}: {judged:?}"));
    }
    proof.require(number >= 200, || format!("only {number} failures"));
    proof.figure(format!("{number} failures: {statuses:?}"));
    proof.limit("at least 200; 0 of another form");
    proof.finish();
}

/// Letters and digits of a name.
fn proof_id(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).take(60).collect()
}

//! Routes, OpenAPI document, call policy and the committed file say the same.

use std::collections::{BTreeMap, BTreeSet};

use mesh_policy::UserRule;
use mesh_testkit::TestMesh;
use serde_json::Value;

use crate::world::{World, send};

/// What the gateway may call without a route of its own: keys and revocations for verifying tokens, the exchange of
/// API keys, and `VerifyApiKey`, which is for callers that want no token.
const INTERNAL: [&str; 4] = [
    "quipu.auth.v1.AuthService/CheckSession",
    "quipu.auth.v1.AuthService/ExchangeToken",
    "quipu.auth.v1.AuthService/VerifyApiKey",
    "quipu.auth.v1.AuthService/WatchRevocations",
];

fn document() -> Value {
    serde_json::to_value(quipu_gateway::openapi()).unwrap()
}

/// Path, method in capitals, operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let item = item.as_object().unwrap().iter();
            item.map(|(method, operation)| (path.clone(), method.to_uppercase(), operation.clone()))
        })
        .collect()
}

fn rpcs(operation: &Value) -> Vec<String> {
    operation["x-rpc"].as_array().unwrap().iter().map(|rpc| rpc.as_str().unwrap().to_owned()).collect()
}

/// `quipu openapi` prints the new one; this test leaves it beside its other output too.
#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let mut now = quipu_gateway::openapi().to_pretty_json().unwrap();
    now.push('\n');
    let fresh = concat!(env!("CARGO_TARGET_TMPDIR"), "/openapi.json");
    std::fs::write(fresh, &now).unwrap();
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json"));
    assert!(committed.unwrap_or_default() == now, "copy {fresh} to gateway/openapi.json and commit it");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_router_serves_exactly_what_the_document_says() {
    let world = World::start().await;
    let mut documented: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, method, _) in operations(&document()) {
        documented.entry(path).or_default().insert(method);
    }
    for (path, methods) in documented {
        let concrete = path.replace("{id}", "some-id").replace("{file}", "index.html");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let reply = send(world.request(method, &concrete)).await;
            if methods.contains(method) {
                assert!(!matches!(reply.status, 404 | 405), "{method} {path}: {}", reply.status);
            } else {
                assert_eq!(reply.status, 405, "{method} {path} is served and not documented");
                let allow: BTreeSet<String> = reply.header("allow").split(',').map(str::to_owned).collect();
                let mut expected = methods.clone();
                if methods.contains("GET") {
                    expected.insert("HEAD".to_owned());
                }
                assert_eq!(allow, expected, "{path}");
            }
        }
    }
}

#[test]
fn the_routes_of_the_design_are_all_there() {
    let documented: BTreeSet<String> =
        operations(&document()).into_iter().map(|(path, method, _)| format!("{method} {path}")).collect();
    let design = [
        "POST /v1/auth/register",
        "POST /v1/auth/login",
        "POST /v1/auth/refresh",
        "POST /v1/auth/logout",
        "GET /v1/auth/me",
        "PUT /v1/auth/password",
        "GET /v1/auth/sessions",
        "DELETE /v1/auth/sessions/{id}",
        "POST /v1/auth/api-keys",
        "GET /v1/auth/api-keys",
        "DELETE /v1/auth/api-keys/{id}",
        "GET /v1/users",
        "GET /v1/users/{id}",
        "PATCH /v1/users/{id}",
        "POST /v1/sentiment",
        "POST /v1/sentiment/batch",
        "POST /v1/sentiment/stream",
        "GET /v1/sentiment/models",
        "POST /v1/jokes",
        "GET /v1/jokes",
        "GET /v1/jokes/{id}",
        "DELETE /v1/jokes/{id}",
        "POST /v1/jokes/{id}/feedback",
        "POST /v1/chat",
        "GET /v1/jokes/models",
        "GET /v1/usage",
        "GET /v1/mesh",
        "GET /v1/traces",
        "GET /healthz",
        "GET /readyz",
        "GET /version",
        "GET /info",
        "GET /openapi.json",
        "GET /docs",
        "GET /.well-known/jwks.json",
    ];
    for route in design {
        assert!(documented.contains(route), "{route}");
    }
}

#[test]
fn what_the_routes_call_is_what_the_policy_grants() {
    let mesh = TestMesh::start().unwrap();
    let policy = mesh.policy().load();
    let granted: BTreeSet<String> = policy
        .calls()
        .iter()
        .filter(|call| &*call.caller == "gateway")
        .map(|call| call.method.path.trim_start_matches('/').to_owned())
        .filter(|method| !method.starts_with("grpc.health.v1.Health/Watch"))
        .collect();
    let used: BTreeSet<String> = operations(&document()).iter().flat_map(|(_, _, o)| rpcs(o)).collect();
    let missing: Vec<_> = used.difference(&granted).collect();
    assert!(missing.is_empty(), "called and not granted: {missing:?}");
    let idle: Vec<_> = granted.difference(&used).filter(|rpc| !INTERNAL.contains(&rpc.as_str())).collect();
    assert!(idle.is_empty(), "granted and not called: {idle:?}");
}

#[test]
fn the_scope_at_the_edge_is_the_scope_of_the_policy() {
    let mesh = TestMesh::start().unwrap();
    let policy = mesh.policy().load();
    let gateway = mesh.id("gateway").unwrap();
    for (path, method, operation) in operations(&document()) {
        let at_edge = operation["security"][0]["bearer"][0].as_str().map(str::to_owned);
        for rpc in rpcs(&operation).iter().filter(|rpc| rpc.starts_with("quipu.")) {
            let in_policy = match &policy.rule(&gateway, &format!("/{rpc}")).unwrap().user {
                UserRule::Required { scope } => scope.as_ref().map(ToString::to_string),
                UserRule::None => None,
            };
            assert_eq!(at_edge, in_policy, "{method} {path} → {rpc}");
        }
    }
}

#[test]
fn both_forms_of_an_answer_are_documented() {
    let document = document();
    let answers = |path: &str| document["paths"][path]["post"]["responses"].clone();
    let has = |response: &Value, media: &str| response["content"].get(media).is_some();
    let (jokes, chat) = (answers("/v1/jokes"), answers("/v1/chat"));
    assert!(has(&jokes["201"], "application/json") && has(&jokes["200"], "text/event-stream"), "{jokes}");
    assert!(has(&chat["200"], "application/json") && has(&chat["200"], "text/event-stream"), "{chat}");
    for answers in [jokes, chat] {
        assert!(
            has(&answers["422"], "application/problem+json")
                && has(&answers["502"], "application/problem+json")
        );
    }
}

#[test]
fn every_operation_is_documented_to_its_end() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let text = document.to_string();
    for reference in text.split("\"#/components/").skip(1) {
        let (kind, name) = reference.split('"').next().unwrap().split_once('/').unwrap();
        assert!(document["components"][kind].get(name).is_some(), "{kind} {name} is not defined");
    }
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        assert!(ids.insert(operation["operationId"].to_string()), "{path}");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{path}");
        let responses = operation["responses"].as_object().unwrap();
        let has = |status: &str| responses.contains_key(status);
        assert!(["200", "201", "204", "308"].iter().any(|status| has(status)), "{method} {path}");
        assert!(has("400") && has("500") && has("503"), "{method} {path}");
        assert_eq!(operation.get("security").is_some(), has("401") && has("403"), "{method} {path}");
        assert_eq!(operation.get("requestBody").is_some(), has("415") && has("413"), "{method} {path}");
        assert_eq!(path.contains('{'), operation["parameters"].to_string().contains("\"path\""), "{path}");
    }
}

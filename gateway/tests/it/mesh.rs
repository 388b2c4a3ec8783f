//! `/v1/mesh` and `/v1/traces`.

use std::time::Duration;

use mesh_config::Reader;
use mesh_telemetry::{Telemetry, TelemetryConfig};
use serde_json::json;
use tokio::time::timeout;

use crate::world::{ALL_SCOPES, World, send};

#[tokio::test(flavor = "multi_thread")]
async fn the_mesh_shows_workloads_calls_and_health() {
    let world = World::start().await;
    let mesh = world.get("/v1/mesh").await;
    assert_eq!(mesh.status, 200, "{}", mesh.text);
    let mesh = mesh.json();
    assert_eq!(mesh["trust_domain"], "quipu.local");
    let workload =
        |name: &str| mesh["workloads"].as_array().unwrap().iter().find(|w| w["name"] == name).unwrap();
    assert_eq!(workload("gateway")["health"], "serving");
    assert_eq!(workload("auth")["health"], "serving");
    assert_eq!(workload("sentiment")["health"], "serving");
    assert_eq!(workload("jokes")["health"], "serving");
    assert_eq!(workload("operator")["health"], "unknown");
    assert_eq!(workload("operator")["external"], true);
    assert_eq!(workload("auth")["services"], json!(["quipu.auth.v1.AuthService"]));
    let calls = mesh["calls"].as_array().unwrap();
    let analyze = calls.iter().find(|call| {
        call["caller"] == "gateway" && call["method"] == "quipu.sentiment.v1.SentimentService/Analyze"
    });
    assert_eq!(analyze.unwrap()["scope"], "sentiment:analyze");
}

/// What happens in this process is measured from now on.
fn measured() -> Telemetry {
    let quiet = TelemetryConfig::read(&mut Reader::from_pairs([("QUIPU_LOG", "off")])).unwrap();
    Telemetry::init("gateway-tests", &quiet).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_measured_by_route_and_never_by_path() {
    let _telemetry = measured();
    let world = World::start().await;
    world.get("/v1/users/somebody-special").await;
    send(world.request("GET", "/v1/nowhere-special")).await;
    send(world.request("BREW", "/v1/users")).await;
    let metrics = mesh_telemetry::metrics_text();
    let route = "http_route=\"/v1/users/{id}\",http_response_status_code=\"200\"";
    assert!(metrics.contains(route), "{metrics}");
    assert!(metrics.contains("http_route=\"_OTHER\",http_response_status_code=\"404\""));
    assert!(metrics.contains("http_request_method=\"_OTHER\""));
    assert!(!metrics.contains("special"));
    let mesh = world.get("/v1/mesh").await.json();
    let calls = mesh["calls"].as_array().unwrap();
    let get_user = calls.iter().find(|call| call["method"] == "quipu.auth.v1.AuthService/GetUser").unwrap();
    assert!(get_user["seen"]["ok"].as_u64().unwrap() >= 1, "{get_user}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_fails_after_its_head_is_no_success() {
    let _telemetry = measured();
    let world = World::start().await;
    let ask = |path: &str| world.request("POST", path).bearer_auth(world.token(ALL_SCOPES));
    let events =
        ask("/v1/jokes").header("accept", "text/event-stream").json(&json!({"topic": "late-refused"}));
    let lines = ask("/v1/sentiment/stream").header("content-type", "application/x-ndjson");
    let lines = lines.body("{\"text\":\"good\"}\n{\"text\":\"break\"}\n");
    for (request, route, reason) in
        [(events, "/v1/jokes", "ANSWER_REFUSED"), (lines, "/v1/sentiment/stream", "MODEL_AWAY")]
    {
        assert_eq!(send(request).await.status, 200);
        let series =
            format!("http_route=\"{route}\",http_response_status_code=\"200\",error_type=\"{reason}\"");
        let counted = async {
            while !mesh_telemetry::metrics_text().contains(&series) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), counted).await.expect(&series);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mesh_is_not_for_everybody() {
    let world = World::start().await;
    let token = world.token("profile:read sentiment:read");
    assert_eq!(send(world.request("GET", "/v1/mesh").bearer_auth(token)).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_keeps_no_traces_says_so() {
    let world = World::start().await;
    let reply = send(world.request("GET", "/v1/traces").bearer_auth(world.token(ALL_SCOPES))).await;
    assert_eq!((reply.status, reply.reason().as_str()), (404, "TRACES_NOT_KEPT"));
}

//! Traces go through, and nothing secret is in a log line or a span.

use std::{
    io,
    sync::{Arc, Mutex},
};

use mesh_config::Reader;
use mesh_telemetry::{Telemetry, TelemetryConfig};
use serde_json::json;

use crate::world::{ALL_SCOPES, World, send};

/// Log lines in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Everything of this thread is logged and traced, on which a whole world runs.
fn listen() -> (Lines, Telemetry, tracing::subscriber::DefaultGuard) {
    let lines = Lines::default();
    let settings = [("QUIPU_LOG", "trace"), ("QUIPU_LOG_FORMAT", "json")];
    let mut config = TelemetryConfig::read(&mut Reader::from_pairs(settings)).unwrap();
    config.recent_spans = 10_000;
    let writer = lines.clone();
    let (subscriber, telemetry) =
        mesh_telemetry::subscriber("test", &config, Vec::new(), move || writer.clone()).unwrap();
    (lines, telemetry, tracing::subscriber::set_default(subscriber))
}

#[tokio::test]
async fn a_trace_goes_from_the_client_to_the_service_and_back() {
    let (_lines, telemetry, _guard) = listen();
    let recent = telemetry.recent();
    let world = World::with(|config| config.recent_traces = recent).await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let parent = format!("00-{trace}-b7ad6b7169203331-01");
    let request = world.request("GET", "/v1/auth/me").header("traceparent", &parent);
    let me = send(request.bearer_auth(world.token(ALL_SCOPES))).await;
    assert_eq!(me.status, 200);
    assert!(me.header("traceparent").contains(trace), "{me:?}");
    assert_ne!(me.header("traceparent"), parent);
    let metadata = world.auth.0.metadata.lock().unwrap().clone();
    let sent = metadata.iter().find(|(name, _)| name == "traceparent").unwrap();
    assert!(sent.1.contains(trace) && sent.1 != parent);
    let failed = send(world.request("GET", "/v1/nothing").header("traceparent", &parent)).await;
    assert_eq!(failed.problem()["trace_id"], trace);

    let traces = world.get("/v1/traces").await.json();
    let traces = traces["traces"].as_array().unwrap();
    let ours = traces.iter().find(|t| t["trace_id"] == trace).unwrap();
    let spans = ours["spans"].as_array().unwrap();
    let name = |name: &str| spans.iter().any(|span| span["name"].as_str().unwrap().contains(name));
    assert!(name("GET /v1/auth/me") && name("GetMe"), "{spans:?}");
}

#[tokio::test]
async fn secrets_are_in_no_log_line_and_no_span() {
    let (lines, telemetry, _guard) = listen();
    let world = World::start().await;
    world.add_key("qp_canarykey_a_b", "profile:read");
    let password = json!({"email": "canarymail@example.com", "password": "canarypassword"});
    world.post("/v1/auth/login", password.clone()).await;
    world.post("/v1/auth/register", password).await;
    world.post("/v1/auth/login", json!({"email": "kind-credentials", "password": "canarypassword"})).await;
    world.post("/v1/auth/refresh", json!({"refresh_token": "canaryrefresh"})).await;
    world.post("/v1/auth/login", json!({"email": 1, "password": "canarypassword"})).await;
    world.post_signed_in("/v1/sentiment", json!({"text": "canarytext"})).await;
    let token = world.token(ALL_SCOPES);
    send(world.request("GET", "/v1/auth/me?access_token=canaryquery").bearer_auth(&token)).await;
    send(world.request("GET", "/v1/auth/me").header("x-api-key", "qp_canarykey_a_b")).await;
    send(world.request("GET", "/v1/auth/me").header("x-api-key", "qp_canaryguess_a_b")).await;
    let create = world.request("POST", "/v1/auth/api-keys").bearer_auth(&token);
    send(create.header("idempotency-key", "canaryidem").json(&json!({"name": "n", "scopes": ["x"]}))).await;

    let text = lines.text();
    assert!(text.len() > 1_000, "something was logged");
    let spans = format!("{:?}", telemetry.recent().unwrap().spans());
    assert!(spans.contains("/v1/auth/login"));
    let signature = token.rsplit('.').next().unwrap();
    for (place, text) in [("a log line", &text), ("a span", &spans)] {
        for line in text
            .lines()
            .filter(|line| !line.contains("\"target\":\"h2") && !line.contains("\"target\":\"hyper"))
        {
            assert!(!line.contains("canary"), "a secret is in {place}: {line}");
            assert!(!line.contains(signature), "a token is in {place}: {line}");
        }
    }
}

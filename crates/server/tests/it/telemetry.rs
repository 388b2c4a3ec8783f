//! One span and one measurement for every call.

use mesh_telemetry::{Telemetry, TelemetryConfig, metrics_text};
use mesh_testkit::OtlpReceiver;
use tonic::body::Body;

use crate::support::{Fixture, LIMIT, request, tell, tell_with};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// Only this test starts telemetry, since a process has one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_are_measured_and_continue_their_callers_trace() {
    let collector = OtlpReceiver::start().await.unwrap();
    let config = TelemetryConfig {
        filter: "off".into(),
        otlp_endpoint: Some(collector.endpoint()),
        ..TelemetryConfig::default()
    };
    Telemetry::init("test", &config).unwrap();
    let fixture = Fixture::start().await;
    let mut client = fixture.client("operator").await;
    tell_with(&mut client, "hello", |request| {
        let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
        request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    })
    .await
    .unwrap();
    tell(&mut client, "panic").await.unwrap_err();
    let mut wire = fixture.connect("operator").await;
    for n in 0..50 {
        wire.send(request(&format!("/made.up.Service/Method{n}"), Body::empty())).await.unwrap();
    }
    give_the_service_away(&fixture).await;

    let spans =
        collector.wait_for(LIMIT, |spans| spans.iter().any(|span| span.trace_id == TRACE)).await.unwrap();
    let span = spans.iter().find(|span| span.trace_id == TRACE).unwrap();
    assert_eq!((span.parent_span_id.as_str(), span.kind), ("b7ad6b7169203331", 2));
    assert_eq!(span.name, "quipu.sentiment.v1.SentimentService/Analyze");
    for (key, value) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", "quipu.sentiment.v1.SentimentService/Analyze"),
        ("rpc.response.status_code", "OK"),
        ("quipu.workload", "sentiment"),
        ("quipu.caller", "spiffe://quipu.local/ns/quipu/sa/operator"),
    ] {
        assert_eq!(span.attributes.get(key).map(String::as_str), Some(value), "{key} in {span:?}");
    }

    // The export does not describe itself.
    assert!(spans.iter().all(|span| span.attributes.contains_key("rpc.method")), "{spans:?}");

    let metrics = metrics_text();
    for expected in [
        "rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\",rpc_method=\"quipu.sentiment.v1.SentimentService/Analyze\",rpc_response_status_code=\"OK\",quipu_workload=\"sentiment\"}",
        "rpc_response_status_code=\"INTERNAL\"",
        "mesh_policy_unfit_total{quipu_workload=\"sentiment\"} 1",
        "rpc_method=\"_OTHER\",rpc_response_status_code=\"PERMISSION_DENIED\"",
        "quipu_panics_total{quipu_workload=\"sentiment\"}",
        "mesh_policy_denied_total{quipu_workload=\"sentiment\",reason=\"unknown_method\"}",
        "mesh_connections_open{quipu_workload=\"sentiment\"}",
        "quipu_audit_events_total{action=\"rpc.call\",outcome=\"denied\"}",
    ] {
        assert!(metrics.contains(expected), "{expected} is missing in\n{metrics}");
    }
    // A stranger cannot grow the metrics.
    assert!(!metrics.contains("made.up"));
}

/// Puts a policy in force under which another workload serves the fixture's service, and waits until that is noticed.
async fn give_the_service_away(fixture: &Fixture) {
    let text = std::fs::read_to_string(fixture.mesh.policy().load().file()).unwrap();
    let own = "quipu.sentiment.v1.SentimentService], health: [gateway, operator], reflection: [operator]}";
    assert!(text.contains(own));
    let text = text.replace(&format!("      grpc: {{port: 50054, services: [{own}\n"), "");
    let text = text.replace(
        "[quipu.auth.v1.AuthService]",
        "[quipu.auth.v1.AuthService, quipu.sentiment.v1.SentimentService]",
    );
    fixture.mesh.policy().reload(&text).unwrap();
    let noticed = async {
        while !metrics_text().contains("mesh_policy_unfit_total{") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LIMIT, noticed).await.unwrap();
}

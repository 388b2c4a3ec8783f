//! What a call leaves in traces and metrics.

use std::time::Duration;

use mesh_error::Error;
use mesh_proto::auth::v1::GetJwksResponse;
use mesh_telemetry::{RecentSpan, Telemetry, TelemetryConfig, metrics_text};
use tracing::Instrument as _;

use crate::support::{Fake, World, get_jwks, ok, register, status};

const GET_JWKS: &str = "quipu.auth.v1.AuthService/GetJwks";

/// That of the process: the tests beside this one leave their spans in it too.
fn telemetry() -> Telemetry {
    let config = TelemetryConfig { filter: "off".into(), recent_spans: 20_000, ..TelemetryConfig::default() };
    Telemetry::init("client", &config).expect("telemetry")
}

/// The span of a call, found by the `traceparent` that the server got: `00-<trace>-<span>-<flags>`.
fn span_of(telemetry: &Telemetry, traceparent: &str) -> RecentSpan {
    let spans = telemetry.recent().expect("spans are kept").spans();
    let is_it = |span: &RecentSpan| traceparent.contains(&format!("-{}-{}-", span.trace_id, span.span_id));
    spans.into_iter().find(is_it).expect("the caller's span")
}

fn traceparent(fake: &Fake, call: usize) -> String {
    let calls = fake.calls();
    let header = calls.get(call).and_then(|call| call.headers.get("traceparent"));
    header.expect("a traceparent").to_str().expect("text").to_owned()
}

fn says(span: &RecentSpan, key: &str, value: &str) -> bool {
    span.attributes.iter().any(|(k, v)| k == key && v == value)
}

#[tokio::test]
async fn a_call_is_a_client_span_of_its_caller_and_the_server_learns_of_it() {
    let telemetry = telemetry();
    let world = World::new();
    let fake = Fake::auth(&world, |call| async move {
        match call.number {
            0 => status(Error::unavailable("AWAY", "away")),
            _ => ok(&GetJwksResponse::default()),
        }
    })
    .await;
    let client = world.client(&[&fake]);
    let outer = tracing::info_span!("outer");
    get_jwks(&client).instrument(outer.clone()).await.expect("an answer");
    drop(outer);

    let (first, second) = (traceparent(&fake, 0), traceparent(&fake, 1));
    assert_eq!(first, second, "a retry is of the same call");
    let span = span_of(&telemetry, &first);
    assert_eq!((span.name.as_str(), span.failed), (GET_JWKS, false));
    assert!(span.parent_span_id.is_some(), "it is part of what the caller does");
    for (key, value) in [
        ("rpc.system.name", "grpc"),
        ("rpc.method", GET_JWKS),
        ("quipu.workload", "gateway"),
        ("server.address", "auth"),
        ("rpc.response.status_code", "OK"),
        ("rpc.retries", "1"),
    ] {
        assert!(says(&span, key, value), "{key}={value} is missing in {span:?}");
    }
}

#[tokio::test]
async fn a_failed_call_is_a_failed_span_and_is_counted_by_its_code() {
    let telemetry = telemetry();
    let world = World::new();
    let fake = Fake::auth(&world, |_| async {
        tokio::time::sleep(Duration::from_millis(5)).await;
        status(Error::new(mesh_error::Kind::DataLoss, "TORN", "torn"))
    })
    .await;
    register(&world.client(&[&fake])).await.unwrap_err();

    let span = span_of(&telemetry, &traceparent(&fake, 0));
    assert!(span.failed && says(&span, "rpc.response.status_code", "DATA_LOSS"), "{span:?}");
    // No other test here has such a code.
    let text = metrics_text();
    let mut counts = text.lines().filter(|line| {
        line.starts_with("rpc_client_call_duration_seconds_count{")
            && line.contains("rpc_method=\"quipu.auth.v1.AuthService/Register\"")
            && line.contains("rpc_response_status_code=\"DATA_LOSS\"")
    });
    let count = counts.next().expect("the call is counted");
    assert!(count.contains("quipu_workload=\"gateway\"") && count.ends_with(" 1"), "{count}");
    assert_eq!(counts.next(), None);
}

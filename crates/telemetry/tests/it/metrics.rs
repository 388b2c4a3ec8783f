//! Metrics by their names, in the process-wide recorder.

use std::time::Duration;

use mesh_telemetry::{Telemetry, TelemetryConfig, metrics_text, red};

#[test]
fn starting_twice_is_starting_once_and_metrics_have_their_names() {
    let config = TelemetryConfig { filter: "off".into(), ..TelemetryConfig::default() };
    Telemetry::init("one", &config).unwrap();
    Telemetry::init("two", &config).unwrap();
    let [gateway, auth, login] = ["gateway", "auth", "quipu.auth.v1.AuthService/Login"].map(Into::into);
    for _ in 0..2 {
        red::rpc_server_call(&auth, &login, red::code_name(7), Duration::from_millis(30));
    }
    red::rpc_client_call((&gateway, &auth), &login, "OK", Duration::from_millis(3));
    red::http_server_request("GET", "/v1/users/{id}", (200, ""), Duration::from_millis(3));
    red::http_server_request("POST", "/v1/chat", (200, "MODEL_BROKE_OFF"), Duration::from_millis(3));
    let call = red::InFlight::enter(&red::ActiveCalls::of("auth"));
    let text = metrics_text();
    for expected in [
        "# TYPE rpc_server_call_duration_seconds histogram",
        "rpc_response_status_code=\"PERMISSION_DENIED\",quipu_workload=\"auth\"} 2",
        "rpc_client_call_duration_seconds_count",
        "http_server_request_duration_seconds_bucket",
        "http_response_status_code=\"200\",error_type=\"MODEL_BROKE_OFF\",le=",
        "le=\"0.075\"",
        "rpc_server_active_calls{quipu_workload=\"auth\"} 1",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
    drop(call);
    assert!(metrics_text().contains("rpc_server_active_calls{quipu_workload=\"auth\"} 0"));
}

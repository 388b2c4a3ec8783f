//! The names of the metrics that every process of the mesh has: OpenTelemetry's, in Prometheus form.

/// Histogram: how long a gRPC server took for a call, until its trailers.
pub const RPC_SERVER_CALL_DURATION: &str = "rpc_server_call_duration_seconds";
/// Gauge: gRPC calls that a server is working on.
pub const RPC_SERVER_ACTIVE_CALLS: &str = "rpc_server_active_calls";
/// Histogram: how long a gRPC client waited for a call, retries included.
pub const RPC_CLIENT_CALL_DURATION: &str = "rpc_client_call_duration_seconds";
/// Histogram: how long an HTTP server took for a request.
pub const HTTP_SERVER_REQUEST_DURATION: &str = "http_server_request_duration_seconds";
/// Counter: handlers that panicked.
pub const PANICS: &str = "quipu_panics_total";
/// Counter: spans by what became of them (`exported`, `failed`, `dropped`).
pub const SPANS: &str = "quipu_telemetry_spans_total";
/// Counter: audit events by action and outcome.
pub const AUDIT_EVENTS: &str = "quipu_audit_events_total";

/// Upper bounds of the duration histograms in seconds, as the semantic conventions advise.
pub const DURATION_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

//! Rate, errors and duration of calls, with labels of bounded cardinality.
//!
//! Callers pass only names that come from the contract or from the router: a path that nobody serves is
//! [`UNKNOWN`], so that a stranger cannot grow the metrics.

use std::time::Duration;

use metrics::{Gauge, SharedString, gauge, histogram};

use crate::metrics_names as names;

/// The one label of all methods and routes that are not known.
pub const UNKNOWN: &str = "_OTHER";

/// A call that a gRPC server has answered. `method` is `package.Service/Method`, `code` is as [`code_name`] says.
pub fn rpc_server_call(
    workload: impl Into<SharedString>,
    method: impl Into<SharedString>,
    code: &'static str,
    took: Duration,
) {
    histogram!(
        names::RPC_SERVER_CALL_DURATION,
        "rpc_system_name" => "grpc",
        "rpc_method" => method,
        "rpc_response_status_code" => code,
        "quipu_workload" => workload
    )
    .record(took.as_secs_f64());
}

/// A call that a gRPC client has finished, retries included, from `workload` to `server`.
pub fn rpc_client_call(
    workload: impl Into<SharedString>,
    server: impl Into<SharedString>,
    method: impl Into<SharedString>,
    code: &'static str,
    took: Duration,
) {
    histogram!(
        names::RPC_CLIENT_CALL_DURATION,
        "rpc_system_name" => "grpc",
        "rpc_method" => method,
        "rpc_response_status_code" => code,
        "quipu_workload" => workload,
        "quipu_server" => server
    )
    .record(took.as_secs_f64());
}

/// A request that an HTTP server has answered; `route` is the template (`/v1/users/{id}`), never the path.
pub fn http_server_request(
    method: impl Into<SharedString>,
    route: impl Into<SharedString>,
    status: u16,
    took: Duration,
) {
    histogram!(
        names::HTTP_SERVER_REQUEST_DURATION,
        "http_request_method" => method,
        "http_route" => route,
        "http_response_status_code" => status.to_string()
    )
    .record(took.as_secs_f64());
}

/// Counts a call as in progress until it is dropped.
#[derive(Debug)]
pub struct InFlight(Gauge);

/// The gauge of the calls in progress at a workload's server: looked up once, not for each call.
#[derive(Clone, Debug)]
pub struct ActiveCalls(Gauge);

impl ActiveCalls {
    /// Of a workload.
    #[must_use]
    pub fn of(workload: impl Into<SharedString>) -> Self {
        Self(gauge!(names::RPC_SERVER_ACTIVE_CALLS, "quipu_workload" => workload.into()))
    }
}

impl InFlight {
    /// One more call in progress.
    #[must_use]
    pub fn enter(calls: &ActiveCalls) -> Self {
        calls.0.increment(1.0);
        Self(calls.0.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// The name of a gRPC code as the semantic conventions write it; a number that is none is `UNKNOWN`.
#[must_use]
pub fn code_name(code: i32) -> &'static str {
    match code {
        0 => "OK",
        1 => "CANCELLED",
        3 => "INVALID_ARGUMENT",
        4 => "DEADLINE_EXCEEDED",
        5 => "NOT_FOUND",
        6 => "ALREADY_EXISTS",
        7 => "PERMISSION_DENIED",
        8 => "RESOURCE_EXHAUSTED",
        9 => "FAILED_PRECONDITION",
        10 => "ABORTED",
        11 => "OUT_OF_RANGE",
        12 => "UNIMPLEMENTED",
        13 => "INTERNAL",
        14 => "UNAVAILABLE",
        15 => "DATA_LOSS",
        16 => "UNAUTHENTICATED",
        _ => "UNKNOWN",
    }
}

/// Whether a gRPC code is a fault of the server, which colours its span as failed (semantic conventions for gRPC).
#[must_use]
pub fn is_server_fault(code: i32) -> bool {
    matches!(code, 2 | 4 | 12 | 13 | 14 | 15)
}

//! Rate, errors and duration of calls, with labels of bounded cardinality.
//!
//! Callers pass only names that come from the contract or from the router: a path that nobody serves is
//! [`UNKNOWN`], so that a stranger cannot grow the metrics.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};
use std::time::Duration;

use metrics::{Gauge, Histogram, Label, SharedString, gauge, histogram};

use crate::metrics_names as names;
use crate::recorder;

/// The one label of all methods and routes that are not known.
pub const UNKNOWN: &str = "_OTHER";

/// What a duration is of.
#[derive(PartialEq, Eq, Hash)]
enum Labels {
    Server { workload: Arc<str>, method: Arc<str>, code: &'static str },
    Client { workload: Arc<str>, server: Arc<str>, method: Arc<str>, code: &'static str },
    Http { method: &'static str, route: &'static str, status: u16, error: String },
}

/// The histograms, each looked up by its labels once: the recorder copies and sorts all of them at each look.
static DURATIONS: LazyLock<RwLock<HashMap<Labels, Histogram>>> = LazyLock::new(RwLock::default);

impl Labels {
    fn record(self, took: Duration) {
        let known = DURATIONS.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(histogram) = known.get(&self) {
            return histogram.record(took.as_secs_f64());
        }
        drop(known);
        let histogram = self.histogram();
        histogram.record(took.as_secs_f64());
        // What is made before there is a recorder records nothing, for ever.
        if recorder::is_installed() {
            DURATIONS.write().unwrap_or_else(PoisonError::into_inner).insert(self, histogram);
        }
    }

    fn histogram(&self) -> Histogram {
        match self {
            Self::Server { workload, method, code } => histogram!(
                names::RPC_SERVER_CALL_DURATION,
                "rpc_system_name" => "grpc",
                "rpc_method" => Arc::clone(method),
                "rpc_response_status_code" => *code,
                "quipu_workload" => Arc::clone(workload)
            ),
            Self::Client { workload, server, method, code } => histogram!(
                names::RPC_CLIENT_CALL_DURATION,
                "rpc_system_name" => "grpc",
                "rpc_method" => Arc::clone(method),
                "rpc_response_status_code" => *code,
                "quipu_workload" => Arc::clone(workload),
                "quipu_server" => Arc::clone(server)
            ),
            Self::Http { method, route, status, error } => {
                let mut labels = vec![
                    Label::new("http_request_method", *method),
                    Label::new("http_route", *route),
                    Label::new("http_response_status_code", status.to_string()),
                ];
                if !error.is_empty() {
                    labels.push(Label::new("error_type", error.clone()));
                }
                histogram!(names::HTTP_SERVER_REQUEST_DURATION, labels)
            }
        }
    }
}

/// A call that a gRPC server has answered. `method` is `package.Service/Method`, `code` is as [`code_name`] says.
pub fn rpc_server_call(workload: &Arc<str>, method: &Arc<str>, code: &'static str, took: Duration) {
    let [workload, method] = [workload, method].map(Arc::clone);
    Labels::Server { workload, method, code }.record(took);
}

/// A call that a gRPC client has finished, retries included, from `workload` to `server`.
pub fn rpc_client_call(
    (workload, server): (&Arc<str>, &Arc<str>),
    method: &Arc<str>,
    code: &'static str,
    took: Duration,
) {
    let [workload, server, method] = [workload, server, method].map(Arc::clone);
    Labels::Client { workload, server, method, code }.record(took);
}

/// A request that an HTTP server has answered; `route` is the template (`/v1/users/{id}`), never the path. `error` says, in a
/// word of a closed list, why an answer failed after its head had told the status, and is empty for every other one.
pub fn http_server_request(
    method: &'static str,
    route: &'static str,
    (status, error): (u16, &str),
    took: Duration,
) {
    Labels::Http { method, route, status, error: error.to_owned() }.record(took);
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

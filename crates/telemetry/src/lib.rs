//! Logs, traces and metrics, and the propagation of trace context.
//!
//! Owns the one subscriber and the one metrics recorder of a process. Every log line carries the trace it belongs to,
//! also when no collector is configured. Nothing here can slow a request down or hold the end of the process: spans
//! that the collector does not take are dropped and counted, and the last flush is bounded. No secret, token or text of
//! a user belongs in any span, label or log line.

pub mod audit;
mod config;
mod head;
mod left_out;
mod log;
mod members;
pub mod metrics_names;
mod neutral;
mod panics;
pub mod propagation;
mod recent;
mod recorder;
pub mod red;
mod request;
mod sink;
mod span;
mod subscriber;
mod telemetry;
mod traces;

pub use config::{Format, Sampling, TelemetryConfig};
pub use left_out::Describe;
pub use neutral::{is_hostile, neutralise};
pub use recent::{RecentSpan, RecentTraces};
pub use recorder::metrics_text;
pub use request::{Followed, RequestSpan};
pub use sink::Sink;
pub use span::annotate;
pub use subscriber::subscriber;
pub use telemetry::{Telemetry, TelemetryError};

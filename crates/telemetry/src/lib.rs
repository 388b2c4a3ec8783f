//! Logs, traces and metrics, and the propagation of trace context.

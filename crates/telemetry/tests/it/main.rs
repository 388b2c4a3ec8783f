//! Telemetry as a process sees it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod export;
mod lines;
mod metrics;
mod requests;
mod support;

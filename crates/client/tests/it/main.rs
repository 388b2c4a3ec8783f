//! The outbound stack against real TLS and HTTP/2 servers that behave as told.
#![expect(clippy::expect_used, reason = "test")]

mod balancing;
mod connections;
mod deadlines;
mod identity;
mod retries;
mod streams;
mod support;
mod telemetry;
mod tokens;

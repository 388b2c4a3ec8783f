//! The inbound stack over real connections.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod abuse;
mod admin;
mod changes;
mod deadlines;
mod drain;
mod health;
mod identity;
mod limits;
mod overload;
mod panics;
mod policy;
mod reflection;
mod service;
mod support;
mod telemetry;
mod tokens;

//! Objects of others, and the size of messages, as rows of the reliability plan.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod amplification;
mod assignment;
mod bodies;
mod contract;
mod deputy;
mod forgotten;
mod grpc;
mod memory;
mod rest;
mod routes;
mod shapes;
mod texts;
mod wire;
mod world;

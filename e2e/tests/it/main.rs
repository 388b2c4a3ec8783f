//! The whole mesh, used as its users use it: over REST, over gRPC as an operator, and by those who may not.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod forbidden;
mod identity;
mod journey;
mod processes;
mod tokens;

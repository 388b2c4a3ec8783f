//! The REST edge, as rows of the reliability plan.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod backend;
mod codes;
mod contract;
mod errors;
mod floods;
mod frames;
mod framing;
mod idempotency;
mod inside;
mod json;
mod media;
mod methods;
mod naughty;
mod origins;
mod pages;
mod problem;
mod raw;
mod smuggling;

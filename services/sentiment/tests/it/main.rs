//! The service from outside: its quality on labelled data, and its contract over mutual TLS.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it fails, its helpers too"
)]

mod pool;
mod quality;
mod start;
mod stream;
mod support;
mod unary;

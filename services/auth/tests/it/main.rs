//! The service as others see it: over mutual TLS, with the policy of the repository, on both databases.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod accounts;
mod callers;
mod cancellation;
mod outage;
mod revocations;
mod start;
mod support;

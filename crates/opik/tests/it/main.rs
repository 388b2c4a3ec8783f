//! What Opik receives, by a server that speaks its protocol.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod answers;
mod calls;

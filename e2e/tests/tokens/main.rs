//! Tokens and keys: what a forger can try, as rows of the reliability plan.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod confusion;
mod corpus;
mod counter;
mod forged;
mod forger;
mod keys;
mod rotation;
mod scopes;
mod wire;

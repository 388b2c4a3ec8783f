//! Identity and policy: who is let in, and what they may call, as rows of the reliability plan.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod callers;
mod cyclonus;
mod disruption;
mod doors;
mod edits;
mod file;
mod forbidden;
mod forms;
mod frames;
mod impostor;
mod matrices;
mod mistakes;
mod resumption;
mod stores;
mod svids;
mod torn;

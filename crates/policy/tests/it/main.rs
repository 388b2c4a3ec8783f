//! The call policy as its users meet it: files, decisions, reloads, rendered objects.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that panics has failed, which is what it is for"
)]

mod analyser;
mod bad_files;
mod committed;
mod contract;
mod decisions;
mod edits;
mod explaining;
mod reload;
mod rendering;
mod schema;
mod support;

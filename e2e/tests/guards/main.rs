//! The guards of jokes and chats as rows of the reliability plan: what users send, what models answer, and what each lets
//! through.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod asking;
mod disguises;
mod fuzz;
mod injection;
mod obeying;
mod odd;
mod plan;
mod rest;
#[path = "../../../services/jokes/src/guard/tests/samples.rs"]
mod samples;
mod splits;
mod structure;

//! The layers on paused time.
#![expect(clippy::expect_used, clippy::panic, reason = "test")]

mod admission;
mod deadline;
mod support;

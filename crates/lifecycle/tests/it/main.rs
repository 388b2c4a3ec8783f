//! The drain of a process, on paused time, and the signals that begin it.

#![expect(clippy::unwrap_used, reason = "tests")]

mod drain;
mod signals;

//! The fixtures do what tests rely on.

#![expect(clippy::unwrap_used, reason = "tests")]

mod proxy;
mod servers;
mod tokens;

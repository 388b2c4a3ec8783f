//! Sessions, passwords and guessing, as rows of the reliability plan.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod direct;
mod enumeration;
mod families;
mod flood;
mod guessing;
mod hashes;
mod revocation;
mod scenario;
mod support;
mod victims;

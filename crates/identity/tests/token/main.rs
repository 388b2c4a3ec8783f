//! Access tokens: what is refused, how keys rotate, and how revocation holds when the issuer is away.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test ends where it fails, its helpers too"
)]

mod accepted;
mod eddsa;
mod keys;
mod refused;
mod revocation;
mod support;

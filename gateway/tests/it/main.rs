//! The gateway over real sockets, with fake services behind it on the mesh's own server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends at the first thing that is not as it must be"
)]

mod auth;
mod connections;
mod contract;
mod edge;
mod errors;
mod events;
mod fake_jokes;
mod fakes;
mod idempotency;
mod jokes;
mod keys;
mod limits;
mod mesh;
mod stream;
mod telemetry;
mod world;

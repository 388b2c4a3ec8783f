//! The language model behind the mesh: what it may cost, how it may fail and where it may be, as rows of the reliability
//! plan. The model is the test's own server.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod ask;
mod asker;
mod cache;
mod cache_redis;
mod consumption;
mod direct;
mod egress;
mod endless;
mod failures;
mod fallback;
mod leaving;
mod sockets;
mod support;
mod table;
mod usage;
mod wallet;

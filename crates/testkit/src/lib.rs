//! What tests of the mesh share: certificates, tokens, databases, collectors and a fault proxy.
//!
//! Everything stays on loopback with ports that the system chooses, in folders of its own, and is gone when the test
//! process is: servers are started under a small guard that ends them also when the test was killed. Nothing here
//! belongs into a product.

mod both;
mod child;
mod forge;
mod http;
mod llm;
mod mesh;
mod odd;
mod opik;
mod otlp;
mod postgres;
mod proxy;
mod redis;
mod sqlite;
mod tokens;

use std::collections::VecDeque;

pub use forge::{Authority, Forged};
pub use llm::{Asked, Break, Counts, FakeLlm, Reply, Responder};
pub use mesh::TestMesh;
pub use odd::{CLAIMED, Odd, odd_leaves};
pub use opik::{
    FakeOpik, OpikDataset, OpikExperiment, OpikItem, OpikPair, OpikRequest, OpikScore, OpikSpan, OpikTrace,
};
pub use otlp::{CollectedSpan, OtlpReceiver};
pub use postgres::{Postgres, PostgresDatabase};
pub use proxy::{Fault, FaultProxy};
pub use redis::Redis;
pub use sqlite::SqliteFile;
pub use tokens::{Mint, TokenMint};

/// So much of what came is remembered by a server of a test, the newest.
const REMEMBERED: usize = 10_000;

fn remember<T>(all: &mut VecDeque<T>, one: T) {
    if all.len() == REMEMBERED {
        all.pop_front();
    }
    all.push_back(one);
}

/// What goes wrong in a fixture ends the test with its text.
pub type Result<T, E = mesh_error::BoxError> = std::result::Result<T, E>;

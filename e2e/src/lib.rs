//! What the tests and proofs of the whole mesh share: the mesh in one process or in many, people, raw callers, and the rows
//! of the reliability plan.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

mod in_the_name;
mod local;
mod person;
mod ports;
mod process;
mod processes;
mod proof;
pub mod raw;

pub use in_the_name::for_user;
pub use local::Mesh;
pub use person::{PASSWORD, Person, answer, eventually};
pub use process::{Process, programs};
pub use processes::{ADMIN_EMAIL, ADMIN_PASSWORD, ProcessMesh, Setup};
pub use proof::{Proof, count, is_full};

/// Nothing in these tests waits longer.
pub const LIMIT: Duration = Duration::from_secs(20);

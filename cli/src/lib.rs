//! The whole mesh in one process, as a library: `quipu up` and the tests of the whole mesh start it.

pub mod up;

use std::path::Path;

use mesh_policy::{Contract, Faults, Policy};

/// The call policy that is built in.
pub const POLICY: &str = include_str!("../../policies/mesh.yaml");

/// The call policy of the file, or without one the policy that is built in.
///
/// # Errors
/// The faults of the file.
pub fn policy(file: Option<&Path>) -> Result<Policy, Faults> {
    match file {
        Some(path) => Policy::load(path, Contract::quipu()),
        None => Policy::parse("policies/mesh.yaml", POLICY, Contract::quipu()),
    }
}

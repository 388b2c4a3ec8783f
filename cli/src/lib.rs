//! The whole mesh in one process, as a library: `quipu up` and the tests of the whole mesh start it.

pub mod up;

/// The call policy that is built in.
pub const POLICY: &str = include_str!("../../policies/mesh.yaml");

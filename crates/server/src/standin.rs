//! Stands in for `mesh_client::Mesh` until that crate has landed.
pub struct Mesh { pub tls: mesh_identity::Tls, pub policy: mesh_policy::PolicyHandle }

//! The parts of a policy, as everything else reads them.

use std::sync::Arc;

use mesh_identity::SpiffeId;

use crate::{contract::Method, decision::Rule};

/// The pods that may read the admin ports of the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Monitoring {
    /// Their namespace.
    pub namespace: String,
    /// Their `app.kubernetes.io/name`.
    pub app: String,
}

/// A scope that a token may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Name, such as `profile:read`.
    pub name: String,
    /// What it allows, in words.
    pub description: String,
}

/// A role that a user may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Name, such as `admin`.
    pub name: String,
    /// The scopes that a user of this role may ask for, in the order of the file.
    pub scopes: Vec<String>,
}

/// A program with an identity of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Name; also its service account, its label and its DNS name.
    pub name: Arc<str>,
    /// Its identity.
    pub id: SpiffeId,
    /// Whether it is a person or a program outside the mesh: a client only.
    pub external: bool,
    /// The mTLS gRPC listener.
    pub grpc: Option<Grpc>,
    /// The HTTP listener.
    pub http: Option<Http>,
    /// Port of the plain listener for probes and metrics; none for external workloads.
    pub admin: Option<u16>,
    /// Names of the resources that it connects to.
    pub uses: Vec<String>,
    /// How many of its pods may be away at once by choice.
    pub max_unavailable: u16,
}

/// An mTLS gRPC listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grpc {
    /// Port.
    pub port: u16,
    /// Full names of the services behind it; health and reflection stand behind it too.
    pub services: Vec<String>,
}

/// An HTTP listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Port.
    pub port: u16,
    /// Whether any source may connect.
    pub internet: bool,
    /// Names of the workloads that may connect.
    pub from: Vec<String>,
}

/// Something that workloads connect to and that is no workload: a database, a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Name.
    pub name: String,
    /// TCP port.
    pub port: u16,
    /// Where it is.
    pub reach: Reach,
}

/// Where a resource is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Pods of the cluster.
    Pods {
        /// Their namespace.
        namespace: String,
        /// Their `app.kubernetes.io/name`.
        app: String,
    },
    /// Public addresses.
    Internet,
}

/// One allowed (caller, method) pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Name of the calling workload.
    pub caller: Arc<str>,
    /// Name of the called workload.
    pub callee: Arc<str>,
    /// The method.
    pub method: Method,
    /// On what terms.
    pub rule: Rule,
}

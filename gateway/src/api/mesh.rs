//! The mesh as its policy states it and as it is just now, as JSON.

use serde::Serialize;
use utoipa::ToSchema;

/// The mesh.
#[derive(Serialize, ToSchema)]
pub(crate) struct MeshAnswer {
    /// The trust domain of every identity.
    pub(crate) trust_domain: String,
    /// Programs with an identity of their own.
    pub(crate) workloads: Vec<WorkloadAnswer>,
    /// Who may call what; anything else is refused.
    pub(crate) calls: Vec<CallAnswer>,
}

/// A program with an identity of its own.
#[derive(Serialize, ToSchema)]
pub(crate) struct WorkloadAnswer {
    /// Its name.
    pub(crate) name: String,
    /// Its SPIFFE id.
    pub(crate) identity: String,
    /// Whether it is outside and only calls.
    pub(crate) external: bool,
    /// The gRPC services that it serves.
    pub(crate) services: Vec<String>,
    /// What it uses besides: databases, caches.
    pub(crate) uses: Vec<String>,
    /// What its health check said a moment ago.
    pub(crate) health: Health,
}

/// What a health check said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Health {
    /// It serves.
    Serving,
    /// It says that it does not serve.
    NotServing,
    /// It does not answer.
    Unreachable,
    /// The gateway may not ask.
    Unknown,
}

/// One allowed call.
#[derive(Serialize, ToSchema)]
pub(crate) struct CallAnswer {
    /// Who calls.
    pub(crate) caller: String,
    /// Who is called.
    pub(crate) callee: String,
    /// `package.Service/Method`.
    pub(crate) method: String,
    /// How long it may take.
    pub(crate) deadline_ms: u32,
    /// The scope that the user's token must have; absent if no user is needed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    /// How often this call was made since the gateway started, by outcome, as far as its process counts it: in a
    /// cluster the gateway's own calls, in a local mesh everybody's. Absent if never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seen: Option<Seen>,
}

/// How often a call was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Seen {
    /// With success.
    pub(crate) ok: u32,
    /// Without.
    pub(crate) failed: u32,
}

//! What the gateway says of itself, as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// Whether the process lives, or is ready for requests.
#[derive(Serialize, ToSchema)]
pub(crate) struct Status {
    /// "ok" or "unavailable".
    pub(crate) status: &'static str,
    /// What readiness depends on: "ok", or why not.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) checks: BTreeMap<String, String>,
}

/// Which build this is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Version {
    /// Always "quipu-gateway".
    pub(crate) name: &'static str,
    /// Semantic version.
    pub(crate) version: &'static str,
}

/// What is here, for whoever comes by.
#[derive(Serialize, ToSchema)]
pub(crate) struct Info {
    /// Always "quipu".
    pub(crate) name: &'static str,
    /// In one sentence.
    pub(crate) description: &'static str,
    /// Semantic version.
    pub(crate) version: &'static str,
    /// When the process started.
    #[schema(format = "date-time")]
    pub(crate) started_at: String,
    /// Where to read on.
    pub(crate) links: Links,
}

/// Paths.
#[derive(Serialize, ToSchema)]
pub(crate) struct Links {
    /// The OpenAPI document.
    pub(crate) openapi: &'static str,
    /// The same to browse.
    pub(crate) docs: &'static str,
    /// The keys that verify access tokens.
    pub(crate) jwks: &'static str,
}

/// A JWK set (RFC 7517).
#[derive(Serialize, ToSchema)]
pub(crate) struct JwkSet {
    /// Public keys.
    pub(crate) keys: Vec<BTreeMap<String, String>>,
}

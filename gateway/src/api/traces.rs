//! The newest traces of a local mesh, as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// The newest traces.
#[derive(Serialize, ToSchema)]
pub(crate) struct Traces {
    /// Newest first.
    pub(crate) traces: Vec<Trace>,
}

/// What happened for one request.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trace {
    /// 32 hexadecimal digits.
    pub(crate) trace_id: String,
    /// In the order in which they began.
    pub(crate) spans: Vec<Span>,
}

/// One step.
#[derive(Serialize, ToSchema)]
pub(crate) struct Span {
    /// 16 hexadecimal digits.
    pub(crate) span_id: String,
    /// The step that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) parent_span_id: Option<String>,
    /// What was done.
    pub(crate) name: String,
    /// When it began.
    #[schema(format = "date-time")]
    pub(crate) started_at: String,
    /// How long it took, in milliseconds.
    pub(crate) duration_ms: f64,
    /// Whether it ended in an error.
    pub(crate) failed: bool,
    /// What else is known of it.
    pub(crate) attributes: BTreeMap<String, String>,
}

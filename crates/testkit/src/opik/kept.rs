//! What the server keeps. Nothing in it grows for ever: the newest entries stay.

use std::collections::{BTreeMap, VecDeque};

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::http::Request;
use crate::{REMEMBERED, remember};

/// The bodies of all requests that are remembered have no more bytes together.
const MOST_BODIES: usize = 64 * 1024 * 1024;

/// A trace.
#[derive(Clone, Debug, PartialEq)]
pub struct OpikTrace {
    /// A UUID of version 7.
    pub id: Uuid,
    /// The project's name.
    pub project: String,
    /// Its name.
    pub name: String,
    /// What it belongs to together with others.
    pub thread_id: Option<String>,
    /// In milliseconds if it came over OTLP.
    pub start_time: DateTime<Utc>,
    /// As the start.
    pub end_time: Option<DateTime<Utc>>,
    /// Null if there is none.
    pub input: Value,
    /// Null if there is none.
    pub output: Value,
    /// Null if there is none.
    pub metadata: Value,
    /// In their order.
    pub tags: Vec<String>,
    /// `exception_type`, `message`, `traceback`.
    pub error_info: Option<Value>,
}

/// A span.
#[derive(Clone, Debug, PartialEq)]
pub struct OpikSpan {
    /// A UUID of version 7.
    pub id: Uuid,
    /// That of its trace.
    pub trace_id: Uuid,
    /// None for a root.
    pub parent_span_id: Option<Uuid>,
    /// The project's name.
    pub project: String,
    /// Its name.
    pub name: String,
    /// `llm` or `general`; Opik calls it its type.
    pub kind: &'static str,
    /// In milliseconds.
    pub start_time: DateTime<Utc>,
    /// In milliseconds.
    pub end_time: DateTime<Utc>,
    /// Null if there is none.
    pub input: Value,
    /// Null if there is none.
    pub output: Value,
    /// Null if there is none.
    pub metadata: Value,
    /// In their order.
    pub tags: Vec<String>,
    /// The language model.
    pub model: Option<String>,
    /// Who runs it.
    pub provider: Option<String>,
    /// `prompt_tokens`, `completion_tokens`, `total_tokens` and others.
    pub usage: BTreeMap<String, i64>,
    /// `exception_type`, `message`, `traceback`.
    pub error_info: Option<Value>,
}

/// A feedback score of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct OpikScore {
    /// Whose it is.
    pub trace_id: Uuid,
    /// Its name, of which a trace has one.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// `sdk`, `ui` or `online_scoring`.
    pub source: String,
    /// Why.
    pub reason: Option<String>,
}

/// A dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct OpikDataset {
    /// Made by the server.
    pub id: Uuid,
    /// Unique.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Its items, by id.
    pub items: BTreeMap<Uuid, OpikItem>,
}

/// An item of a dataset.
#[derive(Clone, Debug, PartialEq)]
pub struct OpikItem {
    /// A UUID of version 7.
    pub id: Uuid,
    /// `sdk`, `manual`, `span` or `trace`.
    pub source: String,
    /// An object.
    pub data: Value,
}

/// An experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct OpikExperiment {
    /// A UUID of version 7.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Name of its dataset.
    pub dataset: String,
    /// Null if there is none.
    pub metadata: Value,
    /// What was tried, by the id of the pair.
    pub items: BTreeMap<Uuid, OpikPair>,
}

/// An item of an experiment: an item of the dataset and the trace that answered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpikPair {
    /// Of the dataset.
    pub item: Uuid,
    /// What came of it.
    pub trace: Uuid,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpikRequest {
    /// Of HTTP.
    pub method: String,
    /// With its query, from `/api` on.
    pub path: String,
    /// All headers, their names in lower case.
    pub headers: Vec<(String, String)>,
    /// As it came.
    pub body: Vec<u8>,
}

/// Everything.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) traces: BTreeMap<Uuid, OpikTrace>,
    pub(super) spans: BTreeMap<Uuid, OpikSpan>,
    pub(super) scores: BTreeMap<(Uuid, String), OpikScore>,
    pub(super) datasets: BTreeMap<String, OpikDataset>,
    pub(super) experiments: BTreeMap<Uuid, OpikExperiment>,
    pub(super) requests: VecDeque<OpikRequest>,
    /// Of a project's `OpenTelemetry` traces, by their ids there.
    pub(super) trace_ids: BTreeMap<(String, Vec<u8>), Uuid>,
    bodies: usize,
}

impl Kept {
    pub(super) fn remember(&mut self, request: &Request) {
        while self.requests.len() >= REMEMBERED || self.bodies + request.body.len() > MOST_BODIES {
            let Some(oldest) = self.requests.pop_front() else { break };
            self.bodies -= oldest.body.len();
        }
        self.bodies += request.body.len();
        let Request { method, path, headers, body } = request;
        let (method, path, headers) = (method.clone(), path.clone(), headers.clone());
        remember(&mut self.requests, OpikRequest { method, path, headers, body: body.clone() });
    }
}

/// Puts a value in its place; when there are too many, the one with the smallest key goes. Ids of version 7 begin with a
/// time, so that it is the oldest.
pub(super) fn put<K: Ord, V>(all: &mut BTreeMap<K, V>, key: K, value: V) {
    all.insert(key, value);
    if all.len() > REMEMBERED {
        all.pop_first();
    }
}

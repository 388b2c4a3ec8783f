//! Spans over OTLP, mapped as Opik maps them (`OpenTelemetryService` and `OpenTelemetryMapper` there).

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use chrono::DateTime;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Otel;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::fields::{Answer, Result, refused};
use super::kept::{Kept, OpikSpan, OpikTrace, put};
use super::rules::{self, Place};
use super::traces::DEFAULT_PROJECT;
use crate::http::Request;

const NANOS: u64 = 1_000_000;

/// Takes a batch of spans.
pub(super) fn receive(request: &Request, kept: &mut Kept) -> Result<Answer> {
    if request.header("content-type") != Some("application/x-protobuf") {
        return Err(refused(415, "HTTP 415 Unsupported Media Type"));
    }
    let batch = ExportTraceServiceRequest::decode(request.body.as_slice())
        .map_err(|fault| refused(400, format!("Failed to parse the protobuf: {fault}")))?;
    let project = request.header("projectname").unwrap_or(DEFAULT_PROJECT);
    let of_resources = batch.resource_spans.into_iter();
    let of_scopes = of_resources.flat_map(|resource| resource.scope_spans);
    let spans: Vec<Span> = of_scopes.flat_map(|scope| scope.spans).collect();
    let mut starts: BTreeMap<&[u8], u64> = BTreeMap::new();
    for span in &spans {
        let start = starts.entry(&span.trace_id).or_insert(u64::MAX);
        *start = span.start_time_unix_nano.min(*start);
    }
    for (trace, start) in starts {
        let key = (project.to_owned(), trace.to_vec());
        if !kept.trace_ids.contains_key(&key) {
            put(&mut kept.trace_ids, key, id(trace, start / NANOS));
        }
    }
    for span in spans {
        let trace_id = kept.trace_ids.get(&(project.to_owned(), span.trace_id.clone())).copied();
        keep(mapped(span, trace_id.unwrap_or_default(), project), kept);
    }
    Ok(Answer::protobuf(ExportTraceServiceResponse::default().encode_to_vec()))
}

/// The id of a trace or a span: the start of its trace, and a part of a digest of the id in `OpenTelemetry`.
fn id(of: &[u8], millis: u64) -> Uuid {
    let mut bytes = [0; 16];
    let (time, rest) = bytes.split_at_mut(6);
    for (to, from) in time.iter_mut().zip(millis.to_be_bytes().into_iter().skip(2)) {
        *to = from;
    }
    for (to, from) in rest.iter_mut().zip(digest::digest(&digest::SHA256, of).as_ref()) {
        *to = *from;
    }
    uuid::Builder::from_bytes(bytes)
        .with_version(uuid::Version::SortRand)
        .with_variant(uuid::Variant::RFC4122)
        .into_uuid()
}

/// Keeps a span; one without a parent is the trace, too.
fn keep(span: OpikSpan, kept: &mut Kept) {
    if span.parent_span_id.is_none() {
        let thread = span.metadata.get("thread_id").map(|thread| match thread {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        let trace = OpikTrace {
            id: span.trace_id,
            project: span.project.clone(),
            name: span.name.clone(),
            thread_id: thread,
            start_time: span.start_time,
            end_time: Some(span.end_time),
            input: span.input.clone(),
            output: span.output.clone(),
            metadata: span.metadata.clone(),
            tags: span.tags.clone(),
            error_info: span.error_info.clone(),
        };
        put(&mut kept.traces, trace.id, trace);
    }
    put(&mut kept.spans, span.id, span);
}

fn mapped(span: Span, trace_id: Uuid, project: &str) -> OpikSpan {
    // The first 48 bits of a UUID of version 7 are its time.
    let millis = u64::try_from(trace_id.as_u128() >> 80).unwrap_or_default();
    let time = |nanos: u64| {
        DateTime::from_timestamp_millis(i64::try_from(nanos / NANOS).unwrap_or_default()).unwrap_or_default()
    };
    let mut found = Found::default();
    for attribute in &span.attributes {
        if let Some(value) = &attribute.value {
            found.take(&attribute.key, value);
        }
    }
    let parts = (found.usage.get("prompt_tokens"), found.usage.get("completion_tokens"));
    if let ((Some(prompt), Some(completion)), false) = (parts, found.usage.contains_key("total_tokens")) {
        let total = prompt + completion;
        found.usage.insert("total_tokens".to_owned(), total);
    }
    let object = |map: Map<String, Value>| if map.is_empty() { Value::Null } else { Value::Object(map) };
    OpikSpan {
        id: id(&span.span_id, millis),
        trace_id,
        parent_span_id: (!span.parent_span_id.is_empty()).then(|| id(&span.parent_span_id, millis)),
        project: project.to_owned(),
        kind: if found.is_llm { "llm" } else { "general" },
        start_time: time(span.start_time_unix_nano),
        end_time: time(span.end_time_unix_nano),
        error_info: error(&span),
        name: span.name,
        input: object(found.input),
        output: object(found.output),
        metadata: object(found.metadata),
        tags: found.tags,
        model: found.model,
        provider: found.provider,
        usage: found.usage,
    }
}

/// What the attributes of a span say.
#[derive(Default)]
struct Found {
    is_llm: bool,
    model: Option<String>,
    provider: Option<String>,
    usage: BTreeMap<String, i64>,
    input: Map<String, Value>,
    output: Map<String, Value>,
    metadata: Map<String, Value>,
    tags: Vec<String>,
}

impl Found {
    fn take(&mut self, key: &str, value: &AnyValue) {
        let (place, is_llm) = rules::place(key);
        self.is_llm |= is_llm;
        let (column, key) = match place {
            Place::Model => return self.model = Some(text(value)),
            Place::Provider => return self.provider = Some(text(value)),
            Place::Usage => return self.take_usage(key, value),
            Place::Tags => return self.tags.extend(tags(value)),
            Place::Input => (&mut self.input, key),
            Place::Output => (&mut self.output, key),
            Place::Metadata => (&mut self.metadata, key),
            // The first counts.
            Place::Thread if self.metadata.contains_key("thread_id") => return,
            Place::Thread => (&mut self.metadata, "thread_id"),
        };
        if let Some(value) = column_value(value) {
            column.insert(key.to_owned(), value);
        }
    }

    fn take_usage(&mut self, key: &str, value: &AnyValue) {
        let name = match key.strip_prefix("gen_ai.usage.").unwrap_or(key) {
            "input_tokens" => "prompt_tokens",
            "output_tokens" => "completion_tokens",
            other => other,
        };
        let count = match &value.value {
            Some(Otel::IntValue(count)) => Some(*count),
            Some(Otel::StringValue(text)) => text.parse().ok(),
            _ => None,
        };
        if let Some(count) = count {
            self.usage.insert(name.to_owned(), count);
        }
    }
}

/// A text that is JSON becomes what it says.
fn column_value(value: &AnyValue) -> Option<Value> {
    Some(match value.value.as_ref()? {
        Otel::StringValue(text) if text.starts_with(['"', '[', '{']) => match serde_json::from_str(text) {
            Ok(Value::String(inner)) => serde_json::from_str(&inner).unwrap_or(Value::String(inner)),
            Ok(value) => value,
            Err(_) => json!(text),
        },
        Otel::StringValue(text) => json!(text),
        Otel::BoolValue(value) => json!(value),
        Otel::IntValue(value) => json!(value),
        Otel::DoubleValue(value) => json!(value),
        Otel::ArrayValue(all) => all.values.iter().map(text).collect(),
        _ => return None,
    })
}

fn tags(value: &AnyValue) -> Vec<String> {
    let all = match &value.value {
        Some(Otel::ArrayValue(all)) => all.values.iter().map(text).collect(),
        _ => {
            let text = text(value);
            serde_json::from_str::<Vec<String>>(&text)
                .unwrap_or_else(|_| text.split(',').map(str::to_owned).collect())
        }
    };
    all.iter().map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Otel::StringValue(text)) => text.clone(),
        _ => String::new(),
    }
}

/// From the last event `exception`, or from the status.
fn error(span: &Span) -> Option<Value> {
    let exception = span.events.iter().rev().find(|event| event.name == "exception");
    let status = span.status.as_ref().filter(|status| status.code == 2);
    let (kind, message, stack) = match (exception, status) {
        (Some(event), _) => {
            let of = |key: &str| attribute(&event.attributes, key);
            (of("exception.type"), of("exception.message"), of("exception.stacktrace"))
        }
        (None, Some(status)) => (None, Some(status.message.trim().to_owned()), None),
        (None, None) => return None,
    };
    let message = message.filter(|message| !message.is_empty());
    let kind = kind.unwrap_or_else(|| "Error".to_owned());
    let traceback = stack.or_else(|| message.clone()).unwrap_or_else(|| "Error".to_owned());
    Some(json!({ "exception_type": kind, "message": message, "traceback": traceback }))
}

fn attribute(all: &[KeyValue], key: &str) -> Option<String> {
    all.iter().find(|attribute| attribute.key == key)?.value.as_ref().map(text)
}

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Otel;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::{Value, json};

use super::{JSON, send};
use crate::FakeOpik;

/// 2024-11-14T12:00:00.123456789Z.
const START: u64 = 1_731_585_600_123_456_789;

fn attribute(key: &str, value: impl Into<Otel>) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value.into()) }),
        ..KeyValue::default()
    }
}

fn string(text: &str) -> Otel {
    Otel::StringValue(text.to_owned())
}

async fn export(fake: &FakeOpik, project: &str, spans: Vec<Span>) -> (u16, Value) {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let headers = format!("content-type: application/x-protobuf\r\nprojectName: {project}\r\n");
    send(fake, "POST otel/v1/traces", &headers, &body).await
}

fn span(id: u8, parent: Option<u8>, start: u64) -> Span {
    Span {
        trace_id: vec![7; 16],
        span_id: vec![id; 8],
        parent_span_id: parent.map(|parent| vec![parent; 8]).unwrap_or_default(),
        name: format!("span {id}"),
        start_time_unix_nano: start,
        end_time_unix_nano: start + 5_000_000,
        ..Span::default()
    }
}

/// Computed apart from here: the first ten bytes of the SHA-256 of sixteen times 7, behind the time.
const TRACE_ID: &str = "01932a8b-6a7b-7761-9406-af2a4a5a15f6";

#[tokio::test]
async fn ids_are_made_of_the_first_start_and_a_digest_and_are_remembered() {
    let fake = FakeOpik::start().await.unwrap();
    let later = START + 1_000_000_000;
    assert_eq!(export(&fake, "p", vec![span(2, Some(1), later), span(3, Some(1), START)]).await.0, 200);
    assert!(fake.traces().is_empty(), "there is no root yet");
    assert_eq!(export(&fake, "p", vec![span(1, None, START - 9_000_000)]).await.0, 200);
    let [trace] = &fake.traces()[..] else { panic!() };
    assert_eq!(trace.id.to_string(), TRACE_ID, "the root came later, so its start does not count");
    assert_eq!((trace.name.as_str(), trace.project.as_str()), ("span 1", "p"));
    assert_eq!(trace.start_time.timestamp_millis(), 1_731_585_600_114);
    let spans = fake.spans();
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert!(spans.iter().all(|span| span.trace_id == trace.id && span.id.get_version_num() == 7));
    assert!(spans.iter().all(|span| span.id.to_string().starts_with("01932a8b-6a7b-7")), "{spans:?}");
    assert_eq!(of("span 2").parent_span_id, Some(of("span 1").id));
    export(&fake, "other", vec![span(1, None, later)]).await;
    assert_eq!(fake.traces().len(), 2, "a project has ids of its own");
}

#[tokio::test]
async fn attributes_are_put_where_opik_puts_them() {
    let fake = FakeOpik::start().await.unwrap();
    let attributes = vec![
        attribute("gen_ai.request.model", string("m")),
        attribute("gen_ai.provider.name", string("openai")),
        attribute("gen_ai.request.max_tokens", Otel::IntValue(320)),
        attribute("gen_ai.response.truncated", Otel::BoolValue(false)),
        attribute("gen_ai.usage.input_tokens", Otel::IntValue(100)),
        attribute("gen_ai.usage.output_tokens", string("20")),
        attribute("input", string(r#"{"topic":"cats"}"#)),
        attribute("input.more", Otel::DoubleValue(0.5)),
        attribute("output.text", string("{no json")),
        attribute("thread_id", string("user-1")),
        attribute("opik.tags", string("a, b")),
        attribute("opik.metadata.version", string("1.2")),
        attribute("http.route", string("/v1/jokes")),
    ];
    let status = Some(Status { code: 2, message: "it broke".to_owned() });
    export(&fake, "p", vec![Span { attributes, status, ..span(1, None, START) }]).await;
    let [span] = &fake.spans()[..] else { panic!() };
    assert_eq!(
        (span.kind, span.model.as_deref(), span.provider.as_deref()),
        ("llm", Some("m"), Some("openai"))
    );
    let usage: Vec<_> = span.usage.iter().map(|(name, count)| (name.as_str(), *count)).collect();
    assert_eq!(usage, [("completion_tokens", 20), ("prompt_tokens", 100), ("total_tokens", 120)]);
    let input = json!({
        "gen_ai.request.max_tokens": 320, "input": { "topic": "cats" }, "input.more": 0.5, "http.route": "/v1/jokes"
    });
    assert_eq!(span.input, input);
    assert_eq!(span.output, json!({ "gen_ai.response.truncated": false, "output.text": "{no json" }));
    assert_eq!(span.metadata, json!({ "thread_id": "user-1", "opik.metadata.version": "1.2" }));
    let [trace] = &fake.traces()[..] else { panic!() };
    assert_eq!(
        (trace.thread_id.as_deref(), &trace.tags[..]),
        (Some("user-1"), &["a".into(), "b".into()][..])
    );
    assert_eq!((&trace.input, &trace.output), (&span.input, &span.output));
    let error = json!({ "exception_type": "Error", "message": "it broke", "traceback": "it broke" });
    assert_eq!(span.error_info, Some(error));
}

#[tokio::test]
async fn what_is_no_protobuf_is_refused() {
    let fake = FakeOpik::start().await.unwrap();
    assert_eq!(send(&fake, "POST otel/v1/traces", JSON, b"{}").await.0, 415);
    let headers = "content-type: application/x-protobuf\r\n";
    assert_eq!(send(&fake, "POST otel/v1/traces", headers, b"\xff\xff").await.0, 400);
    assert_eq!(send(&fake, "GET otel/v1/traces", "", b"").await.0, 404);
    assert_eq!(fake.requests()[1].body, b"\xff\xff");
}

//! Answers as traces.

use std::time::Duration;

use mesh_config::Reader;
use mesh_opik::{Answers, CONVERSATION, INVOKE_AGENT, OPERATION, OpikConfig};
use mesh_testkit::FakeOpik;
use opentelemetry::trace::{Status, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde_json::json;

/// As people are ready to wait for.
const LIMIT: Duration = Duration::from_secs(20);
const ID: &str = "0198c0de0000700080000000000000aa";

fn config(opik: &FakeOpik, more: &[(&str, &str)]) -> OpikConfig {
    let url = opik.url();
    let pairs = [("OPIK_URL_OVERRIDE", url.as_str()), ("OPIK_PROJECT_NAME", "jokes of tests")];
    let mut reader = Reader::from_pairs(pairs.iter().chain(more).copied());
    OpikConfig::read(&mut reader).unwrap().unwrap()
}

fn provider(config: &OpikConfig) -> SdkTracerProvider {
    let resource = Resource::builder_empty().with_service_name("quipu-jokes").build();
    SdkTracerProvider::builder()
        .with_resource(resource)
        .with_span_processor(Answers::start(config).unwrap())
        .build()
}

/// A request with an answer in it; the answer asks a model.
fn request(provider: &SdkTracerProvider, conversation: &str) -> String {
    let tracer = provider.tracer("test");
    let outer = Context::new().with_span(tracer.start("server"));
    let of_answer =
        [KeyValue::new(OPERATION, INVOKE_AGENT), KeyValue::new(CONVERSATION, conversation.to_owned())];
    let answer = tracer.span_builder("joke").with_attributes(of_answer);
    let answer = outer.with_span(answer.start_with_context(&tracer, &outer));
    let of_call = [
        KeyValue::new(OPERATION, "chat"),
        KeyValue::new("gen_ai.system", "openai"),
        KeyValue::new("gen_ai.provider.name", "openai"),
        KeyValue::new("gen_ai.request.model", "gpt-5-nano"),
        KeyValue::new("gen_ai.request.max_tokens", 200),
        KeyValue::new("gen_ai.usage.input_tokens", 12),
        KeyValue::new("gen_ai.usage.output_tokens", 30),
    ];
    let call = tracer.span_builder("chat gpt-5-nano").with_attributes(of_call);
    let call = answer.with_span(call.start_with_context(&tracer, &answer));
    call.span().end();
    let beside = outer.with_span(tracer.start_with_context("beside", &outer));
    beside.span().end();
    answer.span().end();
    outer.span().end();
    outer.span().span_context().trace_id().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_is_a_trace_with_all_its_fields() {
    let opik = FakeOpik::start_with("key-of-opik", "team").await.unwrap();
    let config = config(&opik, &[("OPIK_API_KEY", "key-of-opik"), ("OPIK_WORKSPACE", "team")]);
    let provider = provider(&config);
    let mesh_trace = request(&provider, ID);
    opik.wait_for(LIMIT, |opik| opik.traces().len() == 1).await.unwrap();

    let trace = opik.traces().remove(0);
    assert_eq!((trace.project.as_str(), trace.name.as_str()), ("jokes of tests", "joke"));
    assert_eq!(trace.thread_id.as_deref(), Some(ID));
    assert_eq!(trace.metadata["opik.metadata.trace_id"], mesh_trace);
    assert!(trace.end_time.unwrap() >= trace.start_time && trace.error_info.is_none());
    let spans = opik.spans();
    assert_eq!(spans.len(), 2, "neither what is around nor what is beside it: {spans:?}");
    let root = spans.iter().find(|span| span.name == "joke").unwrap();
    let call = spans.iter().find(|span| span.name == "chat gpt-5-nano").unwrap();
    assert_eq!((root.parent_span_id, call.parent_span_id), (None, Some(root.id)));
    assert_eq!((root.trace_id, call.trace_id), (trace.id, trace.id));
    assert_eq!(
        (call.kind, call.model.as_deref(), call.provider.as_deref()),
        ("llm", Some("gpt-5-nano"), Some("openai"))
    );
    assert_eq!((call.usage["prompt_tokens"], call.usage["completion_tokens"]), (12, 30));
    assert_eq!(call.input["gen_ai.request.max_tokens"], json!(200));

    let request = opik.requests().remove(0);
    let header =
        |name: &str| request.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    assert_eq!(request.path, "/api/v1/private/otel/v1/traces");
    assert_eq!(header("content-type"), Some("application/x-protobuf"));
    assert_eq!((header("authorization"), header("comet-workspace")), (Some("key-of-opik"), Some("team")));
    assert_eq!(header("projectname"), Some("jokes of tests"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_answers_of_one_trace_are_two_traces() {
    let opik = FakeOpik::start().await.unwrap();
    let provider = provider(&config(&opik, &[]));
    let tracer = provider.tracer("test");
    let outer = Context::new().with_span(tracer.start("server"));
    for conversation in [ID, "0198c0de0000700080000000000000bb"] {
        let attributes =
            [KeyValue::new(OPERATION, INVOKE_AGENT), KeyValue::new(CONVERSATION, conversation.to_owned())];
        let answer = tracer.span_builder("joke").with_attributes(attributes);
        let answer = outer.with_span(answer.start_with_context(&tracer, &outer));
        answer.span().set_status(Status::error("guard"));
        answer.span().end();
    }
    opik.wait_for(LIMIT, |opik| opik.traces().len() == 2).await.unwrap();
    assert!(opik.traces().iter().all(|trace| trace.error_info.is_some()));
    assert_eq!(opik.requests().len(), 1, "they go together");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fails_in_passing_is_sent_again() {
    let opik = FakeOpik::start().await.unwrap();
    opik.fail_next(2, 503);
    request(&provider(&config(&opik, &[])), ID);
    opik.wait_for(LIMIT, |opik| opik.traces().len() == 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_not_sent_again() {
    let opik = FakeOpik::start_with("right", "team").await.unwrap();
    let provider = provider(&config(&opik, &[("OPIK_API_KEY", "wrong"), ("OPIK_WORKSPACE", "team")]));
    request(&provider, ID);
    opik.wait_for(LIMIT, |opik| !opik.requests().is_empty()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!((opik.requests().len(), opik.traces().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flush_sends_what_waits_and_is_bounded() {
    let opik = FakeOpik::start().await.unwrap();
    let config = config(&opik, &[]);
    let provider = provider(&config);
    request(&provider, ID);
    let flushed = tokio::task::spawn_blocking(move || provider.force_flush().is_ok());
    assert!(flushed.await.unwrap());
    assert_eq!(opik.traces().len(), 1);

    opik.stall_next(1, Duration::from_secs(60));
    let answers = Answers::start(&config).unwrap();
    let stalled = SdkTracerProvider::builder().with_span_processor(answers).build();
    request(&stalled, ID);
    let begun = std::time::Instant::now();
    let ended = tokio::task::spawn_blocking(move || {
        stalled.shutdown_with_timeout(Duration::from_millis(300)).is_ok()
    });
    assert!(!ended.await.unwrap());
    // Far above its limit, far below the time-outs of the sender.
    assert!(begun.elapsed() < Duration::from_secs(4));
}

//! A joke is one trace from REST to SQL, and what Opik knows of it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use mesh_testkit::{CollectedSpan, FakeLlm, FakeOpik, Reply};
use quipu_e2e::{LIMIT, ProcessMesh, Setup, answer};
use reqwest::Method;
use serde_json::{Value, json};

const JOKE: &str = r#"{"setup": "Why do knots never travel alone?", "punchline": "They have ties."}"#;
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
/// For what is told in the background.
const SOON: Duration = Duration::from_secs(30);

/// A mesh of processes whose jokes come from `llm` and are observed at `opik`.
async fn mesh(llm: &FakeLlm, opik: &FakeOpik, captures: bool) -> ProcessMesh {
    Setup::new()
        .servers()
        .with("jokes", "OPENAI_BASE_URL", llm.base_url())
        .with("jokes", "OPENAI_API_KEY", "sk-canary-of-the-model")
        .with("jokes", "QUIPU_JOKES_OPENAI_MODELS", "gpt-5-nano")
        .with("jokes", "OPIK_URL_OVERRIDE", opik.url())
        .with("jokes", "OPIK_API_KEY", "canary-of-opik")
        .with("jokes", "OPIK_WORKSPACE", "team")
        .with("jokes", "OPIK_PROJECT_NAME", "jokes of tests")
        .with("jokes", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", captures.to_string())
        .start()
        .await
}

async fn model() -> FakeLlm {
    let llm = FakeLlm::start().await.unwrap();
    llm.always(Reply::text(JOKE).usage(40, 20));
    llm
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joke_is_one_trace_and_opik_has_its_answer_and_its_rating() {
    let (llm, opik) = (model().await, FakeOpik::start_with("canary-of-opik", "team").await.unwrap());
    let mesh = mesh(&llm, &opik, false).await;
    let ana = mesh.signed_in("ana").await;
    let wish = ana
        .request(Method::POST, "/v1/jokes")
        .header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"))
        .json(&json!({"topic": "a secret topic", "temperature": 0.7}));
    let (status, made) = answer(wish).await;
    assert_eq!(status.as_u16(), 201, "{made}");
    let id = made["joke"]["id"].as_str().unwrap();

    let spans = mesh.collector.wait_for(LIMIT, whole).await.unwrap();
    in_the_collector(&spans);
    opik.wait_for(SOON, |opik| opik.traces().len() == 1).await.unwrap();
    in_opik(&opik, id);

    let opinion = json!({"rating": -1, "comment": "a secret opinion"});
    let (status, rated) = ana.post(&format!("/v1/jokes/{id}/feedback"), &opinion).await;
    assert!(status.is_success(), "{rated}");
    opik.wait_for(SOON, |opik| opik.scores().len() == 1).await.unwrap();
    let score = opik.scores().remove(0);
    assert_eq!((score.trace_id, score.name.as_str(), score.value), (opik.traces()[0].id, "rating", -1.0));
    assert_eq!((score.source.as_str(), score.reason), ("sdk", None), "a comment is a user's text");

    let everything = format!("{:?}{:?}{:?}", mesh.collector.spans(), opik.traces(), opik.spans());
    let logs = mesh.processes.iter().map(quipu_e2e::Process::log).collect::<String>();
    for secret in ["canary-of", "a secret", "They have ties"] {
        assert!(!everything.contains(secret) && !logs.contains(secret), "{secret} is in a trace or a log");
    }
}

/// Whether the trace has come as far as it goes.
fn whole(spans: &[CollectedSpan]) -> bool {
    let has = |service: &str, kind: i32| {
        spans.iter().any(|s| s.trace_id == TRACE && s.service == service && s.kind == kind)
    };
    let server_and_client = has("quipu-gateway", 2) && has("quipu-gateway", 3);
    server_and_client
        && has("quipu-jokes", 2)
        && has("quipu-sentiment", 2)
        && !sql(spans, "INSERT").is_empty()
}

/// Statements of the jokes' database.
fn sql<'a>(spans: &'a [CollectedSpan], verb: &str) -> Vec<&'a CollectedSpan> {
    let of = |span: &&CollectedSpan| {
        let summary = span.attributes.get("db.query.summary");
        span.service == "quipu-jokes" && summary.is_some_and(|summary| summary.contains(verb))
    };
    spans.iter().filter(of).collect()
}

fn in_the_collector(spans: &[CollectedSpan]) {
    let spans: Vec<_> = spans.iter().filter(|s| s.trace_id == TRACE).collect();
    let path = |from: &CollectedSpan| {
        let mut names = vec![from.name.clone()];
        let mut now = from;
        while let Some(parent) = spans.iter().find(|s| s.span_id == now.parent_span_id) {
            names.push(parent.name.clone());
            now = parent;
        }
        names.join(" < ")
    };
    let call = spans.iter().find(|s| s.name == "chat gpt-5-nano").unwrap();
    let to_rest = "joke < quipu.jokes.v1.JokeService/CreateJoke < quipu.jokes.v1.JokeService/CreateJoke < POST /v1/jokes";
    assert!(path(call).ends_with(to_rest), "{}", path(call));
    for (key, value) in [
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.system", "openai"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.usage.input_tokens", "40"),
        ("gen_ai.usage.output_tokens", "20"),
        ("gen_ai.response.finish_reasons", "stop"),
    ] {
        assert!(call.attributes.get(key).is_some_and(|v| v.contains(value)), "{key}: {:?}", call.attributes);
    }
    let sentiment = spans.iter().find(|s| s.service == "quipu-sentiment" && s.kind == 2).unwrap();
    assert!(path(sentiment).ends_with(to_rest), "{}", path(sentiment));
    let statement = spans.iter().find(|s| {
        s.attributes.get("db.query.summary").is_some_and(|summary| summary.contains("INSERT jokes"))
    });
    assert!(path(statement.unwrap()).ends_with(to_rest), "{}", path(statement.unwrap()));
}

fn in_opik(opik: &FakeOpik, id: &str) {
    let trace = opik.traces().remove(0);
    assert_eq!((trace.project.as_str(), trace.name.as_str()), ("jokes of tests", "joke"));
    assert_eq!(
        (trace.thread_id.as_deref(), &trace.metadata["opik.metadata.trace_id"]),
        (Some(id), &json!(TRACE))
    );
    let spans = opik.spans();
    assert!(spans.iter().all(|span| span.trace_id == trace.id));
    let call = spans.iter().find(|span| span.name == "chat gpt-5-nano").unwrap();
    assert_eq!(
        (call.kind, call.model.as_deref(), call.provider.as_deref()),
        ("llm", Some("gpt-5-nano"), Some("openai"))
    );
    assert_eq!((call.usage["prompt_tokens"], call.usage["completion_tokens"]), (40, 20));
    assert_eq!(call.metadata["gen_ai.request.temperature"], json!(0.7));
    let root = spans.iter().find(|span| span.parent_span_id.is_none()).unwrap();
    assert_eq!((root.name.as_str(), call.parent_span_id), ("joke", Some(root.id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_observed_only_when_asked_for_and_never_logged() {
    let (llm, opik) = (model().await, FakeOpik::start_with("canary-of-opik", "team").await.unwrap());
    let mesh = mesh(&llm, &opik, true).await;
    let ana = mesh.signed_in("ana").await;
    let (status, made) = ana.post("/v1/jokes", &json!({"topic": "a secret topic"})).await;
    assert_eq!(status.as_u16(), 201, "{made}");
    opik.wait_for(SOON, |opik| opik.traces().len() == 1).await.unwrap();
    let trace = opik.traces().remove(0);
    assert_eq!(trace.input["input"]["topic"], "a secret topic");
    assert_eq!(trace.output["output"]["punchline"], "They have ties.");
    let call = opik.spans().into_iter().find(|span| span.kind == "llm").unwrap();
    let texts = format!("{}{}", call.input, call.output);
    assert!(texts.contains("a secret topic") && texts.contains("They have ties"), "{texts}");
    assert!(!texts.contains("Internal mark"), "our own instructions hold a secret: {texts}");
    let logs = mesh.processes.iter().map(quipu_e2e::Process::log).collect::<String>();
    assert!(!logs.contains("a secret topic") && !logs.contains("They have ties"));
    let _: Value = made;
}

//! What a trace tells of an answer, by OpenTelemetry's conventions for generative models. Texts of users and of models are in it
//! only when an operator has asked for them, and then in no log line.

use mesh_opik::INVOKE_AGENT;
use mesh_telemetry::annotate;
use serde_json::{Value, json};
use tracing::Span;
use tracing::field::Empty;

use crate::domain::{Joke, JokeRequest};
use crate::error::Result;
use crate::models::Entry;
use crate::ports::{Prompt, Role};

/// The span of an answer, from the wish to what is kept: what Opik makes a trace of. `what` is `joke` or `chat`, `id` the joke's
/// or one of its own.
pub(super) fn answer(what: &'static str, id: &str) -> Span {
    tracing::info_span!(
        "answer",
        otel.name = what,
        otel.status_code = Empty,
        error.type = Empty,
        gen_ai.operation.name = INVOKE_AGENT,
        gen_ai.agent.name = what,
        gen_ai.conversation.id = id,
    )
}

/// The span of a call to a provider. `gen_ai.system` is the older name of `gen_ai.provider.name`, which some readers still look
/// for.
pub(super) fn call(entry: &Entry, prompt: &Prompt) -> Span {
    let info = entry.info();
    let span = tracing::info_span!(
        "gen_ai",
        otel.name = format!("chat {}", info.name),
        otel.kind = "client",
        otel.status_code = Empty,
        error.type = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = info.provider,
        gen_ai.system = info.provider,
        gen_ai.request.model = info.name,
        gen_ai.request.max_tokens = prompt.max_output_tokens,
        gen_ai.request.temperature = Empty,
        gen_ai.request.seed = Empty,
        gen_ai.output.type = if prompt.schema.is_some() { "json" } else { "text" },
        gen_ai.response.finish_reasons = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
    );
    if let Some(temperature) = prompt.temperature {
        span.record("gen_ai.request.temperature", temperature);
    }
    if let Some(seed) = prompt.seed {
        span.record("gen_ai.request.seed", seed);
    }
    span
}

/// Marks a span as failed.
pub(super) fn fail(span: &Span, kind: &'static str) {
    span.record("otel.status_code", "ERROR");
    span.record("error.type", kind);
}

/// Marks a span as failed if its work has.
pub(super) fn end<T>(span: &Span, result: &Result<T>) {
    if let Err(error) = result {
        fail(span, error.outcome());
    }
}

/// What was said to a model; our own instructions are left away, since they hold a secret.
pub(super) fn asked(span: &Span, prompt: &Prompt) {
    let turns = prompt.turns.iter().map(|turn| {
        let role = match turn.role {
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        message(role, &turn.text)
    });
    annotate(span, "gen_ai.input.messages", turns.collect::<Value>().to_string());
}

/// What a model said, as it came.
pub(super) fn said(span: &Span, text: &str, finish: &str) {
    let mut message = message("assistant", text);
    if let Some(message) = message.as_object_mut() {
        message.insert("finish_reason".to_owned(), finish.into());
    }
    annotate(span, "gen_ai.output.messages", json!([message]).to_string());
}

/// What was wished for, and what came of it.
pub(super) fn told(span: &Span, wish: &JokeRequest, result: &Result<Joke>) {
    let wish = json!({"topic": wish.topic.as_str(), "params": wish.params});
    annotate(span, "input", wish.to_string());
    if let Ok(joke) = result {
        annotate(span, "output", json!(joke.told).to_string());
    }
}

fn message(role: &str, text: &str) -> Value {
    json!({"role": role, "parts": [{"type": "text", "content": text}]})
}

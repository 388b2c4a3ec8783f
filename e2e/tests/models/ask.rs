//! A joke asked for in each of the four ways there are, and what came of it, in the same words for all.

use std::time::Duration;

use futures::StreamExt as _;
use mesh_error::Error;
use mesh_proto::jokes::v1::{self as jokes, stream_joke_response::Event};
use serde_json::{Value, json};
use tonic::Status;

/// How a joke is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    /// `CreateJoke`.
    Grpc,
    /// `StreamJoke`.
    Stream,
    /// `POST /v1/jokes`.
    Rest,
    /// The same with `Accept: text/event-stream`.
    Sse,
}

/// What joke is wanted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wish {
    pub(crate) topic: String,
    pub(crate) model: String,
    pub(crate) params: jokes::JokeParams,
}

/// A joke that was told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) setup: String,
    pub(crate) punchline: String,
    pub(crate) model: String,
    pub(crate) cached: bool,
    pub(crate) fallback: bool,
    pub(crate) input: u32,
    pub(crate) output: u32,
    /// Billionths of a dollar.
    pub(crate) cost: i64,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// The status of gRPC or of HTTP; of a stream that broke, that of its last event.
    pub(crate) status: u16,
    /// The stable word of the error; empty when there is none.
    pub(crate) reason: String,
    /// When to come again, if it says so.
    pub(crate) retry_after: Option<Duration>,
    /// What came before the end.
    pub(crate) text: String,
    /// The joke, unless there is an error.
    pub(crate) told: Option<Told>,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [Self::Grpc, Self::Stream, Self::Rest, Self::Sse];

    /// As in names of models.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Stream => "stream",
            Self::Rest => "rest",
            Self::Sse => "sse",
        }
    }

    /// Whether the text comes while it is told.
    pub(crate) fn streams(self) -> bool {
        matches!(self, Self::Stream | Self::Sse)
    }

    /// Of these statuses of gRPC and of HTTP, the one that is this way's.
    pub(crate) fn status(self, grpc: u16, http: u16) -> u16 {
        if matches!(self, Self::Grpc | Self::Stream) { grpc } else { http }
    }
}

impl Wish {
    pub(crate) fn new(topic: &str, model: &str) -> Self {
        Self { topic: topic.to_owned(), model: model.to_owned(), params: jokes::JokeParams::default() }
    }

    /// With a seed: the model is told, so that a test knows which wish it was.
    pub(crate) fn seed(mut self, seed: u32) -> Self {
        self.params.seed = Some(seed);
        self
    }

    /// As the body of a request over REST.
    pub(crate) fn body(&self) -> Value {
        let name = |name: &str, prefix: &str| name.strip_prefix(prefix).unwrap().to_lowercase();
        let mut body = json!({"topic": self.topic, "model": self.model});
        let mut put = |key: &str, value: Value| body[key] = value;
        let jokes::JokeParams { audience, language, temperature, seed, .. } = &self.params;
        if self.params.style() != jokes::Style::Unspecified {
            put("style", name(self.params.style().as_str_name(), "STYLE_").into());
        }
        if self.params.length() != jokes::Length::Unspecified {
            put("length", name(self.params.length().as_str_name(), "LENGTH_").into());
        }
        for (key, text) in [("audience", audience), ("language", language)] {
            if !text.is_empty() {
                put(key, text.as_str().into());
            }
        }
        if let Some(temperature) = temperature {
            put("temperature", (*temperature).into());
        }
        if let Some(seed) = seed {
            put("seed", (*seed).into());
        }
        body
    }

    pub(crate) fn create(&self) -> jokes::CreateJokeRequest {
        let Self { topic, model, params } = self.clone();
        jokes::CreateJokeRequest { topic, model, params: Some(params) }
    }

    pub(crate) fn stream(&self) -> jokes::StreamJokeRequest {
        let Self { topic, model, params } = self.clone();
        jokes::StreamJokeRequest { topic, model, params: Some(params) }
    }
}

impl Outcome {
    /// A joke, as gRPC has it.
    pub(crate) fn of_joke(joke: jokes::Joke, text: String) -> Self {
        let usage = joke.usage.unwrap_or_default();
        let jokes::Joke { setup, punchline, model, cached, fallback, .. } = joke;
        let (input, output, cost) = (usage.input_tokens, usage.output_tokens, usage.cost_nanos);
        let told = Some(Told { setup, punchline, model, cached, fallback, input, output, cost });
        Self { text, told, ..Self::default() }
    }

    /// A failure, as gRPC has it.
    pub(crate) fn of_status(status: &Status, text: String) -> Self {
        let error = Error::from_status(status);
        let code = u16::try_from(i32::from(status.code())).unwrap();
        let (reason, retry_after) = (error.reason().to_owned(), error.retry_after());
        Self { status: code, reason, retry_after, text, told: None }
    }

    /// The messages of a stream, to their end.
    pub(crate) async fn of_stream(mut messages: tonic::Streaming<jokes::StreamJokeResponse>) -> Self {
        let mut text = String::new();
        while let Some(message) = messages.next().await {
            match message.map(|message| message.event) {
                Ok(Some(Event::Delta(delta))) => text.push_str(&delta),
                Ok(Some(Event::Joke(joke))) => return Self::of_joke(joke, text),
                Ok(None) => {}
                Err(status) => return Self::of_status(&status, text),
            }
        }
        panic!("a stream without an end: {text}")
    }

    /// An answer over REST that is one JSON object.
    pub(crate) fn of_json(status: u16, body: &Value) -> Self {
        let mut outcome = Self { status, ..Self::default() };
        if body["joke"].is_object() {
            outcome.told = Some(told(&body["joke"]));
        } else {
            body["reason"].as_str().unwrap_or_default().clone_into(&mut outcome.reason);
            outcome.retry_after = body["retry_after"].as_u64().map(Duration::from_secs);
        }
        outcome
    }

    /// An answer of server-sent events.
    pub(crate) fn of_events(status: u16, events: &str) -> Self {
        let mut outcome = Self { status, ..Self::default() };
        for event in events.split("\n\n").filter(|event| !event.is_empty() && !event.starts_with(':')) {
            let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("");
            let data: Value = serde_json::from_str(field("data: ")).unwrap();
            match field("event: ") {
                "delta" => outcome.text.push_str(data["text"].as_str().unwrap()),
                "joke" => outcome.told = Some(told(&data["joke"])),
                "error" => {
                    let status = u16::try_from(data["status"].as_u64().unwrap()).unwrap();
                    outcome = Self { text: outcome.text, ..Self::of_json(status, &data) };
                }
                other => panic!("an event {other}: {event}"),
            }
        }
        outcome
    }

    /// Whether it is a joke.
    pub(crate) fn is_told(&self) -> bool {
        self.told.is_some()
    }
}

/// A joke, as REST has it.
fn told(joke: &Value) -> Told {
    let text = |name: &str| joke[name].as_str().unwrap().to_owned();
    let tokens = |name: &str| u32::try_from(joke["usage"][name].as_u64().unwrap()).unwrap();
    let dollars = joke["usage"]["cost"].as_f64().unwrap();
    Told {
        setup: text("setup"),
        punchline: text("punchline"),
        model: text("model"),
        cached: joke["cached"].as_bool().unwrap(),
        fallback: joke["fallback"].as_bool().unwrap(),
        input: tokens("input_tokens"),
        output: tokens("output_tokens"),
        // Shown to nine digits; through text, since no cast is exact by type.
        cost: format!("{:.0}", dollars * 1e9).parse().unwrap(),
    }
}

//! `jokes` as the tests want it: the topic, or the last message of a chat, says what happens.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use mesh_error::{Error, Kind, Violation};
use mesh_proto::jokes::v1::{
    self as pb, chat_response, joke_service_server::JokeService, stream_joke_response,
};
use prost_types::Timestamp;
use tokio::time::sleep;
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

/// `jokes`, scripted.
#[derive(Clone, Default)]
pub(crate) struct FakeJokes(pub(crate) Arc<Seen>);

/// What it saw.
#[derive(Default)]
pub(crate) struct Seen {
    /// Jokes that were made.
    pub(crate) made: AtomicUsize,
    /// Streams that go on.
    pub(crate) open: AtomicUsize,
    /// The last wish for a joke.
    pub(crate) wish: Mutex<Option<(String, pb::JokeParams, String)>>,
    /// The last request for a list.
    pub(crate) list: Mutex<Option<pb::ListJokesRequest>>,
}

/// Counts a stream as open as long as it lives.
struct Open(Arc<Seen>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A refusal by its name.
fn scripted(script: &str) -> Result<(), Status> {
    let violation = |field: &str| Violation { field: field.to_owned(), description: "is wrong".to_owned() };
    let error = match script {
        "invalid" => Error::invalid(vec![violation("topic"), violation("params.audience")]),
        "guarded" => Error::new(Kind::InvalidArgument, "GUARD_REFUSED", "params.audience: gives orders")
            .with_metadata("field", "params.audience")
            .with_metadata("rule", "injection"),
        "refused" => Error::new(Kind::FailedPrecondition, "ANSWER_REFUSED", "the answer was refused")
            .with_metadata("rule", "slur"),
        "declined" => Error::new(Kind::FailedPrecondition, "MODEL_DECLINED", "the model declined"),
        "rejected" => Error::new(Kind::FailedPrecondition, "MODEL_REJECTED_CALL", "a bad key"),
        "unfit" => Error::unavailable("MODEL_ANSWER_INVALID", "no joke"),
        "broken" => Error::unavailable("MODEL_BROKE_OFF", "broke off"),
        "away" => Error::unavailable("MODEL_UNAVAILABLE", "away").with_retry_after(Duration::from_secs(5)),
        "spent" => Error::exhausted("BUDGET_SPENT", "spent", Duration::from_secs(77)),
        _ => return Ok(()),
    };
    Err(error.into_status())
}

fn usage() -> Option<pb::Usage> {
    Some(pb::Usage { input_tokens: 120, output_tokens: 30, cost_nanos: 36_000 })
}

fn joke(topic: &str, params: pb::JokeParams) -> pb::Joke {
    let style = if params.style == 0 { pb::Style::Pun.into() } else { params.style };
    let length = if params.length == 0 { pb::Length::Medium.into() } else { params.length };
    pb::Joke {
        id: "j1".to_owned(),
        setup: "Why\nso?".to_owned(),
        punchline: "So.".to_owned(),
        topic: topic.to_owned(),
        model: "puns-1".to_owned(),
        params: Some(pb::JokeParams { style, length, language: "en".to_owned(), ..params }),
        latency_ms: 12,
        usage: usage(),
        sentiment: Some(pb::Sentiment { label: "positive".to_owned(), score: 0.5 }),
        rating: None,
        created_at: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        provider: "quipu".to_owned(),
        cached: false,
        fallback: false,
    }
}

impl FakeJokes {
    fn note(&self, topic: &str, params: Option<pb::JokeParams>, model: String) -> Result<pb::Joke, Status> {
        scripted(topic)?;
        let params = params.unwrap_or_default();
        *self.0.wish.lock().unwrap() = Some((topic.to_owned(), params.clone(), model));
        self.0.made.fetch_add(1, Ordering::SeqCst);
        Ok(joke(topic, params))
    }

    /// Two pieces and then `last`; what `script` says comes after the pieces with "late-" before it, and "hang" never ends.
    fn pieces<T: Send + 'static>(
        &self,
        script: &str,
        piece: fn(String) -> T,
        last: T,
    ) -> BoxStream<'static, Result<T, Status>> {
        self.0.open.fetch_add(1, Ordering::SeqCst);
        let open = Open(self.0.clone());
        let script = script.to_owned();
        let slow = script.starts_with("slow");
        let end = async move {
            let _open = open;
            match script.as_str() {
                "hang" => std::future::pending::<()>().await,
                late => scripted(late.strip_prefix("late-").unwrap_or_default())?,
            }
            Ok(last)
        };
        let begin = async move {
            if slow {
                sleep(Duration::from_millis(1_500)).await;
            }
            Ok(piece("one\n".to_owned()))
        };
        let second = stream::iter([Ok(piece("two ".to_owned()))]);
        stream::once(begin).chain(second).chain(stream::once(end)).boxed()
    }
}

#[tonic::async_trait]
impl JokeService for FakeJokes {
    type ChatStream = BoxStream<'static, Result<pb::ChatResponse, Status>>;
    type StreamJokeStream = BoxStream<'static, Result<pb::StreamJokeResponse, Status>>;

    async fn create_joke(&self, request: Request<pb::CreateJokeRequest>) -> Answer<pb::CreateJokeResponse> {
        let pb::CreateJokeRequest { topic, params, model } = request.into_inner();
        let joke = self.note(&topic, params, model)?;
        Ok(Response::new(pb::CreateJokeResponse { joke: Some(joke) }))
    }

    async fn stream_joke(&self, request: Request<pb::StreamJokeRequest>) -> Answer<Self::StreamJokeStream> {
        use stream_joke_response::Event;
        let pb::StreamJokeRequest { topic, params, model } = request.into_inner();
        let joke = self.note(&topic, params, model)?;
        let message = |event| pb::StreamJokeResponse { event: Some(event) };
        let piece = |text| pb::StreamJokeResponse { event: Some(Event::Delta(text)) };
        Ok(Response::new(self.pieces(&topic, piece, message(Event::Joke(joke)))))
    }

    async fn chat(&self, request: Request<pb::ChatRequest>) -> Answer<Self::ChatStream> {
        use chat_response::Event;
        let request = request.into_inner();
        let script = request.messages.last().unwrap().content.clone();
        scripted(&script)?;
        let end = pb::ChatEnd { model: "puns-1".to_owned(), usage: usage(), truncated: false };
        let piece = |text| pb::ChatResponse { event: Some(Event::Delta(text)) };
        Ok(Response::new(self.pieces(&script, piece, pb::ChatResponse { event: Some(Event::End(end)) })))
    }

    async fn get_joke(&self, request: Request<pb::GetJokeRequest>) -> Answer<pb::GetJokeResponse> {
        let id = request.into_inner().id;
        if id == "nobodys" {
            return Err(Error::not_found("joke").into_status());
        }
        let bare = pb::Joke { sentiment: None, id, ..joke("tea", pb::JokeParams::default()) };
        Ok(Response::new(pb::GetJokeResponse { joke: Some(bare) }))
    }

    async fn list_jokes(&self, request: Request<pb::ListJokesRequest>) -> Answer<pb::ListJokesResponse> {
        *self.0.list.lock().unwrap() = Some(request.into_inner());
        let jokes = vec![joke("tea", pb::JokeParams::default())];
        Ok(Response::new(pb::ListJokesResponse { jokes, next_page_token: "next".to_owned() }))
    }

    async fn delete_joke(&self, request: Request<pb::DeleteJokeRequest>) -> Answer<pb::DeleteJokeResponse> {
        match request.get_ref().id.as_str() {
            "nobodys" => Err(Error::not_found("joke").into_status()),
            _ => Ok(Response::new(pb::DeleteJokeResponse {})),
        }
    }

    async fn rate_joke(&self, request: Request<pb::RateJokeRequest>) -> Answer<pb::RateJokeResponse> {
        let pb::RateJokeRequest { id, rating, .. } = request.into_inner();
        if rating.abs() != 1 {
            return Err(Error::invalid_field("rating", "must be 1 or -1").into_status());
        }
        let rated = pb::Joke { rating: Some(rating), id, ..joke("tea", pb::JokeParams::default()) };
        Ok(Response::new(pb::RateJokeResponse { joke: Some(rated) }))
    }

    async fn list_models(&self, _: Request<pb::ListModelsRequest>) -> Answer<pb::ListModelsResponse> {
        let model = pb::Model {
            name: "puns-1".to_owned(),
            provider: "quipu".to_owned(),
            default: true,
            input_price_nanos: 150,
            output_price_nanos: 600,
        };
        Ok(Response::new(pb::ListModelsResponse { models: vec![model] }))
    }

    async fn get_usage(&self, _: Request<pb::GetUsageRequest>) -> Answer<pb::GetUsageResponse> {
        let budget = pb::Budget {
            scope: "user".to_owned(),
            period: "day".to_owned(),
            ends_at: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            calls: Some(pb::Spent { used: 3, limit: Some(100) }),
            tokens: Some(pb::Spent { used: 450, limit: None }),
            cost_nanos: Some(pb::Spent { used: 108_000, limit: Some(500_000_000) }),
        };
        Ok(Response::new(pb::GetUsageResponse { budgets: vec![budget] }))
    }
}

//! The contract `quipu.jokes.v1`: each method parses, calls the service and converts; nothing is decided here.

mod convert;

use std::sync::{Arc, OnceLock};

use futures::future::ready;
use futures::stream::{BoxStream, StreamExt as _, once};
use mesh_error::Error;
use mesh_proto::jokes::v1 as pb;
use mesh_proto::jokes::v1::joke_service_server::JokeService;
use mesh_resilience::Deadline;
use mesh_server::{refuse, run_to_end};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::error::{JokesError, Result as JokesResult};
use crate::service::{Caller, Event, Events, Jokes, Order};

/// The gRPC side of the service. The service itself appears when its database does; until then every method is unavailable.
#[derive(Clone, Default)]
pub(crate) struct Grpc {
    jokes: Arc<OnceLock<Arc<Jokes>>>,
}

type Answer<T> = Result<Response<T>, Status>;

impl Grpc {
    /// Over a service that is still to come.
    pub(crate) fn new(jokes: Arc<OnceLock<Arc<Jokes>>>) -> Self {
        Self { jokes }
    }

    fn call<T>(&self, request: &Request<T>) -> Result<(Arc<Jokes>, Caller), Status> {
        let starting = || refuse(Error::unavailable("STARTING", "the service has no database yet"));
        let jokes = self.jokes.get().cloned().ok_or_else(starting)?;
        Ok((jokes, convert::caller(request).map_err(refuse)?))
    }
}

fn answer<T>(result: Result<T, JokesError>) -> Answer<T> {
    result.map(Response::new).map_err(refuse)
}

fn order<T>(request: &Request<T>, caller: Caller, model: &str, streams: bool) -> Order {
    let deadline = request.extensions().get::<Deadline>().copied();
    Order { caller, model: model.to_owned(), deadline, streams }
}

/// The last event of a call that nobody reads along.
async fn last(mut events: Events) -> JokesResult<Event> {
    loop {
        match events.recv().await {
            Some(Ok(Event::Delta(_))) => {}
            Some(last) => return last,
            None => return Err(without_end()),
        }
    }
}

fn without_end() -> JokesError {
    JokesError::internal("a call without an end")
}

/// Events as messages of a stream. The head of the answer goes with the first of them: one write and not two, and what fails
/// before it is the answer.
async fn stream<T: Send + 'static>(
    mut events: Events,
    message: impl Fn(Event) -> T + Send + Sync + 'static,
) -> Answer<BoxStream<'static, Result<T, Status>>> {
    let first = events.recv().await.unwrap_or_else(|| Err(without_end())).map_err(refuse)?;
    let events = once(ready(Ok(first))).chain(ReceiverStream::new(events));
    Ok(Response::new(events.map(move |event| event.map(&message).map_err(refuse)).boxed()))
}

#[tonic::async_trait]
impl JokeService for Grpc {
    async fn create_joke(&self, request: Request<pb::CreateJokeRequest>) -> Answer<pb::CreateJokeResponse> {
        let (jokes, caller) = self.call(&request)?;
        let order = order(&request, caller, &request.get_ref().model, false);
        let request = request.into_inner();
        let wish = convert::wish(&request.topic, request.params).map_err(refuse)?;
        let events = jokes.make_joke(order, wish).map_err(refuse)?;
        answer(last(events).await.map(|event| pb::CreateJokeResponse { joke: convert::finished(event) }))
    }

    type StreamJokeStream = BoxStream<'static, Result<pb::StreamJokeResponse, Status>>;

    async fn stream_joke(&self, request: Request<pb::StreamJokeRequest>) -> Answer<Self::StreamJokeStream> {
        let (jokes, caller) = self.call(&request)?;
        let order = order(&request, caller, &request.get_ref().model, true);
        let request = request.into_inner();
        let wish = convert::wish(&request.topic, request.params).map_err(refuse)?;
        stream(jokes.make_joke(order, wish).map_err(refuse)?, convert::joke_event).await
    }

    type ChatStream = BoxStream<'static, Result<pb::ChatResponse, Status>>;

    async fn chat(&self, request: Request<pb::ChatRequest>) -> Answer<Self::ChatStream> {
        let (jokes, caller) = self.call(&request)?;
        let order = order(&request, caller, &request.get_ref().model, true);
        let conversation = convert::conversation(request.into_inner().messages).map_err(refuse)?;
        stream(jokes.chat(order, &conversation).map_err(refuse)?, convert::chat_event).await
    }

    async fn get_joke(&self, request: Request<pb::GetJokeRequest>) -> Answer<pb::GetJokeResponse> {
        let (jokes, caller) = self.call(&request)?;
        let id = convert::id(request.into_inner().id).map_err(refuse)?;
        let joke = jokes.joke_of(&caller, &id).await;
        answer(joke.map(|joke| pb::GetJokeResponse { joke: Some(convert::joke(joke)) }))
    }

    async fn list_jokes(&self, request: Request<pb::ListJokesRequest>) -> Answer<pb::ListJokesResponse> {
        let (jokes, caller) = self.call(&request)?;
        let wish = convert::list(request.into_inner()).map_err(refuse)?;
        answer(jokes.list(&caller, &wish).await.map(convert::jokes))
    }

    async fn delete_joke(&self, request: Request<pb::DeleteJokeRequest>) -> Answer<pb::DeleteJokeResponse> {
        let (jokes, caller) = self.call(&request)?;
        let id = convert::id(request.into_inner().id).map_err(refuse)?;
        let deleted = run_to_end(async move { jokes.delete(&caller, &id).await }).await;
        answer(deleted.map(|()| pb::DeleteJokeResponse {}))
    }

    async fn rate_joke(&self, request: Request<pb::RateJokeRequest>) -> Answer<pb::RateJokeResponse> {
        let (jokes, caller) = self.call(&request)?;
        let (id, feedback) = convert::feedback(request.into_inner()).map_err(refuse)?;
        let rated = run_to_end(async move { jokes.rate(&caller, &id, &feedback).await }).await;
        answer(rated.map(|joke| pb::RateJokeResponse { joke: Some(convert::joke(joke)) }))
    }

    async fn list_models(&self, request: Request<pb::ListModelsRequest>) -> Answer<pb::ListModelsResponse> {
        let (jokes, _) = self.call(&request)?;
        let models = jokes.models().iter().enumerate();
        let models = models.map(|(place, entry)| convert::model(entry, place == 0)).collect();
        Ok(Response::new(pb::ListModelsResponse { models }))
    }

    async fn get_usage(&self, request: Request<pb::GetUsageRequest>) -> Answer<pb::GetUsageResponse> {
        let (jokes, caller) = self.call(&request)?;
        let figures = jokes.usage(&caller).await;
        answer(figures.map(|all| pb::GetUsageResponse { budgets: all.iter().map(convert::budget).collect() }))
    }
}

//! `POST /v1/jokes`: a new joke, whole or as it comes.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, HeaderValue, header::VARY};
use mesh_error::Error;
use mesh_proto::jokes::v1::{self, stream_joke_response};

use super::{
    events::{self, Event},
    failure::failed,
};
use crate::{
    accept,
    api::{
        incomplete,
        jokes::{Delta, JokeAnswer, JokeBody, JokeEvent},
    },
    guard::Call,
    json::{Created, Json},
    problem::Failure,
    route::Route,
    state::Shared,
};

/// The method that makes a joke as it comes.
const STREAM: &str = "quipu.jokes.v1.JokeService/StreamJoke";

/// The route of this file.
pub(super) fn route() -> Route {
    Route::post("/v1/jokes", create)
        .named("jokes", "createJoke", "Have a joke made")
        .about(
            "With `Accept: text/event-stream` the joke's text comes while it is made, sentence by sentence; a failure \
             after the answer has begun is then its last event. Such an answer cannot be replayed: with an \
             `Idempotency-Key` it is refused.",
        )
        .calls(&["quipu.jokes.v1.JokeService/CreateJoke", STREAM])
        .needs("jokes:write")
        .generates()
        .takes::<JokeBody>()
        .idempotent()
        .answers::<JokeAnswer>(201, "The joke.")
        .streams::<JokeEvent>(200, "Some of `delta`, then one of `joke` or `error`, if events were asked for.")
        .fails(404, "There is no such model.")
        .fails(
            422,
            "The answer was refused by a guard, the model declined, or the idempotency key was used with another body.",
        )
        .fails(502, "The model broke off, its answer was no joke, or it does not take the calls of this mesh.")
}

async fn create(
    State(gateway): State<Shared>,
    call: Call,
    headers: HeaderMap,
    Json(body): Json<JokeBody>,
) -> Result<Response, Failure> {
    let message = v1::CreateJokeRequest::try_from(body)?;
    if accept::wants_events(&headers) {
        return stream(gateway, call, message).await;
    }
    let answer = gateway.jokes.clone().create_joke(call.request(message)).await.map_err(failed)?;
    let mut response = Created(JokeAnswer::try_from(answer.into_inner().joke)?).into_response();
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

async fn stream(gateway: Shared, call: Call, message: v1::CreateJokeRequest) -> Result<Response, Failure> {
    let v1::CreateJokeRequest { topic, params, model } = message;
    let call = call.lasting(gateway.limit_of(STREAM));
    let request = call.request(v1::StreamJokeRequest { topic, params, model });
    let mut service = gateway.jokes.clone();
    let pieces = async move { service.stream_joke(request).await };
    events::answer(&gateway, &call, events::of(pieces, event)).await
}

fn event(message: v1::StreamJokeResponse) -> Result<Event, Error> {
    match message.event.ok_or_else(|| incomplete("event"))? {
        stream_joke_response::Event::Delta(text) => Event::new("delta", &Delta { text }),
        stream_joke_response::Event::Joke(joke) => Event::last("joke", &JokeAnswer::try_from(Some(joke))?),
    }
}

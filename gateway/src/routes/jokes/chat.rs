//! `POST /v1/chat`: an answer to the last message of a conversation, whole or as it comes.

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use futures::StreamExt as _;
use http::{HeaderMap, HeaderValue, header::VARY};
use mesh_error::Error;
use mesh_proto::jokes::v1::{self, chat_response};
use tonic::Streaming;

use super::{
    events::{self, Event},
    failure::failed,
};
use crate::{
    accept,
    api::{
        incomplete,
        jokes::{ChatAnswer, ChatBody, ChatEnd, ChatEvent, ChatMessage, Delta},
    },
    guard::Call,
    json::Json,
    problem::Failure,
    route::Route,
    routes::watch::ended_early,
    state::Shared,
};

/// 16,000 characters beyond the basic plane, each escaped as two halves of six bytes, and room for the rest.
const BODY_LIMIT: usize = 256 * 1024;

/// More of an answer is not gathered. The service bounds its answers far below.
const LONGEST: usize = 1024 * 1024;

/// The route of this file.
pub(super) fn route() -> Route {
    Route::post("/v1/chat", chat)
        .named("jokes", "chat", "Have the last message of a conversation answered")
        .about(
            "The conversation is the caller's: nothing of it is kept. With `Accept: text/event-stream` the answer comes \
             sentence by sentence; a failure after the answer has begun is then its last event.",
        )
        .calls(&["quipu.jokes.v1.JokeService/Chat"])
        .needs("jokes:write")
        .generates()
        .takes::<ChatBody>()
        .body_limit(BODY_LIMIT)
        .answers::<ChatAnswer>(200, "The answer; as events, some of `delta` and then one of `end` or `error`.")
        .streams::<ChatEvent>(200, "")
        .fails(404, "There is no such model.")
        .fails(422, "The answer was refused by a guard, or the model declined.")
        .fails(502, "The model broke off, its answer made no sense, or it does not take the calls of this mesh.")
}

async fn chat(
    State(gateway): State<Shared>,
    call: Call,
    headers: HeaderMap,
    Json(body): Json<ChatBody>,
) -> Result<Response, Failure> {
    let request = call.request(v1::ChatRequest::try_from(body)?);
    let mut service = gateway.jokes.clone();
    if accept::wants_events(&headers) {
        let pieces = async move { service.chat(request).await };
        return events::answer(&gateway, &call, events::of(pieces, event)).await;
    }
    let pieces = service.chat(request).await.map_err(failed)?.into_inner();
    let mut response = Json(whole(pieces).await?).into_response();
    response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

fn event(message: v1::ChatResponse) -> Result<Event, Error> {
    match message.event.ok_or_else(|| incomplete("event"))? {
        chat_response::Event::Delta(text) => Event::new("delta", &Delta { text }),
        chat_response::Event::End(end) => Event::last("end", &ChatEnd::from(end)),
    }
}

/// All pieces as one.
async fn whole(mut pieces: Streaming<v1::ChatResponse>) -> Result<ChatAnswer, Failure> {
    let (mut content, mut ended) = (String::new(), None);
    while let Some(piece) = pieces.next().await {
        match piece.map_err(failed)?.event.ok_or_else(|| incomplete("event"))? {
            chat_response::Event::Delta(text) if content.len() + text.len() > LONGEST => {
                return Err(Error::internal("the answer of a chat is longer than any may be").into());
            }
            chat_response::Event::Delta(text) => content.push_str(&text),
            chat_response::Event::End(end) => ended = Some(end),
        }
    }
    let end = ended.ok_or_else(ended_early)?.into();
    Ok(ChatAnswer { message: ChatMessage { role: "assistant".to_owned(), content }, end })
}

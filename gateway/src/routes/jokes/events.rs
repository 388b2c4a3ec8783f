//! An answer of server-sent events: what a service streams, each message one event with its number as id.
//!
//! The head waits for the first message, so that what fails at once is an ordinary failure; after a second of silence it
//! is sent all the same, so that the client and what is between see life. From then on a failure is an event, the last
//! one. Nothing is buffered: a message is taken from the service when the client has taken the one before, and a client
//! that leaves drops the call.

use std::{pin::Pin, time::Duration};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::{
    FutureExt as _, Stream, StreamExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream, Peekable},
};
use http::{HeaderValue, header::CACHE_CONTROL, header::VARY};
use mesh_error::Error;
use mesh_lifecycle::Lifecycle;
use serde::Serialize;
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};

use super::failure::failed;
use crate::{
    body,
    edge::told::Told,
    guard::Call,
    problem::Failure,
    routes::watch::{Watched, draining, ended_early, piecemeal},
    state::Shared,
};

/// How long the head waits for the first message.
const HEAD: Duration = Duration::from_secs(1);

/// After so much silence a comment says that the stream lives.
const SILENCE: Duration = Duration::from_secs(15);

/// How long the service may take to end a stream whose last message has come.
const CLOSE: Duration = Duration::from_secs(1);

/// A comment: readers of events ignore it.
const COMMENT: &[u8] = b": alive\n\n";

/// One event.
#[derive(Debug)]
pub(super) struct Event {
    name: &'static str,
    /// JSON has no line breaks of its own: this is one line.
    data: String,
    is_last: bool,
}

impl Event {
    /// One of many.
    pub(super) fn new<T: Serialize>(name: &'static str, data: &T) -> Result<Self, Error> {
        let data = serde_json::to_string(data).map_err(Error::internal)?;
        Ok(Self { name, data, is_last: false })
    }

    /// The last one.
    pub(super) fn last<T: Serialize>(name: &'static str, data: &T) -> Result<Self, Error> {
        Ok(Self { is_last: true, ..Self::new(name, data)? })
    }

    fn encode(&self, id: u64) -> Bytes {
        let Self { name, data, .. } = self;
        format!("id: {id}\nevent: {name}\ndata: {data}\n\n").into()
    }
}

type Events = Peekable<BoxStream<'static, Result<Event, Failure>>>;

/// The events of a call that begins when the first is asked for.
pub(super) fn of<M, F>(
    call: F,
    convert: fn(M) -> Result<Event, Error>,
) -> impl Stream<Item = Result<Event, Failure>> + Send + 'static
where
    M: Send + 'static,
    F: Future<Output = Result<tonic::Response<Streaming<M>>, Status>> + Send + 'static,
{
    let messages = stream::once(call).map_ok(tonic::Response::into_inner).try_flatten();
    messages.map(move |message| Ok(convert(message.map_err(failed)?)?))
}

/// The answer, which begins with the first event or after a second.
pub(super) async fn answer(
    gateway: &Shared,
    call: &Call,
    events: impl Stream<Item = Result<Event, Failure>> + Send + 'static,
) -> Result<Response, Failure> {
    let watched = Watched::begin(gateway, call)?;
    let events = begun(events.boxed()).await?;
    let told = Told::default();
    let ended = ended(watched, gateway.lifecycle.clone()).boxed();
    let writer = Writer { events, ended, told: told.clone(), sent: 0, is_done: false };
    let mut response = Response::new(Body::from_stream(writer.frames()));
    let headers = response.headers_mut();
    piecemeal(headers, body::EVENTS);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.append(VARY, HeaderValue::from_static("accept"));
    response.extensions_mut().insert(told);
    Ok(response)
}

/// Waits for the first event, but not for long; a failure before it is the answer.
async fn begun(events: BoxStream<'static, Result<Event, Failure>>) -> Result<Events, Failure> {
    let mut events = events.peekable();
    let first = timeout(HEAD, Pin::new(&mut events).peek()).await;
    if matches!(first, Ok(None | Some(Err(_)))) {
        let failure = events.next().await.and_then(Result::err);
        return Err(failure.unwrap_or_else(|| ended_early().into()));
    }
    Ok(events)
}

/// Why a stream may not go on. One that is under way when the process drains has half of the drain to come to its end.
async fn ended(mut watched: Watched, lifecycle: Lifecycle) -> Error {
    let drained = async {
        lifecycle.stop_token().cancelled().await;
        sleep(lifecycle.drain().in_flight / 2).await;
    };
    tokio::select! {
        error = watched.ended() => error,
        () = drained => draining(),
    }
}

/// From the service to the client.
struct Writer {
    events: Events,
    ended: BoxFuture<'static, Error>,
    told: Told,
    sent: u64,
    is_done: bool,
}

impl Writer {
    fn frames(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        stream::unfold(self, |mut writer| async {
            let frame = writer.next().await?;
            Some((Ok(frame), writer))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        if self.is_done {
            // So that the call ends as one that succeeded and not as one that was left.
            let _ = timeout(CLOSE, self.events.next()).await;
            return None;
        }
        let event = tokio::select! {
            biased;
            error = &mut self.ended => self.failure(&error.into()),
            event = timeout(SILENCE, self.events.next()) => match event {
                Err(_) => return Some(Bytes::from_static(COMMENT)),
                Ok(Some(Ok(event))) => event,
                Ok(Some(Err(failure))) => self.failure(&failure),
                Ok(None) => self.failure(&ended_early().into()),
            },
        };
        self.sent += 1;
        if event.is_last {
            self.is_done = true;
        }
        Some(event.encode(self.sent))
    }

    /// The last event of a stream that broke; the call is given up.
    fn failure(&mut self, failure: &Failure) -> Event {
        failure.error().log();
        self.told.failed(failure.error());
        self.events = stream::empty().boxed().peekable();
        let problem = serde_json::to_string(&self.told.problem(failure)).unwrap_or_default();
        Event { name: "error", data: problem, is_last: true }
    }
}

#[cfg(test)]
mod tests {
    use futures::{future, stream};
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;

    fn delta(text: &str) -> Result<Event, Failure> {
        Ok(Event::new("delta", &json!({ "text": text }))?)
    }

    fn joke() -> Result<Event, Failure> {
        Ok(Event::last("joke", &json!({"joke": {}}))?)
    }

    fn writer(events: impl Stream<Item = Result<Event, Failure>> + Send + 'static) -> Writer {
        let (events, ended) = (events.boxed().peekable(), future::pending().boxed());
        Writer { events, ended, told: Told::default(), sent: 0, is_done: false }
    }

    async fn frames(writer: Writer) -> Vec<String> {
        let frames = writer.frames().map(|frame| String::from_utf8(frame.unwrap().to_vec()).unwrap());
        frames.collect().await
    }

    #[tokio::test]
    async fn events_are_numbered_and_each_is_one_line_of_data() {
        let frames = frames(writer(stream::iter([delta("a\nb\r\u{2028}\n\n"), joke()]))).await;
        assert_eq!(
            frames,
            [
                "id: 1\nevent: delta\ndata: {\"text\":\"a\\nb\\r\u{2028}\\n\\n\"}\n\n",
                "id: 2\nevent: joke\ndata: {\"joke\":{}}\n\n"
            ]
        );
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_ends_with_an_error() {
        let broken = || Err(failed(Error::unavailable("MODEL_BROKE_OFF", "broke off").into_status()));
        for (events, reason) in [
            (vec![delta("a"), broken(), delta("b")], "\"reason\":\"MODEL_BROKE_OFF\""),
            (vec![delta("a")], "\"reason\":\"STREAM_ENDED\""),
        ] {
            let frames = frames(writer(stream::iter(events))).await;
            assert_eq!(frames.len(), 2);
            assert!(frames[1].starts_with("id: 2\nevent: error\ndata: {"), "{frames:?}");
            assert!(frames[1].contains(reason), "{frames:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_broken_every_fifteen_seconds() {
        let events = stream::iter([delta("a")]).chain(stream::once(async {
            sleep(Duration::from_secs(40)).await;
            joke()
        }));
        let (start, mut writer) = (Instant::now(), writer(events));
        let mut seen = Vec::new();
        while let Some(frame) = writer.next().await {
            seen.push((start.elapsed().as_secs(), frame.first() == Some(&b':')));
        }
        assert_eq!(seen, [(0, false), (15, true), (30, true), (40, false)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_head_waits_for_the_first_message_and_not_for_long() {
        let after = |wait: u64, first: Result<Event, Failure>| {
            let first = async move {
                sleep(Duration::from_millis(wait)).await;
                first
            };
            begun(stream::once(first).boxed())
        };
        let refused = || Err(failed(Error::not_found("model").into_status()));
        assert_eq!(after(900, refused()).await.err().map(|failure| failure.status().as_u16()), Some(404));
        let events = begun(stream::empty().boxed()).await;
        assert_eq!(
            events.err().map(|failure| failure.error().reason().to_owned()).as_deref(),
            Some("STREAM_ENDED")
        );
        let start = Instant::now();
        let mut late = after(1_500, refused()).await.ok().unwrap();
        assert_eq!(start.elapsed(), HEAD);
        assert!(late.next().await.unwrap().is_err());
        let mut soon = after(900, delta("a")).await.ok().unwrap();
        assert!(soon.next().await.unwrap().is_ok(), "the first one is not lost");
    }

    #[tokio::test]
    async fn the_reason_to_end_goes_before_all_that_is_still_to_come() {
        let writer = Writer { ended: future::ready(draining()).boxed(), ..writer(stream::iter([joke()])) };
        let frames = frames(writer).await;
        assert_eq!(frames.len(), 1);
        assert!(frames[0].contains("SHUTTING_DOWN"));
    }
}

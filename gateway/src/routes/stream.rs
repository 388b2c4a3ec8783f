//! `POST /v1/sentiment/stream`: lines of JSON in, lines of JSON out, in order, while the request is still being sent.
//!
//! One task reads lines and sends texts to the service; the answer's body waits for its turn in a short queue, in which
//! a line that could not be read has its place too. Both queues are bounded, so a client that does not read its answers
//! is soon no longer read from. A stream is no longer believed than any other request: its token is verified again and
//! again, and its end is told in a last line.

mod lines;

use std::time::Duration;

use axum::{
    body::{Body, BodyDataStream},
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use futures::{Stream, StreamExt as _, stream};
use mesh_error::{Error, Kind};
use mesh_proto::sentiment::v1;
use serde::Deserialize;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::Streaming;

use self::lines::{Line, Lines};
use super::{
    sentiment::TEXT_LIMIT,
    watch::{Watched, draining, ended_early, piecemeal},
};
use crate::{
    api::sentiment::{StreamAnswer, StreamLine},
    body,
    edge::told::Told,
    guard::Call,
    json,
    problem::Failure,
    route::{Route, TypeDoc},
    state::Shared,
};

/// Texts that may be under way at once in one stream.
const UNDER_WAY: usize = 32;

/// Longer ids are not sent back.
const MAX_ID: usize = 128;

/// How long a client may send nothing.
const IDLE: Duration = Duration::from_secs(30);

/// The route of this file.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/sentiment/stream", analyze)
            .named("sentiment", "analyzeStream", "Analyse texts as they come")
            .about(
                "One JSON object on each line, at most 128 KiB; answers come in order while the request is still \
                 being sent. A line that is invalid is answered by an error and the stream goes on. An answer with \
                 an error and no id, after which the body ends, ends the stream early: also when the token is no \
                 longer good or the stream has lasted ten minutes. A user has at most 8 streams open.",
            )
            .calls(&["quipu.sentiment.v1.SentimentService/AnalyzeStream"])
            .needs("sentiment:analyze")
            .takes_lines::<StreamLine>()
            .answer(200, "One answer on each line.", Some(TypeDoc::of::<StreamAnswer>(body::NDJSON))),
    ]
}

/// What the next line of the answer is.
enum Turn {
    /// The service's next answer; whether words were asked for.
    Text { explain: bool },
    /// This line.
    Line(StreamAnswer),
    /// Why it ends early.
    Last(Error),
}

async fn analyze(State(gateway): State<Shared>, call: Call, request: Request) -> Result<Response, Failure> {
    body::check_type(request.headers(), body::NDJSON)?;
    let watched = Watched::begin(&gateway, &call)?;
    let (texts, to_service) = mpsc::channel(UNDER_WAY);
    let (turns, to_client) = mpsc::channel(UNDER_WAY);
    let lines = Lines::new(request.into_body().into_data_stream());
    let reader = Reader { lines, texts, turns, stop: gateway.lifecycle.stop_token() };
    let reader = AbortOnDropHandle::new(tokio::spawn(reader.run()));
    let request = call.request(ReceiverStream::new(to_service));
    let answers = gateway.sentiment.clone().analyze_stream(request).await?.into_inner();
    let told = Told::default();
    let writer = Writer { turns: to_client, answers, watched, told: told.clone(), _reader: reader };
    let mut response = Response::new(Body::from_stream(writer.lines()));
    response.extensions_mut().insert(told);
    piecemeal(response.headers_mut(), body::NDJSON);
    Ok(response)
}

/// From the client to the service.
struct Reader {
    lines: Lines<BodyDataStream>,
    texts: mpsc::Sender<v1::AnalyzeStreamRequest>,
    turns: mpsc::Sender<Turn>,
    stop: CancellationToken,
}

impl Reader {
    /// Until the client ends its side, falls silent, or nobody listens any more.
    async fn run(mut self) {
        loop {
            let line = timeout(IDLE, self.lines.next());
            let Some(line) = self.stop.run_until_cancelled(line).await else {
                // Nobody to tell if the answer has ended already.
                let _ = self.turns.send(Turn::Last(draining())).await;
                return;
            };
            let (turn, text) = match line {
                Ok(None) => return,
                Ok(Some(Line::Whole(line))) => read(&line),
                Ok(Some(Line::TooLong)) => (Turn::Line(StreamAnswer::failed(None, &too_long())), None),
                Ok(Some(Line::Broken)) => (Turn::Last(broken()), None),
                Err(_) => (Turn::Last(silent()), None),
            };
            let is_last = matches!(turn, Turn::Last(_));
            if self.turns.send(turn).await.is_err() || is_last {
                return;
            }
            if let Some(text) = text
                && self.texts.send(text).await.is_err()
            {
                return;
            }
        }
    }
}

fn read(line: &[u8]) -> (Turn, Option<v1::AnalyzeStreamRequest>) {
    match json::parse::<StreamLine>(line) {
        Ok(line) => {
            let text = v1::AnalyzeStreamRequest::from(line);
            (Turn::Text { explain: text.explain }, Some(text))
        }
        Err(error) => {
            let id = json::parse::<OnlyId>(line).ok().and_then(|line| line.id);
            let id = id.filter(|id| id.len() <= MAX_ID);
            (Turn::Line(StreamAnswer::failed(id, &error)), None)
        }
    }
}

/// What can be told of a line that is an object and yet no [`StreamLine`].
#[derive(Deserialize)]
struct OnlyId {
    id: Option<String>,
}

fn too_long() -> Error {
    Error::new(Kind::TooLarge, "LINE_TOO_LONG", "a line has at most 128 KiB")
}

fn broken() -> Error {
    Error::new(Kind::Cancelled, "BODY_BROKEN_OFF", "the body ended before its end")
}

fn silent() -> Error {
    Error::new(Kind::DeadlineExceeded, "STREAM_IDLE", "nothing was sent for too long")
}

/// From the service to the client.
struct Writer {
    turns: mpsc::Receiver<Turn>,
    answers: Streaming<v1::AnalyzeStreamResponse>,
    watched: Watched,
    told: Told,
    _reader: AbortOnDropHandle<()>,
}

impl Writer {
    fn lines(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        stream::unfold(Some(self), |writer| async {
            let mut writer = writer?;
            let line = tokio::select! {
                biased;
                error = writer.watched.ended() => Err(error),
                line = next(&mut writer.turns, &mut writer.answers) => line?,
            };
            match line {
                Ok(line) => Some((encode(&line), Some(writer))),
                Err(error) => {
                    writer.told.failed(&error);
                    Some((encode(&StreamAnswer::failed(None, &error)), None))
                }
            }
        })
    }
}

/// The next line, or why there is none any more.
async fn next(
    turns: &mut mpsc::Receiver<Turn>,
    answers: &mut Streaming<v1::AnalyzeStreamResponse>,
) -> Option<Result<StreamAnswer, Error>> {
    Some(match turns.recv().await? {
        Turn::Line(line) => Ok(line),
        Turn::Last(error) => Err(error),
        Turn::Text { explain } => answer(answers, explain).await.inspect_err(Error::log),
    })
}

async fn answer(
    answers: &mut Streaming<v1::AnalyzeStreamResponse>,
    explain: bool,
) -> Result<StreamAnswer, Error> {
    match answers.next().await {
        Some(Ok(answer)) => StreamAnswer::of(answer, explain),
        Some(Err(status)) => Err(Failure::from(status).into_error()),
        None => Err(ended_early()),
    }
}

fn encode(line: &StreamAnswer) -> Result<Bytes, Error> {
    let mut bytes = serde_json::to_vec(line).map_err(Error::internal)?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

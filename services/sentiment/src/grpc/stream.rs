//! The stream of texts: answered in their order, while the caller is still sending.
//!
//! Nothing is read ahead but [`AHEAD`] texts, and those only when the caller takes the answers: whoever does not read is not
//! read from. No task is spawned; a stream that is dropped leaves nothing behind.

use std::pin::Pin;

use futures::{Stream, StreamExt, stream};
use mesh_error::Error;
use mesh_proto::sentiment::v1 as pb;
use mesh_resilience::Deadline;
use tonic::{Status, Streaming};

use super::{SentimentGrpc, convert};
use crate::pool::Entry;

/// Texts of one stream that are worked on at once.
const AHEAD: usize = 4;
const MAX_ID_BYTES: usize = 128;

/// The answers of one stream.
pub(super) type Answers = Pin<Box<dyn Stream<Item = Result<pb::AnalyzeStreamResponse, Status>> + Send>>;

pub(super) fn answers(
    service: SentimentGrpc,
    inbound: Streaming<pb::AnalyzeStreamRequest>,
    deadline: Option<Deadline>,
) -> Answers {
    let closing = service.closing.clone();
    let requests = stream::unfold(Some(inbound), move |inbound| {
        let closing = closing.clone();
        async move {
            let mut inbound = inbound?;
            tokio::select! {
                biased;
                () = closing.cancelled() => Some((Err(shutting_down()), None)),
                message = inbound.next() => match message? {
                    Ok(request) => Some((Ok(request), Some(inbound))),
                    Err(status) => Some((Err(status), None)),
                },
            }
        }
    });
    let answer = move |request| {
        let service = service.clone();
        async move {
            match request {
                Ok(request) => Ok(service.answer_item(request, deadline).await),
                Err(status) => Err(status),
            }
        }
    };
    Box::pin(requests.map(answer).buffered(AHEAD))
}

fn shutting_down() -> Status {
    Error::unavailable(
        "SHUTTING_DOWN",
        "the service is going down; send the texts that were not answered again",
    )
    .into_status()
}

impl SentimentGrpc {
    /// The answer for one text, or the error in its place.
    async fn answer_item(
        &self,
        request: pb::AnalyzeStreamRequest,
        deadline: Option<Deadline>,
    ) -> pb::AnalyzeStreamResponse {
        use pb::analyze_stream_response::Outcome;
        let fits = request.id.len() <= MAX_ID_BYTES;
        let outcome = match self.try_item(&request, deadline).await {
            Ok(analysis) => Outcome::Analysis(analysis),
            Err(fault) => Outcome::Error(convert::item_error(&fault)),
        };
        // An id that is too long is not sent back: the order tells which text is meant.
        pb::AnalyzeStreamResponse {
            id: if fits { request.id } else { String::new() },
            outcome: Some(outcome),
        }
    }

    async fn try_item(
        &self,
        request: &pb::AnalyzeStreamRequest,
        deadline: Option<Deadline>,
    ) -> Result<pb::Analysis, Error> {
        if request.id.len() > MAX_ID_BYTES {
            return Err(Error::invalid_field("id", format!("must hold at most {MAX_ID_BYTES} bytes")));
        }
        let text = convert::text("text", &request.text)?;
        let ask = self.ask(&request.model, request.explain, deadline, Entry::Wait)?;
        let answer = self.engine.analyze(&ask, text).await.map_err(convert::failure)?;
        Ok(convert::analysis(answer))
    }
}

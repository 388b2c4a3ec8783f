//! The response body of a call: bounded, recorded, and ended with a status whatever happens to the connection.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use mesh_error::Error;
use mesh_resilience::{BoundedBody, Deadline, Verdict};
use tokio::time::Instant;
use tokio_util::sync::DropGuard;
use tonic::Status;

use crate::{balance::Ticket, failure, record::Record, stream::Received};

/// What an open call holds; all of it is given up when the call has ended.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) ticket: Ticket,
    pub(crate) record: Record,
    /// Ends the request's stream.
    pub(crate) _end: Option<DropGuard>,
}

/// A response body.
pub(crate) struct CallBody {
    inner: BoundedBody<Received>,
    deadline: Deadline,
    open: Option<Open>,
    /// Since when a frame is waited for.
    waiting: Option<Instant>,
}

impl CallBody {
    pub(crate) fn new(inner: BoundedBody<Received>, deadline: Deadline, open: Open) -> Self {
        Self { inner, deadline, open: Some(open), waiting: None }
    }

    /// A frame that the peer sent. Only its status says how it is: headers alone are written before the work is done.
    fn hear(&mut self, open: Open, frame: &Frame<Bytes>) {
        open.ticket.hear();
        match frame.trailers_ref().map(code_of) {
            Some(code) => {
                open.ticket.judge(verdict(code));
                open.record.end(code);
            }
            None => self.open = Some(open),
        }
    }

    /// The connection broke: the caller gets a status in the trailers as from a server.
    fn broke(&mut self, open: Open, error: h2::Error) -> Frame<Bytes> {
        let error = if self.deadline.is_expired() {
            Deadline::error()
        } else {
            open.ticket.judge(Verdict::Failure);
            failure::lost(error)
        };
        open.record.span().in_scope(|| error.log());
        let code = error.kind().grpc_code() as i32;
        open.record.end(code);
        Frame::trailers(status_trailers(error))
    }
}

impl Body for CallBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.open.is_none() {
            return Poll::Ready(None);
        }
        let waiting = *self.waiting.get_or_insert_with(Instant::now);
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        let Some(open) = self.open.take() else { return Poll::Ready(None) };
        self.waiting = None;
        match frame {
            Some(Ok(frame)) if self.inner.is_expired() => {
                open.ticket.unheard(waiting);
                open.record.end(frame.trailers_ref().map_or(UNKNOWN, code_of));
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Ok(frame)) => {
                self.hear(open, &frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => Poll::Ready(Some(Ok(self.broke(open, error)))),
            // No trailers: no status.
            None => {
                open.ticket.judge(Verdict::Failure);
                open.record.end(UNKNOWN);
                Poll::Ready(None)
            }
        }
    }
}

const UNKNOWN: i32 = 2;

/// The code that headers or trailers carry.
pub(crate) fn code_of(headers: &HeaderMap) -> i32 {
    let code = headers.get("grpc-status").and_then(|code| code.to_str().ok()?.parse().ok());
    code.unwrap_or(UNKNOWN)
}

/// What a status says of the endpoint: UNKNOWN, INTERNAL, UNAVAILABLE and DATA_LOSS are its own fault.
pub(crate) fn verdict(code: i32) -> Verdict {
    match code {
        2 | 13 | 14 | 15 => Verdict::Failure,
        _ => Verdict::Success,
    }
}

fn status_trailers(error: Error) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if error.into_status().add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", HeaderValue::from_static("14"));
    }
    trailers
}

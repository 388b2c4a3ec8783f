//! A body that answers INTERNAL when the stream behind it panics.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use mesh_error::Error;
use metrics::counter;
use tonic::Status;
use tonic::body::Body;

/// Catches the panics of a response's body.
pub(crate) struct Caught {
    inner: Option<Body>,
    workload: Arc<str>,
}

impl Caught {
    pub(crate) fn new(inner: Body, workload: Arc<str>) -> Self {
        Self { inner: Some(inner), workload }
    }
}

/// Counts a panic of the workload's code and says what the caller learns of it.
pub(crate) fn panicked(workload: &Arc<str>) -> Status {
    counter!(mesh_telemetry::metrics_names::PANICS, "quipu_workload" => Arc::clone(workload)).increment(1);
    Error::internal("the handler panicked").into_status()
}

impl http_body::Body for Caught {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        if let Ok(poll) = catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx))) {
            return poll;
        }
        // What panicked once is not asked again.
        self.inner = None;
        let response = panicked(&self.workload).into_http::<()>();
        Poll::Ready(Some(Ok(Frame::trailers(response.into_parts().0.headers))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, Body::size_hint)
    }
}

//! A stream without an end of its own, which ends when the server closes.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;
use mesh_error::Error;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::body::Body;

/// Ends the stream with UNAVAILABLE when the token is cancelled, so that a watcher does not hold the drain and comes
/// back to another replica.
pub(crate) struct Until {
    inner: Body,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    ended: bool,
}

impl Until {
    pub(crate) fn new(inner: Body, closing: CancellationToken) -> Self {
        Self { inner, closing: Box::pin(closing.cancelled_owned()), ended: false }
    }
}

impl http_body::Body for Until {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.closing.as_mut().poll(cx).is_ready() {
            self.ended = true;
            let error = Error::unavailable("CLOSING", "the server is closing");
            let response = error.into_status().into_http::<()>();
            return Poll::Ready(Some(Ok(Frame::trailers(response.into_parts().0.headers))));
        }
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }
}

//! A response body that belongs to its call, as the handler does.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use crate::context::{CALL, Call};

/// Tells a stream which call it belongs to: it may begin changes that outlive it, as its handler may.
pub(crate) struct Scoped {
    inner: Body,
    call: Call,
}

impl Scoped {
    pub(crate) fn new(inner: Body, call: Call) -> Self {
        Self { inner, call }
    }
}

impl http_body::Body for Scoped {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let call = self.call.clone();
        CALL.sync_scope(call, || Pin::new(&mut self.inner).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

//! Bodies that end when their call does.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tonic::Status;

use super::{
    Deadline, Expiry,
    watch::{Limits, Watch},
};

pin_project! {
    /// A response body that ends with DEADLINE_EXCEEDED in its trailers when a limit passes. What it wraps is dropped
    /// at that moment, which cancels the work behind it.
    ///
    /// The idle limit counts only while the body is waited for: a reader that is slow does not make a peer silent.
    pub struct BoundedBody<B> {
        #[pin]
        inner: Option<B>,
        watch: Watch,
        waiting: bool,
    }
}

impl<B> BoundedBody<B> {
    /// Bounds a body by a deadline and, for streams, by the longest silence.
    pub fn new(inner: B, deadline: Deadline, idle: Option<Duration>) -> Self {
        Self::watched(inner, Watch::new(Limits::new(deadline, idle)))
    }

    pub(super) fn watched(inner: B, watch: Watch) -> Self {
        Self { inner: Some(inner), watch, waiting: false }
    }

    /// Whether a limit ended it: the last frame was made here, and the peer did not say it.
    pub fn is_expired(&self) -> bool {
        self.inner.is_none()
    }
}

impl<B: Body> Body for BoundedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        if !std::mem::replace(this.waiting, true) {
            this.watch.limits.activity.touch();
        }
        // The deadline first: a stream that always has something ready must end as well.
        if !this.watch.limits.deadline.is_expired()
            && let Poll::Ready(frame) = inner.poll_frame(cx)
        {
            *this.waiting = false;
            this.watch.limits.activity.touch();
            return Poll::Ready(frame);
        }
        match this.watch.poll_expired(cx) {
            Poll::Ready(expiry) => {
                this.inner.set(None);
                Poll::Ready(Some(Ok(Frame::trailers(trailers(expiry)))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}

/// The trailers of a call that a limit ended.
fn trailers(expiry: Expiry) -> HeaderMap {
    metrics::counter!("mesh_deadline_expired_total", "limit" => expiry.name()).increment(1);
    let mut trailers = HeaderMap::new();
    if expiry.into_error().into_status().add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", http::HeaderValue::from_static("4"));
    }
    trailers
}

impl Expiry {
    /// For metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Total => "total",
            Self::Idle => "idle",
        }
    }
}

/// The request body of a call with a deadline. Of a stream, each message is activity, and the handler's next read after the
/// end of the call fails.
#[derive(Debug)]
pub struct TrackedBody<B> {
    inner: B,
    /// Of a stream.
    watch: Option<Watch>,
    ended: bool,
}

impl<B> TrackedBody<B> {
    /// `limits` are those of a stream.
    pub(super) fn new(inner: B, limits: Option<Limits>) -> Self {
        Self { inner, watch: limits.map(Watch::new), ended: false }
    }
}

impl<B> Body for TrackedBody<B>
where
    B: Body<Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Unpin,
{
    type Data = B::Data;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        if let Poll::Ready(frame) = polled {
            if let Some(watch) = &self.watch {
                watch.limits.activity.touch();
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(|e| Status::from_error(e.into()))));
        }
        let Some(watch) = &mut self.watch else { return Poll::Pending };
        let expiry = ready!(watch.poll_expired(cx));
        self.ended = true;
        Poll::Ready(Some(Err(expiry.into_error().into_status())))
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

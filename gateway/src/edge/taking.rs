//! A request's body that tells whether it was read to its end: what is left of it would be read as the next request.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Version};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

/// Whether something of a body was left.
#[derive(Clone, Debug)]
pub(super) struct Unread(Option<Arc<AtomicBool>>);

impl Unread {
    /// Of a request of HTTP/1; in HTTP/2 nothing follows a body.
    pub(super) fn of(request: &Request<Incoming>) -> Self {
        let is_open = request.version() != Version::HTTP_2 && !request.body().is_end_stream();
        Self(is_open.then(|| Arc::new(AtomicBool::new(true))))
    }

    /// Whether anything is left now.
    pub(super) fn is_left(&self) -> bool {
        self.0.as_ref().is_some_and(|left| left.load(Ordering::Relaxed))
    }
}

/// The body.
pub(super) struct Taking {
    body: Incoming,
    unread: Unread,
}

impl Taking {
    /// Notes in `unread` when `body` has ended.
    pub(super) fn new(body: Incoming, unread: Unread) -> Self {
        Self { body, unread }
    }
}

impl http_body::Body for Taking {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        let has_ended = matches!(frame, Poll::Ready(None)) || self.body.is_end_stream();
        if let Some(left) = self.unread.0.as_ref().filter(|_| has_ended) {
            left.store(false, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

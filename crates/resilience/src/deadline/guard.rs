//! Drops a response at its limit even while nobody polls it.
//!
//! HTTP/2 does not poll a body whose peer has closed its window, so the body's own timer would never be seen and the
//! handler's resources would be held for as long as the peer likes. A small task watches instead. What is left of the
//! call then costs no more than its window, and the body says DEADLINE_EXCEEDED once the peer reads on.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use http_body::{Body, Frame};
use tokio::task::AbortHandle;

use super::watch::Limits;

/// A body that a task takes away when its call ends.
pub(super) struct Guarded<B> {
    body: Arc<Mutex<Option<B>>>,
    watchdog: AbortHandle,
}

impl<B: Send + 'static> Guarded<B> {
    pub(super) fn new(body: B, limits: Limits) -> Self {
        let body = Arc::new(Mutex::new(Some(body)));
        let guarded = Arc::clone(&body);
        let watchdog = tokio::spawn(async move {
            limits.expired().await;
            drop(guarded.lock().unwrap_or_else(PoisonError::into_inner).take());
        });
        Self { body, watchdog: watchdog.abort_handle() }
    }
}

impl<B> Drop for Guarded<B> {
    fn drop(&mut self) {
        self.watchdog.abort();
    }
}

impl<B: Body + Unpin> Body for Guarded<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        match self.body.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(body) => Pin::new(body).poll_frame(cx),
            // Taken at the limit; the timer of the body around this one says so.
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        body.as_ref().is_some_and(B::is_end_stream)
    }
}

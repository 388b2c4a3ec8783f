//! The layer that gives every call a deadline.

use std::time::Duration;

use tower::Layer;

use super::DeadlineService;

/// How long a call may take. A layer further out puts the bounds of a method into the request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// From the request's arrival to the end of the response's body.
    pub total: Duration,
    /// For streams: the longest time in which nothing is sent in either direction.
    pub idle: Option<Duration>,
}

/// Bounds handler and body of every call: by the caller's `grpc-timeout`, by a [`super::Deadline`] that is in the
/// request's extensions already, and by the [`Bounds`] there or else by those of the layer, whichever ends first.
///
/// The deadline goes into the extensions for calls further on, and `grpc-timeout` is taken away, since nobody behind
/// this layer is to end the call by it a second time. Expiry drops the handler, and answers DEADLINE_EXCEEDED.
#[derive(Clone, Copy, Debug)]
pub struct DeadlineLayer {
    bounds: Bounds,
}

impl DeadlineLayer {
    /// `bounds` are for calls that bring none.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService::new(inner, self.bounds)
    }
}

//! The span of a request that came from outside this process.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context as Task, Poll};

use http::HeaderMap;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use pin_project_lite::pin_project;
use tracing::{Span, Value, dispatcher};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::head::{Fate, HeadSampler, with_trace_id};
use crate::left_out::{self, Describe, LeftOut};
use crate::propagation::extract;

/// A request's span, within the trace of its caller or as the beginning of one. Everything that the request does runs in
/// it: [`RequestSpan::follow`] and [`RequestSpan::in_scope`].
#[derive(Clone, Debug)]
pub struct RequestSpan {
    span: Span,
    /// In place of the span, when it is not recorded.
    left_out: Option<Arc<LeftOut>>,
}

/// In no trace at all.
static NOWHERE: LazyLock<Arc<LeftOut>> = LazyLock::new(|| LeftOut::new(SpanContext::NONE, None));

impl RequestSpan {
    /// Of a request in the trace that the headers carry.
    #[must_use]
    pub fn begin(headers: &HeaderMap, request: Arc<dyn Describe>) -> Self {
        let parent = extract(headers);
        let decide = |dispatch: &tracing::Dispatch| {
            dispatch.downcast_ref::<HeadSampler>().map(|sampler| sampler.decide(&parent))
        };
        match dispatcher::get_default(decide) {
            Some(Fate::LeftOut(context)) => Self::left_out(LeftOut::new(context, Some(request))),
            Some(Fate::Recorded(id)) => {
                let span = request.span();
                if parent.has_active_span() {
                    // Cannot fail: the span has not begun.
                    let _ = span.set_parent(parent);
                } else {
                    // It begins at once, while its id is at hand.
                    with_trace_id(id, || span.context());
                }
                Self { span, left_out: None }
            }
            None => Self { span: request.span(), left_out: None },
        }
    }

    fn left_out(request: Arc<LeftOut>) -> Self {
        Self { span: Span::none(), left_out: Some(request) }
    }

    /// None: what is asked every few seconds by probes would be most of what is recorded, and tells nobody anything.
    #[must_use]
    pub fn untraced() -> Self {
        Self::left_out(NOWHERE.clone())
    }

    /// The span of the moment, for a task of its own.
    #[must_use]
    pub fn current() -> Self {
        Self { span: Span::current(), left_out: left_out::now() }
    }

    /// Whether the moment belongs to a request that is not recorded, for which no more spans need be made.
    #[must_use]
    pub fn is_left_out() -> bool {
        left_out::is_now()
    }

    /// Runs `work` within.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        let _within = left_out::enter(self.left_out.clone());
        self.span.in_scope(work)
    }

    /// Records the outcome in a field of the span; nobody will read it when the span is not recorded.
    pub fn record<V: Value>(&self, field: &str, value: V) {
        if self.left_out.is_none() {
            self.span.record(field, value);
        }
    }

    /// A future that runs within.
    pub fn follow<F: Future>(&self, future: F) -> Followed<F> {
        Followed { future: Some(future), span: self.clone() }
    }
}

pin_project! {
    /// A future that runs within the span of a request, and is dropped within it.
    #[derive(Debug)]
    pub struct Followed<F> {
        #[pin]
        future: Option<F>,
        span: RequestSpan,
    }

    impl<F> PinnedDrop for Followed<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                this.span.in_scope(|| this.future.set(None));
            }
        }
    }
}

impl<F: Future> Future for Followed<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        this.span.in_scope(|| {
            let output = this.future.as_mut().as_pin_mut().map_or(Poll::Pending, |future| future.poll(task));
            if output.is_ready() {
                this.future.set(None);
            }
            output
        })
    }
}

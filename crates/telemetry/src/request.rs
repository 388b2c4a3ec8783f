//! The span of a request that came from outside this process.

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context as Task, Poll};

use http::HeaderMap;
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use pin_project_lite::pin_project;
use tracing::{Span, Value, dispatcher};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::head::{Fate, HeadSampler, is_left_out, with_trace_id};
use crate::propagation::extract;

/// A request's span, within the trace of its caller or as the beginning of one. Everything that the request does runs in
/// it: [`RequestSpan::follow`] and [`RequestSpan::in_scope`].
#[derive(Clone, Debug)]
pub struct RequestSpan {
    span: Span,
    /// The trace, when its spans are not recorded.
    left_out: Option<Context>,
}

/// In no trace at all.
static NOWHERE: LazyLock<Context> = LazyLock::new(|| {
    let nowhere = SpanContext::new(
        TraceId::INVALID,
        SpanId::INVALID,
        TraceFlags::NOT_SAMPLED,
        true,
        TraceState::default(),
    );
    Context::new().with_remote_span_context(nowhere)
});

impl RequestSpan {
    /// The span that `make` makes, which must not be entered yet, in the trace that the headers carry.
    #[must_use]
    pub fn begin(headers: &HeaderMap, make: impl FnOnce() -> Span) -> Self {
        let parent = extract(headers);
        let has_parent = parent.has_active_span();
        let decide = |dispatch: &tracing::Dispatch| {
            dispatch.downcast_ref::<HeadSampler>().map(|sampler| sampler.decide(parent.clone()))
        };
        match dispatcher::get_default(decide) {
            Some(Fate::LeftOut(context)) => {
                let span = {
                    let _within = context.clone().attach();
                    make()
                };
                Self { span, left_out: Some(context) }
            }
            Some(Fate::Recorded(id)) => {
                let span = make();
                if has_parent {
                    // Cannot fail: the span has not begun.
                    let _ = span.set_parent(parent);
                } else {
                    // It begins at once, while its id is at hand.
                    with_trace_id(id, || span.context());
                }
                Self { span, left_out: None }
            }
            None => Self { span: make(), left_out: None },
        }
    }

    /// None: what is asked every few seconds by probes would be most of what is recorded, and tells nobody anything.
    #[must_use]
    pub fn untraced() -> Self {
        Self { span: Span::none(), left_out: Some(NOWHERE.clone()) }
    }

    /// The span of the moment, for a task of its own.
    #[must_use]
    pub fn current() -> Self {
        let left_out = Context::map_current(|context| is_left_out(context).then(|| context.clone()));
        Self { span: Span::current(), left_out }
    }

    /// Whether the moment belongs to a request that is not recorded, for which no more spans need be made.
    #[must_use]
    pub fn is_left_out() -> bool {
        Context::map_current(is_left_out)
    }

    /// Runs `work` within.
    pub fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        let _within = self.left_out.clone().map(Context::attach);
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

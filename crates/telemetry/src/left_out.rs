//! Requests that are not recorded: the trace that they run in, and what lines say of them. They have no span, which would
//! cost as much as a recorded one and is read only when a line is written.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::Span;

/// What a request is: for its span when it is recorded, and else for the lines that are written while it runs.
pub trait Describe: Send + Sync {
    /// Its span, which is not entered yet.
    fn span(&self) -> Span;

    /// The name of that span.
    fn name(&self) -> &'static str;

    /// The fields of that span which lines show, each with its value.
    fn fields(&self, field: &mut dyn FnMut(&'static str, &str));
}

/// A request that is not recorded.
pub(crate) struct LeftOut {
    context: SpanContext,
    request: Option<Arc<dyn Describe>>,
}

impl LeftOut {
    /// In a trace; what was not described has lines without fields.
    pub(crate) fn new(context: SpanContext, request: Option<Arc<dyn Describe>>) -> Arc<Self> {
        Arc::new(Self { context, request })
    }

    /// What its lines say of it.
    pub(crate) fn describe(&self, field: &mut dyn FnMut(&'static str, &str)) {
        if let Some(request) = &self.request {
            request.fields(field);
            field("name", request.name());
        }
    }
}

impl fmt::Debug for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeftOut").field("context", &self.context).finish_non_exhaustive()
    }
}

thread_local! {
    /// The request of the moment.
    static NOW: RefCell<Option<Arc<LeftOut>>> = const { RefCell::new(None) };
}

/// The request of the moment, when it is not recorded.
pub(crate) fn now() -> Option<Arc<LeftOut>> {
    NOW.try_with(|now| now.borrow().clone()).ok().flatten()
}

/// Whether the moment belongs to a request that is not recorded.
pub(crate) fn is_now() -> bool {
    NOW.try_with(|now| now.borrow().is_some()).unwrap_or(false)
}

/// The moment belongs to `request`, or to none, until the result is dropped.
#[must_use]
pub(crate) fn enter(request: Option<Arc<LeftOut>>) -> Within {
    Within(swap(request))
}

fn swap(request: Option<Arc<LeftOut>>) -> Option<Arc<LeftOut>> {
    NOW.try_with(|now| now.replace(request)).ok().flatten()
}

/// What the moment belonged to before.
pub(crate) struct Within(Option<Arc<LeftOut>>);

impl Drop for Within {
    fn drop(&mut self) {
        swap(self.0.take());
    }
}

/// Looks at the trace of the moment: that of the request which is not recorded, or else that of the span.
pub(crate) fn with_context<T>(look: impl FnOnce(&SpanContext) -> T) -> T {
    match now() {
        Some(request) => look(&request.context),
        None => Context::map_current(|context| look(context.span().span_context())),
    }
}

//! Head sampling: which requests are recorded is decided before their first span is made, so that those that are not cost next to nothing.
//!
//! A sampler of the SDK decides when a span has all its attributes, copied and boxed, and most are thrown away then. Here the
//! same sampler is asked first. A request that it leaves out runs in the trace that it came with, and the layer of spans
//! does not see what happens within.

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, ShouldSample};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::layer::{self, Filter};

use crate::left_out;

/// The transport below the exporter and the stacks: its own spans would describe the telling, not the work.
const PLUMBING: [&str; 7] = ["h2", "hyper", "hyper_util", "tonic", "tower", "rustls", "opentelemetry"];

/// What becomes of a request.
pub(crate) enum Fate {
    /// Its spans are recorded; a trace that begins with it has this id.
    Recorded(TraceId),
    /// They are not; it goes on in this trace.
    LeftOut(SpanContext),
}

/// The filter before the layer of spans.
pub(crate) struct HeadSampler {
    sampler: Sampler,
    /// Whether anybody takes what is recorded.
    is_taken: bool,
}

impl HeadSampler {
    pub(crate) fn new(sampler: Sampler, is_taken: bool) -> Self {
        Self { sampler, is_taken }
    }

    /// Decides about a request that comes with the context of its caller, or with none.
    pub(crate) fn decide(&self, parent: &Context) -> Fate {
        let caller = parent.span().span_context().clone();
        let id =
            if caller.is_valid() { caller.trace_id() } else { RandomIdGenerator::default().new_trace_id() };
        let result = self.sampler.should_sample(Some(parent), id, "", &SpanKind::Server, &[], &[]);
        let is_sampled = result.decision == SamplingDecision::RecordAndSample;
        if is_sampled && self.is_taken {
            return Fate::Recorded(id);
        }
        if caller.is_valid() && caller.is_sampled() == is_sampled {
            // Whoever records further on knows the last span that was recorded as its parent.
            return Fate::LeftOut(caller);
        }
        let flags = TraceFlags::default().with_sampled(is_sampled);
        let span = RandomIdGenerator::default().new_span_id();
        Fate::LeftOut(SpanContext::new(id, span, flags, true, TraceState::default()))
    }
}

impl<S> Filter<S> for HeadSampler {
    fn enabled(&self, metadata: &Metadata<'_>, _: &layer::Context<'_, S>) -> bool {
        is_traced(metadata) && !left_out::is_now()
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if is_traced(metadata) { Interest::sometimes() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

/// Spans of the mesh, and what went wrong in them; never those of the plumbing.
fn is_traced(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    let noise = PLUMBING.contains(&root) || root.starts_with("opentelemetry");
    !noise
        && if metadata.is_span() {
            *metadata.level() <= Level::INFO
        } else {
            *metadata.level() <= Level::WARN
        }
}

thread_local! {
    /// The id of the trace that begins next.
    static NEXT: Cell<Option<TraceId>> = const { Cell::new(None) };
}

/// Runs `begin`; a trace that it begins has this id, about which the sampler was asked.
pub(crate) fn with_trace_id<T>(id: TraceId, begin: impl FnOnce() -> T) -> T {
    NEXT.set(Some(id));
    let begun = begin();
    NEXT.set(None);
    begun
}

/// Random ids, except for a trace that was decided about.
#[derive(Debug, Default)]
pub(crate) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        NEXT.take().unwrap_or_else(|| self.0.new_trace_id())
    }

    fn new_span_id(&self) -> SpanId {
        self.0.new_span_id()
    }
}

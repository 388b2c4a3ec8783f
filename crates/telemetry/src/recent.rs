//! The newest spans of this process, kept in memory: a local mesh shows its own traces without a collector.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use opentelemetry::Context;
use opentelemetry::trace::{SpanId, Status};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

/// A span that has ended.
#[derive(Clone, Debug)]
pub struct RecentSpan {
    /// 32 lower-case hexadecimal digits.
    pub trace_id: String,
    /// 16 lower-case hexadecimal digits.
    pub span_id: String,
    /// The span that it is part of, if there is one.
    pub parent_span_id: Option<String>,
    /// What was done.
    pub name: String,
    /// When it began.
    pub start: SystemTime,
    /// How long it took.
    pub duration: Duration,
    /// Whether it ended in an error.
    pub failed: bool,
    /// Its attributes, as text.
    pub attributes: Vec<(String, String)>,
}

/// The newest spans, oldest first; cheap to clone.
#[derive(Clone, Debug)]
pub struct RecentTraces {
    spans: Arc<Mutex<VecDeque<SpanData>>>,
    capacity: usize,
}

impl RecentTraces {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { spans: Arc::default(), capacity }
    }

    /// The spans that are kept, oldest first.
    #[must_use]
    pub fn spans(&self) -> Vec<RecentSpan> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().map(RecentSpan::from).collect()
    }
}

impl From<&SpanData> for RecentSpan {
    fn from(span: &SpanData) -> Self {
        let parent = (span.parent_span_id != SpanId::INVALID).then(|| span.parent_span_id.to_string());
        let attributes = span.attributes.iter().map(|a| (a.key.to_string(), a.value.to_string())).collect();
        Self {
            trace_id: span.span_context.trace_id().to_string(),
            span_id: span.span_context.span_id().to_string(),
            parent_span_id: parent,
            name: span.name.to_string(),
            start: span.start_time,
            duration: span.end_time.duration_since(span.start_time).unwrap_or_default(),
            failed: matches!(span.status, Status::Error { .. }),
            attributes,
        }
    }
}

impl SpanProcessor for RecentTraces {
    fn on_start(&self, _span: &mut Span, _context: &Context) {}

    fn on_end(&self, span: SpanData) {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        if spans.len() >= self.capacity {
            spans.pop_front();
        }
        spans.push_back(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _timeout: Duration) -> OTelSdkResult {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::{Tracer as _, TracerProvider as _};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    #[test]
    fn only_the_newest_spans_are_kept_oldest_first() {
        let recent = RecentTraces::new(2);
        let provider = SdkTracerProvider::builder().with_span_processor(recent.clone()).build();
        let tracer = provider.tracer("test");
        for name in ["a", "b", "c"] {
            drop(tracer.start(name));
        }
        let names: Vec<_> = recent.spans().into_iter().map(|s| s.name).collect();
        assert_eq!(names, ["b", "c"]);
    }
}

//! W3C trace context over headers (HTTP and gRPC metadata are the same map).
//!
//! A malformed or doubled `traceparent` is ignored, as the recommendation says: it must never fail a request.

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{TraceContextExt, TraceFlags};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

const TRACEPARENT: &str = "traceparent";

/// The header in which vendors of tracing add what they need.
pub const TRACESTATE: &str = "tracestate";

/// The trace context that the headers carry; empty when they carry none that is valid.
#[must_use]
pub fn extract(headers: &HeaderMap) -> Context {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let parent = parents.next().filter(|value| is_well_formed(value.as_bytes()));
    if parent.is_none() || parents.next().is_some() {
        return Context::new();
    }
    TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers))
}

/// Whether a `traceparent` has the form of its version, to which the propagator does not look closely.
fn is_well_formed(value: &[u8]) -> bool {
    let fits = |(at, byte): (usize, &u8)| match at {
        2 | 35 | 52 => *byte == b'-',
        _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
    };
    let is_longer = value.get(55).is_some_and(|next| *next != b'-' || value.starts_with(b"00"));
    value.len() >= 55
        && value.iter().take(55).enumerate().all(fits)
        && !value.starts_with(b"ff")
        && !is_longer
}

/// Makes the caller's span the parent of `span`. To be called before the span is first entered; without a valid
/// context in the headers the span stays what it is, usually the root of a new trace.
pub fn set_parent(span: &Span, headers: &HeaderMap) {
    let context = extract(headers);
    if context.span().span_context().is_valid() {
        // Fails only when nothing records spans, or when the span has begun: then its parent is already known.
        let _ = span.set_parent(context);
    }
}

/// Writes the context of the current span, replacing what is there; removes it when there is no span.
pub fn inject(headers: &mut HeaderMap) {
    headers.remove(TRACESTATE);
    let context = current();
    let span = context.span();
    let span = span.span_context();
    let flags = span.trace_flags().to_u8() & TraceFlags::SAMPLED.to_u8();
    let parent = format!("00-{}-{}-{flags:02x}", span.trace_id(), span.span_id());
    match HeaderValue::try_from(parent) {
        Ok(parent) if span.is_valid() => headers.insert(TRACEPARENT, parent),
        _ => headers.remove(TRACEPARENT),
    };
    let state = span.trace_state().header();
    if let (false, Ok(state)) = (state.is_empty(), HeaderValue::try_from(state)) {
        headers.insert(TRACESTATE, state);
    }
}

/// The id of the current trace as 32 hexadecimal digits.
#[must_use]
pub fn trace_id() -> Option<String> {
    let context = current();
    let span = context.span();
    let span = span.span_context();
    span.is_valid().then(|| span.trace_id().to_string())
}

/// The current context: of the span of `tracing` when there is one, else of whoever set one.
fn current() -> Context {
    let context = Span::current().context();
    if context.span().span_context().is_valid() { context } else { Context::current() }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|v| (HeaderName::from_static(TRACEPARENT), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn reads_a_valid_parent() {
        let context = extract(&headers(&[PARENT]));
        assert_eq!(context.span().span_context().trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert!(context.span().span_context().is_remote());
    }

    #[test]
    fn ignores_what_is_malformed_or_doubled() {
        let zero = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let odd = [
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-B7AD6B7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ];
        let odd = odd.map(|value| vec![value]);
        for values in [vec![], vec!["rubbish"], vec![zero], vec![PARENT, PARENT]].into_iter().chain(odd) {
            assert!(!extract(&headers(&values)).span().span_context().is_valid(), "{values:?}");
        }
    }

    #[test]
    fn injecting_without_a_span_leaves_no_foreign_context() {
        let mut headers = headers(&[PARENT]);
        inject(&mut headers);
        assert!(headers.is_empty());
    }
}

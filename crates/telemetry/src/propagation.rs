//! W3C trace context over headers (HTTP and gRPC metadata are the same map).
//!
//! A malformed or doubled `traceparent` is ignored, as the recommendation says: it must never fail a request.

use std::str::FromStr;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};

use crate::left_out::with_context;

/// The header that names trace, span and whether they are recorded.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The header in which vendors of tracing add what they need.
pub const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// The trace context that the headers carry; empty when they carry none that is valid.
#[must_use]
pub fn extract(headers: &HeaderMap) -> Context {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let parent = parents.next().and_then(|value| parse(value.as_bytes(), headers));
    match parent.filter(|span| span.is_valid() && parents.next().is_none()) {
        Some(span) => Context::new().with_remote_span_context(span),
        None => Context::new(),
    }
}

/// A `traceparent` in the form of its version (W3C Trace Context, 3.2), with the `tracestate` beside it.
fn parse(value: &[u8], headers: &HeaderMap) -> Option<SpanContext> {
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let fits = |(at, byte): (usize, &u8)| match at {
        2 | 35 | 52 => *byte == b'-',
        _ => is_hex(byte),
    };
    let is_longer = value.get(55).is_some_and(|next| *next != b'-' || value.starts_with(b"00"));
    let parent = value.get(..55).filter(|parent| parent.iter().enumerate().all(fits))?;
    if is_longer || value.starts_with(b"ff") {
        return None;
    }
    let parent = std::str::from_utf8(parent).ok()?;
    let trace = TraceId::from_hex(parent.get(3..35)?).ok()?;
    let span = SpanId::from_hex(parent.get(36..52)?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(parent.get(53..55)?, 16).ok()?) & TraceFlags::SAMPLED;
    let state = headers.get(TRACESTATE).and_then(|state| TraceState::from_str(state.to_str().ok()?).ok());
    Some(SpanContext::new(trace, span, flags, true, state.unwrap_or_default()))
}

/// Writes the trace of the moment, replacing what is there; removes it when there is none.
pub fn inject(headers: &mut HeaderMap) {
    headers.remove(TRACESTATE);
    with_context(|span| {
        match span.is_valid().then(|| HeaderValue::from_bytes(&parent(span))) {
            Some(Ok(parent)) => headers.insert(TRACEPARENT, parent),
            _ => headers.remove(TRACEPARENT),
        };
        let state = span.trace_state().header();
        if let (false, Ok(state)) = (state.is_empty(), HeaderValue::try_from(state)) {
            headers.insert(TRACESTATE, state);
        }
    });
}

/// `00-<trace>-<span>-<flags>`, written by hand: every request and every call says it.
fn parent(span: &SpanContext) -> [u8; 55] {
    let mut text = *b"00-................................-................-..";
    let flags = (span.trace_flags() & TraceFlags::SAMPLED).to_u8();
    let ids = span.trace_id().to_bytes().into_iter().chain(span.span_id().to_bytes());
    let nibbles = ids.chain([flags]).flat_map(|byte| [byte >> 4, byte & 0xf]);
    for (place, nibble) in text.iter_mut().filter(|place| **place == b'.').zip(nibbles) {
        *place = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    }
    text
}

/// The id of the current trace as 32 hexadecimal digits.
#[must_use]
pub fn trace_id() -> Option<String> {
    with_context(|span| span.is_valid().then(|| span.trace_id().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_written_is_what_was_read() {
        for text in [PARENT, "00-00000000000000000000000000000001-f000000000000000-00"] {
            let context = extract(&headers(&[text]));
            assert_eq!(parent(context.span().span_context()), text.as_bytes());
        }
    }

    fn headers(values: &[&'static str]) -> HeaderMap {
        values.iter().map(|v| (TRACEPARENT, HeaderValue::from_static(v))).collect()
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

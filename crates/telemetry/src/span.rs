//! What is said of a span and of nothing else.

use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Gives a span an attribute that no log line shows, as fields would be: for texts of users, where an operator has asked for them.
pub fn annotate(span: &Span, key: &'static str, value: String) {
    span.set_attribute(key, value);
}

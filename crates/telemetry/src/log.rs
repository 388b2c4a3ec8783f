//! How a log line looks: one JSON object, or one readable line; both name the trace and the span.

use std::fmt;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{DefaultFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::left_out;
use crate::members::Members;
use crate::neutral::is_hostile;

/// The trace and span ids of the moment, when there are any.
fn ids() -> Option<(String, String)> {
    left_out::with_context(|span| {
        span.is_valid().then(|| (span.trace_id().to_string(), span.span_id().to_string()))
    })
}

/// One JSON object a line: what happened, in which trace, and the fields of the spans around it.
pub(crate) struct JsonLines;

impl<S> FormatEvent<S, Members> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, Members>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        line.put("timestamp", time);
        line.put("level", event.metadata().level().as_str());
        line.put("target", event.metadata().target());
        event.record(&mut Fields(&mut line));
        if let Some((trace, span)) = ids() {
            line.put("trace_id", trace);
            line.put("span_id", span);
        }
        if let Some(span) = spans(ctx) {
            line.put("span", span);
        }
        let text = line.to_string();
        write_escaped(&mut writer, &text)?;
        writer.write_char('\n')
    }
}

/// A JSON object whose members stay in order, so that people find the time at the beginning of each line.
#[derive(Default)]
struct Line(Vec<(String, Value)>);

impl Line {
    fn put(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = '{';
        for (name, value) in &self.0 {
            write!(f, "{separator}{}:{value}", Value::from(name.as_str()))?;
            separator = ',';
        }
        f.write_str("}")
    }
}

/// JSON escapes only ASCII control characters; the others that could harm a reader are escaped here.
fn write_escaped(writer: &mut Writer<'_>, json: &str) -> fmt::Result {
    if !json.chars().any(is_hostile) {
        return writer.write_str(json);
    }
    for c in json.chars() {
        if is_hostile(c) { write!(writer, "\\u{:04x}", u32::from(c))? } else { writer.write_char(c)? }
    }
    Ok(())
}

/// The name of the innermost span and the fields of all spans around the event, the inner ones win; a request that is not
/// recorded counts as the outermost.
fn spans<S>(ctx: &FmtContext<'_, S, Members>) -> Option<Value>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut fields = Map::new();
    if let Some(request) = left_out::now() {
        request.describe(&mut |name, value| {
            fields.insert(name.into(), value.into());
        });
    }
    if let Some(innermost) = ctx.lookup_current() {
        for span in innermost.scope().from_root() {
            let extensions = span.extensions();
            let formatted = extensions.get::<FormattedFields<Members>>();
            if let Some(Ok(Value::Object(more))) = formatted.map(Members::parse) {
                fields.extend(more);
            }
        }
        fields.insert("name".into(), innermost.name().into());
    }
    (!fields.is_empty()).then_some(Value::Object(fields))
}

/// Puts the fields of an event into the line; names that the line itself uses cannot be taken by a field.
struct Fields<'a>(&'a mut Line);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        let taken = matches!(name, "timestamp" | "level" | "target" | "trace_id" | "span_id" | "span");
        self.0.put(if taken { format!("field.{name}") } else { name.to_owned() }, value);
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

/// One line for people, coloured when the writer is a terminal.
pub(crate) struct TextLines;

impl<S> FormatEvent<S, DefaultFields> for TextLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, DefaultFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let (metadata, colours) = (event.metadata(), writer.has_ansi_escapes());
        let (dim, reset) = if colours { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let colour = if colours { colour(*metadata.level()) } else { "" };
        write!(writer, "{dim}")?;
        SystemTime.format_time(&mut writer)?;
        write!(
            writer,
            "{reset} {colour}{:>5}{reset} {dim}{}:{reset} ",
            metadata.level().as_str(),
            metadata.target()
        )?;
        ctx.format_fields(writer.by_ref(), event)?;
        if let Some((trace, _)) = ids() {
            write!(writer, " {dim}trace_id={trace}{reset}")?;
        }
        writer.write_char('\n')
    }
}

fn colour(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[34m",
    }
}

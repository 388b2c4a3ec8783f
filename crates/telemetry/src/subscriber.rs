//! The subscriber: what becomes a log line and what becomes a span.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::DefaultFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry};

use crate::log::{JsonLines, TextLines};
use crate::members::Members;
use crate::telemetry::{Telemetry, TelemetryError};
use crate::{Format, RecentTraces, TelemetryConfig, audit, traces};

/// The transport below the exporter and the stacks: its own spans would describe the telling, not the work.
const PLUMBING: [&str; 7] = ["h2", "hyper", "hyper_util", "tonic", "tower", "rustls", "opentelemetry"];

/// A subscriber that writes to `writer`, with the telemetry behind it, without installing anything process-wide: for
/// [`Telemetry::init`] and for a test that captures its own lines.
///
/// # Errors
/// When the filter or the collector's address is faulty.
pub fn subscriber<W>(
    service: &str,
    config: &TelemetryConfig,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync + use<W>, Telemetry), TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let recent = (config.recent_spans > 0).then(|| RecentTraces::new(config.recent_spans));
    let (provider, runtime) = traces::provider(service, config, recent.as_ref())?;
    let filter = EnvFilter::builder().parse(&config.filter).map_err(TelemetryError::filter)?;
    let lines = lines(config.format, writer)
        .with_filter(filter.or(filter_fn(|metadata| metadata.target() == audit::TARGET)));
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("quipu"))
        .with_location(false)
        .with_threads(false)
        // It would ask the time at each step of each future.
        .with_tracked_inactivity(false)
        .with_filter(filter_fn(is_traced));
    let subscriber = Registry::default().with(spans).with(lines);
    Ok((subscriber, Telemetry::new(provider, runtime, recent)))
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

fn lines<S, W>(format: Format, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let terminal = std::io::stderr().is_terminal();
    let json = match format {
        Format::Json => true,
        Format::Text => false,
        Format::Auto => !terminal,
    };
    let layer = tracing_subscriber::fmt::layer::<S>().with_ansi(terminal).with_writer(writer);
    if json {
        layer.with_ansi(false).fmt_fields(Members).event_format(JsonLines).boxed()
    } else {
        layer.fmt_fields(DefaultFields::new()).event_format(TextLines).boxed()
    }
}

//! The subscriber: what becomes a log line and what becomes a span.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use tracing::{Level, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::DefaultFields;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::head::HeadSampler;
use crate::log::{JsonLines, TextLines};
use crate::members::Members;
use crate::telemetry::{Telemetry, TelemetryError};
use crate::{Format, RecentTraces, Sink, TelemetryConfig, audit, traces};

/// A subscriber that writes to `writer`, with the telemetry behind it, without installing anything process-wide: for
/// [`Telemetry::init`] and for a test that captures its own lines.
///
/// # Errors
/// When the filter or the collector's address is faulty.
pub fn subscriber<W>(
    service: &str,
    config: &TelemetryConfig,
    sinks: Vec<Sink>,
    writer: W,
) -> Result<(impl Subscriber + Send + Sync + use<W>, Telemetry), TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let has_sinks = !sinks.is_empty();
    let recent = (config.recent_spans > 0).then(|| RecentTraces::new(config.recent_spans));
    let (provider, runtime) = traces::provider(service, config, recent.as_ref(), sinks)?;
    let filter: Targets = config.filter.parse().map_err(TelemetryError::filter)?;
    // The audit trail cannot be silenced.
    let lines = lines(config.format, writer).with_filter(filter.with_target(audit::TARGET, Level::INFO));
    let is_taken = config.otlp_endpoint.is_some() || recent.is_some() || has_sinks;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("quipu"))
        .with_location(false)
        .with_threads(false)
        // It would ask the time at each step of each future.
        .with_tracked_inactivity(false)
        .with_filter(HeadSampler::new(traces::sampler(config), is_taken));
    let subscriber = Registry::default().with(spans).with(lines);
    Ok((subscriber, Telemetry::new(provider, runtime, recent)))
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

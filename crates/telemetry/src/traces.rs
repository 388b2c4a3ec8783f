//! The tracer provider: sampling, the resource, and the bounded way to the collector.
//!
//! The exporter runs on a small runtime of its own, so that it works whatever runtime the process has and cannot lock
//! itself out when that one has a single worker. What the collector does not take in time is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::counter;
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter as OtlpExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, Span, SpanData, SpanExporter,
    SpanProcessor,
};
use tokio::runtime::Runtime;

use crate::head::Ids;
use crate::metrics_names::SPANS;
use crate::sink::Also;
use crate::telemetry::TelemetryError;
use crate::{RecentTraces, Sampling, Sink, TelemetryConfig};

/// Spans that wait for the collector; more are dropped. The SDK takes memory for all of them at once, some 350 bytes each.
const QUEUE: usize = 1024;
/// How long one export may take.
const EXPORT_LIMIT: Duration = Duration::from_secs(5);
/// The longest wait before a batch leaves.
const DELAY: Duration = Duration::from_secs(1);

/// The provider, and the exporter's runtime when there is an exporter.
pub(crate) fn provider(
    service: &str,
    config: &TelemetryConfig,
    recent: Option<&RecentTraces>,
    sinks: Vec<Sink>,
) -> Result<(SdkTracerProvider, Option<Runtime>), TelemetryError> {
    let mut builder = SdkTracerProvider::builder()
        .with_id_generator(Ids::default())
        .with_sampler(sampler(config))
        .with_resource(resource(service, config));
    if let Some(recent) = recent {
        builder = builder.with_span_processor(recent.clone());
    }
    for sink in sinks {
        builder = builder.with_span_processor(Also(sink));
    }
    let Some(endpoint) = &config.otlp_endpoint else { return Ok((builder.build(), None)) };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("otlp")
        .enable_all()
        .build()
        .map_err(TelemetryError::exporter)?;
    let exporter = {
        let _entered = runtime.enter();
        OtlpExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(EXPORT_LIMIT)
            .build()
            .map_err(TelemetryError::exporter)?
    };
    Ok((builder.with_span_processor(Bounded::new(exporter)).build(), Some(runtime)))
}

pub(crate) fn sampler(config: &TelemetryConfig) -> Sampler {
    let ratio = Sampler::TraceIdRatioBased(config.sampling_ratio);
    match config.sampling {
        Sampling::AlwaysOn => Sampler::AlwaysOn,
        Sampling::AlwaysOff => Sampler::AlwaysOff,
        Sampling::TraceIdRatio => ratio,
        Sampling::ParentBasedAlwaysOn => Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
        Sampling::ParentBasedAlwaysOff => Sampler::ParentBased(Box::new(Sampler::AlwaysOff)),
        Sampling::ParentBasedTraceIdRatio => Sampler::ParentBased(Box::new(ratio)),
    }
}

fn resource(service: &str, config: &TelemetryConfig) -> Resource {
    let mut resource = Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_service_name(service.to_owned())
        .with_attributes(
            config.resource_attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())),
        );
    if let Some(name) = &config.service_name {
        resource = resource.with_service_name(name.clone());
    }
    resource.build()
}

/// A batch processor that knows how many spans wait, so that none is dropped without being counted.
#[derive(Debug)]
struct Bounded {
    inner: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
}

impl Bounded {
    fn new(exporter: OtlpExporter) -> Self {
        let waiting = Arc::new(AtomicUsize::new(0));
        let exporter = Counted { inner: exporter, waiting: Arc::clone(&waiting) };
        let batches =
            BatchConfigBuilder::default().with_max_queue_size(QUEUE).with_scheduled_delay(DELAY).build();
        Self { inner: BatchSpanProcessor::builder(exporter).with_batch_config(batches).build(), waiting }
    }
}

impl SpanProcessor for Bounded {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.inner.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if !span.span_context.is_sampled() {
            return;
        }
        if self.waiting.fetch_add(1, Ordering::Relaxed) < QUEUE {
            self.inner.on_end(span);
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            counter!(SPANS, "outcome" => "dropped").increment(1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

/// The exporter, counting what leaves.
#[derive(Debug)]
struct Counted {
    inner: OtlpExporter,
    waiting: Arc<AtomicUsize>,
}

impl SpanExporter for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let count = batch.len();
        let result = self.inner.export(batch).await;
        self.waiting.fetch_sub(count, Ordering::Relaxed);
        let outcome = if result.is_ok() { "exported" } else { "failed" };
        counter!(SPANS, "outcome" => outcome).increment(u64::try_from(count).unwrap_or(u64::MAX));
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }
}

//! Starting and stopping the telemetry of a process.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_error::BoxError;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tracing_subscriber::util::SubscriberInitExt;

use crate::{RecentTraces, Sink, TelemetryConfig, panics, recorder, subscriber};

/// A process has one subscriber and one recorder, which cannot be taken away again; the first start decides.
static INSTALLED: Mutex<Option<Telemetry>> = Mutex::new(None);

/// The telemetry of a process. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    provider: SdkTracerProvider,
    runtime: Arc<Mutex<Option<Runtime>>>,
    recent: Option<RecentTraces>,
}

impl Telemetry {
    /// Installs the subscriber, the metrics recorder and the panic hook. A second call in one process changes nothing
    /// and returns what the first one made.
    ///
    /// # Errors
    /// When the filter or the collector's address is faulty, or somebody else installed a subscriber or a recorder.
    pub fn init(service: &str, config: &TelemetryConfig) -> Result<Self, TelemetryError> {
        Self::init_with(service, config, Vec::new())
    }

    /// As [`Self::init`], with further places for spans.
    ///
    /// # Errors
    /// As [`Self::init`].
    pub fn init_with(
        service: &str,
        config: &TelemetryConfig,
        sinks: Vec<Sink>,
    ) -> Result<Self, TelemetryError> {
        let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(telemetry) = &*installed {
            return Ok(telemetry.clone());
        }
        recorder::install()?;
        let (subscriber, telemetry) = subscriber(service, config, sinks, std::io::stderr)?;
        subscriber.try_init().map_err(TelemetryError::subscriber)?;
        panics::install();
        *installed = Some(telemetry.clone());
        Ok(telemetry)
    }

    pub(crate) fn new(
        provider: SdkTracerProvider,
        runtime: Option<Runtime>,
        recent: Option<RecentTraces>,
    ) -> Self {
        Self { provider, runtime: Arc::new(Mutex::new(runtime)), recent }
    }

    /// The newest traces, when the configuration asked to keep some.
    #[must_use]
    pub fn recent(&self) -> Option<RecentTraces> {
        self.recent.clone()
    }

    /// Sends what is waiting to the collector, within the limit; whether it all went.
    pub async fn flush(&self, limit: Duration) -> bool {
        let provider = self.provider.clone();
        bounded(limit, move || provider.force_flush().is_ok()).await
    }

    /// Sends what is waiting and ends the export, within the limit; whether it all went. Logs go on.
    pub async fn shutdown(self, limit: Duration) -> bool {
        let (provider, runtime) = (self.provider.clone(), Arc::clone(&self.runtime));
        bounded(limit, move || {
            let clean = provider.shutdown_with_timeout(limit).is_ok();
            if let Some(runtime) = runtime.lock().unwrap_or_else(PoisonError::into_inner).take() {
                runtime.shutdown_background();
            }
            clean
        })
        .await
    }
}

impl Drop for Telemetry {
    /// A runtime must not be dropped inside another one; the last holder lets it go in the background.
    fn drop(&mut self) {
        if Arc::strong_count(&self.runtime) == 1
            && let Some(runtime) = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").finish_non_exhaustive()
    }
}

/// Runs what may block on a thread of its own, so that neither a worker of the runtime nor its end waits for it.
async fn bounded(limit: Duration, work: impl FnOnce() -> bool + Send + 'static) -> bool {
    let (done, result) = oneshot::channel();
    let spawned = std::thread::Builder::new().name("telemetry-flush".into()).spawn(move || {
        // The receiver is gone when the limit has passed.
        let _ = done.send(work());
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "cannot flush telemetry");
        return false;
    }
    matches!(tokio::time::timeout(limit, result).await, Ok(Ok(true)))
}

/// Telemetry could not be started.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TelemetryError {
    /// The filter of the log.
    #[error("log filter: {0}")]
    Filter(Arc<str>),
    /// The exporter of traces.
    #[error("trace exporter: {0}")]
    Exporter(Arc<str>),
    /// The metrics recorder.
    #[error("metrics recorder: {0}")]
    Recorder(Arc<str>),
    /// The subscriber.
    #[error("subscriber: {0}")]
    Subscriber(Arc<str>),
}

impl TelemetryError {
    pub(crate) fn filter(error: impl Into<BoxError>) -> Self {
        Self::Filter(error.into().to_string().into())
    }

    pub(crate) fn exporter(error: impl Into<BoxError>) -> Self {
        Self::Exporter(error.into().to_string().into())
    }

    pub(crate) fn recorder(error: impl Into<BoxError>) -> Self {
        Self::Recorder(error.into().to_string().into())
    }

    pub(crate) fn subscriber(error: impl Into<BoxError>) -> Self {
        Self::Subscriber(error.into().to_string().into())
    }
}

//! The one metrics recorder of the process, rendered for Prometheus.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::metrics_names as names;
use crate::telemetry::TelemetryError;

/// How often histograms are folded: without it they would keep every sample until somebody scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// A recorder can be installed once in a process and never removed.
static HANDLE: OnceLock<Result<PrometheusHandle, TelemetryError>> = OnceLock::new();

/// Every metric of the process in the Prometheus text format; empty before the first [`crate::Telemetry::init`].
#[must_use]
pub fn metrics_text() -> String {
    let Some(Ok(handle)) = HANDLE.get() else { return String::new() };
    process_metrics();
    handle.render()
}

/// Whether what is measured is kept.
pub(crate) fn is_installed() -> bool {
    matches!(HANDLE.get(), Some(Ok(_)))
}

/// Installs the recorder; the second time does nothing.
///
/// # Errors
/// When something else has installed a recorder before.
pub(crate) fn install() -> Result<(), TelemetryError> {
    HANDLE.get_or_init(build).as_ref().map(|_| ()).map_err(TelemetryError::clone)
}

fn build() -> Result<PrometheusHandle, TelemetryError> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_seconds".into()), &names::DURATION_BUCKETS)
        .map_err(TelemetryError::recorder)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(TelemetryError::recorder)?;
    describe();
    let upkeep = handle.clone();
    std::thread::Builder::new()
        .name("metrics-upkeep".into())
        .spawn(move || {
            loop {
                std::thread::park_timeout(UPKEEP);
                upkeep.run_upkeep();
            }
        })
        .map_err(TelemetryError::recorder)?;
    Ok(handle)
}

fn describe() {
    describe_histogram!(
        names::RPC_SERVER_CALL_DURATION,
        Unit::Seconds,
        "Duration of gRPC calls at the server"
    );
    describe_histogram!(
        names::RPC_CLIENT_CALL_DURATION,
        Unit::Seconds,
        "Duration of gRPC calls at the client"
    );
    describe_histogram!(
        names::HTTP_SERVER_REQUEST_DURATION,
        Unit::Seconds,
        "Duration of HTTP requests at the server"
    );
    describe_gauge!(names::RPC_SERVER_ACTIVE_CALLS, Unit::Count, "gRPC calls in progress at the server");
    describe_counter!(names::PANICS, Unit::Count, "Handlers that panicked");
    describe_counter!(names::SPANS, Unit::Count, "Spans by what became of them");
    describe_counter!(names::AUDIT_EVENTS, Unit::Count, "Audit events by action and outcome");
    describe_gauge!("process_resident_memory_bytes", Unit::Bytes, "Resident memory of the process");
    describe_gauge!("process_open_fds", Unit::Count, "Open file descriptors of the process");
}

/// What Linux tells of the process; elsewhere these metrics are missing.
fn process_metrics() {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse::<u32>().ok());
    if let Some(kib) = resident {
        metrics::gauge!("process_resident_memory_bytes").set(f64::from(kib) * 1024.0);
    }
    if let Ok(fds) = std::fs::read_dir("/proc/self/fd") {
        let count = u32::try_from(fds.count()).unwrap_or(u32::MAX);
        metrics::gauge!("process_open_fds").set(f64::from(count));
    }
}

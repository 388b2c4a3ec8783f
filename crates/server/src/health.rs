//! `grpc.health.v1` from the readiness of the process: one status for the server and one for each of its services.

use mesh_lifecycle::{Lifecycle, Readiness};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// The name of the service, which always answers, also under overload.
pub(crate) const HEALTH: &str = "grpc.health.v1.Health";

/// Whether a path is one of health's methods.
pub(crate) fn is_health(path: &str) -> bool {
    path.strip_prefix('/')
        .and_then(|path| path.strip_prefix(HEALTH))
        .is_some_and(|rest| rest.starts_with('/'))
}

/// Writes the present readiness as the status of every service; tonic's own beginning is SERVING.
pub(crate) async fn report(reporter: &HealthReporter, services: &[&'static str], readiness: &Readiness) {
    let status = if readiness.is_ready() { ServingStatus::Serving } else { ServingStatus::NotServing };
    for service in services.iter().copied().chain([""]) {
        reporter.set_service_status(service, status).await;
    }
}

/// Follows readiness until the server closes.
pub(crate) async fn follow(reporter: HealthReporter, services: Vec<&'static str>, lifecycle: Lifecycle) {
    let mut changes = lifecycle.readiness().subscribe();
    loop {
        report(&reporter, &services, lifecycle.readiness()).await;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = lifecycle.closing() => return,
        }
    }
}

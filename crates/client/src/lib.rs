//! The one outbound stack: resolution, balancing, ejection, deadlines, retries, identity, telemetry.

//! The one inbound stack: TLS, limits, policy, deadlines, telemetry, health, the admin port.

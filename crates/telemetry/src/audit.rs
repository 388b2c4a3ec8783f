//! The audit trail: who did what, to whom, from where, with what outcome, in which trace.
//!
//! Audit events are log lines with the target `audit`; the filter of the log cannot silence them. Text from outside is
//! made harmless first, so that nobody can forge a second line.

use metrics::counter;

use crate::metrics_names::AUDIT_EVENTS;
use crate::neutral::neutralise;

/// The target of audit events.
pub const TARGET: &str = "audit";

/// How an audited action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was tried and failed, for example with a wrong password.
    Failure,
    /// It was refused by policy.
    Denied,
}

impl Outcome {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Denied => "denied",
        }
    }
}

/// One security event. Never holds a secret.
#[derive(Debug, Clone)]
pub struct AuditEvent<'a> {
    /// What was tried, for example `login` or `api_key.create`; from a closed list, since it labels a metric.
    pub action: &'static str,
    /// How it ended.
    pub outcome: Outcome,
    /// Who tried: a user id, a workload, or empty for somebody unknown.
    pub actor: &'a str,
    /// What it was tried on: a user id, a key id, a method.
    pub subject: &'a str,
    /// Where from: an address or a workload.
    pub client: &'a str,
    /// More for whoever reads it, for example the reason of a refusal.
    pub detail: &'a str,
}

/// Writes an audit event.
pub fn audit(event: &AuditEvent<'_>) {
    counter!(AUDIT_EVENTS, "action" => event.action, "outcome" => event.outcome.as_str()).increment(1);
    tracing::info!(
        target: TARGET,
        action = event.action,
        outcome = event.outcome.as_str(),
        actor = %neutralise(event.actor),
        subject = %neutralise(event.subject),
        client = %neutralise(event.client),
        detail = %neutralise(event.detail),
        "audit"
    );
}

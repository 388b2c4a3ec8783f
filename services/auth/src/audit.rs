//! The record of security events: a log line for whoever watches, and a row for whoever looks back.

use chrono::{DateTime, Utc};
use mesh_telemetry::audit::{AuditEvent, Outcome};

use crate::domain::Client;

/// Who asks, and from where: what every audit record says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Actor {
    /// The user or, for calls without one, the workload.
    pub(crate) name: String,
    /// The person's end of the line, where the call tells it.
    pub(crate) client: Client,
}

/// One security event.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: DateTime<Utc>,
    pub(crate) action: &'static str,
    pub(crate) outcome: Outcome,
    pub(crate) actor: Actor,
    /// On what: the id of a user, a session or a key; at sign-in, the address as given.
    pub(crate) subject: String,
    pub(crate) trace_id: String,
    pub(crate) detail: String,
}

impl Entry {
    /// An event of now, in the current trace.
    pub(crate) fn new(
        at: DateTime<Utc>,
        action: &'static str,
        outcome: Outcome,
        actor: &Actor,
        subject: &str,
    ) -> Self {
        let trace_id = mesh_telemetry::propagation::trace_id().unwrap_or_default();
        let (actor, subject) = (actor.clone(), subject.to_owned());
        Self { at, action, outcome, actor, subject, trace_id, detail: String::new() }
    }

    /// Adds what else a reader wants to know.
    pub(crate) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Writes the log line.
    pub(crate) fn log(&self) {
        mesh_telemetry::audit::audit(&AuditEvent {
            action: self.action,
            outcome: self.outcome,
            actor: &self.actor.name,
            subject: &self.subject,
            client: &self.actor.client.address(),
            detail: &self.detail,
        });
    }
}

//! The audit log. Rows are added and, when they are old enough, swept away; never changed.

use chrono::{DateTime, Utc};
use mesh_store::{Tx, execute, on};

use super::{Result, Store};
use crate::audit::Entry;

impl Store {
    /// Adds a record on its own, for events that change nothing else.
    pub(crate) async fn record(&self, id: &str, entry: &Entry) -> Result<()> {
        let mut tx = self.begin().await?;
        insert(&mut tx, id, entry).await?;
        tx.commit().await
    }

    /// Whether the same was done by the same actor since then: what tells a repeated call from one about nothing.
    pub(crate) async fn has_recorded(&self, entry: &Entry, since: DateTime<Utc>) -> Result<bool> {
        let count: i64 = on!(self.db.read(), "SELECT audit_log", |e| {
            sqlx::query_scalar(
                "SELECT count(*) FROM audit_log
                 WHERE at > $1 AND action = $2 AND outcome = $3 AND actor = $4 AND subject = $5 AND detail = $6",
            )
            .bind(since)
            .bind(entry.action)
            .bind(entry.outcome.as_str())
            .bind(&entry.actor.name)
            .bind(&entry.subject)
            .bind(&entry.detail)
            .fetch_one(e)
            .await
        })?;
        Ok(count > 0)
    }
}

/// Adds a record to the change that it is about.
pub(crate) async fn insert(tx: &mut Tx, id: &str, entry: &Entry) -> Result<()> {
    execute!(
        tx.conn(),
        "INSERT audit_log",
        sqlx::query(
            "INSERT INTO audit_log (id, at, action, outcome, actor, subject, address, user_agent, trace_id, detail)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(id)
        .bind(entry.at)
        .bind(entry.action)
        .bind(entry.outcome.as_str())
        .bind(&entry.actor.name)
        .bind(&entry.subject)
        .bind(entry.actor.client.address())
        .bind(entry.actor.client.user_agent())
        .bind(&entry.trace_id)
        .bind(&entry.detail)
    )
    .map(|_| ())
}

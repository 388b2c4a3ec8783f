//! The audit log. Rows are added and, when they are old enough, swept away; never changed.

use mesh_store::{Tx, on};

use super::{Result, Store};
use crate::audit::Entry;

impl Store {
    /// Adds a record on its own, for events that change nothing else.
    pub(crate) async fn record(&self, id: &str, entry: &Entry) -> Result<()> {
        let mut tx = self.begin().await?;
        insert(&mut tx, id, entry).await?;
        tx.commit().await
    }
}

/// Adds a record to the change that it is about.
pub(crate) async fn insert(tx: &mut Tx, id: &str, entry: &Entry) -> Result<()> {
    on!(tx.conn(), "INSERT audit_log", |e| {
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
        .execute(e)
        .await
        .map(|_| ())
    })
}

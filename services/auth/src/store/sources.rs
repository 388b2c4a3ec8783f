//! Places from which an account was registered, signed in to or refreshed.

use chrono::{DateTime, Utc};
use mesh_store::{Tx, execute, on};

use super::{Result, Store};
use crate::domain::Source;

/// So many places are remembered of each account.
const MOST: i64 = 20;

impl Store {
    /// Whether an account is known from there.
    pub(crate) async fn knows_source(&self, user_id: &str, source: &Source) -> Result<bool> {
        let count: i64 = on!(self.db.read(), "SELECT known_sources", |e| {
            sqlx::query_scalar("SELECT count(*) FROM known_sources WHERE user_id = $1 AND source = $2")
                .bind(user_id)
                .bind(source.as_str())
                .fetch_one(e)
                .await
        })?;
        Ok(count > 0)
    }
}

/// Remembers a place, and forgets the one longest unused when there are too many.
pub(crate) async fn remember(tx: &mut Tx, user_id: &str, source: &Source, now: DateTime<Utc>) -> Result<()> {
    if !source.is_known() {
        return Ok(());
    }
    execute!(
        tx.conn(),
        "UPSERT known_sources",
        sqlx::query(
            "INSERT INTO known_sources (user_id, source, last_seen_at) VALUES ($1, $2, $3)
             ON CONFLICT (user_id, source) DO UPDATE SET last_seen_at = excluded.last_seen_at",
        )
        .bind(user_id)
        .bind(source.as_str())
        .bind(now)
    )?;
    execute!(
        tx.conn(),
        "DELETE known_sources",
        sqlx::query(
            "DELETE FROM known_sources WHERE user_id = $1 AND source IN (
                 SELECT source FROM known_sources WHERE user_id = $1
                 ORDER BY last_seen_at DESC, source LIMIT 1000 OFFSET $2)",
        )
        .bind(user_id)
        .bind(MOST)
    )
    .map(|_| ())
}

//! The log of revocations, in an order that no reader can miss an entry of.

use chrono::{DateTime, Utc};
use mesh_identity::{Revocation, RevokedSubject};
use mesh_store::{Tx, execute, on};
use sqlx::FromRow;

use super::{Result, Store, take_turn};

#[derive(FromRow)]
struct Row {
    cursor: i64,
    session_id: Option<String>,
    user_id: Option<String>,
    revoked_at: i64,
}

impl Store {
    /// The cursor of the newest revocation ever made; 0 before the first.
    pub(crate) async fn newest_revocation(&self) -> Result<i64> {
        on!(self.db.read(), "SELECT turns", |e| {
            sqlx::query_scalar("SELECT value FROM turns WHERE name = 'revocations'").fetch_one(e).await
        })
    }

    /// Up to `limit` revocations after one cursor and up to another, in order.
    pub(crate) async fn revocations(&self, after: i64, up_to: i64, limit: i64) -> Result<Vec<Revocation>> {
        let rows: Vec<Row> = on!(self.db.read(), "SELECT revocations", |e| {
            sqlx::query_as(
                "SELECT cursor, session_id, user_id, revoked_at FROM revocations
                 WHERE cursor > $1 AND cursor <= $2 ORDER BY cursor LIMIT $3",
            )
            .bind(after)
            .bind(up_to)
            .bind(limit)
            .fetch_all(e)
            .await
        })?;
        Ok(rows.into_iter().filter_map(Row::into_revocation).collect())
    }
}

impl Row {
    fn into_revocation(self) -> Option<Revocation> {
        let subject = match (self.session_id, self.user_id) {
            (Some(id), _) => RevokedSubject::Session(id),
            (None, Some(id)) => RevokedSubject::User(id),
            (None, None) => return None,
        };
        let revoked_at = u64::try_from(self.revoked_at).ok()?;
        Some(Revocation { subject, revoked_at, cursor: self.cursor })
    }
}

/// Adds a revocation. The cursor comes from a row that stays locked until the commit, so cursors appear in their order:
/// a reader that has seen one has seen all before it. To be the last statement of a transaction, since everybody who
/// revokes waits for it.
pub(crate) async fn insert(
    tx: &mut Tx,
    subject: &RevokedSubject,
    revoked_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<()> {
    let cursor = take_turn(tx, "revocations").await?;
    let (session_id, user_id) = match subject {
        RevokedSubject::Session(id) => (Some(id), None),
        RevokedSubject::User(id) => (None, Some(id)),
    };
    execute!(
        tx.conn(),
        "INSERT revocations",
        sqlx::query(
            "INSERT INTO revocations (cursor, session_id, user_id, revoked_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(cursor)
        .bind(session_id)
        .bind(user_id)
        .bind(revoked_at.timestamp())
        .bind(expires_at)
    )
    .map(|_| ())
}

//! API keys. A key that was revoked has no row.

use std::fmt;

use chrono::{DateTime, Utc};
use mesh_identity::Scopes;
use mesh_store::page::Position;
use mesh_store::{Tx, execute, on};
use sqlx::FromRow;

use super::{Result, Store};

/// An API key.
#[derive(Clone, FromRow)]
pub(crate) struct ApiKey {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) name: String,
    pub(crate) secret_hash: Vec<u8>,
    pub(crate) scopes: String,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    pub(crate) last_used_at: Option<DateTime<Utc>>,
}

/// Shows no hash.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).field("user_id", &self.user_id).finish_non_exhaustive()
    }
}

impl ApiKey {
    /// Where it stands in the list.
    pub(crate) fn position(&self) -> Position {
        Position { created_at: self.created_at, id: self.id.clone() }
    }

    /// What it was made for. Stored by us, so it can be read.
    pub(crate) fn scopes(&self) -> Scopes {
        self.scopes.parse().unwrap_or_default()
    }
}

/// All that a key has, `FROM` the table, and what follows.
macro_rules! select_key {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, name, secret_hash, scopes, created_at, expires_at, last_used_at FROM api_keys ",
            $rest
        )
    };
}

impl Store {
    /// A key.
    pub(crate) async fn api_key(&self, id: &str) -> Result<Option<ApiKey>> {
        on!(self.db.read(), "SELECT api_keys", |e| {
            sqlx::query_as(select_key!("WHERE id = $1")).bind(id).fetch_optional(e).await
        })
    }

    /// A page of a user's keys, newest first.
    pub(crate) async fn api_keys(&self, user_id: &str, after: &Position, limit: i64) -> Result<Vec<ApiKey>> {
        on!(self.db.read(), "SELECT api_keys", |e| {
            sqlx::query_as(select_key!(
                "WHERE user_id = $1 AND (created_at, id) < ($2, $3)
                 ORDER BY created_at DESC, id DESC LIMIT $4"
            ))
            .bind(user_id)
            .bind(after.created_at)
            .bind(&after.id)
            .bind(limit)
            .fetch_all(e)
            .await
        })
    }

    /// Notes the minute in which a key was used.
    pub(crate) async fn touch_api_key(&self, id: &str, minute: DateTime<Utc>) -> Result<()> {
        execute!(
            self.db.write(),
            "UPDATE api_keys",
            sqlx::query("UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)")
            .bind(id)
            .bind(minute)
        )
        .map(|_| ())
    }
}

/// Locks a key of a user that has not expired; whether there is one.
pub(crate) async fn lock(tx: &mut Tx, id: &str, user_id: &str, now: DateTime<Utc>) -> Result<bool> {
    execute!(
        tx.conn(),
        "UPDATE api_keys",
        sqlx::query(
            "UPDATE api_keys SET expires_at = expires_at
             WHERE id = $1 AND user_id = $2 AND (expires_at IS NULL OR expires_at > $3)",
        )
        .bind(id)
        .bind(user_id)
        .bind(now)
    )
    .map(|rows| rows == 1)
}

/// Makes a key unless the user has `most`; whether it did. To be called with the user's row locked, so that keys are counted
/// one after the other.
pub(crate) async fn insert(tx: &mut Tx, key: &ApiKey, most: i64) -> Result<bool> {
    let count: i64 = on!(tx.conn(), "SELECT api_keys", |e| {
        sqlx::query_scalar("SELECT count(*) FROM api_keys WHERE user_id = $1")
            .bind(&key.user_id)
            .fetch_one(e)
            .await
    })?;
    if count >= most {
        return Ok(false);
    }
    execute!(
        tx.conn(),
        "INSERT api_keys",
        sqlx::query(
            "INSERT INTO api_keys (id, user_id, name, secret_hash, scopes, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&key.id)
        .bind(&key.user_id)
        .bind(&key.name)
        .bind(&key.secret_hash)
        .bind(&key.scopes)
        .bind(key.created_at)
        .bind(key.expires_at)
    )
    .map(|_| true)
}

/// Ends a key of a user; whether there was one.
pub(crate) async fn delete(tx: &mut Tx, id: &str, user_id: &str) -> Result<bool> {
    execute!(
        tx.conn(),
        "DELETE api_keys",
        sqlx::query("DELETE FROM api_keys WHERE id = $1 AND user_id = $2").bind(id).bind(user_id)
    )
    .map(|rows| rows == 1)
}

//! Sessions. A session that ended has no row.

use std::fmt;

use chrono::{DateTime, Utc};
use mesh_store::page::Position;
use mesh_store::{Tx, execute, on};
use sqlx::FromRow;

use super::{Result, Store};
use crate::domain::refresh::Chain;

/// A session.
#[derive(Clone, FromRow)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) current_hash: Vec<u8>,
    pub(crate) previous_hash: Option<Vec<u8>>,
    pub(crate) rotated_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) last_used_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
    pub(crate) address: String,
    pub(crate) user_agent: String,
}

/// Shows no hash.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// Where it stands in the list.
    pub(crate) fn position(&self) -> Position {
        Position { created_at: self.created_at, id: self.id.clone() }
    }

    /// Its refresh tokens.
    pub(crate) fn chain(&self) -> Chain {
        Chain {
            current: self.current_hash.clone(),
            previous: self.previous_hash.clone(),
            rotated_at: self.rotated_at,
            expires_at: self.expires_at,
        }
    }
}

/// The step from one refresh token to the next.
#[derive(Clone)]
pub(crate) struct Rotation<'a> {
    pub(crate) session_id: &'a str,
    pub(crate) spent: &'a [u8],
    pub(crate) next: &'a [u8],
    pub(crate) now: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
}

/// All that a session has, `FROM` the table, and what follows.
macro_rules! select_session {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, current_hash, previous_hash, rotated_at, created_at, last_used_at, expires_at,
                    address, user_agent FROM sessions ",
            $rest
        )
    };
}

impl Store {
    /// A session.
    pub(crate) async fn session(&self, id: &str) -> Result<Option<Session>> {
        on!(self.db.read(), "SELECT sessions", |e| {
            sqlx::query_as(select_session!("WHERE id = $1")).bind(id).fetch_optional(e).await
        })
    }

    /// A page of a user's sessions, newest first.
    pub(crate) async fn sessions(
        &self,
        user_id: &str,
        now: DateTime<Utc>,
        after: &Position,
        limit: i64,
    ) -> Result<Vec<Session>> {
        on!(self.db.read(), "SELECT sessions", |e| {
            sqlx::query_as(select_session!(
                "WHERE user_id = $1 AND expires_at > $2 AND (created_at, id) < ($3, $4)
                 ORDER BY created_at DESC, id DESC LIMIT $5"
            ))
            .bind(user_id)
            .bind(now)
            .bind(after.created_at)
            .bind(&after.id)
            .bind(limit)
            .fetch_all(e)
            .await
        })
    }
}

/// Spends the good refresh token and puts the next in its place, in one statement: of many that try, one succeeds.
pub(crate) async fn rotate(tx: &mut Tx, rotation: &Rotation<'_>) -> Result<bool> {
    execute!(
        tx.conn(),
        "UPDATE sessions",
        sqlx::query(
            "UPDATE sessions
             SET previous_hash = current_hash, current_hash = $3, rotated_at = $4, last_used_at = $4, expires_at = $5
             WHERE id = $1 AND current_hash = $2",
        )
        .bind(rotation.session_id)
        .bind(rotation.spent)
        .bind(rotation.next)
        .bind(rotation.now)
        .bind(rotation.expires_at)
    )
    .map(|rows| rows == 1)
}

/// Begins a session.
pub(crate) async fn insert(tx: &mut Tx, session: &Session) -> Result<()> {
    execute!(
        tx.conn(),
        "INSERT sessions",
        sqlx::query(
            "INSERT INTO sessions (id, user_id, current_hash, created_at, last_used_at, expires_at, address, user_agent)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&session.id)
        .bind(&session.user_id)
        .bind(&session.current_hash)
        .bind(session.created_at)
        .bind(session.last_used_at)
        .bind(session.expires_at)
        .bind(&session.address)
        .bind(&session.user_agent)
    )
    .map(|_| ())
}

/// Locks a session of a user; whether there is one.
pub(crate) async fn lock(tx: &mut Tx, id: &str, user_id: &str) -> Result<bool> {
    execute!(
        tx.conn(),
        "UPDATE sessions",
        sqlx::query("UPDATE sessions SET expires_at = expires_at WHERE id = $1 AND user_id = $2")
            .bind(id)
            .bind(user_id)
    )
    .map(|rows| rows == 1)
}

/// Ends a session of a user; whether there was one.
pub(crate) async fn delete(tx: &mut Tx, id: &str, user_id: &str) -> Result<bool> {
    execute!(
        tx.conn(),
        "DELETE sessions",
        sqlx::query("DELETE FROM sessions WHERE id = $1 AND user_id = $2").bind(id).bind(user_id)
    )
    .map(|rows| rows == 1)
}

/// Ends all sessions of a user but one (empty: all); gives their ids.
pub(crate) async fn delete_others(tx: &mut Tx, user_id: &str, but: &str) -> Result<Vec<String>> {
    on!(tx.conn(), "DELETE sessions", |e| {
        sqlx::query_scalar("DELETE FROM sessions WHERE user_id = $1 AND id <> $2 RETURNING id")
            .bind(user_id)
            .bind(but)
            .fetch_all(e)
            .await
    })
}

/// Ends the oldest sessions of a user beyond the newest `most`; gives their ids.
pub(crate) async fn delete_beyond(tx: &mut Tx, user_id: &str, most: i64) -> Result<Vec<String>> {
    on!(tx.conn(), "DELETE sessions", |e| {
        sqlx::query_scalar(
            "DELETE FROM sessions WHERE id IN (
                 SELECT id FROM sessions WHERE user_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1000 OFFSET $2)
             RETURNING id",
        )
        .bind(user_id)
        .bind(most)
        .fetch_all(e)
        .await
    })
}

//! Sign-in attempts per account.

use chrono::{DateTime, Utc};
use mesh_store::{Tx, execute, on};
use sqlx::FromRow;

use super::{Result, Store};
use crate::domain::throttle::Attempts;

/// What is stored of the attempts at one account; `version` changes with each.
#[derive(Clone, Debug, FromRow)]
pub(crate) struct StoredAttempts {
    window_began: DateTime<Utc>,
    attempts: i64,
    blocked_until: DateTime<Utc>,
    version: i64,
}

impl StoredAttempts {
    /// In the terms of the rules.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts { window_began: self.window_began, count: self.attempts, blocked_until: self.blocked_until }
    }
}

impl Store {
    /// The attempts so far.
    pub(crate) async fn attempts(&self, account: &[u8]) -> Result<Option<StoredAttempts>> {
        on!(self.db.read(), "SELECT login_attempts", |e| {
            sqlx::query_as("SELECT window_began, attempts, blocked_until, version FROM login_attempts WHERE account = $1")
                .bind(account)
                .fetch_optional(e)
                .await
        })
    }

    /// Replaces what was read, unless somebody else did so before; whether it did.
    pub(crate) async fn put_attempts(
        &self,
        account: &[u8],
        old: Option<&StoredAttempts>,
        new: &Attempts,
    ) -> Result<bool> {
        execute!(
            self.db.write(),
            "UPSERT login_attempts",
            sqlx::query(
                "INSERT INTO login_attempts (account, window_began, attempts, blocked_until, version)
                 VALUES ($1, $2, $3, $4, 1)
                 ON CONFLICT (account) DO UPDATE
                 SET window_began = excluded.window_began, attempts = excluded.attempts,
                     blocked_until = excluded.blocked_until, version = login_attempts.version + 1
                 WHERE login_attempts.version = $5",
            )
            .bind(account)
            .bind(new.window_began)
            .bind(new.count)
            .bind(new.blocked_until)
            .bind(old.map_or(0, |old| old.version))
        )
        .map(|rows| rows == 1)
    }
}

/// Forgives an account all its attempts.
pub(crate) async fn forgive(tx: &mut Tx, account: &[u8]) -> Result<()> {
    execute!(
        tx.conn(),
        "DELETE login_attempts",
        sqlx::query("DELETE FROM login_attempts WHERE account = $1").bind(account)
    )
    .map(|_| ())
}

/// Takes back one attempt, the one that succeeded.
pub(crate) async fn take_back(tx: &mut Tx, account: &[u8]) -> Result<()> {
    execute!(
        tx.conn(),
        "UPDATE login_attempts",
        sqlx::query(
            "UPDATE login_attempts SET attempts = attempts - 1, version = version + 1
             WHERE account = $1 AND attempts > 0",
        )
        .bind(account)
    )
    .map(|_| ())
}

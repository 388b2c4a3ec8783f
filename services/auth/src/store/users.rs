//! Accounts.

use std::fmt;

use chrono::{DateTime, Utc};
use mesh_store::page::Position;
use mesh_store::{Tx, execute, on};
use sqlx::FromRow;

use super::{Result, Store, take_turn};
use crate::domain::{Email, Roles};

/// An account.
#[derive(Clone, FromRow)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) display_name: String,
    pub(crate) password_hash: String,
    #[sqlx(try_from = "String")]
    pub(crate) roles: Roles,
    pub(crate) disabled: bool,
    /// Tokens issued at or before this second are bad; it may lie a little ahead of the change that set it.
    pub(crate) revoked_at: i64,
    pub(crate) created_at: DateTime<Utc>,
}

/// Shows neither the hash nor the address.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("roles", &self.roles).finish_non_exhaustive()
    }
}

impl User {
    /// Where it stands in the list.
    pub(crate) fn position(&self) -> Position {
        Position { created_at: self.created_at, id: self.id.clone() }
    }
}

/// All that an account has, `FROM` the table, and what follows.
macro_rules! select_user {
    ($rest:literal) => {
        concat!(
            "SELECT id, email, display_name, password_hash, roles, disabled, revoked_at, created_at FROM users ",
            $rest
        )
    };
}

impl Store {
    /// The account of an address.
    pub(crate) async fn user_by_email(&self, email: &Email) -> Result<Option<User>> {
        on!(self.db.read(), "SELECT users", |e| {
            sqlx::query_as(select_user!("WHERE email = $1")).bind(email.as_str()).fetch_optional(e).await
        })
    }

    /// The account with an id.
    pub(crate) async fn user(&self, id: &str) -> Result<Option<User>> {
        on!(self.db.read(), "SELECT users", |e| {
            sqlx::query_as(select_user!("WHERE id = $1")).bind(id).fetch_optional(e).await
        })
    }

    /// A page of accounts, newest first.
    pub(crate) async fn users(&self, after: &Position, limit: i64) -> Result<Vec<User>> {
        on!(self.db.read(), "SELECT users", |e| {
            sqlx::query_as(select_user!(
                "WHERE (created_at, id) < ($1, $2) ORDER BY created_at DESC, id DESC LIMIT $3"
            ))
            .bind(after.created_at)
            .bind(&after.id)
            .bind(limit)
            .fetch_all(e)
            .await
        })
    }

    /// Whether any account administers and may sign in.
    pub(crate) async fn has_admin(&self) -> Result<bool> {
        let count: i64 = on!(self.db.read(), "SELECT users", |e| {
            sqlx::query_scalar("SELECT count(*) FROM users WHERE is_admin AND NOT disabled")
                .fetch_one(e)
                .await
        })?;
        Ok(count > 0)
    }
}

/// Makes an account; a unique violation says that the address has one.
pub(crate) async fn insert(tx: &mut Tx, user: &User) -> Result<()> {
    execute!(
        tx.conn(),
        "INSERT users",
        sqlx::query(
            "INSERT INTO users (id, email, display_name, password_hash, roles, is_admin, disabled, revoked_at, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&user.id)
        .bind(&user.email)
        .bind(&user.display_name)
        .bind(&user.password_hash)
        .bind(user.roles.to_string())
        .bind(user.roles.is_admin())
        .bind(user.disabled)
        .bind(user.revoked_at)
        .bind(user.created_at)
    )
    .map(|_| ())
}

/// Replaces the hash of a password if it is still the one that was looked at.
pub(crate) async fn replace_password(tx: &mut Tx, id: &str, old: &str, new: &str) -> Result<bool> {
    execute!(
        tx.conn(),
        "UPDATE users",
        sqlx::query("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2")
            .bind(id)
            .bind(old)
            .bind(new)
    )
    .map(|rows| rows == 1)
}

/// Confirms that an account is still the one that was judged: the same password, not disabled, nothing revoked since. In the
/// same statement its hash is replaced by `hash`. The row stays locked, so whoever changes the account later sees what this
/// transaction made.
pub(crate) async fn confirm(tx: &mut Tx, judged: &User, hash: &str) -> Result<bool> {
    execute!(
        tx.conn(),
        "UPDATE users",
        sqlx::query(
            "UPDATE users SET password_hash = $4
             WHERE id = $1 AND password_hash = $2 AND revoked_at = $3 AND NOT disabled",
        )
        .bind(&judged.id)
        .bind(&judged.password_hash)
        .bind(judged.revoked_at)
        .bind(hash)
    )
    .map(|rows| rows == 1)
}

/// Locks the row of an account that may sign in; whether there is one.
pub(crate) async fn lock_enabled(tx: &mut Tx, id: &str) -> Result<bool> {
    execute!(
        tx.conn(),
        "UPDATE users",
        sqlx::query("UPDATE users SET revoked_at = revoked_at WHERE id = $1 AND NOT disabled").bind(id)
    )
    .map(|rows| rows == 1)
}

/// The account, locked, in a transaction in which no other administrator can be changed.
pub(crate) async fn lock_for_admin(tx: &mut Tx, id: &str) -> Result<Option<User>> {
    take_turn(tx, "admins").await?;
    execute!(
        tx.conn(),
        "UPDATE users",
        sqlx::query("UPDATE users SET revoked_at = revoked_at WHERE id = $1").bind(id)
    )?;
    on!(tx.conn(), "SELECT users", |e| {
        sqlx::query_as(select_user!("WHERE id = $1")).bind(id).fetch_optional(e).await
    })
}

/// How many other accounts administer and may sign in.
pub(crate) async fn other_admins(tx: &mut Tx, id: &str) -> Result<i64> {
    on!(tx.conn(), "SELECT users", |e| {
        sqlx::query_scalar("SELECT count(*) FROM users WHERE is_admin AND NOT disabled AND id <> $1")
            .bind(id)
            .fetch_one(e)
            .await
    })
}

/// Sets what administrators decide, and the second of the revocation that goes with it.
pub(crate) async fn update(tx: &mut Tx, user: &User) -> Result<()> {
    execute!(
        tx.conn(),
        "UPDATE users",
        sqlx::query(
            "UPDATE users SET roles = $2, is_admin = $3, disabled = $4, revoked_at = $5 WHERE id = $1",
        )
        .bind(&user.id)
        .bind(user.roles.to_string())
        .bind(user.roles.is_admin())
        .bind(user.disabled)
        .bind(user.revoked_at)
    )
    .map(|_| ())
}

impl TryFrom<String> for Roles {
    type Error = String;

    fn try_from(stored: String) -> std::result::Result<Self, String> {
        Self::parse(stored.split(' '))
    }
}

//! The database of the service: every statement, written once for both databases.
//!
//! Reads are methods of [`Store`]; statements that belong to a larger change are functions over a transaction. Nothing
//! here decides anything but what must be decided in one atomic statement.

pub(crate) mod api_keys;
pub(crate) mod attempts;
pub(crate) mod audit_log;
pub(crate) mod revocations;
pub(crate) mod sessions;
pub(crate) mod sources;
mod sweep;
pub(crate) mod users;

use mesh_store::{Db, StoreError, Tx, on};
use sqlx::migrate::Migrator;

pub(crate) use sweep::Limits;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// A result of a statement.
pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// The database.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    db: Db,
}

impl Store {
    /// Over an open database.
    pub(crate) fn new(db: Db) -> Self {
        Self { db }
    }

    /// The database itself.
    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// Brings the schema up to date.
    pub(crate) async fn migrate(&self) -> Result<()> {
        self.db.migrate(&SQLITE, &POSTGRES).await
    }

    /// Begins a change.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        self.db.begin().await
    }
}

/// Waits for one's turn: until the transaction ends nobody else gets past this. Gives the number of the turn.
async fn take_turn(tx: &mut Tx, name: &'static str) -> Result<i64> {
    on!(tx.conn(), "UPDATE turns", |e| {
        sqlx::query_scalar("UPDATE turns SET value = value + 1 WHERE name = $1 RETURNING value")
            .bind(name)
            .fetch_one(e)
            .await
    })
}

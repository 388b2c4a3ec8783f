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

use chrono::{DateTime, Utc};
use mesh_store::{Db, StoreError, Tx, execute, on};
use serde::{Deserialize, Serialize};
use sqlx::migrate::Migrator;

use crate::ports::Random;

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

/// A place in a list that is ordered by age, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) id: String,
}

impl Position {
    /// Before everything: where the first page begins.
    fn newest() -> Self {
        // 9999-01-01, which both databases and their texts still order rightly.
        let far = DateTime::from_timestamp(253_370_764_800, 0).unwrap_or(DateTime::<Utc>::MAX_UTC);
        Self { created_at: far, id: String::new() }
    }
}

impl Store {
    /// Over an open database.
    pub(crate) fn new(db: Db) -> Self {
        Self { db }
    }

    /// Brings the schema up to date.
    pub(crate) async fn migrate(&self) -> Result<()> {
        self.db.migrate(&SQLITE, &POSTGRES).await
    }

    /// Begins a change.
    pub(crate) async fn begin(&self) -> Result<Tx> {
        self.db.begin().await
    }

    /// Whether the database answers.
    pub(crate) async fn ping(&self) -> Result<()> {
        self.db.ping().await
    }

    /// Closes the connections.
    pub(crate) async fn close(&self) {
        self.db.close().await;
    }

    /// The root key of this database: 32 random bytes that whoever comes first makes, once.
    pub(crate) async fn root_key(&self, random: &dyn Random) -> Result<Vec<u8>> {
        let mut fresh = [0; 32];
        random.fill(&mut fresh);
        execute!(
            self.db.write(),
            "INSERT secrets",
            sqlx::query(
                "INSERT INTO secrets (name, value) VALUES ('root', $1) ON CONFLICT (name) DO NOTHING"
            )
            .bind(fresh.as_slice())
        )?;
        on!(self.db.write(), "SELECT secrets", |e| {
            sqlx::query_scalar("SELECT value FROM secrets WHERE name = 'root'").fetch_one(e).await
        })
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

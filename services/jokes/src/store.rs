//! The database of the service: every statement, written once for both databases.

pub(crate) mod jokes;
pub(crate) mod ledger;
pub(crate) mod scores;

use aws_lc_rs::rand::SystemRandom;
use chrono::{DateTime, Utc};
use mesh_store::{Db, StoreError, Tx, execute, on};
use serde::{Deserialize, Serialize};
use sqlx::migrate::Migrator;

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
    pub(crate) async fn root_key(&self) -> Result<Vec<u8>> {
        let mut fresh = [0; 32];
        let filled = aws_lc_rs::rand::SecureRandom::fill(&SystemRandom::new(), &mut fresh);
        filled.map_err(|_| {
            StoreError::new(mesh_store::StoreErrorKind::Other, "the system has no random bytes")
        })?;
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

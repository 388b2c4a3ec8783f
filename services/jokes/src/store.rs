//! The database of the service: every statement, written once for both databases.

pub(crate) mod jokes;
pub(crate) mod ledger;
pub(crate) mod scores;

use mesh_store::{Db, StoreError};
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
}

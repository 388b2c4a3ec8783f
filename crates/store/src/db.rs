//! The connection pools of one database, and what is done to it as a whole.

use sqlx::SqlitePool;
use sqlx::migrate::Migrator;

use crate::config::{Location, StoreConfig};
use crate::error::{StoreError, StoreErrorKind};
use crate::postgres::{Place, Pool};
use crate::statement::System;
use crate::{execute, on, sqlite};

/// One database. Clones share the pools.
#[derive(Clone, Debug)]
pub enum Db {
    /// A file. One writer, so that writers queue here in order instead of racing for the file's lock; readers beside it
    /// never wait for it (WAL).
    Sqlite {
        /// Connections that refuse to write.
        read: SqlitePool,
        /// The one connection that writes.
        write: SqlitePool,
    },
    /// A server.
    Postgres(Pool),
}

/// What a statement runs on.
#[derive(Debug)]
pub enum Target<'a, S> {
    /// Of SQLite.
    Sqlite(S),
    /// Of Postgres.
    Postgres(Place<'a>),
}

impl<S> Target<'_, S> {
    /// Whose it is, for the span.
    pub fn system(&self) -> System {
        match self {
            Self::Sqlite(_) => System::Sqlite,
            Self::Postgres(_) => System::Postgres,
        }
    }
}

impl Db {
    /// Opens the pools. A SQLite file is made (mode 0600) with its folder when missing; of a Postgres server nothing is
    /// asked yet, so that a service can start before its database.
    ///
    /// # Errors
    ///
    /// The SQLite file cannot be made or opened.
    pub async fn connect(config: &StoreConfig) -> Result<Self, StoreError> {
        match &config.url.0 {
            Location::Sqlite(path) => sqlite::open(path, config).await,
            Location::Postgres(options) => Pool::new(options, config)
                .map(Self::Postgres)
                .map_err(|error| StoreError::new(StoreErrorKind::Other, error)),
        }
    }

    /// Which database it is.
    #[must_use]
    pub fn system(&self) -> System {
        self.read().system()
    }

    /// What statements run on that only read.
    #[must_use]
    pub fn read(&self) -> Target<'_, &SqlitePool> {
        match self {
            Self::Sqlite { read, .. } => Target::Sqlite(read),
            Self::Postgres(pool) => Target::Postgres(Place::Pool(pool)),
        }
    }

    /// What a single statement runs on that writes.
    #[must_use]
    pub fn write(&self) -> Target<'_, &SqlitePool> {
        match self {
            Self::Sqlite { write, .. } => Target::Sqlite(write),
            Self::Postgres(pool) => Target::Postgres(Place::Pool(pool)),
        }
    }

    /// Brings the schema up to date with the migrations of its dialect. Several replicas may do it at once.
    ///
    /// # Errors
    ///
    /// A migration failed, or an applied one differs from the one given.
    pub async fn migrate(&self, sqlite: &Migrator, postgres: &Migrator) -> Result<(), StoreError> {
        let done = match self {
            Self::Sqlite { write, .. } => sqlite.run(write).await,
            Self::Postgres(pool) => {
                let own = pool.unhurried();
                let done = postgres.run(&own).await;
                own.close().await;
                done
            }
        };
        done.map_err(|error| match error {
            sqlx::migrate::MigrateError::Execute(error) => StoreError::from(error),
            other => StoreError::new(StoreErrorKind::Other, other),
        })
    }

    /// The root key of this database, from its table `secrets` (`name`, `value`): 32 random bytes that whoever comes first makes,
    /// once. What a service keeps secret from its callers and shares among its replicas is derived from it.
    ///
    /// # Errors
    ///
    /// The database cannot be asked, or has no such table.
    pub async fn root_key(&self) -> Result<Vec<u8>, StoreError> {
        let mut fresh = [0; 32];
        aws_lc_rs::rand::fill(&mut fresh)
            .map_err(|_| StoreError::new(StoreErrorKind::Other, "the system has no random bytes"))?;
        execute!(
            self.write(),
            "INSERT secrets",
            sqlx::query(
                "INSERT INTO secrets (name, value) VALUES ('root', $1) ON CONFLICT (name) DO NOTHING"
            )
            .bind(fresh.as_slice())
        )?;
        on!(self.write(), "SELECT secrets", |e| {
            sqlx::query_scalar("SELECT value FROM secrets WHERE name = 'root'").fetch_one(e).await
        })
    }

    /// Asks the database for an answer, and closes connections that were not used for long.
    ///
    /// # Errors
    ///
    /// It gives none.
    pub async fn ping(&self) -> Result<(), StoreError> {
        if let Self::Postgres(pool) = self {
            pool.tidy();
        }
        on!(self.read(), "SELECT 1", |e| sqlx::query_scalar::<_, i32>("SELECT 1").fetch_one(e).await)?;
        on!(self.write(), "SELECT 1", |e| sqlx::query_scalar::<_, i32>("SELECT 1").fetch_one(e).await)?;
        Ok(())
    }

    /// Closes the pools; connections that are in use close when they come back.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Self::Postgres(pool) => pool.close(),
        }
    }
}

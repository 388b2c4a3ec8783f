//! Transactions that a caller may abandon at any moment.

use std::future::Future;
use std::time::Duration;

use mesh_telemetry::RequestSpan;
use sqlx::{Sqlite, SqliteConnection};

use crate::db::{Db, Target};
use crate::error::{StoreError, StoreErrorKind};
use crate::postgres::{Place, Transaction};
use crate::statement::{System, statement};

/// How often a transaction that loses against others is done in all.
const ATTEMPTS: u32 = 4;

/// A transaction that may write. Rolled back when dropped.
#[derive(Debug)]
pub enum Tx {
    /// Of SQLite; holds the file's write lock from the start, so it never fails halfway for want of it.
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    /// Of Postgres, READ COMMITTED.
    Postgres(Transaction),
}

impl Tx {
    /// What the statements of the transaction run on.
    pub fn conn(&mut self) -> Target<'_, &mut SqliteConnection> {
        match self {
            Self::Sqlite(tx) => Target::Sqlite(&mut **tx),
            Self::Postgres(tx) => Target::Postgres(Place::Transaction(tx)),
        }
    }

    fn system(&self) -> System {
        match self {
            Self::Sqlite(_) => System::Sqlite,
            Self::Postgres(_) => System::Postgres,
        }
    }

    /// Makes the work permanent. Goes on to its end when the caller leaves.
    ///
    /// # Errors
    ///
    /// The work may or may not be permanent after an outage.
    pub async fn commit(self) -> Result<(), StoreError> {
        let system = self.system();
        let work = async move {
            match self {
                Self::Sqlite(tx) => tx.commit().await,
                Self::Postgres(tx) => tx.end("COMMIT").await,
            }
        };
        shielded(statement("COMMIT", system, work)).await
    }

    /// Undoes the work.
    ///
    /// # Errors
    ///
    /// The connection is gone, and the work with it.
    pub async fn rollback(self) -> Result<(), StoreError> {
        let system = self.system();
        let work = async move {
            match self {
                Self::Sqlite(tx) => tx.rollback().await,
                Self::Postgres(tx) => tx.end("ROLLBACK").await,
            }
        };
        statement("ROLLBACK", system, work).await
    }
}

impl Db {
    /// Begins a transaction that may write.
    ///
    /// It runs in a task of its own: a `begin` that is dropped halfway would give its connection back inside an open
    /// transaction (sqlx issue 4385); here it goes to its end, and the unclaimed transaction is rolled back.
    ///
    /// # Errors
    ///
    /// No connection in time.
    pub async fn begin(&self) -> Result<Tx, StoreError> {
        let db = self.clone();
        let work = async move {
            match db {
                Self::Sqlite { write, .. } => write.begin_with("BEGIN IMMEDIATE").await.map(Tx::Sqlite),
                Self::Postgres(pool) => pool.begin().await.map(Tx::Postgres),
            }
        };
        shielded(statement("BEGIN", self.system(), work)).await
    }
}

/// Does a whole transaction, from `begin` to `commit`, and does it again, a few times, when it lost against another
/// (serialization failure, deadlock). So `work` must have no other effects.
///
/// # Errors
///
/// That of the last attempt.
pub async fn retry<T, F>(mut work: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut attempt = 1;
    loop {
        match work().await {
            Err(error) if error.is_conflict() && attempt < ATTEMPTS => {
                tracing::debug!(attempt, "transaction lost against another; again");
                tokio::time::sleep(pause(attempt)).await;
                attempt += 1;
            }
            result => return result,
        }
    }
}

/// A few milliseconds, more each time, with jitter so that two losers do not meet again.
fn pause(attempt: u32) -> Duration {
    let jitter = uuid::Uuid::new_v4().as_u128() % 10;
    Duration::from_millis(u64::from(5 * attempt) + u64::try_from(jitter).unwrap_or_default())
}

async fn shielded<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::spawn(RequestSpan::current().follow(work)).await {
        Ok(result) => result,
        Err(error) => Err(StoreError::new(StoreErrorKind::Other, error)),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn conflict() -> StoreError {
        StoreError::new(StoreErrorKind::Serialization, "lost")
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_transaction_is_done_again() {
        let attempts = Cell::new(0);
        let result = retry(|| async {
            attempts.set(attempts.get() + 1);
            if attempts.get() < 3 { Err(conflict()) } else { Ok("done") }
        });
        assert_eq!(result.await.unwrap(), "done");
        assert_eq!(attempts.get(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn but_not_for_ever_and_not_for_other_errors() {
        for (error, expected) in [(StoreErrorKind::Serialization, ATTEMPTS), (StoreErrorKind::Unique, 1)] {
            let attempts = Cell::new(0);
            let result = retry(|| async {
                attempts.set(attempts.get() + 1);
                Err::<(), _>(StoreError::new(error, "failed"))
            });
            assert_eq!(result.await.unwrap_err().kind(), error);
            assert_eq!(attempts.get(), expected);
        }
    }
}

//! Whether a database is there: waited for when the process starts, asked again and again while it runs.

use std::future::Future;
use std::time::Duration;

use mesh_error::Error;
use mesh_lifecycle::{Gate, Readiness};
use tokio_util::sync::CancellationToken;

use crate::{Db, StoreError};

/// Between two tries to start on a database that is not there yet.
const AGAIN: Duration = Duration::from_secs(1);
/// Between two looks at the database, once it was there.
const PING: Duration = Duration::from_secs(2);

/// A database that readiness hangs on: the process is not ready before it has started on it, nor while it does not answer.
#[derive(Clone, Debug)]
pub struct Presence {
    db: Db,
    gate: Gate,
}

/// The outage of a database that an error comes from; nothing when the database is wrong rather than away.
#[must_use]
pub fn outage(error: &Error) -> Option<&StoreError> {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.filter_map(|cause| cause.downcast_ref()).find(|error: &&StoreError| error.is_outage())
}

impl Presence {
    /// Of a database, by this name in readiness.
    #[must_use]
    pub fn new(name: &'static str, db: &Db, readiness: &Readiness) -> Self {
        let gate = readiness.gate(name);
        gate.close("not asked yet");
        Self { db: db.clone(), gate }
    }

    /// Tries to start. What `start` does must do no harm when it is done again.
    ///
    /// # Errors
    ///
    /// Those of `start`; [`outage`] tells whether waiting may mend it.
    pub async fn try_start<T, E: Into<Error>>(
        &self,
        start: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error> {
        let started = start.await.map_err(Into::into);
        match started.as_ref().map_err(outage) {
            Ok(_) => self.gate.open(),
            Err(Some(outage)) => self.gate.close(outage.to_string()),
            Err(None) => {}
        }
        started
    }

    /// Starts, again and again as long as the database is away; then looks after it beside the service's own `upkeep`, which
    /// ends by itself when told to `stop`.
    ///
    /// # Errors
    ///
    /// Those of `start` that waiting does not mend.
    pub async fn attend<T, E, F>(
        &self,
        stop: &CancellationToken,
        start: impl Fn() -> F,
        upkeep: impl Future<Output = ()>,
    ) -> Result<(), Error>
    where
        E: Into<Error>,
        F: Future<Output = Result<T, E>>,
    {
        let Some(started) = stop.run_until_cancelled(self.start(start)).await else { return Ok(()) };
        started?;
        tokio::join!(stop.run_until_cancelled(self.watch()), upkeep);
        Ok(())
    }

    /// Closes the pools.
    pub async fn close(self) {
        self.db.close().await;
    }

    async fn start<T, E, F>(&self, start: impl Fn() -> F) -> Result<T, Error>
    where
        E: Into<Error>,
        F: Future<Output = Result<T, E>>,
    {
        loop {
            match self.try_start(start()).await {
                Err(error) if outage(&error).is_some() => {
                    tracing::warn!(error = error.chain(), "waiting for the database");
                }
                started => return started,
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn watch(&self) {
        loop {
            self.gate.set(&self.db.ping().await);
            tokio::time::sleep(PING).await;
        }
    }
}

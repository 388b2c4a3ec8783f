//! What has to be done now and then: forget what the ledger need not know any more.

use std::sync::Arc;
use std::time::Duration;

use mesh_error::Error;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::budget::Period;
use crate::ports::Clock;
use crate::store::Store;

/// Of old periods.
const SWEEP: Duration = Duration::from_secs(600);
/// Rows of one statement, so that a backlog does not keep the database busy.
const BATCH: i64 = 1_000;
/// For so long it is known what was used.
const LIFE: chrono::Duration = chrono::Duration::days(400);

/// What is looked after.
pub(crate) struct Upkeep {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Upkeep {
    /// Goes on until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            self.sweep().await;
        }
    }

    async fn sweep(&self) {
        let before = Period::Day.name(self.clock.now() - LIFE);
        if let Err(error) = self.store.sweep_ledger(&before, BATCH).await {
            tracing::warn!(error = Error::from(error).chain(), "old periods not deleted");
        }
    }
}

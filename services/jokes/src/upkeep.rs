//! What has to be done now and then: look after the database's answer, and forget what the ledger need not know any more.

use std::sync::Arc;
use std::time::Duration;

use mesh_error::Error;
use mesh_lifecycle::Gate;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::budget::Period;
use crate::ports::Clock;
use crate::store::Store;

/// Of the database's answer, which readiness hangs on.
const PING: Duration = Duration::from_secs(2);
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
    pub(crate) gate: Gate,
}

impl Upkeep {
    /// Goes on until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let [mut ping, mut sweep] = [PING, SWEEP].map(|every| {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ping.tick() => self.gate.set(&self.store.ping().await),
                _ = sweep.tick() => self.sweep().await,
            }
        }
    }

    async fn sweep(&self) {
        let before = Period::Day.name(self.clock.now() - LIFE);
        if let Err(error) = self.store.sweep_ledger(&before, BATCH).await {
            tracing::warn!(error = Error::from(error).chain(), "old periods not deleted");
        }
    }
}

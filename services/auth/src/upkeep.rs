//! What has to be done now and then: look after the signing keys and what has expired.

use std::sync::Arc;
use std::time::Duration;

use mesh_error::Error;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::domain::throttle;
use crate::error::{AuthError, Result};
use crate::keys::KeyRing;
use crate::metrics;
use crate::ports::Clock;
use crate::store::{Limits, Store};

/// Of the signing keys: a key that is replaced in haste counts soon.
const KEYS: Duration = Duration::from_secs(2);
/// Of expired rows.
const SWEEP: Duration = Duration::from_secs(30);
/// Batches in one round, so that a backlog does not keep the database busy.
const BATCHES: usize = 20;
/// A place that nobody has signed in from for so long is forgotten.
const SOURCE_LIFE: chrono::Duration = chrono::Duration::days(90);

/// What is looked after.
pub(crate) struct Upkeep {
    pub(crate) store: Store,
    pub(crate) keys: Arc<KeyRing>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) audit_life: chrono::Duration,
}

impl Upkeep {
    /// Goes on until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let [mut keys, mut sweep] = [KEYS, SWEEP].map(|every| {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = keys.tick() => self.tend_keys(),
                _ = sweep.tick() => self.try_sweep().await,
            }
        }
    }

    fn tend_keys(&self) {
        if let Err(error) = self.keys.tend() {
            tracing::error!(
                error = Error::from(error).chain(),
                "signing keys not renewed; the present ones go on"
            );
        }
    }

    async fn try_sweep(&self) {
        if let Err(error) = self.sweep().await {
            tracing::warn!(error = Error::from(error).chain(), "expired rows not deleted");
        }
    }

    /// Deletes what has expired, in batches.
    pub(crate) async fn sweep(&self) -> Result<()> {
        let now = self.clock.now();
        let limits = Limits {
            now,
            attempts_before: now - throttle::window(),
            sources_before: now - SOURCE_LIFE,
            audit_before: now - self.audit_life,
        };
        for _ in 0..BATCHES {
            let (swept, more) = self.store.sweep(&limits).await.map_err(AuthError::from)?;
            for (table, rows) in swept {
                metrics::swept(table, rows);
            }
            if !more {
                break;
            }
        }
        Ok(())
    }
}

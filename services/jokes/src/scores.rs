//! Tells Opik how jokes were liked. What is to be told lies in the database, so that an end of the process loses nothing; telling
//! it twice does no harm.

use std::sync::Arc;
use std::time::Duration;

use mesh_error::Error;
use mesh_opik::{Opik, Score};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::ports::Clock;
use crate::store::Store;
use crate::store::scores::Due;

/// Before a rating is first told: Opik may not have the joke's trace yet.
pub(crate) const FIRST: chrono::Duration = chrono::Duration::seconds(2);
/// A rating is told no more after that: its trace was not recorded, or is gone.
const LIFE: chrono::Duration = chrono::Duration::days(1);
/// Between two looks at what is due.
const LOOK: Duration = Duration::from_secs(1);
/// Ratings of one look.
const BATCH: i64 = 50;
/// Its name in Opik.
const NAME: &str = "rating";

/// Tells ratings.
pub(crate) struct Scores {
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) opik: Opik,
    /// Whether comments, which are users' texts, are told too.
    pub(crate) with_comments: bool,
}

impl Scores {
    /// Goes on until told to stop.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            match stop.run_until_cancelled(self.look()).await {
                Some(Err(error)) => tracing::warn!(error = Error::from(error).chain(), "ratings not read"),
                Some(Ok(())) => {}
                None => return,
            }
        }
    }

    /// Tells what is due; as soon as Opik is away, no more.
    pub(crate) async fn look(&self) -> crate::store::Result<()> {
        for due in self.store.scores_due(self.clock.now(), BATCH).await? {
            let reason = due.rating_comment.clone().filter(|_| self.with_comments);
            let score = Score { name: NAME.to_owned(), value: f64::from(sign(due.rating)), reason };
            let told = self.opik.score(&due.id, &score).await;
            let outcome = match &told {
                Ok(true) => "told",
                Ok(false) => "unknown",
                Err(_) => "failed",
            };
            metrics::score(outcome);
            let next = if outcome == "told" { None } else { self.next(&due) };
            self.store.score_due(&due, next).await?;
            if let Err(error) = told {
                tracing::warn!(%error, joke = due.id, "a rating is not told");
                return Ok(());
            }
        }
        Ok(())
    }

    /// When to tell it again: after as long as it has waited, until it is too old.
    fn next(&self, due: &Due) -> Option<chrono::DateTime<chrono::Utc>> {
        let now = self.clock.now();
        let age = now - due.rated_at;
        (age < LIFE).then(|| now + age.max(FIRST))
    }
}

/// 1 or -1.
fn sign(rating: i64) -> i32 {
    if rating < 0 { -1 } else { 1 }
}

//! Ratings that are still to be told where answers are observed.

use chrono::{DateTime, Utc};
use mesh_store::{execute, on};
use sqlx::FromRow;

use super::{Result, Store};

/// A rating to be told.
#[derive(Clone, Debug, PartialEq, Eq, FromRow)]
pub(crate) struct Due {
    pub(crate) id: String,
    pub(crate) rating: i64,
    pub(crate) rating_comment: Option<String>,
    pub(crate) rated_at: DateTime<Utc>,
}

impl Store {
    /// The ratings that are due, the longest due first.
    pub(crate) async fn scores_due(&self, now: DateTime<Utc>, most: i64) -> Result<Vec<Due>> {
        on!(self.db.write(), "SELECT jokes", |e| {
            sqlx::query_as(
                "SELECT id, rating, rating_comment, rated_at FROM jokes WHERE score_due_at <= $1
                 ORDER BY score_due_at LIMIT $2",
            )
            .bind(now)
            .bind(most)
            .fetch_all(e)
            .await
        })
    }

    /// A rating is to be told again then, or never when there is no such time; not if it has changed since.
    pub(crate) async fn score_due(&self, due: &Due, next: Option<DateTime<Utc>>) -> Result<()> {
        execute!(
            self.db.write(),
            "UPDATE jokes",
            sqlx::query("UPDATE jokes SET score_due_at = $3 WHERE id = $1 AND rated_at = $2")
                .bind(&due.id)
                .bind(due.rated_at)
                .bind(next)
        )
        .map(|_| ())
    }
}

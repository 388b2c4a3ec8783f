//! Deleting what has had its time, in batches that hold no lock for long.

use chrono::{DateTime, Utc};
use mesh_store::execute;

use super::{Result, Store};

/// Rows of a batch.
const BATCH: i64 = 500;

/// Rows older than these are of no use any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) now: DateTime<Utc>,
    pub(crate) attempts_before: DateTime<Utc>,
    pub(crate) sources_before: DateTime<Utc>,
    pub(crate) audit_before: DateTime<Utc>,
}

macro_rules! sweep {
    ($name:ident, $table:literal, $sql:literal, $limit:ident) => {
        #[doc = concat!("One batch of `", $table, "`; how many rows went.")]
        async fn $name(&self, limits: &Limits) -> Result<u64> {
            execute!(
                self.db.write(),
                concat!("DELETE ", $table),
                sqlx::query($sql).bind(limits.$limit).bind(BATCH)
            )
        }
    };
}

impl Store {
    sweep!(
        sweep_sessions,
        "sessions",
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at <= $1 LIMIT $2)",
        now
    );
    sweep!(
        sweep_revocations,
        "revocations",
        "DELETE FROM revocations WHERE cursor IN (SELECT cursor FROM revocations WHERE expires_at <= $1 LIMIT $2)",
        now
    );
    sweep!(
        sweep_attempts,
        "login_attempts",
        "DELETE FROM login_attempts WHERE account IN (SELECT account FROM login_attempts WHERE window_began <= $1 LIMIT $2)",
        attempts_before
    );
    sweep!(
        sweep_audit,
        "audit_log",
        "DELETE FROM audit_log WHERE id IN (SELECT id FROM audit_log WHERE at <= $1 LIMIT $2)",
        audit_before
    );
    sweep!(
        sweep_sources,
        "known_sources",
        "DELETE FROM known_sources WHERE (user_id, source) IN
             (SELECT user_id, source FROM known_sources WHERE last_seen_at <= $1 LIMIT $2)",
        sources_before
    );

    /// One batch of every table. Gives the rows that went, by table, and whether there is more to do.
    pub(crate) async fn sweep(&self, limits: &Limits) -> Result<(Vec<(&'static str, u64)>, bool)> {
        let swept = vec![
            ("sessions", self.sweep_sessions(limits).await?),
            ("revocations", self.sweep_revocations(limits).await?),
            ("login_attempts", self.sweep_attempts(limits).await?),
            ("audit_log", self.sweep_audit(limits).await?),
            ("known_sources", self.sweep_sources(limits).await?),
        ];
        let batch = u64::try_from(BATCH).unwrap_or(u64::MAX);
        let more = swept.iter().any(|(_, rows)| *rows >= batch);
        Ok((swept, more))
    }
}

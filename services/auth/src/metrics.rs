//! The metrics of the domain. Labels are words of closed lists.

use std::time::Duration;

use crate::error::Result;

/// Counts an operation by how it ended: `ok`, or the failure's word.
pub(crate) fn count<T>(operation: &'static str, result: &Result<T>) {
    let outcome = result.as_ref().err().map_or("ok", |error| error.outcome());
    metrics::counter!("quipu_auth_operations_total", "operation" => operation, "outcome" => outcome)
        .increment(1);
}

/// A refresh token that was used a second time.
pub(crate) fn refresh_reused() {
    metrics::counter!("quipu_auth_refresh_reuses_total").increment(1);
}

/// A revocation by its subject, `session` or `user`.
pub(crate) fn revoked(subject: &'static str) {
    metrics::counter!("quipu_auth_revocations_total", "subject" => subject).increment(1);
}

/// How long a password was hashed, without the wait for its turn.
pub(crate) fn hashed(took: Duration) {
    metrics::histogram!("quipu_auth_hash_duration_seconds").record(took.as_secs_f64());
}

/// Passwords being hashed or waiting for it.
pub(crate) fn hashing(count: usize) {
    metrics::gauge!("quipu_auth_hash_pool_used").set(f64::from(u32::try_from(count).unwrap_or(u32::MAX)));
}

/// A sign-in refused because the pool was full.
pub(crate) fn hash_pool_full() {
    metrics::counter!("quipu_auth_hash_pool_full_total").increment(1);
}

/// Rows that the upkeep deleted, by table.
pub(crate) fn swept(table: &'static str, rows: u64) {
    metrics::counter!("quipu_auth_swept_rows_total", "table" => table).increment(rows);
}

/// Whether the feed of revocations is alive.
pub(crate) fn feed_alive(alive: bool) {
    metrics::gauge!("quipu_auth_revocation_feed_up").set(if alive { 1.0 } else { 0.0 });
}

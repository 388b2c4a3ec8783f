//! What can go wrong with a statement, as a closed list that callers decide by.

use std::fmt;
use std::time::Duration;

use mesh_error::{BoxError, Error, Kind};
use sqlx::error::ErrorKind;

/// A failed statement. Its text names the kind only; the driver's words are in the source, for the log.
#[derive(Debug, thiserror::Error)]
#[error("database: {kind}")]
pub struct StoreError {
    kind: StoreErrorKind,
    source: BoxError,
}

/// Why a statement failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// A unique value exists already.
    Unique,
    /// A value that must be there is null.
    Null,
    /// A row that is referred to does not exist, or is still referred to.
    ForeignKey,
    /// The transaction lost against another one; doing it again may succeed.
    Serialization,
    /// A statement or the wait for a lock took too long.
    Timeout,
    /// No connection, or the server went away.
    Unavailable,
    /// A mistake in the statement, the schema or the stored data.
    Other,
}

impl StoreError {
    /// An error of a kind.
    pub fn new(kind: StoreErrorKind, source: impl Into<BoxError>) -> Self {
        Self { kind, source: source.into() }
    }

    /// Why it failed.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// Whether a unique value existed already. SQLite does not name the constraint: the statement must leave no doubt.
    #[must_use]
    pub fn is_unique(&self) -> bool {
        self.kind == StoreErrorKind::Unique
    }

    /// Whether a value was null that must be there. A statement refuses so, as a whole, what a single row of it does not admit.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.kind == StoreErrorKind::Null
    }

    /// Whether the whole transaction may be tried again at once.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.kind == StoreErrorKind::Serialization
    }

    /// Whether the database is away rather than wrong.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Unavailable | StoreErrorKind::Timeout)
    }
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl StoreErrorKind {
    /// For `error.type` in spans and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Unique => "unique",
            Self::Null => "null",
            Self::ForeignKey => "foreign_key",
            Self::Serialization => "serialization",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Other => "other",
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::new(classify(&error), error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let pause = Duration::from_secs(1);
        match error.kind {
            StoreErrorKind::Unique => Self::new(Kind::AlreadyExists, "ALREADY_EXISTS", "it exists already"),
            StoreErrorKind::ForeignKey => Self::new(
                Kind::FailedPrecondition,
                "MISSING_REFERENCE",
                "something it refers to does not exist",
            ),
            StoreErrorKind::Serialization => {
                Self::new(Kind::Aborted, "CONFLICT", "lost against another change")
            }
            StoreErrorKind::Timeout | StoreErrorKind::Unavailable => {
                Self::new(Kind::Unavailable, "DATABASE_UNAVAILABLE", "the database is not available")
                    .with_retry_after(pause)
            }
            StoreErrorKind::Null | StoreErrorKind::Other => return Self::internal(error),
        }
        .with_source(error)
    }
}

fn classify(error: &sqlx::Error) -> StoreErrorKind {
    match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => StoreErrorKind::Unique,
        sqlx::Error::Database(error) if error.kind() == ErrorKind::NotNullViolation => StoreErrorKind::Null,
        sqlx::Error::Database(error) if error.is_foreign_key_violation() => StoreErrorKind::ForeignKey,
        sqlx::Error::Database(error) => by_code(error.code().as_deref().unwrap_or_default()),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::BeginFailed => StoreErrorKind::Unavailable,
        _ => StoreErrorKind::Other,
    }
}

/// SQLSTATE of Postgres (five characters, appendix A of its manual) or the extended result code of SQLite (a number).
fn by_code(code: &str) -> StoreErrorKind {
    match code {
        // serialization_failure, deadlock_detected; SQLITE_BUSY_SNAPSHOT
        "40001" | "40P01" | "517" => StoreErrorKind::Serialization,
        // query_canceled, lock_not_available; SQLITE_BUSY, _RECOVERY, _TIMEOUT, SQLITE_LOCKED
        "57014" | "55P03" | "5" | "261" | "773" | "6" => StoreErrorKind::Timeout,
        // shutdowns, in_failed_sql_transaction, idle_in_transaction_session_timeout
        "57P01" | "57P02" | "57P03" | "57P05" | "25P02" | "25P03" => StoreErrorKind::Unavailable,
        // connection exceptions; insufficient resources
        _ if code.len() == 5 && (code.starts_with("08") || code.starts_with("53")) => {
            StoreErrorKind::Unavailable
        }
        _ => StoreErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_have_a_kind() {
        for (code, kind) in [
            ("40P01", StoreErrorKind::Serialization),
            ("517", StoreErrorKind::Serialization),
            ("57014", StoreErrorKind::Timeout),
            ("5", StoreErrorKind::Timeout),
            ("53300", StoreErrorKind::Unavailable),
            ("57P01", StoreErrorKind::Unavailable),
            ("42P01", StoreErrorKind::Other),
            ("", StoreErrorKind::Other),
        ] {
            assert_eq!(by_code(code), kind, "{code}");
        }
    }

    #[test]
    fn an_outage_is_unavailable_and_says_when_to_come_back() {
        let error = Error::from(StoreError::from(sqlx::Error::PoolTimedOut));
        assert_eq!(error.kind(), Kind::Unavailable);
        assert!(error.retry_after().is_some());
    }

    #[test]
    fn a_mistake_is_internal_and_keeps_its_text_to_itself() {
        let error = Error::from(StoreError::from(sqlx::Error::ColumnNotFound("canary".to_owned())));
        assert_eq!(error.kind(), Kind::Internal);
        assert!(!error.message().contains("canary"));
    }
}

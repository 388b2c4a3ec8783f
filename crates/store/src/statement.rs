//! One statement: its span, its metrics, its error.

use std::future::Future;
use std::time::{Duration, Instant};

use tracing::Instrument;
use tracing::field::Empty;

use crate::error::{StoreError, StoreErrorKind};

/// No statement runs longer, not even when the server has fallen silent: its own limit ([`crate::StoreConfig::statement_timeout`],
/// which is shorter) then says nothing. A change that goes on after its caller left must not wait for ever either.
pub(crate) const LONGEST: Duration = Duration::from_secs(10);

/// Which database, by OpenTelemetry's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// SQLite.
    Sqlite,
    /// Postgres.
    Postgres,
}

impl System {
    /// The value of `db.system.name`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgresql",
        }
    }
}

/// Runs a statement in a client span with OpenTelemetry's database attributes; the values bound to it are not among them.
/// Called by [`on!`](crate::on).
///
/// # Errors
///
/// The driver's error, classified; `Unavailable` when there is no answer at all.
pub async fn statement<T>(
    summary: &'static str,
    system: System,
    run: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    let span = tracing::info_span!(
        "sql",
        otel.name = summary,
        otel.kind = "client",
        otel.status_code = Empty,
        error.type = Empty,
        db.system.name = system.name(),
        db.query.summary = summary,
    );
    let begun = Instant::now();
    let result = match tokio::time::timeout(LONGEST, run.instrument(span.clone())).await {
        Ok(result) => result.map_err(StoreError::from),
        Err(silent) => Err(StoreError::new(StoreErrorKind::Unavailable, silent)),
    };
    let failure = result.as_ref().err().map_or("", |error| error.kind().name());
    if !failure.is_empty() {
        span.record("otel.status_code", "ERROR");
        span.record("error.type", failure);
    }
    metrics::histogram!("db_client_operation_duration_seconds",
        "db_system_name" => system.name(), "db_query_summary" => summary, "error_type" => failure)
    .record(begun.elapsed().as_secs_f64());
    result
}

/// Runs one expression on whichever database it is, and awaits it in a span of the statement.
///
/// `on!(db.read(), "SELECT users", |e| sqlx::query_as("SELECT …").bind(id).fetch_optional(e).await)`: the first argument is
/// a [`Target`](crate::Target), the second the low-cardinality summary of the statement, the third an expression that
/// uses the driver's executor and yields `Result<T, sqlx::Error>` with the same `T` for both. The value is
/// `Result<T, StoreError>`.
#[macro_export]
macro_rules! on {
    ($target:expr, $summary:expr, |$executor:ident| $run:expr) => {{
        let target = $target;
        let system = target.system();
        $crate::statement($summary, system, async {
            match target {
                $crate::Target::Sqlite($executor) => $run,
                $crate::Target::Postgres(place) => {
                    let mut link = place.link().await?;
                    let $executor = link.begin();
                    let done = $run;
                    link.end(&done);
                    done
                }
            }
        })
        .await
    }};
}

/// Runs a statement that changes rows, as [`on!`](crate::on) does; how many rows it changed.
///
/// `execute!(tx.conn(), "DELETE users", sqlx::query("DELETE …").bind(id))`
#[macro_export]
macro_rules! execute {
    ($target:expr, $summary:expr, $query:expr $(,)?) => {
        $crate::on!($target, $summary, |e| $query.execute(e).await.map(|done| done.rows_affected()))
    };
}

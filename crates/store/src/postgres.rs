//! How a Postgres pool is opened.
//!
//! Each limit is the server's own, so it holds also when this process is stopped or its caller has left.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Row};

use crate::config::StoreConfig;

/// For the connection that a migration runs on, and for a look at one that comes back.
const CONNECT: Duration = Duration::from_secs(2);

pub(crate) fn pool(options: &PgConnectOptions, config: &StoreConfig) -> PgPool {
    let options = options
        .clone()
        .application_name("quipu")
        .options([
            ("statement_timeout", millis(config.statement_timeout)),
            ("lock_timeout", millis(config.lock_timeout)),
            ("idle_in_transaction_session_timeout", millis(config.idle_in_transaction_timeout)),
        ])
        .disable_statement_logging();
    PgPoolOptions::new()
        .max_connections(config.max_connections)
        // The first callers find one that is open.
        .min_connections(1)
        .acquire_timeout(config.acquire_timeout)
        .max_lifetime(Duration::from_secs(30 * 60))
        .idle_timeout(Duration::from_secs(5 * 60))
        // A server that restarted is noticed before a caller gets the dead connection.
        .test_before_acquire(true)
        .after_release(|connection, _| Box::pin(is_clean_in_time(connection)))
        .connect_lazy_with(options)
}

/// A pool of one connection for migrations, which may wait for each other longer than anything else may.
pub(crate) fn unhurried(pool: &PgPool) -> PgPool {
    let options = PgConnectOptions::clone(&pool.connect_options());
    // The last value of a setting counts.
    let options = options.options([("statement_timeout", "600000"), ("lock_timeout", "60000")]);
    PgPoolOptions::new().max_connections(1).acquire_timeout(CONNECT).connect_lazy_with(options)
}

/// As [`is_clean`], but a server that has fallen silent must not keep the connection's place in the pool.
async fn is_clean_in_time(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    tokio::time::timeout(CONNECT, is_clean(connection)).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Whether a connection that comes back is outside of any transaction. The driver may believe so wrongly when a `begin`
/// was cancelled (sqlx issue 4385), and then the next user's work would be neither seen nor kept. Inside a block the time
/// of the transaction is older than that of the statement; in an aborted one this query fails, and the pool closes it.
///
/// One message: a prepared statement is several, each with a time of its own, and would always seem to be inside a block.
async fn is_clean(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // The rollback of a dropped transaction is queued and goes out with the next command.
        connection.ping().await?;
    }
    let row =
        sqlx::raw_sql("SELECT transaction_timestamp() = statement_timestamp()").fetch_one(connection).await?;
    row.try_get(0)
}

fn millis(limit: Duration) -> String {
    limit.as_millis().to_string()
}

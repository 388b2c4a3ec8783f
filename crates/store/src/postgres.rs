//! How a Postgres pool is opened.
//!
//! Each limit is the server's own, so it holds also when this process is stopped or its caller has left.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Postgres};

use crate::config::StoreConfig;
use crate::error::StoreError;

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
        .acquire_timeout(config.acquire_timeout)
        .max_lifetime(Duration::from_secs(30 * 60))
        .idle_timeout(Duration::from_secs(5 * 60))
        // A server that restarted is noticed before a caller gets the dead connection.
        .test_before_acquire(true)
        .after_release(|connection, _| Box::pin(is_clean(connection)))
        .connect_lazy_with(options)
}

/// A connection for migrations: they may wait for each other, and it is not given back to the pool.
pub(crate) async fn unhurried(pool: &PgPool) -> Result<PoolConnection<Postgres>, StoreError> {
    let mut connection = pool.acquire().await?;
    connection.close_on_drop();
    sqlx::raw_sql("SET statement_timeout = '10min'; SET lock_timeout = '1min'")
        .execute(&mut *connection)
        .await?;
    Ok(connection)
}

/// Whether a connection that comes back is outside of any transaction. The driver may believe so wrongly when a `begin`
/// was cancelled (sqlx issue 4385), and then the next user's work would be neither seen nor kept. Inside a block the time
/// of the transaction is older than that of the statement; in an aborted one this query fails, and the pool closes it.
async fn is_clean(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    if connection.is_in_transaction() {
        // The rollback of a dropped transaction is queued and goes out with the next command.
        connection.ping().await?;
    }
    sqlx::query_scalar("SELECT transaction_timestamp() = statement_timestamp()").fetch_one(connection).await
}

fn millis(limit: Duration) -> String {
    limit.as_millis().to_string()
}

//! The link to Redis: it connects when first used, comes back by itself and never lets a caller wait long.
//!
//! Invariants: the URL, which may hold a password, is in no error and no log line; keys and values are in no metric.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mesh_config::{Reader, Reported, Secret};
use mesh_error::Error;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, ErrorKind, FromRedisValue, RedisError, ScriptInvocation};

pub use redis::{Cmd, Script};

/// No answer in time, as `error.type`.
const TIMEOUT: &str = "timeout";
/// Longest pause before a second try to connect.
const PAUSE: Duration = Duration::from_millis(200);

/// One connection that all commands share; clones are the same link.
#[derive(Clone)]
pub struct Link(Arc<Inner>);

struct Inner {
    client: Client,
    config: ConnectionManagerConfig,
    connection: ArcSwap<ConnectionManager>,
    longest: Duration,
}

impl Link {
    /// To the Redis at `redis://…`, or `rediss://…` for TLS; name and password stand in the URL. Nothing is connected yet: who
    /// starts before Redis starts all the same. Redis has `limit` for an answer, and twice as much together with connecting.
    ///
    /// # Errors
    /// When that is no URL of a Redis.
    pub fn new(url: &Secret, limit: Duration) -> Result<Self, Error> {
        let longest = limit * 2;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(limit))
            .set_connection_timeout(Some(longest))
            .set_number_of_retries(1)
            .set_max_delay(PAUSE);
        let client = Client::open(url.expose()).map_err(Error::internal)?;
        let connection = ConnectionManager::new_lazy_with_config(client.clone(), config.clone());
        let connection = ArcSwap::from_pointee(connection.map_err(Error::internal)?);
        Ok(Self(Arc::new(Inner { client, config, connection, longest })))
    }

    /// Sends a command. The summary, a few fixed words without keys, names it in metrics.
    ///
    /// # Errors
    /// `STORE_UNAVAILABLE` for whatever went wrong: every failure of Redis is the same to a caller.
    pub async fn command<T: FromRedisValue>(&self, summary: &'static str, command: &Cmd) -> Result<T, Error> {
        let used = self.0.connection.load_full();
        let mut connection = ConnectionManager::clone(&used);
        self.measured(summary, &used, command.query_async(&mut connection)).await
    }

    /// Runs a script, which is loaded when Redis does not know it yet. Otherwise as [`Self::command`].
    ///
    /// # Errors
    /// As [`Self::command`].
    pub async fn script<T: FromRedisValue>(
        &self,
        summary: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, Error> {
        let used = self.0.connection.load_full();
        let mut connection = ConnectionManager::clone(&used);
        self.measured(summary, &used, script.invoke_async(&mut connection)).await
    }

    async fn measured<T>(
        &self,
        summary: &'static str,
        used: &Arc<ConnectionManager>,
        run: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Error> {
        let begun = Instant::now();
        let (error_type, result) = match tokio::time::timeout(self.0.longest, run).await {
            Ok(Ok(value)) => ("", Ok(value)),
            Ok(Err(error)) => (kind(&error), Err(away().with_source(error))),
            Err(silent) => (TIMEOUT, Err(away().with_source(silent))),
        };
        metrics::histogram!("db_client_operation_duration_seconds",
            "db_system_name" => "redis", "db_query_summary" => summary, "error_type" => error_type)
        .record(begun.elapsed().as_secs_f64());
        if error_type == TIMEOUT {
            self.give_up(used);
        }
        result
    }

    /// Leaves a connection on which no answer came: its peer may have gone without a word, which the system would notice only
    /// after a quarter of an hour. The next command connects anew; those that still wait on the old one are not disturbed.
    fn give_up(&self, used: &Arc<ConnectionManager>) {
        let Inner { client, config, connection, .. } = &*self.0;
        if let Ok(fresh) = ConnectionManager::new_lazy_with_config(client.clone(), config.clone()) {
            connection.compare_and_swap(used, Arc::new(fresh));
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link([hidden])")
    }
}

/// Reads `QUIPU_REDIS_URL`, or the file that `QUIPU_REDIS_URL_FILE` names.
///
/// # Errors
/// When it cannot be read or is no URL of a Redis; the reader keeps the fault.
pub fn read_url(reader: &mut Reader, help: &'static str) -> Result<Option<Secret>, Reported> {
    const NAME: &str = "QUIPU_REDIS_URL";
    match reader.secret(NAME, help)? {
        Some(url) if Client::open(url.expose()).is_err() => {
            reader.check(NAME, Err("is not a URL such as redis://host:6379/0"))
        }
        read => Ok(read),
    }
}

fn away() -> Error {
    Error::unavailable("STORE_UNAVAILABLE", "a store is away for now")
}

/// For `error.type`, in the words of `mesh-store`.
fn kind(error: &RedisError) -> &'static str {
    match error.kind() {
        _ if error.is_timeout() => TIMEOUT,
        ErrorKind::Io => "unavailable",
        _ => "other",
    }
}

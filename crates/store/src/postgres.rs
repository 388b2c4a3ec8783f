//! Connections to a Postgres server.
//!
//! A statement costs one way to the server and back, and nothing else: a connection that came back in order a moment ago is not
//! asked whether it lives, and one that did not is looked at by whoever takes it next. Each limit of time is the server's own, so it
//! holds also when this process is stopped or its caller has left.

use std::time::{Duration, Instant};

use deadpool::managed::{self, Metrics, Object, PoolError, QueueMode, RecycleError, RecycleResult};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Row};

use crate::config::StoreConfig;

/// A connection that has been idle for less is taken to be alive, as by HikariCP's `aliveBypassWindowMs`: a busy service would
/// ask twice for every statement.
const FRESH: Duration = Duration::from_millis(500);
/// A connection that has been idle for longer, or is older, is replaced.
const IDLE: Duration = Duration::from_secs(5 * 60);
const OLD: Duration = Duration::from_secs(30 * 60);
/// For the connection that a migration runs on, and for the end of a transaction that was left.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connections to one server. Clones share them.
#[derive(Clone, Debug)]
pub struct Pool {
    links: managed::Pool<Server>,
    /// How long a caller waits for a connection.
    wait: Duration,
}

/// Where connections go to.
#[derive(Debug)]
struct Server(PgConnectOptions);

/// A connection, and since when it is idle: not while a statement or a transaction is under way, nor after one that did not come to
/// a good end.
#[derive(Debug)]
struct Open {
    connection: PgConnection,
    idle: Option<Instant>,
}

/// Where a statement runs.
#[derive(Debug)]
pub enum Place<'a> {
    /// On any connection.
    Pool(&'a Pool),
    /// In a transaction.
    Transaction(&'a mut Transaction),
}

/// The connection that a statement runs on. One that is dropped before its end is not in order.
#[derive(Debug)]
pub struct Link<'a>(Held<'a>);

#[derive(Debug)]
enum Held<'a> {
    Own(Object<Server>),
    Lent(&'a mut PgConnection),
}

/// A transaction, READ COMMITTED. Rolled back when dropped.
#[derive(Debug)]
pub struct Transaction {
    /// None when it is over.
    link: Option<Object<Server>>,
}

impl Pool {
    /// Connects to nothing yet.
    pub(crate) fn new(options: &PgConnectOptions, config: &StoreConfig) -> Result<Self, managed::BuildError> {
        let options = options
            .clone()
            .application_name("quipu")
            .options([
                ("statement_timeout", millis(config.statement_timeout)),
                ("lock_timeout", millis(config.lock_timeout)),
                ("idle_in_transaction_session_timeout", millis(config.idle_in_transaction_timeout)),
            ])
            .disable_statement_logging();
        let links = managed::Pool::builder(Server(options))
            .max_size(usize::try_from(config.max_connections).unwrap_or(usize::MAX))
            // So that those that nobody needs grow old.
            .queue_mode(QueueMode::Lifo)
            .build()?;
        Ok(Self { links, wait: config.acquire_timeout })
    }

    /// A pool of one connection for migrations, which may wait for each other longer than anything else may.
    pub(crate) fn unhurried(&self) -> PgPool {
        let options = self.links.manager().0.clone();
        // The last value of a setting counts.
        let options = options.options([("statement_timeout", "600000"), ("lock_timeout", "60000")]);
        PgPoolOptions::new().max_connections(1).acquire_timeout(PATIENCE).connect_lazy_with(options)
    }

    pub(crate) async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        let mut link = self.take().await?;
        link.idle = None;
        sqlx::raw_sql("BEGIN").execute(&mut link.connection).await?;
        Ok(Transaction { link: Some(link) })
    }

    /// Closes connections that were not used for long.
    pub(crate) fn tidy(&self) {
        self.links.retain(|open, metrics| open.is_young(&metrics));
    }

    pub(crate) fn close(&self) {
        self.links.close();
    }

    async fn take(&self) -> Result<Object<Server>, sqlx::Error> {
        match tokio::time::timeout(self.wait, self.links.get()).await {
            Ok(Ok(link)) => Ok(link),
            Ok(Err(PoolError::Backend(error))) => Err(error),
            Ok(Err(PoolError::Closed)) => Err(sqlx::Error::PoolClosed),
            Ok(Err(_)) | Err(_) => Err(sqlx::Error::PoolTimedOut),
        }
    }
}

impl managed::Manager for Server {
    type Type = Open;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Open, sqlx::Error> {
        // Rare and large: not to be part of every statement's future.
        let connection = Box::pin(self.0.connect()).await?;
        Ok(Open { connection, idle: Some(Instant::now()) })
    }

    async fn recycle(&self, open: &mut Open, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if !open.is_young(metrics) {
            return Err(RecycleError::message("old"));
        }
        match open.idle {
            Some(since) if since.elapsed() < FRESH => Ok(()),
            Some(_) => Ok(Box::pin(open.connection.ping()).await?),
            None if Box::pin(is_clean(&mut open.connection)).await? => Ok(()),
            None => Err(RecycleError::message("inside a transaction")),
        }
    }
}

impl Open {
    fn is_young(&self, metrics: &Metrics) -> bool {
        metrics.age() < OLD && self.idle.is_none_or(|since| since.elapsed() < IDLE)
    }
}

impl<'a> Place<'a> {
    /// Called by [`on!`](crate::on).
    ///
    /// # Errors
    ///
    /// No connection in time.
    pub async fn link(self) -> Result<Link<'a>, sqlx::Error> {
        Ok(Link(match self {
            Self::Pool(pool) => Held::Own(pool.take().await?),
            Self::Transaction(transaction) => Held::Lent(transaction.connection()?),
        }))
    }
}

impl Link<'_> {
    /// For one statement. Called by [`on!`](crate::on).
    pub fn begin(&mut self) -> &mut PgConnection {
        match &mut self.0 {
            Held::Own(open) => {
                open.idle = None;
                &mut open.connection
            }
            Held::Lent(connection) => connection,
        }
    }

    /// After it. Called by [`on!`](crate::on).
    pub fn end<T>(mut self, done: &Result<T, sqlx::Error>) {
        if let Held::Own(open) = &mut self.0 {
            open.idle = done.is_ok().then(Instant::now);
        }
    }
}

impl Transaction {
    fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        // It is over only for those who gave it away.
        self.link.as_mut().map(|link| &mut link.connection).ok_or(sqlx::Error::WorkerCrashed)
    }

    /// Ends it, with `COMMIT` or `ROLLBACK`.
    pub(crate) async fn end(mut self, how: &'static str) -> Result<(), sqlx::Error> {
        match self.link.take() {
            Some(link) => end(link, how).await,
            None => Ok(()),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        // Whoever takes the connection next looks at it, but nobody else is to wait so long for the rows that it holds.
        if let (Some(link), Ok(runtime)) = (self.link.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(PATIENCE, end(link, "ROLLBACK")));
        }
    }
}

async fn end(mut link: Object<Server>, how: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(how).execute(&mut link.connection).await?;
    link.idle = Some(Instant::now());
    Ok(())
}

/// Whether a connection is outside of any transaction. Inside a block the time of the transaction is older than that of the
/// statement; in an aborted one this query fails.
///
/// One message: a prepared statement is several, each with a time of its own, and would always seem to be inside a block.
async fn is_clean(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let row =
        sqlx::raw_sql("SELECT transaction_timestamp() = statement_timestamp()").fetch_one(connection).await?;
    row.try_get(0)
}

fn millis(limit: Duration) -> String {
    limit.as_millis().to_string()
}

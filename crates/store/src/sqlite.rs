//! How a SQLite file is opened.
//!
//! `synchronous` is FULL, not the usual NORMAL of WAL: with NORMAL the last commits are lost with the power, and a
//! sign-out or a revocation that was acknowledged must not come undone. It costs one fsync per commit.

use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::config::StoreConfig;
use crate::db::Db;
use crate::error::{StoreError, StoreErrorKind};

/// Writers wait in line for the one writing connection; the caller's deadline ends the wait earlier.
const WRITER_WAIT: Duration = Duration::from_secs(5);

pub(crate) async fn open(path: &Path, config: &StoreConfig) -> Result<Db, StoreError> {
    make_private_file(path).map_err(|error| StoreError::new(StoreErrorKind::Other, error))?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(config.statement_timeout)
        .foreign_keys(true)
        .optimize_on_close(true, None)
        .disable_statement_logging();
    let write = SqlitePoolOptions::new()
        .max_connections(1)
        .acquire_timeout(WRITER_WAIT)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.clone())
        .await?;
    let read = SqlitePoolOptions::new()
        .max_connections(config.max_connections)
        .acquire_timeout(config.acquire_timeout)
        .connect_lazy_with(options.optimize_on_close(false, None).pragma("query_only", "ON"));
    Ok(Db::Sqlite { read, write })
}

/// The file exists with mode 0600 before SQLite opens it; its `-wal` and `-shm` inherit the mode.
fn make_private_file(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(PermissionsExt::from_mode(0o600))
}

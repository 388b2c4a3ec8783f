//! Settings of a database: where it is, how many connections, how long anything may take.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use mesh_config::{Reader, Reported, Seconds};
use sqlx::postgres::PgConnectOptions;

use crate::statement::LONGEST;

/// Settings of one database.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// Where the database is.
    pub url: DatabaseUrl,
    /// Connections at most: of the Postgres pool, or readers of the SQLite file (which has one writer beside them).
    pub max_connections: u32,
    /// How long a caller waits for a connection before it is refused.
    pub acquire_timeout: Duration,
    /// How long a statement may run (Postgres `statement_timeout`; SQLite waits this long for another process's lock).
    pub statement_timeout: Duration,
    /// How long a statement may wait for a lock (Postgres `lock_timeout`).
    pub lock_timeout: Duration,
    /// How long a transaction may be idle before the server ends it (Postgres).
    pub idle_in_transaction_timeout: Duration,
}

impl StoreConfig {
    /// The default limits for a database.
    #[must_use]
    pub fn new(url: DatabaseUrl) -> Self {
        Self {
            url,
            max_connections: 8,
            acquire_timeout: Duration::from_millis(500),
            statement_timeout: Duration::from_secs(5),
            lock_timeout: Duration::from_secs(2),
            idle_in_transaction_timeout: Duration::from_secs(5),
        }
    }

    /// Reads `QUIPU_DATABASE_*`.
    ///
    /// # Errors
    ///
    /// Faults are recorded in the reader.
    pub fn read(reader: &mut Reader) -> Result<Self, Reported> {
        let secret = reader.required_secret(
            "QUIPU_DATABASE_URL",
            "database: sqlite://PATH, or postgres://USER:PASSWORD@HOST:PORT/NAME",
        );
        let url =
            secret.and_then(|url| reader.check("QUIPU_DATABASE_URL", url.expose().parse::<DatabaseUrl>()));
        let connections = reader.or("QUIPU_DATABASE_MAX_CONNECTIONS", 8_u32, "connections at most");
        let connections = connections.and_then(|count| {
            let valid = if (1..=1_000).contains(&count) { Ok(count) } else { Err("must be 1 to 1000") };
            reader.check("QUIPU_DATABASE_MAX_CONNECTIONS", valid)
        });
        let acquire = limit(reader, "QUIPU_DATABASE_ACQUIRE_TIMEOUT", 500, "wait for a connection");
        let statement = limit(reader, "QUIPU_DATABASE_STATEMENT_TIMEOUT", 5_000, "run time of a statement");
        let lock = limit(reader, "QUIPU_DATABASE_LOCK_TIMEOUT", 2_000, "wait for a lock (Postgres)");
        let idle =
            limit(reader, "QUIPU_DATABASE_IDLE_TIMEOUT", 5_000, "idle time in a transaction (Postgres)");
        Ok(Self {
            url: url?,
            max_connections: connections?,
            acquire_timeout: acquire?,
            statement_timeout: statement?,
            lock_timeout: lock?,
            idle_in_transaction_timeout: idle?,
        })
    }
}

/// Where a database is. Shows itself without user, password and host.
#[derive(Clone)]
pub struct DatabaseUrl(pub(crate) Location);

#[derive(Clone)]
pub(crate) enum Location {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl DatabaseUrl {
    /// A SQLite file.
    #[must_use]
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self(Location::Sqlite(path.into()))
    }

    /// Whether it is a SQLite file.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        matches!(self.0, Location::Sqlite(_))
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if let Some(path) = text.strip_prefix("sqlite://") {
            // A query would be silently part of the file's name.
            if path.is_empty() || path.contains(['?', '#', '\0']) || path == ":memory:" {
                return Err(InvalidUrl("sqlite:// needs a plain path to a file"));
            }
            return Ok(Self::sqlite(path));
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            // The parser's own error may quote parts of the URL, so it is dropped.
            let options = PgConnectOptions::from_str(text);
            let options = options.map_err(|_| InvalidUrl("not a valid Postgres URL"))?;
            return Ok(Self(Location::Postgres(Box::new(options))));
        }
        Err(InvalidUrl("must begin with sqlite:// or postgres://"))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_sqlite() { "sqlite://[hidden]" } else { "postgres://[hidden]" })
    }
}

/// Why a database URL was refused; never quotes it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct InvalidUrl(&'static str);

fn limit(
    reader: &mut Reader,
    name: &'static str,
    millis: u64,
    what: &'static str,
) -> Result<Duration, Reported> {
    let value = reader.or(name, Seconds(Duration::from_millis(millis)), what)?;
    let fits = !value.0.is_zero() && value.0 < LONGEST;
    let valid = if fits { Ok(value.0) } else { Err("must be more than zero and less than 10s") };
    reader.check(name, valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_both_kinds_parse() {
        assert!("sqlite:///var/lib/quipu/auth.db".parse::<DatabaseUrl>().unwrap().is_sqlite());
        assert!(!"postgres://quipu:pw@db:5432/auth".parse::<DatabaseUrl>().unwrap().is_sqlite());
    }

    #[test]
    fn a_bad_url_is_refused_without_being_quoted() {
        for text in [
            "",
            "mysql://canary",
            "sqlite://",
            "sqlite://:memory:",
            "sqlite://a?mode=canary",
            "postgres://u:canary@host:notaport/db",
        ] {
            let error = text.parse::<DatabaseUrl>().unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn debug_hides_the_password() {
        let config = StoreConfig::new("postgres://u:canary@host/db".parse().unwrap());
        assert!(!format!("{config:?}").contains("canary"));
    }
}

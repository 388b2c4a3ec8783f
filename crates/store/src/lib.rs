//! SQL on SQLite and Postgres behind one type, keyset paging, and readiness by a database's answer.
//!
//! A statement is written once and runs on both: [`on!`] picks the driver, opens a client span for it and turns the
//! driver's error into a [`StoreError`] of a closed kind. Writes go through [`Db::write`] or a transaction
//! ([`Db::begin`], done again by [`retry`] when it lost against another), reads through [`Db::read`]. A service waits for
//! its database and watches it through a [`Presence`].
//!
//! Invariants: the database URL is in no error and in no log line; a statement's values are in no span; a caller that
//! leaves in the middle of `begin` or `commit` leaves no connection inside an open transaction.

mod config;
mod db;
mod error;
pub mod page;
mod postgres;
mod presence;
mod sqlite;
mod statement;
mod transaction;

pub use config::{DatabaseUrl, StoreConfig};
pub use db::{Db, Target};
pub use error::{StoreError, StoreErrorKind};
pub use postgres::{Link, Place, Pool, Transaction};
pub use presence::{Presence, outage};
pub use statement::{System, statement};
pub use transaction::{Tx, retry};

//! The store against real databases.

#[cfg(test)]
mod sqlite;

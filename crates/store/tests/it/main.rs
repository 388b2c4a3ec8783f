//! The store against real databases.

#[cfg(test)]
mod postgres;
#[cfg(test)]
mod presence;
#[cfg(test)]
mod sqlite;

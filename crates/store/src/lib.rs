//! SQL on SQLite and Postgres behind one type, and keyset paging.

//! The service's behaviour on both databases, with a clock in the test's hands.
//!
//! Every test of [`on_both!`](mesh_testkit::on_both) runs once on SQLite and once on Postgres, each time on a database of its own.

mod accounts;
mod admin;
mod api_keys;
mod audit;
mod paging;
mod password;
mod refresh;
mod revocations;
mod sign_in;
mod support;
mod throttle;
mod upkeep;

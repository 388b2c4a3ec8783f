//! The service's behaviour on both databases, with a model and a clock in the test's hands.
//!
//! Every test of [`on_both!`](mesh_testkit::on_both) runs once on SQLite and once on Postgres, each time on a database of its own.

mod budgets;
mod failures;
mod kept;
mod making;
mod scores;
pub(crate) mod support;

//! The service's behaviour on both databases, with a model and a clock in the test's hands.
//!
//! Every test of [`on_both!`] runs once on SQLite and once on Postgres, each time on a database of its own.

/// Makes two tests of each function: one on SQLite, one on Postgres.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::tests::support::Fixture::sqlite().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::tests::support::Fixture::postgres().await).await;
            })+
        }
    };
}

mod budgets;
mod failures;
mod kept;
mod making;
pub(crate) mod support;
